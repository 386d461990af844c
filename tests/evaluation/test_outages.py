"""Which outages an uploaded trace cannot cause, so that `on_undecided: allow` applies."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sepurux_action.config.gate import Trace
from sepurux_action.config.stage import OnUndecided
from sepurux_action.evaluation.api import ApiRequest, ApiResult, Success, TransientError
from sepurux_action.evaluation.decision import Decision
from tests.evaluation.responses import HANGS, RUNNING, Respond, by_run, http, in_turn, instead, rejected, score, sound
from tests.evaluation.step import GATE, KNOWN, evaluate, runs_of
from tests.fakes import CAMPAIGN, FakeApiCalls, backend

UPLOADED = replace(KNOWN, traces=(Trace(label="a.json", content=b"{}"),), timeout_s=30, on_undecided=OnUndecided.ALLOW)
LISTED = Success([])
DOWN = http(500)
REFUSED = TransientError(reason="refused", connected=False)


@pytest.mark.parametrize("call", ["traces", "runs"])
@pytest.mark.parametrize(
    ("response", "campaigns", "may_be_cause"),
    [
        *((each, LISTED, False) for each in (REFUSED, http(425), http(429), rejected(401))),
        *((http(status), http(other), False) for status in (500, 599) for other in (500, 599)),
        *((DOWN, other, True) for other in (LISTED, http(429), rejected(401), REFUSED, HANGS, Success({}))),
        *((each, DOWN, True) for each in (http(408), http(600), rejected(403), HANGS, Success({}))),
    ],
)
def test_no_trace_causes_an_outage(call: str, response: ApiResult, campaigns: ApiResult, *, may_be_cause: bool) -> None:
    calls = FakeApiCalls(sound(campaigns=campaigns, **{call: response}))
    [result] = runs_of(calls, UPLOADED)
    assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, may_be_cause)
    asked = isinstance(response, TransientError) and response.status // 100 == 5
    assert calls.paths().count("GET /v1/campaigns") == asked


@pytest.mark.parametrize(("traces", "may_be_cause"), [(UPLOADED.traces, True), (GATE.traces, False)])
def test_only_an_uploaded_trace_may_be_the_cause(traces: tuple[Trace, ...], *, may_be_cause: bool) -> None:
    canceled = FakeApiCalls(backend(lambda _: RUNNING), cancel_at=1_005)
    for calls in (FakeApiCalls(sound(runs=rejected(422))), canceled):
        [result] = runs_of(calls, replace(UPLOADED, traces=traces))
        assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, may_be_cause)


@pytest.mark.parametrize(
    ("shown", "campaigns", "may_be_cause"),
    [
        *((each, DOWN, True) for each in (RUNNING, Success({"status": "error"}), Success(["pass"]), rejected(404))),
        *((each, DOWN, False) for each in (http(503), http(429, retry_after_s=3_600))),
        (http(503), LISTED, True),
    ],
)
def test_a_trace_may_break_an_evaluation(shown: ApiResult, campaigns: ApiResult, *, may_be_cause: bool) -> None:
    [result] = evaluate(FakeApiCalls(backend(lambda _: shown, campaigns=campaigns)), UPLOADED)
    assert result.is_suspect is may_be_cause


@pytest.mark.parametrize(
    ("scores", "campaigns", "may_be_cause"),
    [
        ([http(503), score(90)], DOWN, False),
        ([http(429), http(503)], LISTED, True),
        ([http(429), http(408)], DOWN, True),
        ([http(503), score("high")], DOWN, True),
    ],
)
def test_a_trace_may_hide_a_score(scores: Sequence[ApiResult], campaigns: ApiResult, *, may_be_cause: bool) -> None:
    respond = instead("the list of campaigns", in_turn(campaigns), by_run("/reliability", *scores))
    [result] = evaluate(FakeApiCalls(respond), replace(UPLOADED, limits={"min_reliability_score": 80}))
    assert (result.decision, result.is_suspect) == (Decision.ERROR, may_be_cause)


def test_an_uploaded_trace_is_no_cause_if_the_campaign_list_itself_has_a_server_error() -> None:
    for down in (http(503), http(503, retry_after_s=3_600)):
        calls = FakeApiCalls(sound(campaigns=down))
        [result] = runs_of(calls, replace(UPLOADED, campaign="core"))
        assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, False)
        assert calls.paths() == ["GET /v1/campaigns"] * len(calls.calls)


def test_a_server_error_that_cannot_be_confirmed_or_need_not_be_stays_strict() -> None:
    for response, on_undecided in ((http(503, retry_after_s=3_600), OnUndecided.ALLOW), (DOWN, OnUndecided.BLOCK)):
        calls = FakeApiCalls(sound(campaigns=DOWN, traces=response))
        [result] = runs_of(calls, replace(UPLOADED, on_undecided=on_undecided))
        assert (result.decision, result.trace_may_be_cause) == (Decision.ERROR, True)
        assert "GET /v1/campaigns" not in calls.paths()


def test_an_outage_is_not_confirmed_by_that_of_another_project() -> None:
    def respond(call: ApiRequest, time: float) -> ApiResult:
        return DOWN if call.project == "other" or call.path == "/v1/traces" else others(call, time)

    others = sound()
    result, other = runs_of(FakeApiCalls(respond), UPLOADED, replace(UPLOADED, name="other", project="other"))
    assert (result.trace_may_be_cause, other.trace_may_be_cause) == (True, False)


@pytest.mark.parametrize(
    ("respond", "count", "takes_s"),
    [
        (lambda _call, _time: REFUSED, 100, 5),
        (instead("the CI run", in_turn(http(429))), 24, 10),
        (instead("the poll of the run", in_turn(http(429))), 100, 0.1),
    ],
    ids=["all", "start", "poll"],
)
@pytest.mark.parametrize("campaign", ["core", CAMPAIGN])
def test_an_outage_is_one_without_time_too(respond: Respond, count: int, takes_s: float, campaign: str) -> None:
    gates = [replace(UPLOADED, name=f"gate-{n}", campaign=campaign, timeout_s=60) for n in range(count)]
    results = runs_of(FakeApiCalls(respond, takes_s), *gates)
    assert {(result.decision, result.trace_may_be_cause) for result in results} == {(Decision.ERROR, False)}
