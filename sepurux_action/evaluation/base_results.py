"""The results of base branches by scenario, and what they say about one. No decision of a workflow depends on them.

Source: docs/configuration.md#results-by-scenario
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Self

from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.failures import ClassifiedFailure, Failures
from sepurux_action.evaluation.trace_steps import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseScenario:
    """What one result has of a scenario: its numbers, what failed however often, and what its best recording did.

    `failures` are the keys of its failures, None if not all are known, and `steps` those of `steps_of`.
    """

    name: str
    recordings: int = 1
    pass_rate: float | None = None
    unsafe_attempts: float | None = None
    failures: Failures | None = ()
    steps: Steps = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseResult:
    """A pass or a fail of a gate, at POSIX seconds. On a command line, `branch` and `commit` are ''."""

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


@dataclass(frozen=True, slots=True)
class ScenarioOnBase:
    """The base's results that have all failures of a scenario, and the steps of the newest one that has it."""

    complete: tuple[BaseScenario, ...] = ()
    steps: Steps = ()

    @classmethod
    def of(cls, results: Results, name: str) -> Self:
        every = [each for result in results for each in result.scenarios if each.name == name]
        return cls(tuple(each for each in every if each.failures is not None), next((each.steps for each in every), ()))

    @property
    def results(self) -> int:
        return len(self.complete)

    @property
    def rates(self) -> tuple[float, ...]:
        return tuple(each.pass_rate for each in self.complete if each.pass_rate is not None)

    @property
    def pass_rate(self) -> float | None:
        return fmean(self.rates) if self.rates else None

    def having(self) -> Counter[ClassifiedFailure]:
        """Return how many of the complete results have each failure, by its key."""
        return Counter(failure for each in self.complete for failure in set(each.failures or ()))
