"""Finds the result of each gate: skipped, recorded, evaluated, or another run's (docs/reference.md#decisions)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from sepurux_action.config.command_line import in_workflow, on_command_line
from sepurux_action.config.options import Stage
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.api import Credentials
from sepurux_action.evaluation.base_results import FILE, MAX_BYTES, compare_with_base, read_results
from sepurux_action.evaluation.decision import GateDecision, decide_gate, is_blocking, without_failures
from sepurux_action.evaluation.gate_numbers import Base
from sepurux_action.evaluation.published_result import Results, comparable
from sepurux_action.evaluation.runs import NEXT_STEPS, Decision, Rule, Run
from sepurux_action.evaluation.step_evaluation import CANCELED, StepEvaluation
from sepurux_action.flow.execution import Execution
from sepurux_action.github import statuses
from sepurux_action.github.client import GitHubError, Kind, Operation, advice
from sepurux_action.github.comment import read_again
from sepurux_action.github.queries import PullRequest
from sepurux_action.github.reviews import approval
from sepurux_action.github.statuses import Record
from sepurux_action.host.output import Level, read_file

NOT_AFFECTED = "No changed file matches the gate's `paths`."
UNDECIDED = "A review evaluates nothing, and no run has decided on this commit yet."
NO_RECORD = "no record: the token may not set statuses, so a `fail` of this run does not stay with its commit"
RECORD_UNREAD = "The statuses of the commit could not be read, so an earlier run of this gate may have failed."
RECORD_HINT = "Give the job `statuses: write` under `permissions:` if it lacks it, then {rerun}."
NO_CREDENTIALS = "{token} and {api_key} are both empty, so the gate has no secret for Sepurux."
EXPORT_ONE = "Run `export SEPURUX_API_KEY=...` or `export SEPURUX_CI_TOKEN=...` first."
FORKS_GET_NONE = (
    "Pull requests from forks get no secrets: evaluate them in a `workflow_run` workflow, as "
    "examples/workflows/forks-record.yml and forks-evaluate.yml of sepurux/gate-action do."
)
UNREAD_RESULTS_HINT = (
    "Give the job `contents: read` and `statuses: write` under `permissions:` if it lacks one of them, then re-run it."
)
ON_BRANCH = frozenset({"push", "schedule", "workflow_dispatch"})  # events that evaluate the branch of GITHUB_REF


def read_earlier(execution: Execution) -> Execution:
    """Return the execution with the results in its folder. Any other content counts as none, with a note."""
    settings, event, key = execution.settings, execution.event, execution.signing_key
    folder = execution.folder(settings.baseline_dir) if settings.baseline_dir else None
    if folder is None or not key or event.by_review:
        return execution
    try:
        results, note = read_results(read_file(folder / FILE, MAX_BYTES), key, event.repository)
    except OSError as error:
        results, note = (), f"{FILE} could not be read: {error.strerror}."
    if note and not event.name:  # a terminal shows no notes, and drops are compared with these results there
        execution.host.annotate(Level.WARNING, note)
    return replace(execution, earlier=results, earlier_note=note)


def read_record(execution: Execution) -> Record:
    """Return the record with the `fail` of each gate that an earlier run found at this commit; make others pending.

    A gate whose `fail` stays is not evaluated, whatever its other settings are. If the record cannot be read, each gate
    is an error, unless the token may not set statuses: then there is no record. A review evaluates nothing: every gate
    has its newest decision, or is skipped. Source: docs/policy.md#a-failure-stays-with-its-commit.
    """
    gates = execution.settings.gates
    if execution.event.skip_reason:
        return Record()
    record = statuses.read_record(execution.calls, execution.subject, gates)
    if execution.event.by_review and record is not None:
        undecided = {gate.name: _not_run(gate, Decision.SKIPPED, UNDECIDED) for gate in gates}
        return replace(record, results={**undecided, **record.results})
    decided = record.results if record else {}
    fails = {name: each for name, each in decided.items() if each.decision is Decision.FAIL}
    if not execution.event.by_review:
        pending = [gate.name for gate in gates if gate.name not in fails]
        statuses.publish_pending(execution.calls, execution.subject, pending)
    if execution.calls.connected and Operation.STATUS in execution.calls.forbidden:
        execution.host.log(NO_RECORD)
    elif record is None:
        unread = Decision.ERROR, RECORD_UNREAD, RECORD_HINT, Rule.RECORD_UNREAD
        return Record(results={gate.name: _not_run(gate, *unread) for gate in gates})
    for name in fails:
        execution.host.progress(f"gate {name} failed at this commit already, so it is not evaluated again")
    return replace(record or Record(), results=fails)


def find_results(execution: Execution, record: Record) -> tuple[tuple[GateDecision, ...], PullRequest | None]:
    """Return the result of each gate, some of `record`, and the pull request afterwards if the comment needs it.

    A gate that did not fail gets the `fail` that another run published in the meantime. If that cannot be read, it is
    an error. After a signal nothing is read, and no gate passes.
    """
    gates, skip_reason, found = execution.settings.gates, execution.event.skip_reason, dict(record.results)
    for gate in gates:
        if gate.name not in found and (skip_reason or gate.skipped):
            why = f"{skip_reason}." if skip_reason else NOT_AFFECTED
            found[gate.name] = _not_run(gate, Decision.SKIPPED, why)
    to_evaluate, names = [gate for gate in gates if gate.name not in found], [gate.name for gate in gates]
    advise = partial(statuses.advise, execution.calls, execution.subject, names)
    advised = {gate.name: tuple(advise(gate)) for gate in to_evaluate}
    found |= _evaluate(execution, to_evaluate)
    results = {gate.name: _enforced(execution, found[gate.name], advised.get(gate.name, ())) for gate in gates}
    if execution.event.by_review or all(each.recorded for each in results.values()):
        return tuple(results.values()), None
    known = (each for each in results.values() if each.rule is not Rule.RECORD_UNREAD)
    not_failed = [each for each in known if each.decision is not Decision.FAIL]
    newer, pull, rule, why, hint = None, None, Rule.RECORD_UNREAD, RECORD_UNREAD, RECORD_HINT
    if not execution.signals.received:
        pull = read_again(execution.calls, execution.event, execution.settings)
        newer = statuses.read_record(execution.calls, execution.subject, [each.gate for each in not_failed], record)
    if execution.signals.received:
        rule, why, hint = Rule.CANCELED, CANCELED, NEXT_STEPS[Rule.CANCELED]
        newer, not_failed = None, [each for each in not_failed if each.decision is Decision.PASS]
    unread = partial(replace, decision=Decision.ERROR, rule=rule, reason=why, hint=hint)
    errors = (unread(without_failures(each)) for each in not_failed)
    changed = errors if newer is None else newer.results.values()
    results |= {each.gate.name: _enforced(execution, each) for each in changed}
    return tuple(results.values()), pull


def _evaluate(execution: Execution, gates: Sequence[Gate]) -> Mapping[str, GateDecision]:
    settings, event = execution.settings, execution.event
    if not gates:
        return {}
    words, where, hint = on_command_line, "", EXPORT_ONE
    if event.name:
        store = "Dependabot" if event.dependabot else "Actions"
        words, where = in_workflow, f" under `Settings > Secrets and variables > {store}`, then {{rerun}}"
        hint = f"Set one of them, such as `api_key: ${{{{ secrets.SEPURUX_API_KEY }}}}`, and add that secret{where}."
    if event.fork and event.name == "pull_request":
        hint = FORKS_GET_NONE
    if not (settings.token or settings.api_key):
        return {each.name: _not_run(each, Decision.ERROR, words(NO_CREDENTIALS), hint) for each in gates}
    credentials = Credentials(token=settings.token, api_key=settings.api_key, where=where, words=words)
    transport = execution.connections.transport(settings.base_url, credentials, execution.host.redact)
    evaluation = StepEvaluation(
        compared=[(gate, _base(execution, gate)) for gate in gates],
        metadata={"repo": event.repository or None, "pull_request_number": event.pull_request},
        engine=execution.connections.engine(transport.send, execution.signals),
        output=execution.host,
        with_passed=writes_baseline(execution),
    )
    evaluated = evaluation.evaluate()
    return {gate.name: compare_with_base(evaluated[gate.name], base_results(execution, gate)) for gate in gates}


def _enforced(execution: Execution, found: GateDecision, advised: Sequence[str] = ()) -> GateDecision:
    gate, interrupted, approved = found.gate, execution.signals.received, None
    if found.decision is Decision.FAIL and gate.stage is Stage.SOFT and not interrupted:
        approved = approval(execution.calls, execution.event, gate.reviewers)
    notes = [*advised]
    if gate.names_traces and execution.earlier_note:
        notes.append(execution.earlier_note)
    if any(run.evaluated for run in found.runs):
        notes += gate.remarks_on_flaky(execution.started.date())
    # Anyone who may cancel a run must not get past a gate with it, so nothing is allowed after a signal.
    allowed = found.is_allowed_outage and not interrupted
    by_decision = is_blocking(found.decision, gate.stage, approved=bool(approved and approved.approved_by))
    return replace(found, blocks=by_decision and not allowed, approval=approved, notes=tuple(notes))


def _base(execution: Execution, gate: Gate) -> Base:
    event, found = execution.event, execution.subject.results
    name, error = "the base", found if isinstance(found, GitHubError) else None
    if not execution.calls.connected:
        hint = "Comparing with the base branch needs `github_token`: leave that input at its default."
    elif error and error.kind is not Kind.FORBIDDEN:
        hint = advice(Operation.BASE, error, event)
    else:  # GitHub may return null without an error for what the token may not see
        hint = UNREAD_RESULTS_HINT
    if event.base_ref:
        name = f"`{event.base_ref}`"
    elif event.name:
        name = "this branch"
    return Base(results=baseline_of(execution, gate), name=name, hint=hint)


def base_results(execution: Execution, gate: Gate) -> Results:
    """Return the results by scenario that a gate is compared with, without those of the evaluated commit itself."""
    event = execution.event
    branch, own = event.base_ref or event.head_branch, event.commit
    if event.name and not branch:
        return ()
    origin = gate.name, gate.campaign, gate.project, gate.mutation_pack, branch
    return tuple(each for each in execution.earlier or () if each.origin == origin and (not own or each.commit != own))


def baseline_of(execution: Execution, gate: Gate) -> Results | None:
    """Return the results that a gate's numbers are compared with, None if they could not be read."""
    if execution.event.name:
        return execution.subject.baseline(gate)
    return comparable((replace(each, stage=gate.stage) for each in base_results(execution, gate)), gate)


def writes_baseline(execution: Execution) -> bool:
    if execution.earlier is None:
        return False
    if not execution.event.name:
        return execution.invocation.write_baseline
    return execution.event.name in ON_BRANCH and bool(execution.event.head_branch)


def _not_run(gate: Gate, decision: Decision, reason: str, hint: str = "", rule: Rule = Rule.NOT_POLLED) -> GateDecision:
    runs = (Run(trace=trace, decision=decision, rule=rule, reason=reason, hint=hint) for trace in gate.traces)
    return decide_gate(gate, tuple(runs), Base(results=None))
