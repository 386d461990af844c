"""Finds the result of each gate: skipped, cached, evaluated, and changed by reviews (docs/reference.md#decisions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from sepurux_action.config.gate import Gate
from sepurux_action.config.path_filter import affects
from sepurux_action.config.stage import OnUndecided, Stage, next_change
from sepurux_action.evaluation.api import Credentials
from sepurux_action.evaluation.checks import CheckState
from sepurux_action.evaluation.decision import Decision, Rule, RunDecision
from sepurux_action.evaluation.drops import Base, hidden_results
from sepurux_action.evaluation.enforcement import enforce
from sepurux_action.evaluation.gate_decision import compared_again, decide_gate
from sepurux_action.evaluation.polling import Evaluation
from sepurux_action.evaluation.result import Evaluated, GateResult
from sepurux_action.evaluation.runs import RunResult
from sepurux_action.github.event import Event
from sepurux_action.github.permissions import Operation, advice
from sepurux_action.host.workflow_commands import Level
from sepurux_action.report import outputs
from sepurux_action.report.rendering import render_notice
from sepurux_action.report.report import Context
from sepurux_action.run import Run

NOT_AFFECTED = "No changed file matches the gate's `paths`."
NO_CREDENTIALS = "`token` and `api_key` are both empty, so the gate has no secret for Sepurux."
NO_CREDENTIALS_HINT = (
    "Set one of them, such as `token: ${{ secrets.SEPURUX_CI_TOKEN }}`, and add that secret under "
    "`Settings > Secrets and variables > Actions`."
)
UNREAD_RESULTS_HINT = (
    "Give the job `contents: read` and `statuses: write` under `permissions:` if it lacks one of them, then re-run it."
)


def evaluate(run: Run) -> tuple[GateResult, ...]:
    gates = run.settings.gates
    found = _skipped_or_cached(run)
    to_evaluate = [gate for gate in gates if gate.name not in found]
    advised = {}
    for gate in to_evaluate:
        change = next_change(gate.rules, run.event.branch, run.today)
        scheduled = change is not None and change.stricter
        advised[gate.name] = run.github.stage_advice(gate.name, gate.stage, scheduled=scheduled)
    found |= _evaluate(run, to_evaluate)
    return tuple(_result(run, gate, found[gate.name], advised.get(gate.name, "")) for gate in gates)


def _skipped_or_cached(run: Run) -> dict[str, Evaluated]:
    event, gates = run.event, run.settings.gates
    if event.skip_reason:
        return {gate.name: _not_run(gate, Decision.SKIPPED, f"{event.skip_reason}.") for gate in gates}
    unaffected = _unaffected(run)
    run.github.load_more_comments()
    found = {}
    for gate in gates:
        if gate.name in unaffected:
            found[gate.name] = _not_run(gate, Decision.SKIPPED, NOT_AFFECTED)
        elif standing := run.github.standing_failure(gate):
            decided = compared_again(standing.decided, gate)
            found[gate.name] = replace(standing, decided=decided)
            run.host.progress(f"gate {gate.name} failed at this commit already, so it is not evaluated again")
    return found


def _unaffected(run: Run) -> frozenset[str]:
    """Return the names of the gates whose `paths` match no file that the evaluated commit changes."""
    filters = {gate.name: gate.paths for gate in run.settings.gates if gate.paths}
    if not filters:
        return frozenset()
    names = frozenset(name for name, paths in filters.items() if not affects(paths, run.github.changed_files))
    return names if names and run.github.is_current() else frozenset()


def _evaluate(run: Run, gates: Sequence[Gate]) -> Mapping[str, Evaluated]:
    settings, event = run.settings, run.event
    if not gates:
        return {}
    if not settings.secret:
        return {each.name: _not_run(each, Decision.ERROR, NO_CREDENTIALS, no_credentials_hint(event)) for each in gates}
    store = "Dependabot" if event.dependabot else "Actions"
    source = f"Change it under `Settings > Secrets and variables > {store}`, then {{rerun}}."
    source = source if event.name else ""  # on a command line
    publish_notice(run, settings.comment_key)
    remedies = gates[0].remedies  # the secrets are those of the step
    credentials = Credentials(token=settings.token, api_key=settings.api_key, source=source, remedies=remedies)
    transport = run.connections.transport(settings.base_url, credentials, run.redact)
    # `pr_number` counts only where GitHub could not be asked which pull request the commit belongs to.
    configured = settings.pull_request if not event.name or event.lookup else None
    metadata = {"repo": event.repository or None, "pull_request_number": event.pull_request or configured}
    evaluation = Evaluation(
        compared=[(gate, _base(run, gate)) for gate in gates],
        earlier={gate.name: run.github.unfinished_runs(gate) for gate in gates},
        metadata=metadata,
        calls=run.connections.calls(transport.send, run.signals),
        output=run.host,
        on_progress=lambda known: run.host.set_outputs(outputs.early_outputs(known)),
    )
    return {gate.name: of_gate for gate, of_gate in zip(gates, evaluation.run(), strict=True)}


def publish_notice(run: Run, key: str, why: str = "") -> None:
    """Say in the comment on an earlier commit that this one is evaluated, or `why` it was not."""
    event = run.event
    context = Context(commit=event.commit, commit_url=event.url("commit", event.commit), run_url=event.run_url)
    run.github.publish_notice(partial(render_notice, context, why=why), key)


def _result(run: Run, gate: Gate, found: Evaluated, advised: str) -> GateResult:
    base, decision = _base(run, gate), found.decision
    # Anyone who may cancel a run must not get past a gate with it, so `allow` ends with a signal.
    on_undecided = OnUndecided.BLOCK if run.signals.received else gate.on_undecided
    blocks = enforce(decision, gate.stage, on_undecided, trace_may_be_cause=found.decided.is_suspect)
    too_few = decision.is_decided and any(check.state is CheckState.NOT_COMPARED for check in found.checks)
    few = hidden_results(base.baseline) if too_few and base.baseline else ""
    change = next_change(gate.rules, run.event.branch, run.today)
    if change and change.is_near:
        run.host.annotate(Level.WARNING, f"Gate {gate.name}: {change}", title="Sepurux gate")
    result = GateResult(
        gate=gate,
        decided=found.decided,
        blocks=blocks,
        notes=tuple(filter(None, (str(change or ""), advised, few))),
        what_failed=found.what_failed,
        evaluations=found.evaluations,
        confirmation=found.confirmation,
        standing=found.standing,
    )
    github, by_review = run.github, decision is Decision.FAIL and gate.stage is Stage.SOFT
    if not by_review or not github.connected or run.event.pull_request is None or run.signals.received:
        return result
    approval = github.approval(gate.reviewers)
    blocks = enforce(decision, gate.stage, gate.on_undecided, approved=approval.approved)
    return replace(result, blocks=blocks, approval=approval)


def _base(run: Run, gate: Gate) -> Base:
    github, event = run.github, run.event
    error = github.snapshot.error
    if not github.connected:
        hint = "Comparing with the base branch needs `github_token`: leave that input at its default."
    elif error is None or error.forbidden:  # GitHub may return null without an error for what the token may not see
        hint = UNREAD_RESULTS_HINT
    else:
        hint = advice(github.snapshot.denied or Operation.READ, error, event)
    limit = github.base_left_out
    why = "GitHub's limit on one query" + (f", HTTP {limit.status}" if limit.status else "") if limit else ""
    return Base(baseline=github.baselines([gate]).get(gate.name), branch=event.base_ref, hint=hint, why=why)


def no_credentials_hint(event: Event) -> str:
    if not event.name:
        return "Run `export SEPURUX_CI_TOKEN=...` or `export SEPURUX_API_KEY=...` first."
    if event.dependabot:
        return (
            "Dependabot gets only its own secrets: add `SEPURUX_CI_TOKEN` under `Settings > Secrets and variables > "
            "Dependabot`."
        )
    if event.fork and event.name in {"pull_request", "pull_request_review"}:
        return (
            "Pull requests from forks get no secrets: evaluate them in a `workflow_run` workflow, as "
            "examples/workflows/forks-record.yml and forks-evaluate.yml of sepurux/gate-action do."
        )
    return NO_CREDENTIALS_HINT


def _not_run(gate: Gate, decision: Decision, reason: str, hint: str = "") -> Evaluated:
    decided = RunDecision(decision=decision, reason=reason, rule=Rule.NOT_POLLED)
    runs = tuple(RunResult.of(trace, decided, hint) for trace in gate.traces)
    return Evaluated(decided=decide_gate(gate, runs, Base(baseline=None)))
