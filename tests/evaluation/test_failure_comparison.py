"""Which failures are new, known, and fixed, and which URLs name a run to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.evaluation.base_failures import comparable_ids, compare
from sepurux_action.evaluation.ci_run import ClassifiedFailure, incomplete_list, merge_failures

words = st.sampled_from(["", "a", "b"])
some_failures = st.lists(
    st.builds(
        ClassifiedFailure,
        type=words,
        severity=st.sampled_from(["critical", "low"]),
        description=words,
        mutation=words,
        trace_id=words,
        count=st.integers(1, 3),
    ),
    max_size=6,
)
some_lists = st.lists(some_failures, min_size=1, max_size=4)


def counts(failures: Iterable[ClassifiedFailure], *, uploaded: bool) -> Counter[tuple[str, ...]]:
    """Return the number of failures by what is compared."""
    found: Counter[tuple[str, ...]] = Counter()
    for each in failures:
        found[each.type, each.mutation, each.severity, "" if uploaded else each.trace_id] += each.count
    return found


@given(some_failures, some_lists, st.booleans())
def test_of_n_now_and_at_most_m_in_any_run_n_minus_m_are_new(
    now: list[ClassifiedFailure],
    base: list[list[ClassifiedFailure]],
    uploaded: bool,  # noqa: FBT001
) -> None:
    marked, _ = compare(now, base, uploaded=uploaded)
    before = [counts(each, uploaded=uploaded) for each in base]
    new = counts((replace(each, count=each.new or 0) for each in marked), uploaded=uploaded)
    for kind, number in counts(now, uploaded=uploaded).items():
        assert new[kind] == max(0, number - max(each[kind] for each in before))
    assert [replace(each, new=None) for each in marked] == now
    assert all(each.new is not None and 0 <= each.new <= each.count for each in marked)


@given(some_failures, some_lists, st.booleans())
def test_what_any_run_of_the_base_had_and_this_one_lacks_is_fixed(
    now: list[ClassifiedFailure],
    base: list[list[ClassifiedFailure]],
    uploaded: bool,  # noqa: FBT001
) -> None:
    _, fixed = compare(now, base, uploaded=uploaded)
    present = counts(now, uploaded=uploaded)
    before = [counts(each, uploaded=uploaded) for each in base]
    expected = {kind: max(each[kind] for each in before) for of_run in before for kind in of_run if not present[kind]}
    assert counts(fixed, uploaded=uploaded) == expected
    assert not uploaded or all(not each.trace_id for each in fixed)


@given(some_failures, some_lists, st.randoms())
def test_neither_the_order_of_the_runs_nor_a_run_that_counts_twice_matters(
    now: list[ClassifiedFailure], base: list[list[ClassifiedFailure]], random: object
) -> None:
    shuffled = [*base, base[0]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    marked, fixed = compare(now, base, uploaded=False)
    again, fixed_again = compare(now, shuffled, uploaded=False)
    assert again == marked
    assert counts(fixed_again, uploaded=False) == counts(fixed, uploaded=False)


@given(some_failures, some_lists)
def test_groups_with_new_failures_come_first_and_no_new_failure_gets_lost(
    now: list[ClassifiedFailure], base: list[list[ClassifiedFailure]]
) -> None:
    marked, _ = compare(now, base, uploaded=False)
    groups, _ = merge_failures((replace(each, trace_id="") for each in marked), len(marked))
    assert sum(each.new or 0 for each in groups) == sum(each.new or 0 for each in marked)
    bases = [each.base for each in groups]
    assert bases == ["new"] * bases.count("new") + ["known"] * bases.count("known")


def test_a_group_with_one_part_that_was_not_compared_is_not_marked() -> None:
    one = ClassifiedFailure(type="t", severity="low", description="", mutation="")
    [merged], _ = merge_failures([replace(one, new=1), one], 10)
    assert (merged.count, merged.new, merged.base) == (2, None, None)


OWN = "https://app.sepurux.dev/a/runs/run-1?tab=all"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://app.sepurux.dev/a/runs/run-2?tab=all", ("run-2",)),
        ("https://APP.sepurux.dev/a/runs/run-2?tab=all", ("run-2",)),
        (OWN, ()),
        ("", ()),
        ("http://app.sepurux.dev/a/runs/run-2?tab=all", ()),
        ("https://evil.example/a/runs/run-2?tab=all", ()),
        ("https://app.sepurux.dev.evil.example/a/runs/run-2?tab=all", ()),
        ("https://app.sepurux.dev@evil.example/a/runs/run-2?tab=all", ()),
        ("https://app.sepurux.dev:8443/a/runs/run-2?tab=all", ()),
        ("https://app.sepurux.dev/b/runs/run-2?tab=all", ()),
        ("https://app.sepurux.dev/a/runs/more/run-2?tab=all", ()),
        ("https://app.sepurux.dev/a/runs/run-2", ()),
        ("https://app.sepurux.dev/a/runs/run-2?tab=other", ()),
        ("https://app.sepurux.dev/a/runs/run-2?tab=all#top", ()),
        ("https://app.sepurux.dev/a/runs/run-2/?tab=all", ()),
        ("https://app.sepurux.dev/a/runs/?tab=all", ()),
        ("https://app.sepurux.dev/a/runs/..?tab=all", ()),
        ("https://app.sepurux.dev/a/runs/%2e%2e?tab=all", ()),
        ("https://app.sepurux.dev/a/runs/run-2;x?tab=all", ()),
        ("https://app.sepurux.dev:99999/a/runs/run-2?tab=all", ()),
        ("https://[::1/a/runs/run-2?tab=all", ()),
        (f"https://app.sepurux.dev/a/runs/{'x' * 201}?tab=all", ()),
        ("https://app.sepurux.dev/a/runs/run\u20112?tab=all", ()),
    ],
)
def test_a_url_names_a_run_if_it_equals_the_runs_own_except_for_the_id(url: str, expected: tuple[str, ...]) -> None:
    assert comparable_ids(OWN, [url]) == expected


def test_http_and_https_of_this_machine_are_two_addresses() -> None:
    own, other = "http://localhost/runs/run-1", "https://localhost/runs/run-2"
    assert (comparable_ids(own, [other]), comparable_ids(own, [other.replace("https", "http")])) == ((), ("run-2",))


def test_each_run_counts_once_and_the_newest_comes_first() -> None:
    urls = [f"https://app.sepurux.dev/runs/{name}" for name in ("run-3", "run-1", "run-3", "run-2")]
    assert comparable_ids("https://app.sepurux.dev/runs/run-1", urls) == ("run-3", "run-2")


@pytest.mark.parametrize(
    "own", ["", "https://app.sepurux.dev/", "javascript:alert(1)", "https://app.sepurux.dev/runs/"]
)
def test_without_an_address_of_its_own_a_run_is_compared_with_none(own: str) -> None:
    assert comparable_ids(own, ["", own, "https://app.sepurux.dev/run-2", "https://app.sepurux.dev/runs/run-2"]) == ()


FAILURE = {"campaign_id": "c", "run_id": "r", "type": "t"}


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ([], ""),
        ([FAILURE] * 199, ""),
        ([{"type": "t"}, {"campaign_id": None, "run_id": None}], ""),
        ([FAILURE] * 200, "only the first 200"),
        ([FAILURE] * 5_000, "only the first 200"),
        ([FAILURE, {**FAILURE, "campaign_id": "d"}], "another campaign"),
        ([FAILURE, {**FAILURE, "campaign_id": ["c"]}], "another campaign"),
        ([{**FAILURE, "run_id": "s"}], "another run"),
        ([FAILURE, None], "no list of failures"),
        ({"failures": []}, "no list of failures"),
        (None, "no list of failures"),
        ("[]", "no list of failures"),
    ],
)
def test_only_a_complete_list_of_the_run_counts(payload: object, problem: str) -> None:
    found = incomplete_list(payload, campaign_id="c", run_id="r")
    assert problem in found
    assert bool(found) == bool(problem)
