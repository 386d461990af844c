"""A gate as configured: its traces, thresholds, and stage."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from sepurux_action.common import json_reader, number_format
from sepurux_action.config import options
from sepurux_action.config.path_filter import Filter
from sepurux_action.config.stage import OnOutage, Stage

REGISTERED = "registered scenarios"  # the campaign's own, which run if a gate names no trace


class TraceEvent(NamedTuple):
    """A call of a tool with the names of its arguments, or a result. `number` counts all events of a trace, from 1."""

    number: int
    tool: str
    is_call: bool
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace: an id, or the JSON of a file to upload, or neither. `recorded`: POSIX time of its newest event.

    `task` is the name of its task, '' if it has none. Traces of one task are recordings of one scenario. `events` are
    the first calls and results of a file. Of a flaky scenario, `flaky` is the last day on which it does not count.
    """

    label: str
    trace_id: str = ""
    content: bytes | None = field(default=None, repr=False)
    recorded: float | None = None
    task: str = ""
    events: tuple[TraceEvent, ...] = field(default=(), repr=False)
    flaky: date | None = None

    @property
    def uploaded(self) -> bool:
        return self.content is not None

    @property
    def scenario(self) -> tuple[str, str]:
        """Return the kind and the name of its scenario: a task may have the name of a file."""
        if self.task:
            return "task", self.task
        return "path" if self.uploaded else "id", self.label


ALL_SCENARIOS = (Trace(label=REGISTERED),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """All settings of one gate.

    `limits` are the thresholds and drops that are set, by the names of their options: rates are fractions, scores are 0
    to 100, counts are whole numbers. A gate is `skipped` if the pull request changes no file that matches its `paths`;
    no trace file of it is read then.
    """

    name: str
    campaign: str
    project: str = ""
    traces: tuple[Trace, ...] = ALL_SCENARIOS
    mutation_pack: str = ""
    limits: Mapping[str, float] = field(default_factory=lambda: options.DEFAULT_LIMITS)
    required_mutation_categories: tuple[str, ...] = ()
    stage: Stage = Stage.HARD
    on_outage: OnOutage = options.ON_OUTAGE.default_value
    timeout_s: float = options.TIMEOUT.default_value
    reviewers: tuple[str, ...] = ()
    paths: Filter | None = None
    flaky: tuple[tuple[str, date], ...] = ()
    skipped: bool = False

    def with_timeout(self, hint: str) -> str:
        """Return a hint with the value of `timeout` for `{now}`."""
        return hint.replace("{now}", number_format.duration(self.timeout_s))

    @property
    def names_traces(self) -> bool:
        return any(trace.trace_id or trace.uploaded for trace in self.traces)

    @property
    def has_several_traces(self) -> bool:
        """Return whether the gate itself compares the numbers of its traces, as also that of a flaky one alone."""
        return len(self.traces) > 1 or any(trace.flaky for trace in self.traces)

    def on_day(self, today: date) -> "Gate":
        """Return the gate with the scenarios that are flaky on a day."""
        days = {name: day for name, day in self.flaky if day >= today}
        traces = tuple(replace(trace, flaky=days.get(trace.scenario[1])) for trace in self.traces)
        return replace(self, traces=traces)

    @property
    def of_flaky(self) -> "Gate":
        """Return the gate as it starts the runs of flaky scenarios, whose failures do not count."""
        limits = {name: limit for name, limit in self.limits.items() if name != options.MAX_FAILURES.name}
        return replace(self, limits=limits)

    def remarks_on_flaky(self, today: date) -> Iterator[str]:
        names = {trace.scenario[1] for trace in self.traces}
        for name, day in self.flaky:
            shown = json_reader.preview(name)
            if name not in names:
                yield f"`flaky` names the scenario {shown}, which this gate does not have."
            elif day < today:
                yield f"The scenario {shown} was flaky until {day}, and counts again."

    @property
    def uploads_traces(self) -> bool:
        return any(trace.uploaded for trace in self.traces)

    @property
    def thresholds(self) -> dict[str, object]:
        """Return the thresholds as the body of `POST /v1/ci/runs` has them.

        With several traces, Sepurux decides about each alone, and the gate compares the numbers of all. Without a
        `min_pass_rate`, Sepurux might apply one of its own.
        """
        set_here: dict[str, object] = {name: each for name, each in self.limits.items() if name in options.SENT_LIMITS}
        if self.has_several_traces:
            sums = (options.MAX_UNSAFE.name, options.MAX_FAILURES.name)
            return {options.MIN_PASS_RATE.name: 0, **{name: set_here[name] for name in sums if name in set_here}}
        if self.required_mutation_categories:
            set_here[options.REQUIRED_MUTATION_CATEGORIES.name] = list(self.required_mutation_categories)
        return set_here
