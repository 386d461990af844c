"""A recording without the calls of tools is rejected, and the time of its newest event is known."""

from __future__ import annotations

import json

import pytest

from sepurux_action.config.gate import Trace
from sepurux_action.errors import TraceFileError
from sepurux_action.evaluation.recording import GUIDE, read_recording
from tests.runner import TRACE

PROMPT = {"type": "prompt", "input": "Refund order A-1002."}
CALL = {"type": "tool_call", "tool": "refund", "args": {"order": "A-1002"}}
MANY = "".join(f'{{"name": "{number}"}}, ' for number in range(100_000))
RESULT = {"type": "tool_result", "tool": "refund", "result": {"ok": True}}
ANSWER = {"type": "agent_output", "output": "Done."}


def read(*events: object) -> Trace:
    return read_recording(json.dumps({"events": events}), "traces/a.json")


def rejection(text: str) -> str:
    with pytest.raises(TraceFileError) as error:
        read_recording(text, "traces/a.json")
    return str(error.value).removesuffix(f"; record every call of a tool: {GUIDE}")


@pytest.mark.parametrize(
    "text",
    [
        *("{}", '{"events": []}', '{"events": null}', '{"events": {"0": 1}}'),
        *('{"events": [{}], "events": []}', f'{{"args": {TRACE}}}'),
    ],
)
def test_a_trace_without_events_is_rejected(text: str) -> None:
    assert rejection(text) == '"traces/a.json" has no events, so nothing was recorded'


def test_a_trace_with_prompts_only_is_rejected() -> None:
    text = json.dumps({"events": [PROMPT, PROMPT]})
    assert rejection(text) == '"traces/a.json" has only prompts, so what the agent did was not recorded'
    for found in (read(PROMPT, ANSWER), read(PROMPT, "an event of another kind")):
        assert (found.recorded, found.has_calls, found.task, found.events) == (None, False, "", ())


@pytest.mark.parametrize(
    ("events", "tool"),
    [
        ([PROMPT, RESULT, ANSWER], "refund"),
        ([RESULT, CALL], "refund"),
        ([{**CALL, "tool": "look_up"}, RESULT], "refund"),
        ([{**ANSWER, "args": CALL}, RESULT], "refund"),
        ([CALL, {"type": "tool_result", "tool": "", "name": "refund_later"}, RESULT], "refund_later"),
        ([{"type": "tool_call", "tool": "other", "name": "refund"}, RESULT], "refund"),
        ([{**RESULT, "tool": "::error::" + "x\n\x1b[31m" * 500}], "::error::" + "x [31m" * 11 + "x [3…"),
    ],
    ids=range(7),
)
def test_a_result_of_a_tool_without_an_earlier_call_of_it_is_rejected(events: list[object], tool: str) -> None:
    assert rejection(json.dumps({"events": events})) == (
        f'"traces/a.json" has a result of "{tool}" but no call before it, so Sepurux does not see the call'
    )


@pytest.mark.parametrize(
    "events",
    [
        [CALL, RESULT, RESULT],
        [{"type": "tool_call", "name": "refund"}, RESULT],
        [CALL, {"type": "tool_result"}, {"type": "tool_result", "tool": 1, "name": None}],
        [CALL, {"type": "failure", "tool": "look_up"}],
    ],
    ids=range(4),
)
def test_a_trace_with_a_call_before_each_result_is_complete_and_has_calls(events: list[object]) -> None:
    assert read(*events).has_calls is True


def test_after_very_many_objects_a_call_that_was_not_recorded_is_still_found() -> None:
    assert "no call before it" in rejection(f'{{"events": [{MANY}{json.dumps(RESULT)}]}}')


NOON = 1_798_977_600.0  # 2027-01-03T12:00:00Z


@pytest.mark.parametrize(
    ("content", "recorded"),
    [
        ('{"events": [{"timestamp": "2027-01-03T12:00:00Z"}]}', NOON),
        ('{"events": [{"timestamp": "2027-01-03T12:00:00"}]}', NOON),
        ('{"events": [{"timestamp": "2027-01-03T14:00:00+02:00", "args": {"timestamp": "2031-01-01"}}]}', NOON),
        ('{"events": [{"timestamp": "2026-12-01"}, {"timestamp": "2027-01-03T12:00:00Z"}, {"type": "prompt"}]}', NOON),
        ('{"events": [{"timestamp": "now"}, {"timestamp": 1}, {"timestamp": "1970-01-01"}, 4102444800, null]}', None),
        ('{"timestamp": "9999-12-31", "task": {"timestamp": "2027-01-03T12:00:00Z"}, "events": [{}]}', None),
        ('{"events": [{"timestamp": "2027-01-03T12:00:00Z", "events": [{"timestamp": "2031-01-01"}]}]}', NOON),
        (f'{{"events": [{MANY}{{"timestamp": "2027-01-03"}}]}}', None),  # more than are kept
    ],
    ids=range(8),
)
def test_the_time_of_the_newest_event_is_known(content: str, recorded: float | None) -> None:
    assert read_recording(content, "a.json").recorded == recorded


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ('"task": {"name": "refund"}, "events": [CALL]', "refund"),
        ('"events": [CALL], "task": {"input": {"name": "Ann"}, "name": " Refund "}', " Refund "),
        ('"task": {"name": " \\n"}, "events": [CALL]', ""),
        ('"task": {"name": 7}, "events": [CALL]', ""),
        ('"task": {"name": "refund", "name": null}, "events": [CALL]', ""),  # the last one counts, as in other parsers
        ('"task": {"name": "refund"}, "task": {}, "events": [CALL]', ""),
        ('"task": [{"name": "refund"}], "name": "refund", "events": [CALL]', ""),
        ('"events": [CALL, {"task": {"name": "refund"}}]', ""),
        (f'"task": {{"name": "refund"}}, "events": [{MANY}CALL]', "refund"),
        (f'"events": [{MANY}CALL], "task": {{"name": "refund"}}', ""),  # more than are kept
    ],
    ids=range(10),
)
def test_the_name_of_the_task_is_known_exactly_as_written(fields: str, task: str) -> None:
    trace = read_recording(f"{{{fields.replace('CALL', json.dumps(CALL))}}}", "a.json")
    assert (trace.task, trace.scenario) == (task, ("task", task) if task else ("path", "a.json"))
