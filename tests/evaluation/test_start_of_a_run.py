"""How a campaign is found, a trace uploaded, and a run started that belongs to one gate only."""

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from sepurux_action.config.settings import Trace
from sepurux_action.errors import EvaluationError
from sepurux_action.evaluation.api import Reply, find_campaign
from sepurux_action.evaluation.runs import Decision
from tests.evaluation.step import (
    GATE,
    NUMBERS,
    Defective,
    Respond,
    after,
    http,
    in_turn,
    instead,
    runs_of,
    sound,
    until,
)
from tests.fakes import CAMPAIGN, FakeEngine, backend

OTHER = "8c5f4f5e-0000-4000-8000-000000000002"


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


OTHERS = 'Set {campaign} to one of these, or {project} to another project: "core".'
NOT_FOUND = 'campaign "Cores" was not found in project "my-agent"'
TWINS = [{"campaign_id": "a", "name": "core"}, {"campaign_id": "b", "name": "core"}]


@pytest.mark.parametrize(
    ("names", "campaign", "reason", "hint"),
    [
        (TWINS[:1], "refunds", 'campaign "refunds" was not found in project "my-agent"', OTHERS),
        (TWINS[:1], "Cores", NOT_FOUND, f'Did you mean "core"? {OTHERS}'),
        (TWINS, "core", '2 campaigns are named "core" in project "my-agent"', 'one of them: "a", "b".'),
        ([], "Cores", NOT_FOUND, "Check {project} and the secret, which"),
        ({}, "core", "Sepurux sent no list as the list of campaigns", "ask Sepurux about this response."),
    ],
)
def test_a_missing_campaign_names_the_others(names: object, campaign: str, reason: str, hint: str) -> None:
    with pytest.raises(EvaluationError, match=re.escape(reason)) as error:
        find_campaign(names, campaign, "my-agent")
    assert hint in error.value.hint


def test_each_run_finds_its_campaign_within_its_own_timeout() -> None:
    calls = FakeEngine(instead("the list of campaigns", until(30, http(503))))
    short, long = runs_of(calls, replace(GATE, name="short", timeout_s=10), replace(GATE, name="long", timeout_s=600))
    assert (short.decision, long.decision) == (Decision.ERROR, Decision.PASS)
    assert "HTTP 503" in short.reason
    assert short.elapsed_s <= 10


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (Reply(error="no (HTTP 401)", status=401), "No (HTTP 401)."),
        (Reply(payload=[Defective(name="core")]), "Internal error (KeyError"),
    ],
)
def test_a_useless_list_of_campaigns_is_requested_once(response: Reply, reason: str) -> None:
    calls = FakeEngine(sound(campaigns=response))
    results = runs_of(calls, GATE, replace(GATE, name="other"))
    assert {result.decision for result in results} == {Decision.ERROR}
    assert all(result.reason.startswith(reason) for result in results)
    assert calls.paths() == ["GET /v1/campaigns"]


FIRST = replace(GATE, campaign=CAMPAIGN)


def started(*responses: Mapping[str, object]) -> Respond:
    """Return a backend that starts these runs, one after the other, and gives all traces one id."""
    others = backend(after(5), traces=Reply(payload={"trace_id": "trace-1"}))
    return instead("the CI run", in_turn(*(Reply(payload=each) for each in responses)), others)


SAME = {"batch_id": "batch-1"}
SHARED: list[tuple[Mapping[str, object], Mapping[str, object]]] = [  # the same run under two ids
    ({"batch_id": "b", "run_ids": ["r"]}, {"run_id": "r"}),
    ({"run_id": "r"}, {"batch_id": "b", "run_ids": ["q", "r"]}),
    ({"batch_id": "b", "run_ids": ["r"]}, {"batch_id": "b2", "run_ids": ["r"]}),
]
QUESTIONS: list[Mapping[str, object]] = [
    *({"campaign": OTHER}, {"project": "other"}, {"mutation_pack": "other"}, {"limits": {"min_pass_rate": 0.5}}),
    *({"required_mutation_categories": ("auth",)}, {"traces": (Trace(label="registered"),)}),
    {"traces": (Trace(label="other", trace_id="other"),)},
]


@pytest.mark.parametrize(
    ("first", "second", "change", "decision"),
    [
        *((SAME, SAME, change, Decision.ERROR) for change in QUESTIONS),
        *((SAME, SAME, change, Decision.PASS) for change in ({"timeout_s": 60}, {"campaign": CAMPAIGN.upper()})),
        *((*shared, {"mutation_pack": "other"}, Decision.ERROR) for shared in SHARED),
        *((*shared, {}, Decision.PASS) for shared in SHARED),
    ],
)
def test_one_run_is_never_accepted_for_two_different_questions(
    first: Mapping[str, object], second: Mapping[str, object], change: Mapping[str, object], decision: Decision
) -> None:
    other = replace(FIRST, name="other", **change)  # type: ignore[arg-type]
    results = runs_of(FakeEngine(started(first, second)), FIRST, other)
    assert [result.decision for result in results] == [Decision.PASS, decision]
    assert ("the same run `" in results[1].reason) is (decision is Decision.ERROR)


def test_a_run_that_a_batch_names_only_in_a_poll_is_not_accepted_for_another_gate() -> None:
    polled = in_turn(Reply(payload={**NUMBERS, "run_ids": ["r"]}))
    named = instead("/batch/", polled, started({"run_id": "r"}, {"batch_id": "b"}))
    results = runs_of(FakeEngine(named), FIRST, replace(FIRST, name="b", campaign=OTHER))
    assert Decision.ERROR in {result.decision for result in results}


@pytest.mark.parametrize("runs", [[SAME], [{"run_id": "r1"}, {"run_id": "r2"}]])
@pytest.mark.parametrize(("content", "second"), [(b"{}", Decision.PASS), (b'{"events": []}', Decision.ERROR)])
def test_one_trace_id_is_never_accepted_for_two_different_files(
    runs: list[Mapping[str, object]], content: bytes, second: Decision
) -> None:
    """Else one of them would be evaluated twice, and the other one never."""
    gate = replace(FIRST, traces=(Trace(label="a.json", content=b"{}"), Trace(label="b.json", content=content)))
    results = runs_of(FakeEngine(started(*runs)), gate)
    assert [result.decision for result in results] == [Decision.PASS, second]
    assert ("the same trace `trace-1`" in results[1].reason) is (second is Decision.ERROR)
