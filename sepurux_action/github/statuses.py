"""The statuses of the commit: the record of earlier runs, those that this run sets, and those that the base requires.

Rules: docs/configuration.md#re-runs. The record has the statuses of a gate's context that this token's account
set, and of these only the decided ones: those whose description begins with `fail (` or `pass (`. Nothing that is set
here changes results or exit status, whatever GitHub responds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import quote

from sepurux_action.common import json_reader
from sepurux_action.common.wording import joined
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import CONTEXT_PREFIX, Gate
from sepurux_action.evaluation.decision import GateDecision, of_status, summarize
from sepurux_action.evaluation.published_result import Result, format_description
from sepurux_action.evaluation.runs import Decision
from sepurux_action.github import queries
from sepurux_action.github.client import FIRST_READ_S, READS_S, Calls, Client, GitHubError, Operation, check_id
from sepurux_action.github.queries import Status, Subject

STATUSES_S = 55.0  # for all decided statuses
COMMENT_S = 20.0  # for comment and review requests, added to what the statuses left: with READS_S at most 90 s
# After a signal, the program must exit within 5 s: one attempt at each call.
STATUSES_AFTER_SIGNAL_S = 2.0
BLOCKING_FIRST = ("failure", "pending", "success")  # the states that a status is set to
FAILED = "fail ("
DECIDED = (FAILED, "pass (")
APPROVED = "; approved by "  # in the status of a `fail` that a review approved
NO_ACCOUNT = "GitHub did not return the account of the token"
NOT_REQUIRED = (
    "Neither a ruleset nor the branch protection of `{base}` requires the status `{context}`, so this gate cannot "
    "block a merge. Require it under `Settings > Rules > Rulesets`."
)
NOT_SET = "`{base}` requires the status `{context}`, which no gate of this step sets."
NEXT_STAGE = {Stage.OBSERVE: Stage.SOFT, Stage.SOFT: Stage.HARD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What earlier runs left about a pull request or a merge group: results by gate. Of others nothing is recorded.

    `approved` are the gates whose newest decision is a `fail` that a review approved. `newest` is the id of the newest
    status that was there before the evaluation.
    """

    results: Mapping[str, GateDecision] = field(default_factory=dict)
    approved: frozenset[str] = frozenset()
    newest: int = 0


def read_record(calls: Calls, subject: Subject, gates: Iterable[Gate]) -> Record | None:
    """Return the newest decision at this commit of each gate that has one; None if it could not be read.

    Without statuses there is no record.
    """
    calls.set_timeout(FIRST_READ_S)
    by_context, known = _by_context(subject, gates), subject.statuses
    if not _is_recorded(calls, subject) or (
        known is not None and by_context.keys().isdisjoint(each.context.lower() for each in known)
    ):
        return Record()

    def read(client: Client) -> Record:
        found, newest = dict[str, Status](), 0
        for status in _own_statuses(client, subject):
            newest = max(newest, status.id)
            if status.context.lower() in by_context and status.own and status.description.startswith(DECIDED):
                found.setdefault(status.context.lower(), status)
                if len(found) == len(by_context):
                    break
        approved = frozenset(by_context[each].name for each in found if APPROVED in found[each].description)
        return Record(results=_as_recorded(subject, by_context, found), approved=approved, newest=newest)

    return calls.try_call(Operation.STATUSES, read, decides=True)


def read_new_fails(
    calls: Calls, subject: Subject, record: Record, gates: Sequence[Gate]
) -> Mapping[str, GateDecision] | None:
    """Return the `fail` of each gate that another run published meanwhile, by name; None if it could not be read.

    No status is `success`, and no decision `pass`, without this read. This run has set no decided status yet.
    """
    if not _is_recorded(calls, subject) or not gates:
        return {}
    calls.set_timeout(READS_S)
    by_context = _by_context(subject, gates)

    def read(client: Client) -> Mapping[str, GateDecision]:
        found = dict[str, Status]()
        for status in _own_statuses(client, subject):
            if status.id <= record.newest:
                break
            if status.context.lower() in by_context and status.own and status.description.startswith(FAILED):
                found.setdefault(status.context.lower(), status)
        return _as_recorded(subject, by_context, found)

    return calls.try_call(Operation.STATUSES, read)


def _is_recorded(calls: Calls, subject: Subject) -> bool:
    """Return whether there is a record: not if the token may not set statuses."""
    event = subject.event
    is_proposed = event.pull_request is not None or event.name == "merge_group"
    return calls.connected and bool(event.commit) and is_proposed and Operation.STATUS not in calls.forbidden


def _by_context(subject: Subject, gates: Iterable[Gate]) -> Mapping[str, Gate]:
    """Return the gates by context in lower case, as GitHub ignores its case."""
    return {subject.context_of(gate.name).lower(): gate for gate in gates}


def _own_statuses(client: Client, subject: Subject) -> Iterator[Status]:
    if not subject.account:
        raise GitHubError(NO_ACCOUNT)
    return queries.read_statuses(client, subject.event.commit, subject.account)


def _as_recorded(
    subject: Subject, by_context: Mapping[str, Gate], found: Mapping[str, Status]
) -> Mapping[str, GateDecision]:
    """Return the decisions that statuses record, by the name of the gate. A status may link to a workflow run."""
    runs, decisions = subject.event.url("actions", "runs"), dict[str, GateDecision]()
    for context, status in found.items():
        gate, page = by_context[context], "" if status.url.startswith(runs) else status.url
        decisions[gate.name] = of_status(gate, status.description, status.url, page)
    return decisions


