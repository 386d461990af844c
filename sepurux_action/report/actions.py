"""What follows from a gate that did not pass, and what to do: the second slot of a report's head.

An action is the consequence in bold, and a sentence, which ends with a colon if the things to change follow.
"""

from collections.abc import Sequence

from sepurux_action.common.wording import capitalized, joined
from sepurux_action.config.options import Stage
from sepurux_action.evaluation.decision import ApprovalStatus, Refusal
from sepurux_action.evaluation.gate_numbers import DROP
from sepurux_action.evaluation.metrics import SCENARIOS
from sepurux_action.evaluation.runs import Decision, Rule
from sepurux_action.report import markdown
from sepurux_action.report.items import FEW, NOTHING, gate_link, prose, run_link, sepurux_link
from sepurux_action.report.markdown import Markdown, code, link, listed, say
from sepurux_action.report.report import LACKING, SHORT_SHA, Context, GateFacts, State

DOCS = "https://github.com/sepurux/gate-action/blob/main/docs/"
STORED = "stored scenarios. Record them again, or {record}."
RECORD = link("record in the workflow", f"{DOCS}record-traces.md#record-in-the-workflow")
BLOCKED, NOT_BY_PULL_REQUEST = Markdown("**Blocked.**"), Markdown("**Blocked, but not by this pull request:**")
Action = tuple[Markdown, Markdown]


def action_of(gate: GateFacts, *, has_items: bool) -> Action:
    result = gate.result
    if gate.passed:
        return NOTHING, NOTHING if result.decision is Decision.PASS else prose(gate, result.reason)
    if not result.blocks:
        setting = "enforcement: observe" if result.gate.stage is Stage.OBSERVE else "on_outage: allow"
        lead = say("**Does not block** ({setting}).", setting=code(setting))
        if result.approval:
            lead = say("**Approved by {who}.**", who=listed(result.approval.approved_by, "and"))
        if not gate.failed:
            return _without_result(gate, lead)
        return lead, say("What to look at:") if has_items else say("Look at the {run}.", run=run_link(gate))
    if not gate.failed:
        return _without_result(gate, BLOCKED)
    fix = _fix(gate, has_items=has_items)
    if gate.state is State.NEEDS_APPROVAL:
        return _needs_approval([gate], fix)
    lead = BLOCKED
    if is_stored(gate):
        lead, fix = NOT_BY_PULL_REQUEST, say(f"it evaluates {STORED}", record=RECORD)
    if result.approval and result.needs_approval:
        words = "{why}. Or {fix}" if result.approval.unread else "{why}. {fix}"
        fix = _lower(fix) if result.approval.unread else Markdown(capitalized(fix))
        return BLOCKED, say(words, why=Markdown(capitalized(approval_of(gate))), fix=fix)
    return NOTHING if has_items and gate.context.on_command_line else lead, fix


def action_of_all(gates: Sequence[GateFacts], *, has_items: bool) -> Action:
    """Return what to do about several gates. Each one that has no item of what failed has an item of its own."""
    failed, context = [gate for gate in gates if gate.failed], gates[0].context
    fix = say("Fix these{push}:", push=push(context)) if failed else Markdown("What happened:")
    if not gates[0].result.blocks:
        return Markdown("**Does not block.**"), Markdown("What to look at:")
    if alike_approval(gates):
        return _needs_approval(gates, fix if has_items and not any(map(is_stored, gates)) else NOTHING)
    if all(map(is_stored, gates)):
        return NOT_BY_PULL_REQUEST, say(f"they evaluate {STORED}", record=RECORD)
    if not all(gate.result.gate.uploads_traces for gate in failed):
        fix = say("Fix these{push}, and record stored scenarios again:", push=push(context))
    return NOTHING if failed and context.on_command_line else BLOCKED, fix


def alike_approval(gates: Sequence[GateFacts]) -> bool:
    """Return whether all gates need the same approval, and someone can give it."""
    same = len({gate.result.approval for gate in gates}) == 1
    return same and all(gate.state is State.NEEDS_APPROVAL for gate in gates)


def is_stored(gate: GateFacts) -> bool:
    """Return whether a gate failed for what is stored at Sepurux, which no push to the pull request changes."""
    pull_request = gate.context.pull_request is not None and not gate.result.gate.uploads_traces
    explained = gate.failed and not gate.by_settings and (gate.counted or gate.missed - LACKING)
    return bool(pull_request and explained and not gate.result.recorded)


def hint_of(gate: GateFacts) -> Markdown:
    """Return what to do about a gate without a result, '' if its action says it."""
    is_said = gate.result.decision is not Decision.ERROR or gate.result.rule is Rule.CANCELED
    return NOTHING if is_said else prose(gate, gate.result.hint)


