"""The head of a report: five slots of Markdown, with which comment, job summary, log, and terminal begin.

They are the title, what follows and what to do, the things to change, the numbers, and one remark.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sepurux_action.common import grouped, wording
from sepurux_action.common.wording import capitalized, joined, pluralize
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import Reason
from sepurux_action.evaluation.gate_numbers import DROP, MIN_RESULTS, CheckState
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, PASS_RATE, SCENARIOS, Metric, Unit
from sepurux_action.evaluation.published_result import median, values_of
from sepurux_action.evaluation.runs import Decision, Failure, Rule
from sepurux_action.report import markdown
from sepurux_action.report.actions import OF_CAMPAIGN, action_of, action_of_all, push, refused
from sepurux_action.report.items import (
    FEW,
    MAX_REASON,
    MOST,
    NOTHING,
    Item,
    base_of,
    commit_link,
    fitting,
    phone_lines,
    prose,
    run_link,
    things_of,
    too_low,
)
from sepurux_action.report.markdown import NBSP, Markdown, code, link, listed, say
from sepurux_action.report.report import Context, GateFacts, Report, State

MOST_PROBLEMS = 50
FEW_LINES = 12  # of a head on a phone
MORE = "10 more failures"  # as long as what is left out may be
NAMED_GATES = 2  # of one state
STATES = {  # what a title or the last line says of one gate, and of several
    State.FAILED: ("blocks", "block"),
    State.NEEDS_APPROVAL: ("needs an approval", "need an approval"),
    State.NO_RESULT: ("has no result", "have no result"),
    State.NO_DECISION: ("has no decision", "have no decision"),
    State.NOT_BLOCKING: ("failed and does not block", "failed and do not block"),
    State.PASSED: ("passed", "passed"),
    State.SKIPPED: ("skipped", "skipped"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The five slots: `title`, `action`, `items`, `numbers`, and `remark`. `unlisted` counts the items left out."""

    state: State
    title: Markdown
    action: Markdown = NOTHING
    items: Sequence[Item] = ()
    unlisted: str = ""
    numbers: Sequence[Markdown] = ()
    remark: Markdown = NOTHING


def head_of(report: Report, *, most: int = MOST) -> Head:
    """Return the head, with up to `most` items if these are more than five, for a place where no list follows."""
    if report.problems:
        return _head_of_problems(report)
    acting = report.blocking or report.not_passed or report.gates[:1]
    worst, several = acting[0], len(report.gates) > 1
    together = len(acting) > 1 and (worst.failed or len({gate.result.reason for gate in acting}) > 1)
    state, named = _named(report) if several else (worst.state, [worst])
    title = _title_of_gates(report, state, named) if several else title_of(worst)
    things = things_of([gate for gate in acting if gate.failed])
    lead, what = action_of_all(acting) if together else action_of(worst, has_items=bool(things))
    remark = _others(report, named) if several else next(remarks(worst), NOTHING)
    others = _other_items(acting, has_items=bool(things), together=together)
    slots = (
        f"## {title}",
        f"{lead} {what}",
        " · ".join(_numbers(report, worst, MORE)),
        remark,
        *(each.text for each in others),
    )
    room = FEW_LINES - sum(map(phone_lines, slots))
    items = fitting(things, room, most - len(others), at_length=most > MOST, several=len(acting) > 1)
    unlisted = ""
    if len(items) < len(things):
        noun = "more failure" if all(isinstance(each, Failure) for _, each in things) else "more item"
        unlisted = pluralize(len(things) - len(items), noun)
    if (
        what.endswith(":")
        and worst.dashboard
        and not any("](" in each for each in (what, *(each.text for each in items)))
    ):
        what = say("{what} ({run}):", what=Markdown(what[:-1]), run=run_link(worst))
    return Head(
        state=state,
        title=title,
        action=NOTHING if several and worst.passed else Markdown(joined(" ", lead, what)),
        items=[*items, *others],
        unlisted=unlisted,
        numbers=_numbers(report, worst, unlisted),
        remark=remark,
    )


