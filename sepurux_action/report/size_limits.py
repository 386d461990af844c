"""Owns how much of a report each place shows, in which order, and what is shed first; never what is said of a gate.

Source: contract, section 8: a comment sheds in a fixed order and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from sepurux_action.common import number_format
from sepurux_action.report.report import UNFOLDED, Block, Kind, Report, Section

# What a comment shows of a gate: the first screen with so many rows, then what opens with a click, in this order.
FIRST_SCREEN = {
    Kind.PROBLEMS: 5 * UNFOLDED,
    Kind.GATES: 3 * UNFOLDED,
    Kind.POLICY: UNFOLDED,
    Kind.BROKEN: UNFOLDED,
    Kind.TRACES: 3,
    Kind.TOOLS: 5,
}
BEHIND_A_CLICK = (
    *(Kind.THRESHOLDS, Kind.METRICS, Kind.FAILURES, Kind.REASONS),
    *(Kind.HISTORY, Kind.REPRODUCTION, Kind.ORIGIN),
)

# What is shed first: how many rows of which kind remain, one step after the other until the report fits.
BULK = (
    (Kind.FAILURES, 500),
    *((kind, 50) for kind in (Kind.FAILURES, Kind.TOOLS, Kind.CATEGORIES, Kind.REASONS, Kind.NOTES, Kind.TRACES)),
    (Kind.POLICY, 50),
    *((kind, UNFOLDED) for kind in (Kind.FAILURES, Kind.TOOLS, Kind.CATEGORIES, Kind.REASONS, Kind.NOTES)),
)
# What the sections of open gates lose then; after it they go, because a row tells their verdict.
ASIDE = frozenset({Kind.REPRODUCTION, Kind.ORIGIN, Kind.HISTORY, Kind.CHART, Kind.RATES, Kind.CATEGORIES})
# What is shed last.
SHED = (
    *((kind, 0) for kind in (Kind.ORIGIN, Kind.REASONS, Kind.CATEGORIES)),
    *((kind, 0) for kind in (Kind.CHART, Kind.REPRODUCTION, Kind.HISTORY)),
    (Kind.TRACES, UNFOLDED),
    *((kind, 3) for kind in (Kind.FAILURES, Kind.TOOLS, Kind.NOTES)),
    (Kind.PROBLEMS, 50),
    (Kind.GATES, 50),
    *((kind, 0) for kind in (Kind.RATES, Kind.METRICS, Kind.TRACES, Kind.FAILURES, Kind.TOOLS)),
    *((kind, 0) for kind in (Kind.THRESHOLDS, Kind.BROKEN)),
    *((kind, UNFOLDED) for kind in (Kind.PROBLEMS, Kind.GATES, Kind.POLICY)),
)
SECTION_STEPS = (20, 5, 1, 0)  # sections that remain once shedding rows was not enough


def for_summary(report: Report) -> Report:
    """Return the report as a job summary shows it: whole, but for what the comment says in another form."""
    return _arranged(report, lambda blocks: tuple(block for block in blocks if block.kind is not Kind.BROKEN))


def for_comment(report: Report) -> Report:
    """Return the report as a comment shows it: on one screen what has to be known, the rest behind clicks."""
    sections = tuple(replace(section, folded=not section.closed) for section in report.sections)
    return _arranged(replace(report, sections=sections), _as_comment)


def _arranged(report: Report, arrange: Callable[[tuple[Block, ...]], tuple[Block, ...]]) -> Report:
    return replace(
        report,
        blocks=arrange(report.blocks),
        sections=tuple(replace(section, blocks=arrange(section.blocks)) for section in report.sections),
    )


def _as_comment(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return the blocks in a comment's order; where no threshold is broken, the metrics are on the first screen."""
    found = {block.kind: block for block in blocks}
    first = {kind: rows for kind, rows in FIRST_SCREEN.items() if kind in found}
    if Kind.BROKEN not in first and Kind.METRICS in found and found[Kind.METRICS].unfolded:
        first = {Kind.METRICS: UNFOLDED, **first}
    behind = {kind: 0 for kind in BEHIND_A_CLICK if kind in found and kind not in first}
    return tuple(replace(found[kind], unfolded=rows) for kind, rows in {**first, **behind}.items())


def shrink(report: Report) -> Iterator[Report]:
    """Yield the report, then ever shorter ones: rows go first, those of open gates before others, then sections."""
    yield report
    for kind, rows in BULK:
        report = _with_rows(report, kind, rows)
        yield report
    gates = len(report.sections)
    if gates:
        for kinds in (ASIDE, frozenset(Kind)):
            report = replace(report, sections=tuple(_without(section, kinds) for section in report.sections))
            yield report
        report = _with_sections(report, tuple(section for section in report.sections if section.closed), gates)
        yield report
    for kind, rows in SHED:
        report = _with_rows(report, kind, rows)
        yield report
    for most in SECTION_STEPS:
        if most < len(report.sections):
            report = _with_sections(report, report.sections[:most], gates)
            yield report


def _with_rows(report: Report, kind: Kind, rows: int) -> Report:
    return replace(
        report,
        blocks=_keep(report.blocks, kind, rows),
        notes=_keep(report.notes, kind, rows),
        sections=tuple(replace(section, blocks=_keep(section.blocks, kind, rows)) for section in report.sections),
    )


def _with_sections(report: Report, kept: tuple[Section, ...], gates: int) -> Report:
    lost = gates - len(kept)
    note = (
        f"The sections of {number_format.counted(lost, 'gate')} are left out: the report would be too long."
        if lost
        else ""
    )
    return replace(report, sections=kept, left_out_note=note)


def _without(section: Section, kinds: Collection[Kind]) -> Section:
    if section.closed:
        return section
    return replace(section, blocks=tuple(block.keep(0) if block.kind in kinds else block for block in section.blocks))


def _keep(blocks: tuple[Block, ...], kind: Kind, rows: int) -> tuple[Block, ...]:
    return tuple(block.keep(rows) if block.kind is kind else block for block in blocks)