def approval_of(gate: GateFacts) -> Markdown:
    """Return who can approve a gate that needs an approval, or why no one can, as a clause."""
    approval = gate.result.approval
    if approval is None or approval.unread:
        permission = code("pull-requests: read")
        words = "who can approve could not be read: give the job {permission}, then {rerun}"
        return say(words, permission=permission, rerun=prose(gate, "{rerun}"))
    if approval.anyone or approval.can_approve:
        return say("needs an approval {of_whom}", of_whom=_of_whom(approval))
    reason = refused(approval.cannot_approve[0]) if approval.cannot_approve else "no reviewer is listed"
    return say("none of the listed reviewers can approve: {reason}", reason=reason)


def push(context: Context) -> Markdown:
    return NOTHING if context.on_command_line else Markdown(" and push")


def _without_result(gate: GateFacts, lead: Markdown) -> Action:
    """Return what happened to a gate without a result. What to do is in the fourth slot, unless it is short."""
    result = gate.result
    if result.decision is Decision.PENDING:  # the title says it
        return lead, prose(gate, result.hint)
    reason = prose(gate, result.reason)
    if result.rule is Rule.CANCELED:
        return lead, say("{reason} {hint}", reason=reason, hint=prose(gate, result.hint))
    by_agent = result.gate.uploads_traces and result.worst.campaign_id  # only the first call has nothing of a trace
    if result.blocks and result.rule in {Rule.OUTAGE, Rule.NOT_POLLED} and not by_agent:
        lead = Markdown("**Blocked, but not by your agent.**")
    return lead, reason


def _fix(gate: GateFacts, *, has_items: bool) -> Markdown:
    """Return what to do about a gate that failed: an order, or why there is none."""
    result, context, run = gate.result, gate.context, run_link(gate)
    and_push, then = push(context), NOTHING if context.on_command_line else Markdown(", then push a commit")
    if result.recorded:
        failed = sepurux_link("failed already", gate.dashboard, context)
        if not gate.dashboard:  # the page of a workflow run
            failed = link("failed already", result.link)
        return say("This commit {failed} and is not evaluated again. Fix it and push.", failed=failed)
    if gate.by_settings and gate.missed == {SCENARIOS.threshold} and result.gate.names_traces:
        return say("Record the missing scenarios{push}.", push=and_push)
    if gate.by_settings:
        lacking = "the missing scenarios" if gate.missed == {SCENARIOS.threshold} else "the missing mutations"
        what = listed(gate.lacking, "and") or Markdown(lacking)
        return say("Add {what} to the campaign at Sepurux{then}.", what=what, then=then)
    unread = result.failures_unread or result.scenarios_unread or gate.short
    if not (has_items or gate.missed or unread):
        why = "Sepurux decided `fail`, and nothing that is set here explains it: look at the {run}."
        if not gate.dashboard and result.worst.run_id:
            why = why.replace("look at the {run}", "ask Sepurux about {id}")
        return say(why, run=run, id=code(result.worst.run_id))
    if not result.gate.uploads_traces:
        return Markdown(f"Fix the agent, and record the stored scenarios again{':' if has_items else '.'}")
    if has_items:
        worse = gate.missed == {DROP} and gate.worse
        return say("Fix {what}{push}:", what="what got worse" if worse else "these", push=and_push)
    look = say("look at the {run}, fix what it shows{push}.", run=run, push=and_push and Markdown(f",{and_push}"))
    if not gate.dashboard:
        look = say("fix what made the agent fail{push}.", push=and_push)
    return Markdown(capitalized(look)) if unread else say("Sepurux names no failure: {look}", look=look)


def _needs_approval(gates: Sequence[GateFacts], fix: Markdown) -> Action:
    """Return who can approve gates, and the other way out if there is one: an order that `fix` gives."""
    address, approval = gates[0].context.pull_request_url, gates[0].result.approval
    runs = [run_link(gates[0])] if len(gates) == 1 else [gate_link(each) for each in gates]
    shown = Markdown(joined(" and ", ", ".join(runs[:FEW]), f"{len(runs) - FEW} more" if runs[FEW:] else ""))
    words = "look at the {runs}, then {review}." if len(gates) == 1 else "look at {runs}, then {review}."
    look = say(words, runs=shown, review=link("review", address and f"{address}/files"))
    if is_stored(gates[0]):
        fix = Markdown("record the stored scenarios again.")
    order = fix.lower().startswith(("fix", "add", "record"))
    lead = say("**Needs an approval** {of_whom}:", of_whom=_of_whom(approval) if approval else NOTHING)
    return lead, say("{look} Or {fix}", look=look, fix=_lower(fix)) if order else look


def _of_whom(approval: ApprovalStatus) -> Markdown:
    who = listed(approval.can_approve, "or") or Markdown("anyone else with write access")
    return say("of {commit} by {who}", commit=code(approval.commit[:SHORT_SHA]), who=who)


def _lower(sentence: Markdown) -> Markdown:
    return Markdown(sentence[:1].lower() + sentence[1:])


def refused(refusal: Refusal) -> Markdown:
    return say("{who} {why}", who=code(refusal.login), why=markdown.prose(refusal.reason.words))
