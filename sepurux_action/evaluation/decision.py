"""Decides a gate from its runs, its numbers, its checks, and the base, and says what follows. Nothing else does.

Source: docs/reference.md#decisions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from sepurux_action.common import json_reader, wording
from sepurux_action.common.json_reader import Reading
from sepurux_action.common.wording import capitalized, joined
from sepurux_action.config.command_line import in_workflow
from sepurux_action.config.options import OnOutage, Stage
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import gate_numbers, metrics
from sepurux_action.evaluation.gate_numbers import DROP, Base, Check, CheckState, Scenario, scenarios_of
from sepurux_action.evaluation.metrics import BY_OPTION, METRICS, PASS_RATE, Kind, Metric, Numbers, sent_limits
from sepurux_action.evaluation.published_result import Result, parse_description, published_numbers
from sepurux_action.evaluation.runs import NEXT_STEPS, UNEXPLAINED_FAIL, Decision, Failures, Rule, Run, Runs, worst_of

EXIT_BLOCKED = 1  # a gate blocks because of a `fail`
EXIT_UNDECIDED = 2  # a gate blocks for any other reason
MAX_NAMED = 3  # scenarios that a reason names
HOWEVER = "Sepurux reported a pass, but"
NEEDS_API_KEY = "With several traces, {min_reliability_score} needs {api_key}: without it, Sepurux shows no score."
NEEDED = {name for name, metric in BY_OPTION.items() if metric.needed}
SUMS = {metric.threshold for metric in METRICS if metric.kind is Kind.SUM}
NO_NUMBER = "Sepurux reported a pass without a number that a threshold needs"


class Reason(StrEnum):
    """Why an account cannot approve a gate, or why its approval does not count. `words` follow its name."""

    words: str

    def __new__(cls, value: str, words: str) -> Self:
        reason = str.__new__(cls, value)
        reason._value_, reason.words = value, words
        return reason

    BOT = "bot", "is a bot"
    AUTHOR = "author", "is the author of the pull request"
    ASSIGNEE = "assignee", "is assigned to this pull request, which a bot opened"
    COMMIT_AUTHOR = "commit_author", "is an author of the commit"
    NOT_LISTED = "not_listed", "is not listed in `reviewers`"
    NO_WRITE_ACCESS = "no_write_access", "has no write access"
    UNKNOWN_REQUESTERS = "unknown_requesters", "may have made the commit, which could not be read"
    OLDER_COMMIT = "older_commit", "approved an older commit"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An account whose approval does not count, and the reason."""

    login: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStatus:
    """Who approved a failed soft gate of a pull request, or who can. Once approved, only `approved_by` is given.

    `commit` is the one to approve. `anyone`: no reviewers are listed, so everyone with write access but the author can
    approve. Approvals that do not count are `ignored`. `unread`: the reviews, or who can approve.
    """

    commit: str = ""
    approved_by: tuple[str, ...] = ()
    can_approve: tuple[str, ...] = ()
    anyone: bool = False
    cannot_approve: tuple[Refusal, ...] = ()
    ignored: tuple[Refusal, ...] = ()
    unread: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """The decision on a gate, all that it follows from, and all that follows.

    `detail` is the reason without scenario and without what the title of a report shows. `runs` are in the order of the
    traces; ids and links are those of the `worst`. `numbers` and `categories` are those of all runs. `checks` are the
    thresholds, then the drop.

    `scenarios` to `scenarios_missing` are read after the decision: the scenarios, the worst first, their classified
    failures, how many failures that Sepurux counts were not read, how many scenarios were not, or not completely, and
    those that only the base's newest result has.

    `link` is that of the status that records the decision, else ''. `approval` is for a failed soft gate of a pull
    request, and `notes` are remarks.
    """

    gate: Gate
    decision: Decision
    rule: Rule
    reason: str
    runs: Runs
    hint: str = ""
    detail: str = ""
    numbers: Numbers = field(default_factory=dict)
    categories: tuple[str, ...] | None = None
    checks: tuple[Check, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    failures: Failures = ()
    failures_unread: int = 0
    scenarios_unread: int = 0
    scenarios_missing: tuple[str, ...] = ()
    link: str = ""
    blocks: bool = False
    approval: ApprovalStatus | None = None
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Run:
        return worst_of(self.runs)

    @property
    def run_ids(self) -> tuple[str, ...]:
        every = (each for run in self.runs for each in ([run.run_id] if run.run_id else run.run_ids))
        return tuple(dict.fromkeys(every))

    @property
    def missed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.state is CheckState.MISSED)

    @property
    def recorded(self) -> bool:
        """Return whether an earlier run decided, of which only the commit's status is left."""
        return self.rule is Rule.RECORDED

    @property
    def is_allowed_outage(self) -> bool:
        """Return whether the gate does not block because Sepurux is down."""
        return self.rule is Rule.OUTAGE and self.gate.on_outage is OnOutage.ALLOW

    @property
    def known_scenarios(self) -> tuple[Scenario, ...]:
        """Return the scenarios, also if they could not be read; none of a decision that is recorded."""
        if self.scenarios or self.recorded:
            return self.scenarios
        return scenarios_of(self.gate, self.runs)

    @property
    def needs_approval(self) -> bool:
        return self.approval is not None and not self.approval.approved_by

    def value(self, metric: Metric) -> float | None:
        return metric.reading(self.numbers).value


