"""What a job summary has after the head, for its template: what failed, scenarios, the chart, the run, remarks."""

import json
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

from sepurux_action.common import grouped, wording
from sepurux_action.common.wording import joined, pluralize
from sepurux_action.config.command_line import PROGRAM
from sepurux_action.config.options import flag
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.gate_numbers import DROP
from sepurux_action.evaluation.metrics import NOT_KNOWN, PASS_RATE
from sepurux_action.evaluation.runs import Failure
from sepurux_action.report import markdown
from sepurux_action.report.head import (
    MAX_LONG_ITEM,
    NOTHING,
    action_of,
    base_of,
    hint_of,
    item_of,
    remarks,
    scenario_link,
)
from sepurux_action.report.markdown import NBSP, Markdown, as_markdown, code, escaped, link, say
from sepurux_action.report.report import SHORT_SHA, GateFacts, Report, State

MIN_CHART_POINTS = 3
CHART_STEP = 5  # percentage points; the axis starts and ends at a multiple
# Mermaid's default height fills a screen, and its colors cannot be read on both white and black.
CHART_STYLE = (
    '%%{init: {"xyChart": {"height": 250}, "themeVariables": {"xyChart": '
    '{"plotColorPalette": "#2f81f7, #bf8700", "backgroundColor": "transparent"}}}}%%'
)
MAX_VALUE = 400  # characters of a changed value of the policy
MOST_REPEATED = 3  # scenarios in the command that repeats them
NEED_ALL = {DROP, metrics.SCENARIOS.threshold}  # thresholds that need all scenarios, or the base's results
MAX_SEVERITY = 24  # characters


def left_out(rows: Sequence[object], noun: str) -> str:
    return f"{pluralize(len(rows), noun)}, because the report would be too long." if rows else ""


