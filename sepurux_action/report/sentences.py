"""The title of a report, the headings of its parts, and remarks, as all places use them."""

import re
from collections.abc import Iterator, Sequence

from sepurux_action.common import wording
from sepurux_action.common.wording import capitalized, joined, optional
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.gate_numbers import MIN_RESULTS, CheckState, Scenario
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.published_result import values_of
from sepurux_action.evaluation.runs import Decision, Failure, Rule
from sepurux_action.report import tables
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.report import SHORT_SHA, GateFacts, Report, page_of
from sepurux_action.report.thresholds import Row, State
from sepurux_action.report.view import Origin, Section, View

# Up to the first bracket or colon that is not part of a quoted name.
_CLAUSE = re.compile(r"""(?P<first>(?:`[^`]*`|"(?:[^"\\]|\\.)*"|.)*?)(?: \(|: |$).*""", re.DOTALL)
MAX_HEADLINE_LENGTH = 150  # characters; the alert shows a longer one
MOST_NAMED = 3  # gates that a title or a paragraph names, scenarios in a remark, or tools of one
MOST_SCENARIOS = 10  # of one failure in a summary
RECORD = ("Record traces in the workflow", "record-traces.md#record-in-the-workflow")
CHECK_RECORDING = ("Check what your recording contains", "record-traces.md#what-a-recording-must-contain")


def ending(say: View, gate: GateFacts) -> Markdown:
    if gate.result.decision is Decision.PENDING:
        waited_s = min(gate.result.worst.elapsed_s or gate.result.gate.timeout_s, gate.result.gate.timeout_s)
        return say(": no decision after {waited}", waited=wording.duration(waited_s))
    if gate.state is State.CANCELED:
        after = gate.result.worst.elapsed_s and not say.as_markdown
        waited = say.when(after, " after {waited}", waited=wording.duration(gate.result.worst.elapsed_s))
        return say(": {word}{waited}", word=gate.state.word, waited=waited)
    if gate.result.decision is Decision.ERROR:
        if what := headline(gate):
            return say(" was not evaluated: {what}", what=say.prose(what))
        return say(": no result")
    word, unsafe = gate.state.word, gate.result.value(metrics.UNSAFE_ATTEMPTS)
    numbers = gate.rate(gate.result.value(PASS_RATE))
    if gate.failed:
        word, numbers = State.FAILED.word, missed(say, gate)
    elif unsafe is not None:
        attempts = metrics.UNSAFE_ATTEMPTS.with_noun(unsafe) if unsafe else "nothing unsafe"
        numbers = joined(", ", numbers, attempts)
    return say(" {word}{numbers}", word=word, numbers=say.when(numbers, ": {numbers}", numbers=numbers))


def headline(gate: GateFacts) -> str:
    """Return why a gate was not evaluated, up to a bracket or a colon; '' if it was, or for what is too long."""
    if gate.result.rule not in {Rule.NOT_POLLED, Rule.OUTAGE}:
        return ""
    first = _CLAUSE.sub(r"\g<first>", gate.result.detail, count=1).removesuffix(".")
    return first if len(first) <= MAX_HEADLINE_LENGTH else ""


def missed(say: View, gate: GateFacts) -> Markdown:
    """Return what a gate misses, for a title: the first two thresholds, and how many others."""
    phrases = [_phrase(say, gate, row) for row in gate.rows if row.state is State.FAILED]
    if not phrases:
        return say.value(metrics.summary(gate.result.numbers) if gate.result.recorded else "")
    if len(phrases) > MOST_NAMED:
        phrases[2:] = [say("{more} more thresholds", more=len(phrases) - 2)]
    before = ", ".join(phrases[:-1])
    if "," in before:
        before += ","
    return Markdown(joined(" and ", before, phrases[-1]))


def _phrase(say: View, gate: GateFacts, row: Row) -> Markdown:
    """Return what misses a threshold: `72.0% passed, 85.0% needed`."""
    metric, value, limit = row.metric, row.check.value, row.check.limit
    if metric is None:
        return say("{names} not covered", names=say.listed(row.check.lacking, "and"))
    if row.drop:
        reached = metric.reached_by(gate.result.value(metric) or 0, limit)
        return say("{reached}, {points} points below {base}", reached=reached, points=row.drop.actual)
    if metric is metrics.LOWEST_SCENARIO and gate.below:
        lowest, *others = gate.below
        needed, name = metric.write(limit, value), say.code(lowest.name) or say("no name")
        if others:
            more = wording.pluralize(len(others), "other scenario")
            return say("{name} and {more} passed less than {needed}", name=name, more=more, needed=needed)
        return say("{name} passed {rate}, {needed} needed", name=name, rate=row.check.actual, needed=needed)
    reached, needed = metric.reached_by(value or 0, limit), metric.write(limit, value or 0)
    if not metric.less_is_better:
        reached += f", {needed} needed"
    elif limit:
        reached += f", {needed} allowed"
    return say.value(reached)


