"""Reading YAML: texts stay as they are written, and what a policy may not use is reported with line and column."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml

from sepurux_action.config.policy import MAX_FILE_BYTES
from sepurux_action.config.policy_parser import MAX_WORKFLOW_BYTES, YAML_ERRORS, compose, workflow_triggers
from sepurux_action.errors import ConfigurationError

PATH = ".github/sepurux-gate.yml"
ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted([*ROOT.glob("examples/workflows/*.yml"), *ROOT.glob(".github/workflows/*.yml")])


def plain(node: yaml.Node) -> object:
    """Return a node's content without its places."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item) for item in node.value]
    return node.value


def read(text: str) -> object:
    return plain(compose(text.encode(), PATH))


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigurationError) as bad:
        compose(text.encode() if isinstance(text, str) else text, PATH)
    assert {problem.file for problem in bad.value.problems} == {PATH}
    return [f"{problem.line}:{problem.column} {problem.message}" for problem in bad.value.problems]


@pytest.mark.parametrize(
    "text", ["0.90", "1e3", "0x1F", "010", "1_000", "1:30", "on", "Yes", "NO", "True", "2027-01-31", "85%", ".inf", "="]
)
def test_a_text_stays_as_it_is_written_whatever_yaml_would_make_of_it(text: str) -> None:
    assert read(f"a: {text}\n") == {"a": text}
    assert read(f"{text}: b\n") == {text: "b"}


@pytest.mark.parametrize("null", ["", "~", "null", "Null", "NULL"])
def test_a_null_without_quotes_is_an_empty_text(null: str) -> None:
    assert read(f"a: '{null}'\n") == {"a": null}
    assert read(f"a: {null}\nb: [x, {null or '~'}]\n") == {"a": "", "b": ["x", ""]}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeff", "null\n"])
def test_an_empty_file_is_an_empty_text(text: str) -> None:
    assert read(text) == ""


def test_all_ways_of_writing_lists_keys_and_texts_are_read() -> None:
    head, folded = "\ufeff%YAML 1.1\n---\n", "l: >\n  m\n  n\n...\n"
    lists = "a:\n- b\n- c: 'd''s'\n  e: |\n    f\n    g\n"
    assert read(f'{head}{lists}h: {{i: [j, "\\x6b"]}}\n{folded}') == {
        "a": ["b", {"c": "d's", "e": "f\ng\n"}],
        "h": {"i": ["j", "k"]},
        "l": "m n\n",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: *b\n", "1:4 an alias is not accepted; put a text that begins with `*` in quotes"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n", "1:4 an anchor is not accepted; put a text that begins with `&` in quotes"),
        ("a: &x b\n", "1:4 an anchor is not accepted; put a text that begins with `&` in quotes"),
        ("a: !!str b\n", "1:4 a tag is not accepted; put a text that begins with `!` in quotes"),
        ("a: !!python/object/apply:os.system [b]\n", "1:4 a tag is not accepted"),
        ("a:\n  - !src/**\n", "2:5 a tag is not accepted; put a text that begins with `!` in quotes"),
        ("a:\n  - *.md\n", "2:6 this is not valid YAML: expected alphabetic or numeric character, but found '.'; put"),
        ("a: b\nc: d\na: e\n", '3:1 the key "a" is on line 1 already; remove one'),
        ("~: b\nnull: c\n", '2:1 the key "" is on line 1 already; remove one'),
        ("? [a]\n: b\n", "1:3 a key must be a text"),
        ("a: b\n---\nc: d\n", "2:1 a second YAML document begins; accepted: one"),
        ("a: b: c\n", "1:5 this is not valid YAML: mapping values are not allowed here; put a text"),
        ("a:\n\tb: c\n", "2:1 this is not valid YAML: a tab is not allowed here; indent with spaces"),
        ("a: 'b\n", "2:1 this is not valid YAML: found unexpected end of stream; close the quotes of line 1"),
        ("a: b\nc: d\x07e\n", "2:5 YAML does not allow the character U+0007"),
        ('a: b\nc: "\\UFFFFFFFF"\n', "2:1 this is not valid YAML: a number in it is out of range"),
        (f"%YAML 1.{'9' * 5000}\n---\na: b\n", "1:1 this is not valid YAML: a number in it is out of range"),
        ("[" * 17, "1:17 the file is nested deeper than 16 levels"),
    ],
)
def test_what_a_policy_may_not_use_is_reported_with_line_and_column(text: str, message: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(message)


def test_a_file_has_at_most_256_kib() -> None:
    largest = b"a: b".ljust(MAX_FILE_BYTES)
    assert plain(compose(largest, PATH)) == {"a": "b"}
    assert problems(largest + b" ") == ["1:1 the file has more than 262,144 bytes"]


def test_a_file_is_utf_8() -> None:
    for raw in (b"a: b\nc: \xff\n", "a: b\nc: ü\n".encode("latin-1"), b"a: b\nc: \xed\xa0\x80\n"):
        assert problems(raw) == ["2:1 the file is not UTF-8"]


def test_every_kind_of_error_that_the_library_has_is_translated() -> None:
    raised = {
        kind
        for module in (yaml, yaml.reader, yaml.scanner, yaml.parser, yaml.composer, yaml.constructor)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__.startswith("yaml")
    }
    assert yaml.scanner.ScannerError in raised
    assert all(issubclass(kind, YAML_ERRORS) for kind in raised)


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("on: pull_request", {"pull_request"}),
        ("on: [pull_request, pull_request_review]", {"pull_request", "pull_request_review"}),
        ("on:\n  - push\n  - pull_request\n", {"push", "pull_request"}),
        ("on:\n  pull_request:\n    types: [opened]\n  push:\n", {"pull_request", "push"}),
        ('"on": push\njobs: {}', {"push"}),
        ("name: gate\njobs: {a: {steps: [{run: 'echo'}]}}\non: push # the last key", {"push"}),
        ("\ufeffon: push", {"push"}),
    ],
)
def test_the_triggers_of_a_workflow_are_a_name_a_list_or_keys(text: str, events: set[str]) -> None:
    assert workflow_triggers(text) == events


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_triggers_of_a_real_workflow_are_known(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ("pull_request_review" in workflow_triggers(text)) == ("\n  pull_request_review:" in text)
    assert workflow_triggers(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "name: gate", "on:", "on: []", "on: [push, {pull_request: {}}]", "on: Pull request"),
        *("on: ${{ vars.EVENT }}", "on: *events", "a: &events [push]\non: *events", "on: {<<: {push: }}"),
        *("on: {[push]: }", "on: push\non: pull_request", "on: push\n%", "on: push\n\ud800", "on: " + "a" * 65),
        *("on: push\n" + "- " * 100_000, "on: push\n" + "#" * MAX_WORKFLOW_BYTES),
    ],
    ids=lambda text: text[:24],
)
def test_the_triggers_of_a_workflow_with_anything_unexpected_are_not_known(text: str) -> None:
    assert workflow_triggers(text) == frozenset()
