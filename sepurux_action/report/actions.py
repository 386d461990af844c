"""What follows from a gate that did not pass, and what to do: the second slot of a report's head.

Each function returns the consequence in bold, and a sentence, which ends with a colon if the things to change follow.
"""

from collections.abc import Sequence

from sepurux_action.common.wording import capitalized, joined
from sepurux_action.config.options import Stage
from sepurux_action.evaluation.decision import ApprovalStatus, Refusal
from sepurux_action.evaluation.gate_numbers import DROP, REQUIRED_CATEGORIES
from sepurux_action.evaluation.metrics import MUTATION_CATEGORIES, SCENARIOS
from sepurux_action.evaluation.runs import Decision, Rule
from sepurux_action.report import markdown
from sepurux_action.report.items import FEW, NOTHING, prose, run_link
from sepurux_action.report.markdown import Markdown, code, link, listed, say
from sepurux_action.report.report import SHORT_SHA, Context, GateFacts, State

DOCS = "https://github.com/sepurux/gate-action/blob/main/docs/"
OF_CAMPAIGN = {MUTATION_CATEGORIES.threshold, REQUIRED_CATEGORIES}  # thresholds that no change of the agent meets
STORED = "evaluate{s} stored scenarios. Record them again, or {record}."
RECORD = link("record in the workflow", f"{DOCS}record-traces.md#record-in-the-workflow")
BLOCKED, NOT_BY_PULL_REQUEST = Markdown("**Blocked.**"), Markdown("**Blocked, but not by this pull request:**")
Action = tuple[Markdown, Markdown]


def action_of(gate: GateFacts, *, has_items: bool) -> Action:
    result, approval = gate.result, gate.result.approval
    if gate.passed:
        return NOTHING, NOTHING if result.decision is Decision.PASS else prose(gate, result.reason)
    if not result.blocks:
        setting = "enforcement: observe" if result.gate.stage is Stage.OBSERVE else "on_outage: allow"
        lead = say("**Does not block** ({setting}).", setting=code(setting))
        if approval:
            lead = say("**Approved by {who}.**", who=listed(approval.approved_by, "and"))
        if not gate.failed:
            return _without_result(gate, lead)
        return lead, say("What to look at:") if has_items else say("Look at the {run}.", run=run_link(gate))
    if not gate.failed:
        return _without_result(gate, BLOCKED)
    if is_stored(gate):
        lead, fix = NOT_BY_PULL_REQUEST, say(f"it {STORED}", s="s", record=RECORD)
    else:
        lead, fix = BLOCKED, _fix(gate, has_items=has_items)
    if approval is None:
        return NOTHING if has_items and gate.context.on_command_line else lead, fix
    return _with_approval(gate, approval, fix)


def action_of_all(gates: Sequence[GateFacts]) -> Action:
    """Return what to do about several gates, of which each one is in an item."""
    failed, approvals = [gate for gate in gates if gate.failed], {gate.result.approval for gate in gates}
    fix = say("Fix these{push}:", push=push(gates[0].context))
    if not gates[0].result.blocks:
        return Markdown("**Does not block.**"), Markdown("What to look at:")
    if len(approvals) == 1 and (approval := approvals.pop()):
        return _needs_approval(gates, approval, fix)
    if failed and all(map(is_stored, failed)):
        return NOT_BY_PULL_REQUEST, say(f"they {STORED}", s="", record=RECORD)
    return BLOCKED, fix if failed else Markdown("What happened:")


def is_stored(gate: GateFacts) -> bool:
    """Return whether a gate failed for what is stored at Sepurux, which no push to the pull request changes."""
    pull_request = gate.context.pull_request is not None and not gate.result.gate.uploads_traces
    explained = gate.counted or gate.missed - {SCENARIOS.threshold, *OF_CAMPAIGN}
    return bool(pull_request and explained and not gate.result.recorded)


def push(context: Context) -> Markdown:
    return NOTHING if context.on_command_line else Markdown(" and push")


