"""The policy file: how it is read, its problems, each with its place and a remedy, and what it means."""

from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.app import run_command_line
from sepurux_action.config import options
from sepurux_action.config.options import BY_NAME, OPTIONS, Layer, Source, Stage
from sepurux_action.config.parsers import parse_paths
from sepurux_action.config.policy import MAX_PROBLEMS, compose, read_policy
from sepurux_action.config.settings import MAX_FILE_BYTES, Change, diff, gate_plans
from sepurux_action.errors import ConfigurationError
from sepurux_action.host.deadlines import Signals

PATH = ".github/sepurux-gate.yml"
NOT_YAML = "the gate cannot read this YAML: "
NO_VALUE = NOT_YAML + "while scanning for the next token from line {}, found character '{}' that cannot start any token"
QUOTES = f"{NOT_YAML}put a text that begins with `*`, `&`, or `!` in quotes"
TWICE = "2, `name`: must be unique, ignoring case, not"
IDS, WHOLE, USERS, PATTERNS = (
    f"must be {each.accepts}, not" for each in (options.TRACE_ID, options.MAX_UNSAFE, options.REVIEWERS, options.PATHS)
)
KEY_PROBLEMS = [  # a file, and what its only problem begins with
    *(("a: *b\n", f"1 {QUOTES}"), ("a: !!python/object/apply:os.system [b]\n", f"1 {QUOTES}")),
    ("a:\n  - !src/**\n", f"2 {QUOTES}"),
    ("a:\n  - *.md\n", f"2 {NOT_YAML}while scanning an alias from line 2, expected alphabetic or numeric "),
    ("a: b\nc: d\na: e\n", f'3 {NOT_YAML}the key "a" is on line 1 already; remove one'),
    ("? [a]\n: b\n", f"1 {NOT_YAML}a key must be a text"),
    ("a:\n---\n", f"2 {NOT_YAML}expected a single document in the stream from line 1, but found another document"),
    ("a: b: c\n", f"1 {NOT_YAML}mapping values are not allowed here"),
    ("gates:\n  -\tname: a\n", f"2 {NO_VALUE.format(1, chr(92) + 't')}"),
    ("a: b\nc: d\x07e\n", f"2 {NOT_YAML}it is not UTF-8, or has a control character"),
    ('a: b\nc: "\\UFFFFFFFF"\n', f"1 {NOT_YAML}a number in it is out of range"),
    (f"%YAML 1.{'9' * 5000}\n---\na: b\n", f"1 {NOT_YAML}a number in it is out of range"),
    ("[" * 200_000, f"1 {NOT_YAML}a number in it is out of range, or it is nested too deeply"),
    ("a:\n - a\nb: [c\nd: e\n", f"4 {NOT_YAML}while parsing a flow sequence from line 3, expected ',' or ']', but got"),
    ("campain: a", "1 there is no key `campain`; did you mean `campaign`?"),
    ("<<: {campaign: a}", "1 there is no key `<<`; the keys are `project`, `campaign`, `trace_id`, "),
    ('"a`\\n::error::b\\u202e": c', "1 there is no key `a' ::error::b`; the keys are `project`, "),
    ("gates: [{owner: a}]", "1 gate 1: there is no key `owner`; the keys are `project`, `campaign`, `name`, "),
    ("thresholds: {accuracy: 1}", "1 `thresholds`: there is no key `accuracy`; the keys are `min_pass_rate`, "),
    ("version: 2", '1 `version`: must be `1`, not "2"'),
    ("token: made-up", "1 `token`: must be an input of the workflow"),
    ("base_url: https://x.example", "1 `base_url`: must be an input of the workflow"),
    ("max_unsafe: 0", "1 `max_unsafe`: must be under `thresholds:`"),
    ("paths: [a]\ngates: [{name: b}]", "1 `paths`: must be in a gate, under `gates:`"),
    ("gates: [{comment: never}]", "1 gate 1, `comment`: must be on the file's top level"),
    ("thresholds: 3", '1 `thresholds`: must be keys with values, as `max_unsafe: 0`, not "3"'),
    ("gates: {name: a}", "1 `gates`: must be a list of 1 to 26 gates, not a group of keys"),
    ("gates:\n- {project: p}\n- {timeout: 9}", f'3 gate {TWICE} "" as in gate 1'),
    ("gates: [a]", '1 gate 1: must be keys with values, not "a"'),
    ("- campaign", "1 the file must be keys with values, as `campaign: refunds`, not a list of 1 entry"),
    ("campaign: a\ncampaign_id: a", "2 `campaign_id`: must not be set beside `campaign`, which is the same setting"),
    ("gates:\n- {name: a}\n- {name: A}", f'3 gate {TWICE} "A" as in gate 1'),
    ("campaign: a\ngates: [{project: p}, {project: q}]", f'2 gate {TWICE} "a" as in'),
]
VALUE_PROBLEMS = [
    ("campaign: re-\u200bl", '1 `campaign`: must be a campaign\'s name or UUID, not "re-l"; it has the invisible '),
    ("thresholds: {max_unsafe: -1}", f'1 `thresholds`, `max_unsafe`: {WHOLE} "-1"'),
    ("campaign: [a]", "1 `campaign`: must be a campaign's name or UUID, not a list of 1 entry"),
    ("trace_id: []", f"1 `trace_id`: {IDS} a list of 0 entries"),
    ("trace_id: [a, '']", "1 `trace_id`: must have one line of text in each entry of the list"),
    ("flaky: {a: [1]}", "1 `flaky`: must be scenarios with a last day, such as `refund: 2027-01-31`, not a group"),
    ('trace_id: ["a\\nb"]', "1 `trace_id`: must have one line of text in each entry of the list"),
    (f"trace_id: [{', '.join(map(str, range(101)))}]", f'1 `trace_id`: {IDS} "0 1 2 '),
    ("enforcement: [{stage: soft}]", "1 `enforcement`: must be `observe`, `soft` or `hard`, not a list of 1 entry"),
    ("thresholds: {min_pass_rate: 85}", "1 `thresholds`, `min_pass_rate`: must be 0 to 1, or 0% to 100%, such as"),
    ("reviewers: [a, b/c]", f'1 `reviewers`: {USERS} "a b/c"; "b/c" has'),
    ("gates: [{paths: ['a', '[']}]", f'1 gate 1, `paths`: {PATTERNS} "a ["; "[" is no filter'),
]
FULL = """\
version: 1
timeout: 15m
reviewers: [octocat, '@octodog']
thresholds:
  min_pass_rate: 0.90
enforcement: observe
gates:
  - name: Refunds
    trace_file: |
      traces/a.json
      traces/b.json
    paths: [agents/**, '!**/*.md']
    thresholds: {min_pass_rate: 95%}
  - campaign: support
    enforcement: soft
"""
TWO = """\
reviewers: [ada, grace]
timeout: 15m
thresholds: {max_failures: 3, required_mutation_categories: [auth, timeouts]}
gates:
- {name: support, campaign: refunds, trace_id: [a, b], enforcement: soft, paths: [bots/**]}
- {campaign: search, on_outage: allow, thresholds: {min_reliability_score: 80}}
"""
PLANS = """\
support: min_pass_rate 0.9; max_unsafe 0; max_failures 3; required_mutation_categories auth, timeouts; \
campaign refunds; name support; trace_id a, b; enforcement soft; on_outage block; reviewers ada, grace; \
paths bots/**; timeout 15m
search: max_unsafe 0; max_failures 3; min_reliability_score 80; required_mutation_categories auth, timeouts; \
campaign search; enforcement hard; on_outage allow; reviewers ada, grace; timeout 15m
a gate without a name: min_pass_rate 0.9; max_unsafe 0; min_scenario_pass_rate 0.2; \
enforcement soft; on_outage block; timeout 600
"""
# Pieces of YAML near to a policy, so that policies come of them often enough.
KEYS = [*(option.name for option in OPTIONS), "version", "gates", "thresholds", "campaign_id"]
TEXTS = ["1", "soft", "0.9", "85%", "10m", "a", "main", "2027-01-31", "'**'", "'!a'", "true", "~", "[a, b]", "''"]
MARKS = ["\n", "\n  ", "\n- ", "\n  - ", *"{}[]'\"*!|>#\t%", ", ", "&a ", "---"]
pieces = st.sampled_from([*(f"{key}: " for key in KEYS), *(f"\n{key}: " for key in KEYS), *TEXTS, *MARKS])
nearly = st.lists(pieces | st.text(max_size=3), max_size=12).map("".join).map(str.encode)
yaml_values = st.recursive(
    st.sampled_from(TEXTS) | st.text(max_size=4).map(repr),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(
            lambda fields: "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"
        )
    ),
    max_leaves=8,
)
shaped = st.dictionaries(st.sampled_from(KEYS), yaml_values, max_size=5).map(
    lambda fields: "\n".join(f"{key}: {value}" for key, value in fields.items()).encode(errors="replace")
)
files = st.binary(max_size=60) | nearly | shaped


