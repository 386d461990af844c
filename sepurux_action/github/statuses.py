"""The statuses of the commit: the record of earlier runs, those that this run sets, and those that the base requires.

Rules: docs/policy.md#a-failure-stays-with-its-commit. Nothing that is set here changes results or exit status.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import quote

from sepurux_action.common import json_reader, wording
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import CONTEXT_PREFIX, Gate
from sepurux_action.evaluation.decision import GateDecision, recorded_decision, summarize
from sepurux_action.evaluation.results import format_description
from sepurux_action.evaluation.runs import Decision
from sepurux_action.github.client import FIRST_READ_S, READS_S, Calls, Client, GitHubError, Operation, check_id
from sepurux_action.github.queries import Status, Subject, parse_status, read_recent_results

STATUSES_S = 55.0  # for all decided statuses
COMMENT_S = 20.0  # for comment and review requests, added to what the statuses left: with READS_S at most 90 s
BLOCKING_FIRST = ("failure", "pending", "success")  # the states that a status is set to
FAILED = "fail ("
DECIDED = (FAILED, "pass (")
APPROVED = "; approved by "  # in the status of a `fail` that a review approved
NOT_REQUIRED = (
    "Neither a ruleset nor the branch protection of `{base}` requires the status `{context}`, so this gate cannot "
    "block a merge. Require it under `Settings > Rules > Rulesets`."
)
NOT_SET = "`{base}` requires the status `{context}`, which no gate of this step sets."
NEXT_STAGE = {Stage.OBSERVE: Stage.SOFT, Stage.SOFT: Stage.HARD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What earlier runs left about a pull request or a merge group: results by gate. Of others nothing is recorded.

    `approved` are the gates whose newest decision is a `fail` that a review approved. `newest`: the newest status's id.
    """

    results: Mapping[str, GateDecision] = field(default_factory=dict)
    approved: frozenset[str] = frozenset()
    newest: int = 0


def read_record(calls: Calls, subject: Subject, gates: Sequence[Gate], earlier: Record | None = None) -> Record | None:
    """Return the newest decision at this commit of each gate that has one; None if it could not be read.

    Of a record that was read `earlier`, it is the `fail` of each gate that another run published since then. No status
    is `success`, and no decision `pass`, without this read. This run has set no decided status yet. Without statuses,
    or if the token may not set them, there is no record.
    """
    event = subject.event
    is_proposed = event.commit and (event.pull_request is not None or event.name == "merge_group")
    if not (gates and is_proposed) or Operation.STATUS in calls.forbidden:
        return Record()
    calls.set_timeout(READS_S if earlier else FIRST_READ_S)
    read = partial(_read_decisions, subject, gates, earlier.newest if earlier else None)
    return calls.try_call(Operation.STATUSES, read, decides=earlier is None)


def _read_decisions(subject: Subject, gates: Iterable[Gate], before: int | None, client: Client) -> Record:
    """Return the newest decision of each gate, or the newest `fail` after the status with the id `before`."""
    if not subject.account:
        raise GitHubError("GitHub did not return the account of the token")
    by_context = {subject.context_of(gate.name).lower(): gate for gate in gates}
    found, newest, recorded = dict[str, Status](), 0, DECIDED if before is None else FAILED
    for raw in client.pages(f"commits/{subject.event.commit}/statuses"):  # the newest first
        status = parse_status(raw, subject.account)
        if before is not None and status.id <= before:
            break
        newest, context = max(newest, status.id), status.context.lower()
        if context in by_context and status.own and status.description.startswith(recorded):
            found.setdefault(context, status)
            if before is None and len(found) == len(by_context):
                break
    results, runs = dict[str, GateDecision](), subject.event.url("actions", "runs")
    for context, status in found.items():
        gate, page = by_context[context], "" if status.url.startswith(runs) else status.url  # or that of a workflow run
        results[gate.name] = recorded_decision(gate, status.description, status.url, page)
    approved = frozenset(by_context[each].name for each in found if APPROVED in found[each].description)
    return Record(results=results, approved=approved, newest=newest)


