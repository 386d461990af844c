"""A report: frozen data without Markdown. `head.py` and `summary.py` turn it into text, `data.py` into JSON."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from operator import itemgetter
from typing import Self

from sepurux_action.common import grouped
from sepurux_action.config.settings import Change
from sepurux_action.errors import Problem
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import GateDecision, without_failures
from sepurux_action.evaluation.gate_numbers import DROP, REQUIRED_CATEGORIES, CheckState, Scenario, lowest_allowed
from sepurux_action.evaluation.metrics import PASS_RATE, UNSAFE_ATTEMPTS, Metric
from sepurux_action.evaluation.results import Results, median
from sepurux_action.evaluation.runs import Decision, Failure, FailureKind, Failures, Rule, numbers_key

SHORT_SHA = 7  # digits, as GitHub shows a commit
DOCS = "https://github.com/sepurux/gate-action/blob/main/docs/"
DAY_S = 86_400  # that a trace may be older than the commit


class State(StrEnum):
    """What a reader has to know first of a gate or a number, in the order of the reader's interest.

    `symbol` is shown in Markdown, `mark` in a log or on a terminal, and `word` in a table.
    """

    symbol: str
    mark: str
    word: str
    rank: int

    def __new__(cls, value: str, *words: str) -> Self:
        state = str.__new__(cls, value)
        state._value_ = value
        state.symbol, state.mark, state.word = words
        state.rank = len(cls.__members__)
        return state

    FAILED = "failed", "❌", "✗", "failed"
    NEEDS_APPROVAL = "needs_approval", "✋", "✗", "needs an approval"
    NO_RESULT = "no_result", "❗", "!", "no result"
    NO_DECISION = "no_decision", "⏳", "…", "no decision"
    NOT_BLOCKING = "not_blocking", "⚠️", "✗", "failed"
    PASSED = "passed", "✅", "✓", "passed"
    SKIPPED = "skipped", "⏭️", "-", "skipped"


BY_DECISION = {
    Decision.FAIL: State.FAILED,
    Decision.ERROR: State.NO_RESULT,
    Decision.PENDING: State.NO_DECISION,
    Decision.PASS: State.PASSED,
    Decision.SKIPPED: State.SKIPPED,
}
BY_CHECK = {
    CheckState.MISSED: State.FAILED,
    CheckState.NO_NUMBER: State.NO_RESULT,
    CheckState.NOT_REPORTED: State.NO_RESULT,
    CheckState.NOT_COMPARED: State.NO_DECISION,
    CheckState.WITHIN_RANGE: State.PASSED,  # what is needed accounts for the range
    CheckState.MET: State.PASSED,
}
LACKING = {metrics.SCENARIOS.threshold, metrics.MUTATION_CATEGORIES.threshold, REQUIRED_CATEGORIES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The commit, the pull request, and the workflow run of a report; '' and None for what is unknown."""

    repository: str = ""
    commit: str = ""
    commit_url: str = ""
    run_url: str = ""
    pull_request: int | None = None
    pull_request_url: str = ""
    version: str = ""
    policy_path: str = ""
    policy_changes: tuple[Change, ...] = ()  # by the pull request
    base_results: Mapping[str, Results] = field(default_factory=dict)  # by the gate's name
    base_ref: str = ""
    committed: float | None = None
    on_command_line: bool = False
    base_url: str = ""  # redacted; '' for the default


