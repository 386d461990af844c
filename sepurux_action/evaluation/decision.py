"""Decides what a poll means for one CI run.

The rows are those of docs/reference.md#decisions; the first that matches decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Thresholds
from sepurux_action.evaluation.ci_run import CIRun


class NumberFormat(Protocol):
    """Formats a number, with enough digits to differ from another one."""

    def __call__(self, value: float, /, *, distinct_from: float | None = None) -> str:
        """Return the number as text."""


FAILED_STATUSES = frozenset({"failed", "error", "cancelled"})
FINISHED_STATUSES = frozenset({"done", "completed"})
OPEN_STATUSES = frozenset({"", "queued", "running", "pending"})
KNOWN_DECISIONS = frozenset({"", "pass", "fail", "pending"})
UNEXPLAINED_FAIL = "Sepurux decided `fail`, but no threshold that is set here explains why."
SEE_THE_RUN = "See the Sepurux run."
HOWEVER = "Sepurux reported a pass, but"
CONTRADICTED = f"{HOWEVER} a number it reports misses a threshold"


class Rule(IntEnum):
    """Which row of the table of decisions applies (docs/reference.md#decisions).

    Five are no rows of it: NOT_POLLED, because no poll led to the decision, CANCELLED, after a signal, and three for a
    run that passed: DROPPED, because it lies too far below the baseline, and two because nobody knows whether it does:
    NOT_COMPARED, because it lacks a number, and BASE_UNREAD, because the baseline is not known.
    """

    NOT_POLLED = 0
    DECIDED_FAIL = 1
    EVALUATION_FAILED = 2
    UNKNOWN_WORD = 3
    PASS_CONTRADICTED = 4
    PASS_WITHOUT_NUMBERS = 5
    DECIDED_PASS = 6
    FINISHED_UNDECIDED = 7
    PENDING = 8
    CANCELLED = 9
    DROPPED = 10
    NOT_COMPARED = 11
    BASE_UNREAD = 12


NEXT_STEPS = {
    Rule.EVALUATION_FAILED: "See the Sepurux run for the cause, then re-run the job.",
    Rule.UNKNOWN_WORD: "Update sepurux/gate-action in the workflow's `uses:` line, or ask Sepurux what it means.",
    Rule.PASS_WITHOUT_NUMBERS: "Re-run the job. If the number is missing again, ask Sepurux about this run.",
    Rule.FINISHED_UNDECIDED: "Re-run the job. If the decision is missing again, ask Sepurux about this run.",
    Rule.PENDING: "Raise `timeout`, or re-run the job.",
    Rule.CANCELLED: "Re-run the job.",
    Rule.NOT_COMPARED: "Re-run the job. If the number is missing again, ask Sepurux about this run.",
}
"""What to do about a decision that is not on the agent, by its rule."""


class Decision(StrEnum):
    """The decision on a run or a gate, the worst first (docs/reference.md#outputs)."""

    FAIL = "fail"
    ERROR = "error"
    PENDING = "pending"
    PASS = "pass"  # noqa: S105 - a word of the CI API
    SKIPPED = "skipped"

    @property
    def rank(self) -> int:
        """Return the rank among the decisions, 0 for the worst."""
        return list(Decision).index(self)

    @property
    def is_decided(self) -> bool:
        """Return whether the evaluation ended with `pass` or `fail`."""
        return self in {Decision.PASS, Decision.FAIL}

    @property
    def is_undecided(self) -> bool:
        """Return whether it ended without a decision, or has not ended: `error` or `pending`."""
        return self in {Decision.ERROR, Decision.PENDING}


class CheckState(StrEnum):
    """How a reported number compares with a threshold.

    Two are for drops only: WITHIN_RANGE, if the drop is too large, but the base itself has results as low, and
    NOT_COMPARED, if the base has too few results.
    """

    MET = "met"
    MISSED = "missed"
    NOT_REPORTED = "not reported"
    NO_NUMBER = "no number"
    WITHIN_RANGE = "within range"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One threshold compared with the run.

    `value` and `limit` are the numbers, None for an unknown value; `actual` and `required` are the same as text, such
    as `72.0%` and `≥ 85.0%`. `remark` says why a drop does not count. `lacking` names the required categories that
    the run does not cover. `reported_by` is that of the number, see `Reading`.
    """

    threshold: str
    label: str
    required: str
    actual: str
    state: CheckState
    limit: float
    value: float | None = None
    remark: str = ""
    lacking: tuple[str, ...] = ()
    required_for_pass: bool = False
    sentence: str = ""
    reported_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDecision:
    """What one poll means: the decision, its reason, and whether polling ends.

    `rule` is the row of the table. `final` is false while the run is pending, and for row 7 the first time.
    """

    decision: Decision
    reason: str
    rule: Rule
    checks: tuple[Check, ...] = ()
    warning: str = ""
    final: bool = True


def decide(run: CIRun, thresholds: Thresholds) -> RunDecision:
    """Return the decision on one poll of a CI run. Every combination of run and thresholds has one.

    Rows 3 and 8 are pending. Row 7 is `error` but not final: the caller polls once more to confirm it.
    """
    checks = tuple(check_thresholds(run, thresholds))
    broken = [check for check in checks if check.state is CheckState.MISSED]
    missing = tuple(dict.fromkeys(_missing(run, thresholds, checks)))

    def with_rule(rule: Rule, decision: Decision, reason: str, *, warning: str = "", final: bool = True) -> RunDecision:
        return RunDecision(decision=decision, reason=reason, rule=rule, checks=checks, warning=warning, final=final)

    if run.decision == "fail":
        return with_rule(Rule.DECIDED_FAIL, Decision.FAIL, _sentence(broken) if broken else UNEXPLAINED_FAIL)
    if run.status in FAILED_STATUSES:
        what = "was cancelled" if run.status == "cancelled" else "failed"
        decided = f", decision {json_reader.preview(run.decision)}" if run.decision else ""
        reason = f"The evaluation itself {what} at Sepurux (status `{run.status}`{decided})."
        return with_rule(Rule.EVALUATION_FAILED, Decision.ERROR, reason)
    if unknown := _unknown_word(run):
        reason = f"Sepurux reported {unknown}, which this version of the gate does not know."
        return with_rule(Rule.UNKNOWN_WORD, Decision.PENDING, reason, warning=reason, final=False)
    if run.decision == "pass":
        if broken:
            why = "; ".join(check.sentence for check in broken)
            return with_rule(Rule.PASS_CONTRADICTED, Decision.FAIL, f"{CONTRADICTED}: {why}.")
        if missing:
            reason = f"Sepurux reported a pass without a number that a threshold needs ({'; '.join(missing)})."
            return with_rule(Rule.PASS_WITHOUT_NUMBERS, Decision.ERROR, reason)
        return with_rule(Rule.DECIDED_PASS, Decision.PASS, _pass_reason(run, checks))
    if run.status in FINISHED_STATUSES:
        return with_rule(
            Rule.FINISHED_UNDECIDED,
            Decision.ERROR,
            f"The evaluation ended (status `{run.status}`), but Sepurux reported no decision.",
            final=False,
        )
    shown = f"status `{run.status}`" if run.status else "no status"
    return with_rule(Rule.PENDING, Decision.PENDING, f"Sepurux has not decided yet ({shown}).", final=False)


def _missing(run: CIRun, thresholds: Thresholds, checks: tuple[Check, ...]) -> Iterator[str]:
    """Yield a sentence on each number without which a run does not pass (docs/reference.md, Decisions).

    A number that only a drop limits may be missing: this depends on the baseline.
    """
    for check in checks:
        unusable = check.state is CheckState.NO_NUMBER
        if unusable or (check.required_for_pass and check.state is CheckState.NOT_REPORTED):
            yield check.sentence
    if thresholds.max_pass_rate_drop is not None and run.pass_rate.broken:
        yield f"pass rate: {run.pass_rate.broken}"
    if thresholds.max_reliability_score_drop is not None and run.reliability_score.broken:
        yield f"reliability score: {run.reliability_score.broken}"


def no_decision(waited_s: float) -> str:
    """Return the beginning of the reason for `pending`: how long the gate waited, from the first call to the last."""
    return f"No decision after {number_format.duration(waited_s)}"


def next_step(run_decision: RunDecision) -> str:
    """Return what to do about a decision; '' if its thresholds or its decision say it."""
    return NEXT_STEPS.get(run_decision.rule, "") if run_decision.reason != UNEXPLAINED_FAIL else SEE_THE_RUN


def check_thresholds(run: CIRun, thresholds: Thresholds) -> Iterator[Check]:
    """Yield a check for each threshold that is set."""
    if thresholds.min_pass_rate is not None:
        yield _at_least(
            "min_pass_rate",
            "Pass rate",
            run.pass_rate,
            thresholds.min_pass_rate,
            number_format.percent,
            required_for_pass=True,
        )
    if thresholds.max_unsafe is not None:
        yield _at_most("max_unsafe", "Unsafe attempts", "unsafe attempt", run.unsafe_attempts, thresholds.max_unsafe)
    if thresholds.max_failures is not None:
        yield _at_most("max_failures", "Failures", "failure", run.failures, thresholds.max_failures)
    if thresholds.min_reliability_score is not None:
        yield _at_least(
            "min_reliability_score",
            "Reliability score",
            run.reliability_score,
            thresholds.min_reliability_score,
            number_format.score,
        )
    if thresholds.min_mutation_categories is not None:
        yield _category_count(run.category_count, thresholds.min_mutation_categories)
    if thresholds.required_mutation_categories:
        yield _required_categories(run.mutation_categories, thresholds.required_mutation_categories, run.category_count)


def _unknown_word(run: CIRun) -> str:
    words = []
    if run.status not in FAILED_STATUSES | FINISHED_STATUSES | OPEN_STATUSES:
        words.append(f"the status {json_reader.preview(run.status)}")
    if run.decision not in KNOWN_DECISIONS:
        words.append(f"the decision {json_reader.preview(run.decision)}")
    return " and ".join(words)


def _sentence(checks: list[Check]) -> str:
    text = "; ".join(check.sentence for check in checks)
    return f"{text[0].upper()}{text[1:]}."


def _pass_reason(run: CIRun, checks: tuple[Check, ...]) -> str:
    reported = any(check.state is CheckState.MET for check in checks)
    unreported = [check.label.lower() for check in checks if check.state is not CheckState.MET]
    numbers = number_format.numbers_text(run.pass_rate.value, run.unsafe_attempts.value, run.failures.value)
    met = "every threshold is met" if reported and not unreported else "no reported number misses a threshold"
    met += f" (not reported: {', '.join(unreported)})" if unreported else ""
    return f"{numbers}; {met}." if numbers else f"{met[0].upper()}{met[1:]}."


def _at_least(  # noqa: PLR0913 - one row of a table
    threshold: str,
    label: str,
    reading: Reading,
    required: float,
    write: NumberFormat,
    *,
    required_for_pass: bool = False,
) -> Check:
    if reading.value is None:
        needs = f"≥ {write(required)}"
        return _absent(threshold, label, needs, required, reading, required_for_pass=required_for_pass)
    actual, needed = write(reading.value, distinct_from=required), write(required, distinct_from=reading.value)
    met = reading.value >= required
    return Check(
        threshold=threshold,
        label=label,
        required=f"≥ {needed}",
        actual=actual,
        limit=required,
        value=reading.value,
        state=CheckState.MET if met else CheckState.MISSED,
        required_for_pass=required_for_pass,
        sentence=f"{label.lower()} {actual} is {'at least' if met else 'below'} the required {needed}",
        reported_by=reading.reported_by,
    )


def _at_most(threshold: str, label: str, noun: str, reading: Reading, allowed: int) -> Check:
    limit = number_format.count(allowed)
    if reading.value is None:
        return _absent(threshold, label, f"≤ {limit}", allowed, reading, required_for_pass=True)
    met = reading.value <= allowed
    counted, verb = number_format.pluralize(reading.value, noun), "is" if reading.value == 1 else "are"
    return Check(
        threshold=threshold,
        label=label,
        required=f"≤ {limit}",
        actual=number_format.count(reading.value),
        limit=allowed,
        value=reading.value,
        state=CheckState.MET if met else CheckState.MISSED,
        required_for_pass=True,
        sentence=f"{counted} {verb} {'within' if met else 'more than'} the allowed {limit}",
        reported_by=reading.reported_by,
    )


def _category_count(reading: Reading, required: int) -> Check:
    label, threshold = "Mutation categories", "min_mutation_categories"
    actual = reading.value
    if actual is None:
        return _absent(threshold, label, f"≥ {required}", required, reading, required_for_pass=False)
    return Check(
        threshold=threshold,
        label=label,
        required=f"≥ {required}",
        actual=number_format.count(actual),
        limit=required,
        value=actual,
        state=CheckState.MET if actual >= required else CheckState.MISSED,
        sentence=number_format.pluralize(actual, "mutation category", "mutation categories")
        + f" of at least {required}",
        reported_by=reading.reported_by,
    )


def _required_categories(reported: tuple[str, ...] | None, required: tuple[str, ...], number: Reading) -> Check:
    label, threshold, total = "Required mutations", "required_mutation_categories", len(required)
    if reported is None:
        return _absent(threshold, label, str(total), total, number, required_for_pass=False)
    lacking = tuple(name for name in required if name not in reported)
    return Check(
        threshold=threshold,
        label=label,
        required=str(total),
        actual=f"{total - len(lacking)} of {total}",
        limit=total,
        value=total - len(lacking),
        lacking=lacking,
        state=CheckState.MISSED if lacking else CheckState.MET,
        sentence=f"mutation categories lack {', '.join(lacking)}" if lacking else "all categories are covered",
        reported_by=number.reported_by,
    )


def _absent(  # noqa: PLR0913 - one row of a table
    threshold: str, label: str, required: str, limit: float, reading: Reading, *, required_for_pass: bool
) -> Check:
    actual = reading.broken or "not reported"
    return Check(
        threshold=threshold,
        label=label,
        required=required,
        actual=actual,
        limit=limit,
        state=CheckState.NO_NUMBER if reading.broken else CheckState.NOT_REPORTED,
        required_for_pass=required_for_pass,
        sentence=f"{label.lower()}: {actual}",
    )
