"""Compares a run with the thresholds, and decides: the first row of docs/reference.md#decisions that matches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum, auto

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import Reading
from sepurux_action.config import options
from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.metrics import METRICS, MUTATION_CATEGORIES, SCENARIOS, Metric, summary

REQUIRED_CATEGORIES = options.REQUIRED_MUTATION_CATEGORIES.name
FAILED_STATUSES = frozenset({"failed", "error", "cancelled"})
FINISHED_STATUSES = frozenset({"done", "completed"})
KNOWN_STATUSES = FAILED_STATUSES | FINISHED_STATUSES | {"", "queued", "running", "pending"}
KNOWN_DECISIONS = frozenset({"", "pass", "fail", "pending"})
UNEXPLAINED_FAIL = "Sepurux decided `fail`, but no threshold that is set here explains why."
SEE_THE_RUN = "See the `Sepurux run`."
HOWEVER = "Sepurux reported a pass, but"
CONTRADICTED = f"{HOWEVER} a number it reports misses a threshold"


class Rule(IntEnum):
    """Which row of docs/reference.md#decisions applies, or what else decided. The last five are for a pass."""

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
    DROPPED = 10  # it lies too far below the baseline
    NOT_COMPARED = 11  # it lacks a number that the baseline has
    BASE_UNREAD = 12  # the baseline is not known
    TOO_FEW_TRACES = 13  # the gate has fewer traces than it needs scenarios
    FAILED_TWICE = 14  # the mean of two evaluations misses a rate or a score


# What to do about a decision that is not on the agent. `{rerun}` differs by where it is read.
NEXT_STEPS = {
    Rule.EVALUATION_FAILED: "See the `Sepurux run` for the cause, then {rerun}.",
    Rule.UNKNOWN_WORD: "Update sepurux/gate-action, or ask Sepurux what it means.",
    Rule.PASS_WITHOUT_NUMBERS: "{Rerun}. If the number is missing again, ask Sepurux about this run.",
    Rule.FINISHED_UNDECIDED: "{Rerun}. If the decision is missing again, ask Sepurux about this run.",
    Rule.PENDING: "Raise `timeout`, or {rerun}.",
    Rule.CANCELLED: "{Rerun}.",
    Rule.TOO_FEW_TRACES: "Record more scenarios, or lower `min_scenarios`.",
    Rule.NOT_COMPARED: "{Rerun}. If the number is missing again, ask Sepurux about this run.",
}


class Decision(StrEnum):
    """The decision on a run or a gate, the worst first (docs/reference.md#outputs)."""

    FAIL = "fail"
    ERROR = "error"
    PENDING = "pending"
    PASS = "pass"  # noqa: S105 - a word of the CI API
    SKIPPED = "skipped"

    @property
    def rank(self) -> int:
        return list(Decision).index(self)

    @property
    def is_decided(self) -> bool:
        return self in {Decision.PASS, Decision.FAIL}

    @property
    def is_undecided(self) -> bool:
        return self in {Decision.ERROR, Decision.PENDING}