def title(say: View) -> Markdown:
    report, gates = say.report, say.report.gates
    every, blocking, waiting = len(gates), report.not_approvable, [gate for gate in gates if gate.result.needs_approval]
    if report.problems:
        return say("{problems} in the settings", problems=wording.pluralize(len(report.problems), "problem"))
    if every == 1:
        return say("{name}{ending}", name=say.code(gates[0].name), ending=ending(say, gates[0]))
    failed, skipped = sum(gate.failed for gate in gates), sum(gate.skipped for gate in gates)
    counts = [(every - skipped, "passed", "passed"), (skipped, "skipped", "skipped")]
    if report.blocking:
        counts = [(len(blocking), "blocks", "block"), (len(waiting), "needs an approval", "need an approval")]
    elif report.not_passed:
        counts = [
            (failed, "failed and does not block", "failed and do not block"),
            (len(report.not_passed) - failed, "has no result and does not block", "have no result and do not block"),
        ]
    (first, *words), *others = [each for each in counts if each[0]]
    what = say("{first} of {every} gates {verb}", first=first, every=every, verb=words[first > 1])
    for count, *words in others:
        what = say("{what}, {count} {verb}", what=what, count=count, verb=words[count > 1])
    if report.blocking:
        what = say("{what}: {names}", what=what, names=say.gates([*blocking, *waiting], MOST_NAMED))
    canceled = say.when(report.short and report.not_passed, "Canceled: ")
    return say("{canceled}{what}", canceled=canceled, what=what)


def alert(report: Report) -> str:
    """Return the kind of the alert, as GitHub names it."""
    if any(gate.failed for gate in report.not_approvable):
        return "CAUTION"
    if report.problems or report.not_approvable:
        return "WARNING"
    if report.blocking:
        return "IMPORTANT"
    return "NOTE"


def symbol(say: View) -> Markdown:
    report = say.report
    if report.problems:
        return Markdown("❗")
    failed = [gate for gate in report.gates if gate.failed]
    return Markdown((report.not_approvable or report.blocking or failed or report.gates)[0].state.symbol)


def heading(say: View, gate: GateFacts, section: Section) -> Markdown:
    scenarios = say.when(section.origin is Origin.ALL, gate.in_scenarios)
    return say.paragraph(say(section.origin.value[bool(say.report.context.base_ref)]), scenarios)


def of_report(say: View) -> Iterator[Markdown]:
    """Yield which gates evaluate what a push does not change, and which scenarios do nothing or are missing."""
    one, detailed = len(say.report.gates) == 1, [gate for gate in say.report.gates if gate.detailed]
    decided = [gate for gate in detailed if gate.result.decision.is_decided]
    blocking = {gate.name for gate in say.report.not_approvable}  # which say so where they say what to do
    registered = [each for each in decided if not (each.result.gate.uploads_traces or each.name in blocking)]
    if registered and say.report.context.pull_request is not None:
        one_of = "⚠️ {gates} evaluates stored scenarios, so it says nothing about this pull request."
        all_ = "⚠️ {gates} evaluate stored scenarios, so they say nothing about this pull request."
        yield say(one_of if len(registered) == 1 else all_, gates=say("It") if one else say.gates(registered))
    for gate in detailed:
        of_gate, found = say.when(not one, " of {gate}", gate=say.code(gate.name)), gate.result
        idle = [each for each in found.scenarios if each.idle]
        for each in [each for each in idle if each.base_tools][:MOST_NAMED]:
            name, tools = say.code(each.name) or say("no name"), say.listed(each.base_tools, "and", MOST_NAMED)
            called = "⚠️ {name}{of_gate} calls none of the tools that it always calls on {base}: {tools}."
            yield say(called, name=name, of_gate=of_gate, tools=tools)
        if silent := [each.name for each in idle if not each.base_tools]:
            call, names = "calls" if len(silent) == 1 else "call", say.listed(silent, "and", MOST_NAMED)
            no_tool = "⚠️ {names}{of_gate} {call} no tool, so there may be nothing to evaluate."
            yield say.paragraph(say(no_tool, names=names, of_gate=of_gate, call=call), say.page(*CHECK_RECORDING))
        if found.scenarios_missing:
            are = "is missing: {base} has it." if len(found.scenarios_missing) == 1 else "are missing: {base} has them."
            names = say.listed(found.scenarios_missing, "and", MOST_NAMED)
            yield say("⚠️ {names}{of_gate} {are}", names=names, of_gate=of_gate, are=say(are))


def of_numbers(say: View, gate: GateFacts) -> Iterator[Markdown]:
    """Yield what a drop means that does not count."""
    states, results = {check.state for check in gate.result.checks}, values_of(gate.base_results, PASS_RATE)
    if CheckState.WITHIN_RANGE in states:
        between = Markdown("")
        if results:
            lowest, highest = (PASS_RATE.write(end(results), None) for end in (min, max))
            between = say(": {lowest} to {highest}", lowest=lowest, highest=highest)
        dropped = "⚠️ The pass rate dropped, but the last results on {base} vary as much{between}. This does not block."
        yield say(dropped, between=between)
    if CheckState.NOT_COMPARED in states:
        few = "⏳ The drop is not compared yet: {base} has {results} of the {least} results that this needs."
        run = say("Run the gate on pushes to {base}")
        page = say.page(run, "noisy-agents.md#blocking-only-what-gets-worse")
        folder = say.when(say.report.context.on_command_line, "They are kept in `--baseline-dir`.")
        yield say.paragraph(say(few, results=len(results), least=MIN_RESULTS), folder, page)


