"""What follows from the results, why, and what to do. Comment, summary, annotation, and log use these sentences."""

from collections.abc import Iterator, Sequence

from sepurux_action.common import grouped, wording
from sepurux_action.common.wording import capitalized, optional
from sepurux_action.config.options import REVIEWERS
from sepurux_action.evaluation.decision import Reason
from sepurux_action.evaluation.gate_numbers import REQUIRED_CATEGORIES
from sepurux_action.evaluation.metrics import PASS_RATE, SCENARIOS, sent_limits
from sepurux_action.evaluation.published_result import values_of
from sepurux_action.evaluation.runs import UNEXPLAINED_FAIL, Decision, Rule
from sepurux_action.report import tables
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.report import SHORT_SHA, GateFacts
from sepurux_action.report.sentences import MOST_NAMED, RECORD, ending, headline
from sepurux_action.report.thresholds import State
from sepurux_action.report.view import DOCS, View

NOTHING = Markdown("")
ONLY_NEW = "Only a new commit is evaluated."  # if an earlier run failed


def consequence(say: View) -> list[Markdown]:
    report = say.report
    if not report.gates:
        return [say.paragraph(say.bold("Blocked."), say("Nothing was evaluated."))]
    if not report.not_passed:
        return []
    if report.gates[1:]:
        if report.blocking:
            return list(_of_several(say))
        approvals = ((gate.name, gate.result.approval) for gate in report.not_passed)
        approved = ((say.code(name), say.listed(each.approved_by, "and")) for name, each in approvals if each)
        by = (say("{who} approved {gate}.", who=who, gate=gate) for gate, who in approved)
        return [say.paragraph(say.bold("Not blocking."), *by)]
    [gate] = report.gates
    if not gate.result.blocks:
        return [what_follows(say, gate)]
    if gate.result.needs_approval:
        need, only_new = say.bold("Needs an approval."), say.when(gate.result.recorded, ONLY_NEW)
        return [say.paragraph(need, what_follows(say, gate), only_new)]
    but, uploads = "", gate.result.gate.uploads_traces
    no_run = gate.result.decision is Decision.ERROR and gate.result.rule in {Rule.OUTAGE, Rule.NOT_POLLED}
    if no_run and not (uploads and gate.result.worst.campaign_id):  # the first call has nothing of a trace
        but = ", but not by your agent"
    if gate.failed and not uploads and say.report.context.pull_request is not None:
        but = ", but not by this pull request"
    return [say.paragraph(say.bold("Blocked{but}.", but=but), _what_to_do(say, gate))]


def _what_to_do(say: View, gate: GateFacts, whose: str = "the") -> Markdown:
    if not gate.failed:
        return remedy(say, gate)
    passed, only_new = say.prose(reported_pass(gate)), say.when(gate.result.recorded, ONLY_NEW)
    return say.paragraph(_explanation(say, gate), fix(say, gate, whose), passed, only_new)


def _of_several(say: View) -> Iterator[Markdown]:
    report, names = say.report, say.limits["gates"]
    waiting = grouped((gate.result.approval, gate) for gate in report.gates if gate.result.needs_approval)
    others = [gate for gate in report.blocking if not (gate.failed or gate.passed)]
    without_result = grouped(((gate.state, gate.result.reason, gate.result.hint), gate) for gate in others)
    groups = (_alike(say), [*waiting.values()], [*without_result.values()])
    alike, approvals, undecided = (say.first(each, "gates") for each in groups)
    for gates in alike.shown:
        what_to_do = _what_to_do(say, gates[0], "its")
        if gates[1:]:  # whose failures can be fixed, or that evaluate registered scenarios
            linked = say.when(say.as_markdown and say.linked, "Their names in the table link the Sepurux runs.")
            fixed = say("Fix the failures{push}.")
            if not gates[0].result.gate.uploads_traces:
                fixed = _record_again(say, "They evaluate")
            what_to_do = say.paragraph(fixed, linked)
        yield say.paragraph(say.bold("Blocked by {gates}.", gates=say.gates(gates, names)), what_to_do)
    for gates in approvals.shown:
        need = "{gates} needs an approval." if len(gates) == 1 else "{gates} need an approval."
        yield say.paragraph(say.bold(need, gates=say.gates(gates, names)), approvers(say, gates))
    for gates in undecided.shown:
        state = ending(say, gates[0])
        if what := headline(gates[0]):
            state = say(": {what}", what=say.prose(what))
        elif gates[1:]:
            state = say(": {word}", word=gates[0].state.word)
        blocked = say.bold("Blocked by {gates}{state}.", gates=say.gates(gates, names), state=state)
        yield say.paragraph(blocked, remedy(say, *gates))
    if more := alike.more + approvals.more + undecided.more:
        reasons = wording.pluralize(more, "other reason")
        yield say.paragraph(say.bold("More gates block"), say("for {reasons}.", reasons=reasons))