def composed(text: str) -> object:
    def plain(node: yaml.Node) -> object:
        if isinstance(node, yaml.MappingNode):
            return {key.value: plain(value) for key, value in node.value}
        return [plain(item) for item in node.value] if isinstance(node, yaml.SequenceNode) else node.value

    return plain(compose(text.encode(), PATH))


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
    expected = {"a": ["b", {"c": "d's", "e": "f\ng\n"}], "h": {"i": ["j", "k"]}, "l": "m n\n"}
    assert composed(f'{head}{lists}h: {{i: [j, "\\x6b"]}}\n{folded}') == expected


def test_a_file_has_at_most_256_kib_in_utf_8() -> None:
    largest = "name: b".ljust(MAX_FILE_BYTES)
    assert composed(largest) == {"name": "b"}
    assert problems(largest + " ") == ["1 the file has more than 262,144 bytes"]
    for raw in (b"a: b\nc: \xff\n", "a: b\nc: ü\n".encode("latin-1"), b"a: b\nc: \xed\xa0\x80\n"):
        assert problems(raw) == [f"2 {NOT_YAML}it is not UTF-8, or has a control character"]


@pytest.mark.parametrize(("text", "message"), [*KEY_PROBLEMS, *VALUE_PROBLEMS])
def test_a_problem_is_reported_with_line_key_and_what_is_accepted(text: str, message: str) -> None:
    [problem] = problems(text)
    assert problem.startswith(message)


