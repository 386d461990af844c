"""The classified failures of a CI run, of which any field may be missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from sepurux_action.common import grouped, json_reader

MAX_FAILURE_TEXT_LENGTH = 1_000  # characters; a report shows at most 200
SEVERITIES = {word: rank for rank, word in enumerate(("critical", "high", "medium", "low", "info"))}  # 0 for the worst


Kind = tuple[str, str, str, str]  # `type`, `mutation`, `severity`, and tool: the same in other results of the scenario


@dataclass(frozen=True, slots=True)
class OnBase:
    """How often failures of the kind of one are here, and in the base's results with its scenario."""

    having: Annotated[int, "Number of results that have such failures; 0: they are new.", {"minimum": 0}]
    results: Annotated[int, "Number of results of the base that have its scenario, at most five.", {"minimum": 1}]
    here: Annotated[float, "Such failures for each recording here.", {"minimum": 0}]
    most: Annotated[float, "The most for each recording in one of the results.", {"minimum": 0}]

    @property
    def is_new(self) -> bool:
        """Return whether they are here more often than in every result."""
        return self.here > self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedFailure:
    """Failures of one kind and with one description. Every text is foreign.

    `tool` and `event`, the index of an event of the trace, are what its metadata says. `scenario` is the name of the
    scenario of a trace, '' if it is not known. `on_base` is None if the failure was not compared with the base. `steps`
    are lines that show what the agent did: a sign in front, and a step. Failures of a `flaky` scenario do not count.
    """

    type: str = ""
    mutation: str = ""
    severity: str = ""
    tool: str = ""
    description: str = ""
    trace_id: str = ""
    event: float | None = None
    count: int = 1
    scenario: str = ""
    on_base: OnBase | None = None
    steps: tuple[str, ...] = ()
    flaky: bool = False

    @property
    def alike(self) -> tuple[object, ...]:
        """Return what failures that are counted together have in common: no text stands for another one."""
        return *self.kind, self.description, self.trace_id, self.scenario, self.on_base, self.flaky

    @property
    def kind(self) -> Kind:
        return self.type, self.mutation, self.severity, self.tool

    @property
    def is_new(self) -> bool:
        return self.on_base is not None and self.on_base.is_new and not self.flaky


Failures = tuple[ClassifiedFailure, ...]


def parse_failures(payload: object) -> Failures:
    items = map(json_reader.as_object, json_reader.as_array(payload))

    def text(item: Mapping[str, object], name: str) -> str:
        return json_reader.text(item.get(name))[:MAX_FAILURE_TEXT_LENGTH]

    return tuple(
        ClassifiedFailure(
            type=text(item, "type"),
            severity=text(item, "severity"),
            description=text(item, "description"),
            mutation=text(item, "mutation"),
            trace_id=json_reader.identifier(item.get("trace_id")),
            tool=text(json_reader.as_object(item.get("metadata")), "tool"),
            event=json_reader.number(json_reader.at(item, "metadata", "event"), low=0, whole=True).value,
        )
        for item in items
        if item
    )


def merge_failures(failures: Iterable[ClassifiedFailure]) -> Failures:
    """Return the failures by what they have in common, first the new, severe, and frequent ones."""
    groups = grouped((failure.alike, failure) for failure in failures)
    merged = (replace(alike[0], count=sum(each.count for each in alike)) for alike in groups.values())
    return tuple(sorted(merged, key=_rank))


def _rank(failure: ClassifiedFailure) -> tuple[bool, bool, int, int]:
    return failure.flaky, not failure.is_new, severity_rank(failure.severity), -failure.count


def severity_rank(severity: str) -> int:
    """Return the rank of a severity, 0 for the worst; unknown words come last."""
    return SEVERITIES.get(severity.lower(), len(SEVERITIES))