def _alike(say: View) -> Sequence[Sequence[GateFacts]]:
    """Return the failed gates that block in groups: those with failures to fix together if many, each other one."""
    failed = [gate for gate in say.report.not_approvable if gate.failed]
    few = len(failed) <= MOST_NAMED and say.linked

    def together(gate: GateFacts) -> bool | str:
        alone = few or unexplained(gate) or gate.dropped or gate.result.recorded or gate.old_traces
        return gate.name if alone or not explained_by_failures(gate) else gate.result.gate.uploads_traces

    return [*grouped((together(gate), gate) for gate in failed).values()]


def what_follows(say: View, gate: GateFacts) -> Markdown:
    if not gate.result.blocks:
        because = _explanation(say, gate) if gate.failed else remedy(say, gate)
        if gate.result.approval:
            approved = say.bold("Approved by {who}.", who=say.listed(gate.result.approval.approved_by, "and"))
            attempts = evidence(say, gate) if explained_by_failures(gate) else NOTHING
            return say.paragraph(approved, say("The failure does not block."), because, attempts)
        not_blocking, setting = say.bold("Not blocking"), say("({setting}).", setting=say.code(gate.effect))
        would = say.when(gate.failed, "With {stage} this would block.", stage=say.code("hard"))
        return say.paragraph(not_blocking, setting, would, because, fix(say, gate, "the") if gate.failed else NOTHING)
    if gate.result.needs_approval:
        return say.paragraph(_explanation(say, gate), approvers(say, [gate]))
    if not gate.failed:
        return remedy(say, gate)
    explained, attempts = _explanation(say, gate), without_failures(say, gate)
    return say.paragraph(allowed_drops(say, gate), explained, attempts, say.prose(reported_pass(gate)))


def why(say: View, gate: GateFacts) -> Markdown:
    """Return what the section of a failed gate says besides its numbers, if no alert says it."""
    if [gate] in _alike(say):
        return NOTHING
    return say.paragraph(_explanation(say, gate), say.when(gate.result.recorded, ONLY_NEW))


def _explanation(say: View, gate: GateFacts) -> Markdown:
    """Return why a gate failed, if its thresholds do not explain it, and what to do if it misses only one of two."""
    reason, more, missed = "", NOTHING, [check.threshold for check in gate.result.missed]
    if unexplained(gate):
        reason = gate.result.detail or UNEXPLAINED_FAIL
        if gate.result.worst.run_id and not gate.dashboard:
            reason += f" Ask Sepurux about run `{gate.result.worst.run_id}`."
    elif gate.result.rule is Rule.THRESHOLD_MISSED:
        reason = gate.result.hint
    earlier = say.when(gate.result.recorded, "An earlier run evaluated this commit, and it failed.")
    if missed == [SCENARIOS.threshold]:
        more = evidence(say, gate)
    if missed == [REQUIRED_CATEGORIES]:
        lacking = gate.result.missed[0].lacking
        names, it = say.listed(lacking, "and"), "it" if len(lacking) == 1 else "them"
        run = say.when(say.as_markdown and gate.dashboard, " ({run})", run=say.run(gate))
        had = say("The evaluation had no mutation {names}{run}.", names=names, run=run)
        add = "Add {it} to the campaign's mutations at Sepurux, or remove {it} from {setting}."
        more = say.paragraph(had, say(add, it=it, setting=say.prose(f"{{{REQUIRED_CATEGORIES}}}")))
    return say.paragraph(earlier, say.prose(reason, gate), more)


