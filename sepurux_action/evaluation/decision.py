"""Decides a gate from its runs, its numbers, its checks, and the base, and says what follows.

Source: docs/reference.md#decisions.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sepurux_action.common import json_reader, wording
from sepurux_action.common.json_reader import Reading
from sepurux_action.common.wording import capitalized, joined
from sepurux_action.config.options import OnOutage, Stage
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation import gate_numbers, metrics
from sepurux_action.evaluation import runs as ci_runs
from sepurux_action.evaluation.gate_numbers import DROP, REQUIRED_CATEGORIES, Base, Check, CheckState, Scenario
from sepurux_action.evaluation.metrics import Metric, Numbers
from sepurux_action.evaluation.results import Result, Results, parse_description, published_numbers
from sepurux_action.evaluation.runs import Decision, Failures, Rule, Run, Runs, worst_of

EXIT_BLOCKED = 1  # a gate blocks because of a `fail`
EXIT_UNDECIDED = 2  # a gate blocks for any other reason
REPORTED = "Sepurux reported a pass"
ALL_FLAKY = "Every scenario of the gate is flaky, so no rate counts."
UNEXPLAINED_FAIL = "Sepurux decided `fail`, but no threshold that is set here explains why."
NEEDS_API_KEY = "With several traces, {min_reliability_score} needs {api_key}: without it, Sepurux shows no score."
SUMS = {metric.threshold for metric in metrics.METRICS if metric.kind is metrics.Kind.SUM}
OPTIONAL = {metrics.RELIABILITY_SCORE.threshold, metrics.MUTATION_CATEGORIES.threshold, REQUIRED_CATEGORIES}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalStatus:
    """Who approved a failed soft gate of a pull request, or who can. Once approved, only `approved_by` is given.

    `commit` is the one to approve. `anyone`: no reviewers are listed, so everyone with write access but the author can
    approve. Approvals of an older commit are `outdated`, those of others who may not approve are `ignored`. `unread`:
    the reviews, or who can approve.
    """

    commit: str = ""
    approved_by: tuple[str, ...] = ()
    can_approve: tuple[str, ...] = ()
    anyone: bool = False
    outdated: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unread: bool = False

    @property
    def approved(self) -> bool:
        return bool(self.approved_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """The decision on a gate, all that it follows from, and all that follows.

    `runs` are in the order of the traces; ids and links are those of the `worst`. `numbers` and `categories` are those
    of all runs. `checks` are the thresholds, then the drop.

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
        return gate_numbers.scenarios_of(self.gate, self.runs)

    @property
    def needs_approval(self) -> bool:
        return self.approval is not None and not self.approval.approved

    def value(self, metric: Metric) -> float | None:
        return metric.reading(self.numbers).value


def decide_gate(gate: Gate, runs: Runs, base: Base) -> GateDecision:
    """Return the decision on a gate: that of the first row of docs/reference.md#decisions that applies.

    If it is a `fail`, it stays one whatever its undecided runs will be.
    """
    scenarios = gate_numbers.scenarios_of(gate, runs)
    compared = _compared(gate, runs, scenarios, base)
    counted = [run for run in runs if not run.trace.flaky]
    # An error of a flaky run does not count, unless its unsafe attempts are not known.
    waits = (run for run in runs if not (counted and run.trace.flaky and run.decision is Decision.ERROR))
    undecided = tuple(run for run in waits if not run.decision.is_decided)
    passed, missed = bool(counted) and not undecided, compared.missed
    exceeded = gate.has_several_traces and any(check.threshold in SUMS for check in missed)
    why = "; ".join(check.text for check in missed)
    if any(run.decision is Decision.FAIL for run in counted):
        reason = f"{capitalized(why)}." if missed else UNEXPLAINED_FAIL
        return replace(compared, decision=Decision.FAIL, rule=Rule.DECIDED_FAIL, reason=reason)
    if exceeded or (missed and passed):
        reason = f"{REPORTED}, but {why}." if passed else f"{capitalized(why)}."
        return replace(compared, decision=Decision.FAIL, rule=Rule.THRESHOLD_MISSED, reason=reason)
    if undecided:
        worst = worst_of(undecided)
        checks = () if worst.decision is Decision.SKIPPED else compared.checks
        decided = replace(compared, decision=worst.decision, rule=worst.rule, hint=worst.hint, checks=checks)
        return replace(decided, reason=_reason_of(worst, runs, scenarios))
    if not counted:
        error = replace(compared, decision=Decision.ERROR, rule=Rule.NUMBER_UNKNOWN, reason=ALL_FLAKY)
        return replace(error, hint="Fix a scenario, and remove it from {flaky}.")
    if compared.value(metrics.SCENARIOS) == 0:
        error = replace(compared, decision=Decision.ERROR, rule=Rule.NUMBER_UNKNOWN, reason=f"{REPORTED} of nothing.")
        return replace(error, hint="Register scenarios in {campaign}, or give {trace_file}, then {rerun}.")
    if unknown := _error_of(compared, base):
        return unknown
    parts = [
        metrics.summary(compared.numbers),
        *(check.text for check in compared.checks if check.state is not CheckState.MET),
    ]
    reason = f"{capitalized(joined('; ', *parts) or REPORTED)}."
    return replace(compared, decision=Decision.PASS, rule=Rule.DECIDED_PASS, reason=reason)


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