def _table(alignment: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Markdown:
    """Return a table of the columns that have an alignment, `<` or `>`, without the last one if it is empty."""
    if not any(row[-1] for row in rows):
        alignment = alignment[:-1]
    lines = [headings, [Markdown("---:" if side == ">" else "---") for side in alignment], *rows]
    cells = ([as_markdown(cell or NOT_KNOWN) for cell in line[: len(alignment)]] for line in lines)
    return Markdown("\n".join(f"| {' | '.join(each)} |" for each in cells)) if rows else NOTHING


def _marked(state: State, text: str) -> Markdown:
    return say("{symbol}{nbsp}{text}", symbol=state.symbol, nbsp=Markdown(NBSP), text=text)


def gates(report: Report) -> Markdown:
    rows = [
        (link(code(gate.name), gate.dashboard), _marked(gate.state, gate.consequence), gate.pass_rate)
        for gate in report.gates
    ]
    return _table("<<>", ("Gate", "Result", "Passed"), rows)


def todo(gate: GateFacts) -> Markdown:
    """Return what follows from one of several gates, and what to do."""
    lead, what = action_of([gate], has_items=bool(gate.counted))
    return Markdown(joined(" ", lead, re.sub(":$", ".", what), hint_of(gate)))


def failures(gate: GateFacts, most: int) -> dict[Markdown, Markdown]:
    """Return lists of the first failures by where they come from."""
    compared = any(each.on_base for each in gate.failures)
    origins = grouped((_origin(gate, each, compared=compared), each) for each in gate.failures[:most])
    return {origin: _list_of(gate, every) for origin, every in origins.items()}


def unread(gate: GateFacts) -> str:
    counts = [(gate.result.failures_unread, "failure"), (gate.result.scenarios_unread, "scenario")]
    return wording.optional("Not read: {}.", ", ".join(pluralize(count, noun) for count, noun in counts if count))


def _origin(gate: GateFacts, failure: Failure, *, compared: bool) -> Markdown:
    """Return the heading of the failures that are as frequent on the base as this one, if any are `compared`."""
    base, on_base = base_of(gate.context), failure.on_base
    if failure.flaky and failure not in gate.counted:
        return Markdown("Flaky, so not counted")
    if not on_base:
        return say("Not compared with {base}", base=base) if compared else Markdown("What failed")
    if not on_base.having:
        return say("Not on {base}", base=base)
    if failure.is_new:
        return say("More often than on {base}", base=base)
    results = f"{on_base.having} of its last {on_base.results} results" if on_base.results > 1 else "its last result"
    return say("Also on {base}, in {results}", base=base, results=results)


def _list_of(gate: GateFacts, failures: Iterable[Failure]) -> Markdown:
    """Return a list of failures with severity, description, scenario, step, file, type, mutation, and their steps."""
    lines = []
    for number, failure in enumerate(failures, 1):
        item = item_of(gate, failure, MAX_LONG_ITEM)
        severity = wording.optional("**{}**", escaped(failure.severity, longest=MAX_SEVERITY))
        kind = joined(" under ", code(failure.type) or "no type", code(failure.mutation))
        lines.append(f"{number}. {joined(' · ', joined(' ', severity, item.what, item.where, item.file), kind)}")
        if failure.steps:
            language = "text" if any(line.startswith(">") for line in failure.steps) else "diff"
            lines.append(markdown.block(failure.steps, language, " " * len(f"{number}. ")))
    return Markdown("\n".join(lines))


def numbers(gate: GateFacts) -> Markdown:
    """Return what each threshold needs, and the median on the base if it has one."""
    rows = []
    for row in gate.rows:
        result = say("**{result}**" if row.state is State.FAILED else "{result}", result=row.result)
        needed = Markdown(as_markdown(row.needed).replace(" ", NBSP))
        rows.append((_marked(row.state, row.label), result, needed, row.base))
    return _table("<>>>", ("Number", "Result", "Needed", base_of(gate.context)), rows)


def scenarios(gate: GateFacts, most: int) -> Markdown:
    """Return the scenarios that did not pass or got worse, and how many passed; nothing of a gate with one scenario."""
    every, worse = gate.result.scenarios, {*map(id, gate.worse if DROP in gate.missed else ())}
    rows, passed = [], 0
    for each in every if every[1:] else ():
        failed = (gate.failed and each.failed) or id(each) in worse
        if failed or any(one.reason and not one.decision.is_decided for one in each.recordings):
            name = _marked(State.FAILED if failed else State.NO_RESULT, scenario_link(each))
            rows.append((name, *(gate.write(PASS_RATE, rate) for rate in (each.rate, each.base_rate))))
        else:
            passed += each.read
    table = _table("<>>", ("Scenario", "Passed", base_of(gate.context)), rows[:most])
    others = f"{pluralize(passed, 'scenario')} passed." if rows and passed else ""
    return Markdown(joined("\n\n", table, left_out(rows[most:], "more scenario"), others))


def chart(gate: GateFacts) -> Markdown:
    """Return the pass rates of the base, the oldest first, and the needed one as two lines.

    Source: https://mermaid.js.org/syntax/xyChart.html.
    """
    results = [each for each in reversed(gate.base_results) if each.value(PASS_RATE) is not None]
    if len(results) < MIN_CHART_POINTS:
        return NOTHING
    lines = [[100 * (each.value(PASS_RATE) or 0) for each in results]]
    if gate.needed_rate is not None:
        lines.append([100 * gate.needed_rate] * len(results))
    values = [value for line in lines for value in line]
    low = max(0, math.floor(min(values) / CHART_STEP) * CHART_STEP - CHART_STEP)
    high = min(100, math.ceil(max(values) / CHART_STEP) * CHART_STEP + CHART_STEP)
    labels = (re.sub("[^A-Za-z0-9]", "", each.commit)[:SHORT_SHA] for each in results)
    drawn = [
        CHART_STYLE,
        "xychart-beta",
        "    accTitle: Pass rate by commit",
        f"    x-axis [{', '.join(map(json.dumps, labels))}]",
        f'    y-axis "passed, %" {low} --> {high}',
        *(f"    line [{', '.join(f'{value:.2f}' for value in line)}]" for line in lines),
    ]
    needed = "The level line is what is needed." if lines[1:] else ""
    return Markdown(joined("\n\n", markdown.block(drawn, "mermaid"), needed))


def run(gate: GateFacts) -> Markdown:
    """Return what was evaluated, how, and for how long, and why the gate failed."""
    result, settings, policy = gate.result, gate.result.gate, gate.context.policy_path
    count, runs, elapsed_s = int(result.value(metrics.SCENARIOS) or 0), len(result.runs), result.worst.elapsed_s
    parts = [
        say("Campaign {name}", name=code(settings.campaign)),
        say("policy {name}", name=code(policy)) if policy else "",
        code(f"enforcement: {settings.stage}"),
        pluralize(count, "scenario") if count else "",
        pluralize(runs, "recording") if runs > count > 0 else "",
        f"took {wording.duration(elapsed_s)}" if elapsed_s else "",
    ]
    return Markdown(joined(" ", f"{joined(' · ', *parts)}.", markdown.prose(result.reason) if gate.failed else ""))


def repeat(gate: GateFacts) -> Markdown:
    """Return the lines of a shell that record the scenarios that failed again, and evaluate them; '' if they cannot.

    They are for traces of the recorder, and leave out no threshold that was missed.
    """
    settings, failed = gate.result.gate, [each for each in gate.result.known_scenarios if each.failed]
    by_recorder = all(run.trace.by_recorder for each in failed for run in each.recordings)
    if not (gate.failed and by_recorder and 0 < len(failed) <= MOST_REPEATED) or gate.missed & NEED_ALL:
        return NOTHING
    only = " ".join(f"--only {shlex.quote(each.key)}" for each in failed)
    given = {name: getattr(settings, name) for name in ("name", "campaign", "project", "mutation_pack")}
    given |= {name: wording.decimal(limit) for name, limit in settings.limits.items() if name not in NEED_ALL}
    if metrics.SCENARIOS.threshold in settings.limits:
        given[metrics.SCENARIOS.threshold] = str(len(failed))  # the policy file needs all of them
    given["base_url"] = gate.context.base_url
    given["required_mutation_categories"] = ",".join(settings.required_mutation_categories)
    flags = " ".join(f"{flag(name)}={shlex.quote(text)}" for name, text in given.items() if text)
    evaluate = f"{PROGRAM} --trace-file 'traces/*.json' {flags}"
    return markdown.commands([f"python record_traces.py traces {only} --times 5", evaluate])


def all_remarks(report: Report) -> Iterator[Markdown]:
    """Yield the remarks on each gate, with its name if there are several."""
    for gate in report.gates:
        of_gate = f"{code(gate.name)}: " if report.gates[1:] else ""
        yield from (Markdown(f"{of_gate}{remark}") for remark in remarks(gate))


def notes(report: Report, remark: Markdown) -> list[Markdown]:
    """Return the remarks but for the one that the head has, and the notes."""
    every = [each for each in all_remarks(report) if each != remark]
    for note in report.notes:
        every += [Markdown(joined(": ", markdown.listed(note.gates, "and"), markdown.prose(note.text)))]
    return every


def changes(report: Report) -> list[Markdown]:
    """Return the values that a pull request changes in the policy, and the gates that it adds or removes."""
    lines = []
    for change in report.context.policy_changes:
        setting = joined(" of " if change.setting else " ", code(change.setting) or "gate", code(change.gate))
        old, new = (markdown.prose(f"`{text or 'none'}`", longest=MAX_VALUE) for text in (change.old, change.new))
        lines.append(Markdown(f"{setting}: {old} → {new}"))
    return lines
