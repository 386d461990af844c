"""What failed: the classified failures of a CI run, of which any field may be missing, and those of the base."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from sepurux_action.common import grouped, json_reader

MAX_TEXT_LENGTH = 1_000  # characters; a report shows at most 200
SEVERITIES = {word: rank for rank, word in enumerate(("critical", "high", "medium", "low", "info"))}  # 0 for the worst


Kind = tuple[str, str, str, str]  # `type`, `mutation`, `severity`, and tool: the same in other results of the scenario


@dataclass(frozen=True, slots=True)
class OnBase:
    """How often failures of the kind of one are here, and in the base's results with its scenario."""

    having: Annotated[int, "Number of results that have such failures; 0: they are new.", {"minimum": 0}]
    results: Annotated[int, "Number of results of the base that have its scenario, at most five.", {"minimum": 1}]
    here: Annotated[float, "Such failures for each recording here.", {"minimum": 0}]
    most: Annotated[float, "The most for each recording in one of the results.", {"minimum": 0}]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseScenario:
    """What a result in `baseline.json` has of a scenario: the pass rate, None if it is not known, and the failures.

    `failures` are their numbers for each recording by kind, None if not all are known. `steps` are of the best one.
    """

    name: str
    pass_rate: float | None = None
    failures: Mapping[Kind, float] | None = field(default_factory=dict)
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
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
    def kind(self) -> Kind:
        return self.type, self.mutation, self.severity, self.tool

    @property
    def alike(self) -> tuple[object, ...]:
        """Return what failures that are counted together have in common: no text stands for another one."""
        return *self.kind, self.description, self.trace_id, self.scenario, self.on_base, self.flaky

    @property
    def is_new(self) -> bool:
        """Return whether such failures are here more often than in every result of the base."""
        return self.on_base is not None and self.on_base.here > self.on_base.most and not self.flaky


Failures = tuple[Failure, ...]


def parse_failures(payload: object) -> Failures:
    failures = list[Failure]()
    for item in filter(None, map(json_reader.as_object, json_reader.as_array(payload))):
        metadata = json_reader.as_object(item.get("metadata"))
        given = *(item.get(name) for name in ("type", "mutation", "severity", "description")), metadata.get("tool")
        type_, mutation, severity, description, tool = (json_reader.text(each)[:MAX_TEXT_LENGTH] for each in given)
        failures.append(
            Failure(
                type=type_,
                mutation=mutation,
                severity=severity,
                tool=tool,
                description=description,
                trace_id=json_reader.identifier(item.get("trace_id")),
                event=json_reader.number(metadata.get("event"), low=0, whole=True).value,
            )
        )
    return tuple(failures)


def merge_failures(failures: Iterable[Failure]) -> Failures:
    """Return the failures by what they have in common, first the new, severe, and frequent ones; flaky ones last."""
    groups = grouped((failure.alike, failure) for failure in failures)
    merged = (replace(alike[0], count=sum(each.count for each in alike)) for alike in groups.values())
    return tuple(
        sorted(merged, key=lambda each: (each.flaky, not each.is_new, severity_rank(each.severity), -each.count))
    )


def severity_rank(severity: str) -> int:
    """Return the rank of a severity, 0 for the worst; unknown words come last."""
    return SEVERITIES.get(severity.lower(), len(SEVERITIES))
