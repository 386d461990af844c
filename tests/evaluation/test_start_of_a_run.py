"""How a run is started that belongs to one gate only, when Sepurux is down, and requests for the score."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from sepurux_action.common.json_reader import Reading
from sepurux_action.config.settings import Gate, Trace
from sepurux_action.errors import EvaluationError
from sepurux_action.evaluation.api import ApiRequest, Reply, find_campaign
from sepurux_action.evaluation.metrics import RELIABILITY_SCORE
from sepurux_action.evaluation.runs import Decision, Rule
from tests.evaluation import step
from tests.evaluation.step import GATE, KNOWN, evaluate, http, in_turn, instead, rejected, runs_of, score, scored, sound
from tests.fakes import CAMPAIGN, FakeEngine, backend

OTHER = "8c5f4f5e-0000-4000-8000-000000000002"
OTHERS = 'Set {campaign} to one of these, or {project} to another project: "core".'
BRACES = OTHERS.replace("core", "(token)")  # a name in braces would become that of an input
NOT_FOUND = 'campaign "Cores" was not found in project "my-agent"'
TWINS = [{"campaign_id": "a", "name": "core"}, {"campaign_id": "b", "name": "core"}]
FIRST = replace(GATE, campaign=CAMPAIGN)
SAME = {"batch_id": "batch-1"}
SHARED: list[tuple[Mapping[str, object], Mapping[str, object]]] = [  # the same run under two ids
    ({"batch_id": "b", "run_ids": ["r"]}, {"run_id": "r"}),
    ({"run_id": "r"}, {"batch_id": "b", "run_ids": ["q", "r"]}),
    ({"batch_id": "b", "run_ids": ["r"]}, {"batch_id": "b2", "run_ids": ["r"]}),
]
QUESTIONS: list[Mapping[str, object]] = [{}, {"campaign": OTHER}, {"traces": (Trace(label="other", trace_id="other"),)}]
REFUSED = Reply(temporary=True, error="refused")
DOWN = (REFUSED, step.HANGS, http(500), http(599), http(503, retry_after_s=3_600))
CUT_OFF = Reply(temporary=True, error="cut off", status=200)
UP = (http(408), http(425), http(429, retry_after_s=3_600), http(600), CUT_OFF, rejected(400))
SCORED = replace(KNOWN, limits={"min_reliability_score": 80})
LOST = (http(503), http(429, retry_after_s=7), Reply(payload=[]))


@pytest.mark.parametrize("call", ["runs", "traces"])
@pytest.mark.parametrize("body", [{}, [], None, {"batch_id": "../../v1/evil", "trace_id": "../x"}, {"run_id": 7}])
def test_nothing_is_evaluated_without_a_usable_id(call: str, body: object) -> None:
    calls = FakeEngine(sound(**{call: Reply(payload=body)}))
    [result] = runs_of(calls, replace(GATE, traces=(Trace(label="a.json", content=b"{}"),)))
    assert result.decision is Decision.ERROR
    assert ("no usable run_id or batch_id" in result.reason) is (call == "runs")
    assert len(calls.paths("/v1/ci/runs")) == (call == "runs")


def test_a_start_of_a_run_of_another_campaign_is_an_error() -> None:
    [result] = runs_of(FakeEngine(sound(runs=Reply(payload={"run_id": "r", "campaign_id": OTHER}))))
    assert result.reason == "Sepurux started the CI run, but sent a response about another campaign."


@pytest.mark.parametrize(
    ("names", "campaign", "reason", "hint"),
    [
        (TWINS[:1], "refunds", 'campaign "refunds" was not found in project "my-agent"', OTHERS),
        ([{"name": "{token}"}], "refunds", 'campaign "refunds" was not found in project "my-agent"', BRACES),
        ([{"name": "a"}, *TWINS], "Cores", NOT_FOUND, 'to another project: "core", "a".'),
        (TWINS, "core", '2 campaigns are named "core" in project "my-agent"', 'to another project: "a", "b".'),
        ([], "Cores", NOT_FOUND, "Check {project} and the secret, which"),
        ({}, "core", "Sepurux sent no list as the list of campaigns", "ask Sepurux about this response."),
    ],
)
def test_a_missing_campaign_names_the_others(names: object, campaign: str, reason: str, hint: str) -> None:
    with pytest.raises(EvaluationError, match=re.escape(reason)) as error:
        find_campaign(names, campaign, "my-agent")
    assert hint in error.value.hint


def test_a_name_that_is_missing_is_compared_with_a_few_of_many_campaigns() -> None:
    names = [{"name": f"{number:05} {NOT_FOUND[:20]}{NOT_FOUND[:20:-1]}"} for number in range(30_000)]
    started = time.process_time()
    with pytest.raises(EvaluationError, match="was not found"):
        find_campaign(names, NOT_FOUND, "")
    assert time.process_time() - started < 2  # with all of them, more than 3


def test_each_run_finds_its_campaign_within_its_own_timeout() -> None:
    calls = FakeEngine(instead("the list of campaigns", step.until(30, http(503))))
    short, long = runs_of(calls, replace(GATE, name="short", timeout_s=10), replace(GATE, name="long", timeout_s=600))
    assert (short.decision, long.decision) == (Decision.ERROR, Decision.PASS)
    assert "HTTP 503" in short.reason
    assert short.elapsed_s <= 10


def test_a_useless_list_of_campaigns_is_requested_once() -> None:
    for response in (Reply(error="no (HTTP 401)", status=401), Reply(payload=[step.Defective(name="core")])):
        calls = FakeEngine(sound(campaigns=response))
        results = runs_of(calls, GATE, replace(GATE, name="other"))
        assert {result.decision for result in results} == {Decision.ERROR}
        assert calls.paths() == ["GET /v1/campaigns"]


def started(*responses: Mapping[str, object]) -> step.Respond:
    """Return a backend that starts these runs, one after the other, and gives all traces one id."""
    others = backend(step.after(5), traces=Reply(payload={"trace_id": "trace-1"}))
    return instead("the CI run", in_turn(*(Reply(payload=each) for each in responses)), others)


@pytest.mark.parametrize(
    ("first", "second", "change"),
    [*((SAME, SAME, change) for change in QUESTIONS), *((*shared, {}) for shared in SHARED)],
)
def test_one_run_is_never_accepted_twice(
    first: Mapping[str, object], second: Mapping[str, object], change: Mapping[str, object]
) -> None:
    other = replace(FIRST, name="other", **change)  # type: ignore[arg-type]
    results = runs_of(FakeEngine(started(first, second)), FIRST, other)
    assert [result.decision for result in results] == [Decision.PASS, Decision.ERROR]
    assert "the same run `" in results[1].reason


def test_a_run_that_a_batch_names_only_in_a_poll_is_not_accepted_for_another_gate() -> None:
    polled = in_turn(Reply(payload={**step.NUMBERS, "run_ids": ["r"]}))
    named = instead("/batch/", polled, started({"run_id": "r"}, {"batch_id": "b"}))
    results = runs_of(FakeEngine(named), FIRST, replace(FIRST, name="b", campaign=OTHER))
    assert Decision.ERROR in {result.decision for result in results}


@pytest.mark.parametrize(
    ("content", "second_run", "shared"), [(b"{}", "r2", ""), (b"{}", "r1", "run `r1"), (b"[]", "r2", "trace `trace-1")]
)
def test_two_recordings_share_no_run_and_only_equal_ones_a_trace(content: bytes, second_run: str, shared: str) -> None:
    """Else one of them would be evaluated twice, and the other one never."""
    gate = replace(FIRST, traces=(Trace(label="a.json", content=b"{}"), Trace(label="b.json", content=content)))
    results = runs_of(FakeEngine(started({"run_id": "r1"}, {"run_id": second_run})), gate)
    assert [result.decision for result in results] == [Decision.PASS, Decision.ERROR if shared else Decision.PASS]
    assert (f"the same {shared}`" in results[1].reason) is bool(shared)


@pytest.mark.parametrize("gate", [GATE, KNOWN], ids=["name", "uuid"])
@pytest.mark.parametrize("response", [*DOWN, *UP])
def test_only_a_first_call_without_a_response_or_with_server_errors_is_an_outage(response: Reply, gate: Gate) -> None:
    calls = FakeEngine(sound(campaigns=response))
    [result] = runs_of(calls, replace(gate, timeout_s=30))
    assert (result.decision, result.rule is Rule.OUTAGE) == (Decision.ERROR, response in DOWN)
    assert {*calls.paths()} == {"GET /v1/campaigns"}


def test_one_other_response_shows_that_sepurux_is_up_also_one_for_another_project() -> None:
    def respond(call: ApiRequest, time: float) -> Reply:
        return http(503) if call.project == "other" else others(call, time)

    others, limited = sound(), instead("the list of campaigns", in_turn(http(429), http(503)))
    assert runs_of(FakeEngine(limited), replace(GATE, timeout_s=30))[0].rule is Rule.NOT_POLLED
    result, other = runs_of(FakeEngine(respond), GATE, replace(GATE, name="other", project="other", timeout_s=30))
    assert (result.decision, other.rule) == (Decision.PASS, Rule.NOT_POLLED)


@pytest.mark.parametrize("response", [rejected(401), rejected(403), Reply(payload={})])
def test_a_campaign_that_is_given_by_its_uuid_needs_no_list_of_campaigns(response: Reply) -> None:
    named, known = (runs_of(FakeEngine(sound(campaigns=response)), gate)[0] for gate in (GATE, KNOWN))
    assert (named.rule, known.decision) == (Rule.NOT_POLLED, Decision.PASS)


@pytest.mark.parametrize(("timeout_s", "until"), [(60, 60), (10, 35)])
def test_a_score_is_asked_for_until_the_deadline_or_for_30_s(timeout_s: float, until: float) -> None:
    [result] = evaluate(FakeEngine(scored(http(503))), replace(SCORED, timeout_s=timeout_s))
    assert (result.decision, result.rule) == (Decision.ERROR, Rule.NUMBER_UNKNOWN)
    assert until - 2 < result.runs[0].elapsed_s < until + 1


@pytest.mark.parametrize(
    ("responses", "shown"),
    [
        *(([*LOST, score(90)], Reading(90)), *(([rejected(status)], Reading()) for status in (401, 403, 404))),
        *(([each], Reading()) for each in (score(None), Reply(payload={}))),
        *(([rejected(status)], Reading(broken="could not be read: x")) for status in (302, 400, 413, 422)),
        ([score("high")], Reading(broken='no number: "high"')),
    ],
)
def test_a_score_is_asked_for_again_only_after_a_lost_response(responses: list[Reply], shown: Reading) -> None:
    calls = FakeEngine(scored(*responses))
    [result] = runs_of(calls, SCORED)
    assert RELIABILITY_SCORE.reading(result.numbers) == shown
    assert len(calls.paths("reliability")) == len(responses)


def test_the_score_of_a_batch_is_that_of_the_runs_that_report_one() -> None:
    batch = Reply(payload={**step.NUMBERS, "run_ids": ["run-1", "run-2", "run-3"]})
    [result] = runs_of(FakeEngine(scored(score(90), score(None), score(95), poll=batch)), SCORED)
    assert RELIABILITY_SCORE.reading(result.numbers) == Reading(92.5, reported_by="2 of 3 runs")


@pytest.mark.parametrize(
    ("gate", "poll", "response", "decision", "requests"),
    [
        (SCORED, {"status": "done", "decision": "fail"}, http(503), Decision.FAIL, 1),
        (SCORED, {"status": "done", "decision": "fail"}, score(99), Decision.FAIL, 1),
        (SCORED, {"status": "failed"}, http(503), Decision.ERROR, 0),  # no number of it is shown
        (SCORED, {**step.NUMBERS, "reliability_score": 90}, http(503), Decision.PASS, 0),
        (SCORED, {**step.NUMBERS, "run_ids": [f"run-{n}" for n in range(1_000)]}, http(503), Decision.ERROR, 0),
        (KNOWN, {**step.NUMBERS, "run_ids": ["a"]}, http(503), Decision.PASS, 1),
        (KNOWN, {**step.NUMBERS, "run_ids": ["a", "b"]}, http(503), Decision.PASS, 0),
    ],
)
def test_a_score_that_is_useless_or_not_needed_is_requested_at_most_once(
    gate: Gate, poll: Mapping[str, object], response: Reply, decision: Decision, requests: int
) -> None:
    calls = FakeEngine(scored(response, poll=Reply(payload=poll)))
    [result] = evaluate(calls, gate)
    assert result.decision is decision
    assert len(calls.paths("reliability")) == requests
