"""The head of a report: five slots of Markdown, with which comment, job summary, log, and terminal begin.

They are the title, what follows and what to do, the things to change, the numbers, and one remark.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sepurux_action.common import grouped, wording
from sepurux_action.common.wording import capitalized, joined, pluralize
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import Reason
from sepurux_action.evaluation.gate_numbers import DROP, MIN_RESULTS, CheckState
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.published_result import median, values_of
from sepurux_action.evaluation.runs import Decision, Failure, Rule
from sepurux_action.report import markdown
from sepurux_action.report.actions import action_of, action_of_all, alike_approval, approval_of, hint_of, push, refused
from sepurux_action.report.items import (
    FEW,
    MAX_REASON,
    MOST,
    NOTHING,
    Item,
    base_of,
    commit_link,
    fitting,
    name_of,
    phone_lines,
    run_link,
    things_of,
)
from sepurux_action.report.markdown import NBSP, Markdown, code, link, listed, say
from sepurux_action.report.report import DAY_S, LACKING, Context, GateFacts, Report, State

MOST_PROBLEMS = 50
FEW_LINES = 12  # of a head on a phone
MORE = "10 more failures"  # as long as what is left out may be
NAMED_GATES = 2  # of one state


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The five slots: `title`, `action`, `items`, `numbers`, and `remark`. `unlisted` counts the items left out.

    `hint` is what to do about a gate without a result, which is in `numbers` too.
    """

    state: State
    title: Markdown
    action: Markdown = NOTHING
    items: Sequence[Item] = ()
    unlisted: str = ""
    hint: Markdown = NOTHING
    numbers: Sequence[Markdown] = ()
    remark: Markdown = NOTHING


def head_of(report: Report, *, most: int = MOST) -> Head:
    """Return the head, with up to `most` items if these are more than five, for a place where no list follows."""
    if report.problems:
        return _head_of_problems(report)
    main_gates, worst, several = report.main_gates, report.main_gates[0], len(report.gates) > 1
    together = len(main_gates) > 1 and (worst.failed or len({gate.result.reason for gate in main_gates}) > 1)
    things = things_of([gate for gate in main_gates if gate.failed])
    if several:
        state, title, remark = _of_several(report)
    else:
        state, title = worst.state, title_of(worst)
        remark = policy_remark(report.context) or next(remarks(worst), NOTHING)
    action, hint = NOTHING, NOTHING if together else Markdown(hint_of(worst).removesuffix("."))
    if not (several and worst.passed):
        parts = (
            action_of_all(main_gates, has_items=bool(things)) if together else action_of(worst, has_items=bool(things))
        )
        action = Markdown(joined(" ", *parts))
    others, unnamed = _other_items(main_gates, has_items=bool(things), together=together)
    numbers = _numbers(report, main_gates, hint)
    texts = [
        f"## {title}",
        action,
        " · ".join([*numbers, *_links(report, MORE)]),
        remark,
        *(one.text for one in others),
    ]
    room = math.inf if most > MOST else FEW_LINES - sum(map(phone_lines, texts))
    items = fitting(things[: most - len(others)], room, several=len(main_gates) > 1)
    unlisted, noun = unnamed + len(things) - len(items), "more item"
    if things and all(isinstance(each, Failure) for _, each in things):
        noun = "more failure"
    items += others
    if (
        action.endswith(":")
        and worst.dashboard
        and not any("](" in each for each in (action, *(one.text for one in items)))
    ):
        action = say("{what} ({run}):", what=Markdown(action[:-1]), run=run_link(worst))
    more = pluralize(unlisted, noun) if unlisted else ""
    slots = {"title": title, "action": action, "hint": hint, "remark": remark}
    return Head(state=state, items=items, unlisted=more, numbers=[*numbers, *_links(report, more)], **slots)


def _other_items(main_gates: Sequence[GateFacts], *, has_items: bool, together: bool) -> tuple[list[Item], int]:
    """Return items without a failure: what the campaign lacks, gates, and a scenario that is not counted.

    The number is that of the gates that are left out.
    """
    items, failed = list[Item](), [gate for gate in main_gates if gate.failed]
    names = dict.fromkeys(name for gate in failed for name in gate.lacking if not gate.by_settings)
    if names:
        items.append(Item(say("Add {names} to the campaign.", names=listed(names, "and"))))
    others = [gate for gate in main_gates if gate.result.needs_approval or not things_of([gate])] if together else []
    if alike_approval(main_gates):
        others = []
    items += map(_gate_item, others[:FEW])
    flaky = [each for gate in failed for each in gate.result.scenarios if each.flaky and each.failures]
    flaky = [each for each in flaky if not any(each.name == one.scenario for gate in failed for one in gate.counted)]
    if flaky and has_items:
        words = "{names} (flaky until {day})." if len(flaky) == 1 else "{names} are flaky, and not counted."
        names_of = listed((each.key for each in flaky), "and")
        items.append(Item(say(words, names=names_of, day=f"{flaky[0].flaky}")))
    return items, len(others[FEW:])


