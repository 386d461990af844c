"""The head of a report: five slots of Markdown, with which comment, job summary, log, and terminal begin."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sepurux_action.common import grouped, wording
from sepurux_action.common.wording import capitalized, joined, pluralize
from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.config.options import Stage
from sepurux_action.evaluation.decision import ApprovalStatus
from sepurux_action.evaluation.gate_numbers import DROP, MIN_RESULTS, CheckState, Scenario
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, PASS_RATE, SCENARIOS, UNSAFE_ATTEMPTS
from sepurux_action.evaluation.results import median, values_of
from sepurux_action.evaluation.runs import Decision, Failure, Rule, severity_rank, worst_of
from sepurux_action.report import markdown
from sepurux_action.report.markdown import NBSP, Markdown, code, escaped, link, listed, plain, say
from sepurux_action.report.report import DAY_S, DOCS, LACKING, SHORT_SHA, Context, GateFacts, Report, State

MAX_FIRST_ITEM, MAX_ITEM, MAX_LONG_ITEM = 140, 90, 400  # characters; the last one where a list has all items
MIN_DESCRIPTION = 40  # characters of a description that are shown at least
MAX_GATE, MAX_SCENARIO, MAX_STEP = 40, 30, 40  # characters of a gate's and a scenario's name, and of a tool
MAX_REASON = 300  # characters of a reason, or of what to do about it
LEAST, FEW, MOST, MOST_PROBLEMS = 2, 3, 5, 50  # items
MOST_LINES, PHONE_LINE = 12, 37  # lines of a head on a phone, and about how many characters one has
NAMED_GATES = 2  # of one state
RERUNS = {"rerun": "re-run the job", "Rerun": "Re-run the job"}
NOTHING = Markdown("")
BLOCKED = Markdown("**Blocked.**")
VERBS = {  # of a title that names one gate, and of one that names several
    State.FAILED: ("blocks", "block"),
    State.NEEDS_APPROVAL: ("needs an approval", "need an approval"),
    State.NO_RESULT: ("has no result", "have no result"),
    State.NOT_BLOCKING: ("failed and does not block", "failed and do not block"),
}
CLAUSES = {
    "none": "step\u00a0{number}: {tool}",
    "instead": "step\u00a0{number}: {tool} (on {base}: {other})",
    "added": "step\u00a0{number}: {tool} (not on {base})",
    "missing": "{tool} is missing after step {number}",
    "without": "step\u00a0{number}: {tool} without {other}",
    "with": "step\u00a0{number}: {tool} with {other}",
}

Thing = tuple[GateFacts, Failure | Scenario]  # a failure, or a scenario that is too low or got worse, of a gate


@dataclass(frozen=True, slots=True)
class Item:
    """A thing to change: what is wrong, and where. `severity` is '' unless it is critical or high.

    `file` is that of the recording which is shown, if not all recordings of the scenario have the failure.
    """

    what: Markdown
    where: Markdown = NOTHING
    severity: str = ""
    file: Markdown = NOTHING

    @property
    def text(self) -> Markdown:
        return Markdown(joined(" ", self.severity and f"**{self.severity}**", self.what, self.where, self.file))


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The five slots: the title, what follows and what to do, the things to change, the numbers, and one remark.

    `unlisted` counts the items left out. `hint` is what to do about a gate without a result, instead of numbers.
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
    things = _things_of(gates, every_text=most > MOST)
    if report.gates[1:]:
        state, title, remark = _of_several(report)
    else:
        state, title = worst.state, title_of(worst)
        remark = next((each for each in (*remarks(worst), policy_remark(context)) if each), NOTHING)
    others, hint = _other_items(gates, has_items=bool(things)), Markdown(hint_of(worst).removesuffix("."))
    others, unnamed = others[:FEW], others[FEW:]
    action = Markdown(joined(" ", *action_of(gates, has_items=bool(things))))
    numbers = [*filter(None, [hint]), *_numbers(report)]
    slots = [f"## {title}", action, " · ".join([*numbers, "10 more failures"]), remark, *(one.text for one in others)]
    items = list[Item]()
    for gate, of in things[: most - len(others)]:
        longest = MAX_ITEM if items else MAX_FIRST_ITEM
        item = item_of(gate, of, longest if most <= MOST else MAX_LONG_ITEM, several=len(gates) > 1)
        if any(item.file == each.file for each in items):
            item = replace(item, file=NOTHING)
        items.append(item)
    heights = [math.ceil(len(plain(text)) / PHONE_LINE) for text in (*slots, *(one.text for one in items))]
    while most <= MOST and items[LEAST:] and sum(heights) > MOST_LINES:
        items.pop()
        heights.pop()
    left = len(things) - len(items) + len(unnamed)
    more = pluralize(left, f"more {'item' if unnamed else 'failure'}") if left else ""
    items += others
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
    for gate in gates if has_items else gates[1:]:
        said = gate.state is State.NEEDS_APPROVAL or (not gate.failed and gate.result.reason == worst.result.reason)
        if not said and not _things_of([gate]):
            what = Markdown(capitalized(action_of([gate], has_items=False)[1]))
            items.append(Item(Markdown(joined(" ", f"{title_of(gate)}.", what, hint_of(gate)))))
    unsafe = {each.scenario for gate in failed for each in gate.counted}
    for each in (each for gate in failed for each in gate.result.scenarios if has_items and each.flaky):
        if each.failures and each.name not in unsafe:
            items.append(Item(say("{key} (flaky until {day}).", key=code(each.key), day=each.flaky)))
    return items


def _numbers(report: Report) -> list[Markdown]:
    """Return the pass rate of the worst gate and one missed number, without the title's, or the link to its run."""
    gate, result, numbers = report.main_gates[0], report.main_gates[0].result, list[Markdown]()
    if not result.decision.is_decided:
        return [run_link(gate)] if gate.dashboard and "Sepurux run" not in hint_of(gate) else []
    if gate.passed and report.gates[1:]:
        return []
    if (passed := result.value(PASS_RATE)) is not None:
        needed = None if result.recorded else gate.needed_rate
        rate = PASS_RATE.shown(passed) if needed is None else PASS_RATE.compared(passed, needed)
        if DROP in gate.missed and (base := median(gate.base_results, PASS_RATE)) is not None:
            rate += f", {PASS_RATE.write(base, needed)} on {base_of(gate.context)}"
        numbers.append(Markdown(rate))
    elsewhere = {PASS_RATE.threshold, DROP, LOWEST_SCENARIO.threshold}
    others = [markdown.prose(each.text) for each in result.missed if each.threshold not in elsewhere]
    if not gate.missed and (unsafe := result.value(UNSAFE_ATTEMPTS)) is not None:
        others.append(Markdown(UNSAFE_ATTEMPTS.shown(unsafe)))
    title = title_of(gate)
    numbers = [each for each in [*numbers, *others[:1]] if not title.endswith(f": {each}")]
    if report.main_gates[1:]:
        numbers[:1] = [say("{name}: {number}", name=name_of(gate), number=each) for each in numbers[:1]]
    return numbers


