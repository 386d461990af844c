"""A report: frozen data without Markdown. Templates turn it into text, `report_json.py` into JSON."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import itemgetter
from typing import Annotated
from urllib.parse import urlsplit

from sepurux_action.common import grouped, wording
from sepurux_action.config.command_line import command_lines
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import Change
from sepurux_action.errors import Problem
from sepurux_action.evaluation.decision import GateDecision, is_blocking, without_failures
from sepurux_action.evaluation.gate_numbers import DROP, Scenario
from sepurux_action.evaluation.metrics import FAILURES, PASS_RATE, RELIABILITY_SCORE, SCENARIOS, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.published_result import Results
from sepurux_action.evaluation.runs import Decision, Failure, Failures, Rule, Run, merge_failures, worst_of
from sepurux_action.report.thresholds import BY_DECISION, Row, State, is_final, rows_of_table, written

SHORT_SHA = 7  # digits, as GitHub shows a commit
MAX_HOST_LENGTH = 60  # characters; the end of a host's name shows whose it is, so the start is cut
DAY_S = 86_400
MOST_REPEATED = 10  # traces in a command line


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
    version: str = ""
    policy_path: str = ""
    policy_changes: tuple[Change, ...] = ()  # by the pull request
    base_results: Mapping[str, Results] = field(default_factory=dict)  # by the gate's name
    base_ref: str = ""
    committed: float | None = None
    on_command_line: bool = False

    def page(self, path: str) -> str:
        """Return the address of a page of the repository, '' if it is not known."""
        repository = self.commit_url.removesuffix(f"/commit/{self.commit}")
        return "" if repository == self.commit_url else repository + path

    def other_host(self, url: str) -> str:
        """Return the host of a run's page in Sepurux, '' if it is that of `base_url` (docs/security.md)."""
        host = (urlsplit(url).hostname or "").lower()
        if host == self.base_url_host.lower():
            return ""
        return host if len(host) <= MAX_HOST_LENGTH else "…" + host[1 - MAX_HOST_LENGTH :]


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class GateFacts:
    """The result of a gate, with what a report shows of it: the details only if it is neither `short` nor skipped."""

    result: GateDecision
    context: Context
    short: bool = False

    @property
    def name(self) -> str:
        return self.result.gate.name

    @cached_property
    def state(self) -> State:
        if self.result.needs_approval:
            return State.NEEDS_APPROVAL
        if self.failed and not self.result.blocks:
            return State.NOT_BLOCKING
        if self.result.rule is Rule.CANCELED:
            return State.CANCELED
        return BY_DECISION[self.result.decision]

    @property
    def failed(self) -> bool:
        return self.result.decision is Decision.FAIL

    @property
    def skipped(self) -> bool:
        return self.result.decision is Decision.SKIPPED

    @property
    def passed(self) -> bool:
        return self.skipped or self.result.decision is Decision.PASS

    @property
    def detailed(self) -> bool:
        return not (self.short or self.skipped)

    @cached_property
    def would_block(self) -> bool:
        hard = is_blocking(self.result.decision, Stage.HARD) and not self.result.is_allowed_outage
        return self.result.blocks or hard

    @property
    def effect(self) -> str:
        """Return what follows if it did not pass: `blocks`, or if it does not block, `approved` or a setting."""
        if self.passed:
            return ""
        if self.result.blocks:
            return "blocks"
        if self.result.approval:
            return "approved"
        if self.result.gate.stage is Stage.OBSERVE:
            return "enforcement: observe"
        return "on_outage: allow"

    @property
    def dashboard(self) -> str:
        """Return the address of the worst run's page in Sepurux."""
        return self.result.worst.dashboard_url

    @property
    def old_traces(self) -> tuple[str, ...]:
        """Return the uploaded traces whose newest event is more than a day older than the commit."""
        committed = self.context.committed
        if committed is None or not self.detailed:
            return ()
        times = ((trace.label, trace.recorded) for trace in self.result.gate.traces)
        return tuple(label for label, at in times if at is not None and at + DAY_S < committed)

    @cached_property
    def reproduction(self) -> tuple[str, ...]:
        """Return the lines of a shell that repeat the scenarios that failed, or all if it is not known which did.

        There are none if they would leave out a scenario or a threshold without which the gate may pass.
        """
        if not self.detailed:
            return ()
        failed = {run.path for each in self.result.scenarios if each.failed for run in each.recordings}
        traces = tuple(trace for trace in self.result.gate.traces if trace.label in failed) or self.result.gate.traces
        gate, left_out = self.result.gate, {DROP}
        if len(traces) < len(gate.traces):  # these are fewer scenarios, whose mean is another one
            left_out |= {SCENARIOS.threshold, RELIABILITY_SCORE.threshold}
            limits = {name: each for name, each in gate.limits.items() if name not in left_out}
            gate = replace(gate, traces=traces, limits=limits)
        if len(traces) > MOST_REPEATED or left_out & {check.threshold for check in self.result.missed}:
            return ()
        return tuple(command_lines(gate, self.context.base_url_host))

    @property
    def base_results(self) -> Results:
        return self.context.base_results.get(self.name, ())

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        return rows_of_table(self.result, self.base_results)

    @property
    def shown_rows(self) -> tuple[Row, ...]:
        """Return the rows if there is a number to show with the thresholds, or its lack is the result."""
        there = is_final(self.result) or any(row.check.value is not None for row in self.rows)
        return self.rows if there else ()

    @property
    def needed_rate(self) -> float | None:
        """Return the pass rate that is needed at least, None if that is not known."""
        rates = (row.check for row in self.rows if row.metric is PASS_RATE)
        return next((check.limit for check in rates if check.required.startswith("≥")), None)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Return the required mutation categories that are missing besides other things."""
        if not (is_final(self.result) and self.result.missed[1:]):
            return ()
        return tuple(name for check in self.result.checks for name in check.lacking)

    @property
    def dropped(self) -> bool:
        """Return whether a number lies too far below the baseline."""
        return any(row.drop for row in self.rows)

    def rate(self, rate: float | None) -> str:
        """Return a pass rate as text, '' if it is unknown."""
        return written(self.result.gate, PASS_RATE, rate)

    @cached_property
    def failures(self) -> Failures:
        return groups(self.result.failures)

    @property
    def new(self) -> int | None:
        """Return the number of failures that no result of the base has, None if none was compared."""
        compared = [each.base_rates for each in self.result.scenarios] + [each.on_base for each in self.failures]
        return sum(each.is_new for each in self.failures) if any(compared) else None

    @property
    def unlisted(self) -> bool:
        """Return whether there may be failures that the report does not list."""
        result = self.result
        return bool(result.failures_unread or result.scenarios_unread) or result.recorded

    @property
    def tools(self) -> tuple[tuple[str, int], ...]:
        if not self.detailed:
            return ()
        tools = Counter[str]()
        for run in self.result.runs:
            if not run.trace.flaky:
                tools.update(run.failing_tools)
        return tuple(tools.most_common())

    @property
    def categories(self) -> tuple[tuple[str, bool, bool], ...]:
        """Return the mutation categories, whether a run covers each, and whether the gate requires it.

        Those that are required and not covered come first, then those that a run reports.
        """
        covered = self.result.categories
        if covered is None or not self.detailed:
            return ()
        required = self.result.gate.required_mutation_categories
        names = dict.fromkeys([*(name for name in required if name not in covered), *covered])
        return tuple((name, name in covered, name in required) for name in names)

    @property
    def mutations(self) -> Sequence[tuple[str, int | None]]:
        """Return the covered mutation categories with the number of failures under each, None if it is not known."""
        names = [name for name, covered, _ in self.categories if covered]
        if self.unlisted or not (self.failures or self.result.value(FAILURES) == 0):
            return [(name, None) for name in names]
        return [(name, sum(each.count for each in self.failures if each.mutation == name)) for name in names]

    @cached_property
    def recordings(self) -> Mapping[str, Sequence[set[tuple[object, ...]]]]:
        """Return what failed in each recording of a scenario, by its name."""
        every = ((each.name, groups(run.failures)) for each in self.result.scenarios for run in each.recordings)
        return grouped((name, {each.alike for each in failures}) for name, failures in every)

    @cached_property
    def scenarios_by_failure(self) -> Mapping[object, Sequence[Scenario]]:
        """Return the scenarios that failed, the worst first, by what their failures have in common."""
        alike = ((each, {one.alike for one in groups(each.failures)}) for each in self.result.scenarios if each.failed)
        return grouped((key, each) for each, keys in alike for key in keys)

    @cached_property
    def in_scenarios(self) -> str:
        """Return in how many of several scenarios something failed, '' if it is not known."""
        every, count = self.result.scenarios, self.result.value(SCENARIOS)
        failed = sum(each.failed for each in every)
        if not failed or count is None or count < max(2, len(every)):
            return ""
        unread = any(run.unread for each in every if not each.failed for run in each.recordings)
        least = "at least " if unread else ""
        return f"in {least}{failed} of {wording.pluralize(count, 'scenario')}"

    @cached_property
    def below(self) -> tuple[Scenario, ...]:
        """Return the scenarios whose pass rate is below `min_scenario_pass_rate`, the lowest first."""
        return tuple(
            sorted((each for each in self.result.known_scenarios if each.low), key=lambda each: each.rate or 0)
        )

    @cached_property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Return the scenarios that did not pass, the worst first; () if there is only one, or all have one reason."""
        every = self.result.scenarios
        runs = [each for scenario in every for each in scenario.recordings]
        alike = len({(each.decision, each.reason) for each in runs}) == 1
        if len(every) == 1 or (alike and not runs[0].decision.is_decided):
            return ()
        others = (each for each in every if state_of(each) is not State.PASSED)
        return tuple(sorted(others, key=lambda each: state_of(each).rank))

    @property
    def scenarios_passed(self) -> str:
        """Return how many of several scenarios passed, `10 of 12 scenarios passed`, '' if their number is not known."""
        every = self.result.scenarios
        if not self.scenarios or self.result.value(SCENARIOS) != len(every):
            return ""
        passed = sum(each.read and state_of(each) is State.PASSED for each in every)
        return f"{passed} of {wording.pluralize(len(every), 'scenario')} passed"

    def why_undecided(self, scenario: Scenario) -> tuple[str, str]:
        """Return why a scenario has no decision or no failure, and what to do; both '' if the gate's reason says it."""
        undecided = _undecided(scenario)
        if undecided is None:
            decided = any(each.sepurux_decision == "fail" for each in scenario.recordings)
            if decided and not any(each.reported for each in scenario.recordings):
                return "Sepurux decided `fail`, and reports no failure", ""
            return "", ""
        reason = undecided.reason
        if self.result.decision is not Decision.FAIL and reason == self.result.detail:
            return "", ""
        if worst_of(scenario.recordings).decision is Decision.PENDING:
            reason = reason[:1].lower() + reason[1:]
        return reason.removesuffix("."), undecided.hint

    def rate_on_base(self, scenario: Scenario) -> str:
        """Return the mean pass rate on the base, `100% (4 results)`, '' if it is not known."""
        if scenario.base_rate is None:
            return ""
        results = wording.pluralize(len(scenario.base_rates), "result")
        return f"{self.rate(PASS_RATE.rounded(scenario.base_rate))} ({results})"

    @property
    def got_worse(self) -> tuple[Scenario, ...]:
        """Return the scenarios whose pass rate is lower than in every result of the base, the largest loss first."""
        lost = [
            (each.base_rate - each.rate, each)
            for each in self.result.scenarios
            if each.rate is not None and each.base_rate is not None
            if all(rate is None or each.rate < rate for rate in each.base_rates)
        ]
        return tuple(each for _, each in sorted(lost, key=itemgetter(0), reverse=True))


