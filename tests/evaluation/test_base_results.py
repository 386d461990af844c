"""The file with the base's results: what it keeps, and that nothing that another one wrote is trusted."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.baseline import IGNORED, MAX_BYTES, keep, read_results, write_results
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.base_results import BaseResult, BaseScenario, find_results
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.failures import ClassifiedFailure

KEY, REPOSITORY = "a secret", "octo/shop"
REFUND = BaseScenario(
    name="refund after a timeout",
    recordings=3,
    pass_rate=0.5,
    unsafe_attempts=1.0,
    failures=(
        ClassifiedFailure(type="unsafe_action", mutation="timeouts", severity="critical", tool="payments.refund"),
    ),
    steps=("1 orders.lookup(order)", "4   error"),
)


def a_base_result(at: float = 1, *, decision: Decision = Decision.PASS, **more: object) -> BaseResult:
    given = {"gate": "refunds", "campaign": "core", "branch": "main", "commit": f"c{at}", "scenarios": (REFUND,)}
    return BaseResult(time=at, decision=decision, **given | more)  # type: ignore[arg-type]


def written(*results: BaseResult) -> bytes:
    return write_results(results, KEY, REPOSITORY).encode()


def signed(content: str, *, version: int = 1) -> bytes:
    """Return a file with any content, signed as docs/security.md says."""
    text = json.dumps(["sepurux-gate/baseline", version, REPOSITORY, content])
    mac = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f'{{"schema":"sepurux-gate/baseline@{version}","signature":"{mac}",{content}'.encode()


names = st.text(max_size=8) | st.sampled_from(["refund", "\ud800", "\0", "<!-- -->", "a\nb"])
keys = st.builds(ClassifiedFailure, type=names, mutation=names, severity=names, tool=names)
scenarios = st.builds(
    BaseScenario,
    name=names,
    recordings=st.integers(1, 100),
    pass_rate=st.none() | st.floats(0, 1),
    unsafe_attempts=st.none() | st.integers(0, 9).map(float),
    complete=st.booleans(),
    failures=st.lists(keys, max_size=3).map(tuple),
    steps=st.lists(st.sampled_from(["1 a()", "2 error"]), max_size=2).map(tuple),
)
results = st.lists(
    st.builds(
        BaseResult,
        gate=st.sampled_from(["refunds", "search"]),
        campaign=names,
        project=names,
        mutation_pack=names,
        branch=st.sampled_from(["main", "", "release/1"]),
        commit=names,
        time=st.integers(0, 10**9).map(float),
        decision=st.sampled_from([Decision.PASS, Decision.FAIL]),
        numbers=st.dictionaries(st.sampled_from(["pass_rate", "failures"]), st.floats(0, 1)),
        scenarios=st.lists(scenarios, max_size=3, unique_by=lambda each: each.name).map(tuple),
    ),
    max_size=25,
    unique_by=lambda each: each.time,
)


@given(results=results, random=st.randoms())
def test_a_file_has_what_is_kept_whatever_the_order_of_results_and_scenarios_is(
    results: list[BaseResult], random: Random
) -> None:
    shuffled = [replace(each, scenarios=each.scenarios[::-1]) for each in results]
    random.shuffle(shuffled)
    content = written(*results)
    assert content == written(*shuffled)
    assert read_results(content, KEY, REPOSITORY) == (keep(results), "")
    assert keep(keep(results)) == keep(results)
    assert json.loads(content)["schema"] == "sepurux-gate/baseline@1"


def test_of_each_gate_and_branch_the_newest_five_results_and_the_newest_five_that_passed_are_kept() -> None:
    failed = [a_base_result(at, decision=Decision.FAIL) for at in range(10, 16)]
    passed = [a_base_result(at) for at in range(6)]
    others = [a_base_result(0, gate="search"), a_base_result(0.5, branch="release/1")]
    times = [each.time for each in keep([*failed, *passed, *others])]
    assert times == [15, 14, 13, 12, 11, 5, 4, 3, 2, 1, 0.5, 0]


def test_only_the_newest_result_with_a_scenario_has_its_steps() -> None:
    other = replace(REFUND, name="cancel an order")
    kept = keep([a_base_result(1, scenarios=(REFUND, other)), a_base_result(2), a_base_result(3, gate="search")])
    assert [[bool(each.steps) for each in result.scenarios] for result in kept] == [[True], [True], [True, False]]


def test_of_more_than_400_scenarios_the_first_by_name_are_kept() -> None:
    many = tuple(BaseScenario(name=f"{number:03}") for number in reversed(range(500)))
    [kept] = keep([a_base_result(scenarios=many)])
    assert [each.name for each in kept.scenarios] == [f"{number:03}" for number in range(400)]


@pytest.mark.parametrize(("length", "times"), [(700, [4, 3, 2, 0]), (1_000, [4, 3, 0]), (2_000, [4, 0])])
def test_what_does_not_fit_goes_the_oldest_results_first(length: int, times: list[float]) -> None:
    long = tuple(BaseScenario(name=f"{number}" + "ä" * length) for number in range(400))
    results = [a_base_result(4), *(a_base_result(at, scenarios=long) for at in (3, 2, 1)), a_base_result(0)]
    content = written(*results)
    assert [each.time for each in read_results(content, KEY, REPOSITORY)[0]] == times
    assert len(content) <= MAX_BYTES


def test_the_signature_is_the_one_of_docs_security() -> None:
    content = written(a_base_result()).decode()
    assert signed(content[content.index('"results"') :]) == content.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff" * 100,
        written(a_base_result())[:200],
        written(a_base_result()).replace(b"0.5", b"0.9"),
        written(a_base_result()).replace(b"baseline@1", b"baseline@2"),
        re.sub(rb"[0-9a-f]{64}", b"0" * 64, written(a_base_result())),
        b" " + written(a_base_result()),
        written(a_base_result()) + b" ",
        signed('"results":[]}', version=2),
        signed('"results":['),
        signed('"results":[{"gate":1}]}'),
        signed('"results":[{"gate":"g","campaign":"c","time":1,"decision":"maybe"}]}'),
        signed('"results":[{"gate":"g","campaign":"c","time":1,"decision":"pass","another":1}]}'),
    ],
)
def test_a_file_that_is_not_as_this_action_writes_it_is_ignored(content: bytes) -> None:
    assert read_results(content, KEY, REPOSITORY) == ((), IGNORED)


@pytest.mark.parametrize(("key", "repository"), [("another secret", REPOSITORY), (KEY, "mona/fork"), ("", REPOSITORY)])
def test_what_another_secret_or_repository_wrote_is_ignored(key: str, repository: str) -> None:
    other = write_results([a_base_result()], key, repository).encode()
    assert read_results(other, KEY, REPOSITORY) == ((), IGNORED)
    assert read_results(written(a_base_result()), key, repository) == ((), IGNORED)
    assert read_results(write_results([a_base_result()], "", REPOSITORY).encode(), "", REPOSITORY) == ((), IGNORED)


def test_a_repository_has_one_name_in_any_case() -> None:
    assert read_results(written(a_base_result()), KEY, "Octo/Shop") == ((a_base_result(),), "")


GATE = Gate(name="refunds", campaign="core")


@pytest.mark.parametrize(
    "other",
    [
        *({"gate": "Refunds"}, {"campaign": "other"}, {"project": "other"}, {"mutation_pack": "other"}),
        *({"branch": "release/1"}, {"branch": ""}, {"commit": "later"}),
    ],
)
def test_results_of_another_gate_campaign_project_mutation_pack_branch_or_commit_do_not_count(
    other: dict[str, str],
) -> None:
    own, another = a_base_result(), a_base_result(**other)  # type: ignore[arg-type]
    for order in ((own, another), (another, own)):
        assert find_results(order, GATE, "main", {own.commit}) == (own,)


def test_the_newest_five_results_count() -> None:
    results = [a_base_result(at) for at in reversed(range(9))]
    of_seven = find_results(results, GATE, "main", {f"c{at}" for at in range(7)})
    assert [each.time for each in of_seven] == [6, 5, 4, 3, 2]
