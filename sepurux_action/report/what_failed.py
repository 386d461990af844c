"""What failed in a gate, as further calls found it: groups of failures, scenarios, and mutation categories."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Annotated

from sepurux_action.common import grouped, number_format
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import GateDecision
from sepurux_action.evaluation.failures import Failure, merge_failures
from sepurux_action.evaluation.gate_numbers import Scenario, WhatFailed
from sepurux_action.evaluation.runs import Decision, Run, worst_of
from sepurux_action.report.context import Context, Dashboard
from sepurux_action.report.state import BY_DECISION, State
from sepurux_action.report.thresholds import written


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A mutation category."""

    name: Annotated[str, "Name of the category."]
    covered: Annotated[bool, "Whether a CI run covers it."]
    required: Annotated[bool, "Whether the gate requires it."] = False


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class Found:
    """What failed in a gate. Without `detailed`, nothing is shown of it."""

    result: GateDecision
    context: Context
    detailed: bool

    @property
    def read(self) -> WhatFailed:
        """Return what further calls found: groups of failures, new ones first, then the most severe."""
        return self.result.what_failed if self.detailed else WhatFailed()

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        return groups(self.read.failures)

    @property
    def new(self) -> int | None:
        """Return the number of failures that no result of the base has, None if none was compared."""
        compared = any(each.base_rates for each in self.read.scenarios) or any(each.on_base for each in self.failures)
        return sum(each.is_new for each in self.failures) if compared else None

    @property
    def by_sandbox(self) -> bool:
        """Return whether the failures are by the rules of the sandbox (docs/platforms.md#the-rules-of-the-sandbox)."""
        return bool(self.failures) and self.result.worst.sandbox

    @property
    def unread(self) -> tuple[int, int]:
        """Return how many failures, and of how many scenarios, were not read."""
        return self.read.unread_failures, self.read.unread_scenarios

    @property
    def unlisted(self) -> bool:
        """Return whether there may be failures that the report does not list."""
        return any(self.unread) or self.result.recorded

    @property
    def tools(self) -> tuple[tuple[str, int], ...]:
        return tuple(self.result.failing_tools.items()) if self.detailed else ()

    @property
    def categories(self) -> tuple[Category, ...]:
        """Return the mutation categories: those that are required and not covered, then those that a run reports."""
        covered = self.result.categories
        if covered is None or not self.detailed:
            return ()
        required = self.result.gate.required_mutation_categories
        names = dict.fromkeys([*(name for name in required if name not in covered), *covered])
        return tuple(Category(name=name, covered=name in covered, required=name in required) for name in names)

    @property
    def mutations(self) -> Sequence[tuple[str, int | None]]:
        """Return the covered mutation categories with the number of failures under each, None if it is not known."""
        names = [each.name for each in self.categories if each.covered]
        if self.unlisted or not (self.failures or self.result.value(metrics.FAILURES) == 0):
            return [(name, None) for name in names]
        return [(name, sum(each.count for each in self.failures if each.mutation == name)) for name in names]

    # -- scenarios --------------------------------------------------------------------------------------------------

    @property
    def count(self) -> float | None:
        return self.result.value(metrics.SCENARIOS)

    @cached_property
    def failed_scenarios(self) -> tuple[Scenario, ...]:
        return tuple(each for each in self.read.scenarios if each.failed)

    @property
    def in_scenarios(self) -> str:
        """Return in how many of several scenarios something failed, '' if it is not known."""
        failed, every, count = self.failed_scenarios, self.read.scenarios, self.count
        if not failed or count is None or count < max(2, len(every)):
            return ""
        of_all = f"{len(failed)} of {number_format.pluralize(count, 'scenario')}"
        if any(each.incomplete and not each.failed for each in every):
            return f"in at least {of_all}"
        return f"in {of_all}"

    @cached_property
    def _alike(self) -> Mapping[str, Sequence[AbstractSet[object]]]:
        """Return what failed in each recording of the scenarios with a name."""
        recordings = ((each.name, run.failures) for each in self.read.scenarios for run in each.recordings)
        return grouped((name, {_untraced(each).alike for each in failures}) for name, failures in recordings)

    def recordings_with(self, group: Failure) -> tuple[int, int]:
        """Return in how many recordings of its scenario a group is, and how many there are; (0, 0) if unknown."""
        recordings, alike = self._alike.get(group.scenario, ()), group.alike
        return sum(alike in each for each in recordings), len(recordings)

    @cached_property
    def _by_group(self) -> Mapping[object, Sequence[Scenario]]:
        failed = [(each, {_untraced(one).alike for one in each.failures}) for each in self.failed_scenarios]
        return grouped((alike, each) for each, groups_of in failed for alike in groups_of)

    def scenarios_with(self, group: Failure) -> Sequence[Scenario]:
        """Return the scenarios with failures of a group, the worst first; () if they are not known."""
        known = self._by_group.get(group.alike, ())
        if group.scenario:  # an earlier run may have kept its name alone
            return known or [Scenario(group.scenario, ())]
        return known if self.in_scenarios else []

    def page(self, scenario: Scenario) -> Dashboard | None:
        """Return the page of a scenario's run at Sepurux: of several recordings the worst one's; None if unknown."""
        if not scenario.recordings:
            return None
        return self.context.dashboard(worst_of(scenario.recordings).dashboard_url)

    @cached_property
    def below(self) -> tuple[Scenario, ...]:
        """Return the scenarios whose pass rate is below `min_scenario_pass_rate`, the lowest first."""
        low = (each for each in self.read.scenarios or self.result.scenarios if each.low)
        return tuple(sorted(low, key=lambda each: each.rate or 0))

    @cached_property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Return the scenarios that did not pass, the worst first; () if there is only one, or all have one reason."""
        every = self.read.scenarios
        runs = [each for scenario in every for each in scenario.recordings]
        alike = len({(each.decision, each.reason) for each in runs}) == 1
        if len(every) == 1 or (alike and not runs[0].decision.is_decided):
            return ()
        others = (each for each in every if state_of(each) is not State.PASSED)
        return tuple(sorted(others, key=lambda each: state_of(each).rank))

    @property
    def scenarios_passed(self) -> str:
        """Return how many of several scenarios passed, `10 of 12 scenarios passed`, '' if their number is not known."""
        every = self.read.scenarios
        if not self.scenarios or self.count != len(every):
            return ""
        passed = sum(each.read and state_of(each) is State.PASSED for each in every)
        return f"{passed} of {number_format.pluralize(len(every), 'scenario')} passed"

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

    def rate(self, rate: float | None) -> str:
        return written(self.result.gate, metrics.PASS_RATE, rate)

    def rate_on_base(self, scenario: Scenario) -> str:
        """Return the mean pass rate on the base, `100% (4 results)`, '' if it is not known."""
        if scenario.base_rate is None:
            return ""
        results = number_format.pluralize(len(scenario.base_rates), "result")
        return f"{self.rate(metrics.PASS_RATE.rounded(scenario.base_rate))} ({results})"

    @property
    def got_worse(self) -> tuple[Scenario, ...]:
        """Return the scenarios whose pass rate is lower than in every result of the base, the largest loss first."""
        lost = [
            (each.base_rate - each.rate, each)
            for each in self.read.scenarios
            if each.rate is not None and each.base_rate is not None
            if all(rate is None or each.rate < rate for rate in each.base_rates)
        ]
        return tuple(each for _, each in sorted(lost, key=itemgetter(0), reverse=True))


def groups(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Return failures merged by kind, whatever their trace."""
    return merge_failures(map(_untraced, failures))


def _untraced(failure: Failure) -> Failure:
    return replace(failure, trace_id="")


def state_of(scenario: Scenario) -> State:
    if scenario.failed:
        return State.FAILED
    if undecided := _undecided(scenario):
        return BY_DECISION[undecided.decision]
    return State.PASSED


def _undecided(scenario: Scenario) -> Run | None:
    """Return the recording without a decision that matters most, None if each has one or was not read."""
    runs = (run for run in scenario.recordings if run.reason and not run.decision.is_decided)
    return min(runs, key=lambda run: run.decision.rank, default=None)