def reported_pass(gate: GateFacts) -> str:
    """Return that Sepurux itself reported a pass, of a gate that failed; '' if it did not."""
    if gate.result.rule is not Rule.THRESHOLD_MISSED:
        return ""
    if gate.result.gate.has_several_traces:
        all_passed = all(run.decision is Decision.PASS for run in gate.result.runs)
        return "Sepurux reported a pass for each trace alone." if all_passed else ""
    sent = sent_limits(gate.result.gate)
    if any(check.threshold in sent for check in gate.result.missed):
        return "Sepurux itself reported a pass, although this number misses the threshold."
    return "Sepurux itself reported a pass: it does not know this threshold."


def unexplained(gate: GateFacts) -> bool:
    return gate.result.rule is Rule.DECIDED_FAIL and not gate.result.missed


def explained_by_failures(gate: GateFacts) -> bool:
    """Return whether what failed is the reason, and a report or a page shows it: not one of the settings."""
    shown = gate.dashboard or gate.failures or not unexplained(gate)
    missed = [check.threshold for check in gate.result.missed]
    return bool(shown) and missed not in ([SCENARIOS.threshold], [REQUIRED_CATEGORIES])


def remedy(say: View, gate: GateFacts, *others: GateFacts) -> Markdown:
    """Return what happened, without what a title shows, and what to do, for gates without a result for one reason."""
    happened = ""
    if gate.state is not State.CANCELED:
        happened = gate.result.detail.removeprefix(headline(gate)).strip(" .:")
        if happened.startswith("(") and happened.endswith(")"):
            happened = happened[1:-1]
        happened = optional("{}.", capitalized(happened))
    linked = others or "Sepurux run" in gate.result.hint  # in the table, or by the hint
    see = say.when(say.as_markdown and gate.dashboard and not linked, "See the {run}.", run=say.run(gate))
    return say.paragraph(say.prose(happened, gate), say.prose(gate.result.hint, gate), see)


def evidence(say: View, gate: GateFacts) -> Markdown:
    return say.when(say.as_markdown and gate.dashboard, "Every attempt is in the {run}.", run=say.run(gate))


def fix(say: View, gate: GateFacts, whose: str) -> Markdown:
    """Return what to do about a gate that failed, for a known reason, and that no approval can help.

    The failures to fix are the new ones, or if none is new, all; of a drop, the scenarios that got worse.
    """
    if not explained_by_failures(gate):
        return NOTHING
    names = say.listed(gate.lacking, "and")  # no fix of the agent adds them
    lacking = say.when(names, "Also add {names} to the campaign's mutations at Sepurux.", names=names)
    if not gate.result.gate.uploads_traces:
        return say.paragraph(_record_again(say, "It evaluates"), lacking, evidence(say, gate))
    if gate.old_traces:
        record = say("Record the traces of this commit, fix what still fails, and push.")
        return say.paragraph(record, lacking, evidence(say, gate))
    if gate.result.recorded and gate.dashboard:
        return say("What failed is in the {run}: fix it{push}.", run=say.run(gate))
    if unnamed := without_failures(say, gate):
        return unnamed
    count, worse, what = len(gate.failures), len(gate.got_worse), _counted([gate])
    to_fix = say("Fix {whose} {what}{push}.", whose=whose, what=what or "failures")
    if gate.dropped and (worse or not count):
        what = "the scenario that got worse" if worse == 1 else f"the {worse} scenarios that got worse"
        to_fix = say("Fix {what}{push}.", what=what if worse else "what got worse")
    elif what and all(each.on_base and not each.is_new for each in gate.failures):
        to_fix = say("Such failures are on {base} too. Fix all {count}{push}.", count=count)
        if count == 1:
            to_fix = say("Failures of this kind are on {base} too. Fix it{push}.")
    return say.paragraph(allowed_drops(say, gate), to_fix, lacking, evidence(say, gate))


def _record_again(say: View, evaluates: str) -> Markdown:
    """Return what to do about registered scenarios that fail, which no push changes."""
    record = say.link("record in the workflow", DOCS + RECORD[1])
    return say("{evaluates} stored scenarios. Record them again, or {record}.", evaluates=evaluates, record=record)