def _commit(context: Context) -> list[Markdown]:
    return [link(code(context.commit[:SHORT_SHA]), context.commit_url)] if context.commit else []


def _head_of_problems(report: Report) -> Head:
    items, count = list[Item](), len(report.problems)
    for problem in report.problems[:MOST_PROBLEMS]:
        message = markdown.prose(problem.message, longest=2 * MAX_REASON)
        items.append(Item(Markdown(joined(": ", code(problem.location), markdown.prose(problem.where), message))))
    more = count - len(items)
    return Head(
        state=State.NO_RESULT,
        title=say("{problems} in the settings", problems=pluralize(count, "problem")),
        action=Markdown(f"**Blocked.** Correct {'this' if count == 1 else 'these'}:"),
        items=items,
        numbers=[*([Markdown(pluralize(more, "more problem"))] if more else []), *_commit(report.context)],
    )


def title_of(gate: GateFacts) -> Markdown:
    """Return the title of one gate: the new failures, else all, else the number that it misses."""
    name, decision, news = name_of(gate), gate.result.decision, NOTHING
    if gate.passed:
        return say("{name} {word}", name=name, word=gate.state.word)
    if decision is Decision.PENDING:
        return say("{name}: no decision after {waited}", name=name, waited=wording.duration(gate.result.gate.timeout_s))
    if decision is Decision.ERROR:
        return say("{name} has no result" if gate.result.worst.evaluated else "{name} was not evaluated", name=name)
    if gate.items:
        new = sum(each.is_new for each in gate.items)
        news = Markdown(pluralize(new, "new failure") if new else pluralize(len(gate.items), "failure"))
    if gate.missed <= {DROP, *LACKING} or not news:
        news = next((markdown.prose(each.text) for each in gate.result.missed), news)
    return say("{name}: {news}", name=name, news=news) if news else say("{name} failed", name=name)