def _other_items(acting: Sequence[GateFacts], *, has_items: bool, together: bool) -> Sequence[Item]:
    """Return what the campaign lacks, gates without a failure, and a scenario that is not counted, as items."""
    items, failed = list[Item](), [gate for gate in acting if gate.failed]
    names = dict.fromkeys(name for gate in failed for name in gate.lacking)
    if names and (has_items or together):
        items.append(Item(say("Add {names} to the campaign.", names=listed(names, "and"))))
    alone = [gate for gate in acting if not (gate.state is State.NEEDS_APPROVAL or things_of([gate]))]
    approvals = {gate.result.approval for gate in acting}
    if together and (len(approvals) > 1 or None in approvals):
        items += map(_gate_item, alone[:FEW])
    flaky = [each for gate in failed for each in gate.result.scenarios if each.flaky and each.failures]
    words = "{name} (flaky until {day})."
    return [*items, *(Item(say(words, name=code(each.key), day=f"{each.flaky}")) for each in flaky[:1])]


def _gate_item(gate: GateFacts) -> Item:
    """Return a gate that has no failure to list, as an item."""
    _, what = action_of(gate, has_items=False)
    return Item(say("{title}. {what}", title=title_of(gate), what=Markdown(capitalized(what))))


def _numbers(report: Report, gate: GateFacts, unlisted: str) -> list[Markdown]:
    """Return the fourth slot: the numbers, or what to do about a gate without a result, links, and the commit."""
    result, context, parts = gate.result, report.context, list[Markdown]()
    if result.decision.is_decided:
        parts = [] if gate.passed and report.gates[1:] else numbers_of(gate)
        parts.append(
            link(unlisted.replace(" ", NBSP, 1) or "details", context.run_url)
            if context.run_url or unlisted
            else NOTHING
        )
    elif result.decision is not Decision.SKIPPED and len({each.result.reason for each in report.not_passed}) == 1:
        if result.decision is Decision.ERROR and result.rule is not Rule.CANCELED:
            parts.append(Markdown(prose(gate, result.hint).removesuffix(".")))
        if gate.dashboard and "Sepurux run" not in result.hint:
            parts.append(run_link(gate))
    if context.commit:
        parts.append(commit_link(context))
    return [each for each in parts if each]


def _head_of_problems(report: Report) -> Head:
    items, count = list[Item](), len(report.problems)
    for problem in report.problems[:MOST_PROBLEMS]:
        where = code(problem.where) if problem.where.startswith("--") else markdown.prose(problem.where)
        message = markdown.prose(problem.message, longest=2 * MAX_REASON)
        items.append(Item(Markdown(joined(": ", code(problem.location), where, message))))
    more, these = count - len(items), "this" if count == 1 else "these"
    return Head(
        state=State.NO_RESULT,
        title=say("{problems} in the settings", problems=pluralize(count, "problem")),
        action=say("**Blocked.** Correct {these}{push}:", these=these, push=push(report.context)),
        items=items,
        unlisted=pluralize(more, "more problem") if more else "",
        numbers=[commit_link(report.context)] if report.context.commit else (),
    )


def title_of(gate: GateFacts) -> Markdown:
    """Return the title of one gate: the new failures, else all, else the number that it misses."""
    name, result, news = code(gate.name), gate.result, NOTHING
    if gate.passed:
        return say("{name} {word}", name=name, word=gate.state.word)
    if result.decision is Decision.PENDING:
        waited = wording.duration(min(result.worst.elapsed_s or result.gate.timeout_s, result.gate.timeout_s))
        return say("{name}: no decision after {waited}", name=name, waited=waited)
    if result.decision is Decision.ERROR:
        evaluated = result.rule not in {Rule.NOT_POLLED, Rule.OUTAGE, Rule.CANCELED, Rule.RECORD_UNREAD}
        return say("{name} has no result" if evaluated else "{name} was not evaluated", name=name)
    if gate.counted:
        news = Markdown(pluralize(gate.new, "new failure") if gate.new else pluralize(len(gate.counted), "failure"))
    told_by_number = gate.missed <= {DROP, SCENARIOS.threshold, *OF_CAMPAIGN}
    if told_by_number or not news:
        news = next(iter(missed_numbers(gate)), news)
    return say("{name}: {news}", name=name, news=news) if news else say("{name} failed", name=name)