def test_a_file_has_at_most_26_gates() -> None:
    """26 gates make at most 53 writes, two statuses each and the comment. GitHub accepts 80 a minute."""
    most, more = (f"gates: [{', '.join(f'{{name: g{n}}}' for n in range(count))}]" for count in (26, 27))
    assert len(read_policy(most.encode(), PATH).gates) == 26
    assert problems(more) == ["1 `gates`: must be a list of 1 to 26 gates, not a list of 27 entries"]


def test_all_problems_are_reported_at_once_in_the_order_of_the_file_and_no_value_of_a_secret() -> None:
    text = "campain: a\ntoken: made-up-secret\ntimeout: soon\ngates:\n- name: ''\n  paths: ['[']\n- {nam: b}\n"
    found = problems(text)
    assert [each.split(" ")[0] for each in found] == ["1", "2", "3", "6", "7"]
    assert "made-up-secret" not in "".join(found)
    assert len(problems("".join(f"key{number}: a\n" for number in range(5000)))) == MAX_PROBLEMS


def read(text: str) -> Layer:
    return read_policy(text.encode(), PATH)


def values(layer: Layer) -> dict[str, tuple[str, object, int]]:
    return {name: (given.text, given.value, given.line) for name, given in layer.given.items()}


def test_every_key_becomes_the_value_of_its_option_with_its_text_and_line() -> None:
    policy = read(FULL)
    refunds, support = policy.gates
    assert values(policy) == {
        "timeout": ("15m", 900.0, 2),
        "reviewers": ("octocat\n@octodog", ("octocat", "octodog"), 3),
        "min_pass_rate": ("0.90", 0.9, 5),
        "enforcement": ("observe", Stage.OBSERVE, 6),
    }
    assert values(refunds) == {
        "name": ("Refunds", "Refunds", 8),
        "trace_file": ("traces/a.json\ntraces/b.json", ("traces/a.json", "traces/b.json"), 9),
        "paths": ("agents/**\n!**/*.md", parse_paths("agents/**\n!**/*.md"), 12),
        "min_pass_rate": ("95%", 0.95, 13),
    }
    assert values(support) == {"campaign": ("support", "support", 14), "enforcement": ("soft", Stage.SOFT, 15)}
    assert (policy.file, refunds.line, support.line) == (PATH, 8, 14)
    assert read("campaign_id: refunds").given["campaign"].where == "`campaign_id`"


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "# nothing", "---\n", "\ufeff", "null\n", "version: 1", "version: '1'", "gates:", "thresholds:"),
        *("campaign: ''", "timeout: ~"),
    ],
)
def test_what_is_empty_is_not_given(text: str) -> None:
    assert read(text) == Layer(Source.POLICY, file=PATH, line=1)