def _things_of(gates: Sequence[GateFacts], *, every_text: bool = False) -> Sequence[Thing]:
    """Return failures of gates, new and severe ones first, and scenarios: too low ones, of a drop alone worse ones."""
    failures, scenarios = list[tuple[GateFacts, Failure]](), list[Thing]()
    for gate in (each for each in gates if each.failed and not each.by_settings):
        worse = gate.worse if gate.missed == {DROP} else ()
        scenarios += [(gate, each) for each in worse or gate.result.known_scenarios if worse or each.low]
        failures += [(gate, each) for each in (gate.counted if every_text else gate.items) if not worse]
    failures.sort(key=lambda each: (not each[1].is_new, severity_rank(each[1].severity)))
    low_alone = all(gate.missed == {LOWEST_SCENARIO.threshold} for gate in gates)
    return [*scenarios, *failures] if low_alone else [*failures, *scenarios]


def item_of(gate: GateFacts, of: Failure | Scenario, longest: int, *, several: bool = False) -> Item:
    """Return an item of at most `longest` characters, of which a description is cut; with the gate, if `several`."""
    of_gate = link(name_of(gate), gate.dashboard) if several else NOTHING
    if isinstance(of, Failure):
        return _of_failure(gate, of, longest, of_gate)
    name = scenario_link(of)
    if of.low:
        rate, needed = of.rate or 0, of.needed
        passed, least = LOWEST_SCENARIO.write(rate, needed), LOWEST_SCENARIO.write(needed, rate)
        return Item(say("{name} passed {passed}, {least} needed.", name=name, passed=passed, least=least), of_gate)
    passed, on_base = (gate.write(PASS_RATE, each) for each in (of.rate, of.base_rate))
    words = "{name}: {passed} passed, {on_base} on {base}."
    what = say(words, name=name, passed=passed, on_base=on_base, base=base_of(gate.context))
    said = escaped(of.failures[0].description, longest=max(MIN_DESCRIPTION, longest)) if of.failures else ""
    return Item(Markdown(joined(" ", what, said)), of_gate)


