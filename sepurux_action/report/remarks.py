"""Remarks that limit what a result says, or add to it. Comment, summary, and log use these sentences."""

from collections.abc import Iterator, Sequence

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.wording import capitalized, joined, optional
from sepurux_action.evaluation.failures import Failure, OnBase
from sepurux_action.evaluation.gate_numbers import MIN_RESULTS, CheckState, Scenario, WhatFailed
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.published_result import values_of
from sepurux_action.report import tables
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.report import GateFacts
from sepurux_action.report.view import Section
from sepurux_action.report.words import Words

MOST_SCENARIOS = 10  # of one failure in a summary
MOST_NAMED = 3  # scenarios, or tools of one, in a remark
MAX_SEVERITY_LENGTH = 24  # characters
RECORD = ("Record traces in the workflow", "record-traces.md#record-in-the-workflow")
CHECK_RECORDING = ("Check what your recording contains", "record-traces.md#what-a-recording-must-contain")


def of_report(say: Words) -> Iterator[Markdown]:
    """Yield which gates evaluate what a push does not change, and which scenarios do nothing or are missing."""
    one, detailed = len(say.report.gates) == 1, [gate for gate in say.report.gates if gate.detailed]
    decided = [gate for gate in detailed if gate.result.decision.is_decided and say.context.pull_request is not None]
    blocking = {gate.name for gate in say.report.blocking}  # which say so where they say what to do
    if registered := [each for each in decided if not (each.result.gate.uploads_traces or each.name in blocking)]:
        one_of = "⚠️ {gates} evaluates stored scenarios, so it says nothing about this pull request."
        all_ = "⚠️ {gates} evaluate stored scenarios, so they say nothing about this pull request."
        yield say(number_format.agree(len(registered), one_of, all_), gates=say("It") if one else say.gates(registered))
    for gate in detailed:
        of_gate = say.when(not one, " of {gate}", gate=say.code(gate.name))
        yield from _of_scenarios(say, gate.found.read, of_gate)


def _of_scenarios(say: Words, found: WhatFailed, of_gate: Markdown) -> Iterator[Markdown]:
    """Yield which scenarios call no tool, or none of those that they call on the base, and which are missing."""
    idle = [each for each in found.scenarios if each.idle]
    for each in [each for each in idle if each.base_tools][:MOST_NAMED]:
        name, tools = say.code(each.name) or say("no name"), say.listed(each.base_tools, "and", MOST_NAMED)
        called = "⚠️ {name}{of_gate} calls none of the tools that it always calls on {base}: {tools}."
        yield say(called, name=name, of_gate=of_gate, tools=tools)
    silent = [each.name for each in idle if not each.base_tools]
    if silent:
        call = number_format.agree(len(silent), "calls", "call")
        no_tool = "⚠️ {names}{of_gate} {call} no tool, so there may be nothing to evaluate."
        names = say.listed(silent, "and", MOST_NAMED)
        yield say.paragraph(say(no_tool, names=names, of_gate=of_gate, call=call), say.page(*CHECK_RECORDING))
    if found.missing:
        are = number_format.agree(len(found.missing), "is missing: {base} has it.", "are missing: {base} has them.")
        yield say(
            "⚠️ {names}{of_gate} {are}",
            names=say.listed(found.missing, "and", MOST_NAMED),
            of_gate=of_gate,
            are=say(are),
        )


def of_numbers(say: Words, gate: GateFacts) -> Iterator[Markdown]:
    yield from _drops(say, gate)


def _drops(say: Words, gate: GateFacts) -> Iterator[Markdown]:
    """Yield what a drop means that does not count."""
    for check in gate.result.checks:
        if check.state is CheckState.WITHIN_RANGE:
            values, between = values_of(gate.base_results, PASS_RATE), Markdown("")
            if values:
                lowest, highest = (PASS_RATE.write(end(values), None) for end in (min, max))
                between = say(": {lowest} to {highest}", lowest=lowest, highest=highest)
            dropped = (
                "⚠️ The pass rate dropped, but the last results on {base} vary as much{between}. This does not block."
            )
            yield say(dropped, between=between)
    if any(check.state is CheckState.NOT_COMPARED for check in gate.result.checks):
        results = len(values_of(gate.base_results, PASS_RATE))
        few = "⏳ The drop is not compared yet: {base} has {results} of the {least} results that this needs."
        run = say("Run the gate on pushes to {base}")
        page = say.page(run, "noisy-agents.md#blocking-only-what-gets-worse")
        folder = say.when(say.context.on_command_line, "They are kept in `--baseline-dir`.")
        yield say.paragraph(say(few, results=results, least=MIN_RESULTS), folder, page)