def _gate_item(gate: GateFacts) -> Item:
    """Return a gate with nothing to list, or that needs an approval which is not that of all, as an item."""
    if gate.result.needs_approval:
        words = "{name} {what}." if gate.state is State.NEEDS_APPROVAL else "{name}: {what}."
        return Item(say(words, name=name_of(gate), what=approval_of(gate)))
    _, what = action_of(gate, has_items=False)
    said = say("{title}. {what}", title=title_of(gate), what=Markdown(capitalized(what)))
    return Item(Markdown(joined(" ", said, hint_of(gate))))


def _numbers(report: Report, main_gates: Sequence[GateFacts], hint: Markdown) -> list[Markdown]:
    """Return the numbers of the worst gate, or what to do about it."""
    gate, parts = main_gates[0], [hint] if hint else []
    if gate.result.decision.is_decided:
        parts += [] if gate.passed and report.gates[1:] else numbers_of(gate)
        if len(main_gates) > 1:
            parts[:1] = [say("{name}: {number}", name=name_of(gate), number=each) for each in parts[:1]]
    elif gate.dashboard and len(main_gates) == 1 and "Sepurux run" not in hint:
        parts.append(run_link(gate))
    return parts


def _links(report: Report, unlisted: str) -> list[Markdown]:
    """Return the links to the job summary and the commit."""
    context, parts = report.context, list[Markdown]()
    if unlisted or (context.run_url and report.main_gates[0].result.decision.is_decided):
        parts.append(link(unlisted.replace(" ", NBSP, 1) or "details", context.run_url))
    return [*parts, commit_link(context)] if context.commit else parts


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
    name, result, news = name_of(gate), gate.result, NOTHING
    if gate.passed:
        return say("{name} {word}", name=name, word=gate.state.word)
    if result.decision is Decision.PENDING:
        waited = wording.duration(min(result.worst.elapsed_s or result.gate.timeout_s, result.gate.timeout_s))
        return say("{name}: no decision after {waited}", name=name, waited=waited)
    if result.decision is Decision.ERROR:
        evaluated = result.rule not in {Rule.NOT_POLLED, Rule.OUTAGE, Rule.CANCELED, Rule.RECORD_UNREAD}
        return say("{name} has no result" if evaluated else "{name} was not evaluated", name=name)
    if gate.counted:
        new = sum(each.is_new for each in gate.failures)
        news = Markdown(pluralize(new, "new failure") if new else pluralize(len(gate.counted), "failure"))
    if gate.missed <= {DROP, *LACKING} or not news:
        news = next(iter(missed_numbers(gate)), news)
    return say("{name}: {news}", name=name, news=news) if news else say("{name} failed", name=name)


def _of_several(report: Report) -> tuple[State, Markdown, Markdown]:
    """Return the state and the title of several gates, and a line on those that the title does not name."""
    state, named = _named(report)
    every = sum(gate.state is not State.SKIPPED for gate in report.gates) or len(report.gates)
    gates, verb = "gate" if every == 1 else "gates", state.several if named[1:] else state.one
    title = say("{count} of {every} {gates} {verb}", count=len(named), every=every, gates=gates, verb=verb)
    if state not in {State.PASSED, State.SKIPPED}:
        title = say("{title}: {names}", title=title, names=named_gates(named))
    others = sorted((gate for gate in report.gates if gate not in named), key=lambda gate: gate.state.rank)
    parts = [_of_state(state, gates) for state, gates in grouped((gate.state, gate) for gate in others).items()]
    if changes := policy_changes(report.context):
        parts.append(say("⚠️ {changes}", changes=changes))
    if count := sum(1 for gate in report.gates for _ in remarks(gate)):
        parts.append(say("⚠️ {count}", count=link(pluralize(count, "remark"), report.context.run_url)))
    return state, title, Markdown(" · ".join(parts))


def _named(report: Report) -> tuple[State, Sequence[GateFacts]]:
    """Return the gates that a title names, and what is said of all of them: the first that applies."""
    blocking = [gate for gate in report.blocking if gate.state is not State.NEEDS_APPROVAL]
    groups: dict[State, Sequence[GateFacts]] = {
        State.FAILED: blocking if any(gate.failed for gate in blocking) else [],
        State.NEEDS_APPROVAL: [gate for gate in report.gates if gate.state is State.NEEDS_APPROVAL],
        State.NO_RESULT: [gate for gate in report.not_passed if not gate.failed],
        State.NOT_BLOCKING: report.not_passed,
        State.PASSED: [gate for gate in report.gates if gate.state is State.PASSED],
        State.SKIPPED: report.gates,
    }
    return next((state, gates) for state, gates in groups.items() if gates)


def _of_state(state: State, gates: Sequence[GateFacts]) -> Markdown:
    """Return what is said of the gates with one state: two names, or how many there are."""
    words, result = state.several if gates[1:] else state.one, gates[0].result
    if not (result.blocks or gates[0].passed or state is State.NOT_BLOCKING):
        words = f"{state.word}, {'does' if len(gates) == 1 else 'do'} not block"
    if result.approval and not result.blocks:
        words = say("approved by {who}", who=listed(result.approval.approved_by, "and"))
    few = len(gates) <= NAMED_GATES
    said = "{symbol} {names}" if few and state is State.PASSED else "{symbol} {names} {words}"
    return say(said, symbol=state.symbol, names=named_gates(gates) if few else len(gates), words=words)