def _of_failure(gate: GateFacts, failure: Failure, longest: int, of_gate: Markdown) -> Item:
    scenario, place, severity = gate.scenarios.get(failure.scenario), NOTHING, failure.severity.lower()
    if failure.scenario and len(gate.result.known_scenarios) != 1:
        place = scenario_link(scenario) if scenario else code(failure.scenario, longest=MAX_SCENARIO)
    clause, step = code(failure.tool, longest=MAX_STEP), failure.step
    if step:
        words = "{tool} is missing before step 1" if not step.number else CLAUSES[step.difference]
        tool, other = (code(name, longest=MAX_STEP) for name in (step.tool, step.other))
        clause = say(words, number=step.number, tool=tool, other=other, base=base_of(gate.context))
    where = Markdown(joined(", ", of_gate, place, clause if of_gate or place else capitalized(clause)))
    seen, on_base = f"seen {failure.count} times" if failure.count > 1 else "", failure.on_base
    others, often = wording.optional("and {} like it", failure.others and pluralize(failure.others, "other")), ""
    if on_base and on_base.having and failure.is_new:
        seen, often = "", f"more often: {on_base.here:.2g} here, {on_base.most:.2g} on {base_of(gate.context)}"
    times = wording.optional(" ({})", joined(", ", seen, others, often))
    severity = severity if severity in {"critical", "high"} else ""
    room = longest - len(f"{severity} {plain(times)} {plain(where)}")
    said = failure.description or failure.type or "No description"
    ended = said if said.endswith((".", "!", "?", "…")) else f"{said}."
    what = escaped(ended, longest=max(MIN_DESCRIPTION, room))
    path = gate.files.get((failure.scenario, failure.kind, failure.description), "")
    return Item(Markdown(f"{what}{times}"), where, severity, say("({path})", path=code(path)) if path else NOTHING)


def action_of(gates: Sequence[GateFacts], *, has_items: bool) -> tuple[Markdown, Markdown]:
    """Return what follows from the first gate, in bold, and what to do about it, or about all if items follow."""
    gate, result = gates[0], gates[0].result
    if gate.passed:
        return NOTHING, NOTHING if result.decision is Decision.PASS else prose(gate, result.reason)
    setting = "enforcement: observe" if result.gate.stage is Stage.OBSERVE else "on_outage: allow"
    lead = BLOCKED if result.blocks else say("**Does not block** ({setting}).", setting=code(setting))
    if result.approval and not result.blocks:
        lead = say("**Approved by {who}.**", who=listed(result.approval.approved_by, "and"))
    if not gate.failed:
        by_agent = result.gate.uploads_traces and result.worst.campaign_id  # the first call has nothing of a trace
        if result.blocks and result.rule in {Rule.OUTAGE, Rule.NOT_POLLED} and not by_agent:
            lead = Markdown("**Blocked, but not by your agent.**")
        return lead, prose(gate, result.hint if result.decision is Decision.PENDING else result.reason)
    if not result.blocks:
        return lead, Markdown("What to look at:") if has_items else say("Look at the {run}.", run=run_link(gate))
    failed = [each for each in gates if each.failed]
    is_stored = not any(each.result.gate.uploads_traces or each.by_settings or each.result.recorded for each in failed)
    is_stored = is_stored and not gate.context.on_command_line
    if is_stored and gate.state is not State.NEEDS_APPROVAL:
        what = "**Blocked, but not by this pull request:**" if gate.context.pull_request is not None else "**Blocked:**"
        words = "it evaluates stored scenarios. Record them again, or {record}."
        return Markdown(what), say(words, record=link("record in the workflow", f"{DOCS}record.md"))
    fix = NOTHING if is_stored else _fix(gate, has_items=has_items)
    if result.needs_approval:
        return _of_approval(failed, fix, has_items=has_items)
    return NOTHING if has_items and gate.context.on_command_line else BLOCKED, fix


def hint_of(gate: GateFacts) -> Markdown:
    """Return what to do about a gate without a result, '' if its action says it."""
    return prose(gate, gate.result.hint) if gate.result.decision is Decision.ERROR else NOTHING


