"""The head of a report: five slots of Markdown, with which comment, job summary, log, and terminal begin.

They are the title, what follows and what to do, the things to change, the numbers, and one remark.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sepurux_action.common import grouped, wording
from sepurux_action.common.wording import capitalized, joined, pluralize
from sepurux_action.config.options import Stage
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.decision import ApprovalStatus
from sepurux_action.evaluation.gate_numbers import DROP, MIN_RESULTS, CheckState
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, PASS_RATE, SCENARIOS
from sepurux_action.evaluation.results import median, values_of
from sepurux_action.evaluation.runs import Decision, Rule
from sepurux_action.report import items as lines
from sepurux_action.report import markdown
from sepurux_action.report.items import FEW, MAX_REASON, MOST, NOTHING, Item, base_of, name_of, prose, run_link
from sepurux_action.report.markdown import NBSP, Markdown, code, link, listed, say
from sepurux_action.report.report import DAY_S, DOCS, LACKING, SHORT_SHA, Context, GateFacts, Report, State

MOST_PROBLEMS = 50
FEW_LINES = 12  # of a head on a phone
MORE = "10 more failures"  # as long as what is left out may be
NAMED_GATES = 2  # of one state
RECORD = link("record in the workflow", f"{DOCS}record.md")
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
    context, gates, worst = report.context, report.main_gates, report.main_gates[0]
    things = lines.things_of(gates)
    if report.gates[1:]:
        state, title, remark = _of_several(report)
    else:
        state, title = worst.state, title_of(worst)
        remark = next((each for each in (policy_remark(context), *remarks(worst)) if each), NOTHING)
    others, hint = _other_items(gates, has_items=bool(things)), Markdown(hint_of(worst).removesuffix("."))
    action = Markdown(joined(" ", *action_of(gates, has_items=bool(things))))
    numbers = [*filter(None, [hint]), *_numbers(report)]
    slots = [f"## {title}", action, " · ".join([*numbers, MORE]), remark, *(one.text for one in others[:FEW])]
    items = lines.items_of(things[: most - len(others[:FEW])], is_full=most > MOST, several=len(gates) > 1)
    while most <= MOST and items[lines.LEAST :] and lines.phone_lines(*slots, *(one.text for one in items)) > FEW_LINES:
        items.pop()
    left = len(things) - len(items) + len(others[FEW:])
    more = pluralize(left, f"more {'failure' if things else 'item'}") if left else ""
    items += others[:FEW]
    linked = any("](" in each for each in (action, *(one.text for one in items)))
    if action.endswith(":") and worst.dashboard and not linked:
        action = say("{what} ({run}):", what=Markdown(action[:-1]), run=run_link(worst))
    if more or (context.run_url and worst.result.decision.is_decided):
        numbers.append(link(more.replace(" ", NBSP, 1) or "details", context.run_url))
    numbers += _commit(context)
    shown = {"title": title, "action": action, "hint": hint, "remark": remark}
    return Head(state=state, items=items, unlisted=more, numbers=numbers, **shown)


def _other_items(gates: Sequence[GateFacts], *, has_items: bool) -> list[Item]:
    """Return items that are no failure: what campaigns lack, gates that nothing else says, and flaky scenarios."""
    worst, items, failed = gates[0], list[Item](), [gate for gate in gates if gate.failed]
    if names := dict.fromkeys(name for gate in failed for name in gate.lacking if not gate.by_settings):
        items.append(Item(say("Add {names} to the campaign.", names=listed(names, "and"))))
    for gate in gates if has_items and worst.failed else gates[1:]:
        said = gate.state is State.NEEDS_APPROVAL or (not gate.failed and gate.result.reason == worst.result.reason)
        if not said and not lines.things_of([gate]):
            what = Markdown(capitalized(action_of([gate], has_items=False)[1]))
            items.append(Item(Markdown(joined(" ", f"{title_of(gate)}.", what, hint_of(gate)))))
    unsafe = {each.scenario for gate in failed for each in gate.counted}
    flaky = (each for gate in failed for each in gate.result.scenarios if each.flaky and each.failures)
    named = [
        say("{key} (flaky until {day})", key=code(each.key), day=each.flaky)
        for each in flaky
        if each.name not in unsafe
    ]
    if named and has_items:
        items.append(Item(Markdown(f"{wording.listed(named)}.")))
    return items


def _numbers(report: Report) -> list[Markdown]:
    """Return the numbers of the worst gate, or the link to its run if it has no result."""
    gate = report.main_gates[0]
    if not gate.result.decision.is_decided:
        return [run_link(gate)] if gate.dashboard and "Sepurux run" not in hint_of(gate) else []
    numbers = [] if gate.passed and report.gates[1:] else numbers_of(gate)
    if report.main_gates[1:]:
        numbers[:1] = [say("{name}: {number}", name=name_of(gate), number=each) for each in numbers[:1]]
    return numbers


def _commit(context: Context) -> list[Markdown]:
    return [link(code(context.commit[:SHORT_SHA]), context.commit_url)] if context.commit else []


def _head_of_problems(report: Report) -> Head:
    items, count, context = list[Item](), len(report.problems), report.context
    for problem in report.problems[:MOST_PROBLEMS]:
        where = code(problem.where) if problem.where.startswith("--") else markdown.prose(problem.where)
        message = markdown.prose(problem.message, longest=2 * MAX_REASON)
        items.append(Item(Markdown(joined(": ", code(problem.location), where, message))))
    more = count - len(items)
    return Head(
        state=State.NO_RESULT,
        title=say("{problems} in the settings", problems=pluralize(count, "problem")),
        action=say("**Blocked.** Correct {these}{push}:", these="this" if count == 1 else "these", push=_push(context)),
        items=items,
        unlisted=pluralize(more, "more problem") if more else "",
        numbers=_commit(context),
    )


def title_of(gate: GateFacts) -> Markdown:
    """Return the title of one gate: the new failures, else all, else the number that it misses."""
    name, decision, news = name_of(gate), gate.result.decision, NOTHING
    if gate.passed:
        return say("{name} {word}", name=name, word=gate.state.word)
    if decision is Decision.PENDING:
        waited = wording.duration(gate.result.gate.timeout_s)
        return say("{name}: no decision after {waited}", name=name, waited=waited)
    if decision is Decision.ERROR:
        return say("{name} was not evaluated", name=name)
    if gate.counted:
        new = sum(each.is_new for each in gate.failures)
        news = Markdown(pluralize(new, "new failure") if new else pluralize(len(gate.counted), "failure"))
    if gate.missed <= {DROP, *LACKING} or not news:
        news = next(iter(missed_numbers(gate)), news)
    return say("{name}: {news}", name=name, news=news) if news else say("{name} failed", name=name)


# -- what follows, and what to do -------------------------------------------------------------------------------------


def action_of(gates: Sequence[GateFacts], *, has_items: bool) -> tuple[Markdown, Markdown]:
    """Return the consequence in bold, and a sentence, which ends with a colon if the things to change follow.

    Both are about the first gate, apart from an order that it shares with the others.
    """
    gate, result = gates[0], gates[0].result
    if gate.passed:
        return NOTHING, NOTHING if result.decision is Decision.PASS else prose(gate, result.reason)
    lead = BLOCKED if result.blocks else _not_blocking(gate)
    if not gate.failed:
        by_agent = result.gate.uploads_traces and result.worst.campaign_id  # the first call has nothing of a trace
        if result.blocks and result.rule in {Rule.OUTAGE, Rule.NOT_POLLED} and not by_agent:
            lead = Markdown("**Blocked, but not by your agent.**")
        is_said = result.decision is Decision.PENDING  # by the title
        return lead, prose(gate, result.hint if is_said else result.reason)
    if not result.blocks:
        return lead, Markdown("What to look at:") if has_items else say("Look at the {run}.", run=run_link(gate))
    failed = [each for each in gates if each.failed]
    is_stored = not any(each.result.gate.uploads_traces or each.by_settings or each.result.recorded for each in failed)
    if is_stored and gate.context.pull_request is not None and gate.state is not State.NEEDS_APPROVAL:
        stored = say("it evaluates stored scenarios. Record them again, or {record}.", record=RECORD)
        return Markdown("**Blocked, but not by this pull request:**"), stored
    fix = _fix(failed, has_items=has_items)
    if result.needs_approval:
        return _of_approval(failed, fix, has_items=has_items)
    return NOTHING if has_items and gate.context.on_command_line else BLOCKED, fix


def _not_blocking(gate: GateFacts) -> Markdown:
    if gate.result.approval:
        return say("**Approved by {who}.**", who=listed(gate.result.approval.approved_by, "and"))
    setting = "enforcement: observe" if gate.result.gate.stage is Stage.OBSERVE else "on_outage: allow"
    return say("**Does not block** ({setting}).", setting=code(setting))


def hint_of(gate: GateFacts) -> Markdown:
    """Return what to do about a gate without a result, '' if its action says it."""
    return prose(gate, gate.result.hint) if gate.result.decision is Decision.ERROR else NOTHING


def _push(context: Context) -> Markdown:
    return NOTHING if context.on_command_line else Markdown(" and push")


def _fix(gates: Sequence[GateFacts], *, has_items: bool) -> Markdown:
    """Return what to do about gates that failed: an order, or why there is none."""
    gate, result, push, run = gates[0], gates[0].result, _push(gates[0].context), run_link(gates[0])
    if has_items and not all(each.result.gate.uploads_traces or each.by_settings for each in gates):
        return Markdown("Fix the agent, and record the stored scenarios again:")
    if has_items:
        return say("Fix {what}{push}:", what="what got worse" if gate.missed == {DROP} else "these", push=push)
    if result.recorded:
        failed = link("failed already", gate.dashboard or result.link)
        return say("This commit {failed} and is not evaluated again. Fix it and push.", failed=failed)
    if gate.missed == {SCENARIOS.threshold} and gate.by_settings:
        return say("Record the missing scenarios{push}.", push=push)
    if gate.by_settings:
        what = listed(gate.lacking, "and") or "the missing mutations"
        return say("Add {what} to the campaign{push}.", what=what, push=push)
    if not gate.missed:
        return say("Sepurux decided `fail`, and nothing that is set here explains it: look at the {run}.", run=run)
    words = "No failure is named: look at the {run}, fix what it shows{push}."
    return say(words, run=run, push=push and f",{push}")


def _of_approval(gates: Sequence[GateFacts], fix: Markdown, *, has_items: bool) -> tuple[Markdown, Markdown]:
    """Return who can approve gates, or that no one can, and the other way out if there is one: `fix`."""
    gate, approval, lead = gates[0], gates[0].result.approval or ApprovalStatus(), BLOCKED
    if gate.state is State.NEEDS_APPROVAL:
        who, commit = listed(approval.can_approve, "or"), code(approval.commit[:SHORT_SHA])
        by = NOTHING if gates[1:] else say(" by {who}", who=who or "anyone else with write access")
        lead = say("**Needs an approval** of {commit}{by}:", commit=commit, by=by)
        address = gate.context.pull_request_url
        review = link("review", address and f"{address}/files")
        look = say("look at the {run}, then {review}.", run=run_link(gate), review=review)
    elif approval.unread:
        permission, rerun = code("pull-requests: read"), prose(gate, "{rerun}")
        words = "Who can approve could not be read: give the job {permission}, then {rerun}."
        look = say(words, permission=permission, rerun=rerun)
    else:
        words = "None of the listed reviewers can approve: no write access, or their own change."
        return BLOCKED, Markdown(joined(" ", words, fix))
    return lead, Markdown(joined(" Or ", look, fix[:1].lower() + fix[1:] if has_items or gate.by_settings else ""))


# -- several gates ----------------------------------------------------------------------------------------------------


def _of_several(report: Report) -> tuple[State, Markdown, Markdown]:
    """Return the state and the title of several gates, and a line on those that the title does not name."""
    worst = report.main_gates[0].state
    state = State.NO_RESULT if worst is State.NO_DECISION else worst
    alike = {State.NO_RESULT, State.NO_DECISION} if state is State.NO_RESULT else {state}
    named = [gate for gate in report.gates if gate.state in alike]
    if state is State.FAILED:
        named = [gate for gate in report.blocking if gate.state is not State.NEEDS_APPROVAL]
    every = sum(gate.state is not State.SKIPPED for gate in report.gates) or len(report.gates)
    words, gates = VERBS[state][len(named) > 1], pluralize(every, "gate")
    title = say("{count} of {gates} {words}", count=len(named), gates=gates, words=words)
    if state not in {State.PASSED, State.SKIPPED}:
        title = say("{title}: {names}", title=title, names=_names(named))
    others = sorted((gate for gate in report.gates if gate not in named), key=lambda gate: gate.state.rank)
    parts = []
    for (state_of, words), gates_of in grouped(((gate.state, gate.consequence), gate) for gate in others).items():
        few = len(gates_of) <= NAMED_GATES
        said = "" if few and state_of is State.PASSED else words
        if state_of is State.NEEDS_APPROVAL and gates_of[1:]:
            said = VERBS[state_of][1]
        names = _names(gates_of) if few else str(len(gates_of))
        parts.append(say("{symbol} {names} {said}", symbol=state_of.symbol, names=names, said=said).rstrip())
    if changes := policy_remark(report.context):
        parts.append(Markdown(changes.removesuffix(".")))
    if count := sum(1 for gate in report.gates for _ in remarks(gate)):
        parts.append(say("⚠️ {count}", count=link(pluralize(count, "remark"), report.context.run_url)))
    return state, title, Markdown(" · ".join(parts))


def _names(gates: Sequence[GateFacts]) -> Markdown:
    """Return the names of the first gates, and how many more there are."""
    return Markdown(wording.listed([name_of(gate) for gate in gates], "and", NAMED_GATES))


# -- numbers and remarks ----------------------------------------------------------------------------------------------


def missed_numbers(gate: GateFacts) -> list[Markdown]:
    """Return what a gate misses: `72.0% passed, 85.0% needed`, `1 unsafe`; the pass rate, or its drop, first."""
    missed = sorted(gate.result.missed, key=lambda each: each.threshold not in {PASS_RATE.threshold, DROP})
    return [markdown.prose(each.text) for each in missed]


def numbers_of(gate: GateFacts) -> list[Markdown]:
    """Return the pass rate with what it needs, and another number, which is missed if any is; not that of the title."""
    result, title, numbers = gate.result, title_of(gate), list[Markdown]()
    if (passed := result.value(PASS_RATE)) is not None:
        needed = None if result.recorded else gate.needed_rate
        parts = [PASS_RATE.shown(passed, needed)]
        if needed is not None:
            parts.append(f"{PASS_RATE.write(needed, passed)} needed")
        if DROP in gate.missed and (base := median(gate.base_results, PASS_RATE)) is not None:
            parts.append(f"{PASS_RATE.write(base, needed)} on {base_of(gate.context)}")
        numbers.append(Markdown(", ".join(parts)))
    unsafe, elsewhere = result.value(metrics.UNSAFE_ATTEMPTS), {PASS_RATE.threshold, DROP, LOWEST_SCENARIO.threshold}
    others = [markdown.prose(each.text) for each in result.missed if each.threshold not in elsewhere]
    if unsafe is not None and not gate.missed:
        others.append(Markdown(metrics.UNSAFE_ATTEMPTS.shown(unsafe)))
    return [each for each in [*numbers, *others[:1]] if not title.endswith(f": {each}")]


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
    idle = [each for each in result.scenarios if each.idle]
    if idle and len(idle) == len(result.scenarios) and not any(each.base_tools for each in idle):
        yield say("⚠️ No trace calls a tool.")
        idle = []
    for each in sorted(idle, key=lambda each: not each.base_tools)[:FEW]:
        tools = say("none of the tools of {base}: {tools}", base=base, tools=listed(each.base_tools, "and"))
        yield say("⚠️ {name} calls {what}.", name=code(each.name), what=tools if each.base_tools else "no tool")
    traces = [] if result.decision is Decision.SKIPPED else result.gate.traces
    if old := [each.label for each in traces if each.recorded and each.recorded + DAY_S < (context.committed or 0)]:
        were = "was" if len(old) == 1 else "were"
        yield say("⚠️ {traces} {were} recorded before this commit.", traces=listed(old, "and", 1), were=were)
    if result.approval and (who := result.approval.ignored):
        rules = link("does not count", f"{DOCS}policy.md#who-can-approve")
        yield say("{who}'s approval {rules}.", who=code(who[0]), rules=rules)
    elif result.approval and (who := result.approval.outdated):
        yield say("{who}'s approval is for an older commit.", who=code(who[0]))
    if result.decision.is_decided and any(check.state is CheckState.NOT_COMPARED for check in result.checks):
        words = "⏳ {base} has {count} of the {least} results that a drop needs."
        yield say(words, base=base, count=len(values_of(gate.base_results, PASS_RATE)), least=MIN_RESULTS)


def policy_remark(context: Context) -> Markdown:
    """Return that the pull request changes the policy, '' if it does not."""
    if not context.policy_changes:
        return NOTHING
    changes = f"changes {pluralize(len(context.policy_changes), 'setting')} of the policy"
    page = link(changes, context.pull_request_url and f"{context.pull_request_url}/files")
    return say("⚠️ Once merged, the pull request {changes}.", changes=page)