def named_gates(gates: Sequence[GateFacts]) -> Markdown:
    """Return the names of the first gates, and how many more there are."""
    return Markdown(wording.listed([name_of(gate) for gate in gates], "and", NAMED_GATES))


def missed_numbers(gate: GateFacts) -> list[Markdown]:
    """Return what a gate misses: `72.0% passed, 85.0% needed`, `1 unsafe`; the pass rate, or its drop, first."""
    found, of_rate = [], {PASS_RATE.threshold, DROP}
    for check in sorted(gate.result.missed, key=lambda each: each.threshold not in of_rate):
        text = check.text
        if check.threshold == PASS_RATE.threshold:  # the drop may need more
            text = PASS_RATE.compared(check.value or 0, max(check.limit, gate.needed_rate or 0))
        found.append(markdown.prose(text))
    return found


def numbers_of(gate: GateFacts) -> list[Markdown]:
    """Return the pass rate with what it needs, and another number that is missed, without that of the title."""
    result, title, rate = gate.result, title_of(gate), list[Markdown]()
    passed, unsafe = result.value(PASS_RATE), result.value(metrics.UNSAFE_ATTEMPTS)
    if passed is not None:
        needed = None if result.recorded else gate.needed_rate
        parts = [PASS_RATE.shown(passed, needed)]
        if by := PASS_RATE.reading(result.numbers).reported_by:
            parts = [f"{parts[0]} ({by})"]
        if needed is not None:
            parts.append(f"{PASS_RATE.write(needed, passed)} needed")
        if DROP in gate.missed and (base := median(gate.base_results, PASS_RATE)) is not None:
            parts.append(f"{PASS_RATE.write(base, needed)} on {base_of(gate.context)}")
        rate = [Markdown(", ".join(parts))]
    of_rate = (PASS_RATE.threshold in gate.missed) + (DROP in gate.missed)
    others = [each for each in missed_numbers(gate)[of_rate:][:1] if not gate.low]
    if unsafe is not None and not gate.missed:
        others = [Markdown(metrics.UNSAFE_ATTEMPTS.shown(unsafe))]
    numbers = [*others, *rate] if others and gate.missed and not of_rate else [*rate, *others]  # missed ones first
    return [each for each in numbers if not title.endswith(f": {each}")]


def remarks(gate: GateFacts) -> Iterator[Markdown]:
    """Yield what limits the result of a gate, the most important remark first."""
    result, context, base = gate.result, gate.context, base_of(gate.context)
    if context.pull_request is not None and result.decision is Decision.PASS and not result.gate.uploads_traces:
        yield say("⚠️ It evaluates stored scenarios, so it says nothing about this pull request.")
    if missing := result.scenarios_missing:
        words = "{names} is missing: {base} has it." if len(missing) == 1 else "{names} are missing: {base} has them."
        yield say(f"⚠️ {words}", names=listed(missing, "and"), base=base)
    idle = sorted((each for each in result.scenarios if each.idle), key=lambda each: not each.base_tools)
    for each in idle[:FEW]:
        words = "⚠️ {name} calls none of the tools of {base}: {tools}."
        if not each.base_tools:
            words = "⚠️ No trace calls a tool." if len(idle) == len(result.scenarios) else "⚠️ {name} calls no tool."
        yield say(words, name=code(each.name), base=base, tools=listed(each.base_tools, "and"))
        if "{name}" not in words:
            break
    traces = [] if result.decision is Decision.SKIPPED else result.gate.traces
    if old := [each.label for each in traces if each.recorded and each.recorded + DAY_S < (context.committed or 0)]:
        were = "was" if len(old) == 1 else "were"
        yield say("⚠️ {traces} {were} recorded before this commit.", traces=listed(old, "and", 1), were=were)
    for refusal in result.approval.ignored[:1] if result.approval else ():
        words = "{refused}, so this approval does not count."
        if refusal.reason is Reason.OLDER_COMMIT:
            words = "{who}'s approval is for an older commit."
        yield say(words, who=code(refusal.login), refused=refused(refusal))
    if result.decision.is_decided and any(check.state is CheckState.NOT_COMPARED for check in result.checks):
        words = "⏳ {base} has {count} of the {least} results that a drop needs."
        yield say(words, base=base, count=len(values_of(gate.base_results, PASS_RATE)), least=MIN_RESULTS)


def policy_remark(context: Context) -> Markdown:
    changes = policy_changes(context)
    return say("⚠️ Once merged, the pull request {changes}.", changes=changes) if changes else NOTHING


def policy_changes(context: Context) -> Markdown:
    """Return that the pull request changes the policy, '' if it does not."""
    if not context.policy_changes:
        return NOTHING
    settings = pluralize(len(context.policy_changes), "setting")
    return link(f"changes {settings} of the policy", context.pull_request_url and f"{context.pull_request_url}/files")