def _fix(gate: GateFacts, *, has_items: bool) -> Markdown:
    """Return what to do about a gate that failed: an order, or why there is none."""
    if has_items:
        words = "Fix what got worse and push:" if gate.missed == {DROP} else "Fix these and push:"
    elif gate.result.recorded:
        words = "This commit {failed} and is not evaluated again. Fix it and push."
    elif gate.by_settings and gate.missed == {SCENARIOS.threshold}:
        words = "Record the missing scenarios and push."
    elif gate.by_settings:
        words = "Add {lacking} to the campaign and push."
    elif gate.missed:
        words = "No failure is named: look at the {run}, fix what it shows, and push."
    else:
        words = "Sepurux decided `fail`, and nothing that is set here explains it: look at the {run}."
    if gate.context.on_command_line:  # where nothing is pushed
        words = re.sub(",? and push", "", words)
    failed = link("failed already", gate.dashboard or gate.result.link)
    lacking = listed(gate.lacking, "and") or "the missing mutations"
    return say(words, failed=failed, lacking=lacking, run=run_link(gate))


def _of_approval(gates: Sequence[GateFacts], fix: Markdown, *, has_items: bool) -> tuple[Markdown, Markdown]:
    """Return who can approve gates, or that no one can, and the other way out if there is one: `fix`."""
    gate, approval, lead = gates[0], gates[0].result.approval or ApprovalStatus(), BLOCKED
    if gate.state is State.NEEDS_APPROVAL:
        who, commit = listed(approval.can_approve, "or"), code(approval.commit[:SHORT_SHA])
        by = NOTHING if gates[1:] else say(" by {who}", who=who or "anyone else with write access")
        lead = say("**Needs an approval** of {commit}{by}:", commit=commit, by=by)
        review = link("review", f"{gate.context.pull_request_url}/files")
        look = say("look at the {run}, then {review}.", run=run_link(gate), review=review)
    elif approval.unread:
        words = "Who can approve could not be read: give the job `pull-requests: read`, then {rerun}."
        look = say(words, rerun=prose(gate, "{rerun}"))
    else:
        words = "None of the listed reviewers can approve: no write access, or their own change."
        return BLOCKED, Markdown(joined(" ", words, fix))
    return lead, Markdown(joined(" Or ", look, fix[:1].lower() + fix[1:] if has_items or gate.by_settings else ""))


def _of_several(report: Report) -> tuple[State, Markdown, Markdown]:
    """Return the state and the title of several gates, and a line on those that the title does not name."""
    worst = report.main_gates[0].state
    state = State.NO_RESULT if worst is State.NO_DECISION else worst
    alike = {State.NO_RESULT, State.NO_DECISION} if state is State.NO_RESULT else {state}
    named = [gate for gate in report.gates if gate.state in alike]
    if state is State.FAILED:
        named = [gate for gate in report.blocking if gate.state is not State.NEEDS_APPROVAL]
    every = sum(gate.state is not State.SKIPPED for gate in report.gates) or len(report.gates)
    words, gates = VERBS.get(state, [state.word] * 2)[len(named) > 1], pluralize(every, "gate")
    title = say("{count} of {gates} {words}", count=len(named), gates=gates, words=words)
    if state not in {State.PASSED, State.SKIPPED}:
        title = say("{title}: {names}", title=title, names=_names(named))
    others = sorted((gate for gate in report.gates if gate not in named), key=lambda gate: gate.state.rank)
    parts = []
    for (state_of, how), gates_of in grouped(((gate.state, gate.consequence), gate) for gate in others).items():
        few = len(gates_of) <= NAMED_GATES
        names = _names(gates_of) if few else str(len(gates_of))
        said = VERBS[state_of][len(gates_of) > 1] if state_of is State.NEEDS_APPROVAL else how
        if few and state_of is State.PASSED:
            said = ""
        parts.append(say("{symbol} {names} {said}", symbol=state_of.symbol, names=names, said=said).rstrip())
    if changes := policy_remark(report.context):
        parts.append(Markdown(changes.removesuffix(".")))
    if count := sum(1 for gate in report.gates for _ in remarks(gate)):
        parts.append(say("⚠️ {count}", count=link(pluralize(count, "remark"), report.context.run_url)))
    return state, title, Markdown(" · ".join(parts))