def publish_pending(calls: Calls, subject: Subject, gates: Iterable[str]) -> None:
    calls.set_timeout(READS_S)
    running = Status(context="", state="pending", description="the evaluation is running", url=subject.event.run_url)
    _set_statuses(calls, subject, [replace(running, context=subject.context_of(gate)) for gate in gates], {})


def publish_results(calls: Calls, subject: Subject, results: Iterable[GateDecision], done: dict[str, Status]) -> None:
    """Set the status of each gate that is not `done`, first those that block. The time for all effects begins here."""
    calls.set_timeout(STATUSES_S)
    statuses: list[Status] = []
    for result in results:
        state, note = "failure" if result.blocks else "success", ""
        if result.decision is not Decision.PASS and not result.blocks:
            note = "does not block"
        if result.decision in {Decision.ERROR, Decision.PENDING}:
            note = wording.joined(": ", note, result.reason.rstrip("."))
        elif result.decision is Decision.SKIPPED:
            note = "no changed file matches its paths"
        elif result.needs_approval:
            note = "needs an approval"
            if subject.event.name != "merge_group":  # where no one waits for a review
                state = "pending"
        elif result.approval:
            note = f"approved by {', '.join(result.approval.approved_by)}"
        context, url = subject.context_of(result.gate.name), result.link or result.worst.dashboard_url
        text = format_description(summarize(result), note)
        statuses.append(Status(context=context, state=state, description=text, url=url or subject.event.run_url))
    _set_statuses(calls, subject, sorted(statuses, key=lambda status: BLOCKING_FIRST.index(status.state)), done)
    calls.deadline += COMMENT_S


def _set_statuses(calls: Calls, subject: Subject, statuses: Iterable[Status], done: dict[str, Status]) -> None:
    commit = subject.event.commit

    def set_one(status: Status) -> None:
        calls.call(partial(set_status, commit, status))
        done[status.context] = status

    if commit:
        new = (each for each in statuses if done.get(each.context) != each)
        calls.try_each(Operation.STATUS, {each.context: partial(set_one, each) for each in new})


def set_status(commit: str, status: Status, client: Client) -> None:
    texts = {"description": status.description, "context": status.context, "target_url": status.url}
    body = {"state": status.state, **{name: client.redact(text) for name, text in texts.items() if text}}
    check_id(client.send("POST", f"statuses/{commit}", body=body))


def advise(calls: Calls, subject: Subject, names: Iterable[str], gate: Gate) -> Iterator[str]:
    """Yield advice on statuses that the base branch requires, and on a gate's next stage; `names` are all gates'."""
    base, context = subject.event.base_ref, subject.context_of(gate.name)
    if subject.event.pull_request is None or not base:
        return
    path = f"rules/branches/{quote(base, safe='')}"
    rules = calls.once("rules", lambda: calls.try_call(Operation.RULES, lambda client: [*client.pages(path)]))
    if subject.required is not None and rules is not None:
        checks = (json_reader.as_array(rule, "parameters", "required_status_checks") for rule in rules)
        of_rules = (json_reader.text(check, "context") for each in checks for check in each)
        required = {each.lower(): each for each in (*subject.required, *of_rules)}
        if gate.stage is not Stage.OBSERVE and context.lower() not in required:
            yield NOT_REQUIRED.format(base=base, context=context)
        lacking = required.keys() - {subject.context_of(name).lower() for name in names}
        ours = (each for each in sorted(lacking) if each.startswith(CONTEXT_PREFIX.lower()))
        yield from (NOT_SET.format(base=base, context=required[each]) for each in ours)
    if gate.stage not in NEXT_STAGE:
        return
    recent = calls.once("recent", lambda: calls.try_call(Operation.PULLS, partial(read_recent_results, base))) or {}
    newest = [each for each in recent.get(context.lower(), ()) if each.decision.is_decided]
    if newest:
        blocked = sum(each.decision is Decision.FAIL for each in newest) or "none"
        which = f"{blocked} of the last {len(newest)} evaluated pull requests"
        yield f"With `{NEXT_STAGE[gate.stage]}`, {which} would have been blocked."