def _without_result(gate: GateFacts, lead: Markdown) -> Action:
    """Return what happened to a gate without a result. A longer text of what to do is in the fourth slot."""
    result = gate.result
    if result.decision is Decision.PENDING:  # the title says it
        why = capitalized(prose(gate, result.detail)).rstrip(".")
        return lead, Markdown(joined(" ", why and f"{why}.", prose(gate, result.hint)))
    reason = prose(gate, result.detail or result.reason)
    if result.rule is Rule.CANCELED:
        return lead, say("{reason} {hint}", reason=reason, hint=prose(gate, result.hint))
    by_agent = result.gate.uploads_traces and result.worst.campaign_id  # only the first call has nothing of a trace
    if result.blocks and result.rule in {Rule.OUTAGE, Rule.NOT_POLLED} and not by_agent:
        lead = Markdown("**Blocked, but not by your agent.**")
    return lead, reason


def _fix(gate: GateFacts, *, has_items: bool) -> Markdown:
    """Return what to do about a gate that failed."""
    result, context, run = gate.result, gate.context, run_link(gate)
    and_push, then = push(context), NOTHING if context.on_command_line else Markdown(", then push a commit")
    if result.recorded:
        failed = link("failed already", result.link or gate.dashboard)
        return say("This commit {failed} and is not evaluated again. Fix it and push.", failed=failed)
    if gate.missed == {SCENARIOS.threshold} and result.gate.names_traces:
        return say("Record the missing scenarios{push}.", push=and_push)
    if gate.missed and gate.missed <= {SCENARIOS.threshold, *OF_CAMPAIGN}:
        what = listed(gate.lacking, "and") or "the missing " + (
            "mutations" if gate.missed & OF_CAMPAIGN else "scenarios"
        )
        return say("Add {what} to the campaign at Sepurux{then}.", what=what, then=then)
    if not (has_items or gate.missed) and result.rule is Rule.DECIDED_FAIL:
        why = "Sepurux decided `fail`, and nothing that is set here explains it: look at the {run}."
        if not gate.dashboard and result.worst.run_id:
            why = why.replace("look at the {run}", "ask Sepurux about {id}")
        return say(why, run=run, id=code(result.worst.run_id))
    if not result.gate.uploads_traces and has_items:
        return say("It evaluates stored scenarios: fix the agent, and record them again.")
    if has_items:
        worse = DROP in gate.missed and gate.worse
        return say("Fix {what}{push}:", what="what got worse" if worse else "these", push=and_push)
    if not gate.dashboard:
        return say("Sepurux names no failure. Fix what made the agent fail{push}.", push=and_push)
    unread = result.failures_unread or result.scenarios_unread or gate.short
    look = say("look at the {run}, fix what it shows{push}.", run=run, push=and_push and Markdown(f",{and_push}"))
    return Markdown(capitalized(look)) if unread else say("Sepurux names no failure: {look}", look=look)


def _with_approval(gate: GateFacts, approval: ApprovalStatus, fix: Markdown) -> Action:
    if gate.state is State.NEEDS_APPROVAL:
        return _needs_approval([gate], approval, fix)
    if not approval.unread:
        reasons = refused(approval.cannot_approve[0]) if approval.cannot_approve else Markdown("none is known")
        return BLOCKED, say(
            "None of the listed reviewers can approve: {reasons}. {fix}", reasons=reasons, fix=capitalized(fix)
        )
    unread = "Who can approve could not be read: give the job {permission}, then {rerun}. Or {fix}"
    fix = Markdown(fix[:1].lower() + fix[1:])
    return BLOCKED, say(unread, permission=code("pull-requests: read"), rerun=prose(gate, "{rerun}"), fix=fix)


def _needs_approval(gates: Sequence[GateFacts], approval: ApprovalStatus, fix: Markdown) -> Action:
    review = gates[0].context.pull_request_url
    who = listed(approval.can_approve, "or") or Markdown("anyone else with write access")
    lead = say("**Needs an approval** of {commit} by {who}:", commit=code(approval.commit[:SHORT_SHA]), who=who)
    runs = [run_link(gate) if len(gates) == 1 else link(code(gate.name), gate.dashboard) for gate in gates]
    look = say(
        "look at the {runs}, then {review}.",
        runs=Markdown(", ".join(runs[:FEW])),
        review=link("review", review and f"{review}/files"),
    )
    if fix.startswith("it evaluate"):
        fix = Markdown("record the stored scenarios again.")
    if fix.startswith("Sepurux"):  # says what happened
        return lead, say("{look} {fix}", look=look, fix=fix)
    return lead, say("{look} Or {fix}", look=look, fix=Markdown(fix[:1].lower() + fix[1:]))


def refused(refusal: Refusal) -> Markdown:
    return say("{who} {why}", who=code(refusal.login), why=markdown.prose(refusal.reason.words))
