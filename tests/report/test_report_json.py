"""`report.json` fits its published schema in every state."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from jsonschema import Draft202012Validator

from sepurux_action.errors import Problem
from sepurux_action.report.data import json_text
from sepurux_action.report.report import Report, build_report, shortened
from tests import builders
from tests.builders import HOSTILE, a_context, a_result, a_run, hostile_context, hostile_result, reports, states

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def written(report: Report) -> dict[str, Any]:
    """Return what a reader of the file gets, which fits the schema."""
    read: dict[str, Any] = json.loads(json_text(report))
    VALIDATOR.validate(read)
    return read


def texts(value: object) -> str:
    """Return all names and values together."""
    if isinstance(value, dict):
        return "".join(map(texts, (*value, *value.values())))
    return "".join(map(texts, value)) if isinstance(value, list) else str(value)


def test_it_is_a_schema_that_describes_every_field_and_refers_to_no_other_file() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for found in (SCHEMA, *SCHEMA["$defs"].values()):
        assert [name for name, field in found["properties"].items() if not field.get("description")] == []
        assert found["additionalProperties"] is False
        assert found["required"] == list(found["properties"])
    assert set(re.findall(r'"\$ref": "(.)', json.dumps(SCHEMA))) == {"#"}


@pytest.mark.parametrize("state", reports())
def test_the_report_of_every_state_fits_the_schema_and_a_short_one_lacks_what_failed(state: str) -> None:
    assert written(reports()[state])["short"] is (state == "canceled")
    if state in states():
        short = written(shortened(reports()[state]))
        assert short["short"] is True
        for gate in short["gates"]:
            assert (gate["failures"], gate["scenarios"]) == ([], [])


@given(builders.foreign_texts(5))
@example(HOSTILE)
@example("\ud800\0\u202e")
def test_a_report_of_any_text_fits_the_schema_and_shows_no_invisible_character(said: str) -> None:
    run = build_report([hostile_result(said)], hostile_context(said, f"{said}0"))
    problem = Problem(where=said, message=f"{said}.", file=said, line=3)
    for report in (run, builders.a_settings_report(problem, context=hostile_context(said))):
        assert texts(written(report)).isprintable()


def test_a_whole_number_is_an_integer_and_a_hint_names_inputs() -> None:
    run = a_run(elapsed_s=95.0, failing_tools={"payments.refund": 2})
    result = a_result(run, hint="{Rerun}, or raise {timeout}.", failures_unread=2)
    text = json_text(build_report([result], a_context()))
    for part in ('"elapsed_s": 95,', '"unsafe_attempts": 1,', '"limit": 0.85,', '"failures_unread": 2,'):
        assert part in text
    assert '"failing_tools": {"payments.refund": 2}' in text
    assert '"hint": "Re-run the job, or raise `timeout`."' in text


def test_the_step_is_as_bad_as_its_worst_gate_and_fails_if_any_gate_blocks() -> None:
    expected = {"gates": ("fail", "failure"), "fail-observe": ("fail", "success"), "gates-pass": ("pass", "success")}
    for state, decided in {**expected, "bad-settings": ("error", "failure")}.items():
        found = written(reports()[state])
        assert (found["decision"], found["conclusion"]) == decided
