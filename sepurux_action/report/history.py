"""The numbers of a gate over time: of this commit, of earlier ones, and of the base."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.drops import Baseline
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.evaluation.result import GateResult, summarize
from sepurux_action.report.context import SHORT_SHA, Context

MIN_CHART_POINTS = 3  # two numbers are clearer in a table
CHART_STEP = 5  # percentage points; the axis starts and ends at a multiple
CHART = {
    "xyChart": {"height": 250},  # pixels; Mermaid's default fills a screen
    # readable on white and on black
    "themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7, #bf8700", "backgroundColor": "transparent"}},
}


class Past(NamedTuple):
    """The result of one commit. `here`: the evaluated one; `base`: one of the base, or without a commit the medians."""

    commit: str
    result: PreviousResult
    here: bool = False
    base: bool = False

    @property
    def rate(self) -> float | None:
        return self.result.value(metrics.PASS_RATE)


def earlier(gate: str, context: Context) -> list[Past]:
    """Return the results of the pull request's earlier commits, the oldest first."""
    return [Past(each.commit, each.results[gate]) for each in context.history if gate in each.results]


def history(result: GateResult, context: Context, baseline: Baseline) -> tuple[Past, ...]:
    """Return the results of this and the earlier commits, then of the base, the newest first."""
    results = baseline.results
    rows = [Past(context.commit, summarize(result), here=True), *reversed(earlier(result.gate.name, context))]
    rows += [Past(each.commit, each.result, base=True) for each in results]
    if len(results) > 1:
        medians = ((metric.name, baseline.median(metric)) for metric in metrics.LISTED)
        numbers = {name: median for name, median in medians if median is not None}
        rows.append(Past("", replace(results[0].result, numbers=numbers), base=True))
    return () if len(rows) == 1 else tuple(rows)


def without_rate(commits: Sequence[Past]) -> list[str]:
    return [row.commit[:SHORT_SHA] for row in commits if row.commit and row.rate is None]


def chart(commits: Sequence[Past], needed: float | None) -> str:
    """Return the pass rates and the required rate as two lines (https://mermaid.js.org/syntax/xyChart.html), or ''.

    The results of the base come first, then those of the commits, the oldest first.
    """
    rows = sorted((row for row in reversed(commits) if row.commit), key=lambda row: not row.base)
    points = [(row.commit[:SHORT_SHA], row.rate * 100) for row in rows if row.rate is not None]
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