def test_each_changed_value_is_a_row_with_its_old_and_its_new_text() -> None:
    new = (
        FULL.replace("0.90", "0.5").replace("enforcement: observe", "enforcement: hard").replace("octocat, ", "")
        .replace("timeout: 15m\n", "").replace("95%", "0.95").replace("enforcement: soft", "on_outage: allow")
    )  # fmt: skip
    assert diff(read(FULL), read(new)) == (
        *(Change("min_pass_rate", "0.90", "0.5"), Change("enforcement", "observe", "hard")),
        *(Change("reviewers", "octocat, @octodog", "@octodog"), Change("timeout", "15m", "")),
        *(Change("enforcement", "soft", "", "support"), Change("on_outage", "", "allow", "support")),
    )


def test_a_gate_that_comes_or_goes_is_a_row_beside_its_values() -> None:
    old, new = read("gates: [{name: a, timeout: 30}, {name: b}]"), read("gates: [{name: B}, {name: c, campaign: d}]")
    assert diff(old, new) == (
        *(Change("", "listed", "", "a"), Change("name", "a", "", "a"), Change("timeout", "30", "", "a")),
        *(Change("name", "b", "B", "b"), Change("", "", "listed", "c"), Change("campaign", "", "d", "c")),
        Change("name", "", "c", "c"),
    )
    old, new = (read(f"gates: [{{name: a}}, {{timeout: {seconds}}}]") for seconds in (40, 50))
    assert diff(old, new) == (Change("timeout", "40", "50", "2"),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(("thresholds: {min_pass_rate: 0.9}", "thresholds: {min_pass_rate: 90%}"), ("timeout: 600", "timeout: 10m")),
        *(("trace_id: [a, b]", "trace_id: a, b"), ("campaign: a", "# why\nversion: 1\ncampaign_id: 'a'")),
        ("gates: [{name: a}, {name: b}]", "gates: [{name: b}, {name: a}]"),
        ("enforcement: soft", "enforcement: Soft"),
    ],
)
def test_another_way_of_writing_the_same_is_no_change(old: str, new: str) -> None:
    assert diff(read(old), read(new)) == ()


def test_each_gate_is_one_line_with_its_thresholds_and_what_a_file_leaves_to_the_inputs_is_no_problem() -> None:
    nameless = read("enforcement: soft\nthresholds: {min_scenario_pass_rate: 20%}")
    assert [*gate_plans(read(TWO)), *gate_plans(nameless)] == PLANS.splitlines()
    with pytest.raises(ConfigurationError, match="must be a name of the gate too, but it ends with"):
        [*gate_plans(read("campaign: refunds (v2)"))]


def read_any(raw: bytes) -> Layer | ConfigurationError:
    try:
        return read_policy(raw, PATH)
    except ConfigurationError as bad:
        return bad


@given(files)
def test_any_bytes_are_a_policy_or_problems_with_their_places_on_which_check_and_a_run_agree(raw: bytes) -> None:
    with TemporaryDirectory() as folder, chdir(folder), redirect_stdout(StringIO()) as out:
        file = Path("policy.yml")
        file.write_bytes(raw)
        status = run_command_line(["--check", str(file)], {}, Signals())
    found = read_any(raw)
    lines = out.getvalue().splitlines()
    if isinstance(found, ConfigurationError):
        assert found.problems
        assert (status, lines) == (2, [f"{file}:{each.line}: {each}" for each in found.problems])
        for problem in found.problems:
            assert 1 <= problem.line <= len(raw.splitlines()) + raw.count(b"\xc2\x85") + raw.count(b"\xe2\x80") + 1
            assert str(problem).isprintable()
        return
    assert status == 2 or len(lines) == 1 + (len(found.gates) or 1)
    for name, given_here in (each for section in (found, *found.gates) for each in section.given.items()):
        assert given_here.text.strip() == given_here.text != ""
        assert name == "enforcement" or BY_NAME[name].parse(given_here.text) == given_here.value


@given(shaped, shaped)
def test_a_policy_differs_from_itself_in_nothing_and_from_another_both_ways_alike(one: bytes, other: bytes) -> None:
    old, new = read_any(one), read_any(other)
    if isinstance(old, Layer) and isinstance(new, Layer):
        assert diff(old, old) == ()
        assert len(diff(old, new)) == len(diff(new, old))
