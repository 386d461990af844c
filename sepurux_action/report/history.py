"""The numbers of a gate over time: of this commit, of earlier ones, and of the base."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.drops import Baseline
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.evaluation.result import GateResult, summarize
from sepurux_action.report.context import SHORT_SHA, Context
from sepurux_action.report.state import BY_DECISION, State
from sepurux_action.report.thresholds import written

MIN_CHART_POINTS = 3  # two numbers are clearer in a table
CHART_STEP = 5  # percentage points; the axis starts and ends at a multiple
CHART = {
    "xyChart": {"height": 250},  # pixels; Mermaid's default fills a screen
    # readable on white and on black
    "themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7, #bf8700", "backgroundColor": "transparent"}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFacts:
    """The numbers of one commit, '' for those that are unknown. `here`: the evaluated one; `base`: one of the base.

    The row of the base without a commit has the median of each number.
    """

    commit: str
    url: str
    state: State
    pass_rate: float | None
    cells: tuple[str, ...]
    here: bool = False
    base: bool = False


def history(result: GateResult, context: Context, baseline: Baseline) -> tuple[CommitFacts, ...]:
    """Return the results of this and the earlier commits, then of the base, the newest first."""

    def row(commit: str, past: PreviousResult, *, here: bool = False, base: bool = False) -> CommitFacts:
        return CommitFacts(
            commit=commit,
            url=context.commit_page(commit),
            state=BY_DECISION[past.decision],
            pass_rate=past.value(metrics.PASS_RATE),
            cells=tuple(written(result.gate, metric, past.value(metric)) for metric in metrics.LISTED),
            here=here,
            base=base,
        )

    name, results = result.gate.name, baseline.results
    rows = [row(context.commit, summarize(result), here=True)]
    rows += [row(each.commit, each.results[name]) for each in reversed(context.history) if name in each.results]
    rows += [row(each.commit, each.result, base=True) for each in results]
    if len(results) > 1:
        medians = ((metric.name, baseline.median(metric)) for metric in metrics.LISTED)
        numbers = {name: median for name, median in medians if median is not None}
        rows.append(row("", replace(results[0].result, numbers=numbers), base=True))
    return () if len(rows) == 1 else tuple(rows)


def without_rate(commits: Sequence[CommitFacts]) -> list[str]:
    return [row.commit[:SHORT_SHA] for row in commits if row.commit and row.pass_rate is None]


def chart(commits: Sequence[CommitFacts], needed: float | None) -> str:
    """Return the pass rates and the required rate as two lines (https://mermaid.js.org/syntax/xyChart.html), or ''.

    The results of the base come first, then those of the commits, the oldest first.
    """
    rows = sorted((row for row in reversed(commits) if row.commit), key=lambda row: not row.base)
    points = [(row.commit[:SHORT_SHA], row.pass_rate * 100) for row in rows if row.pass_rate is not None]
    if len(points) < MIN_CHART_POINTS:
        return ""
    values = [value for _, value in points]
    if needed is not None:
        values.append(needed * 100)
    low = max(0, math.floor(min(values) / CHART_STEP) * CHART_STEP - CHART_STEP)
    high = min(100, math.ceil(max(values) / CHART_STEP) * CHART_STEP + CHART_STEP)
    labels = ", ".join(f'"{re.sub("[^A-Za-z0-9]", "", label)}"' for label, _ in points)
    lines = [
        f"%%{{init: {json.dumps(CHART)}}}%%",
        "xychart-beta",
        "    accTitle: Pass rate by commit",
        f"    x-axis [{labels}]",
        f'    y-axis "passed, %" {low} --> {high}',
        f"    line [{', '.join(f'{value:.2f}' for _, value in points)}]",
    ]
    if needed is not None:
        lines.append(f"    line [{', '.join([f'{needed * 100:.2f}'] * len(points))}]")
    return "\n".join(lines)