def _reason_of(worst: Run, runs: Runs, scenarios: Sequence[Scenario]) -> str:
    """Return the reason of a run, with the scenarios that have the same one, unless all have."""
    alike = [run for run in runs if (run.decision, run.rule, run.reason) == (worst.decision, worst.rule, worst.reason)]
    if len(alike) == len(runs):
        return worst.reason
    names = [json_reader.preview(each.name) for each in scenarios if any(run in alike for run in each.recordings)]
    return joined(": ", wording.listed(names), worst.reason)


def _error_of(compared: GateDecision, base: Base) -> GateDecision | None:
    """Return the error of a gate that lacks a number which it needs; None if it lacks none.

    With one run, a number that is not reported counts as met if its threshold is one of `OPTIONAL`.
    """
    several, unknown = compared.gate.has_several_traces, dict[str, str]()
    for check in compared.checks:
        is_needed = several or check.threshold not in OPTIONAL
        if check.state is CheckState.NO_NUMBER or (check.state is CheckState.NOT_REPORTED and is_needed):
            unknown[check.threshold] = check.text
    if not unknown:
        return None
    error = replace(
        compared, decision=Decision.ERROR, rule=Rule.NUMBER_UNKNOWN, hint=ci_runs.STILL_MISSING.format("number")
    )
    if base.results is None and DROP in unknown:
        reason = f"{REPORTED}, but {unknown[DROP]}."
        return replace(error, rule=Rule.BASE_UNREAD, reason=reason, hint=base.hint)
    missing = "; ".join(dict.fromkeys(unknown.values()))
    not_shown = any(metrics.RELIABILITY_SCORE.reading(run.numbers).missing for run in compared.runs)
    if several and not_shown and metrics.RELIABILITY_SCORE.threshold in unknown:
        error = replace(error, hint=NEEDS_API_KEY)
    return replace(error, reason=f"{REPORTED} without a number that a threshold needs ({missing}).")


def is_blocking(decision: Decision, stage: Stage, *, approved: bool = False) -> bool:
    """Return whether a gate with this decision blocks. Only a soft gate that failed can be `approved`, by a review."""
    return decision not in {Decision.PASS, Decision.SKIPPED} and stage is not Stage.OBSERVE and not approved


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


def result_to_keep(result: GateDecision, *, origin: tuple[str, ...], commit: str) -> Result:
    """Return the result of a gate that passed or failed, without ambiguous names."""
    names = Counter(each.key for each in result.scenarios)
    kept = tuple(gate_numbers.scenario_to_keep(each) for each in result.scenarios if each.key and names[each.key] == 1)
    return replace(summarize(result), origin=origin, commit=commit, scenarios=kept)


def compare_with_base(decided: GateDecision, results: Results) -> GateDecision:
    """Return a decision with the failures of its scenarios, and what the base's results say of those of traces."""
    scenarios, missing = decided.scenarios, tuple[str, ...]()
    if decided.gate.names_traces:
        here = {trace.scenario[1] for trace in decided.gate.traces}
        scenarios = tuple(gate_numbers.compare_scenario(each, results) for each in scenarios)
        missing = tuple(each.name for result in results[:1] for each in result.scenarios if each.name not in here)
    failures = ci_runs.merge_failures(failure for each in scenarios for failure in each.failures)
    return replace(decided, scenarios=scenarios, failures=failures, scenarios_missing=missing)


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
