"""The facts of a report: frozen data without Markdown. Templates turn them into text, `report_json.py` into JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Annotated, Self
from urllib.parse import urlsplit

from sepurux_action.common import number_format
from sepurux_action.config.command_line import at_source, command_lines
from sepurux_action.config.policy import Change, PolicyNote
from sepurux_action.config.stage import OnUndecided, Stage
from sepurux_action.errors import Problem
from sepurux_action.evaluation import metrics, published_result
from sepurux_action.evaluation.checks import REQUIRED_CATEGORIES, Check, CheckState
from sepurux_action.evaluation.ci_run import FailingTool
from sepurux_action.evaluation.decision import SEE_THE_RUN, UNEXPLAINED_FAIL, Decision, Rule
from sepurux_action.evaluation.drops import DROPS, Baseline
from sepurux_action.evaluation.enforcement import enforce
from sepurux_action.evaluation.failures import ClassifiedFailure, merge_failures
from sepurux_action.evaluation.published_result import CommitResults, PreviousResult
from sepurux_action.evaluation.result import GateResult, summarize
from sepurux_action.evaluation.runs import NOT_READ, RunResult, Scenario, WhatFailed, WorkflowRun, severity_key

# No result because of a number, which a row shows.
_NUMBERS_COUNT = frozenset({Rule.NUMBER_UNKNOWN, Rule.BASE_UNREAD})
SHORT_SHA = 7  # digits, as GitHub shows a commit
DAY_S = 86_400
LINKED_SHA = 10  # digits of a commit in a link, enough to be unique
MAX_HOST_LENGTH = 60  # characters; the end of a host's name shows whose it is, so the start is cut


class CaseState(StrEnum):
    """The state of a test case in JUnit XML. All but `passed` are the name of an element."""

    PASSED = "passed"
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


class State(StrEnum):
    """What a reader has to know about a gate first; the order is that of the reader's interest.

    `symbol` is shown in Markdown, `mark` in a log or a terminal, `word` in a table, `ending` after the name in a title,
    and `case` in JUnit XML.
    """

    symbol: str
    mark: str
    word: str
    ending: str
    case: CaseState

    def __new__(cls, value: str, case: CaseState, *words: str) -> Self:
        state = str.__new__(cls, value)
        state._value_, state.case = value, case
        state.symbol, state.mark, state.word, state.ending = words
        return state

    FAILED = "failed", CaseState.FAILURE, "❌", "✗", "failed", "failed"
    NEEDS_APPROVAL = "needs_approval", CaseState.FAILURE, "✋", "✗", "needs an approval", "failed"
    NO_RESULT = "no_result", CaseState.ERROR, "❗", "!", "no result", "no result"
    CANCELLED = "cancelled", CaseState.ERROR, "❗", "!", "cancelled", "cancelled"
    NO_DECISION = "no_decision", CaseState.ERROR, "⏳", "…", "no decision", "no decision"
    NOT_BLOCKING = "not_blocking", CaseState.FAILURE, "⚠️", "✗", "failed", "failed"
    PASSED = "passed", CaseState.PASSED, "✅", "✓", "passed", "passed"
    SKIPPED = "skipped", CaseState.SKIPPED, "⏭️", "-", "skipped", "skipped"


BY_DECISION = {
    Decision.FAIL: State.FAILED,
    Decision.ERROR: State.NO_RESULT,
    Decision.PENDING: State.NO_DECISION,
    Decision.PASS: State.PASSED,
    Decision.SKIPPED: State.SKIPPED,
}
BY_CHECK = {  # in the order of the rows of a table
    CheckState.MISSED: State.FAILED,
    CheckState.NO_NUMBER: State.NO_RESULT,
    CheckState.NOT_REPORTED: State.NO_RESULT,
    CheckState.WITHIN_RANGE: State.NOT_BLOCKING,
    CheckState.NOT_COMPARED: State.NO_DECISION,
    CheckState.MET: State.PASSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The commit, the pull request, and the workflow run of a report; '' and None for what is unknown."""

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
    notes: tuple[PolicyNote, ...] = ()
    policy_changes: tuple[Change, ...] = ()  # by the pull request
    baselines: Mapping[str, Baseline] = field(default_factory=dict)  # by the gate's name
    base_ref: str = ""
    committed: float | None = None
    history: tuple[CommitResults, ...] = ()  # of the pull request's earlier commits, the oldest first
    policy_ref: str = ""  # the commit or branch of the policy file that has the problems
    on_command_line: bool = False

    def page(self, path: str) -> str:
        """Return the address of a page of the repository, '' if it is not known."""
        of_commit = f"/commit/{self.commit}"
        return self.commit_url.removesuffix(of_commit) + path if self.commit_url.endswith(of_commit) else ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The address of a run in Sepurux. `host` is '' if it is the host of `base_url` (docs/security.md)."""

    url: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFacts:
    """A threshold, the result, and the median of the baseline. `difference` is the number minus this median."""

    check: Check
    state: State
    base: float | None = None
    difference: float | None = None

    @property
    def is_drop(self) -> bool:
        return self.check.threshold in DROPS

    @property
    def base_cell(self) -> str:
        """Return the median for a table, '' if it is not known or another row shows it."""
        metric = metrics.BY_OPTION.get(self.check.threshold, metrics.SCENARIOS)
        if self.base is None or self.is_drop:
            return ""
        return metric.format.write(self.base, self.check.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFacts:
    """One of several scenarios. `reason` and `hint` are '' unless it has no decision, and they are not the gate's."""

    name: str
    state: State
    failures: tuple[ClassifiedFailure, ...]
    reason: str
    hint: str
    pass_rate: str
    unsafe: float
    recordings: int
    base: str
    dashboard: Dashboard | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorseScenario:
    """A scenario with a lower pass rate than in every result of the base that has it."""

    name: str
    pass_rate: str
    base: str
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    """The numbers of one commit, '' for those that are unknown. `here`: the evaluated one; `base`: one of the base.

    The row of the base without a commit has the median of each number.
    """

    commit: str
    url: str
    state: State
    pass_rate: float | None
    cells: tuple[str, ...]
    here: bool = False
    base: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A mutation category."""

    name: Annotated[str, "Name of the category."]
    covered: Annotated[bool, "Whether a CI run covers it."]
    required: Annotated[bool, "Whether the gate requires it."] = False


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class GateFacts(GateResult):
    """The result of a gate, with what a report shows of it: the details only if it is neither `short` nor skipped."""

    context: Context
    short: bool = False

    @property
    def name(self) -> str:
        return self.gate.name

    @cached_property
    def state(self) -> State:
        if self.needs_approval:
            return State.NEEDS_APPROVAL
        if self.failed and not self.blocks:
            return State.NOT_BLOCKING
        if self.rule is Rule.CANCELLED:
            return State.CANCELLED
        return BY_DECISION[self.decision]

    @property
    def failed(self) -> bool:
        return self.decision is Decision.FAIL

    @property
    def skipped(self) -> bool:
        return self.decision is Decision.SKIPPED

    @property
    def passed(self) -> bool:
        return self.skipped or self.decision is Decision.PASS

    @cached_property
    def would_block(self) -> bool:
        suspect = self.decided.is_suspect
        hard = enforce(self.decision, Stage.HARD, self.gate.on_undecided, trace_may_be_cause=suspect)
        return self.blocks or hard

    @property
    def not_allowed(self) -> str:
        """Return why `on_undecided: allow` does not apply to a gate without a result, '' if it does or is not set."""
        allows = self.gate.on_undecided is OnUndecided.ALLOW and not self.invalid_policy
        if not (self.decision.is_undecided and self.blocks and allows):
            return ""
        if self.short:
            return "the step was cancelled"
        if self.rule is Rule.RECORD_UNREAD:
            return "an earlier run may have failed"
        unread = self.rule is Rule.BASE_UNREAD
        return "the gate uploads a trace" if unread else "the uploaded trace may be the cause"

    @property
    def ending(self) -> str:
        if self.failed and self.missed:
            return f"{self.state.ending}: {self.missed_of_all}"
        if self.recorded and (numbers := metrics.summary(self.numbers.numbers)):
            return f"{self.state.ending}: {numbers}"
        waited_s = min(self.worst.elapsed_s or self.gate.timeout_s, self.gate.timeout_s)
        waited = self.decision is Decision.PENDING
        return f"no decision after {number_format.duration(waited_s)}" if waited else self.state.ending

    @property
    def word(self) -> str:
        if self.blocks or self.passed:
            return self.state.word
        if self.approval:
            return "approved"
        return f"{self.state.word} ({self.allowed_by.partition(': ')[2]})"

    @property
    def follows(self) -> str:
        """Return what follows from a gate that did not pass, in a log or on a terminal."""
        if self.passed or self.needs_approval:
            return "needs an approval" if self.needs_approval else ""
        return "blocks" if self.blocks else "approved" if self.approval else "does not block"

    @property
    def allowed_by(self) -> str:
        """Return the setting because of which a gate that did not pass does not block, if no one approved it."""
        return "enforcement: observe" if self.gate.stage is Stage.OBSERVE else "on_undecided: allow"

    @property
    def continued(self) -> WorkflowRun | None:
        """Return the workflow run that started an evaluation which this one polled on."""
        return None if self.recorded else next((run.earlier for run in self.runs if run.earlier), None)

    @property
    def evaluated_by(self) -> str:
        """Return the page of the earlier workflow run that found the `fail`, or that started the evaluation, or ''."""
        earlier = self.recorded.run if self.recorded else self.continued
        return earlier.url if earlier else ""

    @property
    def acts_as_hard(self) -> bool:
        return self.gate.stage is Stage.SOFT and self.approval is None and not self.short

    @property
    def remark(self) -> str:
        """Return the reason of a gate without a result, without what the title of a report shows."""
        return "" if self.state is State.CANCELLED else self.decided.detail

    @property
    def unevaluated(self) -> bool:
        """Return whether no poll showed a result, which is not the agent's doing."""
        return self.decision is Decision.ERROR and self.rule is Rule.NOT_POLLED

    @property
    def dashboard(self) -> Dashboard | None:
        return self._dashboard_of(self.worst)

    def _dashboard_of(self, run: RunResult) -> Dashboard | None:
        url = run.run.dashboard_url
        if not url:
            return None
        host = (urlsplit(url).hostname or "").lower()
        if host == self.context.base_url_host.lower():
            return Dashboard(url, "")
        return Dashboard(url, host if len(host) <= MAX_HOST_LENGTH else "…" + host[1 - MAX_HOST_LENGTH :])

    # -- the numbers ------------------------------------------------------------------------------------------------

    @property
    def baseline(self) -> Baseline:
        """Return what the gate is compared with: the base may have other results by now than for an earlier drop."""
        return Baseline() if self._by_earlier_drop else self.context.baselines.get(self.name, Baseline())

    @property
    def _by_earlier_drop(self) -> bool:
        return bool(self.recorded) and any(check.threshold in DROPS for check in self.decided.missed)

    @property
    def final(self) -> bool:
        """Return whether the numbers count. While the evaluation has not ended, they may still change."""
        return self.decision.is_decided or self.rule in _NUMBERS_COUNT

    @cached_property
    def rows(self) -> tuple[ThresholdFacts, ...]:
        """Return the thresholds, and without one for scenarios, their number if it is smaller than the baseline's."""
        now, baseline, final = published_result.published_numbers(self.numbers, self.gate), self.baseline, self.final

        def row(check: Check) -> ThresholdFacts:
            metric = metrics.BY_OPTION.get(check.threshold)
            state = BY_CHECK[check.state] if final else State.NO_DECISION
            if metric is None or not final:
                return ThresholdFacts(check=check, state=state)
            value = None if check.threshold == metric.drop else now.get(metric.name)
            return ThresholdFacts(
                check=check,
                state=state,
                base=baseline.median(metric),
                difference=baseline.difference(metric, value),
            )

        rows = [*map(row, self.checks), *self._fewer_scenarios()]
        return tuple(sorted(rows, key=lambda each: list(BY_CHECK).index(each.check.state)))

    def _fewer_scenarios(self) -> Iterable[ThresholdFacts]:
        count, base = self.scenario_count, self.baseline.median(metrics.SCENARIOS)
        limited = metrics.SCENARIOS.threshold in self.gate.limits
        if self.final and not limited and count is not None and base is not None and count < base:
            check = Check(
                threshold="",
                metric=metrics.SCENARIOS.name,
                label=metrics.SCENARIOS.label,
                required=metrics.NOT_KNOWN,
                actual=number_format.count(count),
                state=CheckState.WITHIN_RANGE,
                limit=0,
            )
            yield ThresholdFacts(check=check, state=State.NOT_BLOCKING, base=base)

    @property
    def thresholds(self) -> tuple[ThresholdFacts, ...]:
        return tuple(row for row in self.rows if row.check.threshold)

    @property
    def missed(self) -> tuple[ThresholdFacts, ...]:
        return tuple(row for row in self.thresholds if row.state is State.FAILED)

    @property
    def met(self) -> tuple[ThresholdFacts, ...]:
        return tuple(row for row in self.thresholds if row.state is State.PASSED)

    @property
    def missed_of_all(self) -> str:
        return f"{len(self.missed)} of {number_format.pluralize(len(self.thresholds), 'threshold')} missed"

    @property
    def has_base(self) -> bool:
        return any(row.base_cell for row in self.rows)

    @property
    def has_numbers(self) -> bool:
        """Return whether there is a number to show with the thresholds, or its lack is the result."""
        return any(self.final or row.check.value is not None for row in self.rows)

    @property
    def pass_rate(self) -> str:
        return self._text_of(metrics.PASS_RATE, self.numbers.value(metrics.PASS_RATE))

    def _text_of(self, metric: metrics.Metric, value: float | None) -> str:
        """Return a number with enough digits to differ from its threshold, '' if it is unknown."""
        limit = self.gate.limits.get(metric.threshold)
        return "" if value is None else metric.format.write(value, limit)

    @property
    def lacking(self) -> tuple[str, ...]:
        return tuple(chain.from_iterable(row.check.lacking for row in self.thresholds))

    @property
    def not_covered(self) -> str:
        """Return what to do if required mutation categories are all that the gate misses, '' otherwise."""
        if not self.lacking or len(self.missed) > 1:
            return ""
        names, it = " and no ".join(f'"{each}"' for each in self.lacking), "them" if self.lacking[1:] else "it"
        remedy = f"Register a scenario for {it} at Sepurux, or remove {it} from `{REQUIRED_CATEGORIES}`."
        return f"The campaign covers no {names}. {at_source(remedy, self.gate)}"

    @property
    def only_small(self) -> bool:
        """Return whether the gate misses nothing but its number of scenarios."""
        return [row.check.threshold for row in self.missed] == [metrics.SCENARIOS.threshold]

    @property
    def explained_by_failures(self) -> bool:
        """Return whether what failed is the reason: the reason is known, and it is not one of the settings."""
        known = bool(self.missed) or self.rule is not Rule.DECIDED_FAIL
        return known and not (self.only_small or self.not_covered)

    def base_range(self, row: ThresholdFacts) -> tuple[str, ...]:
        """Return the lowest and the highest result of the base, and their number, of what a drop limits."""
        metric = DROPS[row.check.threshold]
        values = self.baseline.values(metric)
        ends = (metric.format.write(each, None) for each in (min(values), max(values))) if values else ("", "")
        return (metric.noun, *ends, str(len(values)))

    @property
    def explanation(self) -> str:
        """Return why the gate failed, if its thresholds do not say it."""
        match self.rule:
            case Rule.DECIDED_FAIL if not self.missed:
                run_id = self.worst.run_id
                ask = SEE_THE_RUN if self.dashboard else f"Ask Sepurux about run `{run_id}`." if run_id else ""
                return f"{self.decided.detail or UNEXPLAINED_FAIL} {ask}"
            case Rule.THRESHOLD_MISSED if self._by_earlier_drop:
                return self.reason
            case Rule.THRESHOLD_MISSED:
                return " ".join(filter(None, (_drops(self), self._reported_pass, self.hint)))
            case Rule.FAILED_TWICE if self.recorded:
                return self.reason
            case _:
                return ""

    @property
    def _reported_pass(self) -> str:
        if self.gate.has_several_traces:
            all_passed = all(run.decision is Decision.PASS for run in self.runs)
            return "Sepurux itself reported a pass for each trace." if all_passed else ""
        sent = any(row.check.threshold in self.gate.thresholds for row in self.missed)
        why = ", although this number misses the threshold" if sent else ": it does not know this threshold"
        return f"Sepurux itself reported a pass{why}."

    @property
    def dropped(self) -> bool:
        """Return whether a number lies too far below the baseline, or what an earlier run compared did."""
        return any(row.is_drop for row in self.missed) or (self.rule is Rule.THRESHOLD_MISSED and not self.missed)

    # -- the details ------------------------------------------------------------------------------------------------

    @property
    def _detailed(self) -> bool:
        return not (self.short or self.skipped)

    @cached_property
    def found(self) -> WhatFailed:
        """Return what further calls found: groups of failures, new ones first, then the most severe."""
        return self.what_failed if self._detailed else WhatFailed()

    @cached_property
    def failures(self) -> tuple[ClassifiedFailure, ...]:
        return _groups(self.found.failures)

    @cached_property
    def failed_scenarios(self) -> tuple[Scenario, ...]:
        return tuple(each for each in self.found.scenarios if each.failed)

    @property
    def in_scenarios(self) -> str:
        """Return in how many of several scenarios something failed, '' if it is not known."""
        failed, every, count = self.failed_scenarios, self.found.scenarios, self.scenario_count
        if not failed or count is None or count < max(2, len(every)):
            return ""
        least = "at least " if any(each.incomplete and not each.failed for each in every) else ""
        return f"in {least}{len(failed)} of {number_format.pluralize(count, 'scenario')}"

    @cached_property
    def _names_of_scenarios(self) -> Mapping[tuple[object, ...], Sequence[str]]:
        names: dict[tuple[object, ...], list[str]] = {}
        for scenario in self.failed_scenarios if self.in_scenarios else ():
            for group in _groups(scenario.failures):
                names.setdefault(group.kind, []).append(scenario.name)
        return names

    def scenarios_with(self, group: ClassifiedFailure) -> Sequence[str]:
        """Return the names of the scenarios with failures of a group, the worst first; () if there is only one."""
        return self._names_of_scenarios.get(group.kind, ())

    @property
    def tools(self) -> tuple[FailingTool, ...]:
        return self.numbers.top_failing_tools if self._detailed else ()

    @property
    def commits_without_rate(self) -> tuple[str, ...]:
        return tuple(row.commit[:SHORT_SHA] for row in self.history if row.commit and row.pass_rate is None)

    @property
    def by_sandbox(self) -> bool:
        """Return whether the failures are by the rules of the sandbox (docs/platforms.md#the-rules-of-the-sandbox)."""
        return bool(self.failures) and self.worst.run.sandbox

    @property
    def unread(self) -> tuple[int, int] | None:
        """Return how many failures, and of how many scenarios, were not read or not kept; None if all were."""
        failures, scenarios = self.found.unread_failures + self.found.left_out, self.found.unread_scenarios
        return (failures, scenarios) if failures or scenarios else None

    @property
    def unlisted(self) -> bool:
        """Return whether there may be failures that the report does not list."""
        return bool(self.unread or (self.recorded and not self.recorded.run))

    @property
    def scenario_count(self) -> float | None:
        return self.numbers.value(metrics.SCENARIOS)

    @property
    def old_traces(self) -> tuple[str, ...]:
        """Return the uploaded traces whose newest event is more than a day older than the commit."""
        committed = self.context.committed
        times = ((trace.label, trace.recorded) for trace in self.gate.traces if self._detailed)
        return tuple(
            label for label, at in times if at is not None and committed is not None and at + DAY_S < committed
        )

    @property
    def reproduction(self) -> tuple[str, ...]:
        return tuple(command_lines(self.gate, self.context.base_url_host)) if self._detailed else ()

    @property
    def other_numbers(self) -> tuple[str, ...]:
        """Return the reported numbers without a threshold, the counts first."""
        shown = {
            metrics.MUTATION_CATEGORIES.threshold,
            metrics.SCENARIOS.threshold,
            metrics.LOWEST_SCENARIO.threshold,
            *(check.threshold for check in self.checks),
        }  # with their names
        others = [metric for metric in metrics.METRICS if metric.threshold not in shown and self._detailed]
        others.sort(key=lambda metric: not metric.format.whole)
        known = ((metric, self.numbers.value(metric)) for metric in others)
        return tuple(metric.named(value) for metric, value in known if value is not None)

    @cached_property
    def scenarios(self) -> tuple[ScenarioFacts, ...]:
        """Return the scenarios that did not pass, the worst first; () if there is only one, or all have one reason."""
        every = self.found.scenarios
        runs = [each for scenario in every for each in scenario.recordings]
        alike = len({(each.decision, each.run_decision.reason) for each in runs}) == 1
        if len(every) == 1 or (alike and not runs[0].decision.is_decided):
            return ()
        facts = (self._scenario(each) for each in every if _state_of(each) is not State.PASSED)
        return tuple(sorted(facts, key=_failed_first))

    @property
    def scenarios_passed(self) -> str:
        """Return how many of several scenarios passed, `10 of 12 scenarios passed`, '' if their number is not known."""
        count, every = self.scenario_count, self.found.scenarios
        if not self.scenarios or count is None or count != len(every):
            return ""
        passed = sum(each.read and _state_of(each) is State.PASSED for each in every)
        return f"{passed} of {number_format.pluralize(count, 'scenario')} passed"

    def _scenario(self, scenario: Scenario) -> ScenarioFacts:
        undecided = _undecided(scenario)
        worst = min(scenario.recordings, key=lambda run: severity_key(run.decision, run.run))
        reason = undecided.run_decision.reason if undecided else ""
        shown = reason and (self.failed or reason != self.decided.detail)
        clause = reason[:1].lower() + reason[1:] if worst.decision is Decision.PENDING else reason
        return ScenarioFacts(
            name=scenario.name,
            state=_state_of(scenario),
            failures=_groups(scenario.failures),
            reason=clause.removesuffix(".") if shown else "",
            hint=undecided.hint if undecided and shown else "",
            pass_rate=self._text_of(metrics.PASS_RATE, scenario.value(metrics.PASS_RATE)),
            unsafe=scenario.value(metrics.UNSAFE_ATTEMPTS) or 0,
            recordings=len(scenario.recordings),
            base=self.rate_on_base(scenario),
            dashboard=self._dashboard_of(worst),
        )

    def rate_on_base(self, scenario: Scenario) -> str:
        """Return the mean pass rate on the base, `100% (4 results)`, '' if it is not known."""
        rate = scenario.base.pass_rate
        if rate is None:
            return ""
        shown = self._text_of(metrics.PASS_RATE, metrics.PASS_RATE.rounded(rate))
        return f"{shown} ({number_format.pluralize(scenario.base.results, 'result')})"

    @property
    def got_worse(self) -> tuple[WorseScenario, ...]:
        """Return the scenarios whose pass rate is lower than in every result of the base, the largest loss first."""
        lower = (
            WorseScenario(
                name=each.name,
                pass_rate=self._text_of(metrics.PASS_RATE, each.rate),
                base=self.rate_on_base(each),
                loss=each.base.pass_rate - each.rate,
            )
            for each in self.found.scenarios
            if each.rate is not None and each.base.pass_rate is not None and each.rate < min(each.base.rates)
        )
        return tuple(sorted(lower, key=lambda each: -each.loss))

    @property
    def low_scenario(self) -> tuple[str, str] | None:
        """Return name and pass rate of the lowest of several scenarios of a gate that passed, if it is below its limit.

        None if `min_scenario_pass_rate` is set, which would say so.
        """
        limit = self.gate.limits.get(metrics.PASS_RATE.threshold)
        rates = sorted((rate, each.name) for each in self.found.scenarios if (rate := each.rate) is not None)
        limited = metrics.LOWEST_SCENARIO.threshold in self.gate.limits
        if self.decision is not Decision.PASS or limited or limit is None or len(rates) <= 1 or rates[0][0] >= limit:
            return None
        rate, name = rates[0]
        return name, self._text_of(metrics.PASS_RATE, rate)

    @property
    def categories(self) -> tuple[Category, ...]:
        """Return the mutation categories: those that are required and not covered, then those that a run reports."""
        if self.numbers.mutation_categories is None or not self._detailed:
            return ()
        required, covered = self.gate.required_mutation_categories, frozenset(self.numbers.mutation_categories)
        reported = dict.fromkeys(self.numbers.mutation_categories)
        return tuple(
            Category(name=name, covered=name in covered, required=name in required)
            for name in dict.fromkeys([*(name for name in required if name not in covered), *reported])
        )

    @property
    def reported_categories(self) -> tuple[Category, ...]:
        """Return the categories without those that are listed as not covered."""
        return tuple(each for each in self.categories if each.covered)

    @cached_property
    def history(self) -> tuple[CommitFacts, ...]:
        """Return the results of this and the earlier commits, then of the base, the newest first."""
        context, name = self.context, self.name
        if not self._detailed:
            return ()
        results = self.baseline.results
        rows = [self._commit(context.commit, summarize(self), here=True)]
        earlier = (each for each in reversed(context.history) if name in each.results)
        rows += [self._commit(each.commit, each.results[name]) for each in earlier]
        rows += [self._commit(each.commit, each.result, base=True) for each in results]
        if len(results) > 1:
            medians = ((metric.name, self.baseline.median(metric)) for metric in metrics.LISTED)
            numbers = {name: median for name, median in medians if median is not None}
            rows.append(self._commit("", replace(results[0].result, numbers=numbers), base=True))
        return tuple(rows) if len(rows) > 1 else ()

    def _commit(self, commit: str, result: PreviousResult, *, here: bool = False, base: bool = False) -> CommitFacts:
        before = self.context.commit_url.removesuffix(self.context.commit)
        return CommitFacts(
            commit=commit,
            url=before + commit[:LINKED_SHA] if commit and before != self.context.commit_url else "",
            state=BY_DECISION[result.decision],
            pass_rate=result.value(metrics.PASS_RATE),
            cells=tuple(self._text_of(metric, result.value(metric)) for metric in metrics.LISTED),
            here=here,
            base=base,
        )


