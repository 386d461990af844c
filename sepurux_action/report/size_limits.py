"""Selects what a comment and a summary show of a report, and shortens a report that is too long.

Source: contract, section 8: a comment is shortened in a fixed order and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from sepurux_action.common import number_format
from sepurux_action.report.report import VISIBLE_ROWS, Block, BlockKind, Report, Section

K = BlockKind

# What a comment shows of a gate: these blocks with so many rows, then the collapsed blocks, in this order.
FIRST_SCREEN = {
    K.PROBLEMS: 5 * VISIBLE_ROWS,
    K.GATES: 3 * VISIBLE_ROWS,
    K.POLICY: VISIBLE_ROWS,
    K.BROKEN: VISIBLE_ROWS,
    K.TRACES: 3,
    K.TOOLS: 5,
}
COLLAPSED = (K.THRESHOLDS, K.METRICS, K.FAILURES, K.REASONS, K.HISTORY, K.REPRODUCTION, K.PROVENANCE)

# How a report is shortened, one step after the other until it fits: a number of rows that remain, and of which blocks.
# Between the two lists, the sections of gates that do not block lose DETAILS, then all blocks, and then are left out.
FIRST_STEPS = (
    (500, (K.FAILURES,)),
    (50, (K.FAILURES, K.TOOLS, K.CATEGORIES, K.REASONS, K.NOTES, K.TRACES, K.POLICY)),
    (VISIBLE_ROWS, (K.FAILURES, K.TOOLS, K.CATEGORIES, K.REASONS, K.NOTES)),
)
DETAILS = (K.REPRODUCTION, K.PROVENANCE, K.HISTORY, K.CHART, K.RATES, K.CATEGORIES)
LAST_STEPS = (
    (0, (K.PROVENANCE, K.REASONS, K.CATEGORIES, K.CHART, K.REPRODUCTION, K.HISTORY)),
    (VISIBLE_ROWS, (K.TRACES,)),
    (3, (K.FAILURES, K.TOOLS, K.NOTES)),
    (50, (K.PROBLEMS, K.GATES)),
    (0, (K.RATES, K.METRICS, K.TRACES, K.FAILURES, K.TOOLS, K.THRESHOLDS, K.BROKEN)),
    (VISIBLE_ROWS, (K.PROBLEMS, K.GATES, K.POLICY)),
)
SECTION_STEPS = (20, 5, 1, 0)  # sections that remain if fewer rows are not enough


def for_summary(report: Report) -> Report:
    """Return the report for a job summary: everything but the block that repeats the broken thresholds."""
    return _arranged(report, lambda blocks: tuple(block for block in blocks if block.kind is not K.BROKEN))


def for_comment(report: Report) -> Report:
    """Return the report for a comment: the most important on the first screen, the rest collapsed."""
    sections = tuple(replace(section, collapsed=not section.closed) for section in report.sections)
    return _arranged(replace(report, sections=sections), _as_comment)


def _arranged(report: Report, arrange: Callable[[tuple[Block, ...]], tuple[Block, ...]]) -> Report:
    return replace(
        report,
        blocks=arrange(report.blocks),
        sections=tuple(replace(section, blocks=arrange(section.blocks)) for section in report.sections),
    )


def _as_comment(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return the blocks in a comment's order; without a broken threshold, the metrics are on the first screen."""
    by_kind = {block.kind: block for block in blocks}
    first = {kind: rows for kind, rows in FIRST_SCREEN.items() if kind in by_kind}
    if K.BROKEN not in first and K.METRICS in by_kind and by_kind[K.METRICS].visible_rows:
        first = {K.METRICS: VISIBLE_ROWS, **first}
    collapsed = {kind: 0 for kind in COLLAPSED if kind in by_kind and kind not in first}
    return tuple(replace(by_kind[kind], visible_rows=rows) for kind, rows in {**first, **collapsed}.items())


def shrink(report: Report) -> Iterator[Report]:
    """Yield the report, then shorter and shorter ones; sections of gates that do not block go before the others."""
    yield report
    for kind, rows in _steps(FIRST_STEPS):
        report = _with_rows(report, kind, rows)
        yield report
    gates = len(report.sections)
    if gates:
        for kinds in (DETAILS, tuple(BlockKind)):
            report = replace(report, sections=tuple(_without(section, kinds) for section in report.sections))
            yield report
        report = _with_sections(report, tuple(section for section in report.sections if section.closed), gates)
        yield report
    for kind, rows in _steps(LAST_STEPS):
        report = _with_rows(report, kind, rows)
        yield report
    for remaining in SECTION_STEPS:
        if remaining < len(report.sections):
            report = _with_sections(report, report.sections[:remaining], gates)
            yield report


def _steps(table: Iterable[tuple[int, tuple[BlockKind, ...]]]) -> Iterator[tuple[BlockKind, int]]:
    return ((kind, rows) for rows, kinds in table for kind in kinds)


def _with_rows(report: Report, kind: BlockKind, rows: int) -> Report:
    return replace(
        report,
        blocks=_keep(report.blocks, kind, rows),
        notes=_keep(report.notes, kind, rows),
        sections=tuple(replace(section, blocks=_keep(section.blocks, kind, rows)) for section in report.sections),
    )


def _with_sections(report: Report, sections: tuple[Section, ...], gates: int) -> Report:
    left_out = number_format.pluralize(gates - len(sections), "gate")
    note = f"The sections of {left_out} are left out: the report would be too long." if len(sections) < gates else ""
    return replace(report, sections=sections, left_out_note=note)


def _without(section: Section, kinds: Collection[BlockKind]) -> Section:
    if section.closed:
        return section
    return replace(section, blocks=tuple(block.keep(0) if block.kind in kinds else block for block in section.blocks))


def _keep(blocks: tuple[Block, ...], kind: BlockKind, rows: int) -> tuple[Block, ...]:
    return tuple(block.keep(rows) if block.kind is kind else block for block in blocks)
