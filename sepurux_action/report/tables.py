"""What a job summary has after the head, and a log after the things to change: lists, tables, the chart, columns."""

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sepurux_action.common import grouped, json_reader, wording
from sepurux_action.common.wording import joined, pluralize
from sepurux_action.config import options
from sepurux_action.config.command_line import PROGRAM
from sepurux_action.config.options import flag
from sepurux_action.config.settings import Change
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.gate_numbers import DROP, Scenario
from sepurux_action.evaluation.metrics import NOT_KNOWN, PASS_RATE
from sepurux_action.evaluation.runs import Failure
from sepurux_action.report import markdown
from sepurux_action.report.head import action_of, hint_of, remarks
from sepurux_action.report.items import MAX_LONG_ITEM, base_of, item_of, scenario_link
from sepurux_action.report.markdown import NBSP, Markdown, as_markdown, code, escaped, link, say
from sepurux_action.report.report import SHORT_SHA, GateFacts, Report, State

MAX_BRANCH = 20  # characters of a branch in a heading
MIN_CHART_POINTS = 3
CHART_STEP = 5  # percentage points; the axis starts and ends at a multiple
CHART = {
    "xyChart": {"height": 250},  # pixels; Mermaid's default fills a screen
    # readable on white and on black
    "themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7, #bf8700", "backgroundColor": "transparent"}},
}
MAX_VALUE = 400  # characters of a changed value of the policy
MOST_MUTATIONS, MOST_TOOLS = 20, 5  # that are named
COUNTED_ELSEWHERE = {metrics.FAILURES, metrics.SCENARIOS, metrics.LOWEST_SCENARIO, metrics.MUTATION_CATEGORIES}
OTHER_METRICS = tuple(metric for metric in metrics.METRICS if metric not in COUNTED_ELSEWHERE)
MOST_REPEATED = 3  # scenarios in the command that repeats them
NEED_ALL = {DROP, metrics.SCENARIOS.threshold}  # thresholds that need all scenarios, or the base's results
MAX_SEVERITY = 24  # characters


