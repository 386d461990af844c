"""The results of base branches by scenario, and what they say about one. No decision of a workflow depends on them.

Source: docs/configuration.md#results-by-scenario
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from sepurux_action.config.gate import Gate
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.trace_steps import Steps

MAX_RESULTS = 5  # of a gate on a branch, and as many that passed; one of them that is unusual changes no median
MIN_RESULTS = 3  # of two results, a failure that occurs by chance is in both too often


@dataclass(frozen=True, slots=True, order=True)
class FailureKey:
    """What the failures of a scenario in different runs have in common. Every text is foreign."""

    type: str = ""
    mutation: str = ""
    severity: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseScenario:
    """What one result has of a scenario: its numbers, what failed however often, and what its best recording did.

    `complete` is false if not all its failures are known. `steps` are those of `steps_of`.
    """

    name: str
    recordings: int = 1
    pass_rate: float | None = None
    unsafe_attempts: float | None = None
    complete: bool = True
    failures: tuple[FailureKey, ...] = ()
    steps: Steps = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseResult:
    """A result of a gate on a branch that passed or failed. `time` is POSIX seconds, `numbers` are by metric.

    On a command line, `branch` and `commit` are ''.
    """

    gate: str
    campaign: str
    project: str = ""
    mutation_pack: str = ""
    branch: str = ""
    commit: str = ""
    time: float
    decision: Decision
    numbers: Mapping[str, float] = field(default_factory=dict)
    scenarios: tuple[BaseScenario, ...] = ()


Results = tuple[BaseResult, ...]  # the newest first


def find_results(results: Iterable[BaseResult], gate: Gate, branch: str, commits: Collection[str]) -> Results:
    """Return the first results of the gate on the branch at these commits."""
    of = gate.name, gate.campaign, gate.project, gate.mutation_pack, branch
    found = (
        each
        for each in results
        if of == (each.gate, each.campaign, each.project, each.mutation_pack, each.branch) and each.commit in commits
    )
    return tuple(found)[:MAX_RESULTS]


@dataclass(frozen=True, slots=True, order=True)
class OnBase:
    """Of how many of the base's `results` with a scenario a failure is known: of `having`, which may be 0."""

    having: int
    results: int

    def __str__(self) -> str:
        return f"{self.having} of {self.results}"

    def sentence(self, where: str) -> str:
        """Return `in 4 of the last 5 results on main` as a clause; `where` is its end."""
        found = f"in {self.having or 'none'} of the last {self.results} results"
        if self.results == 1:
            found = "in the last result"
            if not self.having:
                found = f"not {found}"
        return f"{found} {where}".rstrip()


@dataclass(frozen=True, slots=True)
class FixedFailure:
    """A failure of a scenario that most results of the base have and an evaluation does not."""

    scenario: str
    failure: FailureKey
    on_base: OnBase


@dataclass(frozen=True, slots=True)
class ScenarioOnBase:
    """What the base's results have of one scenario: `complete` are those that have all of its failures.

    `steps` are those of the newest result that has the scenario.
    """

    complete: tuple[BaseScenario, ...] = ()
    steps: Steps = ()

    @property
    def results(self) -> int:
        return len(self.complete)

    @property
    def rates(self) -> tuple[float, ...]:
        return tuple(each.pass_rate for each in self.complete if each.pass_rate is not None)

    @property
    def pass_rate(self) -> float | None:
        return fmean(self.rates) if self.rates else None

    def compare(self, failure: FailureKey) -> OnBase | None:
        having = sum(failure in each.failures for each in self.complete)
        return OnBase(having, self.results) if self.complete else None

    def fixed(self, failures: Collection[FailureKey], recordings: int) -> Mapping[FailureKey, OnBase]:
        """Return the failures that most results have and an evaluation does not, which has all of these failures.

        With fewer recordings than a result has, an evaluation may have missed a failure, so nothing is fixed.
        """
        if self.results < MIN_RESULTS or any(recordings < each.recordings for each in self.complete):
            return {}
        having = Counter(failure for each in self.complete for failure in set(each.failures))
        often = (each for each in sorted(having) if 2 * having[each] > self.results)
        return {each: OnBase(having[each], self.results) for each in often if each not in failures}


def scenarios_on_base(results: Results) -> Mapping[str, ScenarioOnBase]:
    """Return the scenarios of the base's results by name."""
    by_name: dict[str, list[BaseScenario]] = defaultdict(list)
    for scenario in (scenario for result in results for scenario in result.scenarios):
        by_name[scenario.name].append(scenario)
    return {
        name: ScenarioOnBase(tuple(each for each in having if each.complete), having[0].steps)
        for name, having in by_name.items()
    }
