"""The results of base branches by scenario, and what they say about one. No decision of a workflow depends on them.

Source: docs/configuration.md#results-by-scenario
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Self

from sepurux_action.evaluation.failures import Kind, OnBase
from sepurux_action.evaluation.runs import Decision
from sepurux_action.evaluation.trace_steps import Steps, tools_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFailure:
    """The failures of one kind that a scenario has in a result: their number for each recording."""

    type: str = ""
    mutation: str = ""
    severity: str = ""
    tool: str = ""
    count: float

    @property
    def kind(self) -> Kind:
        return self.type, self.mutation, self.severity, self.tool


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseScenario:
    """What one result has of a scenario. `failures` is None if not all are known, `steps` are of its best recording."""

    name: str
    pass_rate: float | None = None
    failures: tuple[BaseFailure, ...] | None = ()
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
    """The base's results that have all failures of a scenario, the steps of the newest one, and the tools of all."""

    complete: tuple[BaseScenario, ...] = ()
    steps: Steps = ()
    tools: tuple[str, ...] = ()  # that the scenario called in every result

    @classmethod
    def of(cls, results: Results, name: str) -> Self:
        every = [each for result in results for each in result.scenarios if each.name == name]
        if not every:
            return cls()
        tools = [tools_of(each.steps) for each in every]
        in_all = tuple(tool for tool in tools[0] if all(tool in each for each in tools))
        return cls(tuple(each for each in every if each.failures is not None), every[0].steps, in_all)

    @property
    def results(self) -> int:
        return len(self.complete)

    @property
    def rates(self) -> tuple[float, ...]:
        return tuple(each.pass_rate for each in self.complete if each.pass_rate is not None)

    @property
    def pass_rate(self) -> float | None:
        return fmean(self.rates) if self.rates else None

    def compare(self, here: Mapping[Kind, float]) -> Mapping[Kind, OnBase]:
        """Return how the failures of each kind, counted for each recording, compare with those of the results."""
        results = [{one.kind: one.count for one in each.failures or ()} for each in self.complete]
        return {
            kind: OnBase(
                sum(kind in each for each in results), len(results), count, max(each.get(kind, 0) for each in results)
            )
            for kind, count in (here.items() if results else ())
        }

    def all_below(self, needed: float) -> bool:
        """Return whether the scenario passes less than this in every result."""
        return bool(self.complete) and all(
            each.pass_rate is not None and each.pass_rate < needed for each in self.complete
        )