def table(alignment: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """Return a table of the columns that have an alignment, `<` or `>`."""
    lines = [headings, ["---:" if side == ">" else "---" for side in alignment], *rows]
    cells = (map(as_markdown, line[: len(alignment)]) for line in lines)
    return Markdown("\n".join("| " + " | ".join(each) + " |" for each in cells))


def _marked(state: State, text: str) -> Markdown:
    return say("{symbol}{nbsp}{text}", symbol=state.symbol, nbsp=Markdown(NBSP), text=text)


def columns(alignment: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in plain text; the alignment of a column may have a least width."""
    found = []
    for side, cells in zip(alignment, zip(*rows, strict=True), strict=False):
        texts = [f"{json_reader.in_columns(json_reader.printable(cell)):{side}}" for cell in cells]
        found.append([f"{text:{side[0]}{max(map(len, texts))}}" for text in texts])
    return [f"  {'   '.join(row)}".rstrip().replace("\0", "") for row in zip(*found, strict=True)]


def failures_by_origin(gate: GateFacts) -> dict[Markdown, list[Failure]]:
    """Return the failures by where they come from, as the headings of their lists."""
    base, compared = base_of(gate.context), any(each.on_base for each in gate.failures)

    def heading(failure: Failure) -> Markdown:
        on_base = failure.on_base
        if failure.flaky:
            return Markdown("Flaky, but unsafe" if failure in gate.counted else "Flaky, so not counted")
        if not compared:
            return Markdown("What failed")
        if on_base is None:
            return say("Not compared with {base}", base=base)
        if not on_base.having:
            return say("Not on {base}", base=base)
        if failure.is_new:
            return say("More often than on {base}", base=base)
        having = say("{having} of its last {count} results", having=on_base.having, count=on_base.results)
        if on_base.results == 1:
            having = Markdown("its last result")
        return say("Also on {base}, in {having}", base=base, having=having)

    return grouped((heading(each), each) for each in gate.failures)


def failure_line(gate: GateFacts, failure: Failure) -> Markdown:
    """Return a failure with its severity, description, scenario, step, file, type, and mutation."""
    item = item_of([gate], failure, MAX_LONG_ITEM)
    shown = escaped(failure.severity, longest=MAX_SEVERITY)
    severity = shown and f"**{shown}**"
    kind = joined(" under ", code(failure.type) or "no type", code(failure.mutation))
    return Markdown(joined(" · ", joined(" ", severity, item.what, item.where, item.file), kind))


def action(gate: GateFacts) -> Markdown:
    """Return what follows from one of several gates, and what to do."""
    lead, what = action_of([gate], has_items=bool(gate.counted))
    return Markdown(joined(" ", lead, re.sub(":$", ".", what), hint_of(gate)))


def unread(gate: GateFacts) -> str:
    parts = [(gate.result.failures_unread, "failure"), (gate.result.scenarios_unread, "scenario")]
    counts = ", ".join(pluralize(count, noun) for count, noun in parts if count)
    return f"Not read: {counts}." if counts else ""


def all_remarks(report: Report) -> Iterator[Markdown]:
    """Yield the remarks on each gate, with its name if there are several."""
    for gate in report.gates:
        of_gate = f"{code(gate.name)}: " if report.gates[1:] else ""
        yield from (Markdown(f"{of_gate}{remark}") for remark in remarks(gate))


def notes(report: Report, shown: str) -> Iterator[Markdown]:
    """Yield the notes, and the remarks but for the one that the head has."""
    yield from (each for each in all_remarks(report) if each != shown)
    for note in report.notes:
        yield Markdown(joined(": ", markdown.listed(note.gates, "and"), markdown.prose(note.text)))


def numbers(gate: GateFacts) -> Markdown:
    """Return the table of numbers: what each threshold needs, and the median on the base if it has one."""
    base, rows = gate.context.base_ref, []
    for row in gate.rows:
        result = say("**{result}**" if row.state is State.FAILED else "{result}", result=row.result)
        needed = Markdown(re.sub("([≤≥]) ", rf"\1{NBSP}", as_markdown(row.needed)))
        rows.append([_marked(row.state, row.label), result, needed, row.base or NOT_KNOWN])
    on_base = code(base) if 0 < len(base) <= MAX_BRANCH else Markdown("base" if base else "before")
    return table("<>>>" if any(row.base for row in gate.rows) else "<>>", ["Number", "Result", "Needed", on_base], rows)


def number_lines(gate: GateFacts) -> list[str]:
    rows = [(f"{row.state.mark} {row.label}", row.result, f"needs {row.needed}") for row in gate.rows]
    return columns("<><", rows)


def gates(every: Sequence[GateFacts]) -> Markdown:
    rows = []
    for gate in every:
        name = link(code(gate.name), gate.dashboard)
        rows.append((name, _marked(gate.state, gate.consequence), gate.pass_rate or NOT_KNOWN))
    return table("<<>", ("Gate", "Result", "Passed"), rows)


def gate_lines(every: Iterable[GateFacts]) -> list[str]:
    return columns("<<>", ((f"{gate.state.mark} {gate.name}", gate.consequence, gate.pass_rate) for gate in every))


def scenarios(gate: GateFacts) -> tuple[Sequence[Scenario], int]:
    """Return the scenarios that did not pass or got worse, and how many passed; none of a gate with one scenario."""
    every, worse = gate.result.scenarios, {*map(id, gate.worse if DROP in gate.missed else ())}
    if len(every) < 2:  # noqa: PLR2004
        return (), 0
    shown = [each for each in every if (gate.failed and each.failed) or id(each) in worse or undecided(each)]
    return shown, sum(each.read for each in every) - sum(each.read for each in shown)


def undecided(scenario: Scenario) -> str:
    return next((run.reason for run in scenario.recordings if run.reason and not run.decision.is_decided), "")


def scenario_table(gate: GateFacts, shown: Iterable[Scenario]) -> Markdown:
    rows = []
    for each in shown:
        state = State.NO_RESULT if undecided(each) and not each.failed else State.FAILED
        name = _marked(state, scenario_link(each))
        if each.recordings[1:]:
            name = say("{name}, {count}", name=name, count=pluralize(len(each.recordings), "recording"))
        if state is State.NO_RESULT:
            name = say("{name}: {why}", name=name, why=markdown.prose(undecided(each)))
        base, results = NOT_KNOWN, pluralize(len(each.base_rates), "result")
        if each.base_rate is not None:
            base = f"{gate.write(PASS_RATE, each.base_rate)}, {results}"
        rows.append((name, gate.write(PASS_RATE, each.value(PASS_RATE)) or NOT_KNOWN, base))
    alignment = "<>>" if any(row[2] != NOT_KNOWN for row in rows) else "<>"
    return table(alignment, ("Scenario", "Passed", base_of(gate.context)), rows)


def chart(gate: GateFacts) -> Markdown:
    """Return the pass rates of the base, the oldest first, and the needed one as two lines, or ''.

    Source: https://mermaid.js.org/syntax/xyChart.html.
    """
    rates = ((each.commit[:SHORT_SHA], each.value(PASS_RATE)) for each in reversed(gate.base_results))
    points = [(commit, rate * 100) for commit, rate in rates if commit and rate is not None]
    if len(points) < MIN_CHART_POINTS or gate.result.recorded:
        return Markdown("")
    drawn, after = [[value for _, value in points]], ""
    if gate.needed_rate is not None:
        drawn.append([gate.needed_rate * 100] * len(points))
        after = "\n\nThe level line is what is needed."
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
    return Markdown("\n".join(lines) + after)


def run(gate: GateFacts) -> Markdown:
    """Return what was evaluated, how, and for how long, what else Sepurux reports, and why the gate failed."""
    sentences = [Markdown(f"{wording.capitalized(' · '.join(_run_details(gate)))}.")]
    if gate.failed:
        sentences.append(markdown.prose(gate.result.reason))
    return Markdown(" ".join(sentences))


def _run_details(gate: GateFacts) -> Iterator[Markdown]:
    result, settings = gate.result, gate.result.gate
    given = (("campaign", settings.campaign), ("project", settings.project), ("mutation pack", settings.mutation_pack))
    for word, name in (*given, ("policy", gate.context.policy_path)):
        if name:
            yield say("{word} {name}", word=word, name=code(name))
    yield code(f"enforcement: {settings.stage}")
    if (count := result.value(metrics.SCENARIOS)) is not None:
        yield Markdown(pluralize(count, "scenario"))
        if len(result.runs) > count:
            yield Markdown(pluralize(len(result.runs), "recording"))
    if result.worst.elapsed_s:
        yield say("took {time}", time=wording.duration(result.worst.elapsed_s))
    for metric in OTHER_METRICS:
        if metric.threshold not in settings.limits and (value := result.value(metric)) is not None:
            yield as_markdown(metric.shown(value))
    if result.categories:
        yield say("mutations {names}", names=markdown.listed(result.categories, "and", MOST_MUTATIONS))
    yield from _failing_tools(gate)


def _failing_tools(gate: GateFacts) -> Iterator[Markdown]:
    tools = Counter[str]()
    for run in gate.result.runs:
        tools.update({} if run.trace.flaky else run.failing_tools)
    for name, failed in tools.most_common(MOST_TOOLS):
        yield say("{failed} of {tool}", failed=pluralize(failed, "failed call"), tool=code(name) or "no name")


def repeat(gate: GateFacts) -> list[str]:
    """Return the lines of a shell that record the scenarios that failed again, and evaluate them; [] if they cannot.

    They are for traces of the recorder, and leave out no threshold that was missed.
    """
    settings, failed = gate.result.gate, [each for each in gate.result.known_scenarios if each.failed]
    names = [each.key for each in failed if all(run.trace.by_recorder for run in each.recordings)]
    missed = gate.missed & NEED_ALL
    if not gate.failed or missed or not 0 < len(names) == len(failed) <= MOST_REPEATED:
        return []
    if not all(json_reader.printable(each) == each for each in names):
        return []
    only = " ".join(f"--only {shlex.quote(name)}" for name in names)
    given = [(options.NAME, settings.name), (options.CAMPAIGN, settings.campaign), (options.PROJECT, settings.project)]
    given.append((options.MUTATION_PACK, settings.mutation_pack))
    limits = (each for each in options.LIMITS if each.name in settings.limits)
    given += [(each, wording.decimal(settings.limits[each.name])) for each in limits if each.name not in NEED_ALL]
    given.append((options.REQUIRED_MUTATION_CATEGORIES, ",".join(settings.required_mutation_categories)))
    flags = " ".join(
        f"{flag(option.name)}={shlex.quote(json_reader.printable(text))}" for option, text in given if text
    )
    return [f"python record_traces.py traces {only} --times 5", f"{PROGRAM} --trace-file 'traces/*.json' {flags}"]


def change_text(change: Change) -> Markdown:
    """Return one value that a pull request changes in the policy."""
    if not change.setting:
        return say("gate {gate}: {word}", gate=code(change.gate), word="added" if change.new else "removed")
    of_gate = say(" of {gate}", gate=code(change.gate)) if change.gate else Markdown("")
    old, new = (markdown.value(text, longest=MAX_VALUE) for text in (change.old, change.new))
    words = say("{old} → {new}" if change.old else "set to {new}", old=old, new=new) if change.new else "removed"
    return say("{setting}{of_gate}: {words}", setting=code(change.setting), of_gate=of_gate, words=words)
