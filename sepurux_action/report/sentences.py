"""The title of a report and what follows from it. Comment, summary, annotation, and log use these sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sepurux_action.common import number_format
from sepurux_action.evaluation.enforcement import ApprovalStatus, Reason, Refusal
from sepurux_action.report import advice
from sepurux_action.report.gate_facts import GateFacts
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.remarks import workflow_run
from sepurux_action.report.state import State
from sepurux_action.report.words import Words

NOTHING = Markdown("")


def ending(say: Words, gate: GateFacts) -> Markdown:
    """Return what became of a gate, after its name."""
    what = gate.ending
    if gate.state is State.CANCELED and gate.worst.elapsed_s and not say.as_markdown:
        what = f"{what} after {number_format.duration(gate.worst.elapsed_s)}"
    return say(" {what}" if gate.failed or gate.passed else ": {what}", what=what)


def title(say: Words) -> Markdown:
    report, gates = say.report, say.report.gates
    failed, unfinished, skipped, every = report.failed, report.unfinished, report.in_state(State.SKIPPED), len(gates)
    if report.problems and gates:
        return say("This pull request makes the policy invalid")
    if report.problems:
        return say("{problems} in the settings", problems=number_format.pluralize(len(report.problems), "problem"))
    if every == 1:
        return say("{name}{ending}", name=say.code(gates[0].name), ending=ending(say, gates[0]))
    if gates[0].failed:
        return say(
            "{failed} of {every} gates failed: {names}", failed=len(failed), every=every, names=say.gates(failed)
        )
    if unfinished:
        what = say("{unfinished} of {every} gates have no result", unfinished=len(unfinished), every=every)
        return say("Canceled: {what}" if report.short else "{what}: {names}", what=what, names=say.gates(unfinished))
    if not skipped:
        return say("All {every} gates passed", every=every)
    if len(skipped) == every:
        return say("All {every} gates skipped", every=every)
    passed = number_format.pluralize(every - len(skipped), "gate")
    return say("{passed} passed, {skipped} skipped", passed=passed, skipped=len(skipped))


def symbol(say: Words) -> Markdown:
    return Markdown("❗" if say.report.problems else say.report.gates[0].state.symbol)


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
        approved = [gate for gate in report.not_passed if gate.approval and gate.approval.approved]
        return [say.paragraph(say.bold(say("Not blocking.")), *(_approved(say, gate) for gate in approved))]
    return []


def _approved(say: Words, gate: GateFacts) -> Markdown:
    who = say.listed(gate.approval.approved_by, "and") if gate.approval else NOTHING
    return say("{who} approved {gate}.", who=who, gate=say.code(gate.name))


def _of_one(say: Words, gate: GateFacts) -> Markdown:
    blocked = say.bold(say.when(gate.blocks, "Needs an approval." if gate.needs_approval else "Blocked."))
    fixes = (_fix(say, say.report.to_fix), _correct(say, say.report.to_correct))
    return say.paragraph(blocked, what_follows(say, gate), *fixes, restart(say, gate))


def _of_several(say: Words) -> Iterator[Markdown]:
    """Yield what follows from several gates of which one blocks, or from a policy that becomes invalid."""
    report, names, failed = say.report, say.view.limits["gates"], say.report.in_state(State.FAILED)
    approvals, undecided = say.view.first(report.approvals, "gates"), say.view.first(report.without_result, "gates")
    if report.problems:
        where = say("the inputs")
        if say.context.policy_path:
            where = say("the policy on {branch}", branch=say.policy_branch)
        correct = "Correct these lines of {file}; the numbers below are those of {where}."
        yield say.paragraph(
            say.bold(say("Blocked.")), say(correct, file=say.code(report.problems[0].file), where=where)
        )
    elif failed:
        blocked = say.bold(say("Blocked by {gates}.", gates=say.gates(failed, names)))
        yield say.paragraph(blocked, _fix(say, report.to_fix), _correct(say, report.to_correct))
    for gates in approvals.shown:
        need = "{gates} need an approval." if gates[1:] else "{gates} needs an approval."
        pushed = any(gate.gate.uploads_traces for gate in gates)
        needs = say.bold(say(need, gates=say.gates(gates, names)))
        yield say.paragraph(needs, _approvers(say, gates[0].approval, pushed=pushed))
    for gates in undecided.shown:
        blocked_by = "{gates}: {state}." if report.problems else "Blocked by {gates}: {state}."
        state = say(blocked_by, gates=say.gates(gates, names), state=gates[0].state.word)
        yield say.paragraph(say.bold(state), remedy(say, gates[0]))
    if more := approvals.more + undecided.more:
        reasons = number_format.pluralize(more, "other reason")
        yield say.paragraph(say.bold(say("More gates block")), say("for {reasons}.", reasons=reasons))


def what_follows(say: Words, gate: GateFacts) -> Markdown:
    """Return what follows from the result of one gate that did not pass."""
    if not gate.blocks:
        return _not_blocking(say, gate)
    if gate.needs_approval:
        approvers = _approvers(say, gate.approval, pushed=gate.gate.uploads_traces)
        return say.paragraph(_explanation(say, gate), approvers)
    if gate.failed:
        return say.paragraph(_explanation(say, gate), _no_approval(say, gate))
    return remedy(say, gate)


def why(say: Words, gate: GateFacts) -> Markdown:
    """Return what the section of a failed gate says besides its numbers."""
    return say.paragraph(_explanation(say, gate), _no_approval(say, gate), restart(say, gate))


def _not_blocking(say: Words, gate: GateFacts) -> Markdown:
    because = _explanation(say, gate) if gate.failed else remedy(say, gate)
    if gate.approval and gate.approval.approved:
        who = say.listed(gate.approval.approved_by, "and")
        approved = say.bold(say("Approved by {who}.", who=who))
        return say.paragraph(approved, say("The failure does not block."), because)
    setting = say.paragraph(say.bold(say("Not blocking")), say("({setting}).", setting=say.code(gate.effect)))
    would = say.when(gate.would_block and gate.failed, "With {stage} this would block.", stage=say.code("hard"))
    return say.paragraph(setting, would, because)


def _explanation(say: Words, gate: GateFacts) -> Markdown:
    """Return why a gate failed, if its thresholds do not explain it."""
    fail, earlier = gate.recorded, NOTHING
    if fail and fail.run:
        run, at = workflow_run(say, fail.run), Markdown(fail.at)
        earlier = say("An earlier run ({run}, at {at}) evaluated this commit, and it failed.", run=run, at=at)
    elif fail:
        earlier = say("An earlier run evaluated this commit, and it failed.")
    return say.paragraph(earlier, say.prose(advice.explanation(gate), gate), say.prose(advice.not_covered(gate), gate))


def remedy(say: Words, gate: GateFacts) -> Markdown:
    """Return what happened and what to do, for a gate without a result."""
    happened = advice.what_happened(gate, as_markdown=say.as_markdown)
    cause, allow = advice.not_allowed(gate), say.code("on_undecided: allow")
    not_allowed = say.when(cause, "{allow} does not apply, because {cause}.", allow=allow, cause=cause)
    return say.paragraph(say.prose(happened, gate), say.prose(gate.hint, gate), not_allowed)


def restart(say: Words, gate: GateFacts) -> Markdown:
    """Return what starts a new evaluation of a commit that failed in an earlier run."""
    fail = gate.recorded
    if not fail or fail.by_review:
        return NOTHING
    if not (fail.reviewers or fail.anyone):
        return say("Only a new commit is evaluated.")
    who = say("someone in `reviewers` with write access" if gate.gate.reviewers else "someone with write access")
    if fail.reviewers:
        who = say.listed(fail.reviewers, "or")
    elif fail.excluded:
        who = say("{who}, other than {others},", who=who, others=say.listed(fail.excluded, "and"))
    return say("A re-run evaluates again only if {who} starts it.", who=who)


# -- what to do about failures ----------------------------------------------------------------------------------------


def _fix(say: Words, gates: Sequence[GateFacts]) -> Markdown:
    if not gates:
        return NOTHING
    listed = any(gate.found.failures for gate in gates)
    push = say.when(not say.context.on_command_line, " and push")
    run = say.when(len(gates) == 1 and gates[0].dashboard, "{run}", run=say.run(gates[0]))
    if not listed and all(gate.thresholds.dropped for gate in gates):
        return say("Fix what got worse{push}.", push=push)
    if listed or say.report.short or any(gate.found.unlisted for gate in gates):
        below = say.when(say.as_markdown and listed, " below")
        every = say.when(run, "Every attempt is in the {run}.", run=run)
        return say.paragraph(say("Fix the failures{below}{push}.", below=below, push=push), every)
    attempts = say.when(run, "; every attempt is in the {run}", run=run)
    return say("Sepurux named no failures{attempts}.", attempts=attempts)


def _correct(say: Words, gates: Sequence[GateFacts]) -> Markdown:
    """Return what to do about failures of registered scenarios."""
    if not gates:
        return NOTHING
    of = say.when(len(say.report.gates) > 1, " of {gates}", gates=say.gates(gates))
    linked = len(gates) == 1 and gates[0].dashboard and say.as_markdown
    run = say.when(linked, " ({run})", run=say.run(gates[0]))
    return say("Whoever maintains the scenarios{of} must correct or replace them{run}.", of=of, run=run)


# -- approvals --------------------------------------------------------------------------------------------------------


def _approvers(say: Words, approval: ApprovalStatus | None, *, pushed: bool) -> Markdown:
    """Return who can approve a soft gate, and whose approval does not count."""
    if approval is None or approval.unread:
        return say("The reviews, or who can approve, could not be read. Re-run the job.")
    who = say.listed(approval.can_approve, "or")
    if approval.anyone:
        who = say("Anyone with write access except the author")
    files = say.link("review", f"{say.context.pull_request_url}/files")
    review = say.when(say.context.pull_request_url and say.as_markdown, " ({files})", files=files)
    fix, commit = say.when(pushed, ", or you can push a fix"), say.commit(approval.commit)
    sentences = [say("{who} can approve commit {commit}{review}{fix}.", who=who, commit=commit, review=review, fix=fix)]
    for each in approval.ignored:
        ignored = "{who}'s approval does not count: {reason}."
        if each.reason is Reason.OLDER_COMMIT:
            ignored = "{who}'s approval is for an older commit."
        sentences.append(say(ignored, who=say.code(each.login), reason=_reason(say, each)))
    for each in approval.cannot_approve:
        cannot = "{who} cannot approve it: {reason}."
        sentences.append(say.when(approval.anyone, cannot, who=say.code(each.login), reason=_reason(say, each)))
    rerun = "After the approval, re-run this job: this workflow does not run on `pull_request_review`."
    elsewhere = (
        "A review event of a fork's pull request has a read-only token: evaluate such pull requests in a"
        " `workflow_run` workflow."
    )
    sentences += [say.when(approval.rerun_needed, rerun), say.when(approval.read_only, elsewhere)]
    return say.paragraph(*sentences)


def _no_approval(say: Words, gate: GateFacts) -> Markdown:
    """Return why no one can approve a soft gate that blocks."""
    if advice.acts_as_hard(gate):
        missing = "a pull request" if say.context.pull_request is None else "access to GitHub"
        return say("Without {missing}, a soft gate acts as a hard gate.", missing=missing)
    if not (gate.blocks and gate.approval and not gate.approval.possible and gate.approval.cannot_approve):
        return NOTHING
    reasons = Markdown(", ".join(_reason(say, each) for each in gate.approval.cannot_approve))
    none = "None of the reviewers listed in the policy can approve this: {reasons}."
    return say.paragraph(say(none, reasons=reasons), say("Add someone else with write access to `reviewers`."))


def _reason(say: Words, person: Refusal) -> Markdown:
    return say("{who} {reason}", who=say.code(person.login), reason=say.prose(person.reason.words))