class CheckState(StrEnum):
    MET = auto()
    MISSED = auto()
    NOT_REPORTED = auto()
    NO_NUMBER = auto()
    WITHIN_RANGE = auto()  # the drop is too large, but the base itself has results as low
    NOT_COMPARED = auto()  # the base has too few results


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One threshold compared with the run. `actual` and `required` are `value` and `limit` as text."""

    threshold: str
    metric: str
    label: str
    required: str
    actual: str
    state: CheckState
    limit: float
    value: float | None = None
    remark: str = ""  # why a drop does not count
    lacking: tuple[str, ...] = ()  # required categories that the run does not cover
    required_for_pass: bool = False
    sentence: str = ""
    reported_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDecision:
    """What one poll means. `detail` is the reason without what a title and the table of a report show, '' if alike."""

    decision: Decision
    reason: str
    rule: Rule
    detail: str = ""


def decide(run: CIRun, gate: Gate) -> RunDecision:
    """Return the decision on one poll, by its numbers too."""
    decided, with_rule = decide_poll(run), _with_rule
    own = SCENARIOS.threshold if gate.names_traces else None  # the number is that of the gate, not of one trace
    checks = tuple(check for check in check_thresholds(run, gate) if check.threshold != own)
    missed = "; ".join(check.sentence for check in checks if check.state is CheckState.MISSED)
    missing = tuple(dict.fromkeys(_missing(run, gate, checks)))
    if decided.rule is Rule.DECIDED_FAIL and missed:
        return replace(decided, reason=f"{missed[0].upper()}{missed[1:]}.")
    if decided.rule is not Rule.DECIDED_PASS:
        return decided
    if missed:
        return with_rule(Rule.PASS_CONTRADICTED, Decision.FAIL, f"{CONTRADICTED}: {missed}.")
    if missing:
        what = "Sepurux reported a pass without a number that a threshold needs"
        without = with_rule(Rule.PASS_WITHOUT_NUMBERS, Decision.ERROR, f"{what} ({'; '.join(missing)}).")
        return replace(without, detail=f"{what}.")
    return with_rule(Rule.DECIDED_PASS, Decision.PASS, _pass_reason(run, checks))


def _with_rule(rule: Rule, decision: Decision, reason: str) -> RunDecision:
    return RunDecision(decision=decision, reason=reason, rule=rule)


def decide_poll(run: CIRun) -> RunDecision:
    """Return what Sepurux decided. The rule FINISHED_UNDECIDED counts only if another poll confirms it."""
    with_rule = _with_rule
    if run.decision == "fail":
        return with_rule(Rule.DECIDED_FAIL, Decision.FAIL, UNEXPLAINED_FAIL)
    if run.status in FAILED_STATUSES:
        what = "was cancelled" if run.status == "cancelled" else "failed"
        decided = f", decision {json_reader.preview(run.decision)}" if run.decision else ""
        reason = f"The evaluation itself {what} at Sepurux (status `{run.status}`{decided})."
        return with_rule(Rule.EVALUATION_FAILED, Decision.ERROR, reason)
    words = (("status", run.status, KNOWN_STATUSES), ("decision", run.decision, KNOWN_DECISIONS))
    if unknown := [f"the {name} {json_reader.preview(word)}" for name, word, known in words if word not in known]:
        reason = f"Sepurux reported {' and '.join(unknown)}, which this version of the gate does not know."
        return with_rule(Rule.UNKNOWN_WORD, Decision.PENDING, reason)
    if run.decision == "pass":
        return with_rule(Rule.DECIDED_PASS, Decision.PASS, "Sepurux decided `pass`.")
    if run.status in FINISHED_STATUSES:
        reason = f"The evaluation ended (status `{run.status}`), but Sepurux reported no decision."
        return with_rule(Rule.FINISHED_UNDECIDED, Decision.ERROR, reason)
    shown = f"status `{run.status}`" if run.status else "no status"
    return with_rule(Rule.PENDING, Decision.PENDING, f"Sepurux has not decided yet ({shown}).")


def _missing(run: CIRun, gate: Gate, checks: tuple[Check, ...]) -> Iterator[str]:
    """Yield a sentence on each number without which a run does not pass. One that only a drop limits may be missing."""
    for check in checks:
        unusable = check.state is CheckState.NO_NUMBER
        if unusable or (check.required_for_pass and check.state is CheckState.NOT_REPORTED):
            yield check.sentence
    for metric in METRICS:
        if metric.drop in gate.limits and (broken := run.reading(metric).broken):
            yield f"{metric.label.lower()}: {broken}"


def next_step(run_decision: RunDecision) -> str:
    return NEXT_STEPS.get(run_decision.rule, "") if run_decision.reason != UNEXPLAINED_FAIL else SEE_THE_RUN


def _pass_reason(run: CIRun, checks: tuple[Check, ...]) -> str:
    reported = any(check.state is CheckState.MET for check in checks)
    unreported = [check.label.lower() for check in checks if check.state is not CheckState.MET]
    numbers = summary(run.numbers)
    met = "every threshold is met" if reported and not unreported else "no reported number misses a threshold"
    met += f" (not reported: {', '.join(unreported)})" if unreported else ""
    return f"{numbers}; {met}." if numbers else f"{met[0].upper()}{met[1:]}."


def check_thresholds(run: CIRun, gate: Gate) -> Iterator[Check]:
    for metric in METRICS:
        limit = gate.limits.get(metric.threshold)
        if limit is not None:
            yield _check(metric, run.reading(metric), limit)
    if gate.required_mutation_categories:
        yield _check_categories(run, gate.required_mutation_categories)


def _check(metric: Metric, reading: Reading, limit: float) -> Check:
    value, write = reading.value, metric.format.write
    absent = reading.broken or "not reported"
    return Check(
        threshold=metric.threshold,
        metric=metric.name,
        label=metric.label,
        required=f"{'≤' if metric.less_is_better else '≥'} {write(limit, value)}",
        actual=absent if value is None else write(value, limit),
        limit=limit,
        value=value,
        state=_state(reading, met=value is not None and metric.meets(value, limit)),
        required_for_pass=metric.needed,
        sentence=f"{metric.label.lower()}: {absent}" if value is None else metric.sentence(value, limit),
        reported_by=reading.reported_by,
    )


def _check_categories(run: CIRun, required: tuple[str, ...]) -> Check:
    covered, total, reading = run.mutation_categories, len(required), run.reading(MUTATION_CATEGORIES)
    if covered is None:  # a cached run may have their number only
        reading = replace(reading, value=None)
    absent = reading.broken or "not reported"
    lacking = () if covered is None else tuple(name for name in required if name not in covered)
    met = f"mutation categories lack {', '.join(lacking)}" if lacking else "all categories are covered"
    return Check(
        threshold=REQUIRED_CATEGORIES,
        metric=REQUIRED_CATEGORIES,
        label="Required mutations",
        required=str(total),
        actual=absent if covered is None else f"{total - len(lacking)} of {total}",
        limit=total,
        value=None if covered is None else total - len(lacking),
        lacking=lacking,
        state=_state(reading, met=not lacking),
        sentence=f"required mutations: {absent}" if covered is None else met,
        reported_by=reading.reported_by,
    )


def _state(reading: Reading, *, met: bool) -> CheckState:
    if reading.value is not None:
        return CheckState.MET if met else CheckState.MISSED
    return CheckState.NO_NUMBER if reading.broken else CheckState.NOT_REPORTED


def fingerprint(gate: Gate) -> str:
    """Return a hash of all that a decision depends on but the commit, by which a cached `fail` is reused."""
    limits, required = dict(gate.limits), sorted(gate.required_mutation_categories)
    # The commit fixes the code, and each recording of it differs, so the path of an uploaded trace stands for it.
    traces = sorted(["id", each.trace_id] if each.content is None else ["path", each.label] for each in gate.traces)
    content = [gate.campaign, gate.project, traces, gate.mutation_pack, limits, required]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
