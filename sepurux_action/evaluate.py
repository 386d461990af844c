"""Owns the judging of every gate: which ones are affected, what the backend decides, what reviews open; never a report.

The verdicts are made here; what is told to anybody comes after. Source: contract, sections 2, 5 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sepurux_action.common.secret import Redactor
from sepurux_action.config.gate import Gate
from sepurux_action.config.path_filter import affects
from sepurux_action.config.settings import Settings
from sepurux_action.config.stage import Stage
from sepurux_action.config.stage_rules import NextChange, next_change
from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.client import Transport
from sepurux_action.evaluation.decision import Decision, Verdict
from sepurux_action.evaluation.enforcement import enforce
from sepurux_action.evaluation.fingerprint import fingerprint
from sepurux_action.evaluation.polling import NO_ROW, RunMetadata, run_all
from sepurux_action.evaluation.result import GateResult, RunResult, trace_may_be_cause
from sepurux_action.github.run_context import RunContext
from sepurux_action.github.session import GitHubSession
from sepurux_action.host.protocols import Output
from sepurux_action.host.signals import Signals
from sepurux_action.host.workflow_commands import Level
from sepurux_action.report import outputs

NOT_AFFECTED = "No file that this pull request changes matches the gate's `paths`."
NO_CREDENTIALS = "There is no secret to ask Sepurux with: `token` and `api_key` are both empty."
NO_CREDENTIALS_HINT = (
    "Give one of them, such as `token: ${{ secrets.SEPURUX_CI_TOKEN }}`. "
    "Pull requests from forks and from Dependabot are given no secrets of the repository."
)
SOFT_AS_HARD = (
    "The soft gate acts as a hard one here: unless the run belongs to one pull request, no review can open it."
)
UNREAD_REVIEWS = "Run the job again: the reviews could not be read, so none has opened the gate."
READ_ONLY_REVIEW = (
    "A review event of a pull request from a fork has a token that can only read: "
    "let a `workflow_run` workflow judge such pull requests, so that a review can open the gate."
)


@dataclass(frozen=True, slots=True)
class GateEvaluator:
    """One run's judging. `talk` is None where GitHub takes no part; `today` is the day of the rules, in UTC."""

    settings: Settings
    run_context: RunContext
    output: Output
    signals: Signals
    blank: Redactor
    github: GitHubSession | None
    today: date

    def evaluate(self) -> tuple[GateResult, ...]:
        """Return the result of every gate, in their order."""
        if self.github:
            self.github.publish_pending(gate.name for gate in self.settings.gates)
        runs = self._skipped_or_cached()
        open_gates = [gate for gate in self.settings.gates if gate.name not in runs]
        advice = {gate.name: self._advice(gate) for gate in open_gates}
        runs |= self._evaluate(open_gates)
        results = [self._result(gate, runs[gate.name], advice.get(gate.name, "")) for gate in self.settings.gates]
        return tuple(results)

    # -- what needs no backend --------------------------------------------------------------------------------------

    def _skipped_or_cached(self) -> dict[str, tuple[RunResult, ...]]:
        """Return the runs of the gates that are settled already: not affected, or a `fail` that is remembered."""
        event, gates = self.run_context.event, self.settings.gates
        if event.skip_reason:
            verdict = Verdict(decision=Decision.SKIPPED, reason=f"{event.skip_reason}.", rule=NO_ROW)
            return {gate.name: _not_run(gate, verdict) for gate in gates}
        settled = {}
        unaffected = self._unaffected()
        if self.github:
            self.github.load_more_comments()
        for gate in gates:
            if gate.name in unaffected:
                settled[gate.name] = _not_run(
                    gate, Verdict(decision=Decision.SKIPPED, reason=NOT_AFFECTED, rule=NO_ROW)
                )
            elif remembered := self._cached_fail(gate):
                settled[gate.name] = remembered
        return settled

    def _unaffected(self) -> frozenset[str]:
        """Return the names of the gates whose `paths` match no file that the judged commit changes."""
        filters = {gate.name: gate.paths for gate in self.settings.gates if gate.paths}
        if self.github is None or not filters:
            return frozenset()
        changed = self.github.changed_files()
        names = frozenset(name for name, paths in filters.items() if not affects(paths, changed))
        return names if names and self.github.is_current() else frozenset()

    def _cached_fail(self, gate: Gate) -> tuple[RunResult, ...]:
        """Return the runs of a `fail` of this very commit and fingerprint, on a review; a `pass` never is one."""
        if self.github is None or self.run_context.event.name != "pull_request_review":
            return ()
        return self.github.cached_failure(gate, fingerprint(gate))

    # -- what the backend decides -----------------------------------------------------------------------------------

    def _evaluate(self, gates: Sequence[Gate]) -> Mapping[str, tuple[RunResult, ...]]:
        settings, event = self.settings, self.run_context.event
        if not gates:
            return {}
        if not (settings.token or settings.api_key):
            verdict = Verdict(decision=Decision.ERROR, reason=NO_CREDENTIALS, rule=NO_ROW)
            return {gate.name: _not_run(gate, verdict, NO_CREDENTIALS_HINT) for gate in gates}
        transport = Transport(settings.base_url, token=settings.token, api_key=settings.api_key, redact=self.blank)
        given = settings.pull_request if not event.name or event.lookup else None  # nobody could be asked about it
        metadata = RunMetadata(repo=self.run_context.repository, pull_request=event.pull_request or given)
        asked = replace(settings, gates=tuple(gates))
        calls = ApiCalls(transport.send, self.signals)
        runs = run_all(asked, metadata, calls, self.output, self._write_early_outputs)
        return {gate.name: of_gate for gate, of_gate in zip(gates, runs, strict=True)}

    def _write_early_outputs(self, known: Sequence[RunResult]) -> None:
        self.output.set_outputs(outputs.early_outputs(known))

    # -- what follows -----------------------------------------------------------------------------------------------

    def _result(self, gate: Gate, runs: Iterable[RunResult], advice: str) -> GateResult:
        runs = tuple(runs)
        decision = min((run.decision for run in runs), key=lambda each: each.rank)
        suspected = trace_may_be_cause(runs)
        conclusion = enforce(decision, gate.stage, gate.on_undecided, trace_may_be_cause=suspected)
        notes = tuple(filter(None, (self._next_change_note(gate), advice)))
        result = GateResult(gate=gate, runs=runs, conclusion=conclusion, notes=notes)
        if decision is Decision.FAIL and gate.stage is Stage.SOFT:
            return self._apply_reviews(result)
        return result

    def _apply_reviews(self, result: GateResult) -> GateResult:
        """Return the result of a failed soft gate, as reviews have it."""
        gate, event = result.gate, self.run_context.event
        if self.github is None or event.pull_request is None:
            return replace(result, notes=(*result.notes, SOFT_AS_HARD))
        if self.signals.received is not None:
            return result
        notes = result.notes
        if event.fork and event.name == "pull_request_review":
            notes = (*notes, READ_ONLY_REVIEW)
        found = self.github.soft_gate.approval(self.github.snapshot.pull_request, gate.reviewers)
        if found is None:
            return replace(result, waits_for_review=True, review=UNREAD_REVIEWS, notes=notes)
        opening, terms = found
        if opening.approved:
            conclusion = enforce(result.decision, gate.stage, gate.on_undecided, approved=True)
            return replace(result, conclusion=conclusion, review=f"Opened: {opening.reason}.", notes=notes)
        kept = f" ({terms.why_none_is_eligible})" if terms.why_none_is_eligible else ""
        who = f"An approving review of this commit by {terms.eligible} opens this gate{kept}"
        review = f"{who}. So far: {opening.reason}." if opening.reason else f"{who}."
        return replace(result, waits_for_review=True, review=review, notes=notes)

    def _next_change_note(self, gate: Gate) -> str:
        change = self._next_change(gate)
        if change is None:
            return ""
        if change.is_near:
            self.output.annotate(Level.WARNING, f"Gate {gate.name}: {change}", title="Sepurux gate")
        return str(change)

    def _next_change(self, gate: Gate) -> NextChange | None:
        return next_change(gate.rules, self.run_context.event.branch, self.today)

    def _advice(self, gate: Gate) -> str:
        if self.github is None:
            return ""
        change = self._next_change(gate)
        return self.github.stage_advice(gate.name, gate.stage, scheduled=change is not None and change.stricter)


def _not_run(gate: Gate, verdict: Verdict, hint: str = "") -> tuple[RunResult, ...]:
    return tuple(
        RunResult(trace=trace.label, verdict=verdict, hint=hint, trace_may_be_cause=trace.content is not None)
        for trace in gate.traces
    )
