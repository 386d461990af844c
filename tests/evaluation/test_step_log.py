"""What the log, a terminal, and early outputs show of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sepurux_action.config.gate import Gate
from sepurux_action.evaluation import schedule
from sepurux_action.evaluation.api import Success, TransientError
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.drops import Base, Baseline
from sepurux_action.evaluation.runs import RunResult
from sepurux_action.evaluation.step_evaluation import StepEvaluation
from sepurux_action.host.output import Level
from tests.evaluation.responses import LISTED, NUMBERS, PASSED, RUNNING, after, http, in_turn, instead, listed, sound
from tests.evaluation.step import GATE, runs_of, traces
from tests.fakes import FakeApiCalls, FakeOutput, backend


def test_what_a_run_waits_for_and_when_it_gives_up_is_shown_with_each_change() -> None:
    output = FakeOutput()
    runs_of(FakeApiCalls(backend(in_turn(RUNNING, http(502), RUNNING, PASSED))), output=output)
    shown = [what for what, _ in output.waits]
    assert list(dict.fromkeys(shown)) == [
        "core: finding the campaign",
        "core: starting",
        "core: running",
        "HTTP 502; core: running",
        "core: done",
        "reading what failed",
    ]
    assert output.waits[0][1] == schedule.FIRST_RESPONSE_S  # until the backend has responded at all
    assert all(540 < left_s <= 600 for what, left_s in output.waits if "running" in what)


def test_a_host_that_cannot_be_reached_is_what_a_run_waits_for() -> None:
    output, refused = FakeOutput(), TransientError(reason="no connection", connected=False, unreached="127.0.0.1")
    runs_of(FakeApiCalls(listed(after(8, LISTED, before=refused))), output=output)
    assert "cannot reach 127.0.0.1" in [what for what, _ in output.waits]


def test_the_link_is_logged_once_as_soon_as_it_is_known() -> None:
    output = FakeOutput()
    linked = Success({"dashboard_url": "https://h.example/"})
    runs_of(
        FakeApiCalls(backend(in_turn(RUNNING, linked, linked, PASSED))), replace(GATE, traces=traces(2)), output=output
    )
    links = [line for line in output.lines if "https://" in line]
    assert sorted(links) == ["[0] https://h.example/", "[1] https://h.example/"]


def test_an_unknown_status_is_pending_with_one_warning() -> None:
    output = FakeOutput()
    unknown = Success({"status": "resting", "decision": "pass"})
    [result] = runs_of(FakeApiCalls(backend(after(30, before=unknown))), output=output)
    assert result.decision is Decision.PASS
    assert [(level, '"resting"' in text) for level, text in output.annotations] == [(Level.WARNING, True)]


def test_that_a_gate_is_not_decided_yet_is_logged_once_with_its_name() -> None:
    output = FakeOutput()
    gates = replace(GATE, traces=traces(2)), replace(GATE, name="other")
    runs_of(FakeApiCalls(backend(after(25))), *gates, output=output)
    undecided = "Sepurux has not decided yet (status `running`)."
    assert [line for line in output.lines if "not decided yet" in line] == [f"core: {undecided}", f"other: {undecided}"]
    assert len([line for line in output.lines if "started" in line]) == 3


RECORDINGS = tuple(replace(each, task="refund") for each in traces(3))


@pytest.mark.parametrize(
    ("gates", "shown"),
    [
        ([replace(GATE, traces=traces(3))], "core: 0 of 3 scenarios decided"),
        ([replace(GATE, traces=RECORDINGS)], "core: 0 of 3 recordings decided"),
        ([GATE, replace(GATE, name="other")], "0 of 2 runs decided"),
    ],
)
def test_the_line_that_waits_for_several_runs_counts_them(gates: list[Gate], shown: str) -> None:
    output = FakeOutput()
    runs_of(FakeApiCalls(backend(after(1))), *gates, output=output)
    assert output.waits[0][0] == shown


def test_a_heartbeat_names_the_runs_that_are_not_decided() -> None:
    output = FakeOutput()
    runs_of(FakeApiCalls(backend(after(70))), replace(GATE, traces=traces(5)), output=output)
    beats = [line.partition(":")[0] for line in output.lines if line.startswith("waiting for ")]
    assert beats == ["waiting for 0, 1, 2, and 2 more"] * 2


def test_a_call_that_fails_again_for_the_same_reason_is_logged_once() -> None:
    output = FakeOutput()
    failures = [TransientError(reason=reason) for reason in ("HTTP 500", "HTTP 500", "HTTP 503", "HTTP 503")]
    polled = backend(in_turn(*failures, RUNNING, *failures[:2], PASSED))
    runs_of(FakeApiCalls(instead("POST", in_turn(*failures, Success({"batch_id": "b"})), polled)), output=output)
    logged = [line.partition(";")[0] for line in output.lines if "HTTP" in line]
    of_start, of_polls = ("HTTP 500", "HTTP 503"), ("HTTP 500", "HTTP 503", "HTTP 500")
    assert logged == [*(f"the CI run: {why}" for why in of_start), *(f"poll failed: {why}" for why in of_polls)]


@pytest.mark.parametrize(
    ("gate", "written"),
    [
        (replace(GATE, timeout_s=30), [(0, 1, ""), (0, 1, "https://h.example/")]),
        (replace(GATE, traces=traces(20)), [(0, 1, ""), (30, 20, "https://h.example/")]),
    ],
    ids=["one", "several"],
)
def test_ids_and_addresses_are_written_at_once_and_those_of_several_runs_then_with_the_heartbeat(
    gate: Gate, written: list[tuple[int, int, str]]
) -> None:
    seen: list[tuple[int, int, str]] = []

    def write(known: Sequence[RunResult]) -> None:
        seen.append((int(calls.time - 1_000), len(known), known[0].ci_run.dashboard_url))

    calls = FakeApiCalls(backend(after(300, before=Success({"dashboard_url": "https://h.example/"}))))
    StepEvaluation([(gate, Base(baseline=Baseline()))], {}, calls, FakeOutput(), write).evaluate()
    assert seen == written


def test_the_log_says_once_how_long_a_run_waited() -> None:
    output = FakeOutput()
    gates = [replace(GATE, name=name, timeout_s=60) for name in ("one", "two")]
    runs_of(FakeApiCalls(backend(after(5_000))), *gates, output=output)
    assert {f"[{name}] pending: No decision after 1 min." for name in ("one", "two")} < set(output.lines)


def test_the_log_has_the_numbers_of_each_of_several_runs() -> None:
    failed = Success({**NUMBERS, "decision": "fail", "unsafe_attempts": 2})
    calls = FakeApiCalls(instead("GET /v1/ci/batch", in_turn(failed, PASSED)))
    one, several = FakeOutput(), FakeOutput()
    runs_of(FakeApiCalls(sound()), output=one)
    runs_of(calls, replace(GATE, traces=traces(2)), output=several)
    assert "pass after 0.4 s" in one.lines
    assert {
        "[0] fail after 0.4 s: 95.0% passed, 2 unsafe attempts, 1 failure",
        "[1] pass after 0.5 s: 95.0% passed, 0 unsafe attempts, 1 failure",
    } < set(several.lines)


@pytest.mark.parametrize("name", ["refunds {v2}", "{", "}", "{0.__class__}"])
def test_a_name_may_have_braces(name: str) -> None:
    output = FakeOutput()
    runs_of(FakeApiCalls(backend(in_turn(RUNNING, PASSED))), replace(GATE, name=name, traces=traces(2)), output=output)
    assert f"{name}: 0 of 2 scenarios decided" in [what for what, _ in output.waits]
