"""Reading a policy file: texts stay as they are written, and each problem is reported with its place and a remedy."""

import pytest
import yaml

from sepurux_action.config.policy import MAX_PROBLEMS, compose, read_policy
from sepurux_action.config.settings import MAX_FILE_BYTES
from sepurux_action.errors import ConfigurationError

PATH = ".github/sepurux-gate.yml"


def composed(text: str) -> object:
    """Return the content of a file without its places."""

    def plain(node: yaml.Node) -> object:
        if isinstance(node, yaml.MappingNode):
            return {key.value: plain(value) for key, value in node.value}
        return [plain(item) for item in node.value] if isinstance(node, yaml.SequenceNode) else node.value

    return plain(compose(text.encode()))


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigurationError) as bad:
        read_policy(text.encode() if isinstance(text, str) else text, PATH)
    assert {problem.file for problem in bad.value.problems} == {PATH}
    return [f"{problem.line} {problem}" for problem in bad.value.problems]


@pytest.mark.parametrize(
    "text", ["0.90", "1e3", "0x1F", "010", "1_000", "1", "on", "Yes", "NO", "True", "2027-01-31", "85%", ".inf", "="]
)
def test_a_text_stays_as_it_is_written_whatever_yaml_would_make_of_it(text: str) -> None:
    assert composed(f"{text}: b\na: {text}\n") == {text: "b", "a": text}


@pytest.mark.parametrize("null", ["", "~", "null", "Null", "NULL"])
def test_a_null_without_quotes_is_an_empty_text(null: str) -> None:
    assert composed(f"a: {null}\nb: [x, {null or '~'}]\nc: '{null}'\n") == {"a": "", "b": ["x", ""], "c": null}


def test_all_ways_of_writing_lists_keys_and_texts_are_read() -> None:
    head, folded = "\ufeff%YAML 1.1\n---\n", "l: >\n  m\n  n\n...\n"
    lists = "a:\n- b\n- c: 'd''s'\n  e: |\n    f\n    g\n"
    assert composed(f'{head}{lists}h: {{i: [j, "\\x6b"]}}\n{folded}') == {
        "a": ["b", {"c": "d's", "e": "f\ng\n"}],
        "h": {"i": ["j", "k"]},
        "l": "m n\n",
    }


def test_a_file_has_at_most_256_kib_in_utf_8() -> None:
    largest = "name: b".ljust(MAX_FILE_BYTES)
    assert composed(largest) == {"name": "b"}
    assert problems(largest + " ") == ["1 the file has more than 262,144 bytes"]
    for raw in (b"a: b\nc: \xff\n", "a: b\nc: ü\n".encode("latin-1"), b"a: b\nc: \xed\xa0\x80\n"):
        assert problems(raw) == ["2 the file is not UTF-8"]


