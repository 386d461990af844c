"""The facts of a report: frozen data without Markdown. Templates turn them into text, `report_json.py` into JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from urllib.parse import urlsplit

from sepurux_action.common import number_format
from sepurux_action.config.gate import Gate
from sepurux_action.config.policy import Change
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.errors import Problem
from sepurux_action.evaluation import published_result
from sepurux_action.evaluation.approval import ApprovalStatus
from sepurux_action.evaluation.baseline import Baseline
from sepurux_action.evaluation.ci_run import ClassifiedFailure, FailingTool, merge_failures, severity_rank
from sepurux_action.evaluation.comparison import BY_THRESHOLD, MEASURES, NOT_KNOWN, Measure, change
from sepurux_action.evaluation.decision import Check, CheckState, Decision, Rule, no_decision
from sepurux_action.evaluation.drops import DROPS
from sepurux_action.evaluation.enforcement import enforce
from sepurux_action.evaluation.published_result import CommitResults, Metrics, PreviousResult
from sepurux_action.evaluation.result import GateResult, RunResult, trace_may_be_cause
from sepurux_action.report.reproduction import command_lines
from sepurux_action.report.states import BY_CHECK, BY_DECISION, WORDS, State, Words, state_of

_MEASURES = {**BY_THRESHOLD, **DROPS}
_ROW_ORDER = (
    CheckState.MISSED,
    CheckState.NO_NUMBER,
    CheckState.NOT_REPORTED,
    CheckState.WITHIN_RANGE,
    CheckState.NOT_COMPARED,
    CheckState.MET,
)
# No result because of a number, which a row shows.
_NUMBERS_COUNT = frozenset({Rule.PASS_WITHOUT_NUMBERS, Rule.NOT_COMPARED, Rule.BASE_UNREAD})
LINKED_SHA = 10  # digits of a commit in a link, enough to be unique
MAX_HOST_LENGTH = 60  # characters; the end of a host's name tells whose it is, so the start is cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The commit, the pull request, and the workflow run of a report; '' and None for what is unknown.

    `policy_changes` is what the pull request changes in the policy. `baselines` is the results on the base branch by
    the gate's name. `history` is the results of the pull request's earlier commits, the oldest first.
    """

    repository: str = ""
    commit: str = ""
    commit_url: str = ""
    run_url: str = ""
    base_url_host: str = ""
    pull_request: int | None = None
    pull_request_url: str = ""
    from_fork: bool = False
    version: str = ""
    policy_path: str = ""
    notes: tuple[str, ...] = ()
    policy_changes: tuple[Change, ...] = ()
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    base_ref: str = ""
    history: tuple[CommitResults, ...] = ()


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The address of a run in Sepurux. `host` is '' if it is the host of `base_url` (contract, section 8)."""

    url: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFacts:
    """A threshold, the result, and how that differs from the baseline (`–`: unknown).

    `final` is false while the evaluation has not ended, because its numbers may still change. `results` counts the
    baseline's results that have the number. `drop_shown`: another row shows the change, because the gate limits it.
    """

    check: Check
    change: str
    base: float | None = None
    results: int = 0
    final: bool = True
    drop_shown: bool = False

    @property
    def change_here(self) -> str:
        """Return the change, `–` if another row shows it."""
        return NOT_KNOWN if self.drop_shown else self.change

    @property
    def words(self) -> Words:
        """Return the symbol of the row."""
        return BY_CHECK[self.check.state] if self.final else WORDS[State.NO_DECISION]

    @property
    def met(self) -> bool:
        """Return whether the number meets the threshold."""
        return self.final and self.check.state is CheckState.MET

    @property
    def missed(self) -> bool:
        """Return whether the number misses the threshold."""
        return self.final and self.check.state is CheckState.MISSED


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFacts:
    """One of the several traces of a gate."""

    trace: str
    decision: Decision
    reason: str
    hint: str
    pass_rate: str
    unsafe: float
    dashboard: Dashboard | None

    @property
    def words(self) -> Words:
        """Return the symbol and the word of the decision."""
        return BY_DECISION[self.decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    """The numbers of one commit; `–` for those that are unknown. `here`: the evaluated one; `base`: one of the base."""

    commit: str
    url: str
    decision: Decision
    pass_rate: float | None
    cells: tuple[str, ...]
    here: bool = False
    base: bool = False

    @property
    def words(self) -> Words:
        """Return the symbol of the decision."""
        return BY_DECISION[self.decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A mutation category: `covered` by all traces, by some of them (`partly`), or by none."""

    name: str
    covered: bool
    partly: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """Everything that a report shows of one gate.

    `would_block`: the decision would block with `enforcement: hard`. `not_allowed` is why `on_undecided: allow` does
    not apply to a gate without a result, '' if it does or is not set. `other_numbers` are reported numbers without a
    threshold, as label and text. `failures` are groups of failures with the same severity, type, and mutation: those
    with new ones first, then the most severe; `failures_by_trace` are the same by trace. `failures_left_out` counts
    failures of kinds that were not kept, and `more_failures` is true if not all were read. `fixed` are failures of the
    base that are fixed, by trace, and `compared_with` counts the results that the failures were compared with.
    `history` is this pull request's commits, the newest first.
    """

    gate: Gate
    state: State
    decision: Decision
    blocks: bool
    would_block: bool
    not_allowed: str
    rule: Rule
    reason: str
    hint: str
    approval: ApprovalStatus | None
    worst: RunResult
    result: GateResult
    dashboard: Dashboard | None
    compared: bool
    baseline: Baseline
    thresholds: tuple[ThresholdFacts, ...] = ()
    other_numbers: tuple[tuple[str, str], ...] = ()
    pass_rate: str = NOT_KNOWN
    scenarios: float | None = None
    traces: tuple[TraceFacts, ...] = ()
    failures: tuple[ClassifiedFailure, ...] = ()
    failures_by_trace: tuple[ClassifiedFailure, ...] = ()
    failures_left_out: int = 0
    more_failures: bool = False
    fixed: tuple[ClassifiedFailure, ...] = ()
    compared_with: int = 0
    tools: tuple[FailingTool, ...] = ()
    categories: tuple[Category, ...] = ()
    history: tuple[CommitFacts, ...] = ()
    reproduction: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the gate's name."""
        return self.gate.name

    @property
    def words(self) -> Words:
        """Return the symbol and the word of the state."""
        return WORDS[self.state]

    @property
    def waited_s(self) -> float:
        """Return the seconds that the gate waited for a decision, at most its timeout."""
        return min(self.worst.elapsed_s or self.gate.timeout_s, self.gate.timeout_s)

    @property
    def remark(self) -> str:
        """Return the reason of a gate without a result, without the wait, which the title of a report shows."""
        reason, waited = self.worst.run_decision.reason, no_decision(self.waited_s)
        rest = reason.removeprefix(waited)
        if rest == reason or rest[:1] not in {".", ":", ";"}:
            return reason
        rest = rest.lstrip(".:; ")
        return rest[:1].upper() + rest[1:]

    @property
    def stage(self) -> Stage:
        """Return the stage that applies today."""
        return self.gate.stage

    @property
    def missed(self) -> tuple[ThresholdFacts, ...]:
        """Return the thresholds that are missed."""
        return tuple(row for row in self.thresholds if row.missed)

    @property
    def has_changes(self) -> bool:
        """Return whether a column of changes shows at least one."""
        return any(row.change_here != NOT_KNOWN for row in self.thresholds)

    @property
    def has_numbers(self) -> bool:
        """Return whether there is a number to show with the thresholds, or its lack is the result."""
        return any(row.final or row.check.value is not None for row in self.thresholds)

    @property
    def failed(self) -> bool:
        """Return whether the decision is `fail`."""
        return self.decision is Decision.FAIL

    @property
    def passed(self) -> bool:
        """Return whether nobody has to act: the gate passed or was skipped."""
        return self.state in {State.PASSED, State.SKIPPED}

    @property
    def unexplained(self) -> bool:
        """Return whether Sepurux decided `fail` and no threshold explains it."""
        return self.rule is Rule.DECIDED_FAIL and not self.missed

    @property
    def contradicted(self) -> bool:
        """Return whether Sepurux reported a pass, but a number misses a threshold."""
        return self.rule is Rule.PASS_CONTRADICTED

    @property
    def dropped(self) -> bool:
        """Return whether Sepurux reported a pass, but a number lies too far below the baseline."""
        return self.rule is Rule.DROPPED

    @property
    def dropped_measures(self) -> tuple[Measure, ...]:
        """Return what lies too far below the baseline."""
        return tuple(DROPS[row.check.threshold] for row in self.missed if row.check.threshold in DROPS)

    @property
    def better_results(self) -> int:
        """Return the number of results that are all better in each dropped measure; 0 if it differs between them."""
        counts = {len(self.baseline.values(measure.of)) for measure in self.dropped_measures}
        return counts.pop() if len(counts) == 1 else 0

    def failures_to_show(self, most: int) -> tuple[ClassifiedFailure, ...]:
        """Return all groups of failures. If the first `most` lack the most severe one, it comes first."""
        worst = min(self.failures, key=lambda each: severity_rank(each.severity), default=None)
        if worst is None or worst in self.failures[:most]:
            return self.failures
        return (worst, *(each for each in self.failures if each is not worst))

    @property
    def lacking(self) -> tuple[str, ...]:
        """Return the required mutation categories that are not covered."""
        return tuple(chain.from_iterable(row.check.lacking for row in self.thresholds))


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about some gates; without names, about the whole step."""

    text: str
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report on gates, the most important first, or on `problems` in the settings.

    `short` after a signal, when little time is left: the report has no details.
    """

    context: Context
    gates: tuple[GateFacts, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()
    short: bool = False

    @property
    def acting(self) -> tuple[GateFacts, ...]:
        """Return the gates that someone has to act on, because they block."""
        return tuple(gate for gate in self.gates if gate.blocks)

    @property
    def failed(self) -> tuple[GateFacts, ...]:
        """Return the gates that failed, those that block first."""
        return tuple(gate for gate in self.gates if gate.failed)

    @property
    def acting_failed(self) -> tuple[GateFacts, ...]:
        """Return the gates that failed and block."""
        return tuple(gate for gate in self.acting if gate.failed)

    @property
    def to_fix(self) -> tuple[GateFacts, ...]:
        """Return the gates that failed and block, for a reason that is known and that no approval can help."""
        return tuple(gate for gate in self.in_state(State.FAILED) if not gate.unexplained)

    @property
    def unfinished(self) -> tuple[GateFacts, ...]:
        """Return the gates without a result, those that block if any does."""
        blocking = bool(self.acting)
        return tuple(gate for gate in self.not_passed if not gate.failed and gate.blocks is blocking)

    def in_state(self, state: str) -> tuple[GateFacts, ...]:
        """Return the gates in a state."""
        return tuple(gate for gate in self.gates if gate.state == state)

    @property
    def passed(self) -> tuple[GateFacts, ...]:
        """Return the gates that passed or were skipped."""
        return tuple(gate for gate in self.gates if gate.passed)

    @property
    def not_passed(self) -> tuple[GateFacts, ...]:
        """Return the gates that neither passed nor were skipped."""
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def approvals(self) -> tuple[tuple[ApprovalStatus | None, tuple[GateFacts, ...]], ...]:
        """Return the gates that need an approval, those that need the same one together."""
        grouped: dict[ApprovalStatus | None, list[GateFacts]] = {}
        for gate in self.in_state(State.NEEDS_APPROVAL):
            grouped.setdefault(gate.approval, []).append(gate)
        return tuple((approval, tuple(gates)) for approval, gates in grouped.items())

    @property
    def without_result(self) -> tuple[tuple[GateFacts, tuple[GateFacts, ...]], ...]:
        """Return the blocking gates without a result, those for the same reason together, each with the first one."""
        grouped: dict[tuple[str, str, str], list[GateFacts]] = {}
        for gate in self.acting:
            if not gate.failed:
                grouped.setdefault((gate.state, gate.reason, gate.hint), []).append(gate)
        return tuple((gates[0], tuple(gates)) for gates in grouped.values())


def build_report(results: Sequence[GateResult], context: Context, *, short: bool = False) -> Report:
    """Return the report on one or more gates.

    A `short` report takes little time, even if the backend reported much: it leaves out what failed and the history.
    """
    gates = sorted((_gate(result, context, short=short) for result in results), key=_interest)
    return Report(context=context, gates=tuple(gates), notes=() if short else tuple(_notes(results)), short=short)


def build_settings_report(problems: Sequence[Problem], context: Context) -> Report:
    """Return the report on settings that cannot be used: every problem, and that nothing was evaluated."""
    return Report(context=context, problems=tuple(problems))


def _interest(gate: GateFacts) -> tuple[bool, int, tuple[int, bool, float]]:
    return not gate.blocks, list(State).index(gate.state), gate.result.severity_key


def _gate(result: GateResult, context: Context, *, short: bool) -> GateFacts:
    gate, worst = result.gate, result.worst
    thresholds, blocks = _thresholds(result, context), result.conclusion.blocks
    suspected, undecided = trace_may_be_cause(result.runs), result.decision in {Decision.ERROR, Decision.PENDING}
    refused = undecided and blocks and gate.on_undecided is OnUndecided.ALLOW
    facts = GateFacts(
        gate=gate,
        state=state_of(result),
        decision=result.decision,
        blocks=blocks,
        would_block=blocks
        or enforce(result.decision, Stage.HARD, gate.on_undecided, trace_may_be_cause=suspected).blocks,
        not_allowed=_why_not_allowed(worst, short=short) if refused else "",
        rule=worst.run_decision.rule,
        reason=result.reason,
        hint=worst.hint,
        approval=result.approval,
        worst=worst,
        result=result,
        dashboard=_dashboard(worst, context),
        compared=any(row.change != NOT_KNOWN for row in thresholds),
        baseline=_baseline(result, context),
        thresholds=thresholds,
        pass_rate=_pass_rate(result.combined.pass_rate.value, gate),
    )
    if short or facts.state is State.SKIPPED:
        return facts
    every = tuple(chain.from_iterable(_by_trace(run, run.enrichment.failures) for run in result.runs))
    return replace(
        facts,
        other_numbers=tuple(_other_numbers(result)),
        scenarios=worst.run.trace_count.value,
        traces=_traces(result, context),
        failures=merge_failures((replace(each, trace_id="") for each in every), len(every))[0],
        failures_by_trace=merge_failures(every, len(every))[0],
        failures_left_out=sum(run.enrichment.left_out for run in result.runs),
        more_failures=any(run.enrichment.more_failures for run in result.runs),
        fixed=tuple(chain.from_iterable(_by_trace(run, run.enrichment.fixed) for run in result.runs)),
        compared_with=sum(run.enrichment.compared_with for run in result.runs),
        tools=result.combined.top_failing_tools,
        categories=tuple(_categories(result)),
        history=_history(result, context),
        reproduction=tuple(command_lines(gate, context.base_url_host)),
    )


def _why_not_allowed(run: RunResult, *, short: bool) -> str:
    """Return why `on_undecided: allow` does not apply to a gate with this result."""
    if short:
        return "the step was cancelled"
    unread = run.run_decision.rule is Rule.BASE_UNREAD
    return "the gate uploads a trace" if unread else "the uploaded trace may be the cause"


def _by_trace(run: RunResult, failures: Iterable[ClassifiedFailure]) -> Iterable[ClassifiedFailure]:
    """Return failures of a run. An uploaded trace gets another id in each run, so its path stands for the id."""
    return (replace(failure, trace_id=run.trace) for failure in failures) if run.trace_may_be_cause else failures


def _dashboard(run: RunResult, context: Context) -> Dashboard | None:
    url = run.run.dashboard_url
    if not url:
        return None
    host = (urlsplit(url).hostname or "").lower()
    if host == context.base_url_host.lower():
        return Dashboard(url, "")
    return Dashboard(url, host if len(host) <= MAX_HOST_LENGTH else "…" + host[1 - MAX_HOST_LENGTH :])


def _baseline(result: GateResult, context: Context) -> Baseline:
    """Return what a gate is compared with; nothing if a drop of an earlier run is why it failed.

    That run was compared with the results of its time, and its reason says so.
    """
    from_earlier_run = result.worst.run_decision.rule is Rule.DROPPED and not result.drops
    return Baseline() if from_earlier_run else context.baselines.get(result.gate.name, Baseline())


def _thresholds(result: GateResult, context: Context) -> tuple[ThresholdFacts, ...]:
    """Return the thresholds, those that are missed first."""
    now, baseline = published_result.summarize(result), _baseline(result, context)
    final = result.decision in {Decision.PASS, Decision.FAIL} or result.worst.run_decision.rule in _NUMBERS_COUNT
    drops = [DROPS[check.threshold] for check in result.drops if check.value is not None]

    def row(check: Check) -> ThresholdFacts:
        measure = _MEASURES.get(check.threshold) if final else None
        if measure is None:
            return ThresholdFacts(check=check, change=NOT_KNOWN, final=final)
        is_drop = check.threshold in DROPS
        return ThresholdFacts(
            check=check,
            change=NOT_KNOWN if is_drop else change(measure, now, baseline),
            base=measure.of(baseline.medians),
            results=len(baseline.values(measure.of)),
            drop_shown=not is_drop and measure in drops,
        )

    return tuple(sorted(map(row, result.checks), key=lambda each: _ROW_ORDER.index(each.check.state)))


def _pass_rate(rate: float | None, gate: Gate) -> str:
    """Return a pass rate, with enough digits to differ from the one that is needed."""
    return NOT_KNOWN if rate is None else number_format.percent(rate, distinct_from=gate.thresholds.min_pass_rate)


def _other_numbers(result: GateResult) -> Iterable[tuple[str, str]]:
    """Yield the reported numbers without a threshold, the counts first."""
    run = result.combined
    with_threshold = {check.threshold for check in result.checks}
    for measure in sorted(MEASURES, key=lambda each: not each.counts):
        value = measure.metric(run).value
        if measure.threshold not in with_threshold and value is not None:
            text = (
                number_format.pluralize(value, measure.noun)
                if measure.counts
                else f"{measure.noun} {measure.write(value)}"
            )
            yield measure.label, text
    if run.scenario_coverage.value is not None:
        yield "Scenario coverage", f"scenario coverage {number_format.percent(run.scenario_coverage.value / 100)}"
    if run.mutation_coverage.value is not None:
        yield "Mutation coverage", f"mutation coverage {number_format.decimal(run.mutation_coverage.value)} of 100"


def _traces(result: GateResult, context: Context) -> tuple[TraceFacts, ...]:
    """Return the traces, the worst first; () if there is nothing to tell them apart by."""
    alike = {(run.decision, run.run_decision.reason, run.hint, run.run.pass_rate) for run in result.runs}
    if len(result.runs) == 1 or (len(alike) == 1 and result.worst.run.pass_rate.value is None):
        return ()
    return tuple(
        TraceFacts(
            trace=run.trace,
            decision=run.decision,
            reason=run.run_decision.reason,
            hint=run.hint,
            pass_rate=_pass_rate(run.run.pass_rate.value, result.gate),
            unsafe=run.run.unsafe_attempts.value or 0,
            dashboard=_dashboard(run, context),
        )
        for run in result.ranked
    )


def _categories(result: GateResult) -> Iterable[Category]:
    """Yield the mutation categories: those that are required and not covered, then those that a run reports."""
    if result.combined.mutation_categories is None:
        return
    required = result.gate.thresholds.required_mutation_categories
    reported = dict.fromkeys(name for run in result.runs for name in run.run.mutation_categories or ())
    covered = frozenset(result.combined.mutation_categories)
    missing = [name for name in required if name not in covered]
    for name in dict.fromkeys([*missing, *reported]):
        yield Category(
            name=name,
            covered=name in covered,
            partly=name in reported and name not in covered,
            required=name in required,
        )


def _history(result: GateResult, context: Context) -> tuple[CommitFacts, ...]:
    """Return the results of this and the earlier commits, then of the base, the newest first; () without any other."""
    name, now = result.gate.name, published_result.summarize(result)
    before = context.commit_url.removesuffix(context.commit)

    def row(commit: str, each: PreviousResult, *, here: bool = False, base: bool = False) -> CommitFacts:
        return CommitFacts(
            commit=commit,
            url=before + commit[:LINKED_SHA] if commit and before != context.commit_url else "",
            decision=each.decision,
            pass_rate=each.metrics.pass_rate,
            cells=tuple(_cells(each.metrics, result.gate)),
            here=here,
            base=base,
        )

    baseline = _baseline(result, context)
    rows = [row(context.commit, now, here=True)]
    rows += [row(each.commit, each.results[name]) for each in reversed(context.history) if name in each.results]
    rows += [row(each.commit, each.result, base=True) for each in baseline.results]
    return tuple(rows) if len(rows) > 1 else ()


def _cells(metrics: Metrics, gate: Gate) -> Iterable[str]:
    yield _pass_rate(metrics.pass_rate, gate)
    yield NOT_KNOWN if metrics.unsafe is None else number_format.count(metrics.unsafe)
    yield NOT_KNOWN if metrics.failures is None else number_format.count(metrics.failures)
    required = gate.thresholds.min_reliability_score
    yield NOT_KNOWN if metrics.score is None else number_format.score(metrics.score, distinct_from=required)


def _notes(results: Sequence[GateResult]) -> Iterable[Note]:
    """Yield each note once, with the names of its gates unless it applies to all."""
    gates_by_note: dict[str, dict[str, None]] = {}
    for result in results:
        runs = (note for run in result.runs for note in (run.run_decision.warning, *run.enrichment.notes))
        for note in filter(None, (*result.notes, *runs)):
            gates_by_note.setdefault(note, {})[result.gate.name] = None
    for note, names in gates_by_note.items():
        yield Note(note, tuple(names) if len(names) < len(results) else ())
