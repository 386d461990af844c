"""The classified failures and the scenarios of an evaluation, of which any field may be missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sepurux_action.common import json_reader
from sepurux_action.evaluation.ci_run import CIRun
from sepurux_action.evaluation.metrics import FAILURES, PASS_RATE, UNSAFE_ATTEMPTS

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario of an evaluation, which is a CI run. Unknown ids and names are ''.

    `run` has its numbers, None if they were not read. `failures` are its classified failures by kind: `listed` is the
    number of entries that were read, and `left_out` counts those of kinds that were not kept. `problem` is a clause
    that says why its numbers or failures were not all read, '' if they were.
    """

    run_id: str
    trace_id: str = ""
    name: str = ""
    run: CIRun | None = None
    failures: Failures = ()
    listed: int = 0
    left_out: int = 0
    problem: str = ""

    @property
    def shown_name(self) -> str:
        return self.name or self.run_id

    @property
    def reported(self) -> float:
        """Return how many failures and unsafe attempts its run reports; infinite if one number is not known."""
        return sum(math.inf if number is None else number for number in self._numbers)

    @property
    def failed(self) -> bool:
        return bool(self.failures or (self.run and self.run.decision == "fail") or any(self._numbers))

    @property
    def _numbers(self) -> list[float | None]:
        return [(self.run or CIRun()).value(metric) for metric in (FAILURES, UNSAFE_ATTEMPTS)]

    @property
    def severity_key(self) -> tuple[float, ...]:
        """Return a key that sorts the worst scenario first: unsafe attempts, the pass rate, failures."""
        run = self.run or CIRun()
        unsafe, rate, failures = (run.value(metric) for metric in (UNSAFE_ATTEMPTS, PASS_RATE, FAILURES))
        return not self.failed, -(unsafe or 0), math.inf if rate is None else rate, -(failures or 0)

    def with_failures(self, failures: Failures, listed: int, left_out: int, problem: str) -> Scenario:
        """Return the scenario with its failures. Without a trace of its own, their trace is the scenario's."""
        trace_id = self.trace_id or next((each.trace_id for each in failures if each.trace_id), "")
        named = (replace(each, trace_id=each.trace_id or trace_id) for each in failures)
        problem = problem or fewer_listed(listed, (self.run or CIRun()).value(FAILURES))
        merged = replace(self, trace_id=trace_id, name=self.name or trace_id, failures=merge_failures(named)[0])
        return replace(merged, listed=listed, left_out=left_out, problem=problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrichment:
    """What further calls add to the report: the scenarios, the worst first, and all of their classified failures.

    `left_out` counts the failures of kinds that were not kept, `unread_failures` those that Sepurux counts and that
    were not read, and `unread_scenarios` the scenarios that were not read, or not all of them. `notes` say why. `fixed`
    are those that a result of the base had and this run lacks; `compared_with` counts the results of the base that the
    failures were compared with.
    """

    scenarios: tuple[Scenario, ...] = ()
    failures: Failures = ()
    left_out: int = 0
    unread_failures: int = 0
    unread_scenarios: int = 0
    fixed: Failures = ()
    compared_with: int = 0
    notes: tuple[str, ...] = ()

    def with_each(self, change: Callable[[ClassifiedFailure], ClassifiedFailure]) -> Enrichment:
        return replace(self, failures=tuple(map(change, self.failures)), fixed=tuple(map(change, self.fixed)))


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


def combine_found(found: Sequence[Enrichment], max_kinds: int | None = None) -> Enrichment:
    """Return what was found about several runs: at most `max_kinds` kinds. What is fixed is left out unless all fit."""
    failures, left_out = merge_failures((each for one in found for each in one.failures), max_kinds)
    fixed, more_fixed = merge_failures((each for one in found for each in one.fixed), max_kinds)
    return Enrichment(
        scenarios=tuple(each for one in found for each in one.scenarios),
        failures=failures,
        left_out=left_out + sum(one.left_out for one in found),
        unread_failures=sum(one.unread_failures for one in found),
        unread_scenarios=sum(one.unread_scenarios for one in found),
        fixed=() if more_fixed else fixed,
        compared_with=sum(one.compared_with for one in found),
    )


def severity_rank(severity: str) -> int:
    """Return the rank of a severity, 0 for the worst; unknown words come last."""
    word = severity.lower()
    return SEVERITIES.index(word) if word in SEVERITIES else len(SEVERITIES)
