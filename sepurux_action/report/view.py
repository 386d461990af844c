"""What a report shows in one place, how much of it, and how it writes names, links, and sentences.

Source: docs/configuration.md#statuses-and-comments.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Generic, NamedTuple

from sepurux_action.common import T, grouped, json_reader
from sepurux_action.common.wording import joined
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.errors import Problem
from sepurux_action.evaluation.gate_numbers import Scenario
from sepurux_action.evaluation.runs import Failure, Rule, severity_rank
from sepurux_action.report import markdown
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.report import GateFacts, Report, page_of
from sepurux_action.report.thresholds import State

Limits = Mapping[str, int]
DOCS = "https://github.com/sepurux/gate-action/blob/main/docs/"
MAX_WHERE_LENGTH = 120  # characters of the place of a problem
MAX_PARAGRAPH_LENGTH = 600  # characters of a text of this program with foreign parts
SETTINGS_PAGES = {  # of a repository, as sentences name them
    "Settings > Secrets and variables > Actions": "/settings/secrets/actions",
    "Settings > Secrets and variables > Dependabot": "/settings/secrets/dependabot",
    "Settings > Rules > Rulesets": "/settings/rules",
}
MOST_WORSE = 5  # scenarios that got worse in a comment
COMMENT_CHARACTERS = 65_000  # GitHub accepts 65,536
SUMMARY_BYTES = 1024 * 1024 - 1  # GitHub drops a step's summary of more than 1 MiB
MANY_GATES = 8  # with more gates, only those that did not pass have a row
MANY_GATES_CHARACTERS = 8_000  # of a comment on many gates, unless more than MANY_GATES need someone to act

# How many items a report shows: in a comment, in a summary, and then at most in each of four versions, which first have
# shorter lists, then no details, short lists of what title and alert do not say, and no sections of single gates. The
# first five are of each gate: groups of `failures` (or of each scenario), those with `steps`, ..., and 1 for a chart.
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
COMMENT_LIMITS, SUMMARY_LIMITS, *SHORTER_LIMITS = _COLUMNS


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


class Part(NamedTuple, Generic[T]):
    shown: Sequence[T]
    more: int


class Section(NamedTuple):
    """A section of what failed. `low` are scenarios below `min_scenario_pass_rate`, `lacking` required mutations."""

    origin: Origin
    low: Sequence[Scenario]
    failures: Part[Failure]
    lacking: Part[str]

    def marker(self, number: int) -> str:
        return f"{number}." if self.origin in {Origin.NEW, Origin.ALL} else "-"


def plain(value: object) -> Markdown:
    """Return what stands for a value in a text: nothing in it is invisible, and there is nothing else to escape."""
    return value if isinstance(value, Markdown) else Markdown(json_reader.printable(str(value)))


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class View:
    """A report within limits in a place: `comment`, `summary`, or the name of a text template.

    What its methods write is complete: no value in it needs to be escaped.
    """

    report: Report
    place: str
    limits: Limits

    @cached_property
    def as_markdown(self) -> bool:
        return self.place in {"comment", "summary"}

    def value(self, value: object) -> Markdown:
        if self.as_markdown:
            return markdown.as_markdown(value)
        return plain(value)

    def code(self, name: str) -> Markdown:
        if self.as_markdown:
            return markdown.code(name)
        return plain(name)

    def bold(self, sentence: str, **values: object) -> Markdown:
        said = self(sentence, **values)
        return markdown.strong(said) if self.as_markdown else said

    def link(self, label: str, url: str) -> Markdown:
        return markdown.link(Markdown(label), url) if self.as_markdown else Markdown(label)

    def page(self, label: str, page: str) -> Markdown:
        """Return a sentence that links a page of the documentation; '' in plain text."""
        return Markdown(f"{self.link(label, DOCS + page)}." if self.as_markdown else "")

    def run(self, gate: GateFacts) -> Markdown:
        """Return the link to a gate's run in Sepurux, with the name of a host that is not that of `base_url`."""
        if not (gate.dashboard and self.as_markdown):
            return Markdown("Sepurux run")
        host = self.report.context.other_host(gate.dashboard)
        return markdown.link(f"Sepurux run on {host}" if host else "Sepurux run", gate.dashboard)

    def prose(self, text: str, gate: GateFacts | None = None) -> Markdown:
        """Return a text of this program, with links to the pages that it names: settings, and the run of the gate."""
        if not self.as_markdown:
            return plain(self.worded(text))
        urls = {title: self.report.context.page(path) for title, path in SETTINGS_PAGES.items()}
        pages = {title: self.link(title, url) for title, url in urls.items() if url}
        if gate and gate.dashboard:
            pages["Sepurux run"] = self.run(gate)
        return markdown.prose(self.worded(text), longest=MAX_PARAGRAPH_LENGTH, pages=pages)

    def problem(self, problem: Problem) -> Markdown:
        if not self.as_markdown:
            return plain(problem.located)
        flag = problem.where.startswith("--")
        where = self.code(problem.where) if flag else markdown.prose(problem.where, longest=MAX_WHERE_LENGTH)
        what = markdown.prose(problem.message, longest=MAX_PARAGRAPH_LENGTH)
        return Markdown(joined(": ", self.code(problem.location), where, what))

    def __call__(self, sentence: str, **values: object) -> Markdown:
        """Return a sentence of this program with every value in braces escaped; it knows `base` and `push` itself."""
        push = "" if self.report.context.on_command_line else " and push"
        known = {"base": self.base, "push": Markdown(push), **values}
        return Markdown(sentence.format(**{name: self.value(each) for name, each in known.items()}))

    def when(self, condition: object, sentence: str, **values: object) -> Markdown:
        return self(sentence, **values) if condition else Markdown("")

    def paragraph(self, *sentences: Markdown) -> Markdown:
        return Markdown(joined(" ", *sentences))

    def listed(self, names: Iterable[str], word: str, most: int | None = None) -> Markdown:
        """Return names as code: `A and B`, or `A, B, and C`; after the first ones, how many more there are."""
        written = list(map(self.code, names))
        if most is not None and len(written) > most:
            written[most:] = [self("{more} more", more=len(written) - most)]
        before = ", ".join(written[:-1]) + ("," if written[2:] else "")
        return Markdown(joined(f" {word} ", before, *written[-1:]))

    def gates(self, gates: Iterable[GateFacts], most: int = 3) -> Markdown:
        return self.listed((gate.name for gate in gates), "and", most)

    @cached_property
    def base(self) -> Markdown:
        unnamed = "the base" if self.report.context.on_command_line else "this branch"
        return self.code(self.report.context.base_ref) or Markdown(unnamed)

    def worded(self, text: str) -> str:
        if self.place == "terminal" or self.report.context.on_command_line:
            return on_command_line(json_reader.printable(text))
        return in_workflow(text)

    def first(self, items: Sequence[T], limit: str) -> Part[T]:
        most = self.limits[limit]
        return Part(items[:most], max(0, len(items) - most))

    def address(self, gate: GateFacts) -> str:
        """Return the address of a gate's run for a text, '' if the scenarios have links, or another part shows it.

        The annotation on one gate that did not pass is a part of the log.
        """
        annotated = len(self.report.gates) == 1 and not gate.passed
        scenarios = not gate.passed and any(page_of(each) for each in gate.scenarios)
        here = self.place == "terminal" or annotated is (self.place == "annotation")
        return "" if scenarios or gate.state is State.CANCELED or not here else gate.dashboard

    @property
    def going_on(self) -> Part[tuple[GateFacts, str]]:
        """Return the addresses or ids of the CI runs that a signal left, and how many may have been started."""
        every = ((gate, run) for gate in self.report.gates for run in gate.result.runs)
        runs = [(gate, run) for gate, run in every if run.rule is Rule.CANCELED]
        known = [(gate, run.dashboard_url or run.batch_id or run.run_id) for gate, run in runs]
        shown = [(gate, name) for gate, name in known if name]
        return Part(shown, len(runs) - len(shown))

    @property
    def linked(self) -> bool:
        return self.limits["sections"] > MANY_GATES

    @property
    def details(self) -> Part[GateFacts]:
        gates = [gate for gate in self.report.gates if not gate.skipped]
        if len(self.report.gates) > 1:
            gates = [gate for gate in self.report.not_passed if gate.failed or self.place == "summary"]
        return self.first(gates, "details")

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
        on_base, compared = {each.name for each in gate.result.scenarios if each.base_rates}, gate.new is not None
        failures, low = dict[Origin, list[Failure]](), dict[Origin, list[Scenario]]()
        for each in gate.failures:
            origin = Origin.ALL
            if each.on_base:
                origin = Origin.NEW if each.is_new else Origin.KNOWN
            elif compared:
                origin = Origin.INCOMPLETE if each.scenario in on_base else Origin.NOT_COMPARED
            if self.gates_with(gate, each)[0] == gate.name:
                failures.setdefault(origin, []).append(each)
        for scenario in self.first(gate.below, "scenarios").shown:
            origin = Origin.ALL
            if compared and scenario.base_rates:
                below = all(rate is not None and rate < scenario.needed for rate in scenario.base_rates)
                origin = Origin.KNOWN if below else Origin.NEW
            elif compared:
                origin = Origin.NOT_COMPARED
            low.setdefault(origin, []).append(scenario)
        origins = failures.keys() | low.keys()
        last = Origin.LACKING if origins - {Origin.ALL} else Origin.ALL
        if gate.lacking or (not origins and gate.scenarios and self.place == "comment"):  # scenarios without a failure
            origins.add(last)
        sections, before = list[Section](), 0
        for origin in (each for each in Origin if each in origins):
            part = self.failures(failures.get(origin, ()), before)
            lacking = self.first(gate.lacking if origin is last else (), "tools")
            sections.append(Section(origin, low.get(origin, ()), part, lacking))
            before += len(part.shown)
        return sections

    @cached_property
    def _shared(self) -> Mapping[tuple[object, ...], Sequence[str]]:
        """Return the names of the gates with a section by what their failures are alike in, apart from their bases."""
        blocking = [gate for gate in self.report.blocking if gate.failed]
        others = [gate for gate in self.report.not_passed if not gate.result.blocks]
        gates = [gate for part in (blocking, others) for gate in self.first(part, "sections").shown]
        named = ((replace(each, on_base=None).alike, gate.name) for gate in gates for each in gate.failures)
        return grouped(dict.fromkeys(named))

    def gates_with(self, gate: GateFacts, failure: Failure) -> Sequence[str]:
        """Return the names of the gates with a section that have a failure, which the first one's section shows."""
        return self._shared.get(replace(failure, on_base=None).alike, [gate.name])

    def shown_before(self, gate: GateFacts) -> Mapping[str, int]:
        """Return how many failures of a gate are in the section of an earlier one, by its name."""
        firsts = Counter(self.gates_with(gate, each)[0] for each in gate.failures)
        return {name: count for name, count in firsts.items() if name != gate.name}

    def scenarios(self, gate: GateFacts) -> Part[Scenario]:
        """Return the first scenarios that did not pass; in a comment, which lists all failures, those without one."""
        every = (each for each in gate.scenarios if self.place != "comment" or not each.failures)
        return self.first(tuple(every), "scenarios")

    def got_worse(self, gate: GateFacts) -> Part[Scenario]:
        """Return the scenarios that explain a drop: in a comment, the five with the largest loss."""
        found = self.first(gate.got_worse if gate.dropped else (), "scenarios")
        if self.place == "comment":
            return Part(found.shown[:MOST_WORSE], found.more + len(found.shown[MOST_WORSE:]))
        return found
