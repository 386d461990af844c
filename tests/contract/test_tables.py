"""Every file that repeats the tables of inputs and outputs agrees with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from scripts import generate
from sepurux_action.config import options
from sepurux_action.config.command_line import CommandLine, Format, parse_command_line, parser
from sepurux_action.config.options import OPTIONS, Option, SectionKind
from sepurux_action.report.outputs import OUTPUTS

SPELLINGS = [spelling for option in OPTIONS for spelling in option.names]
FLAGS = [spelling for option in OPTIONS if not option.actions_only for spelling in option.names]


def test_every_option_is_read_by_a_rule() -> None:
    """An option in the table alone would be offered, accepted and without effect."""
    constants = [name for name, value in vars(options).items() if isinstance(value, Option)]
    sources = [path for path in (generate.ROOT / "sepurux_action").rglob("*.py") if path.name != "options.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    assert len(constants) == len(OPTIONS)
    assert [name for name in constants if not re.search(rf"\.value(_or_default)?\(options\.{name}\b", text)] == []


def test_no_threshold_may_stand_anywhere_but_under_thresholds() -> None:
    assert all(
        option.allowed_in == (SectionKind.THRESHOLDS,)
        for option in OPTIONS
        if SectionKind.THRESHOLDS in option.allowed_in
    )


@pytest.mark.parametrize(("path", "text"), [pytest.param(*each, id=each[0].name) for each in generate.wanted()])
def test_a_generated_file_is_what_the_script_would_write(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run `make generate`"


@pytest.mark.parametrize("text", [generate.docker_action(), generate.composite_action()])
def test_an_action_declares_every_spelling_and_every_output_with_its_description(text: str) -> None:
    action = yaml.safe_load(text)
    assert list(action["inputs"]) == SPELLINGS
    assert {name: output["description"] for name, output in action["outputs"].items()} == OUTPUTS
    for option in OPTIONS:
        description = action["inputs"][option.name]["description"]
        assert description.startswith(f"{option.help} Accepted: {option.accepts}.")


@pytest.mark.parametrize("text", [generate.docker_action(), generate.composite_action()])
def test_no_input_but_github_token_has_a_default_because_one_would_beat_the_environment(text: str) -> None:
    inputs = yaml.safe_load(text)["inputs"]
    defaults = {name: declared["default"] for name, declared in inputs.items() if "default" in declared}
    assert defaults == {"github_token": "${{ github.token }}"}
    assert not any(declared["required"] for declared in inputs.values())


def test_the_command_line_has_a_flag_for_every_spelling_that_is_not_for_workflows_only() -> None:
    flags = {flag: made.dest for made in parser()._actions for flag in made.option_strings}  # noqa: SLF001
    own = {"-h": "help", "--help": "help", "--version": "version", "--format": "format", "--quiet": "quiet"}
    assert flags == {**own, **{"--" + spelling.replace("_", "-"): spelling for spelling in FLAGS}}


def test_a_flag_that_is_not_given_is_no_value() -> None:
    assert parse_command_line([]) == CommandLine({}, Format.TEXT, quiet=False)


def test_a_document_without_markers_stays_as_it_is() -> None:
    assert generate.with_blocks("# Title\n<!-- begin -->\n") == "# Title\n<!-- begin -->\n"


def test_only_what_stands_between_markers_is_renewed() -> None:
    text = "before\n<!-- begin flags -->\nold\n<!-- end -->\nafter\n"
    flags = generate.flags_block()
    assert generate.with_blocks(text) == f"before\n<!-- begin flags -->\n{flags}\n<!-- end -->\nafter\n"
    assert generate.with_blocks(generate.with_blocks(text)) == generate.with_blocks(text)


@pytest.mark.parametrize("name", sorted(generate.BLOCKS.keys() - {"flags"}))
def test_no_text_of_a_table_breaks_a_row(name: str) -> None:
    heading, *rows = generate.BLOCKS[name]().splitlines()
    assert len(rows) > 2
    assert {line.count("|") for line in rows} == {heading.count("|")}
    assert all(line.startswith("| ") and line.endswith(" |") for line in rows)