def publish_pending(calls: Calls, subject: Subject, gates: Iterable[str]) -> None:
    calls.set_timeout(READS_S)
    running = Status(context="", state="pending", description="the evaluation is running", url=subject.event.run_url)
    _set_statuses(calls, subject, [replace(running, context=subject.context_of(gate)) for gate in gates], {})


def publish_results(calls: Calls, subject: Subject, results: Iterable[GateDecision], done: dict[str, Status]) -> None:
    """Set the decided status of each gate; those that block come first. The time for all effects begins here.

    `done` are the statuses that this function has set, by context, which are not set again.
    """
    calls.set_timeout(STATUSES_S, STATUSES_AFTER_SIGNAL_S)
    statuses = [_decided_status(subject, each) for each in results]
    _set_statuses(calls, subject, sorted(statuses, key=lambda status: BLOCKING_FIRST.index(status.state)), done)
    calls.deadline += COMMENT_S


def _set_statuses(calls: Calls, subject: Subject, statuses: Iterable[Status], done: dict[str, Status]) -> None:
    """Set each status that is not done, without its link if GitHub rejects it with one."""
    commit = subject.event.commit

    def set_one(status: Status) -> None:
        try:
            calls.call(partial(set_status, commit, status))
        except GitHubError as error:
            if not (status.url and error.of_one_target):
                raise
            calls.call(partial(set_status, commit, replace(status, url="")))
            calls.warn_once(f"GitHub refused the link of a commit status ({error}), so the status has no link.")
        done[status.context] = status

    if commit:
        new = (each for each in statuses if done.get(each.context) != each)
        calls.try_each(Operation.STATUS, {each.context: partial(set_one, each) for each in new})


def set_status(commit: str, status: Status, client: Client) -> None:
    texts = {"description": status.description, "context": status.context, "target_url": status.url}
    body = {"state": status.state, **{name: client.redact(text) for name, text in texts.items() if text}}
    check_id(client.send("POST", f"statuses/{commit}", body=body))


def _decided_status(subject: Subject, result: GateDecision) -> Status:
    """Return a status that links to this run unless the result has another page."""
    state, in_queue = "success", subject.event.name == "merge_group"  # where no one waits for a review
    if result.needs_approval and not in_queue:
        state = "pending"
    elif result.blocks:
        state = "failure"
    is_undecided = result.decision in {Decision.ERROR, Decision.PENDING}
    effect = "" if result.decision is Decision.PASS or result.blocks else "does not block"
    note = joined(": ", effect, result.reason.rstrip(".") if is_undecided else "")
    if result.needs_approval:
        note = "needs an approval"
    elif result.approval and result.approval.approved_by:
        note = f"approved by {', '.join(result.approval.approved_by)}"
    elif result.decision is Decision.SKIPPED:
        note = "no changed file matches its paths"
    return Status(
        context=subject.context_of(result.gate.name),
        state=state,
        description=format_description(summarize(result), note),
        url=result.link or result.worst.dashboard_url or subject.event.run_url,
    )


def advise(calls: Calls, subject: Subject, gate: Gate, names: Iterable[str]) -> Iterator[str]:
    """Yield advice on statuses that the base branch requires, and on the next stage of a gate.

    `names` are those of all gates of the step. What it needs of GitHub is read once.
    """
    base, context = subject.event.base_ref, subject.context_of(gate.name)
    if subject.event.pull_request is None or not base:
        return
    required = calls.once("required", lambda: _required(calls, subject))
    if required is not None:
        if gate.stage is not Stage.OBSERVE and context.lower() not in required:
            yield NOT_REQUIRED.format(base=base, context=context)
        lacking = required.keys() - {subject.context_of(name).lower() for name in names}
        ours = (each for each in sorted(lacking) if each.startswith(CONTEXT_PREFIX.lower()))
        yield from (NOT_SET.format(base=base, context=required[each]) for each in ours)
    if gate.stage not in NEXT_STAGE:
        return

    def read(client: Client) -> Mapping[str, list[Result]]:
        variables = {"base": base, "last": queries.RECENT_PULL_REQUESTS}
        return queries.parse_recent_results(client.query(queries.RECENT_RESULTS_QUERY, variables))

    recent = calls.once("recent", lambda: calls.try_call(Operation.PULLS, read)) or {}
    newest = [each for each in recent.get(context.lower(), ()) if each.decision.is_decided]
    if newest:
        blocked = sum(each.decision is Decision.FAIL for each in newest) or "none"
        which = f"{blocked} of the last {len(newest)} evaluated pull requests"
        yield f"With `{NEXT_STAGE[gate.stage]}`, {which} would have been blocked."


def _required(calls: Calls, subject: Subject) -> Mapping[str, str] | None:
    """Return the contexts that rulesets and the branch protection require, by their lower case."""

    def read(client: Client) -> list[str]:
        rules = client.pages(f"rules/branches/{quote(subject.event.base_ref, safe='')}")
        checks = (json_reader.at(rule, "parameters", "required_status_checks") for rule in rules)
        return [
            json_reader.text(json_reader.at(each, "context")) for one in checks for each in json_reader.as_array(one)
        ]

    of_rules = calls.try_call(Operation.RULES, read)
    if subject.required is None or of_rules is None:
        return None
    return {context.lower(): context for context in (*subject.required, *of_rules)}
