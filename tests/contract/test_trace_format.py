"""The schema of a trace, its table in the documents, and the check of the gate agree."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sepurux import TraceRecorder

from scripts import trace_schema
from scripts.trace_schema import FIELDS, OF_EVENTS, TYPES
from sepurux_action.errors import TraceFileError
from sepurux_action.evaluation.traces import CALL, PROMPT, RESULT, read_recording
from tests.runner import REPOSITORY

SCHEMA = json.loads(trace_schema.text())
FITS = Draft202012Validator(SCHEMA).is_valid
EXAMPLES = sorted((REPOSITORY / "examples" / "traces").glob("*.json"))
PAGE = (REPOSITORY / "docs" / "record.md").read_text(encoding="utf-8")
[SHOWN] = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
REQUIRED = [(None, each.name) for each in FIELDS if each.is_required] + [
    (kind, each.name) for each in OF_EVENTS if each.is_required for kind in each.of or TYPES
]


def a_trace(*events: object, **changes: object) -> dict[str, object]:
    return {"trace_version": "0.1", "source": "sdk", "task": {"name": "refund"}, "events": [*events], **changes}


def an_event(kind: str, tool: str = "refund", **fields: object) -> dict[str, object]:
    return {"type": kind, "tool": tool, **({"args": {}} if kind == CALL else {}), **fields}


def accepts(trace: object) -> bool:
    try:
        read_recording(json.dumps(trace), "a.json")
    except TraceFileError:
        return False
    return True


def follows_its_call(events: list[dict[str, Any]]) -> bool:
    """Return whether each result names a tool that an earlier call names. A schema cannot express this."""
    called = [{each["tool"] for each in events[:at] if each["type"] == CALL} for at in range(len(events))]
    return all(each["tool"] in called[at] for at, each in enumerate(events) if each["type"] == RESULT)


@pytest.mark.parametrize("text", [SHOWN, *(path.read_text(encoding="utf-8") for path in EXAMPLES)])
def test_the_traces_of_the_documents_and_examples_fit_the_schema(text: str) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert FITS(json.loads(text))
    assert accepts(json.loads(text))


def test_what_the_recorder_of_the_sdk_writes_fits_the_schema() -> None:
    trace = TraceRecorder("refund", {"request": "Please."})
    trace.prompt("Please.")
    trace.llm_call("m", [{"role": "user", "content": "Please."}], "Yes.")
    trace.tool_call("refund", {"order": "A-1001"})
    trace.error(tool="refund", message="timed out")
    trace.retry("refund")
    trace.tool_call("refund", {"order": "A-1001"})
    trace.tool_result("refund", None)
    trace.agent_output("Done.")
    written = trace.to_trace()
    assert FITS(written)
    assert {event["type"] for event in written["events"]} <= set(TYPES)
    assert [field.name for field in FIELDS if field.is_required] == list(written)


kinds, tools = st.sampled_from([*TYPES, "note"]), st.sampled_from(["refund", "pay", ""])
events = st.builds(an_event, kinds, tools, status=st.sampled_from(["success", "error"]))
lists = st.lists(events | st.builds(an_event, st.just(PROMPT)) | st.just({}), max_size=5)


@given(lists)
def test_the_gate_accepts_a_trace_that_fits_and_whose_results_follow_a_call(found: list[dict[str, Any]]) -> None:
    trace = a_trace(*found)
    if FITS(trace):
        assert accepts(trace) is follows_its_call(found)


def test_a_trace_that_the_gate_rejects_for_its_shape_does_not_fit_the_schema() -> None:
    for trace in (None, a_trace(events={}), a_trace(), a_trace(an_event(PROMPT), an_event(PROMPT))):
        assert (accepts(trace), FITS(trace)) == (False, False)


@pytest.mark.parametrize(("kind", "name"), REQUIRED)
def test_a_trace_without_a_required_field_or_an_event_without_one_fits_no_schema(kind: str | None, name: str) -> None:
    event = an_event(kind or CALL)
    trace = a_trace(event, an_event(CALL))
    assert FITS(trace)
    del (event if kind else trace)[name]
    assert not FITS(trace)
