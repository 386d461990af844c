"""When Sepurux is down, so that `on_outage: allow` applies: only until the first call has ended."""

from dataclasses import replace

import pytest

from sepurux_action.config.settings import Gate, Trace
from sepurux_action.evaluation.api import ApiRequest, Reply
from sepurux_action.evaluation.runs import Decision, Rule
from tests.evaluation.responses import HANGS, http, in_turn, instead, rejected, sound
from tests.evaluation.step import GATE, KNOWN, runs_of
from tests.fakes import FakeEngine

REFUSED = Reply(temporary=True, error="refused")
DOWN = (REFUSED, HANGS, http(500), http(503), http(599), http(503, retry_after_s=3_600))
UPLOADED = (Trace(label="a.json", content=b"{}"),)
CUT_OFF = Reply(temporary=True, error="cut off", status=200)
UP = (http(408), http(425), http(429), http(429, retry_after_s=3_600), http(600), CUT_OFF)


@pytest.mark.parametrize("gate", [GATE, KNOWN], ids=["name", "uuid"])
@pytest.mark.parametrize("response", [*DOWN, *UP, rejected(400), Reply(payload={})])
def test_only_a_first_call_without_a_response_or_with_server_errors_is_an_outage(response: Reply, gate: Gate) -> None:
    calls = FakeEngine(sound(campaigns=response))
    [result] = runs_of(calls, replace(gate, timeout_s=30))
    if gate is KNOWN and response == Reply(payload={}):
        assert result.decision is Decision.PASS
        return
    assert result.decision is Decision.ERROR
    assert (result.rule is Rule.OUTAGE) is (response in DOWN)
    assert {*calls.paths()} == {"GET /v1/campaigns"}


@pytest.mark.parametrize("call", ["traces", "runs"])
@pytest.mark.parametrize("response", [REFUSED, http(500), http(429)])
def test_nothing_later_is_an_outage(call: str, response: Reply) -> None:
    [result] = runs_of(FakeEngine(sound(**{call: response})), replace(GATE, traces=UPLOADED))
    assert (result.decision, result.rule) == (Decision.ERROR, Rule.NOT_POLLED)


def test_one_other_response_shows_that_sepurux_is_up() -> None:
    respond = instead("the list of campaigns", in_turn(http(429), http(503)))
    [result] = runs_of(FakeEngine(respond), replace(GATE, timeout_s=30))
    assert (result.decision, result.rule) == (Decision.ERROR, Rule.NOT_POLLED)


def test_a_response_for_one_project_shows_it_for_another_one_too() -> None:
    def respond(call: ApiRequest, time: float) -> Reply:
        return http(503) if call.project == "other" else others(call, time)

    others = sound()
    result, other = runs_of(FakeEngine(respond), GATE, replace(GATE, name="other", project="other", timeout_s=30))
    assert (result.decision, other.rule) == (Decision.PASS, Rule.NOT_POLLED)


@pytest.mark.parametrize("status", [401, 403])
def test_a_secret_that_may_not_list_campaigns_evaluates_one_that_is_given_by_its_uuid(status: int) -> None:
    named, known = (runs_of(FakeEngine(sound(campaigns=rejected(status))), gate)[0] for gate in (GATE, KNOWN))
    assert (named.rule, known.decision) == (Rule.NOT_POLLED, Decision.PASS)


def test_a_signal_during_the_first_call_is_no_outage() -> None:
    [result] = runs_of(FakeEngine(sound(campaigns=HANGS), cancel_at=1_005), GATE)
    assert result.rule is Rule.CANCELED