def steps(say: Words, sections: Sequence[Section]) -> Markdown:
    lines = [line for section in sections for each in section.failures.shown for line in each.steps]
    marks, meanings = {line[0] for line in lines}, []
    if marks & {"-", "+"}:
        meanings = [say("`-` only on {base}"), say("`+` only here")]
    if ">" in marks:
        meanings.append(say("`>` failed"))
    what = "Recorded steps, numbered by event: {meanings}."
    return say.when(lines, what, meanings=Markdown(", ".join(meanings)))


def old_traces(say: Words, gate: GateFacts) -> Markdown:
    if not gate.old_traces:
        return Markdown("")
    first, *others = gate.old_traces
    sentence = "⚠️ {first} was recorded before commit {commit}, so it does not show what this commit's agent does."
    if others:
        sentence = (
            "⚠️ {first} and {others} were recorded before commit {commit}, so they do not show what this commit's agent"
            " does."
        )
    more, commit = number_format.pluralize(len(others), "other"), say.commit(say.context.commit)
    return say.paragraph(say(sentence, first=say.code(first), others=more, commit=commit), say.page(*RECORD))


def kind_of_failure(say: Words, gate: GateFacts, failure: Failure) -> Markdown:
    severity = json_reader.shorten(json_reader.printable(failure.severity), MAX_SEVERITY_LENGTH)
    what = type_of_failure(say, gate, failure)
    return say.paragraph(say.bold("{severity}", severity=severity or "no severity"), what)


def type_of_failure(say: Words, gate: GateFacts, failure: Failure, *, named: bool = True) -> Markdown:
    times = "twice" if failure.count == 2 else number_format.pluralize(failure.count, "time")  # noqa: PLR2004
    many = say.when(failure.count > 1, ", {times}", times=times)
    under = say.when(say.code(failure.mutation), ", under {mutation}", mutation=say.code(failure.mutation))
    kind = say.code(failure.type) or say("no type")
    where = in_scenarios(say, gate, failure) if named else ""
    return Markdown(f"{kind}{where}{under}{many}")


def in_scenarios(say: Words, gate: GateFacts, failure: Failure) -> Markdown:
    """Return ` in` the scenarios of a failure, which link their runs: the first one, and more in a summary."""
    scenarios = gate.found.scenarios_with(failure)
    most = MOST_SCENARIOS if say.view.place == "summary" else 1
    shown = [scenario(say, gate, each) for each in scenarios[:most]]
    if scenarios[most:]:
        shown.append(Markdown(number_format.pluralize(len(scenarios) - most, "other")))
    return Markdown(optional(" in {}", joined(" and ", ", ".join(shown[:-1]), *shown[-1:])))


def scenario(say: Words, gate: GateFacts, of: Scenario) -> Markdown:
    return tables.scenario(of, gate) if say.as_markdown else say.code(of.name) or say("no name")


def unread(say: Words, gate: GateFacts) -> Markdown:
    failures, scenarios = gate.found.unread
    of_scenarios = number_format.pluralize(scenarios, "scenario")
    if not failures:
        return say.when(scenarios, "The failures of {scenarios} were not read.", scenarios=of_scenarios)
    more = number_format.pluralize(failures, "more failure")
    where = say.when(scenarios, " in {scenarios}", scenarios=of_scenarios)
    were = number_format.agree(failures, "{more}{where} was not read.", "{more}{where} were not read.")
    return say(were, more=more, where=where)


def _on_base(say: Words, of: OnBase, recordings: int) -> str:
    last = "the last result" if of.results == 1 else f"the last {of.results} results"
    on_base = say.when(say.context.base_ref, "on {base}")
    if not of.having:
        return joined(" ", f"not in {last}" if of.results == 1 else f"in none of {last}", on_base)
    if of.here <= of.most:
        found = f"such failures are in {last}" if of.results == 1 else f"such failures are in {of.having} of {last}"
        return joined(" ", found, on_base)
    here, most = (f"{each:.10g}" for each in (of.here, of.most))
    there = joined(" ", f"at most {most}", on_base or Markdown("before"))
    each = " for each recording" if recordings > 1 else ""
    return f"more often: {here} here, {there}{each}"


def compared(say: Words, gate: GateFacts, failure: Failure) -> Markdown:
    """Return in how many recordings and results of the base a failure is, after its description."""
    (failed, recordings), clauses = gate.found.recordings_with(failure), list[str]()
    if recordings > 1:
        clauses.append(f"in {failed} of {recordings} recordings")
    if failure.on_base:
        clauses.append(_on_base(say, failure.on_base, recordings=recordings))
    if not clauses:
        return Markdown("")
    ended = not failure.description or failure.description.endswith((".", "!", "?", "…"))
    return Markdown(f"{'' if ended else '.'} {capitalized('; '.join(clauses))}.")
