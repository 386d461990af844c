"""Uploads, starts, and polls every run until it is decided or out of time. Source: docs/configuration.md."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.settings import Settings
from sepurux_action.config.stage import OnUndecided
from sepurux_action.errors import (
    DEFECTS,
    REPORT_DEFECT,
    EvaluationError,
    Outage,
    StillPending,
    TimedOut,
    describe_defect,
)
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import NO_TIME_LEFT, ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.base_failures import compare_with_base
from sepurux_action.evaluation.baseline import Baseline
from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.campaigns import Campaigns, parse_campaigns
from sepurux_action.evaluation.checks import Check
from sepurux_action.evaluation.ci_run import (
    MAX_KINDS,
    MAX_RUN_IDS,
    MIN_KINDS,
    NO_OBJECT,
    CIRun,
    ClassifiedFailure,
    Enrichment,
    incomplete_list,
    least_listed,
    merge_failures,
    parse_ci_run,
    parse_failures,
    wrong_shape,
)
from sepurux_action.evaluation.decision import Decision, Rule, RunDecision, decide, next_step, no_decision
from sepurux_action.evaluation.fingerprint import fingerprint
from sepurux_action.evaluation.metrics import FAILURES, RELIABILITY_SCORE, worst_reading
from sepurux_action.evaluation.result import RunResult
from sepurux_action.evaluation.schedule import PollSchedule, retry_wait
from sepurux_action.host.protocols import Output
from sepurux_action.host.workflow_commands import Level

MAX_RUNS_ENRICHED = 10  # runs of one batch whose classified failures are requested
NOT_FOUND = 404
SCORE_NOT_SHOWN = frozenset({401, 403, 404})  # the backend shows the score to another secret, or to no one
MAX_REASON_LENGTH = 200  # characters of the reason why a score could not be read, which a table shows
CHECK_NETWORK = "Check `base_url`, and that the runner may connect to its host through firewall and proxy."
CANCELLED = "The run was cancelled."

_CANCELLED = RunDecision(decision=Decision.ERROR, reason=CANCELLED, rule=Rule.CANCELLED)

OnProgress = Callable[[Sequence[RunResult]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMetadata:
    """Where a run comes from; sent to the backend."""

    repo: str = ""
    pull_request: int | None = None


def run_all(  # noqa: PLR0913 - the parts of a step
    settings: Settings,
    metadata: RunMetadata,
    calls: ApiCalls,
    output: Output,
    on_progress: OnProgress,
    *,
    baselines: Mapping[str, Baseline] | None = None,
) -> tuple[tuple[RunResult, ...], ...]:
    """Return the results of each gate's runs, in the order of gates and traces.

    A failure of the backend is a result. The function returns at most `last_polls_s`, `SCORE_S`, `ENRICHMENT_S`, and
    `COMPARISON_S` after the longest timeout. `baselines` are the results of the base by the gate's name, for the
    comparison of failures.

    `on_progress` is called with the results of the runs that have started, at once and then every few seconds while
    ids and addresses become known. After a signal the runs that are not decided are `error`.
    """
    return calls.run(_run_all(_PollContext(settings, metadata, calls, output, on_progress), baselines or {}))


async def _run_all(context: _PollContext, baselines: Mapping[str, Baseline]) -> tuple[tuple[RunResult, ...], ...]:
    context.started = context.calls.now()
    context.calls.share_slots(len({gate.project for gate in context.settings.gates}))
    context.pollers = [RunPoller(context, gate, trace) for gate in context.settings.gates for trace in gate.traces]
    tasks = [asyncio.create_task(poller.run()) for poller in context.pollers]
    context.calls.cancel_on_signal(tasks)
    context.show_wait()
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, timeout=schedule.HEARTBEAT_S, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            if not task.cancelled():
                task.result()  # raises the exception of a poller that was not expected to raise one
        if pending:
            context.heartbeat(len(pending))
    found = iter(poller.result for poller in context.pollers)
    results = tuple(tuple(next(found) for _ in gate.traces) for gate in context.settings.gates)
    gates = list(zip(context.settings.gates, results, strict=True))
    comparing = asyncio.create_task(compare_with_base(gates, baselines, context.calls))
    context.calls.cancel_on_signal([comparing])
    await asyncio.wait([comparing])
    try:
        return results if comparing.cancelled() else comparing.result()
    except DEFECTS as defect:  # the results stay
        context.output.log(f"{describe_defect(defect)}. {REPORT_DEFECT}")
        return results


class _PollContext:
    """What all runs of a step share: settings, clients, and whether the backend has responded at all."""

    def __init__(
        self, settings: Settings, metadata: RunMetadata, calls: ApiCalls, output: Output, on_progress: OnProgress
    ) -> None:
        self.settings = settings
        self.metadata = metadata
        self.calls = calls
        self.output = output
        self.started = 0.0
        self.pollers: list[RunPoller] = []
        self.decided = 0  # pollers that have their result
        self.campaigns: dict[tuple[str, float], asyncio.Task[Campaigns]] = {}
        self._on_progress = on_progress
        self._responded = False
        self.last_error: TransientError | None = None  # of the last call that was sent, None if it succeeded
        self._has_progress = False
        self._next_progress = 0.0
        self._said: set[str] = set()
        self._longest_timeout_s = max(gate.timeout_s for gate in settings.gates)

    def elapsed(self) -> float:
        return self.calls.now() - self.started

    def add_progress(self) -> None:
        """Note that an id or an address has become known, and write early outputs."""
        self._has_progress = True
        self._write_progress()

    def _write_progress(self) -> None:
        """Write what is not yet written, unless the last time was a moment ago: each time writes all ids again."""
        now = self.elapsed()
        if not self._has_progress or now < self._next_progress:
            return
        known = [poller.result for poller in self.pollers if poller.result.run_id or poller.result.batch_id]
        ids = sum(max(1, len(result.run.run_ids)) for result in known)
        self._on_progress(known)
        self._has_progress = False
        self._next_progress = now + max(schedule.PROGRESS_S, schedule.PROGRESS_S_PER_ID * ids)

    def warn_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.output.annotate(Level.WARNING, text)

    def log_once(self, text: str, key: str = "") -> None:
        """Log a line that would be the same, or have the same key, for every run."""
        if (key or text) not in self._said:
            self._said.add(key or text)
            self.output.progress(text)

    def show_wait(self) -> None:
        """Show what the runs wait for, and when the last of them gives up at the latest."""
        one, *others = self.pollers
        what = f"{self.decided} of {len(self.pollers)} runs decided" if others else f"{one.gate.name}: {one.phase}"
        trouble = f" ({self.last_error.reason})" if self.last_error else ""
        self.output.wait(what + trouble, max(0.0, self._left(self._longest_timeout_s)))

    def heartbeat(self, open_runs: int) -> None:
        self._write_progress()
        elapsed = number_format.duration(self.elapsed())
        left = number_format.duration(max(0.0, self._longest_timeout_s - self.elapsed()))
        runs = number_format.pluralize(open_runs, "run")
        self.output.progress(f"waiting for {runs}: {elapsed} elapsed, at most {left} left")

    async def list_campaigns(self, project: str, timeout_s: float) -> Campaigns:
        """Return a project's campaigns; raises EvaluationError if they cannot be had within the timeout."""
        payload = await self.call_with_retry(api.list_campaigns(project), timeout_s)
        return parse_campaigns(payload, {gate.campaign for gate in self.settings.gates if gate.project == project})

    async def send(self, call: ApiRequest, seconds: float) -> ApiResult:
        """Return the result of one call; the wait until it can start is part of its seconds."""
        return self._noted(await self.calls.send(call, self.calls.now() + seconds))

    async def poll(self, call: ApiRequest, polls: PollSchedule) -> ApiResult:
        """Return the result of a poll, which may take as long as the schedule says when it starts."""
        return self._noted(await self.calls.poll(call, self.calls.now() + polls.left(), polls.seconds))

    def _noted(self, result: ApiResult) -> ApiResult:
        """Return a result, and note whether the backend responded. NO_TIME_LEFT says nothing about the backend."""
        if result is NO_TIME_LEFT:
            return result
        self.last_error = result if isinstance(result, TransientError) else None
        self._responded = self._responded or not isinstance(result, TransientError) or result.reached
        self._write_progress()
        self.show_wait()
        return result

    async def call_with_retry(self, call: ApiRequest, timeout_s: float) -> object:
        """Return the payload of a call that is tried until it succeeds; raises EvaluationError if it does not."""
        match await self.retried(call, timeout_s):
            case Success(payload):
                return payload
            case PermanentError() as error:
                raise _error_of(error)
            case TransientError() as error:
                raise self._timed_out(call, error, timeout_s)

    async def retried(
        self, call: ApiRequest, timeout_s: float, problem: Callable[[object], str] = lambda _payload: ""
    ) -> ApiResult:
        """Return the result of a call that is tried until no other try would change it, or the timeout ends.

        `problem` returns why a payload is not usable, so that the call is tried again; '' if it is.
        """
        earlier: TransientError | None = None
        for attempt in count():
            result = await self.send(call, min(api.CALL_S, max(schedule.LAST_CALL_S, self._left(timeout_s))))
            if result is NO_TIME_LEFT:  # what kept the other runs from their results is the cause
                result = replace(earlier or self.last_error or result, retry_after_s=None, sent=False)
            if isinstance(result, Success) and (why := problem(result.payload)):
                result = TransientError(reason=why, reached=True)
            if not isinstance(result, TransientError):
                return result
            wait, left = retry_wait(result, attempt, self.calls.jitter()), self._left(timeout_s)
            if result.retry_after_s is None:  # the last attempt is not left out because the backoff is long
                wait = min(wait, left - schedule.LAST_CALL_S)
            if wait >= left or wait < 0:
                return result
            if earlier is None or earlier.reason != result.reason:
                trouble = f"{call.purpose}: {result.reason}"
                self.log_once(f"{trouble}; next attempt in {number_format.duration(wait)}", key=trouble)
            earlier = result
            await asyncio.sleep(wait)
        raise AssertionError("the loop ends only by a return")

    def _left(self, timeout_s: float) -> float:
        limit = timeout_s if self._responded else min(timeout_s, schedule.FIRST_RESPONSE_S)
        return limit - self.elapsed()

    def _timed_out(self, call: ApiRequest, error: TransientError, timeout_s: float) -> TimedOut:
        confirmed = error.outage is Outage.IF_CONFIRMED and error.sent and call.path == api.CAMPAIGNS
        outage = Outage.YES if confirmed else error.outage
        if error.retry_after_s is not None:
            wait = number_format.duration(retry_wait(error, 0, 0))
            requested = f"Sepurux asked to wait {wait}, longer than the time that is left"
            hint = f"Raise `timeout` (now {number_format.duration(timeout_s)}), or re-run the job after that time."
            return TimedOut(f"{requested} ({call.purpose}: {error.reason})", hint, outage=outage)
        spent = number_format.duration(self.elapsed())
        if not error.connected:
            reason, hint = f"Sepurux could not be reached within {spent}: {error.reason}", CHECK_NETWORK
        elif not self._responded:
            reason, hint = f"Sepurux did not respond within {spent} ({call.purpose}: {error.reason})", CHECK_NETWORK
        else:
            reason = f"Sepurux sent no usable response within {spent} ({call.purpose}: {error.reason})"
            hint = f"Re-run the job, or raise `timeout` (now {number_format.duration(timeout_s)})."
        return TimedOut(reason, hint, outage=outage)


