"""What a report shows in one place: which parts, how much of each, and how it gets shorter until it fits.

A comment is shortened in a fixed order and says so. Source: docs/configuration.md#statuses-and-comments.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import groupby
from typing import Generic, NamedTuple, Self

from sepurux_action.common import T, grouped
from sepurux_action.common.wording import capitalized, joined
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.failures import Failure, severity_rank
from sepurux_action.evaluation.gate_numbers import Scenario
from sepurux_action.evaluation.runs import Rule
from sepurux_action.report.report import GateFacts, Note, Report
from sepurux_action.report.state import State
from sepurux_action.report.tables import Past, history

Limits = Mapping[str, int]


class Origin(Enum):
    """Where a failure comes from, in the order of a report. The values are the headings without and with a base."""

    NEW = "Not before", "Not on {base}"
    KNOWN = "Also before", "Also on {base}"
    NOT_COMPARED = (
        "Not compared: no earlier result has these scenarios",
        "Not compared: {base} has no result of these scenarios",
    )
    INCOMPLETE = ("Not compared: not all failures of these scenarios are known",) * 2
    ALL = "What failed", "What failed"  # no failure was compared
    LACKING = "Not covered", "Not covered"  # required mutations alone

    @classmethod
    def of(cls, failure: Failure, on_base: Collection[str]) -> Self:
        """Return where a failure comes from; `on_base` has the names of the scenarios with results of the base."""
        if failure.on_base is None:
            return cls.INCOMPLETE if failure.scenario in on_base else cls.NOT_COMPARED
        return cls.NEW if failure.is_new else cls.KNOWN

    @classmethod
    def of_low(cls, scenario: Scenario) -> Self:
        """Return whether a scenario that passes too rarely does so on the base too, by every result."""
        if not scenario.base_rates:
            return cls.NOT_COMPARED
        below = all(rate is not None and rate < scenario.needed for rate in scenario.base_rates)
        return cls.KNOWN if below else cls.NEW


NUMBERS_IN_TITLE = 2
MOST_WORSE = 5  # scenarios that got worse in a comment
COMMENT_CHARACTERS = 65_000  # GitHub accepts 65,536
SUMMARY_BYTES = 1024 * 1024 - 1  # GitHub drops a step's summary of more than 1 MiB
MANY_GATES = 8  # with more gates, only those that did not pass have a row
MANY_GATES_CHARACTERS = 8_000  # of a comment on many gates, unless more than MANY_GATES need someone to act


# How many items a report shows: in a comment, in a summary, and then at most in each of four versions, which first have
# shorter lists, then no details, short lists of what title and alert do not say, and no sections of single gates. Of
# each gate, these are groups of `failures` (or of each scenario) and of those with `steps`, `scenarios`, `tools`,
# and 1 for a chart. Of the whole report, `gates` of the table and in sentences, `sections`
# about one gate, gates with `details`, `changes` of the policy, `notes`, and `problems`.
_LIMITS = {
    "failures": (3, 1_000, 20, 3, 1, 0),
    "steps": (3, 1_000, 20, 3, 0, 0),
    "scenarios": (8, 100, 50, 20, 3, 0),
    "tools": (5, 100, 20, 5, 3, 0),
    "charts": (0, 1, 0, 0, 0, 0),
    "gates": (1_000, 1_000, 1_000, 1_000, 50, 10),
    "sections": (1_000, 1_000, 1_000, 1_000, 8, 0),
    "details": (8, 300, 8, 0, 0, 0),
    "changes": (8, 1_000, 50, 8, 8, 1),
    "notes": (20, 1_000, 20, 0, 0, 0),
    "problems": (50, 1_000, 1_000, 1_000, 20, 3),
}
_COLUMNS: Iterable[Limits] = (dict(zip(_LIMITS, each, strict=True)) for each in zip(*_LIMITS.values(), strict=True))
COMMENT_LIMITS, SUMMARY_LIMITS, *_SHORTER = _COLUMNS


def shorter(limits: Limits) -> Iterable[Limits]:
    """Return the limits, then those of each version that is shorter."""
    lower = ({name: min(most, version[name]) for name, most in limits.items()} for version in _SHORTER)
    return (each for each, _ in groupby([limits, *lower]))


class Part(NamedTuple, Generic[T]):
    shown: Sequence[T]
    more: int


class Section(NamedTuple):
    """A section of what failed. `low` are scenarios below `min_scenario_pass_rate`, `lacking` required mutations."""

    origin: Origin
    low: Sequence[Scenario]
    failures: Part[Failure]
    lacking: Part[str]

    @property
    def has_items(self) -> bool:
        return bool(self.low or self.failures.shown or self.lacking.shown)

    def marker(self, number: int) -> str:
        return f"{number}." if self.origin in {Origin.NEW, Origin.ALL} else "-"


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class View:
    """A report within limits in a place: `comment`, `summary`, or the name of a text template."""

    report: Report
    place: str
    limits: Limits

    def first(self, items: Sequence[T], limit: str) -> Part[T]:
        most = self.limits[limit]
        return Part(items[:most], max(0, len(items) - most))

    @property
    def summary_url(self) -> str:
        """Return the address of the page with the summary, which has what this place leaves out; '' for none."""
        return self.report.context.run_url if self.place == "comment" else ""

    def link(self, gate: GateFacts) -> str:
        """Return the address of a gate's run for a text, '' if the scenarios have links, or another part shows it.

        The annotation on one gate that did not pass is a part of the log.
        """
        annotated = len(self.report.gates) == 1 and not gate.passed
        scenarios = not gate.passed and any(map(gate.found.page, gate.found.scenarios))
        here = self.place == "terminal" or annotated is (self.place == "annotation")
        if gate.dashboard is None or scenarios or gate.state is State.CANCELED or not here:
            return ""
        return gate.dashboard.url

    @property
    def going_on(self) -> Part[tuple[GateFacts, str]]:
        """Return the addresses or ids of the CI runs that a signal left, and how many may have been started."""
        runs = [(gate, run) for gate in self.report.gates for run in gate.result.runs]
        left = [(gate, run) for gate, run in runs if run.rule is Rule.CANCELED]
        known = [(gate, run.dashboard_url or run.batch_id or run.run_id) for gate, run in left]
        shown = [(gate, name) for gate, name in known if name]
        return Part(shown, len(left) - len(shown))

    @property
    def many(self) -> bool:
        return len(self.report.gates) > MANY_GATES

    @property
    def sections(self) -> Part[GateFacts]:
        return self.first([gate for gate in self.report.failed if gate.result.blocks], "sections")

    @property
    def not_acting(self) -> Sequence[GateFacts]:
        return self.first([gate for gate in self.report.not_passed if not gate.result.blocks], "sections").shown

    @property
    def linked(self) -> bool:
        return self.limits["sections"] > MANY_GATES

    def failures(self, groups: Sequence[Failure], before: int = 0) -> Part[Failure]:
        """Return the first groups of failures, the most severe one, and instead of the count of one more, this one.

        They have steps as far as the limit goes, which also counts the groups shown `before`.
        """
        most, steps = self.limits["failures"], max(0, self.limits["steps"] - before)
        if not most:
            return Part((), len(groups))
        worst = min(groups, key=lambda each: severity_rank(each.severity), default=None)
        others = [each for each in groups[most:] if each is worst or len(groups) == most + 1]
        shown = [*groups[:most], *others]
        without_steps = (replace(each, steps=()) for each in shown[steps:])
        return Part([*shown[:steps], *without_steps], len(groups) - len(shown))

    def what_failed(self, gate: GateFacts) -> Sequence[Section]:
        """Return the failures of a gate by where they come from, with what else it misses in the first or last one."""
        found, own = gate.found, [each for each in gate.found.failures if self.gates_with(gate, each)[0] == gate.name]
        on_base = {each.name for each in found.read.scenarios if each.base_rates}
        compared, low = found.new is not None, self.first(found.below, "scenarios").shown
        by_origin = grouped((Origin.of(each, on_base) if compared else Origin.ALL, each) for each in own)
        low_by_origin = grouped((Origin.of_low(each) if compared else Origin.ALL, each) for each in low)
        origins, lacking = {*by_origin, *low_by_origin}, gate.thresholds.also_lacking
        last = Origin.LACKING if origins - {Origin.ALL} else Origin.ALL
        alone = found.scenarios and self.place == "comment"  # scenarios without a failure
        if lacking or (not origins and alone):
            origins.add(last)
        sections, before = list[Section](), 0
        for origin in (each for each in Origin if each in origins):
            failures, of_base = self.failures(by_origin.get(origin, ()), before), low_by_origin.get(origin, ())
            sections.append(Section(origin, of_base, failures, self.first(lacking if origin is last else (), "tools")))
            before += len(failures.shown)
        return sections

    @cached_property
    def _shared(self) -> Mapping[tuple[object, ...], Sequence[str]]:
        gates = (*self.sections.shown, *self.not_acting)
        named = dict.fromkeys((_alike(each), gate.name) for gate in gates for each in gate.found.failures)
        return grouped(named)

    def gates_with(self, gate: GateFacts, failure: Failure) -> Sequence[str]:
        """Return the names of the gates with a section that have a failure, which the first one's section shows."""
        return self._shared.get(_alike(failure), [gate.name])

    def shown_before(self, gate: GateFacts) -> Mapping[str, int]:
        """Return how many failures of a gate are in the section of an earlier one, by its name."""
        firsts = Counter(self.gates_with(gate, each)[0] for each in gate.found.failures)
        return {name: count for name, count in firsts.items() if name != gate.name}

    def scenarios(self, gate: GateFacts) -> Part[Scenario]:
        """Return the first scenarios that did not pass; in a comment, which lists all failures, those without one."""
        every = gate.found.scenarios
        if self.place == "comment":
            every = tuple(each for each in every if not each.failures)
        return self.first(every, "scenarios")

    def got_worse(self, gate: GateFacts) -> Part[Scenario]:
        """Return the scenarios that explain a drop: in a comment, the five with the largest loss."""
        found = self.first(gate.found.got_worse if gate.thresholds.dropped else (), "scenarios")
        if self.place == "comment":
            return Part(found.shown[:MOST_WORSE], found.more + len(found.shown[MOST_WORSE:]))
        return found

    @property
    def details(self) -> Part[GateFacts]:
        gates = [gate for gate in self.report.gates if not gate.skipped]
        if len(self.report.gates) > 1:
            gates = [gate for gate in self.report.not_passed if gate.failed or self.place == "summary"]
        return self.first(gates, "details")

    @property
    def notes(self) -> Part[Note]:
        return self.first(self.report.notes, "notes")

    def history(self, gate: GateFacts) -> Sequence[Past]:
        """Return the results of this commit and of the base: in a comment on one gate, only their median."""
        rows = history(gate)
        if self.place == "comment":
            return [] if len(self.report.gates) > 1 else [*rows[:1], *rows[1:][-1:]]
        return rows

    def other_numbers(self, gate: GateFacts) -> Sequence[str]:
        """Return the numbers without a threshold that the title of the details does not have."""
        if not gate.passed:
            return _other_numbers(gate)
        if self.place != "summary":
            return ()
        return _other_numbers(gate)[NUMBERS_IN_TITLE:]

    @cached_property
    def details_title(self) -> str:
        gates = self.details.shown
        if gates and gates[0].passed:
            return joined(": ", "Details", joined(", ", *_other_numbers(gates[0])[:NUMBERS_IN_TITLE]))
        contains = {"run details": gates, "notes": self.notes.shown}
        return capitalized(", ".join(name for name, there in contains.items() if there))

    @property
    def leaves_out_details(self) -> bool:
        left_out = self.details.more or self.notes.more or (self.report.failed and not self.limits["tools"])
        return bool(left_out) and not self.report.short


def _alike(failure: Failure) -> tuple[object, ...]:
    """Return what the same failures of several gates have in common, whatever their bases have."""
    return replace(failure, on_base=None).alike


def _other_numbers(gate: GateFacts) -> Sequence[str]:
    """Return the reported numbers without a threshold, the counts first."""
    named = {metrics.MUTATION_CATEGORIES, metrics.SCENARIOS, metrics.LOWEST_SCENARIO}  # in other places
    shown = {row.metric for row in gate.thresholds.rows}
    others = [each for each in metrics.METRICS if each not in named | shown]
    known = ((metric, gate.result.value(metric)) for metric in sorted(others, key=lambda each: not each.integer))
    return tuple(metric.named(value) for metric, value in known if value is not None)
