"""What to do about a gate that failed: what to fix, and who can approve it. Comment, summary, and log use these."""

from __future__ import annotations

from collections.abc import Sequence

from sepurux_action.common import number_format
from sepurux_action.config.options import REVIEWERS
from sepurux_action.evaluation.enforcement import Reason, Refusal
from sepurux_action.report import advice, tables
from sepurux_action.report.gate_facts import GateFacts
from sepurux_action.report.markdown import Markdown
from sepurux_action.report.words import Words

NOTHING = Markdown("")
MOST_NAMED = 3  # gates that a title or a paragraph names


def and_push(say: Words) -> Markdown:
    return say.when(not say.context.on_command_line, " and push")


def in_brackets(say: Words, gate: GateFacts) -> Markdown:
    return say.when(say.as_markdown and gate.dashboard, " ({run})", run=say.run(gate))


def evidence(say: Words, gate: GateFacts) -> Markdown:
    return say.when(say.as_markdown and gate.dashboard, "Every attempt is in the {run}.", run=say.run(gate))


def fix(say: Words, gate: GateFacts, whose: str) -> Markdown:
    """Return what to do about a gate that failed, for a known reason, and that no approval can help."""
    if not advice.explained_by_failures(gate):
        return NOTHING
    if not gate.gate.uploads_traces:
        correct = "Whoever maintains the scenarios must correct or replace them{run}."
        return say.paragraph(say(correct, run=in_brackets(say, gate)), _lacking(say, gate))
    if gate.old_traces:
        record = say("Record the traces of this commit, fix what still fails, and push.")
        return say.paragraph(record, _lacking(say, gate), evidence(say, gate))
    dropped = gate.thresholds.dropped
    if gate.recorded and not gate.recorded.run and gate.dashboard and not dropped:
        look = "What failed is in the {run}: fix it{push}."
        return say(look, run=say.run(gate), push=and_push(say))
    if unnamed := without_failures(say, gate):
        return unnamed
    to_do = _fix_drop(say, gate, whose) if dropped else _fix_failures(say, gate, whose)
    return say.paragraph(allowed_drops(say, gate), to_do, _lacking(say, gate), evidence(say, gate))


def without_failures(say: Words, gate: GateFacts) -> Markdown:
    """Return what to do about a gate of which Sepurux lists no failures; '' if there may be some."""
    if not advice.explained_by_failures(gate) or gate.thresholds.dropped:
        return NOTHING
    if gate.found.failures or gate.found.unlisted or gate.short:
        return NOTHING
    if not gate.dashboard:
        push = say.when(and_push(say), ", and push")
        return say("Sepurux names no failure. Fix what made the agent fail{push}.", push=push)
    look = "Sepurux names no failure, so look at the attempts in the {run}, fix what they show, and push."
    if say.context.on_command_line:
        look = "Sepurux names no failure, so look at the attempts in the {run}, and fix what they show."
    return say(look, run=say.run(gate))


def _lacking(say: Words, gate: GateFacts) -> Markdown:
    """Return that required mutation categories are missing besides failures to fix, which no fix of the agent adds."""
    lacking = gate.thresholds.also_lacking
    return say.when(
        lacking, "Also add {names} to the campaign's mutations at Sepurux.", names=say.listed(lacking, "and")
    )


def _fix_failures(say: Words, gate: GateFacts, whose: str) -> Markdown:
    """Return which failures to fix: the new ones, or if none is new, all."""
    what, count, push = _counted([gate]), len(gate.found.failures), and_push(say)
    if what and all(each.on_base and not each.is_new for each in gate.found.failures):
        one = "The failure is on {base} too. Fix it{push}."
        also = number_format.agree(count, one, "All {count} failures are on {base} too. Fix them{push}.")
        return say(also, count=count, base=say.base, push=push)
    return say("Fix {whose} {what}{push}.", whose=whose, what=what or "failures", push=push)


def _counted(gates: Sequence[GateFacts]) -> str:
    """Return which failures count: `2 new failures`, or if none is new, `failure`; '' if a report may not list all."""
    failures = [failure for gate in gates for failure in gate.found.failures]
    new = sum(each.is_new for each in failures)
    if not new and (not failures or any(gate.found.unlisted or gate.found.below for gate in gates)):
        return ""
    count, noun = new or len(failures), "failure"
    if new:
        noun = "new failure"
    return number_format.agree(count, noun, f"{count} {noun}s")