def _error_of(error: PermanentError) -> EvaluationError:
    return EvaluationError(error.reason, error.hint, outage=error.outage)


class RunPoller:
    """One CI run from its trace to its result. `phase` says what it does."""

    def __init__(self, context: _PollContext, gate: Gate, trace: Trace) -> None:
        self.gate = gate
        self.result = RunResult(
            trace=trace.label,
            run_decision=_CANCELLED,
            hint=next_step(_CANCELLED),
            trace_may_be_cause=trace.content is not None,
        )
        self.phase = "finding the campaign"
        self._trace = trace
        self._context = context
        self._calls = context.calls

    def conflicts_with(self, ids: Collection[str], other: RunPoller) -> bool:
        """Return whether this poller's run has one of the ids, and was started for something else than `other`."""
        mine = {self.result.batch_id, self.result.run_id, *self.result.run.run_ids}
        return not mine.isdisjoint(ids) and self._fingerprint() != other._fingerprint()

    def _fingerprint(self) -> tuple[str, bytes | None]:
        """Return what the run evaluates: the gate's fingerprint with the ids in use, and an uploaded trace."""
        trace = Trace(label="", trace_id=self.result.trace_id)
        of_gate = fingerprint(replace(self.gate, campaign=self.result.campaign_id, traces=(trace,)))
        return of_gate, self._trace.content

    async def run(self) -> None:
        """Evaluate the trace, and keep the result in `result`, whatever happens."""
        with suppress(asyncio.CancelledError):  # the result is what is known by now, CANCELLED if there is no decision
            await self._evaluate()
        self._context.decided += 1
        self._context.show_wait()
        self.result = replace(self.result, elapsed_s=self.result.elapsed_s or self._context.elapsed())
        # The report, at the end of the log, says why a run has no result and why a gate failed, not each of its traces.
        in_report = self.result.decision is Decision.FAIL and len(self.gate.traces) == 1
        why = f": {self.result.run_decision.reason}" if len(self._context.pollers) > 1 and not in_report else ""
        waited = f" after {number_format.duration(self.result.elapsed_s)}"
        said = why and self.result.decision is Decision.PENDING
        self._log(f"{self.result.decision}{'' if said else waited}{why}")

    async def _evaluate(self) -> None:
        try:
            campaign = await self._find_campaign()
            self.result = replace(self.result, campaign_id=campaign)
            trace_id = await self._upload()
            await self._start(campaign, trace_id)
            run_decision, outage = await self._poll_until_decided(), Outage.NO
            needs_score = run_decision.decision is Decision.PASS and self._needs_score()
            if needs_score:
                run_decision, outage = await self._decide_by_score()
            self.result = replace(self.result, run_decision=run_decision, hint=next_step(run_decision))
            await self._note_outage(outage)
            await self._enrich(score_known=needs_score)
        except EvaluationError as error:
            self._fail(error, decide(self.result.run, self.gate).checks)
            await self._note_outage(error.outage)
        except DEFECTS as defect:  # the other runs go on
            self._log(f"{describe_defect(defect)}. {REPORT_DEFECT}")
            self._fail(EvaluationError(describe_defect(defect), REPORT_DEFECT))

    def _fail(self, error: EvaluationError, checks: tuple[Check, ...] = ()) -> None:
        """Make the error the result, unless there is a `fail` already."""
        if self.result.decision is Decision.FAIL:
            return
        decision = Decision.PENDING if isinstance(error, StillPending) else Decision.ERROR
        run_decision = RunDecision(
            decision=decision, reason=_sentence(error.reason), rule=Rule.NOT_POLLED, checks=checks
        )
        self.result = replace(self.result, run_decision=run_decision, hint=error.hint)

    async def _note_outage(self, outage: Outage) -> None:
        """Note that an uploaded trace is not why there is no result, if the reason is an outage.

        If this depends on a call without a trace, this call is the list of campaigns. It is made only if the
        setting `on_undecided` depends on it. Source: docs/reference.md, Decisions.
        """
        if self.result.decision is not Decision.ERROR or not self.result.trace_may_be_cause:
            return
        if outage is Outage.IF_CONFIRMED and self.gate.on_undecided is OnUndecided.ALLOW:
            listed = await self._context.send(api.list_campaigns(self.gate.project), schedule.LAST_POLL_S)
            if isinstance(listed, TransientError) and listed.sent and listed.outage is Outage.IF_CONFIRMED:
                outage = Outage.YES
        self.result = replace(self.result, trace_may_be_cause=outage is not Outage.YES)

    async def _find_campaign(self) -> str:
        """Return the campaign's id; runs of one project with one timeout share a request for its campaign list."""
        project, timeout_s = self.gate.project, self.gate.timeout_s
        try:
            return str(uuid.UUID(self.gate.campaign))
        except ValueError:
            pass  # it is a name
        lists, key = self._context.campaigns, (project, timeout_s)
        if key not in lists:
            lists[key] = asyncio.create_task(self._context.list_campaigns(project, timeout_s))
        campaigns = await lists[key]
        return campaigns.find(self.gate.campaign, project=project)

    async def _upload(self) -> str:
        """Return the id of the trace to evaluate, '' for the registered scenarios; uploads a file first."""
        trace_id = self._trace.trace_id
        if self._trace.content is not None:
            key, label = self._calls.new_key(), self._trace.label
            self._enter(f"uploading {label}")
            call = api.upload_trace(self._trace.content, label=label, project=self.gate.project, key=key)
            payload = await self._context.call_with_retry(call, self.gate.timeout_s)
            trace_id = json_reader.identifier(json_reader.as_object(payload).get("trace_id"))
            if not trace_id:
                reason = f"Sepurux accepted the trace {json_reader.preview(label)}, but sent no usable trace_id"
                raise EvaluationError(reason, api.UNUSABLE_RESPONSE)
            self._log(
                f"uploaded {label} as trace {trace_id}" if len(self.gate.traces) == 1 else f"uploaded as {trace_id}"
            )
        self.result = replace(self.result, trace_id=trace_id)
        return trace_id

    async def _start(self, campaign: str, trace_id: str) -> None:
        self._enter("starting")
        metadata = self._context.metadata
        call = api.create_run(
            self.gate,
            campaign,
            trace_id,
            repo=metadata.repo,
            pull_request=metadata.pull_request,
            key=self._calls.new_key(),
        )
        response = json_reader.as_object(await self._context.call_with_retry(call, self.gate.timeout_s))
        run_ids = parse_ci_run(response).run_ids if isinstance(response.get("run_ids"), list) else ()
        batch_id = json_reader.identifier(response.get("batch_id"))
        run_id = json_reader.identifier(response.get("run_id")) or (run_ids[0] if len(run_ids) == 1 else "")
        if not (batch_id or run_id):
            reason = "Sepurux started the CI run, but sent no usable run_id or batch_id"
            raise EvaluationError(reason, api.UNUSABLE_RESPONSE)
        self._check_not_shared({batch_id, run_id, *run_ids} - {""})
        self.result = replace(self.result, run_id=run_id, batch_id=batch_id, run=CIRun(run_ids=run_ids))
        self._context.add_progress()
        self._log(f"started {f'batch {batch_id}' if batch_id else f'run {run_id}'}")

    def _check_not_shared(self, ids: Collection[str]) -> None:
        """Raise EvaluationError if a run with one of the ids was started for another gate or trace."""
        if any(poller.conflicts_with(ids, self) for poller in self._context.pollers):
            raise EvaluationError(
                f"Sepurux sent the same run {min(ids)} for two different gates or traces, so one was not evaluated",
                "Re-run the job. If it happens again, ask Sepurux about this run.",
            )

    async def _poll_until_decided(self) -> RunDecision:
        """Return the final decision; raises StillPending or TimedOut at the deadline."""
        context = self._context
        polls = PollSchedule(
            self.gate.timeout_s,
            schedule.last_polls_s(len(context.pollers)),
            self._calls.jitter,
            context.elapsed,
        )
        while True:
            await asyncio.sleep(polls.pause())
            match await self._poll(polls):
                case PermanentError() as error:
                    raise _error_of(error)
                case TransientError() as error:
                    before = polls.error
                    polls.poll_failed(error, context.last_error)
                    if not polls.over and polls.error != before:
                        next_in = number_format.duration(polls.wait)
                        self._log(f"poll failed: {error.reason}; next poll in {next_in}")
                case CIRun() as run:
                    run_decision = polls.poll_succeeded(self._decide(run))
                    if run_decision.final:
                        return run_decision
                    if not run_decision.warning:
                        context.log_once(run_decision.reason)
            if polls.over:
                raise self._out_of_time(polls)

    async def _poll(self, polls: PollSchedule) -> CIRun | TransientError | PermanentError:
        """Return what one poll shows. Its payload is not kept: while a run waits, it holds no more than a CIRun."""
        run_id, batch_id = self.result.run_id, self.result.batch_id
        call = api.poll_run(run_id=run_id, batch_id=batch_id, project=self.gate.project)
        result = await self._context.poll(call, polls)
        if isinstance(result, PermanentError) and result.status == NOT_FOUND and polls.waited() < schedule.YOUNG_RUN_S:
            return TransientError(reason=result.reason, status=result.status, reached=True)
        if not isinstance(result, Success):
            return result
        if problem := wrong_shape(result.payload, run_id=run_id, batch_id=batch_id):
            return TransientError(reason=problem, reached=True)
        return parse_ci_run(result.payload)

    def _decide(self, run: CIRun) -> RunDecision:
        """Keep the numbers of a poll, and return the decision on them."""
        before = self.result.run
        if not run.run_ids:
            run = replace(run, run_ids=before.run_ids)
        elif run.run_ids != before.run_ids:  # a backend may name a batch's runs only now
            self._check_not_shared(run.run_ids)
        self.result = replace(self.result, run=run)
        self._enter(run.status or "running")
        if run.dashboard_url and not before.dashboard_url:
            self._context.add_progress()
        run_decision = decide(run, self.gate)
        if run_decision.warning:
            self._context.warn_once(run_decision.warning)
        return run_decision

    def _out_of_time(self, polls: PollSchedule) -> EvaluationError:
        timeout_s = self.gate.timeout_s
        waited = min(self._context.elapsed(), timeout_s)
        if polls.run_decision is None:
            hint = f"Re-run the job, or raise `timeout` (now {number_format.duration(timeout_s)})."
            reason = f"No poll of the run succeeded within {number_format.duration(waited)}: {polls.error}"
            return TimedOut(reason, hint, outage=polls.outage)
        if polls.run_decision.rule is Rule.FINISHED_UNDECIDED:
            return EvaluationError(polls.run_decision.reason, next_step(polls.run_decision))
        why = f": {polls.run_decision.reason}" if polls.run_decision.rule is Rule.UNKNOWN_WORD else ""
        why += f"; the last poll failed: {polls.error}" if polls.error else ""
        self.result = replace(self.result, elapsed_s=waited)  # what a report shows is what the reason says
        return StillPending(no_decision(waited) + why, next_step(polls.run_decision))

    def _needs_score(self) -> bool:
        """Return whether the decision on a run that passed depends on a score that its polls do not report."""
        limited = {RELIABILITY_SCORE.threshold, RELIABILITY_SCORE.drop} & self.gate.limits.keys()
        return bool(limited) and self.result.run.reading(RELIABILITY_SCORE).missing

    async def _decide_by_score(self) -> tuple[RunDecision, Outage]:
        """Return the decision on a run that passed, once the scores of its runs are known. The lowest one counts.

        A score that is not usable, or cannot be read until the deadline or for SCORE_S, makes the decision `error`,
        unless another one makes it `fail`. The second value is whether only an outage is why scores are not known.
        Source: docs/reference.md, Decisions.
        """
        self._enter("reading the reliability score")
        polled, run_ids = self.result.run, dict.fromkeys(self._run_ids())
        timeout_s = max(self.gate.timeout_s, self._context.elapsed() + schedule.SCORE_S)
        read = list(await asyncio.gather(*(self._score_of(run_id, timeout_s) for run_id in run_ids)))
        if len(polled.run_ids) >= MAX_RUN_IDS:
            read.append((Reading(broken=f"could not be read: the batch has {MAX_RUN_IDS:,} or more runs"), Outage.NO))
        run, broken = (
            polled.with_score(worst_reading(RELIABILITY_SCORE, (score for score, _ in read), "runs")),
            [each for each in read if each[0].broken],
        )
        if broken and decide(run, self.gate).decision is Decision.PASS:
            run = polled.with_score(broken[0][0])
        self.result = replace(self.result, run=run)
        return decide(run, self.gate), min((outage for _, outage in broken), default=Outage.NO)

    async def _score_of(self, run_id: str, timeout_s: float) -> tuple[Reading, Outage]:
        """Return the score of one run, missing if the backend shows none to this secret, and why it is not known."""
        call = api.reliability(self.result.campaign_id, run_id, self.gate.project)
        result = await self._context.retried(call, timeout_s, _no_object)
        if isinstance(result, Success):
            return RELIABILITY_SCORE.read(result.payload), Outage.NO
        if result.status in SCORE_NOT_SHOWN:
            return Reading(), Outage.NO
        reason = json_reader.shorten(result.reason, MAX_REASON_LENGTH)
        return Reading(broken=f"could not be read: {reason}"), result.outage

    def _run_ids(self) -> tuple[str, ...]:
        return self.result.run.run_ids or (self.result.run_id or self.result.batch_id,)

    async def _enrich(self, *, score_known: bool) -> None:
        """Add the classified failures, and a score that no threshold limits; a call that fails becomes a note."""
        self._enter("reading what failed")
        run, campaign, project = self.result.run, self.result.campaign_id, self.gate.project
        run_ids = self._run_ids()
        until = self._calls.now() + schedule.ENRICHMENT_S
        notes: list[str] = []

        async def payload_of(call: ApiRequest) -> object:
            left = until - self._calls.now()
            result = await self._context.send(call, left) if left > 0 else NO_TIME_LEFT
            if isinstance(result, Success):
                return result.payload
            notes.append(f"Could not read {call.purpose}: {result.reason}.")
            return None

        score, reported = Reading(), run.reading(RELIABILITY_SCORE)
        if reported.missing and len(run_ids) == 1 and not score_known:  # one of many is not the batch's
            payload = await payload_of(api.reliability(campaign, run_ids[0], project))
            score = RELIABILITY_SCORE.read(payload)
        self.result = replace(self.result, enrichment=Enrichment(more_failures=True))  # until all have been read
        failures: tuple[ClassifiedFailure, ...] = ()
        listed, left_out, max_kinds = 0, 0, max(MIN_KINDS, MAX_KINDS // len(self._context.pollers))
        more = len(run_ids) > MAX_RUNS_ENRICHED
        for run_id in run_ids[:MAX_RUNS_ENRICHED]:
            page = await payload_of(api.classified_failures(campaign, run_id, project))
            of_run = parse_failures(page)
            failures, dropped = merge_failures((*failures, *of_run), max_kinds)
            listed, left_out = listed + len(of_run), left_out + dropped
            more = more or bool(incomplete_list(page, campaign_id=campaign, run_id=run_id))
        run = run.with_score(score)
        self.result = replace(
            self.result,
            run=run,
            run_decision=replace(self.result.run_decision, checks=decide(run, self.gate).checks),
            enrichment=Enrichment(
                failures=failures,
                left_out=left_out,
                more_failures=more or listed < least_listed(run.value(FAILURES)),
                notes=tuple(dict.fromkeys(notes)),
            ),
        )

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self._context.show_wait()

    def _log(self, text: str) -> None:
        names = [self.gate.name] if len(self._context.settings.gates) > 1 else []
        names += [self._trace.label] if len(self.gate.traces) > 1 else []
        self._context.output.progress(f"[{' / '.join(names)}] {text}" if names else text)


def _no_object(payload: object) -> str:
    return "" if isinstance(payload, dict) else NO_OBJECT


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
