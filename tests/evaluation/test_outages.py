"""When Sepurux is down, so that `on_outage: allow` applies: only until the first call has ended."""

from dataclasses import replace

import pytest

from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.api import ApiRequest, Reply
from sepurux_action.evaluation.runs import Decision, Rule
from tests.evaluation.step import GATE, HANGS, KNOWN, http, in_turn, instead, rejected, runs_of, sound
from tests.fakes import FakeEngine

REFUSED = Reply(temporary=True, error="refused")
DOWN = (REFUSED, HANGS, http(500), http(599), http(503, retry_after_s=3_600))
CUT_OFF = Reply(temporary=True, error="cut off", status=200)
UP = (http(408), http(425), http(429, retry_after_s=3_600), http(600), CUT_OFF, rejected(400))


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


def test_a_signal_during_the_first_call_is_no_outage() -> None:
    [result] = runs_of(FakeEngine(sound(campaigns=HANGS), cancel_at=1_005), GATE)
    assert result.rule is Rule.CANCELED