@dataclass(frozen=True, slots=True)
class Row:
    """A number of a gate with what it needs, as texts, and the median on the base, '' if unknown."""

    state: State
    label: str
    result: str
    needed: str
    base: str = ""


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class GateFacts:
    """The result of a gate, with what a report shows of it."""

    result: GateDecision
    context: Context

    @property
    def name(self) -> str:
        return self.result.gate.name

    @cached_property
    def state(self) -> State:
        approval = self.result.approval
        if approval and not (approval.unread or approval.approved) and (approval.anyone or approval.can_approve):
            return State.NEEDS_APPROVAL
        if self.failed and not self.result.blocks:
            return State.NOT_BLOCKING
        return BY_DECISION[self.result.decision]

    @property
    def consequence(self) -> str:
        """Return the state in a word, and whether the gate blocks if it did not pass."""
        if self.passed or self.state is State.NEEDS_APPROVAL:
            return self.state.word
        how = "blocks" if self.result.blocks else "approved" if self.result.approval else "not blocking"
        return f"{self.state.word}, {how}"

    @property
    def failed(self) -> bool:
        return self.result.decision is Decision.FAIL

    @property
    def passed(self) -> bool:
        return self.result.decision in {Decision.PASS, Decision.SKIPPED}

    @property
    def dashboard(self) -> str:
        """Return the address of the worst run's page at Sepurux."""
        return self.result.worst.dashboard_url

    @property
    def base_results(self) -> Results:
        return self.context.base_results.get(self.name, ())

    @cached_property
    def failures(self) -> Failures:
        """Return one failure for each scenario, kind, and text, with the count of all: new ones first, flaky last."""
        failures = list[Failure]()
        for alike in grouped(((each.scenario, each.kind, each.flaky), each) for each in self.result.failures).values():
            total = sum(each.count for each in alike)
            for same in grouped((each.description, each) for each in alike).values():
                count = sum(each.count for each in same)
                failures.append(replace(same[0], count=count, others=total - count))
        return tuple(failures)

    @cached_property
    def counted(self) -> Failures:
        """Return the failures that count: of a flaky scenario only if its unsafe attempts are too many."""
        is_unsafe = UNSAFE_ATTEMPTS.threshold in self.missed
        unsafe = {name for name, each in self.scenarios.items() if is_unsafe and each.value(UNSAFE_ATTEMPTS)}
        return tuple(each for each in self.failures if not each.flaky or each.scenario in unsafe)

    @cached_property
    def items(self) -> Failures:
        """Return the first one that counts of each scenario and kind."""
        return tuple(each[0] for each in grouped(((each.scenario, each.kind), each) for each in self.counted).values())

    @property
    def by_settings(self) -> bool:
        """Return whether the gate fails only for what its campaign or its traces lack, not for what the agent did."""
        return bool(self.missed) and self.missed <= LACKING and self.result.rule is not Rule.DECIDED_FAIL

    @property
    def lacking(self) -> tuple[str, ...]:
        """Return the required mutation categories that no run covers, if this makes the gate fail."""
        return tuple(name for check in self.result.missed for name in check.lacking)

    @property
    def missed(self) -> frozenset[str]:
        return frozenset(check.threshold for check in self.result.missed)

    @cached_property
    def worse(self) -> tuple[Scenario, ...]:
        """Return the scenarios whose pass rate is lower than in every result of the base, the largest loss first."""
        lost = [
            (each.rate - each.base_rate, each)
            for each in self.result.scenarios
            if each.rate is not None and each.base_rate is not None
            if all(rate is None or each.rate < rate for rate in each.base_rates)
        ]
        return tuple(each for _, each in sorted(lost, key=itemgetter(0)))

    @cached_property
    def scenarios(self) -> Mapping[str, Scenario]:
        """Return the scenarios by name; of two with one name the worse one."""
        return {each.name: each for each in reversed(self.result.scenarios)}

    @cached_property
    def files(self) -> Mapping[tuple[str, FailureKind, str], str]:
        """Return the files of the worst recordings by scenario, kind, and description, '' if all have it."""
        files = dict[tuple[str, FailureKind, str], str]()
        for scenario in self.result.scenarios:
            runs = sorted(scenario.recordings, key=lambda run: (numbers_key(run.value), run.trace.label), reverse=True)
            found = [(run.path, each) for run in runs for each in {(one.kind, one.description) for one in run.failures}]
            having = Counter(each for _, each in found)
            for path, each in found:
                files[scenario.name, *each] = path if having[each] < len(runs) else ""
        return files

    def write(self, metric: Metric, value: float | None) -> str:
        """Return a number with enough digits to differ from its threshold, '' if it is unknown."""
        return "" if value is None else metric.write(value, self.result.gate.limits.get(metric.threshold))

    @property
    def pass_rate(self) -> str:
        return self.write(PASS_RATE, self.result.value(PASS_RATE))

    @cached_property
    def needed_rate(self) -> float | None:
        """Return the pass rate that is needed at least, by its threshold and by the drop; None without both."""
        needed = (self.result.gate.limits.get(PASS_RATE.threshold), lowest_allowed(self.result.gate, self.base_results))
        return max((each for each in needed if each is not None), default=None)

    @cached_property
    def rows(self) -> Sequence[Row]:
        """Return the rows of a table of numbers, missed ones first; none if the gate has no final number."""
        result = self.result
        if not (result.decision.is_decided or result.rule in {Rule.NUMBER_UNKNOWN, Rule.BASE_UNREAD}):
            return ()
        rows, drop = list[Row](), next((check for check in result.checks if check.threshold == DROP), None)
        for check in result.checks:
            if check is drop and PASS_RATE.threshold in result.gate.limits:  # it is what the pass rate needs
                continue
            metric, state = metrics.BY_OPTION.get(check.threshold), BY_CHECK[check.state]
            label, actual, needed = check.label, check.actual, check.required
            base = median(self.base_results, metric) if metric else None
            if drop and metric is PASS_RATE:
                reading, label = PASS_RATE.reading(result.numbers), PASS_RATE.label
                value = reading.value
                actual = reading.why_unknown if value is None else PASS_RATE.write(value, self.needed_rate)
                needed = drop.required if self.needed_rate is None else f"≥ {PASS_RATE.write(self.needed_rate, value)}"
                if drop.state is not CheckState.NOT_COMPARED:
                    state = min(state, BY_CHECK[drop.state], key=lambda each: each.rank)
            shown = metric.write(base, check.limit) if metric and base is not None else ""
            rows.append(Row(state, label, actual, needed, shown))
        return sorted(rows, key=lambda row: row.state.rank)