def _named(report: Report) -> tuple[State, Sequence[GateFacts]]:
    """Return the gates that a title names, and what is said of all of them: the first that applies."""
    blocking = [gate for gate in report.blocking if gate.state is not State.NEEDS_APPROVAL]
    waiting = [gate for gate in report.gates if gate.state is State.NEEDS_APPROVAL]
    if any(gate.failed for gate in blocking):
        return State.FAILED, blocking
    if waiting:
        return State.NEEDS_APPROVAL, waiting
    if undecided := [gate for gate in report.not_passed if not gate.failed]:
        return State.NO_RESULT, undecided
    if report.not_passed:
        return State.NOT_BLOCKING, report.not_passed
    passed = [gate for gate in report.gates if gate.state is State.PASSED]
    return (State.PASSED, passed) if passed else (State.SKIPPED, report.gates)


def _title_of_gates(report: Report, state: State, named: Sequence[GateFacts]) -> Markdown:
    every = sum(gate.state is not State.SKIPPED for gate in report.gates) or len(report.gates)
    gates, verb = "gate" if every == 1 else "gates", STATES[state][len(named) > 1]
    what = say("{count} of {every} {gates} {verb}", count=len(named), every=every, gates=gates, verb=verb)
    if state in {State.PASSED, State.SKIPPED}:
        return what
    return say("{what}: {names}", what=what, names=listed((gate.name for gate in named), "and", NAMED_GATES))


def missed_numbers(gate: GateFacts) -> list[Markdown]:
    """Return what a gate misses: `72.0% passed, 85.0% needed`, `1 unsafe`; the pass rate, or its drop, first."""
    found = []
    for check in sorted(gate.result.missed, key=lambda each: each.threshold not in {PASS_RATE.threshold, DROP}):
        metric = metrics.BY_OPTION.get(check.threshold)
        if check.threshold == DROP:
            found.append(say("{points} points below {base}", points=check.actual, base=base_of(gate.context)))
        elif metric is None:
            are = "is" if len(check.lacking) == 1 else "are"
            found.append(say("{names} {are} not covered", names=listed(check.lacking, "and"), are=are))
        elif metric is LOWEST_SCENARIO and gate.low:
            found.append(too_low(gate.low[0], code(gate.low[0].name)))
        else:
            words = "{number}, {needed} needed"
            if metric.less_is_better:
                words = "{number}, {needed} allowed" if check.limit else "{number}"
            number = _number(metric, check.value or 0, check.limit)
            found.append(say(words, number=number, needed=metric.write(check.limit, check.value)))
    return found


def numbers_of(gate: GateFacts) -> list[Markdown]:
    """Return the pass rate with what it needs, and another number that is missed, without that of the title."""
    result, numbers, title = gate.result, list[Markdown](), title_of(gate)
    rate, unsafe = result.value(PASS_RATE), result.value(metrics.UNSAFE_ATTEMPTS)
    if rate is not None:
        numbers = [Markdown(_number(PASS_RATE, rate, gate.needed_rate))]
        if gate.needed_rate is not None:
            needed = PASS_RATE.write(gate.needed_rate, rate)
            numbers = [say("{passed}, {needed} needed", passed=numbers[0], needed=needed)]
        base = median(gate.base_results, PASS_RATE)
        if DROP in gate.missed and base is not None:
            on_base = PASS_RATE.write(base, gate.needed_rate)
            numbers = [
                say("{passed}, {on_base} on {base}", passed=numbers[0], on_base=on_base, base=base_of(gate.context))
            ]
    of_rate = (PASS_RATE.threshold in gate.missed) + (DROP in gate.missed)
    others = missed_numbers(gate)[of_rate:][:1]
    numbers = [*numbers, *others] if of_rate else [*others, *numbers]  # what is missed comes first
    if unsafe is not None and not gate.missed:
        numbers.append(Markdown(_number(metrics.UNSAFE_ATTEMPTS, unsafe)))
    return [each for each in numbers if not title.endswith(f": {each}")]