def _names(gates: Sequence[GateFacts]) -> Markdown:
    """Return the names of the first gates, and how many more there are."""
    return Markdown(wording.listed([name_of(gate) for gate in gates], "and", NAMED_GATES))


def remarks(gate: GateFacts) -> Iterator[Markdown]:
    """Yield what limits the result of a gate, the most important remark first."""
    result, context, base, traces = gate.result, gate.context, base_of(gate.context), gate.result.gate.traces
    if result.worst.sandbox:
        rules = link("rules", f"{DOCS}other-ci.md#try-it-without-an-account")
        yield say("⚠️ By the {rules} of the sandbox, not of Sepurux.", rules=rules)
    if context.pull_request is not None and result.decision is Decision.PASS and not result.gate.uploads_traces:
        yield say("⚠️ It evaluates stored scenarios, so it says nothing about this pull request.")
    if missing := result.scenarios_missing:
        words = (
            "⚠️ {names} is missing: {base} has it." if len(missing) == 1 else "⚠️ {names} are missing: {base} has them."
        )
        yield say(words, names=listed(missing, "and"), base=base)
    yield from _idle_scenarios(gate)
    own = sum(bool(each.own_failures) and not each.flaky for each in traces)
    if own and result.decision.is_decided:
        every, are = pluralize(len(traces), "recording"), "is" if own == 1 else "are"
        yield say("⚠️ {own} of {every} {are} not as expected.", own=own, every=every, are=are)
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


def _idle_scenarios(gate: GateFacts) -> Iterator[Markdown]:
    idle, base = [each for each in gate.result.scenarios if each.idle], base_of(gate.context)
    if idle and len(idle) == len(gate.result.scenarios) and not any(each.base_tools for each in idle):
        yield say("⚠️ No trace calls a tool.")
        return
    for each in sorted(idle, key=lambda each: not each.base_tools)[:FEW]:
        tools = say("none of the tools of {base}: {tools}", base=base, tools=listed(each.base_tools, "and"))
        yield say("⚠️ {name} calls {what}.", name=code(each.name), what=tools if each.base_tools else "no tool")


def policy_remark(context: Context) -> Markdown:
    """Return that the pull request changes the policy, '' if it does not."""
    changes = f"changes {pluralize(len(context.policy_changes), 'setting')} of the policy"
    page = link(changes, f"{context.pull_request_url}/files")
    return say("⚠️ Once merged, the pull request {changes}.", changes=page) if context.policy_changes else NOTHING


def base_of(context: Context) -> Markdown:
    return code(context.base_ref) or Markdown("the base" if context.on_command_line else "this branch")


def run_link(gate: GateFacts) -> Markdown:
    return link("Sepurux run", gate.dashboard)


def name_of(gate: GateFacts) -> Markdown:
    return code(gate.name, longest=MAX_GATE) or Markdown("no name")


def scenario_link(scenario: Scenario) -> Markdown:
    """Return a scenario's name with a link to its run at Sepurux, of several recordings that of the worst one."""
    page = worst_of(scenario.recordings).dashboard_url if scenario.recordings else ""
    return link(code(scenario.name, longest=MAX_SCENARIO) or "no name", page)


def prose(gate: GateFacts, text: str) -> Markdown:
    """Return a text of this program with links to the pages that it names."""
    context = gate.context
    if context.on_command_line:
        return markdown.prose(on_command_line(text), longest=MAX_REASON)
    pages, repository = dict[str, Markdown](), context.commit_url.rpartition("/commit/")[0]
    for store in ("Actions", "Dependabot"):
        title = f"Settings > Secrets and variables > {store}"
        pages[title] = link(title, f"{repository}/settings/secrets/{store.lower()}")
    pages["Sepurux run"] = run_link(gate)
    for name, words in RERUNS.items():
        pages[words] = link(words, context.run_url)
        text = text.replace(f"{{{name}}}", f"`{words}`")
    return markdown.prose(in_workflow(text), longest=MAX_REASON, pages=pages)