def groups(failures: Iterable[Failure]) -> Failures:
    """Return failures merged by kind, whatever their trace."""
    return merge_failures(replace(each, trace_id="") for each in failures)


def state_of(scenario: Scenario) -> State:
    if scenario.failed:
        return State.FAILED
    if undecided := _undecided(scenario):
        return BY_DECISION[undecided.decision]
    return State.PASSED


def page_of(scenario: Scenario) -> str:
    """Return the address of a scenario's run at Sepurux: of several recordings the worst one's; '' if unknown."""
    return worst_of(scenario.recordings).dashboard_url if scenario.recordings else ""


def _undecided(scenario: Scenario) -> Run | None:
    """Return the recording without a decision that matters most, None if each has one or was not read."""
    runs = (run for run in scenario.recordings if run.reason and not run.decision.is_decided)
    return min(runs, key=lambda run: run.decision.rank, default=None)


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
    def blocking(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.result.blocks)

    @property
    def not_approvable(self) -> tuple[GateFacts, ...]:
        """Return the gates that block, and that no approval can help."""
        return tuple(gate for gate in self.blocking if not gate.result.needs_approval)

    @property
    def not_passed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)


def build_report(results: Sequence[GateDecision], context: Context) -> Report:
    """Return the report on gates, and each note once, with the names of its gates unless it applies to all.

    The worst gate comes first: by what follows, an exceeded `max_unsafe`, the lowest pass rate.
    """

    def severity(gate: GateFacts) -> tuple[float, ...]:
        result, rate = gate.result, gate.result.value(PASS_RATE)
        is_safe = all(check.threshold != UNSAFE_ATTEMPTS.threshold for check in result.missed)
        return not result.blocks, gate.state.rank, result.decision.rank, is_safe, math.inf if rate is None else rate

    gates = (GateFacts(result=result, context=context) for result in results)
    noted = ((each, (*each.notes, *(run.note for run in each.runs if run.note))) for each in results)
    named = grouped(dict.fromkeys((note, each.gate.name) for each, notes in noted for note in notes))
    notes = (Note(note, tuple(names) if len(names) < len(results) else ()) for note, names in named.items())
    return Report(context=context, gates=tuple(sorted(gates, key=severity)), notes=tuple(notes))


def shortened(report: Report) -> Report:
    """Return a report that takes little time to write: it leaves out what failed and the history."""
    gates = tuple(replace(gate, result=without_failures(gate.result), short=True) for gate in report.gates)
    return replace(report, gates=gates, notes=(), short=True)