def without_failures(say: View, gate: GateFacts) -> Markdown:
    """Return what to do about a gate of which Sepurux lists no failures; '' if there may be some."""
    if not explained_by_failures(gate) or gate.dropped or gate.failures or gate.unlisted or gate.short:
        return NOTHING
    if not gate.dashboard:
        comma = say.when(not say.report.context.on_command_line, ",")
        return say("Sepurux names no failure. Fix what made the agent fail{comma}{push}.", comma=comma)
    look = "Sepurux names no failure, so look at the attempts in the {run}, fix what they show, and push."
    if say.report.context.on_command_line:
        look = "Sepurux names no failure, so look at the attempts in the {run}, and fix what they show."
    return say(look, run=say.run(gate))


def _counted(gates: Sequence[GateFacts]) -> str:
    """Return which failures count: `2 new failures`, or if none is new, `failure`; '' if a report may not list all."""
    failures = [failure for gate in gates for failure in gate.failures]
    new = sum(each.is_new for each in failures)
    if not new and (not failures or any(gate.unlisted or gate.below for gate in gates)):
        return ""
    count, noun = new or len(failures), "new failure" if new else "failure"
    return noun if count == 1 else f"{count} {noun}s"


def allowed_drops(say: View, gate: GateFacts) -> Markdown:
    """Return what a drop means that blocks."""
    drop = next((row.drop for row in gate.rows if row.drop), None)
    if drop is None:
        return NOTHING
    results = len(values_of(gate.base_results, PASS_RATE))
    last = say.when(results, "the last {results} results on {base}", results=results)
    last = last or say("the results on {base} that it was compared with")
    points = drop.required.removeprefix("≤ ")
    return say("{points} points are allowed, and each of {last} is higher.", points=points, last=last)


def approvers(say: View, gates: Sequence[GateFacts]) -> Markdown:
    approval, pushed = gates[0].result.approval, any(gate.result.gate.uploads_traces for gate in gates)
    if approval is None or approval.unread:
        unread = say("The reviews, or who can approve, could not be read.")
        give = "Give the job `pull-requests: read` under `permissions:` if it lacks it, then {rerun}."
        return say.paragraph(unread, say.prose(give), evidence(say, gates[0]))
    people = (*approval.ignored, *approval.cannot_approve)
    words = "{who} {reason}"
    why = {each: say(words, who=say.code(each.login), reason=say.prose(each.reason.words)) for each in people}
    if not (approval.anyone or approval.can_approve):
        reasons = Markdown(", ".join(why[each] for each in approval.cannot_approve))
        none, setting = "None of the listed reviewers can approve this: {reasons}.", say.prose(f"{{{REVIEWERS.name}}}")
        add = say("Add someone else with write access to {setting}.", setting=setting)
        return say.paragraph(say(none, reasons=reasons), add)
    looked, who, look = all(map(explained_by_failures, gates)), say.listed(approval.can_approve, "or"), NOTHING
    if approval.anyone:
        who = say("{any} with write access except the author", any="anyone" if looked else "Anyone")
    if looked:
        runs = [tables.link_to_run(say.code(gate.name), gate.dashboard, gate) for gate in gates if gate.dashboard]
        links = Markdown(", ".join(runs[:MOST_NAMED])) if gates[1:] else say.run(gates[0])
        run = say.when(say.as_markdown and runs, " ({links})", links=links)
        what = optional("the {}", _counted(gates)) or "what failed"
        look = say("Look at {what}{run}. Then ", what=what, run=run)
    files = say.link("review", f"{say.report.context.pull_request_url}/files")
    review = say.when(say.report.context.pull_request_url and say.as_markdown, " ({files})", files=files)
    fix, commit = say.when(pushed, ", or you can push a fix"), say.code(approval.commit[:SHORT_SHA])
    can = "{look}{who} can approve commit {commit}{review}{fix}."
    sentences = [say(can, look=look, who=who, commit=commit, review=review, fix=fix)]
    for each in approval.ignored:
        ignored = "{who}'s approval does not count: {reason}."
        if each.reason is Reason.OLDER_COMMIT:
            ignored = "{who}'s approval is for an older commit."
        sentences.append(say(ignored, who=say.code(each.login), reason=why[each]))
    for each in approval.cannot_approve:
        cannot = "{who} cannot approve it: {reason}."
        sentences.append(say.when(approval.anyone, cannot, who=say.code(each.login), reason=why[each]))
    return say.paragraph(*sentences)
