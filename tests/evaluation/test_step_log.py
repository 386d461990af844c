"""What the log, a terminal, and early outputs show of a step."""

from dataclasses import replace

import pytest

from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.api import Reply
from sepurux_action.host.output import Level
from tests.evaluation.responses import (
    NUMBERS,
    PASSED,
    RUNNING,
    Respond,
    after,
    at_first,
    http,
    in_turn,
    instead,
    sound,
)
from tests.evaluation.step import GATE, runs_of, traces
from tests.fakes import FakeEngine, FakeOutput, backend


def shown_by(respond: Respond, *gates: Gate) -> FakeOutput:
    output = FakeOutput()
    runs_of(FakeEngine(respond), *gates, output=output)
    return output


def test_what_a_run_waits_for_and_when_it_gives_up_is_shown_with_each_change() -> None:
    waits = shown_by(backend(in_turn(RUNNING, http(502), RUNNING, PASSED)), GATE).waits
    assert list(dict(waits)) == [
        "core: finding the campaign",
        "core: starting",
        "core: running",
        "HTTP 502; core: running",
        "core: done",
        "reading what failed",
    ]
    assert all(540 < left_s <= 600 for what, left_s in waits if "running" in what)


def test_the_link_is_logged_once_as_soon_as_it_is_known() -> None:
    linked = Reply(payload={"dashboard_url": "https://h.example/"})
    output = shown_by(backend(in_turn(RUNNING, linked, linked, PASSED)), replace(GATE, traces=traces(2)))
    links = [line for line in output.lines if "https://" in line]
    assert sorted(links) == ["[0] https://h.example/", "[1] https://h.example/"]


def test_an_unknown_status_is_one_warning() -> None:
    unknown = Reply(payload={"status": "resting", "decision": "pass"})
    output = shown_by(backend(after(30, before=unknown)), GATE)
    assert [(level, '"resting"' in text) for level, text in output.annotations] == [(Level.WARNING, True)]


def test_that_a_gate_is_not_decided_yet_is_logged_once_with_its_name() -> None:
    lines = shown_by(backend(after(25)), replace(GATE, traces=traces(2)), replace(GATE, name="other")).lines
    undecided = "Sepurux has not decided yet (status `running`)."
    assert [line for line in lines if "not decided yet" in line] == [f"core: {undecided}", f"other: {undecided}"]
    assert len([line for line in lines if "started" in line]) == 3


RECORDINGS = tuple(replace(each, task="refund") for each in traces(3))


@pytest.mark.parametrize(
    ("gates", "shown"),
    [
        ([replace(GATE, traces=traces(3))], "core: 0 of 3 scenarios decided"),
        ([replace(GATE, name="{0.x} {", traces=RECORDINGS)], "{0.x} {: 0 of 3 recordings decided"),
        ([GATE, replace(GATE, name="other")], "0 of 2 runs decided"),
    ],
)
def test_the_line_that_waits_for_several_runs_counts_them(gates: list[Gate], shown: str) -> None:
    assert shown_by(backend(after(1)), *gates).waits[0][0] == shown


def test_a_heartbeat_names_the_runs_that_are_not_decided() -> None:
    output = shown_by(backend(after(70)), replace(GATE, traces=traces(5)))
    beats = [line.partition(":")[0] for line in output.lines if line.startswith("waiting for ")]
    assert beats == ["waiting for 0, 1, 2, and 2 more"] * 2


def test_a_call_that_fails_again_for_the_same_reason_is_logged_once() -> None:
    failures = [Reply(temporary=True, error=reason) for reason in ("HTTP 500", "HTTP 500", "HTTP 503", "HTTP 503")]
    polled = backend(in_turn(*failures, RUNNING, *failures[:2], PASSED))
    output = shown_by(instead("POST", at_first(*failures), polled), GATE)
    logged = [line.partition(";")[0] for line in output.lines if "HTTP" in line]
    of_start, of_polls = ("HTTP 500", "HTTP 503"), ("HTTP 500", "HTTP 503", "HTTP 500")
    assert logged == [*(f"the CI run: {why}" for why in of_start), *(f"poll failed: {why}" for why in of_polls)]


def test_the_log_says_once_how_long_a_run_waited() -> None:
    gates = [replace(GATE, name=name, timeout_s=60) for name in ("one", "two")]
    lines = shown_by(backend(after(5_000)), *gates).lines
    assert {f"[{name}] pending: No decision after 1 min." for name in ("one", "two")} < set(lines)


def test_the_log_has_the_numbers_of_each_of_several_runs() -> None:
    failed = Reply(payload={**NUMBERS, "decision": "fail", "unsafe_attempts": 2})
    assert "pass after 0.4 s" in shown_by(sound(), GATE).lines
    several = shown_by(instead("GET /v1/ci/batch", in_turn(failed, PASSED)), replace(GATE, traces=traces(2)))
    assert {
        "[0] fail after 0.4 s: 95.0% passed, 2 unsafe attempts, 1 failure",
        "[1] pass after 0.4 s: 95.0% passed, 0 unsafe attempts, 1 failure",
    } < set(several.lines)
