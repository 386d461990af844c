"""What the log, a terminal, and early outputs show of a step."""

from dataclasses import replace

import pytest

from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.api import Reply
from sepurux_action.host.output import Level
from tests.evaluation.step import (
    GATE,
    NUMBERS,
    PASSED,
    RUNNING,
    Respond,
    after,
    at_first,
    http,
    in_turn,
    instead,
    runs_of,
    traces,
)
from tests.fakes import FakeEngine, FakeOutput, backend


def shown_by(respond: Respond, *gates: Gate) -> FakeOutput:
    output = FakeOutput()
    runs_of(FakeEngine(respond), *gates, output=output)
    return output


def test_what_a_run_waits_for_and_when_it_gives_up_is_shown_with_each_change() -> None:
    waits = shown_by(backend(in_turn(RUNNING, http(502), RUNNING, PASSED)), GATE).waits
    shown = ("finding the campaign", "starting", "running", "done")
    first, start, running, done = (f"core: {each}" for each in shown)
    assert list(dict(waits)) == [first, start, running, f"HTTP 502; {running}", done, "reading what failed"]
    assert all(540 < left_s <= 600 for what, left_s in waits if "running" in what)


LINKED = Reply(payload={"dashboard_url": "https://h.example/"})
FAILED = Reply(payload={**NUMBERS, "decision": "fail", "unsafe_attempts": 2})
LOST = [Reply(temporary=True, error=reason) for reason in ("HTTP 500", "HTTP 500", "HTTP 503", "HTTP 503")]
OTHER = replace(GATE, name="other")
UNDECIDED = "Sepurux has not decided yet (status `running`)"
RETRIED = ["the CI run: HTTP 500", "the CI run: HTTP 503"]
RETRIED += ["poll failed: HTTP 500", "poll failed: HTTP 503", "poll failed: HTTP 500"]
BEATS = ("30 s elapsed, at most 9 min 30 s", "1 min elapsed, at most 9 min")
TWO = replace(GATE, traces=traces(2))
SHORT = [replace(each, timeout_s=60) for each in (GATE, OTHER)]
NUMBERS_OF = "{} after 0.4 s: 95.0% passed, {} unsafe attempts, 1 failure"


@pytest.mark.parametrize(
    ("respond", "gates", "part", "lines"),
    [
        (backend(in_turn(RUNNING, LINKED, LINKED, PASSED)), [TWO], "//", [f"[{n}] https://h.example/" for n in (0, 1)]),
        (backend(after(25)), [TWO, OTHER], "not decided", [f"core: {UNDECIDED}.", f"other: {UNDECIDED}."]),
        (
            instead("POST", at_first(*LOST), backend(in_turn(*LOST, RUNNING, *LOST[:2], PASSED))),
            [GATE],
            "HTTP",
            RETRIED,
        ),
        (
            backend(after(70)),
            [replace(GATE, traces=traces(5))],
            "waiting for ",
            [f"waiting for 0, 1, 2, and 2 more: {time} left" for time in BEATS],
        ),
        (
            backend(after(5_000)),
            SHORT,
            "pending",
            [f"[{n}] pending: No decision after 1 min." for n in ("core", "other")],
        ),
        (
            instead("GET /v1/ci/batch", in_turn(FAILED, PASSED)),
            [TWO],
            " after ",
            [f"[0] {NUMBERS_OF.format('fail', 2)}", f"[1] {NUMBERS_OF.format('pass', 0)}"],
        ),
    ],
    ids=["link", "undecided", "failed calls", "heartbeat", "pending", "numbers"],
)
def test_the_log_says_once_what_happened_to_which_run(
    respond: Respond, gates: list[Gate], part: str, lines: list[str]
) -> None:
    logged = (line.partition("; next")[0] for line in shown_by(respond, *gates).lines if part in line)
    assert sorted(logged) == sorted(lines)


def test_an_unknown_status_is_one_warning() -> None:
    unknown = Reply(payload={"status": "resting", "decision": "pass"})
    output = shown_by(backend(after(30, before=unknown)), GATE)
    assert [(level, '"resting"' in text) for level, text in output.annotations] == [(Level.WARNING, True)]


RECORDINGS = tuple(replace(each, task="refund") for each in traces(3))


@pytest.mark.parametrize(
    ("gates", "shown"),
    [
        ([replace(GATE, traces=traces(3))], "core: 0 of 3 scenarios decided"),
        ([replace(GATE, name="{0.x} {", traces=RECORDINGS)], "{0.x} {: 0 of 3 recordings decided"),
        ([GATE, OTHER], "0 of 2 runs decided"),
    ],
)
def test_the_line_that_waits_for_several_runs_counts_them(gates: list[Gate], shown: str) -> None:
    assert shown_by(backend(after(1)), *gates).waits[0][0] == shown