NOT_YAML = "this is not valid YAML: "
NO_VALUE = NOT_YAML + "while scanning for the next token from line {}, found character '{}' that cannot start any token"
QUOTES = "put a text that begins with"
KEYS = [  # a file, and what its only problem begins with
    ("a: *b\n", f"1 an alias is not accepted; {QUOTES} `*` in quotes"),
    ("a: &a [x, x]\nb: &b [*a, *a]\n", f"1 an anchor is not accepted; {QUOTES} `&` in quotes"),
    ("a: !!python/object/apply:os.system [b]\n", f"1 a tag is not accepted; {QUOTES} `!` in quotes"),
    ("a:\n  - !src/**\n", f"2 a tag is not accepted; {QUOTES} `!` in quotes"),
    ("a:\n  - *.md\n", f"2 {NOT_YAML}while scanning an alias from line 2, expected alphabetic or numeric "),
    ("a: b\nc: d\na: e\n", '3 the key "a" is on line 1 already; remove one'),
    ("~: b\nnull: c\n", '2 the key "" is on line 1 already; remove one'),
    ("? [a]\n: b\n", "1 a key must be a text"),
    ("a: b\n---\nc: d\n", "2 a second YAML document begins; accepted: one"),
    ("a: b: c\n", f"1 {NOT_YAML}mapping values are not allowed here"),
    ("gates:\n  -\tname: a\n", f"2 {NO_VALUE.format(1, chr(92) + 't')}"),
    ("a: 'b\n", f"2 {NOT_YAML}while scanning a quoted scalar from line 1, found unexpected end of stream"),
    ("a: b\nc: d\x07e\n", "2 YAML does not allow the character U+0007"),
    ('a: b\nc: "\\UFFFFFFFF"\n', f"2 {NOT_YAML}a number in it is out of range"),
    (f"%YAML 1.{'9' * 5000}\n---\na: b\n", f"1 {NOT_YAML}a number in it is out of range"),
    ("[" * 17, "1 the file is nested deeper than 16 levels"),
    ("campaign: @c\n", f"1 {NO_VALUE.format(1, '@')}"),
    (
        "gates:\n  - name: a\n   campaign: c\n",
        f"3 {NOT_YAML}while parsing a block collection from line 2, expected <block end>, but found '<block mapping",
    ),
    ("a:\n - a\nb: [c\nd: e\n", f"4 {NOT_YAML}while parsing a flow sequence from line 3, expected ',' or ']', but got"),
    ("campaign: a\ntimeout\n", f"3 {NOT_YAML}while scanning a simple key from line 2, could not find expected ':'"),
    ("campain: a", "1 `campain`: it is not known; did you mean `campaign`?"),
    ("gate: []", "1 `gate`: it is not known; did you mean `gates`?"),
    ("<<: {campaign: a}", "1 `<<`: it is not known; accepted: `project`, `campaign`, `trace_id`, "),
    ('"a`\\n::error::b\\u202e": c', "1 `a' ::error::b`: it is not known; accepted: `project`, "),
    ("gates: [{owner: a}]", "1 gate 1, `owner`: it is not known; accepted: `project`, `campaign`, `name`, "),
    ("thresholds: {accuracy: 1}", "1 `thresholds`, `accuracy`: it is not known; accepted: `min_pass_rate`, "),
    ("version: 2", '1 `version`: "2" is not known; accepted: `1`'),
    ("version: ' '", '1 `version`: "" is not known; accepted: `1`'),
    ("token: made-up", "1 `token`: it belongs in the workflow, as an input"),
    ("base_url: https://x.example", "1 `base_url`: it belongs in the workflow, as an input"),
    ("max_unsafe: 0", "1 `max_unsafe`: it belongs under `thresholds:`"),
    ("paths: [a]\ngates: [{name: b}]", "1 `paths`: with `gates:`, it belongs in each gate"),
    ("gates: [{comment: never}]", "1 gate 1, `comment`: it belongs on the file's top level"),
    ("thresholds: {timeout: 3}", "1 `thresholds`, `timeout`: it belongs on the file's top level or in a"),
    ("gates: [{gates: []}]", "1 gate 1, `gates`: it belongs on the file's top level"),
    ("thresholds: 3", '1 `thresholds`: it is "3"; accepted: keys with values'),
    ("gates: {name: a}", "1 `gates`: it is a group of keys; accepted: a list with an entry for each gate"),
    ("gates:\n- {project: p}\n- {timeout: 9}", '3 gate 2, `name`: "" is the name of gate 1 too'),
    ("gates: [a]", '1 gate 1: it is "a"; accepted: keys with values'),
    ("- campaign", "1 the file holds a list; accepted: keys with values"),
    ("campaign: a\ncampaign_id: a", "2 `campaign_id`: it is the same setting as `campaign`; set one of them"),
    ("gates:\n- {name: a}\n- {name: A}", '3 gate 2, `name`: "A" is the name of gate 1 too'),
    ("gates:\n- {name: a}\n- {campaign: A}", '3 gate 2, `name`: "A" is the name of gate 1 too'),
    (
        "campaign: a\ngates: [{project: p}, {project: q}]",
        (
            '2 gate 2, `name`: "a" is the name of gate 1 too; accepted: names that differ in more than case (the '
            "default is the campaign)"
        ),
    ),
]
VALUES = [
    (
        "campaign: refund-\u200brel",
        '1 `campaign`: "refund-rel" is not accepted (it has the invisible character U+200B',
    ),
    ("thresholds: {max_unsafe: -1}", '1 `thresholds`, `max_unsafe`: "-1" is not accepted; accepted: a whole '),
    ("campaign: [a]", "1 `campaign`: it is a list; accepted: a campaign's name or UUID"),
    ("trace_id: []", "1 `trace_id`: it is an empty list; accepted: trace IDs"),
    ("trace_id: [a, '']", "1 `trace_id`: an entry of the list must be one line of text"),
    ('trace_id: ["a\\nb"]', "1 `trace_id`: an entry of the list must be one line of text"),
    (f"trace_id: [{', '.join(map(str, range(101)))}]", '1 `trace_id`: "0 1 2 '),
    ("enforcement: [{stage: soft}]", "1 `enforcement`: it is a list; accepted: `observe`, `soft` or `hard`"),
    ("thresholds: {min_pass_rate: 85}", '1 `thresholds`, `min_pass_rate`: "85" is not accepted; accepted: 0 to 1'),
    ("reviewers: [a, b/c]", '1 `reviewers`: "a b/c" is not accepted ("b/c" is not the login'),
    ("gates: [{paths: ['a', '[']}]", '1 gate 1, `paths`: "a [" is not accepted ("[": the bracket is'),
]


@pytest.mark.parametrize(("text", "message"), [*KEYS, *VALUES])
def test_a_problem_is_reported_with_line_key_and_what_is_accepted(text: str, message: str) -> None:
    [problem] = problems(text)
    assert problem.startswith(message)


def test_a_file_has_at_most_26_gates() -> None:
    """26 gates make at most 53 writes, two statuses each and the comment. GitHub accepts 80 a minute."""
    most, more = (f"gates: [{', '.join(f'{{name: g{n}}}' for n in range(count))}]" for count in (26, 27))
    assert len(read_policy(most.encode(), PATH).gates) == 26
    assert problems(more) == ["1 `gates`: it has 27 entries; accepted: at most 26"]


def test_all_problems_are_reported_at_once_in_the_order_of_the_file_and_no_value_of_a_secret() -> None:
    text = "campain: a\ntoken: made-up-secret\ntimeout: soon\ngates:\n- name: ''\n  paths: ['[']\n- {nam: b}\n"
    found = problems(text)
    assert [each.split(" ")[0] for each in found] == ["1", "2", "3", "6", "7"]
    assert "made-up-secret" not in "".join(found)
    assert len(problems("".join(f"key{number}: a\n" for number in range(5000)))) == MAX_PROBLEMS
