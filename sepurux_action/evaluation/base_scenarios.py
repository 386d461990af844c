"""What the results of the base say about each scenario. No decision depends on it.

Source: docs/configuration.md#results-by-scenario
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from sepurux_action.evaluation.base_results import BaseScenario, Results
from sepurux_action.evaluation.failures import FailureKey, OnBase
from sepurux_action.evaluation.trace_steps import Steps

MIN_RESULTS = 3  # of two results, a failure that occurs by chance is in both too often


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioOnBase:
    """One scenario in the `results` of the base that have it with all of its failures; their number may be 0.

    `having` counts those that have a failure. `recordings` is the largest number in one of them, `rates` are the pass
    rates that they report. `steps` are those of the newest result that has the scenario.
    """

    results: int = 0
    having: Mapping[FailureKey, int] = field(default_factory=dict)
    recordings: int = 0
    rates: tuple[float, ...] = ()
    steps: Steps = ()

    @property
    def pass_rate(self) -> float | None:
        return fmean(self.rates) if self.rates else None

    def compare(self, failure: FailureKey) -> OnBase | None:
        return OnBase(self.having.get(failure, 0), self.results) if self.results else None

    def fixed(self, failures: Collection[FailureKey], recordings: int) -> Mapping[FailureKey, OnBase]:
        """Return the failures that most results have and an evaluation does not, which has all of these failures.

        With fewer recordings than a result has, an evaluation may have missed a failure, so nothing is fixed.
        """
        if self.results < MIN_RESULTS or recordings < self.recordings:
            return {}
        often = (each for each, having in self.having.items() if 2 * having > self.results)
        return {each: OnBase(self.having[each], self.results) for each in sorted(often) if each not in failures}


def scenarios_on_base(results: Results) -> Mapping[str, ScenarioOnBase]:
    """Return the scenarios of the base's results, which are the newest first, by name."""
    by_name: dict[str, list[BaseScenario]] = defaultdict(list)
    for scenario in (scenario for result in results for scenario in result.scenarios):
        by_name[scenario.name].append(scenario)
    found = {}
    for name, having in by_name.items():
        complete = [each for each in having if each.complete]
        found[name] = ScenarioOnBase(
            results=len(complete),
            having=Counter(failure for each in complete for failure in set(each.failures)),
            recordings=max((each.recordings for each in complete), default=0),
            rates=tuple(each.pass_rate for each in complete if each.pass_rate is not None),
            steps=having[0].steps,
        )
    return found
