"""The chart of a gate's pass rates, for the job summary."""

from __future__ import annotations

import json
import math

from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.report.markdown import Markdown, fence
from sepurux_action.report.report import SHORT_SHA, GateFacts

MIN_POINTS = 3  # two numbers are clearer in a table

STEP = 5  # percentage points; the axis starts and ends at a multiple
CHART = {
    "xyChart": {"height": 250},  # pixels; Mermaid's default fills a screen
    "themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7, #bf8700"}},  # readable on white and on black
}


def chart(gate: GateFacts) -> Markdown:
    """Return the pass rate by commit and the required rate as lines; '' for fewer than three numbers.

    Source: https://mermaid.js.org/syntax/xyChart.html
    """
    commits = [row for row in reversed(gate.history) if not row.base]
    points = [(row.commit[:SHORT_SHA], row.pass_rate * 100) for row in commits if row.pass_rate is not None]
    if len(points) < MIN_POINTS:
        return Markdown("")
    needed = gate.gate.limits.get(PASS_RATE.threshold)
    values = [value for _, value in points] + ([] if needed is None else [needed * 100])
    low = max(0, math.floor(min(values) / STEP) * STEP - STEP)
    high = min(100, math.ceil(max(values) / STEP) * STEP + STEP)
    labels = ", ".join(f'"{n} {"".join(filter(_is_plain, label))}"' for n, (label, _) in enumerate(points, 1))
    lines = [
        f"%%{{init: {json.dumps(CHART)}}}%%",
        "xychart-beta",
        f"    x-axis [{labels}]",
        f'    y-axis "passed, %" {low} --> {high}',
        f"    line [{', '.join(f'{value:.2f}' for _, value in points)}]",
    ]
    if needed is not None:
        lines.append(f"    line [{', '.join([f'{needed * 100:.2f}'] * len(points))}]")
    return fence("\n".join(lines), "mermaid")


def _is_plain(character: str) -> bool:
    return character.isascii() and character.isalnum()