def steps(say: View, sections: Sequence[Section]) -> Markdown:
    lines = [line for section in sections for each in section.failures.shown for line in each.steps]
    marks, meanings = {line[0] for line in lines}, []
    if marks & {"-", "+"}:
        meanings = [say("`-` only on {base}"), say("`+` only here")]
    if ">" in marks:
        meanings.append(say("`>` failed"))
    return say.when(lines, "Recorded steps: {meanings}.", meanings=Markdown(", ".join(meanings)))


def old_traces(say: View, gate: GateFacts) -> Markdown:
    if not gate.old_traces:
        return Markdown("")
    first, *others = map(say.code, gate.old_traces)
    traces, they_do = say("{first} was", first=first), "it does"
    if others:
        more = wording.pluralize(len(others), "other")
        traces, they_do = say("{first} and {more} were", first=first, more=more), "they do"
    sentence = "⚠️ {traces} recorded before commit {commit}, so {they_do} not show what this commit's agent does."
    commit = say.code(say.report.context.commit[:SHORT_SHA])
    return say.paragraph(say(sentence, traces=traces, commit=commit, they_do=they_do), say.page(*RECORD))


def type_of_failure(say: View, gate: GateFacts, failure: Failure, *, named: bool = True) -> Markdown:
    """Return the type of a failure, and if it is `named`, scenarios with it: the first one, and more in a summary."""
    times = "twice" if failure.count == 2 else wording.pluralize(failure.count, "time")  # noqa: PLR2004
    many = say.when(failure.count > 1, ", {times}", times=times)
    under = say.when(say.code(failure.mutation), ", under {mutation}", mutation=say.code(failure.mutation))
    kind, where = say.code(failure.type) or say("no type"), ""
    if named:
        scenarios = gate.scenarios_by_failure.get(failure.alike, ())
        if failure.scenario:
            scenarios = scenarios or [Scenario(failure.scenario, ())]  # an earlier run may have kept its name alone
        elif not gate.in_scenarios:
            scenarios = ()
        most = MOST_SCENARIOS if say.place == "summary" else 1
        shown = [scenario(say, gate, each) for each in scenarios[:most]]
        if scenarios[most:]:
            shown.append(Markdown(wording.pluralize(len(scenarios) - most, "other")))
        where = optional(" in {}", joined(" and ", ", ".join(shown[:-1]), *shown[-1:]))
    return Markdown(f"{kind}{where}{under}{many}")


def scenario(say: View, gate: GateFacts, of: Scenario) -> Markdown:
    """Return the name of a scenario, which links its run."""
    name, page = say.code(of.name) or Markdown("no name"), page_of(of)
    if page and say.as_markdown:
        return tables.link_to_run(name, page, gate)
    return name


def unread(say: View, gate: GateFacts) -> Markdown:
    failures, scenarios = gate.result.failures_unread, gate.result.scenarios_unread
    of_scenarios = wording.pluralize(scenarios, "scenario")
    if not failures:
        return say.when(scenarios, "The failures of {scenarios} were not read.", scenarios=of_scenarios)
    more = wording.pluralize(failures, "more failure")
    where = say.when(scenarios, " in {scenarios}", scenarios=of_scenarios)
    were = "{more}{where} was not read." if failures == 1 else "{more}{where} were not read."
    return say(were, more=more, where=where)


def compared(say: View, gate: GateFacts, failure: Failure) -> Markdown:
    """Return in how many recordings and results of the base a failure is, after its description."""
    recordings, clauses = gate.recordings.get(failure.scenario, ()), list[str]()
    if recordings[1:]:
        failed = sum(failure.alike in each for each in recordings)
        clauses.append(f"in {failed} of {len(recordings)} recordings")
    if of := failure.on_base:
        on_base = say.when(say.report.context.base_ref, "on {base}")
        last, some, none = (
            f"the last {of.results} results",
            f"{of.having} of the last {of.results} results",
            "in none of",
        )
        if of.results == 1:
            last, some, none = "the last result", "the last result", "not in"
        if of.having and of.here > of.most:
            each = " for each recording" if recordings[1:] else ""
            there = joined(" ", f"at most {of.most:.10g}", on_base or Markdown("before"))
            clauses.append(f"more often: {of.here:.10g} here, {there}{each}")
        elif of.having:
            clauses.append(joined(" ", f"such failures are in {some}", on_base))
        else:
            clauses.append(joined(" ", f"{none} {last}", on_base))
    if not clauses:
        return Markdown("")
    ended = not failure.description or failure.description.endswith((".", "!", "?", "…"))
    return Markdown(f"{'' if ended else '.'} {capitalized('; '.join(clauses))}.")
