"""The tables of a report, in Markdown and in columns of text, and the chart. A writer escapes cells that are text."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sepurux_action.common import json_reader, wording
from sepurux_action.common.wording import joined
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import summarize
from sepurux_action.evaluation.gate_numbers import Scenario
from sepurux_action.evaluation.metrics import LISTED, NOT_KNOWN, PASS_RATE, Unit
from sepurux_action.evaluation.published_result import Result, median
from sepurux_action.report.markdown import NBSP, Markdown, as_markdown, code, escaped, link, strong
from sepurux_action.report.report import SHORT_SHA, GateFacts, state_of
from sepurux_action.report.thresholds import BY_DECISION, State, written

_DELIMITERS = {"<": "---", ">": "---:"}
MAX_BRANCH_LENGTH = 20  # characters of a branch in a heading
LINKED_SHA = 10  # digits of a commit in a link, enough to be unique
MIN_CHART_POINTS = 3  # two numbers are clearer in a table
CHART_STEP = 5  # percentage points; the axis starts and ends at a multiple
CHART = {
    "xyChart": {"height": 250},  # pixels; Mermaid's default fills a screen
    # readable on white and on black
    "themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7, #bf8700", "backgroundColor": "transparent"}},
}


def _table(alignment: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """Return a table of the columns that have an alignment, `<` or `>`."""
    table = ""
    for line in [headings, [_DELIMITERS[side] for side in alignment], *rows]:
        cells = map(as_markdown, line[: len(alignment)])
        table += "|" + "".join(f" {cell} |" if cell else " |" for cell in cells) + "\n"
    return Markdown(table)


def _columns(alignment: Sequence[str], rows: Iterable[Sequence[str]]) -> list[Markdown]:
    """Return the lines of a table; the alignment of a column may have a least width."""
    columns = []
    for side, cells in zip(alignment, zip(*rows, strict=True), strict=False):
        texts = [f"{json_reader.in_columns(json_reader.printable(cell)):{side}}" for cell in cells]
        columns.append([f"{text:{side[0]}{max(map(len, texts))}}" for text in texts])
    return [Markdown(f"  {'   '.join(row)}".rstrip().replace("\0", "")) for row in zip(*columns, strict=True)]


def base_heading(branch: str) -> str:
    """Return the name of the base branch for a table, or a word if it is unknown or too long."""
    if not branch:
        return "before"
    return branch if len(branch) <= MAX_BRANCH_LENGTH else "base"


def base(branch: str) -> Markdown:
    """Return the name of the base branch for a heading."""
    heading = base_heading(branch)
    return code(branch) if heading == branch else Markdown(heading)


def thresholds(gate: GateFacts) -> Markdown:
    alignment, rows = "<>>", []
    for row in gate.shown_rows:
        actual = strong(row.check.actual) if row.state is State.FAILED else escaped(row.check.actual)
        if row.base_cell:
            alignment = "<>>>"
        if row.check.reported_by:
            actual = Markdown(f"{actual} ({escaped(row.check.reported_by)})")
        label = Markdown(f"{row.state.symbol}{NBSP}{escaped(row.check.label)}")
        required = Markdown(re.sub("([≤≥]) ", rf"\1{NBSP}", escaped(row.check.required)))
        rows.append([label, actual, required, row.base_cell or NOT_KNOWN])
    return _table(alignment, ["Threshold", "Result", "Needs", base(gate.context.base_ref)], rows)


def threshold_columns(gate: GateFacts) -> list[Markdown]:
    rows = []
    for row in gate.shown_rows:
        needs = f"needs {row.check.required}"
        if not row.check.threshold:
            needs = f"{base_heading(gate.context.base_ref)}: {row.base_cell}"
        what = [needs, row.check.remark]
        if row.state is State.NOT_BLOCKING:
            what.append("does not block")
        rows.append((f"{row.state.mark} {row.check.label}", row.check.actual, joined("; ", *what)))
    return _columns("<><", rows)


def gates(every: Sequence[GateFacts], *, linked: bool) -> Markdown:
    alignment, rows = "<<>", []
    for gate in every:
        name, new, word = code(gate.name), NOT_KNOWN, gate.state.word
        if gate.new is not None:
            alignment, new = "<<>>", str(gate.new)
        if linked and gate.dashboard:
            name = link_to_run(name, gate.dashboard, gate)
        if gate.new:
            new = strong(new)
        if gate.result.needs_approval:
            word = strong(word)
        elif gate.effect == "blocks":
            word = f"{strong(word)}, blocks"
        elif gate.effect == "approved":
            word = gate.effect
        elif gate.effect:
            word = f"{word} ({gate.effect.partition(': ')[2]})"
        rows.append((name, Markdown(f"{gate.state.symbol}{NBSP}{word}"), _numbers(gate), new))
    return _table(alignment, ("Gate", "Result", "Passed", "New"), rows)


def _numbers(gate: GateFacts) -> str:
    """Return the pass rate, and the first number that misses another threshold: `72.0%, 1 unsafe`."""
    numbers = [gate.rate(gate.result.value(PASS_RATE))]
    missed = [row for row in gate.rows if row.state is State.FAILED and row.metric is not PASS_RATE]
    for row in missed[:1]:
        if row.metric is None or row.check.value is None:
            numbers.append(f"{len(row.check.lacking)} not covered")
        elif row.metric.published:
            numbers.append(row.metric.publish(row.check.value))
        else:
            numbers.append(row.metric.reached_by(row.check.value))
    return joined(", ", *numbers) or NOT_KNOWN


def link_to_run(label: str, url: str, gate: GateFacts) -> Markdown:
    """Return the link to a run in Sepurux, and after it the name of a host that is not that of `base_url`."""
    linked, host = link(label, url), gate.context.other_host(url)
    return Markdown(f"{linked} on {code(host)}") if host else linked


def gate_columns(every: Iterable[GateFacts]) -> list[Markdown]:
    rows = []
    for gate in every:
        word, follows = gate.state.word, gate.effect
        if gate.result.needs_approval:
            word, follows = State.FAILED.word, word
        elif follows not in {"", "blocks", "approved"}:  # it is the setting that says so
            follows = "does not block"
        rows.append((f"{gate.state.mark} {gate.name}", word, follows, _numbers(gate)))
    return _columns("<<<>", rows)


def other_numbers(gate: GateFacts) -> Sequence[str]:
    """Return the reported numbers without a threshold, the counts first."""
    elsewhere = [metrics.MUTATION_CATEGORIES, metrics.SCENARIOS, metrics.LOWEST_SCENARIO]
    elsewhere += [row.metric for row in gate.rows if row.metric]
    others = [each for each in metrics.METRICS if each not in elsewhere]
    others.sort(key=lambda each: each.unit is not Unit.INTEGER)
    known = ((metric, gate.result.value(metric)) for metric in others)
    return [metric.with_noun(value) for metric, value in known if value is not None]


def worse_columns(scenarios: Iterable[Scenario], gate: GateFacts) -> list[Markdown]:
    """Return the scenarios that got worse and are not listed with their failures."""
    heading = base_heading(gate.context.base_ref)
    rows = [
        (f"{State.FAILED.mark} {each.name}", gate.rate(each.rate), f"{heading}: {gate.rate_on_base(each)}")
        for each in scenarios
        if each not in gate.scenarios
    ]
    return _columns(("<", ">6", "<"), rows)


def scenario_columns(scenarios: Iterable[Scenario], gate: GateFacts) -> list[Markdown]:
    rows = []
    for each in scenarios:
        others = []
        if unsafe := each.value(metrics.UNSAFE_ATTEMPTS):
            others.append(f"{wording.count(unsafe)} unsafe")
        if each.recordings[1:]:
            others.append(wording.pluralize(len(each.recordings), "recording"))
        if on_base := gate.rate_on_base(each):
            others.append(f"{base_heading(gate.context.base_ref)}: {on_base}")
        rate = gate.rate(each.value(PASS_RATE))
        rows.append((f"{state_of(each).mark} {each.name}", rate or NOT_KNOWN, "   ".join(others)))
    return _columns(("<", ">6", "<"), rows)


def history(gate: GateFacts) -> list[tuple[Result, int]]:
    """Return the results, each with how many of the base it is of: of this commit, the base, and the base's median.

    The newest comes first. It is [] if there is no result of the base.
    """
    results = gate.base_results
    if not (gate.detailed and results):
        return []
    rows = [(replace(summarize(gate.result), commit=gate.context.commit), 0), *((each, 1) for each in results)]
    if len(results) > 1:
        medians = ((metric.name, median(results, metric)) for metric in LISTED)
        numbers = {name: median for name, median in medians if median is not None}
        rows.append((replace(results[0], commit="", numbers=numbers), len(results)))
    return rows


def commits(rows: Iterable[tuple[Result, int]], gate: GateFacts) -> Markdown:
    lines, branch = [], base(gate.context.base_ref)
    for result, of_base in rows:
        name = code(result.commit[:SHORT_SHA])
        if not of_base:
            name = strong(name)
        elif not result.commit:  # on a command line
            name = branch
        else:
            name = link(name, gate.context.page(f"/commit/{result.commit[:LINKED_SHA]}"))
            if gate.context.base_ref:
                name = Markdown(f"{branch} {name}")
        commit = Markdown(f"{BY_DECISION[result.decision].symbol}{NBSP}{name}")
        if of_base > 1:
            commit = Markdown(f"{branch}, median of {of_base}")
        numbers = (written(gate.result.gate, metric, result.value(metric)) for metric in LISTED)
        lines.append((commit, *(number or NOT_KNOWN for number in numbers)))
    names = (each.published.removeprefix("{} ") if each.unit is Unit.INTEGER else each.noun for each in LISTED)
    return _table("<" + ">" * len(LISTED), ("Commit", *(name.capitalize() for name in names)), lines)


def chart(gate: GateFacts) -> Markdown:
    """Return the pass rates, the oldest first, and the required rate as two lines, or ''.

    Source: https://mermaid.js.org/syntax/xyChart.html.
    """
    rates = [(result.commit[:SHORT_SHA], result.value(PASS_RATE)) for result, _ in reversed(history(gate))]
    points = [(commit, rate * 100) for commit, rate in rates if commit and rate is not None]
    if len(points) < MIN_CHART_POINTS:
        return Markdown("")
    drawn = [[value for _, value in points]]
    if gate.needed_rate is not None:
        drawn.append([gate.needed_rate * 100] * len(points))
    values = [value for line in drawn for value in line]
    low = max(0, math.floor(min(values) / CHART_STEP) * CHART_STEP - CHART_STEP)
    high = min(100, math.ceil(max(values) / CHART_STEP) * CHART_STEP + CHART_STEP)
    labels = ", ".join(f'"{re.sub("[^A-Za-z0-9]", "", label)}"' for label, _ in points)
    lines = [
        "```mermaid",
        f"%%{{init: {json.dumps(CHART)}}}%%",
        "xychart-beta",
        "    accTitle: Pass rate by commit",
        f"    x-axis [{labels}]",
        f'    y-axis "passed, %" {low} --> {high}',
        *(f"    line [{', '.join(f'{value:.2f}' for value in line)}]" for line in drawn),
        "```",
    ]
    return Markdown("\n".join(lines))
