"""Sentences that no golden file has, and that no value of a sentence is left as it was written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.enforcement import ApprovalStatus
from sepurux_action.evaluation.result import GateResult, RecordedFail
from sepurux_action.evaluation.runs import WhatFailed
from sepurux_action.report import next_steps, remarks, sentences
from sepurux_action.report.rendering import render_summary
from sepurux_action.report.report import build_report
from sepurux_action.report.view import COMMENT_LIMITS, View
from sepurux_action.report.words import MarkdownWords, Words
from tests.builders import (
    FAILING,
    FIXED,
    PASSING,
    WAITS,
    a_context,
    a_gate,
    a_result,
    a_run,
    run_with,
    states,
    undecided,
)

PASSED, SKIPPED = a_run(PASSING), undecided(Decision.SKIPPED, "No file matches.")


def words(*results: GateResult, kind: type[Words] = Words, limits: int = 9, **context: object) -> Words:
    named = [replace(each, gate=replace(each.gate, name=f"g{n}")) for n, each in enumerate(results)]
    report = build_report(named, a_context(**context))
    return kind(View(report=report, place="comment", limits={**COMMENT_LIMITS, "gates": limits}))


OBSERVE, SOFT = a_gate(stage=Stage.OBSERVE), a_gate(stage=Stage.SOFT)
GONE = undecided(Decision.ERROR, "Gone.")
FAILS, WAITING = a_result(), a_result(gate=SOFT, approval=WAITS)
OBSERVED, UNKNOWN = a_result(gate=OBSERVE), a_result(GONE, gate=OBSERVE)


@pytest.mark.parametrize(
    ("results", "title"),
    [
        ([a_result(PASSED)] * 2, "✅ 2 of 2 gates passed"),
        ([a_result(SKIPPED)] * 2, "⏭️ 2 of 2 gates skipped"),
        ([a_result(PASSED), a_result(SKIPPED)], "✅ 1 of 2 gates passed, 1 skipped"),
        ([a_result(PASSED), a_result(GONE)], "❗ 1 of 2 gates blocks: g1"),
        ([FAILS, a_result(GONE), a_result(PASSED)], "❌ 2 of 3 gates block: g0 and g1"),
        ([FAILS] * 3, "❌ 3 of 3 gates block: g0, g1, and g2"),
        ([FAILS] * 3 + [WAITING] * 2, "❌ 3 of 5 gates block, 2 need an approval: g0, g1, g2, and 2 more"),
        ([WAITING, a_result(GONE)], "❗ 1 of 2 gates blocks, 1 needs an approval: g1 and g0"),
        ([WAITING, OBSERVED], "✋ 1 of 2 gates needs an approval: g0"),
        ([OBSERVED] * 2, "⚠️ 2 of 2 gates failed and do not block"),
        (
            [OBSERVED, UNKNOWN, a_result(PASSED)],
            "⚠️ 1 of 3 gates failed and does not block, 1 has no result and does not block",
        ),
    ],
    ids=range(11),
)
def test_a_title_counts_and_names_the_gates_that_someone_has_to_act_on(results: list[GateResult], title: str) -> None:
    say = words(*results)
    assert f"{sentences.symbol(say)} {sentences.title(say)}" == title


@pytest.mark.parametrize(
    ("limits", "numbers", "title"),
    [
        ({"min_pass_rate": 0.85}, {"pass_rate": 0.72}, "72.0% passed, 85.0% needed"),
        ({"max_unsafe": 0}, {"unsafe_attempts": 1}, "1 unsafe attempt"),
        ({"max_unsafe": 2}, {"unsafe_attempts": 3}, "3 unsafe attempts, 2 allowed"),
        ({"max_failures": 3}, {"failures": 5}, "5 failures, 3 allowed"),
        ({"min_reliability_score": 80}, {"reliability_score": 61.5}, "score 61.5, 80.0 needed"),
        ({"min_scenarios": 40}, {}, "1 scenario evaluated, 40 needed"),
        ({"min_mutation_categories": 4}, {}, "3 mutations covered, 4 needed"),
        ({"max_failures": 3, "max_unsafe": 0}, {}, "1 unsafe attempt and 5 failures, 3 allowed"),
        (
            {"min_pass_rate": 0.85, "max_failures": 3, "min_reliability_score": 80, "max_unsafe": 0},
            {},
            "72.0% passed, 85.0% needed, 1 unsafe attempt, and 2 more thresholds",
        ),
    ],
    ids=range(9),
)
def test_a_title_says_what_is_missed(limits: dict[str, float], numbers: dict[str, float], title: str) -> None:
    say = words(a_result(a_run(run_with(FAILING, **numbers)), gate=a_gate(limits=limits)))
    assert sentences.title(say) == f"g0 failed: {title}"


@pytest.mark.parametrize(
    ("reason", "title", "alert"),
    [
        ("Sepurux refused `a (b): c` (HTTP 401: no).", "Sepurux refused `a (b): c`", "HTTP 401: no."),
        ('There is no "a (b): c": see (d).', 'There is no "a (b): c"', "See (d)."),
        (r'There is no "a\" (b): c" (HTTP 404).', r'There is no "a\" (b): c"', "HTTP 404."),
        ("Not a closed `name (b).", "Not a closed `name", "B."),
        (f"Failed {'x' * 143}.", f"Failed {'x' * 143}", ""),
        (f"Failed {'x' * 144}: no.", "", f"Failed {'x' * 144}: no."),
        (": ✅ passed", "", "✅ passed."),
    ],
)
def test_the_title_of_an_error_is_its_first_clause_and_the_alert_has_the_rest(
    reason: str, title: str, alert: str
) -> None:
    [gate] = build_report([a_result(undecided(Decision.ERROR, reason))], a_context()).gates
    assert (sentences.headline(gate), next_steps.what_happened(gate)) == (title, alert)


def test_a_title_names_the_scenarios_below_the_lowest_rate() -> None:
    runs = [a_run(run_with(PASSING, pass_rate=rate), trace=name) for name, rate in (("a", 0.4), ("b", 0.5), ("c", 1.0))]
    for limit, title in (
        (0.6, "a and 1 other scenario passed less than 60.0%"),
        (0.45, "a passed 40.0%, 45.0% needed"),
    ):
        say = words(a_result(*runs, gate=a_gate(limits={"min_scenario_pass_rate": limit})))
        assert sentences.title(say) == f"g0 failed: {title}"


@pytest.mark.parametrize(
    ("fail", "reviewers", "who"),
    [
        (RecordedFail(reviewers=("mona",)), (), "mona starts"),
        (RecordedFail(anyone=True, excluded=("a", "b")), (), "someone with write access, other than a and b, starts"),
        (RecordedFail(anyone=True), ("mona",), "someone in `reviewers` with write access starts"),
        (RecordedFail(), (), "Only a new commit is evaluated."),
        (RecordedFail(anyone=True, by_review=True), (), ""),
    ],
)
def test_a_fail_of_an_earlier_run_says_who_can_start_a_new_evaluation(
    fail: RecordedFail, reviewers: tuple[str, ...], who: str
) -> None:
    say = words(replace(a_result(gate=a_gate(reviewers=reviewers)), recorded=fail))
    restart = f"A re-run evaluates again only if {who} it." if who.endswith("starts") else who
    assert next_steps.restart(say, say.report.gates[0]) == restart


def test_one_line_counts_what_is_fixed() -> None:
    for fixed, sentence in ((2, "2 earlier failures are fixed."), (1, "1 earlier failure is fixed."), (0, "")):
        say = words(a_result(what_failed=WhatFailed(fixed=FIXED.fixed * fixed)))
        assert remarks.fixed_failures(say, say.report.gates[0]) == sentence


def test_a_fail_of_an_earlier_run_that_fixed_something_was_compared() -> None:
    [result], context = states()["fail-recorded"]
    fixed = replace(result, what_failed=replace(result.what_failed, fixed=FIXED.fixed))
    texts = [render_summary(build_report([each], context)) for each in (result, fixed)]
    assert ["Only the numbers of `main` are known" in text for text in texts] == [True, False]


def test_reasons_that_a_short_report_leaves_out_are_counted() -> None:
    results = [a_result(undecided(Decision.ERROR, f"Reason {n}.")) for n in range(3)]
    first, last = next_steps.consequence(words(*results, limits=1))
    assert first == "Blocked by g0: Reason 0."
    assert last == "More gates block for 2 other reasons."


def test_a_review_event_of_a_fork_says_where_to_evaluate() -> None:
    approval = ApprovalStatus(can_approve=("mona",), read_only=True)
    say = words(a_result(gate=a_gate(stage=Stage.SOFT), approval=approval))
    (text,) = next_steps.consequence(say)
    assert text.endswith("has a read-only token: evaluate such pull requests in a `workflow_run` workflow.")


def test_every_value_of_a_sentence_is_escaped() -> None:
    assert words(a_result(), kind=MarkdownWords)("{a} <br>", a="<b> @x") == "&#60;b&#62; &#64;\u200bx <br>"
    assert words(a_result())("{a}", a="x\x1b\u202ey") == "xy"
