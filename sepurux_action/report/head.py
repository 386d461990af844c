"""The head of a report: five slots of Markdown, with which comment, job summary, log, and terminal begin.

They are the title, what follows and what to do, the things to change, the numbers, and one remark.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sepurux_action.common import grouped, wording
from sepurux_action.common.wording import capitalized, joined, pluralize
from sepurux_action.config.options import Stage, flag
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import Reason, Refusal
from sepurux_action.evaluation.gate_numbers import DROP, MIN_RESULTS, CheckState
from sepurux_action.evaluation.metrics import PASS_RATE, SCENARIOS
from sepurux_action.evaluation.results import median, values_of
from sepurux_action.evaluation.runs import Decision, Failure, Rule
from sepurux_action.report import items as lines
from sepurux_action.report import markdown
from sepurux_action.report.items import (
    FEW,
    MAX_REASON,
    MOST,
    NOTHING,
    Item,
    base_of,
    gate_link,
    name_of,
    prose,
    run_link,
)
from sepurux_action.report.markdown import NBSP, Markdown, code, link, listed, say
from sepurux_action.report.report import DAY_S, DOCS, LACKING, SHORT_SHA, Context, GateFacts, Report, State

MOST_PROBLEMS = 50
FEW_LINES = 12  # of a head on a phone
MORE = "10 more failures"  # as long as what is left out may be
NAMED_GATES = 2  # of one state
RECORD = f"{DOCS}record.md"
BLOCKED = Markdown("**Blocked.**")
VERBS = {  # of a title that names one gate, and of one that names several
    State.FAILED: ("blocks", "block"),
    State.NEEDS_APPROVAL: ("needs an approval", "need an approval"),
    State.NO_RESULT: ("has no result", "have no result"),
    State.NOT_BLOCKING: ("failed and does not block", "failed and do not block"),
    State.PASSED: ("passed", "passed"),
    State.SKIPPED: ("skipped", "skipped"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The five slots: `title`, `action`, `items`, `numbers`, and `remark`. `unlisted` counts the items left out.

    `hint` is what to do about a gate without a result, in the place of its numbers.
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
    context, main_gates, worst = report.context, report.main_gates, report.main_gates[0]
    things = lines.things_of(main_gates)
    if report.gates[1:]:
        state, title, remark = _of_several(report)
    else:
        state, title = worst.state, title_of(worst)
        remark = next((each for each in (policy_remark(context), *remarks(worst)) if each), NOTHING)
    others, hint = _other_items(main_gates, has_items=bool(things)), NOTHING
    if not _differ(main_gates):
        hint = Markdown(hint_of(worst).removesuffix("."))
    others, unnamed = others[:FEW], others[FEW:]
    is_silent = worst.passed and report.gates[1:]
    action = NOTHING if is_silent else Markdown(joined(" ", *action_of(main_gates, has_items=bool(things))))
    numbers = [*filter(None, [hint]), *_numbers(report)]
    texts = [f"## {title}", action, " · ".join([*numbers, MORE]), remark, *(one.text for one in others)]
    room = math.inf if most > MOST else FEW_LINES - sum(map(lines.phone_lines, texts))
    items = lines.fitting(things[: most - len(others)], room, several=len(main_gates) > 1)
    left = len(things) - len(items) + len(unnamed)
    noun = "failure" if things and all(isinstance(each, Failure) for _, each in things) else "item"
    more = pluralize(left, f"more {noun}") if left else ""
    items += others
    linked = any("](" in each for each in (action, *(one.text for one in items)))
    if action.endswith(":") and worst.dashboard and not linked:
        action = say("{what} ({run}):", what=Markdown(action[:-1]), run=run_link(worst))
    if more or (context.run_url and worst.result.decision.is_decided):
        numbers.append(link(more.replace(" ", NBSP, 1) or "details", context.run_url))
    numbers += [_commit(context)] if context.commit else []
    slots = {"title": title, "action": action, "hint": hint, "remark": remark}
    return Head(state=state, items=items, unlisted=more, numbers=numbers, **slots)


def _other_items(gates: Sequence[GateFacts], *, has_items: bool) -> list[Item]:
    """Return items that are no failure: what the campaign lacks, gates without one, and scenarios not counted."""
    items, failed = list[Item](), [gate for gate in gates if gate.failed]
    if names := dict.fromkeys(name for gate in failed for name in gate.lacking if not gate.by_settings):
        items.append(Item(say("Add {names} to the campaign.", names=listed(names, "and"))))
    for gate in gates if _differ(gates) else ():
        if not lines.things_of([gate]) and gate.state is not State.NEEDS_APPROVAL:
            what, hint = Markdown(capitalized(action_of([gate], has_items=False)[1])), hint_of(gate)
            items.append(Item(Markdown(joined(" ", f"{title_of(gate)}.", what, hint))))
    flaky = [each for gate in failed for each in gate.result.scenarios if each.flaky and each.failures]
    flaky = [each for each in flaky if not any(each.name == one.scenario for gate in failed for one in gate.counted)]
    if flaky and has_items:
        words = "{names} (flaky until {day})." if len(flaky) == 1 else "{names} are flaky, and not counted."
        items.append(Item(say(words, names=listed((each.key for each in flaky), "and"), day=f"{flaky[0].flaky}")))
    return items


def _differ(gates: Sequence[GateFacts]) -> bool:
    """Return whether one sentence cannot say what to do about all gates."""
    return len(gates) > 1 and (gates[0].failed or len({gate.result.reason for gate in gates}) > 1)


def _numbers(report: Report) -> list[Markdown]:
    """Return the numbers of the worst gate, or the link to its run if it has no result."""
    gate, several = report.main_gates[0], len(report.main_gates) > 1
    if not gate.result.decision.is_decided:
        shown = several or not gate.dashboard or "Sepurux run" in hint_of(gate)
        return [] if shown else [run_link(gate)]
    numbers = [] if gate.passed and report.gates[1:] else numbers_of(gate)
    if several:
        numbers[:1] = [say("{name}: {number}", name=name_of(gate), number=each) for each in numbers[:1]]
    return numbers


def _commit(context: Context) -> Markdown:
    return link(code(context.commit[:SHORT_SHA]), context.commit_url)


def _head_of_problems(report: Report) -> Head:
    items, count, context = list[Item](), len(report.problems), report.context
    for problem in report.problems[:MOST_PROBLEMS]:
        where = code(problem.where) if problem.where.startswith("--") else markdown.prose(problem.where)
        message = markdown.prose(problem.message, longest=2 * MAX_REASON)
        items.append(Item(Markdown(joined(": ", code(problem.location), where, message))))
    more, these = count - len(items), "this" if count == 1 else "these"
    return Head(
        state=State.NO_RESULT,
        title=say("{problems} in the settings", problems=pluralize(count, "problem")),
        action=say("**Blocked.** Correct {these}{push}:", these=these, push=_push(context)),
        items=items,
        unlisted=pluralize(more, "more problem") if more else "",
        numbers=[_commit(context)] if context.commit else (),
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


# -- what follows, and what to do -------------------------------------------------------------------------------------


def action_of(gates: Sequence[GateFacts], *, has_items: bool) -> tuple[Markdown, Markdown]:
    """Return the consequence in bold, and a sentence, which ends with a colon if the things to change follow."""
    gate, result, context = gates[0], gates[0].result, gates[0].context
    if gate.passed:
        return NOTHING, NOTHING if result.decision is Decision.PASS else prose(gate, result.reason)
    lead = BLOCKED if result.blocks else _not_blocking(gates)
    if not any(each.failed for each in gates):
        return (lead, NOTHING) if _differ(gates) else _without_result(gate, lead)
    if not result.blocks:
        if has_items or _differ(gates):
            return lead, Markdown("What to look at:")
        return lead, say("Look at the {run}.", run=run_link(gate))
    fix, failed = _fix(gates, has_items=has_items), [each for each in gates if each.failed]
    if all(each.state is State.NEEDS_APPROVAL for each in failed):
        return _needs_approval(failed, fix if has_items or gate.by_settings else NOTHING)
    if all(map(is_stored, gates)):
        it, record = "they evaluate" if gates[1:] else "it evaluates", link("record in the workflow", RECORD)
        stored = say("{it} stored scenarios. Record them again, or {record}.", it=it, record=record)
        return Markdown("**Blocked, but not by this pull request:**"), stored
    if result.needs_approval and not gates[1:]:
        return BLOCKED, say("{why}. {fix}", why=Markdown(capitalized(approval_of(gate))), fix=fix)
    return NOTHING if has_items and context.on_command_line else BLOCKED, fix


def _not_blocking(gates: Sequence[GateFacts]) -> Markdown:
    result = gates[0].result
    if gates[1:]:
        return Markdown("**Does not block.**")
    if result.approval:
        return say("**Approved by {who}.**", who=listed(result.approval.approved_by, "and"))
    setting = "enforcement: observe" if result.gate.stage is Stage.OBSERVE else "on_outage: allow"
    return say("**Does not block** ({setting}).", setting=code(setting))


def _without_result(gate: GateFacts, lead: Markdown) -> tuple[Markdown, Markdown]:
    """Return what happened to a gate without a result. What to do is in the fourth slot, unless it is short."""
    result = gate.result
    if result.decision is Decision.PENDING:  # the title says what happened
        return lead, prose(gate, result.hint)
    by_agent = result.gate.uploads_traces and result.worst.campaign_id  # only the first call has nothing of a trace
    if result.blocks and result.rule in {Rule.OUTAGE, Rule.NOT_POLLED} and not by_agent:
        lead = Markdown("**Blocked, but not by your agent.**")
    hint = prose(gate, result.hint) if result.rule is Rule.CANCELED else NOTHING
    return lead, Markdown(joined(" ", prose(gate, result.reason), hint))


def hint_of(gate: GateFacts) -> Markdown:
    """Return what to do about a gate without a result, '' if its action says it."""
    is_said = gate.result.decision is not Decision.ERROR or gate.result.rule is Rule.CANCELED
    return NOTHING if is_said else prose(gate, gate.result.hint)


def is_stored(gate: GateFacts) -> bool:
    """Return whether a gate failed for what is stored at Sepurux, which no push to the pull request changes."""
    pull_request = gate.context.pull_request is not None and not gate.result.gate.uploads_traces
    explained = gate.failed and not gate.by_settings and (gate.counted or gate.missed - LACKING)
    return bool(pull_request and explained and not gate.result.recorded)


def _push(context: Context) -> Markdown:
    return NOTHING if context.on_command_line else Markdown(" and push")


def _fix(gates: Sequence[GateFacts], *, has_items: bool) -> Markdown:
    """Return what to do about gates that failed: an order, or why there is none."""
    gate, result, push, run = gates[0], gates[0].result, _push(gates[0].context), run_link(gates[0])
    if not all(each.result.gate.uploads_traces or each.by_settings for each in gates if each.failed) and has_items:
        return Markdown("Fix the agent, and record the stored scenarios again:")
    if gates[1:]:
        return say("Fix these{push}:", push=push)
    if result.recorded:
        failed = link("failed already", gate.dashboard or result.link)
        return say("This commit {failed} and is not evaluated again. Fix it and push.", failed=failed)
    if gate.by_settings:
        few = gate.missed == {SCENARIOS.threshold}
        if few and result.gate.names_traces:
            return say("Record the missing scenarios{push}.", push=push)
        what = listed(gate.lacking, "and") or f"the missing {'scenarios' if few else 'mutations'}"
        return say("Add {what} to the campaign{push}.", what=what, push=push)
    if has_items:
        worse = gate.missed == {DROP} and gate.worse
        return say("Fix {what}{push}:", what="what got worse" if worse else "these", push=push)
    unread = result.failures_unread or result.scenarios_unread or gate.short
    if not (gate.missed or unread):
        return say("Sepurux decided `fail`, and nothing that is set here explains it: look at the {run}.", run=run)
    look = say("look at the {run}, fix what it shows{push}.", run=run, push=push and f",{push}")
    return Markdown(capitalized(look)) if unread else say("Sepurux names no failure: {look}", look=look)


def approval_of(gate: GateFacts) -> Markdown:
    """Return why no one can approve a gate, as a clause."""
    approval = gate.result.approval
    if approval is None or approval.unread:
        permission = code("pull-requests: read")
        words = "who can approve could not be read: give the job {permission}, then {rerun}"
        return say(words, permission=permission, rerun=prose(gate, "{rerun}"))
    reason = refused(approval.cannot_approve[0]) if approval.cannot_approve else "no reviewer is listed"
    return say("none of the listed reviewers can approve: {reason}", reason=reason)


def _needs_approval(gates: Sequence[GateFacts], fix: Markdown) -> tuple[Markdown, Markdown]:
    """Return who can approve gates, and the other way out if there is one: `fix`."""
    address, approvals = gates[0].context.pull_request_url, {gate.result.approval for gate in gates}
    lead = Markdown("**Needs an approval:**")
    if len(approvals) == 1 and (approval := approvals.pop()):
        who = listed(approval.can_approve, "or") or Markdown("anyone else with write access")
        commit = code(approval.commit[:SHORT_SHA])
        lead = say("**Needs an approval** of {commit} by {who}:", commit=commit, who=who)
    runs = [gate_link(gate) for gate in gates] if gates[1:] else [say("the {run}", run=run_link(gates[0]))]
    review = link("review", address and f"{address}/files")
    look = say("look at {runs}, then {review}.", runs=Markdown(wording.listed(runs)), review=review)
    return lead, Markdown(joined(" Or ", look, fix[:1].lower() + fix[1:]))


def refused(refusal: Refusal) -> Markdown:
    return say("{who} {why}", who=code(refusal.login), why=markdown.prose(refusal.reason.words))


# -- several gates ----------------------------------------------------------------------------------------------------


def _of_several(report: Report) -> tuple[State, Markdown, Markdown]:
    """Return the state and the title of several gates, and a line on those that the title does not name."""
    state, named = _named(report)
    every = sum(gate.state is not State.SKIPPED for gate in report.gates) or len(report.gates)
    title = say(
        "{count} of {gates} {verb}", count=len(named), gates=pluralize(every, "gate"), verb=VERBS[state][len(named) > 1]
    )
    if state not in {State.PASSED, State.SKIPPED}:
        title = say("{title}: {names}", title=title, names=named_gates(named))
    others = sorted((gate for gate in report.gates if gate not in named), key=lambda gate: gate.state.rank)
    parts = []
    for (state_of, words), gates in grouped(((gate.state, gate.consequence), gate) for gate in others).items():
        few = len(gates) <= NAMED_GATES
        names = named_gates(gates) if few else str(len(gates))
        said = NOTHING if few and state_of is State.PASSED else words
        if state_of is State.NEEDS_APPROVAL and gates[1:]:
            said = VERBS[state_of][1]
        parts.append(Markdown(joined(" ", state_of.symbol, names, markdown.as_markdown(said))))
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


def named_gates(gates: Sequence[GateFacts]) -> Markdown:
    """Return the names of the first gates, and how many more there are."""
    return Markdown(wording.listed([name_of(gate) for gate in gates], "and", NAMED_GATES))


# -- numbers and remarks ----------------------------------------------------------------------------------------------


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
    if result.worst.sandbox:
        rules = link("rules", f"{DOCS}other-ci.md#try-it-without-an-account")
        yield say("⚠️ By the {rules} of the sandbox, not of Sepurux.", rules=rules)
    if context.pull_request is not None and result.decision is Decision.PASS and not result.gate.uploads_traces:
        yield say("⚠️ It evaluates stored scenarios, so it says nothing about this pull request.")
    if missing := result.scenarios_missing:
        words = "{names} is missing: {base} has it." if len(missing) == 1 else "{names} are missing: {base} has them."
        yield say(f"⚠️ {words}", names=listed(missing, "and"), base=base)
    yield from _idle(gate)
    failures, limits = result.value(metrics.FAILURES), {check.threshold for check in result.checks}
    if context.on_command_line and gate.passed and failures and metrics.FAILURES.threshold not in limits:
        words = "{count}, and {flag} is not set."
        count = Markdown(pluralize(int(failures), "failure"))
        yield say(words, count=count, flag=code(flag(metrics.FAILURES.threshold)))
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


def _idle(gate: GateFacts) -> Iterator[Markdown]:
    """Yield which scenarios do nothing, or nothing of what they did on the base."""
    idle, base = [each for each in gate.result.scenarios if each.idle], base_of(gate.context)
    if idle and len(idle) == len(gate.result.scenarios) and not any(each.base_tools for each in idle):
        yield say("⚠️ No trace calls a tool.")
        return
    for each in sorted(idle, key=lambda each: not each.base_tools)[:FEW]:
        tools = say("none of the tools of {base}: {tools}", base=base, tools=listed(each.base_tools, "and"))
        yield say("⚠️ {name} calls {what}.", name=code(each.name), what=tools if each.base_tools else "no tool")


def policy_remark(context: Context) -> Markdown:
    changes = policy_changes(context)
    return say("⚠️ Once merged, the pull request {changes}.", changes=changes) if changes else NOTHING


def policy_changes(context: Context) -> Markdown:
    """Return that the pull request changes the policy, '' if it does not."""
    if not context.policy_changes:
        return NOTHING
    settings = pluralize(len(context.policy_changes), "setting")
    return link(f"changes {settings} of the policy", context.pull_request_url and f"{context.pull_request_url}/files")
