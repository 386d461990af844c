"""`report.json` fits its published schema in every state."""

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from jsonschema import Draft202012Validator

from sepurux_action.errors import Problem
from sepurux_action.report.report import Report, build_report, shortened
from sepurux_action.report.report_json import json_text
from tests.builders import (
    FAILING,
    HOSTILE,
    a_context,
    a_past_result,
    a_result,
    a_run,
    a_settings_report,
    foreign_texts,
    hostile_context,
    hostile_result,
    reports,
    run_with,
    some_results,
    states,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def written(report: Report) -> dict[str, Any]:
    """Return what a reader of the file gets."""
    read: dict[str, Any] = json.loads(json_text(report))
    return read


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


# -- the schema -------------------------------------------------------------------------------------------------------


def test_it_is_a_schema_that_describes_every_field_and_refers_to_no_other_file() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for found in (SCHEMA, *SCHEMA["$defs"].values()):
        assert [name for name, field in found["properties"].items() if not field.get("description")] == []
        assert found["additionalProperties"] is False
        assert found["required"] == list(found["properties"])
    assert set(re.findall(r'"\$ref": "(.)', json.dumps(SCHEMA))) == {"#"}


@pytest.mark.parametrize("state", reports())
def test_the_report_of_every_state_fits_the_schema_and_so_does_a_short_one(state: str) -> None:
    VALIDATOR.validate(written(reports()[state]))
    if state in states():
        results, context = states()[state]
        VALIDATOR.validate(written(shortened(build_report(results, context))))


@given(foreign_texts(5))
@example(HOSTILE)
@example("\ud800\0\u202e")
def test_a_report_of_any_text_fits_the_schema_and_shows_no_invisible_character(said: str) -> None:
    run = build_report([hostile_result(said)], hostile_context(said, f"{said}0"))
    problem = Problem(where=said, message=f"{said}.", file=said, line=3)
    for report in (run, shortened(run), a_settings_report(problem, context=hostile_context(said))):
        found = written(report)
        VALIDATOR.validate(found)
        shown = "".join(texts(found)).replace("\n", "")
        assert not [character for character in shown if unicodedata.category(character)[0] == "C"]


# -- the facts --------------------------------------------------------------------------------------------------------


def test_seconds_have_three_digits() -> None:
    result = a_result(a_run(FAILING, elapsed_s=3.2500001))
    report = written(build_report([result], a_context()))
    VALIDATOR.validate(report)
    assert report["gates"][0]["elapsed_s"] == 3.25


def test_a_difference_is_one_of_numbers_that_are_rounded_alike() -> None:
    run = a_run(run_with(FAILING, pass_rate=0.930044))
    base = some_results(a_past_result(numbers={"pass_rate": 0.93}))
    (gate,) = written(build_report([a_result(run)], a_context(base_results={"refunds": base})))["gates"]
    (rate,) = (row for row in gate["thresholds"] if row["name"] == "min_pass_rate")
    assert (rate["value"], rate["base"], rate["change"]) == (0.930044, 0.93, 0)


def test_the_step_is_as_bad_as_its_worst_gate_and_fails_if_any_gate_blocks() -> None:
    found = {state: written(report) for state, report in reports().items()}
    assert (found["gates"]["decision"], found["gates"]["conclusion"]) == ("fail", "failure")
    assert (found["fail-observe"]["decision"], found["fail-observe"]["conclusion"]) == ("fail", "success")
    assert (found["gates-pass"]["decision"], found["gates-pass"]["conclusion"]) == ("pass", "success")
    assert (found["bad-settings"]["decision"], found["bad-settings"]["conclusion"]) == ("error", "failure")


def test_a_short_report_says_that_it_lacks_details() -> None:
    results, context = states()["fail"]
    short = shortened(build_report(results, context))
    found = written(short)
    (gate,) = found["gates"]
    assert found["short"] is True
    assert (gate["failures"], gate["failures_complete"]) == ([], False)
    assert gate["thresholds"]