def decide_gate(gate: Gate, runs: Runs, base: Base) -> GateDecision:
    """Return the decision on a gate: that of the first row of docs/reference.md#decisions that applies.

    If it is a `fail`, it stays one whatever its undecided runs will be.
    """
    scenarios = scenarios_of(gate, runs)
    compared = _compared(gate, runs, scenarios, base)
    several, all_flaky = gate.has_several_traces, all(run.trace.flaky for run in runs)
    failed = [run for run in runs if run.decision is Decision.FAIL and not run.trace.flaky]
    undecided = tuple(run for run in runs if not run.decision.is_decided)
    unknown = [
        check
        for check in compared.checks
        if check.state is CheckState.NO_NUMBER
        or (check.state is CheckState.NOT_REPORTED and (several or check.threshold in NEEDED))
    ]
    if failed:
        return _decided_fail(compared, scenarios, failed)
    if several and any(check.threshold in SUMS for check in compared.missed):
        return _threshold_missed(compared, scenarios, passed=not (undecided or all_flaky))
    if undecided:
        return _undecided(compared, scenarios, worst_of(undecided))
    if compared.missed and not all_flaky:
        return _threshold_missed(compared, scenarios, passed=True)
    if all_flaky:
        reason = "Every scenario of the gate is flaky, so no rate counts."
        hint = "Fix a scenario, and remove it from {flaky}."
        return _decided(compared, Decision.ERROR, Rule.NUMBER_UNKNOWN, reason, hint)
    if base.results is None and (unread := [check.sentence for check in unknown if check.threshold == DROP]):
        reason = f"{HOWEVER} {'; '.join(unread)}."
        return _decided(compared, Decision.ERROR, Rule.BASE_UNREAD, reason, base.hint)
    if unknown:
        return _number_unknown(compared, unknown)
    return _decided(compared, Decision.PASS, Rule.DECIDED_PASS, _why_passed(compared))


def _compared(gate: Gate, runs: Runs, scenarios: Sequence[Scenario], base: Base) -> GateDecision:
    """Return the numbers of all runs, compared with the thresholds and the base, and no decision yet.

    A category counts if any run covers it, not of a flaky scenario.
    """
    numbers, categories = gate_numbers.numbers_of(gate, runs, scenarios), runs[0].categories
    if gate.has_several_traces:
        categories = gate_numbers.covered_by(run for run in runs if not run.trace.flaky)
    checks = [*gate_numbers.check_thresholds(gate, numbers, categories, scenarios)]
    if DROP in gate.limits:
        checks.append(gate_numbers.check_drop(gate, numbers, base))
    undecided = GateDecision(gate=gate, decision=Decision.PENDING, rule=Rule.NOT_POLLED, reason="", runs=runs)
    return replace(undecided, numbers=numbers, categories=categories, checks=tuple(checks))