@dataclass(frozen=True, slots=True)
class Note:
    """A remark."""

    text: Annotated[str, "The sentence."]
    gates: Annotated[tuple[str, ...], "Names of the gates that it is about, empty for all."] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report on gates, the most important first, or on `problems` in the settings; `short` after a signal.

    With gates, the problems are those that the pull request brings into the policy file.
    """

    context: Context
    gates: tuple[GateFacts, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()
    short: bool = False

    @property
    def acting(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.blocks)

    @property
    def failed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.failed)

    @property
    def to_fix(self) -> tuple[GateFacts, ...]:
        """Return the gates that failed and block, for a known reason that the agent can help and no approval can."""
        return tuple(gate for gate in self._explained if gate.gate.uploads_traces)

    @property
    def to_correct(self) -> tuple[GateFacts, ...]:
        """Return the gates that failed and block in the same way, but whose registered traces no push changes."""
        return tuple(gate for gate in self._explained if not gate.gate.uploads_traces)

    @property
    def _explained(self) -> Iterable[GateFacts]:
        return (gate for gate in self.in_state(State.FAILED) if gate.explained_by_failures)

    @property
    def registered(self) -> tuple[GateFacts, ...]:
        """Return the gates whose result a push to the pull request does not change."""
        there = self.context.pull_request is not None and not self.short
        decided = (gate for gate in self.gates if gate.decision.is_decided and not gate.skipped)
        return tuple(gate for gate in decided if there and not gate.gate.uploads_traces)

    @property
    def without_calls(self) -> tuple[GateFacts, ...]:
        """Return the gates whose traces call no tool."""
        return tuple(gate for gate in self.gates if gate.gate.calls_no_tool and not (gate.skipped or self.short))

    @property
    def unfinished(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.not_passed if not gate.failed)

    def in_state(self, state: str) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.state == state)

    @property
    def passed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.passed)

    @property
    def not_passed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def approvals(self) -> Sequence[Sequence[GateFacts]]:
        return _grouped(self.in_state(State.NEEDS_APPROVAL), lambda gate: gate.approval)

    @property
    def without_result(self) -> Sequence[Sequence[GateFacts]]:
        without = (gate for gate in self.acting if not (gate.failed or gate.passed))
        return _grouped(without, lambda gate: (gate.state, gate.reason, gate.hint))


def build_report(results: Sequence[GateResult], context: Context, *, short: bool = False) -> Report:
    """Return the report on gates. A `short` one takes little time: it leaves out what failed and the history."""
    names = [field.name for field in fields(GateResult)]
    facts = (
        GateFacts(**{name: getattr(result, name) for name in names}, context=context, short=short) for result in results
    )
    gates = tuple(sorted(facts, key=lambda gate: (not gate.blocks, list(State).index(gate.state), gate.severity_key)))
    return Report(context=context, gates=gates, notes=() if short else tuple(_notes(results)), short=short)


def _grouped(gates: Iterable[GateFacts], key: Callable[[GateFacts], object]) -> list[list[GateFacts]]:
    groups: dict[object, list[GateFacts]] = {}
    for gate in gates:
        groups.setdefault(key(gate), []).append(gate)
    return list(groups.values())


def _groups(failures: Iterable[ClassifiedFailure]) -> tuple[ClassifiedFailure, ...]:
    """Return failures by severity, type, and mutation, without their traces."""
    return merge_failures(replace(each, trace_id="") for each in failures)[0]


def _drops(gate: GateFacts) -> str:
    lower = [DROPS[row.check.threshold] for row in gate.missed if row.is_drop]
    if not lower:
        return ""
    names, are = " and the ".join(metric.noun for metric in lower), "are" if lower[1:] else "is"
    counts = {len(gate.baseline.values(metric)) for metric in lower}
    results = f"last {counts.pop()} results" if len(counts) == 1 else "last results"
    where = f" on `{gate.context.base_ref}`" if gate.context.base_ref else ""
    return f"The {names} {are} lower than in each of the {results}{where}."


def _state_of(scenario: Scenario) -> State:
    if scenario.failed:
        return State.FAILED
    undecided = _undecided(scenario)
    return BY_DECISION[undecided.decision] if undecided else State.PASSED


def _undecided(scenario: Scenario) -> RunResult | None:
    """Return the recording without a decision that matters most, None if each has one or was not read."""
    runs = (run for run in scenario.recordings if run.run_decision != NOT_READ and not run.decision.is_decided)
    return min(runs, key=lambda run: run.decision.rank, default=None)


def _failed_first(scenario: ScenarioFacts) -> int:
    return list(State).index(scenario.state)


def _notes(results: Sequence[GateResult]) -> Iterable[Note]:
    """Yield each note once, with the names of its gates unless it applies to all."""
    gates_by_note: dict[str, dict[str, None]] = {}
    for result in results:
        for note in (*result.notes, *result.what_failed.notes):
            gates_by_note.setdefault(note, {})[result.gate.name] = None
    for note, names in gates_by_note.items():
        yield Note(note, tuple(names) if len(names) < len(results) else ())
