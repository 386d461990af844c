"""Every file that repeats the tables of inputs and outputs agrees with them."""

from enum import EnumMeta
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
import yaml

import sepurux_action
from scripts import generate
from sepurux_action.config.options import OPTIONS, SectionKind
from sepurux_action.evaluation import gate_numbers, runs


def test_no_threshold_may_stand_anywhere_but_under_thresholds() -> None:
    places = {option.allowed_in for option in OPTIONS if SectionKind.THRESHOLDS in option.allowed_in}
    assert places == {(SectionKind.THRESHOLDS,)}


@pytest.mark.parametrize(("path", "text"), [pytest.param(*each, id=each[0].name) for each in generate.wanted()])
def test_a_generated_file_is_what_the_script_would_write(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run `make generate`"


@pytest.mark.parametrize("text", [generate.docker_action(), generate.composite_action()])
def test_no_input_but_github_token_has_a_default_which_would_count_as_given(text: str) -> None:
    inputs = yaml.safe_load(text)["inputs"]
    defaults = {name: declared["default"] for name, declared in inputs.items() if "default" in declared}
    assert defaults == {"github_token": "${{ github.token }}"}
    assert not any(declared["required"] for declared in inputs.values())


@pytest.mark.parametrize("kind", [runs.Decision, gate_numbers.CheckState])
def test_every_table_by_decision_or_by_state_of_a_threshold_has_all_of_them(kind: EnumMeta) -> None:
    found = walk_packages(sepurux_action.__path__, "sepurux_action.")
    modules = [import_module(each.name) for each in found if not each.name.endswith(".__main__")]  # they block signals
    values = [value for module in modules for value in vars(module).values()]
    tables = [table for table in values if isinstance(table, dict) and any(type(key) is kind for key in table)]
    assert tables
    assert [set(kind) - set(table) for table in tables] == [set()] * len(tables)