def allowed_drops(say: Words, gate: GateFacts) -> Markdown:
    """Return what a drop means that blocks: `3.0 points are allowed, and each of the last results is higher`."""
    sentences = []
    for row in gate.thresholds.rows:
        if row.drop and row.dropped and row.metric:
            results = len(gate.baseline.values(row.metric))
            last = say.when(results, "the last {results} results on {base}", results=results, base=say.base)
            last = last or say("the results on {base} that it was compared with", base=say.base)
            points = row.drop.required.removeprefix("≤ ")
            higher = "{points} points are allowed, and each of {last} is higher."
            sentences.append(say(higher, points=points, last=last))
    return say.paragraph(*sentences)


def _fix_drop(say: Words, gate: GateFacts, whose: str) -> Markdown:
    worse, push = len(gate.found.got_worse), and_push(say)
    if not worse and gate.found.failures:
        return _fix_failures(say, gate, whose)
    what = number_format.agree(worse, "the scenario that got worse", f"the {worse} scenarios that got worse")
    if not worse:
        what = "what got worse"
    return say("Fix {what}{push}.", what=what, push=push)


# -- approvals --------------------------------------------------------------------------------------------------------


def _look(say: Words, gates: Sequence[GateFacts]) -> Markdown:
    """Return what an approver has to look at."""
    counted, what = _counted(gates), "what failed"
    if counted:
        what = f"the {counted}"
    runs = [tables.link_to_run(say.code(gate.name), gate.dashboard) for gate in gates if gate.dashboard]
    run = say.when(say.as_markdown and runs, " ({runs})", runs=Markdown(", ".join(runs[:MOST_NAMED])))
    if len(gates) == 1:
        run = in_brackets(say, gates[0])
    return say("Look at {what}{run}.", what=what, run=run)


def approvers(say: Words, gates: Sequence[GateFacts]) -> Markdown:
    """Return who can approve soft gates, and whose approval does not count."""
    approval, pushed = gates[0].approval, any(gate.gate.uploads_traces for gate in gates)
    if approval is None or approval.unread:
        unread = say("The reviews, or who can approve, could not be read.")
        give = "Give the job `pull-requests: read` under `permissions:` if it lacks it, then {rerun}."
        return say.paragraph(unread, say.prose(give), *(evidence(say, gate) for gate in gates[:1]))
    looked, who = all(map(advice.explained_by_failures, gates)), say.listed(approval.can_approve, "or")
    if approval.anyone:
        who = say("{any} with write access except the author", any="anyone" if looked else "Anyone")
    files = say.link("review", f"{say.context.pull_request_url}/files")
    review = say.when(say.context.pull_request_url and say.as_markdown, " ({files})", files=files)
    fix, commit = say.when(pushed, ", or you can push a fix"), say.commit(approval.commit)
    can = "{then}{who} can approve commit {commit}{review}{fix}."
    then = say.when(looked, "{look} Then ", look=_look(say, gates))
    sentences = [say(can, then=then, who=who, commit=commit, review=review, fix=fix)]
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


def no_approval(say: Words, gate: GateFacts) -> Markdown:
    """Return why no one can approve a soft gate that blocks."""
    if advice.acts_as_hard(gate):
        missing = "a pull request" if say.context.pull_request is None else "access to GitHub"
        return say("Without {missing}, a soft gate acts as a hard gate.", missing=missing)
    if not (gate.blocks and gate.approval and not gate.approval.possible and gate.approval.cannot_approve):
        return NOTHING
    reasons = Markdown(", ".join(_reason(say, each) for each in gate.approval.cannot_approve))
    none, setting = "None of the listed reviewers can approve this: {reasons}.", say.setting(REVIEWERS.name, gate)
    add = say("Add someone else with write access to {setting}.", setting=setting)
    return say.paragraph(say(none, reasons=reasons), add)


def _reason(say: Words, person: Refusal) -> Markdown:
    return say("{who} {reason}", who=say.code(person.login), reason=say.prose(person.reason.words))