def _number(metric: Metric, value: float, limit: float | None = None) -> str:
    if not metric.published:
        return metric.with_noun(value)
    text = metric.published.format(metric.write(value, limit))
    return text.removesuffix("s") if metric.unit is Unit.INTEGER and value == 1 else text


def remarks(gate: GateFacts) -> Iterator[Markdown]:
    """Yield what limits the result of a gate, the most important remark first."""
    result, context, base = gate.result, gate.context, base_of(gate.context)
    if changes := policy_changes(context):
        yield say("⚠️ Once merged, the pull request {changes}.", changes=changes)
    if context.pull_request is not None and result.decision is Decision.PASS and not result.gate.uploads_traces:
        yield say("⚠️ It evaluates stored scenarios, so it says nothing about this pull request.")
    for name in result.scenarios_missing[:1]:
        yield say("⚠️ {name} is missing: {base} has it.", name=code(name), base=base)
    idle = sorted((each for each in result.scenarios if each.idle), key=lambda each: not each.base_tools)
    for each in idle[:1]:
        words = "⚠️ {name} calls none of the tools of {base}: {tools}."
        if not each.base_tools:
            words = "⚠️ No trace calls a tool." if len(idle) == len(result.scenarios) else "⚠️ {name} calls no tool."
        yield say(words, name=code(each.name), base=base, tools=listed(each.base_tools, "and"))
    if gate.old_traces:
        yield say("⚠️ {trace} was recorded before this commit.", trace=code(gate.old_traces[0]))
    for refusal in result.approval.ignored[:1] if result.approval else ():
        words = "{who}'s approval does not count: {refused}."
        if refusal.reason is Reason.OLDER_COMMIT:
            words = "{who}'s approval is for an older commit."
        yield say(words, who=code(refusal.login), refused=refused(refusal))
    if result.decision.is_decided and any(check.state is CheckState.NOT_COMPARED for check in result.checks):
        words, count = (
            "⏳ {base} has {count} of the {least} results that a drop needs.",
            len(values_of(gate.base_results, PASS_RATE)),
        )
        yield say(words, base=base, count=count, least=MIN_RESULTS)


def policy_changes(context: Context) -> Markdown:
    """Return that the pull request changes the policy, '' if it does not."""
    if not context.policy_changes:
        return NOTHING
    settings = pluralize(len(context.policy_changes), "setting")
    return link(f"changes {settings} of the policy", context.pull_request_url and f"{context.pull_request_url}/files")


def _others(report: Report, named: Sequence[GateFacts]) -> Markdown:
    """Return the gates that the title does not name, by state: two names, or how many there are."""
    parts, others = list[Markdown](), [gate for gate in report.gates if gate not in named]
    for state, gates in grouped(
        (gate.state, gate) for gate in sorted(others, key=lambda gate: gate.state.rank)
    ).items():
        words = STATES[state][len(gates) > 1]
        if not (gates[0].result.blocks or gates[0].passed or state is State.NOT_BLOCKING):
            words = f"{state.word}, {'does' if len(gates) == 1 else 'do'} not block"
        if gates[0].result.approval and not gates[0].result.blocks:
            words = "approved"
        few = len(gates) <= NAMED_GATES
        names = listed((gate.name for gate in gates), "and") if few else str(len(gates))
        said = "{symbol} {names}" if few and state is State.PASSED else "{symbol} {names} {word}"
        parts.append(say(said, symbol=state.symbol, names=names, word=words))
    if changes := policy_changes(report.context):
        parts.append(say("⚠️ {changes}", changes=changes))
    return Markdown(" · ".join(parts))
