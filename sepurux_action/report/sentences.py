"""The title of a report and what follows from it. Comment, summary, annotation, and log use these sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sepurux_action.common import number_format
from sepurux_action.common.wording import joined
from sepurux_action.evaluation import metrics
from sepurux_action.evaluation.checks import REQUIRED_CATEGORIES
from sepurux_action.evaluation.decision import Decision
from sepurux_action.evaluation.runs import Scenario
from sepurux_action.report import advice, next_steps, remarks
from sepurux_action.report.gate_facts import GateFacts
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.next_steps import MOST_NAMED, NOTHING
from sepurux_action.report.remarks import workflow_run
from sepurux_action.report.report import Report, grouped
from sepurux_action.report.state import State
from sepurux_action.report.thresholds import ThresholdFacts
from sepurux_action.report.view import Origin, Section
from sepurux_action.report.words import Words


def ending(say: Words, gate: GateFacts) -> Markdown:
    """Return what became of a gate, after its name."""
    if gate.decision is Decision.PENDING:
        waited_s = min(gate.worst.elapsed_s or gate.gate.timeout_s, gate.gate.timeout_s)
        return say(": no decision after {waited}", waited=number_format.duration(waited_s))
    if gate.state is State.CANCELED:
        after = gate.worst.elapsed_s and not say.as_markdown
        waited = say.when(after, " after {waited}", waited=number_format.duration(gate.worst.elapsed_s))
        return say(": {word}{waited}", word=gate.state.word, waited=waited)
    if gate.decision is Decision.ERROR:
        if what := advice.headline(gate):
            return say(" was not evaluated: {what}", what=say.prose(what))
        return say(": no result")
    numbers = missed(say, gate) if gate.failed else say.value(advice.reached(gate))
    return say(" {word}{numbers}", word=gate.state.done, numbers=say.when(numbers, ": {numbers}", numbers=numbers))


def missed(say: Words, gate: GateFacts) -> Markdown:
    """Return what a gate misses, for a title: the first two thresholds, and how many others."""
    phrases = [_phrase(say, gate, row) for row in gate.thresholds.missed_rows]
    if not phrases:
        return say.value(metrics.summary(gate.numbers.numbers) if gate.recorded else "")
    if len(phrases) > MOST_NAMED:
        phrases[2:] = [say("{more} more thresholds", more=len(phrases) - 2)]
    *first, last = phrases
    before = ", ".join(first)
    if "," in before:
        before += ","
    return Markdown(joined(" and ", before, last))


def _phrase(say: Words, gate: GateFacts, row: ThresholdFacts) -> Markdown:
    """Return what misses a threshold: `72.0% passed, 85.0% needed`."""
    metric, value = row.metric, row.check.value
    if metric is None:
        return say("{names} not covered", names=say.listed(row.check.lacking, "and"))
    if row.drop and row.dropped:
        reached = metric.reached_by(gate.numbers.value(metric) or 0, row.check.limit)
        below = "{reached}, {points} points below {base}"
        return say(below, reached=reached, points=row.drop.actual, base=say.base)
    if metric is metrics.LOWEST_SCENARIO and gate.found.below:
        lowest, *others = gate.found.below
        needed, name = metric.format.write(row.check.limit, value), say.code(lowest.name) or say("no name")
        more = number_format.pluralize(len(others), "other scenario")
        if others:
            return say("{name} and {more} passed less than {needed}", name=name, more=more, needed=needed)
        return say("{name} passed {rate}, {needed} needed", name=name, rate=row.check.actual, needed=needed)
    return say.value(metric.missed_by(value or 0, row.check.limit))


def title(say: Words) -> Markdown:
    report, gates = say.report, say.report.gates
    every, blocking, waiting = len(gates), report.blocking, report.in_state(State.NEEDS_APPROVAL)
    if report.problems and gates:
        return say("This pull request makes the policy invalid")
    if report.problems:
        return say("{problems} in the settings", problems=number_format.pluralize(len(report.problems), "problem"))
    if every == 1:
        return say("{name}{ending}", name=say.code(gates[0].name), ending=ending(say, gates[0]))
    counts = [
        (len(blocking), "blocks", "block"),
        (len(waiting), "needs an approval", "need an approval"),
    ]
    if not report.acting:
        failed, passed, skipped = report.failed, report.in_state(State.PASSED), report.in_state(State.SKIPPED)
        unfinished = len(report.not_passed) - len(failed)
        counts = [
            (len(failed), "failed and does not block", "failed and do not block"),
            (unfinished, "has no result and does not block", "have no result and do not block"),
        ]
        if not report.not_passed:
            counts = [(len(passed), "passed", "passed"), (len(skipped), "skipped", "skipped")]
    (first, *words), *others = [each for each in counts if each[0]]
    what = say("{first} of {every} gates {verb}", first=first, every=every, verb=words[first > 1])
    for count, *words in others:
        what = say("{what}, {count} {verb}", what=what, count=count, verb=words[count > 1])
    if report.acting:
        what = say("{what}: {names}", what=what, names=say.gates([*blocking, *waiting], MOST_NAMED))
    canceled = say.when(report.short and report.not_passed, "Canceled: ")
    return say("{canceled}{what}", canceled=canceled, what=what)


def alert(report: Report) -> str:
    """Return the kind of the alert, as GitHub names it."""
    if any(gate.failed for gate in report.blocking):
        return "CAUTION"
    if report.problems or report.blocking:
        return "WARNING"
    if report.acting:
        return "IMPORTANT"
    return "NOTE"


def symbol(say: Words) -> Markdown:
    if say.report.problems:
        return Markdown("❗")
    report = say.report
    return Markdown((report.blocking or report.acting or report.failed or report.gates)[0].state.symbol)


def heading(say: Words, gate: GateFacts, section: Section) -> Markdown:
    """Return the heading of a section of what failed."""
    if section.origin is Origin.ALL:
        return say.paragraph(say(section.origin), say(gate.found.in_scenarios))
    if not say.context.base_ref:
        return say(section.origin)
    headings = {
        Origin.NEW: "Not on {base}",
        Origin.KNOWN: "Also on {base}",
        Origin.NOT_COMPARED: "Not compared: {base} has no result of these scenarios",
        Origin.LACKING: Origin.LACKING,
    }
    return say(headings[section.origin], base=say.base)


def low_scenario(say: Words, gate: GateFacts, scenario: Scenario) -> Markdown:
    """Return a scenario below `min_scenario_pass_rate` as an item of what failed."""
    limit = gate.gate.limits[metrics.LOWEST_SCENARIO.threshold]
    rate, needed = gate.found.rate(scenario.rate), metrics.LOWEST_SCENARIO.format.write(limit, scenario.rate)
    name = remarks.scenario(say, gate, scenario.name)
    return say("{name} passed {rate}, {needed} needed.", name=name, rate=rate, needed=needed)


# -- what follows from the results ------------------------------------------------------------------------------------


def consequence(say: Words) -> list[Markdown]:
    """Return what follows from the results, as paragraphs."""
    report, one = say.report, len(say.report.gates) == 1
    if report.problems and not report.gates:
        return [say.paragraph(say.bold(say("Blocked.")), say("Nothing was evaluated."))]
    if report.not_passed and one and not report.problems:
        return [_of_one(say, report.gates[0])]
    if report.acting:
        return list(_of_several(say))
    if report.not_passed:
        approved = ((gate, gate.approval.approved_by) for gate in report.not_passed if gate.approval)
        who = [
            say("{who} approved {gate}.", who=say.listed(people, "and"), gate=say.code(gate.name))
            for gate, people in approved
            if people
        ]
        return [say.paragraph(say.bold(say("Not blocking.")), *who)]
    return []


def _of_one(say: Words, gate: GateFacts) -> Markdown:
    if not gate.blocks:
        return what_follows(say, gate)
    if gate.needs_approval:
        return say.paragraph(say.bold(say("Needs an approval.")), what_follows(say, gate), restart(say, gate))
    not_by_agent = say.when(advice.no_trace_can_cause(gate), ", but not by your agent")
    return say.paragraph(say.bold(say("Blocked{but}.", but=not_by_agent)), _what_to_do(say, gate))


def _what_to_do(say: Words, gate: GateFacts, whose: str = "the") -> Markdown:
    """Return why a gate blocks, and what to do."""
    if not gate.failed:
        return remedy(say, gate)
    return say.paragraph(
        _explanation(say, gate),
        next_steps.fix(say, gate, whose),
        remarks.fixed_failures(say, gate),
        say.prose(advice.reported_pass(gate)),
        next_steps.no_approval(say, gate),
        restart(say, gate),
    )


def _of_several(say: Words) -> Iterator[Markdown]:
    """Yield what follows from several gates of which one blocks, or from a policy that becomes invalid."""
    report, names, blocked_by, ended = say.report, say.view.limits["gates"], say("Blocked by "), NOTHING
    alike = say.view.first(_alike(say), "gates")
    approvals, undecided = say.view.first(report.approvals, "gates"), say.view.first(report.without_result, "gates")
    if report.problems:
        where, blocked_by, ended = say("the inputs"), NOTHING, say(" failed too")
        if say.context.policy_path:
            where = say("the policy on {branch}", branch=say.policy_branch)
        correct = "Correct these lines of {file}; below is the result under {where}."
        yield say.paragraph(
            say.bold(say("Blocked.")), say(correct, file=say.code(report.problems[0].file), where=where)
        )
    for gates in alike.shown:
        what_to_do = _of_alike(say, gates) if gates[1:] else _what_to_do(say, gates[0], "its")
        blocked = say("{by}{gates}{ended}.", by=blocked_by, gates=say.gates(gates, names), ended=ended)
        yield say.paragraph(say.bold(blocked), what_to_do)
    for gates in approvals.shown:
        need = number_format.agree(len(gates), "{gates} needs an approval.", "{gates} need an approval.")
        needs = say.bold(say(need, gates=say.gates(gates, names)))
        yield say.paragraph(needs, next_steps.approvers(say, gates))
    for gates in undecided.shown:
        state = ending(say, gates[0])
        if not report.problems and advice.headline(gates[0]):
            state = say(": {what}", what=say.prose(advice.headline(gates[0])))
        elif gates[1:]:
            state = say(": {word}", word=gates[0].state.word)
        blocked = say("{by}{gates}{state}.", by=blocked_by, gates=say.gates(gates, names), state=state)
        yield say.paragraph(say.bold(blocked), remedy(say, *gates))
    if more := alike.more + approvals.more + undecided.more:
        reasons = number_format.pluralize(more, "other reason")
        yield say.paragraph(say.bold(say("More gates block")), say("for {reasons}.", reasons=reasons))


def _alike(say: Words) -> Sequence[Sequence[GateFacts]]:
    """Return the failed gates that block in groups: those with failures to fix together if many, each other one."""
    failed = [gate for gate in say.report.blocking if gate.failed]
    if len(failed) <= MOST_NAMED and say.view.linked:
        return [[gate] for gate in failed]

    def together(gate: GateFacts) -> bool | str:
        alone = advice.unexplained(gate) or gate.thresholds.dropped or gate.recorded or gate.old_traces
        if alone or not advice.explained_by_failures(gate):
            return gate.name
        return gate.gate.uploads_traces

    return [*grouped(failed, together).values()]


def _of_alike(say: Words, gates: Sequence[GateFacts]) -> Markdown:
    """Return what to do about several gates whose failures can be fixed, or that evaluate registered scenarios."""
    linked = say.when(say.as_markdown and say.view.linked, "Their names in the table link the Sepurux runs.")
    if not gates[0].gate.uploads_traces:
        return say.paragraph(say("Whoever maintains the scenarios must correct or replace them."), linked)
    return say.paragraph(say("Fix the failures{push}.", push=next_steps.and_push(say)), linked)


def what_follows(say: Words, gate: GateFacts) -> Markdown:
    """Return what follows from the result of one gate that did not pass."""
    if not gate.blocks:
        return _not_blocking(say, gate)
    if gate.needs_approval:
        return say.paragraph(_explanation(say, gate), next_steps.approvers(say, [gate]))
    if gate.failed:
        explained = say.paragraph(next_steps.allowed_drops(say, gate), _explanation(say, gate))
        attempts = next_steps.without_failures(say, gate)
        reported = say.prose(advice.reported_pass(gate))
        return say.paragraph(explained, attempts, reported, next_steps.no_approval(say, gate))
    return remedy(say, gate)


def why(say: Words, gate: GateFacts) -> Markdown:
    """Return what the section of a failed gate says besides its numbers, if no alert says it."""
    if [gate] in _alike(say):
        return NOTHING
    return say.paragraph(_explanation(say, gate), next_steps.no_approval(say, gate), restart(say, gate))


def _not_blocking(say: Words, gate: GateFacts) -> Markdown:
    because = _explanation(say, gate) if gate.failed else remedy(say, gate)
    if gate.approval and gate.approval.approved:
        who = say.listed(gate.approval.approved_by, "and")
        approved = say.bold(say("Approved by {who}.", who=who))
        evidence = next_steps.evidence(say, gate) if advice.explained_by_failures(gate) else NOTHING
        return say.paragraph(approved, say("The failure does not block."), because, evidence)
    setting = say.paragraph(say.bold(say("Not blocking")), say("({setting}).", setting=say.code(gate.effect)))
    would = say.when(gate.would_block and gate.failed, "With {stage} this would block.", stage=say.code("hard"))
    fix = next_steps.fix(say, gate, "the") if gate.failed else NOTHING
    return say.paragraph(setting, would, because, fix)


def _explanation(say: Words, gate: GateFacts) -> Markdown:
    """Return why a gate failed, if its thresholds do not explain it."""
    fail, earlier = gate.recorded, NOTHING
    if fail and fail.run:
        run, at = workflow_run(say, fail.run), Markdown(fail.at)
        earlier = say("An earlier run ({run}, at {at}) evaluated this commit, and it failed.", run=run, at=at)
    elif fail:
        earlier = say("An earlier run evaluated this commit, and it failed.")
    evidence = next_steps.evidence(say, gate) if gate.thresholds.only_small else NOTHING
    return say.paragraph(earlier, say.prose(advice.explanation(gate), gate), evidence, _not_covered(say, gate))


def _not_covered(say: Words, gate: GateFacts) -> Markdown:
    """Return what to do if required mutation categories are all that the gate misses."""
    if not gate.thresholds.only_lacking:
        return NOTHING
    lacking = gate.thresholds.lacking
    names, it = say.listed(lacking, "and"), number_format.agree(len(lacking), "it", "them")
    had = say("The evaluation had no mutation {names}{run}.", names=names, run=next_steps.in_brackets(say, gate))
    add = "Add {it} to the campaign's mutations at Sepurux, or remove {it} from {setting}."
    return say.paragraph(had, say(add, it=it, setting=say.setting(REQUIRED_CATEGORIES, gate)))


def remedy(say: Words, gate: GateFacts, *others: GateFacts) -> Markdown:
    """Return what happened and what to do, for gates without a result for the same reason."""
    cause, allow = advice.not_allowed(gate), say.code("on_undecided: allow")
    not_allowed = say.when(cause, "{allow} does not apply, because {cause}.", allow=allow, cause=cause)
    linked = not say.as_markdown or not gate.dashboard or "Sepurux run" in gate.hint or others
    see = say.when(not linked, "See the {run}.", run=say.run(gate))
    return say.paragraph(say.prose(advice.what_happened(gate), gate), say.prose(gate.hint, gate), not_allowed, see)


def restart(say: Words, gate: GateFacts) -> Markdown:
    """Return what starts a new evaluation of a commit that failed in an earlier run."""
    fail = gate.recorded
    if not fail or fail.by_review:
        return NOTHING
    nobody = gate.approval is not None and not gate.approval.possible
    if nobody or not (fail.reviewers or fail.anyone):
        return say("Only a new commit is evaluated.")
    listed = say.when(gate.gate.reviewers, " in `reviewers`")
    who = say("someone{listed} with write access", listed=listed)
    if fail.reviewers:
        who = say.listed(fail.reviewers, "or")
    elif fail.excluded:
        who = say("{who}, other than {others},", who=who, others=say.listed(fail.excluded, "and"))
    return say("A re-run evaluates again only if {who} starts it.", who=who)