def _decided(compared: GateDecision, decision: Decision, rule: Rule, reason: str, hint: str = "") -> GateDecision:
    hint = compared.gate.with_timeout(hint)
    return replace(compared, decision=decision, rule=rule, reason=in_workflow(reason), hint=hint, detail=reason)


def _decided_fail(compared: GateDecision, scenarios: Sequence[Scenario], failed: Sequence[Run]) -> GateDecision:
    """Return the `fail` of Sepurux, which may apply a minimum of its own to one of several traces."""
    gate, reasons, hint = compared.gate, list[str](), "See the `Sepurux run`."
    maxima = [(each, gate.limits[each.threshold]) for each in METRICS if each.threshold in SUMS & {*sent_limits(gate)}]
    own = [run for run in failed if not any((run.value(metric) or 0) > limit for metric, limit in maxima)]
    if gate.has_several_traces and own:
        names = (each.name for each in scenarios if any(own[0] is run for run in each.recordings))
        name, rate, reported = next(names, own[0].trace.label), own[0].value(PASS_RATE), "no pass rate"
        if rate is not None:
            reported = f"a pass rate of {PASS_RATE.write(rate, None)}"
        reasons.append(
            f"Sepurux decided `fail` for {json_reader.preview(name)}, although its numbers meet what the gate sent, so "
            f"it seems to apply a minimum of its own; it reports {reported}."
        )
    if compared.missed:
        reasons.append(_sentence(compared, scenarios))
        hint = ""
    return _decided(compared, Decision.FAIL, Rule.DECIDED_FAIL, " ".join(reasons) or UNEXPLAINED_FAIL, hint)


def _threshold_missed(compared: GateDecision, scenarios: Sequence[Scenario], *, passed: bool) -> GateDecision:
    reason, hint = _sentence(compared, scenarios), ""
    if passed:
        reason = f"{HOWEVER} {reason[0].lower()}{reason[1:]}"
    if [check.threshold for check in compared.missed] == [metrics.SCENARIOS.threshold]:
        more = "Record more scenarios" if compared.gate.names_traces else "Register more scenarios at Sepurux"
        hint = f"{more}, or lower {{min_scenarios}}."
    return _decided(compared, Decision.FAIL, Rule.THRESHOLD_MISSED, reason, hint)


def _sentence(compared: GateDecision, scenarios: Sequence[Scenario]) -> str:
    """Return what is missed, and which scenarios are why: those of the same task, and those with the lowest rates."""
    parts, gate = [check.sentence for check in compared.missed], compared.gate
    limit = next((check.limit for check in compared.missed if check.threshold == metrics.SCENARIOS.threshold), None)
    if limit is not None and gate.names_traces and len(compared.runs) >= limit:
        same = sum(len(each.recordings) for each in scenarios if each.recordings[1:])
        parts.append(f"{same} of {len(compared.runs)} recordings have the same `task.name` as another one")
    counted = (each for each in scenarios if not each.flaky)
    below = sorted((each.rate, each.name) for each in counted if each.rate is not None and each.rate < 1)
    if below and gate.has_several_traces:
        required = gate.limits.get(PASS_RATE.threshold)
        rates = (f"{json_reader.preview(name)} {PASS_RATE.write(rate, required)}" for rate, name in below[:MAX_NAMED])
        parts.append(f"lowest: {', '.join(rates)}")
    return f"{capitalized('; '.join(parts))}."


