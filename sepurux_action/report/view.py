"""What a report shows in one place: which parts, how much of each, and how much is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from sepurux_action.common import number_format
from sepurux_action.evaluation.ci_run import ClassifiedFailure, severity_rank
from sepurux_action.report.report import CommitFacts, GateFacts, Report
from sepurux_action.report.size_limits import MANY_GATES, SUMMARY_LIMITS, Limits
from sepurux_action.report.states import State

T = TypeVar("T")
NUMBERS_IN_TITLE = 2


class Part(NamedTuple, Generic[T]):
    """The items of a list that are shown, and the number of the others."""

    shown: Sequence[T]
    more: int


@dataclass(frozen=True, kw_only=True)  # no slots: `cached_property` needs a `__dict__`
class View:
    """A report in a place, `comment`, `summary`, or the name of a text template, within limits.

    `brief` is the prompt for agents, '' to leave it out.
    """

    report: Report
    place: str
    limits: Limits
    brief: str = ""

    def first(self, items: Sequence[T], limit: str) -> Part[T]:
        """Return the first of some items, as many as the limit of this name allows."""
        most = getattr(self.limits, limit)
        return Part(items[:most], max(0, len(items) - most))

    @property
    def summary_url(self) -> str:
        """Return the address of the page with the summary, which has what this place leaves out; '' for none."""
        return self.report.context.run_url if self.place == "comment" else ""

    @property
    def alert(self) -> str:
        """Return the kind of GitHub's alert."""
        if self.report.in_state(State.FAILED):
            return "CAUTION"
        if self.report.in_state(State.NEEDS_APPROVAL):
            return "IMPORTANT"
        return "WARNING" if self.report.problems or self.report.acting else "NOTE"

    @property
    def _many(self) -> bool:
        return len(self.report.gates) > MANY_GATES

    @property
    def rows(self) -> Part[GateFacts]:
        """Return the gates of the table."""
        return self.first(self.report.not_passed if self._many else self.report.gates, "gates")

    @property
    def sections(self) -> Part[GateFacts]:
        """Return the gates that failed and block, which have a section."""
        return self.first([gate for gate in self.report.acting if gate.failed], "sections")

    @property
    def not_acting(self) -> Sequence[GateFacts]:
        """Return the gates that did not pass and do not block, which have a collapsed section."""
        return self.first([gate for gate in self.report.not_passed if not gate.blocks], "sections").shown

    @property
    def passed(self) -> Part[GateFacts]:
        """Return the gates that have no row, because they passed."""
        return self.first(self.report.passed if self._many else (), "gates")

    @property
    def passed_sections(self) -> Sequence[GateFacts]:
        """Return the gates that passed and have a collapsed section."""
        return () if self._many else self.report.in_state(State.PASSED)

    def linked(self, gate: GateFacts) -> bool:
        """Return whether the table links the run of a gate."""
        return bool(gate.dashboard and self.limits.sections > MANY_GATES)

    def failures(self, gate: GateFacts) -> Part[ClassifiedFailure]:
        """Return the groups of failures."""
        return self.first(most_severe_among_first(gate.failures, self.limits.failures), "failures")

    @property
    def _with_details(self) -> Sequence[GateFacts]:
        several = len(self.report.gates) > 1
        return self.report.not_passed if several else [gate for gate in self.report.gates if not gate.skipped]

    @property
    def details(self) -> Sequence[GateFacts]:
        """Return the gates with details."""
        return self.first(self._with_details, "details").shown

    def history(self, gate: GateFacts) -> Part[CommitFacts]:
        """Return the results of earlier commits, the newest first, and of the base; nothing without any other."""
        here, most = [row for row in gate.history if not row.base], self.limits.history
        base = [] if gate.passed and self.place == "comment" else [row for row in gate.history if row.base]
        return Part([*here[: most + 1], *base] if len(here) + len(base) > 1 else (), max(0, len(here) - most - 1))

    def reproduction(self, gate: GateFacts) -> tuple[str, ...]:
        """Return the lines to repeat the evaluation of a gate that failed."""
        return gate.reproduction if gate.failed else ()

    def other_numbers(self, gate: GateFacts) -> Sequence[str]:
        """Return the numbers without a threshold that the title of the details does not have."""
        numbers = [number for _, number in gate.other_numbers]
        if not gate.passed:
            return numbers
        return numbers[NUMBERS_IN_TITLE:] if self.place == "summary" else ()

    @property
    def charts(self) -> bool:
        """Return whether a chart is shown, which has the whole history."""
        return self.limits.history == SUMMARY_LIMITS.history

    @cached_property
    def details_title(self) -> str:
        """Return the title of the collapsed section."""
        gates, earlier = self.details, 0
        if gates and self.place == "comment":
            earlier = sum(not (row.here or row.base) for row in gates[0].history)
        if gates and gates[0].passed:
            numbers = [number for _, number in gates[0].other_numbers][:NUMBERS_IN_TITLE]
            numbers += [number_format.pluralize(earlier, "earlier commit")] if earlier else []
            return ": ".join(["Details", *filter(None, [", ".join(numbers)])])
        reproduced = any(self.reproduction(gate) for gate in gates)
        contains = {
            "earlier commits": earlier,
            "how to reproduce": reproduced,
            "run details": gates,
            "notes": self.first(self.report.notes, "notes").shown,
        }
        title = ", ".join(name for name, there in contains.items() if there)
        return title[:1].upper() + title[1:]

    @property
    def leaves_out_details(self) -> bool:
        """Return whether details do not fit."""
        if self.report.short:
            return False
        shortened = not self.limits.tools or (self.place == "comment" and not self.brief)
        fewer = len(self._with_details) > self.limits.details or len(self.report.notes) > self.limits.notes
        return fewer or bool(self.report.failed and shortened)


def most_severe_among_first(failures: tuple[ClassifiedFailure, ...], most: int) -> tuple[ClassifiedFailure, ...]:
    """Return groups of failures. If the first `most` lack the most severe one, it comes first."""
    worst = min(failures, key=lambda each: severity_rank(each.severity), default=None)
    if worst is None or worst in failures[:most]:
        return failures
    return (worst, *(each for each in failures if each is not worst))
