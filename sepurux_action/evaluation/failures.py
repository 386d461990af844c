"""The classified failures of a CI run, of which any field may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sepurux_action.common import json_reader

MAX_LISTED_FAILURES = 5_000  # of one response
MAX_FAILURE_TEXT_LENGTH = 1_000  # characters; a report shows at most 200
SEVERITIES = ("critical", "high", "medium", "low", "info")  # the worst first
FEWER_LISTED = "Sepurux lists fewer failures than it counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedFailure:
    """Failures of one kind. Every text is foreign. `new` of the `count` are not known from the base, or it is None."""

    type: str
    severity: str
    description: str
    mutation: str
    trace_id: str = ""
    count: int = 1
    new: int | None = None

    @property
    def kind(self) -> tuple[str, ...]:
        return self.severity, self.type, self.mutation, self.trace_id

    @property
    def base(self) -> str | None:
        """Return `new` if some of the failures are, else `known`; None if they were not compared with the base."""
        return None if self.new is None else "new" if self.new else "known"

    @property
    def compared(self) -> str:
        return f"{self.new} new" if self.new and self.new != self.count else self.base or ""

    def sentence(self, base_ref: str) -> str:
        """Return all but the severity for a plain text; `base_ref` is the base branch, '' for an earlier commit."""
        new, also = (self.new, self.count - self.new) if self.new is not None else (0, 0)
        parts = (
            f"{self.type or 'no type'}{f' ×{self.count}' if self.new is None and self.count > 1 else ''}",
            f"{new} new" if new else "",
            f"{also} also {f'on {base_ref}' if base_ref else 'before'}" if also else "",
            self.mutation and f"under {self.mutation}",
        )
        return f"{', '.join(filter(None, parts))}: {self.description or 'no description'}"


Failures = tuple[ClassifiedFailure, ...]


def fewer_listed(listed: int, reported: float | None) -> str:
    """Return why a list is not complete, '' if it is. An empty one is complete only if a run reported 0 failures."""
    return FEWER_LISTED if listed < (1 if reported is None else reported) else ""


def parse_failures(payload: object) -> Failures:
    items = map(json_reader.as_object, list(json_reader.as_array(payload))[:MAX_LISTED_FAILURES])

    def text(item: Mapping[str, object], name: str) -> str:
        return json_reader.text(item.get(name))[:MAX_FAILURE_TEXT_LENGTH]

    return tuple(
        ClassifiedFailure(
            type=text(item, "type"),
            severity=text(item, "severity"),
            description=text(item, "description"),
            mutation=text(item, "mutation"),
            trace_id=json_reader.identifier(item.get("trace_id")),
        )
        for item in items
        if item
    )


def merge_failures(failures: Iterable[ClassifiedFailure], max_kinds: int | None = None) -> tuple[Failures, int]:
    """Return `max_kinds` kinds or all, first the new, severe, and frequent ones, and the number of other failures."""
    kinds: dict[tuple[str, ...], list[ClassifiedFailure]] = {}
    for failure in failures:
        kinds.setdefault(failure.kind, []).append(failure)
    merged = []
    for alike in kinds.values():
        description = next((each.description for each in alike if each.description), "")
        new = [each.new for each in alike if each.new is not None]
        all_new = sum(new) if len(new) == len(alike) else None
        merged.append(replace(alike[0], description=description, count=sum(each.count for each in alike), new=all_new))
    ranked = sorted(merged, key=lambda each: (not each.new, severity_rank(each.severity), -each.count))
    kept = tuple(ranked[:max_kinds])
    return kept, sum(each.count for each in ranked[len(kept) :])


def severity_rank(severity: str) -> int:
    """Return the rank of a severity, 0 for the worst; unknown words come last."""
    word = severity.lower()
    return SEVERITIES.index(word) if word in SEVERITIES else len(SEVERITIES)
