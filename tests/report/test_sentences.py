"""Sentences that no golden file has, and that no value of a sentence is left as it was written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sepurux_action.config.stage import Stage
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.enforcement import ApprovalStatus
from sepurux_action.evaluation.result import GateResult, RecordedFail
from sepurux_action.evaluation.runs import WhatFailed
from sepurux_action.report import remarks, sentences
from sepurux_action.report.report import build_report
from sepurux_action.report.view import COMMENT_LIMITS, View
from sepurux_action.report.words import MarkdownWords, Words
from tests.builders import FIXED, PASSING, a_context, a_gate, a_result, a_run, undecided

PASSED, SKIPPED = a_run(PASSING), undecided(Decision.SKIPPED, "No file matches.")


def words(*results: GateResult, kind: type[Words] = Words, limits: int = 9, **context: object) -> Words:
    named = [replace(each, gate=replace(each.gate, name=f"g{n}")) for n, each in enumerate(results)]
    report = build_report(named, a_context(**context))
    return kind(View(report=report, place="comment", limits={**COMMENT_LIMITS, "gates": limits}))


@pytest.mark.parametrize(
    ("runs", "title"),
    [
        ([PASSED, PASSED], "All 2 gates passed"),
        ([SKIPPED, SKIPPED], "All 2 gates skipped"),
        ([PASSED, SKIPPED], "1 gate passed, 1 skipped"),
        ([PASSED, undecided(Decision.ERROR, "Gone.")], "1 of 2 gates have no result: g1"),
    ],
)
def test_a_title_counts_gates(runs: list[object], title: str) -> None:
    assert sentences.title(words(*(a_result(run) for run in runs))) == title  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fail", "reviewers", "restart"),
    [
        (RecordedFail(reviewers=("mona",)), (), "A re-run evaluates again only if mona starts it."),
        (
            RecordedFail(anyone=True, excluded=("ann", "bob")),
            (),
            "A re-run evaluates again only if someone with write access, other than ann and bob, starts it.",
        ),
        (
            RecordedFail(anyone=True),
            ("mona",),
            "A re-run evaluates again only if someone in `reviewers` with write access starts it.",
        ),
        (RecordedFail(), (), "Only a new commit is evaluated."),
        (RecordedFail(anyone=True, by_review=True), (), ""),
    ],
)
def test_a_fail_of_an_earlier_run_says_who_can_start_a_new_evaluation(
    fail: RecordedFail, reviewers: tuple[str, ...], restart: str
) -> None:
    say = words(replace(a_result(gate=a_gate(reviewers=reviewers)), recorded=fail))
    assert sentences.restart(say, say.report.gates[0]) == restart


@pytest.mark.parametrize(
    ("fixed", "base_ref", "sentence"),
    [(2, "", "2 earlier failures are fixed."), (1, "", "1 earlier failure is fixed."), (0, "main", "")],
)
def test_one_line_counts_what_is_fixed(fixed: int, base_ref: str, sentence: str) -> None:
    say = words(a_result(what_failed=WhatFailed(fixed=FIXED.fixed * fixed)), base_ref=base_ref)
    assert remarks.fixed_failures(say, say.report.gates[0]) == sentence


def test_reasons_that_a_short_report_leaves_out_are_counted() -> None:
    results = [a_result(undecided(Decision.ERROR, f"Reason {n}.")) for n in range(3)]
    first, last = sentences.consequence(words(*results, limits=1))
    assert first.startswith("Blocked by g0: no result. ")
    assert last == "More gates block for 2 other reasons."


def test_a_review_event_of_a_fork_says_where_to_evaluate() -> None:
    approval = ApprovalStatus(can_approve=("mona",), read_only=True)
    say = words(a_result(gate=a_gate(stage=Stage.SOFT), approval=approval))
    (text,) = sentences.consequence(say)
    assert text.endswith("has a read-only token: evaluate such pull requests in a `workflow_run` workflow.")


def test_every_value_of_a_sentence_is_escaped() -> None:
    assert words(a_result(), kind=MarkdownWords)("{a} <br>", a="<b> @x") == "&#60;b&#62; &#64;\u200bx <br>"
    assert words(a_result())("{a}", a="x\x1b\u202ey") == "xy"