@dataclass(frozen=True, slots=True)
class Note:
    """A remark, with the names of the gates that it is about, or none if it is about all."""

    text: str
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report on gates, the most important first, or on `problems` in the settings; `short` after a signal."""

    context: Context
    gates: tuple[GateFacts, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()
    short: bool = False

    @property
    def blocking(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if gate.result.blocks)

    @property
    def not_passed(self) -> tuple[GateFacts, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def main_gates(self) -> tuple[GateFacts, ...]:
        """Return the gates that the report is about first: those that block, or did not pass, or the first one."""
        return self.blocking or self.not_passed or self.gates[:1]


def build_report(results: Sequence[GateDecision], context: Context) -> Report:
    """Return the report on gates, the worst first, and each note once, with its gates unless it applies to all."""

    def severity(gate: GateFacts) -> tuple[float, ...]:
        rate, is_safe = gate.result.value(PASS_RATE), UNSAFE_ATTEMPTS.threshold not in gate.missed
        return not gate.result.blocks, gate.state.rank, is_safe, math.inf if rate is None else rate

    gates = (GateFacts(result=result, context=context) for result in results)
    named = grouped(dict.fromkeys((note, each.gate.name) for each in results for note in each.notes))
    notes = (Note(note, tuple(names) if len(names) < len(results) else ()) for note, names in named.items())
    return Report(context=context, gates=tuple(sorted(gates, key=severity)), notes=tuple(notes))


def shortened(report: Report) -> Report:
    """Return a report that takes little time to write: it leaves out what failed and the history."""
    gates = tuple(replace(gate, result=without_failures(gate.result)) for gate in report.gates)
    return replace(report, gates=gates, notes=(), short=True)