def _undecided(compared: GateDecision, scenarios: Sequence[Scenario], worst: Run) -> GateDecision:
    """Return what the worst run decides, with the scenarios that have the same reason, unless all have."""
    names, detail, reason = "", worst.detail, (worst.decision, worst.rule, worst.reason, worst.detail)
    alike = [run for run in compared.runs if (run.decision, run.rule, run.reason, run.detail) == reason]
    if len(alike) < len(compared.runs):
        of_alike = (each for each in scenarios if any(run in alike for run in each.recordings))
        every = [json_reader.preview(each.name) for each in of_alike]
        names = ", ".join(every[:MAX_NAMED])
        if every[MAX_NAMED:]:
            names += f" and {wording.pluralize(len(every) - MAX_NAMED, 'other')}"
    if worst.decision is not Decision.PENDING:
        detail = detail or worst.reason
    decided = _decided(compared, worst.decision, worst.rule, joined(": ", names, worst.reason), worst.hint)
    return replace(decided, detail=detail, checks=() if worst.decision is Decision.SKIPPED else compared.checks)


def _number_unknown(compared: GateDecision, checks: Sequence[Check]) -> GateDecision:
    unknown = dict[Metric, str]()
    for check in checks:
        unknown.setdefault(BY_OPTION.get(check.threshold, metrics.MUTATION_CATEGORIES), check.sentence)
    not_shown = any(metrics.RELIABILITY_SCORE.reading(run.numbers).missing for run in compared.runs)
    hint = NEXT_STEPS[Rule.NUMBER_UNKNOWN]
    if compared.gate.has_several_traces and metrics.RELIABILITY_SCORE in unknown and not_shown:
        hint = NEEDS_API_KEY
    reason = f"{NO_NUMBER} ({'; '.join(unknown.values())})."
    return replace(_decided(compared, Decision.ERROR, Rule.NUMBER_UNKNOWN, reason, hint), detail=f"{NO_NUMBER}.")


def _why_passed(compared: GateDecision) -> str:
    thresholds = [check for check in compared.checks if check.threshold != DROP]
    not_met = [check for check in compared.checks if check.state is not CheckState.MET]
    drops = [check.sentence for check in not_met if check.threshold == DROP]
    unreported = [check.label.lower() for check in not_met if check.threshold != DROP]
    met = "no reported number misses a threshold"
    if unreported:
        met += f" (not reported: {', '.join(unreported)})"
    elif thresholds:
        met = "every threshold is met"
    return f"{capitalized(joined('; ', metrics.summary(compared.numbers), *(drops or [met])))}."


def is_blocking(decision: Decision, stage: Stage, *, approved: bool = False) -> bool:
    """Return whether a gate with this decision blocks. A soft gate that failed is `approved` by a review."""
    if decision in {Decision.PASS, Decision.SKIPPED} or stage is Stage.OBSERVE:
        return False
    return not (approved and stage is Stage.SOFT and decision is Decision.FAIL)


def without_failures(decided: GateDecision) -> GateDecision:
    """Return a decision of which nothing that is read after it is shown."""
    return replace(decided, scenarios=(), failures=(), failures_unread=0, scenarios_unread=0, scenarios_missing=())


def exit_status(results: Iterable[GateDecision]) -> int:
    blocking = [result.decision for result in results if result.blocks]
    if Decision.FAIL in blocking:
        return EXIT_BLOCKED
    return EXIT_UNDECIDED if blocking else 0


def summarize(result: GateDecision) -> Result:
    """Return what the status of a gate has of its result."""
    numbers = published_numbers(result.numbers, result.gate)
    return Result(decision=result.decision, stage=result.gate.stage, numbers=numbers)


def recorded_decision(gate: Gate, description: str, link: str, dashboard_url: str) -> GateDecision:
    """Return the decision that a commit's status records: its numbers, and its page at Sepurux, '' if it has none."""
    published, decision = parse_description(description), Decision(description.partition(" ")[0])
    numbers = {name: Reading(value) for name, value in published.numbers.items()} if published else {}
    shown = metrics.summary(numbers)
    reason = f"An earlier run evaluated this commit, and it {decision}ed{shown and f': {shown}'}."
    run = Run(sepurux_decision=decision.value, dashboard_url=dashboard_url, decision=decision, rule=Rule.RECORDED)
    run = replace(run, numbers=numbers, reason=reason)
    return GateDecision(
        gate=gate, decision=decision, rule=Rule.RECORDED, reason=reason, runs=(run,), numbers=numbers, link=link
    )
