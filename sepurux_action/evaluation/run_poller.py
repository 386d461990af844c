"""Starts and polls one CI run until it is decided or out of time. Source: docs/architecture.md#limits-and-polling."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from sepurux_action.common import number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.common.wording import capitalized, optional
from sepurux_action.config.settings import Gate, Trace
from sepurux_action.errors import DEFECTS, REPORT_DEFECT, EvaluationError, StillPending, describe_defect
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import Success, TransientError
from sepurux_action.evaluation.api_calls import ApiCalls
from sepurux_action.evaluation.metrics import RELIABILITY_SCORE, SCENARIOS, summary
from sepurux_action.evaluation.run_calls import read_campaign_id, read_score, start, upload
from sepurux_action.evaluation.runs import NEXT_STEPS, Decision, Rule, Run, decide, parse_run, wrong_shape
from sepurux_action.host.output import Level, Output

NOT_FOUND = 404
CANCELED = "The run was canceled."


class Step(Protocol):
    """What all runs of a step have in common. `claimed` says by the id of a trace, a run, or a batch what it is."""

    gates: dict[str, Gate]
    calls: ApiCalls
    output: Output
    metadata: Mapping[str, object]
    claimed: dict[str, object]


class RunPoller:
    """One run of a gate, with what is known of it so far.

    `complete`: the decision, or that there is none, is known.
    """

    def __init__(self, step: Step, gate: Gate, trace: Trace) -> None:
        self.step, self.gate, self.trace = step, gate, trace
        self.phase = "finding the campaign"
        self.complete = False
        self.run = Run(
            trace=trace,
            decision=Decision.ERROR,
            rule=Rule.CANCELED,
            reason=CANCELED,
            hint=NEXT_STEPS[Rule.CANCELED],
        )

    def _set(self, **known: Any) -> None:  # noqa: ANN401 - fields of many types
        self.run = replace(self.run, **known)

    async def evaluate(self) -> None:
        """Evaluate the trace; after a cancellation, the run has what is known by then."""
        with suppress(asyncio.CancelledError):
            try:
                await self._evaluate()
            except EvaluationError as error:
                self._fail(error, Rule.OUTAGE if self.step.calls.is_down else Rule.NOT_POLLED)
            except DEFECTS as defect:  # the other runs go on
                self._log(f"{describe_defect(defect)}. {REPORT_DEFECT}")
                self._fail(EvaluationError(describe_defect(defect), REPORT_DEFECT), Rule.NOT_POLLED)
        self.complete = True
        self._set(elapsed_s=self.run.elapsed_s or self.step.calls.elapsed())
        self.step.calls.show_progress()
        self._log_decision()

    async def _evaluate(self) -> None:
        """Get a decision and its numbers."""
        self._set(campaign_id=await read_campaign_id(self.step.calls, self.gate))
        self._set(trace_id=await self._trace_id())
        self._enter("starting")
        settings = self.run.campaign_id, self.run.trace_id, self.step.metadata
        gate = self.gate.of_flaky if self.trace.flaky else self.gate
        self._use(*await start(self.step.calls, gate, *settings))
        self._log(f"started batch {self.run.batch_id}" if self.run.batch_id else f"started run {self.run.run_id}")
        passed = await self._poll_until_decided() is Decision.PASS
        if passed:  # after a signal, it must not pass without a number
            await self._read_score()
        decided = decide(self.run)
        self.run = replace(decided, hint=self.gate.with_timeout(NEXT_STEPS.get(decided.rule, "")))
        self.complete = True
        was_read = passed and self._limits_score
        if not was_read and RELIABILITY_SCORE.reading(self.run.numbers).missing:
            await self._read_shown_score()

    def _fail(self, error: EvaluationError, rule: Rule) -> None:
        """Make the error the result, unless there is a `fail` already."""
        if self.run.decision is Decision.FAIL:
            return
        decision = Decision.PENDING if isinstance(error, StillPending) else Decision.ERROR
        reason, detail = _sentence(error.reason), _sentence(error.detail)
        hint = self.gate.with_timeout(error.hint)
        self._set(decision=decision, rule=rule, reason=reason, detail=detail, hint=hint)

    # -- start --------------------------------------------------------------------------------------------------------

    async def _trace_id(self) -> str:
        """Return the id of the trace, which may have to be uploaded; '' for the registered scenarios."""
        label, content = self.trace.label, self.trace.content
        if content is None:
            return self.trace.trace_id
        self._enter(f"uploading {label}")
        trace_id = await upload(self.step.calls, self.gate, label, content)
        self._claim("trace", content, trace_id)
        self._log(f"uploaded {label} as trace {trace_id}" if len(self.gate.traces) == 1 else f"uploaded as {trace_id}")
        return trace_id

    def _use(self, run_id: str, batch_id: str, run_ids: tuple[str, ...]) -> None:
        self._claim_run(batch_id, run_id, *run_ids)
        self._set(run_id=run_id, batch_id=batch_id, run_ids=run_ids)
        self.step.calls.show_progress()

    def _claim_run(self, *ids: str) -> None:
        gate = self.gate
        what = self.run.campaign_id, self.run.trace_id, self.trace.content
        settings = gate.project, gate.mutation_pack, gate.limits, {*gate.required_mutation_categories}
        self._claim("run", (what, settings), *ids)

    def _claim(self, noun: str, what: object, *ids: str) -> None:
        """Raise EvaluationError if one of the ids is that of another gate's run or trace, or another trace's."""
        for each in filter(None, ids):
            if self.step.claimed.setdefault(f"{noun} {each}", what) != what:
                raise EvaluationError(
                    f"Sepurux sent the same {noun} `{each}` for two gates or traces: one was not evaluated",
                    "{Rerun}. If it happens again, ask Sepurux about this `Sepurux run`.",
                )

    # -- polls --------------------------------------------------------------------------------------------------------

    async def _poll_until_decided(self) -> Decision:
        """Return the final decision: a failed poll is none, nor is a finished run without one, until it is confirmed.

        Raises EvaluationError: a poll was rejected, or the timeout has ended.
        """
        calls, started, failed = self.step.calls, self.step.calls.elapsed(), 0
        shown: Run | None = None  # by the last poll that succeeded
        error: TransientError | None = None  # of the last poll
        while True:
            response, last = await self._poll(started)
            wait, left, before = schedule.poll_wait(calls.elapsed() - started), calls.left(self.gate.timeout_s), error
            if isinstance(response, TransientError):
                failed, error = failed + 1, response.because_of(error)
                backoff, asked = schedule.retry_wait(failed, error, calls.jitter()), response.retry_after_s is not None
                wait = backoff if asked else max(wait, backoff)
                last = last or response.no_time_left or (asked and wait > left)
            else:
                confirmed = last or (shown is not None and shown.rule is Rule.FINISHED_UNDECIDED)
                if response.rule is Rule.FINISHED_UNDECIDED and not confirmed:
                    wait = schedule.SECOND_OPINION_S
                elif response.decision is not Decision.PENDING:
                    return response.decision
                shown, failed, error = response, 0, None
            if last:
                self._set(elapsed_s=min(calls.elapsed(), self.gate.timeout_s))  # a report shows what the reason says
                at_timeout = self.gate.timeout_s - calls.elapsed() < schedule.MIN_POLL_WAIT_S
                raise schedule.out_of_time(shown, error, self.run.elapsed_s, at_timeout=at_timeout)
            if wait > left - schedule.MIN_POLL_WAIT_S:  # the last poll is at the deadline
                wait = max(0.0, left)
            if error and not (before and before.reason == error.reason):
                self._log(f"poll failed: {error.reason}; next poll in {number_format.duration(wait)}")
            await asyncio.sleep(wait)

    async def _poll(self, started: float) -> tuple[Run | TransientError, bool]:
        """Return what one poll shows, and whether it was the last; raises EvaluationError if it was rejected."""
        call = api.poll_run(run_id=self.run.run_id, batch_id=self.run.batch_id, project=self.gate.project)
        result, last = await self.step.calls.poll(call, self.gate.timeout_s)
        if isinstance(result, TransientError):
            return result, last
        if isinstance(result, Success):
            if problem := wrong_shape(result.payload, self.run):
                return TransientError(reason=problem), last
            self.step.calls.hear()
            return self._decide(result.payload), last
        if result.status == NOT_FOUND and self.step.calls.elapsed() - started < schedule.YOUNG_RUN_S:
            return TransientError(reason=result.reason, status=result.status), last
        raise EvaluationError(result.reason, result.hint)

    def _decide(self, payload: object) -> Run:
        """Return what Sepurux decided so far. Until the run is decided, it keeps the decision `canceled`."""
        step, before = self.step, self.run
        run = parse_run(payload, before)
        if not run.run_ids and before.run_ids:  # maybe only the response to the start names them
            counted = {SCENARIOS.name: Reading(float(len(before.run_ids)))}
            run = replace(run, run_ids=before.run_ids, numbers={**counted, **run.numbers})
        elif run.run_ids != before.run_ids:  # a backend may name a batch's runs only now
            self._claim_run(*run.run_ids)
        decided = decide(run)
        if decided.decision is Decision.PENDING or run.sepurux_decision not in {
            "pass",
            "fail",
        }:  # they may still change
            run = replace(run, numbers={}, categories=None, failing_tools={})
        self.run = run
        self._enter(run.status or "running")
        if run.dashboard_url and not before.dashboard_url:
            step.output.log(self._labeled(run.dashboard_url))
        told = f"{self.gate.name}: {decided.reason}"
        if decided.decision is Decision.PENDING and step.calls.is_new(told):
            if decided.rule is Rule.UNKNOWN_WORD:
                step.output.annotate(Level.WARNING, told)
            else:
                step.output.progress(told)
        return decided

    # -- numbers ------------------------------------------------------------------------------------------------------

    @property
    def _run_ids(self) -> tuple[str, ...]:
        return self.run.run_ids or (self.run.run_id or self.run.batch_id,)

    @property
    def _limits_score(self) -> bool:
        return RELIABILITY_SCORE.threshold in self.gate.limits and not self.trace.flaky

    async def _read_score(self) -> None:
        """Read a score that decides if no poll reports it."""
        if self._limits_score and RELIABILITY_SCORE.reading(self.run.numbers).missing:
            self._enter("reading the reliability score")
            score = await read_score(self.step.calls, self.gate, self.run.campaign_id, self._run_ids)
            self._set(numbers={**self.run.numbers, RELIABILITY_SCORE.name: score})

    async def _read_shown_score(self) -> None:
        """Read a score that decides nothing. If the call fails, a note says why."""
        if self.run.sepurux_decision not in {"pass", "fail"} or len(self._run_ids) > 1:
            return  # there are no numbers, or it is that of one run of many
        call = api.reliability(self.run.campaign_id, self._run_ids[0], self.gate.project)
        result = await self.step.calls.send_once(call, schedule.SHOWN_SCORE_S)
        if isinstance(result, Success):
            score = RELIABILITY_SCORE.read(result.payload)
            self._set(numbers={**self.run.numbers, RELIABILITY_SCORE.name: score})
        else:
            self._set(note=f"Could not read {call.purpose}: {result.reason}.")

    # -- progress -----------------------------------------------------------------------------------------------------

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self.step.calls.show_progress()

    def _log_decision(self) -> None:
        """Log the decision, and of several runs why: the report, at the end of the log, does not say it of each."""
        run = self.run
        waited, why = f" after {number_format.duration(run.elapsed_s)}", ""
        if self.label:
            why = run.reason
            if run.decision.is_decided:
                why = summary(run.numbers)
            elif run.decision is Decision.PENDING:  # the reason says it
                waited = ""
        self._log(f"{run.decision}{waited}{why and f': {why}'}")

    def _log(self, text: str) -> None:
        self.step.output.progress(self._labeled(text))

    @property
    def label(self) -> str:
        """Return the gate if there are several, and the trace if the gate has several; '' for the only run."""
        parts = (self.gate.name, len(self.step.gates) > 1), (self.trace.label, self.gate.has_several_traces)
        return " / ".join(name for name, is_needed in parts if is_needed)

    def _labeled(self, text: str) -> str:
        return f"[{self.label}] {text}" if self.label else text


def _sentence(text: str) -> str:
    return optional("{}.", capitalized(text.rstrip(".")))
