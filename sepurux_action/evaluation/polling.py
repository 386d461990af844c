"""Uploads, starts, and polls every run until it is decided or out of time. Source: docs/architecture.md."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, starmap

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.json_reader import Reading
from sepurux_action.config.command_line import at_source
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.stage import OnUndecided
from sepurux_action.errors import DEFECTS, REPORT_DEFECT, EvaluationError, Outage, StillPending, describe_defect
from sepurux_action.evaluation import api, batch_numbers, ci_run, schedule
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.batch_numbers import MAX_REASON_LENGTH, BatchReader
from sepurux_action.evaluation.calls import ApiCalls
from sepurux_action.evaluation.ci_run import CIRun, parse_ci_run
from sepurux_action.evaluation.confirmation import can_be_noise, confirm, misses_only_rates, too_late
from sepurux_action.evaluation.decision import NEXT_STEPS, Decision, Rule, RunDecision, decide, fingerprint
from sepurux_action.evaluation.drops import Base
from sepurux_action.evaluation.gate_decision import GateDecision, decide_gate
from sepurux_action.evaluation.metrics import LOWEST_SCENARIO, RELIABILITY_SCORE, SCENARIOS, summary
from sepurux_action.evaluation.result import Evaluated
from sepurux_action.evaluation.runs import RunResult, Runs, WhatFailed
from sepurux_action.evaluation.scenarios import nothing_read, read_scenarios
from sepurux_action.evaluation.schedule import Polls, Retry, next_poll
from sepurux_action.host.output import Output
from sepurux_action.host.workflow_commands import Level

NOT_FOUND = 404
SCORE_NOT_SHOWN = frozenset({401, 403, 404})  # the backend shows the score to another secret, or to no one
CHECK_NETWORK = "Check {base_url}, and that this machine may connect to its host through firewall and proxy."
CANCELLED = RunDecision(decision=Decision.ERROR, reason="The run was cancelled.", rule=Rule.CANCELLED)


@dataclass(eq=False)
class Evaluation:
    """The evaluation of all gates. `on_progress` gets the started runs whenever ids or addresses become known.

    `on_fail` gets a gate as soon as it is certain that it fails, and whether a second evaluation may change that; it
    runs in a thread of its own.
    If it is `kept`, what failed is read of both evaluations of a gate that was evaluated twice.
    """

    compared: Sequence[tuple[Gate, Base]]
    metadata: Mapping[str, object]
    calls: ApiCalls
    output: Output
    on_progress: Callable[[Sequence[RunResult]], None]
    earlier: Mapping[str, Runs] = field(default_factory=dict)  # by gate: runs that an earlier workflow run started
    on_fail: Callable[[Gate, GateDecision, bool], None] = lambda _gate, _decided, _may_change: None
    kept: bool = False
    decided: int = 0  # pollers that have their result
    evaluates: dict[str, tuple[object, ...]] = field(default_factory=dict)  # by the id of a run or a batch
    confirming: bool = False

    def __post_init__(self) -> None:
        self.pollers: list[RunPoller] = []
        self._longest_timeout_s = max(gate.timeout_s for gate, _ in self.compared)
        self._started = 0.0
        self._campaigns: dict[tuple[str, float], asyncio.Task[object]] = {}
        self._responded = False
        self._last_error: TransientError | None = None  # of the last call that was sent, None if it succeeded
        self._written: list[tuple[str, str]] = []  # the ids and addresses that early outputs have
        self._said: set[str] = set()
        self._publishing = asyncio.Lock()
        self._published: dict[str, bool] = {}  # gates whose runs ended, and whether what is published may change

    def run(self) -> tuple[Evaluated, ...]:
        """Return the results of each gate's runs, in the order of gates and traces. A backend's failure is a result."""
        return self.calls.run(self._evaluate())

    async def _evaluate(self) -> tuple[Evaluated, ...]:
        self._started = self.calls.now()
        gates = [gate for gate, _ in self.compared]
        self.calls.share_slots(len({gate.project for gate in gates}))
        first = await self._poll_all((gate, self.earlier.get(gate.name, ())) for gate in gates)
        results = zip(self.compared, first, strict=True)
        evaluated = await self._confirmed([decide_gate(gate, runs, base) for (gate, base), runs in results])
        self.output.wait("reading what failed", schedule.SCENARIOS_S)
        of_first = {
            index: each.evaluations[0] for index, each in enumerate(evaluated) if self.kept and each.evaluations
        }
        decided = [*(each.decided for each in evaluated), *of_first.values()]
        to_read = [*zip([*gates, *(gates[index] for index in of_first)], decided, strict=True)]
        read = await self._or_unread(read_scenarios(to_read, self.calls), tuple(starmap(nothing_read, to_read)))
        first_failed = dict(zip(of_first, read[len(gates) :], strict=True))
        return tuple(
            replace(each, what_failed=read[index], first_failed=first_failed.get(index, each.first_failed))
            for index, each in enumerate(evaluated)
        )

    async def _poll_all(self, gates: Iterable[tuple[Gate, Runs]]) -> tuple[Runs, ...]:
        """Return the results of each gate's runs. Given ones with ids are polled on; else their trace is used again."""
        gates = [*gates]
        known = [{run.trace: run for run in runs} for _, runs in gates]
        pollers = [
            [RunPoller(self, gate, trace, runs.get(trace.label)) for trace in gate.traces]
            for (gate, _), runs in zip(gates, known, strict=True)
        ]
        self.pollers, self.decided = [*chain.from_iterable(pollers)], 0
        pending = {asyncio.create_task(poller.run()) for poller in self.pollers}
        self.calls.cancel_on_signal(pending)
        self.show_wait()
        while pending:
            done, pending = await asyncio.wait(
                pending, timeout=schedule.HEARTBEAT_S, return_when=asyncio.FIRST_EXCEPTION
            )
            for task in done:
                if not task.cancelled():
                    task.result()  # raises the exception of a poller that was not expected to raise one
            if pending:
                self.show_progress(heartbeat=True)
                elapsed = number_format.duration(self.elapsed())
                left = number_format.duration(max(0.0, self._left(self._longest_timeout_s)))
                runs = number_format.pluralize(len(pending), "run")
                self.output.progress(f"waiting for {runs}: {elapsed} elapsed, at most {left} left")
        return tuple(tuple(poller.result for poller in of_gate) for of_gate in pollers)

    async def publish_fail(self, gate: Gate) -> None:
        """Call `on_fail` if the gate certainly fails; not during a second evaluation, before which it was called."""
        changeable = self._published.get(gate.name)
        if self.confirming or changeable is False:
            return
        pollers = [poller for poller in self.pollers if poller.gate is gate]
        ended, complete = all(poller.ended for poller in pollers), all(poller.complete for poller in pollers)
        base = next(base for each, base in self.compared if each is gate)
        decided = decide_gate(gate, tuple(poller.known_result() for poller in pollers), base)
        may_be_noise = can_be_noise(decided) if complete else misses_only_rates(decided)
        may_change = gate.confirm and may_be_noise and not self._too_late(decided, gate)
        if ended:
            self._published[gate.name] = may_change and not complete
        if decided.decision is Decision.FAIL and not (changeable and may_change):
            known = decided if ended else replace(decided, numbers=CIRun())
            await self._call_on_fail(gate, known, may_change=may_change)

    async def _call_on_fail(self, gate: Gate, decided: GateDecision, *, may_change: bool) -> None:
        async with self._publishing:
            await self.calls.run_in_thread(partial(self.on_fail, gate, decided, may_change))

    def _too_late(self, first: GateDecision, gate: Gate) -> str:
        took = max(run.elapsed_s or self.elapsed() for run in first.runs)
        return too_late(took, gate.timeout_s - self.elapsed())

    async def _confirmed(self, results: Sequence[GateDecision]) -> tuple[Evaluated, ...]:
        """Return the results, after one more evaluation of each gate that sets `confirm` and missed only rates."""
        evaluated, wanted = [Evaluated(decided=each) for each in results], list[int]()
        for index, ((gate, _), first) in enumerate(zip(self.compared, results, strict=True)):
            if gate.confirm and can_be_noise(first):
                late = self._too_late(first, gate)
                evaluated[index] = Evaluated(decided=first, confirmation=late)
                if late:  # only the time for the other gates may be why
                    await self._call_on_fail(gate, first, may_change=False)
                else:
                    wanted.append(index)
        if not wanted:
            return tuple(evaluated)
        gates = [self.compared[index][0] for index in wanted]
        names = ", ".join(gate.name for gate in gates)
        self.output.progress(f"evaluating once more, because only rates or scores were missed: {names}")
        self.confirming = True
        known = ([replace(run, run_id="", batch_id="") for run in results[index].runs] for index in wanted)
        again = await self._poll_all((gate, tuple(runs)) for gate, runs in zip(gates, known, strict=True))
        for index, second in zip(wanted, again, strict=True):
            gate, base = self.compared[index]
            evaluated[index] = confirm(gate, results[index], second, base)
            if evaluated[index].decision is Decision.FAIL:
                await self._call_on_fail(gate, evaluated[index].decided, may_change=False)
        return tuple(evaluated)

    async def _or_unread(
        self, reading: Coroutine[None, None, tuple[WhatFailed, ...]], known: tuple[WhatFailed, ...]
    ) -> tuple[WhatFailed, ...]:
        """Return what a coroutine reads about the gates, or what is known after a signal or a defect."""
        task = asyncio.create_task(reading)
        self.calls.cancel_on_signal([task])
        await asyncio.wait([task])
        try:
            return known if task.cancelled() else task.result()
        except DEFECTS as defect:
            self.output.log(f"{describe_defect(defect)}. {REPORT_DEFECT}")
            return known

    def elapsed(self) -> float:
        return self.calls.now() - self._started

    def show_progress(self, *, heartbeat: bool = False) -> None:
        """Write early outputs if an id or an address is new: the first at once, those of many with the heartbeat."""
        started = [each.result for each in self.pollers if each.result.run_id or each.result.batch_id]
        known = [(each.run_id or each.batch_id, each.run.dashboard_url) for each in started]
        if known != self._written and (heartbeat or len(self.pollers) == 1 or not self._written):
            self._written = known
            self.on_progress(started)

    def is_new(self, text: str) -> bool:
        is_new = text not in self._said
        self._said.add(text)
        return is_new

    def show_wait(self) -> None:
        (one, *others), error = self.pollers, self._last_error
        what = f"{self.decided} of {len(self.pollers)} runs decided" if others else f"{one.gate.name}: {one.phase}"
        if error:
            what = f"cannot reach {error.unreached}" if error.unreached else f"{error.reason}; {what}"
        self.output.wait(what, max(0.0, self._left(self._longest_timeout_s)))

    async def campaign_id(self, gate: Gate) -> str:
        """Return the id of a gate's campaign; gates of one project with one timeout share a request for its list."""
        with suppress(ValueError):  # if it is a name
            return str(uuid.UUID(gate.campaign))
        key = gate.project, gate.timeout_s
        if key not in self._campaigns:
            listing = self.payload_of(api.list_campaigns(gate.project), gate.timeout_s)
            self._campaigns[key] = asyncio.create_task(listing)
        return api.find_campaign(await self._campaigns[key], gate.campaign, gate.project)

    async def send(self, call: ApiRequest, seconds: float) -> ApiResult:
        return self._noted(await self.calls.send(call, self.calls.now() + seconds))

    async def poll(self, call: ApiRequest, timeout_s: float) -> tuple[ApiResult, bool]:
        """Return the result of a poll, and whether it was the last one, which may end after the timeout."""
        deadline = self._started + timeout_s
        until = deadline + max(schedule.LAST_POLL_S, len(self.pollers) * schedule.POLL_GAP_S + 1)
        result, last = await self.calls.poll(call, deadline, until)
        return self._noted(result), last

    def _noted(self, result: ApiResult) -> ApiResult:
        """Return a result, and note whether the backend responded. If no time was left, an earlier error is why."""
        if result is api.NO_TIME_LEFT:
            return replace(self._last_error or api.NO_TIME_LEFT, retry_after_s=None, sent=False)
        self._last_error = result if isinstance(result, TransientError) else None
        self._responded = self._responded or not isinstance(result, TransientError) or result.reached
        self.show_wait()
        return result

    async def payload_of(self, call: ApiRequest, timeout_s: float) -> object:
        result = await self.retried(call, timeout_s)
        if isinstance(result, Success):
            return result.payload
        if isinstance(result, PermanentError):
            raise EvaluationError(result.reason, result.hint, outage=result.outage)
        raise self._timed_out(call, result, timeout_s)

    async def retried(self, call: ApiRequest, timeout_s: float, *, of_object: bool = False) -> ApiResult:
        """Return the result of a call that is tried again while its error, or with `of_object` its shape, may pass."""
        retry = Retry()
        while True:
            result = await self.send(call, min(api.CALL_S, max(schedule.LAST_CALL_S, self._left(timeout_s))))
            if of_object and isinstance(result, Success) and not isinstance(result.payload, dict):
                result = TransientError(reason=ci_run.NO_OBJECT, reached=True)
            if not isinstance(result, TransientError):
                return result
            retry = retry.after(result)
            error, wait, left = retry.error or result, retry.wait(self.calls.jitter()), self._left(timeout_s)
            if error.retry_after_s is None:  # the last attempt is not left out because the backoff is long
                wait = min(wait, left - schedule.LAST_CALL_S)
            if wait >= left or wait < 0:
                return error
            if self.is_new(trouble := f"{call.purpose}: {error.reason}"):
                self.output.progress(f"{trouble}; next attempt in {number_format.duration(wait)}")
            await asyncio.sleep(wait)

    def _left(self, timeout_s: float) -> float:
        return (timeout_s if self._responded else min(timeout_s, schedule.FIRST_RESPONSE_S)) - self.elapsed()

    def _timed_out(self, call: ApiRequest, error: TransientError, timeout_s: float) -> EvaluationError:
        confirmed = error.outage is Outage.IF_CONFIRMED and error.sent and call.path == api.CAMPAIGNS
        outage = Outage.YES if confirmed else error.outage
        spent, timeout = number_format.duration(self.elapsed()), number_format.duration(timeout_s)
        why = f"{call.purpose}: {error.reason}"
        reason, hint = f"Sepurux did not respond within {spent} ({why})", CHECK_NETWORK
        if error.retry_after_s is not None:
            asked = number_format.duration(Retry(1, error).wait(0))
            reason = f"Sepurux asked to wait {asked}, longer than the time that is left ({why})"
            hint = f"Raise {{timeout}} (now {timeout}), or {{rerun}} after that time."
        elif not error.connected:
            reason = f"Sepurux could not be reached within {spent}: {error.reason}"
        elif self._responded:
            reason = f"Sepurux sent no usable response within {spent} ({why})"
            hint = f"{{Rerun}}, or raise {{timeout}} (now {timeout})."
        return EvaluationError(reason, hint, outage=outage)


class RunPoller:
    """Polls one run until it is decided. `known` is an earlier result for its trace, see `Evaluation`."""

    def __init__(self, step: Evaluation, gate: Gate, trace: Trace, known: RunResult | None) -> None:
        self.gate = gate
        self.result = RunResult.of(trace, CANCELLED, NEXT_STEPS[Rule.CANCELLED])
        # The path of a file may be the same text as the id of another trace.
        self._known = known if known and trace.trace_id in {"", known.trace_id} else None
        self.phase = "finding the campaign"
        self.ended = False  # the decision of Sepurux, or that there is none, is known
        self.complete = False  # so are the numbers that a second evaluation needs
        self._trace, self._step = trace, step

    async def run(self) -> None:
        with suppress(asyncio.CancelledError):  # the result is what is known by now, CANCELLED if there is no decision
            await self._evaluate()
        if not self._numbers_are_final:
            unfinished = replace(self.result.run, numbers={}, mutation_categories=None, top_failing_tools=())
            self.result = replace(self.result, run=unfinished)
        self.ended = self.complete = True
        self._step.decided += 1
        self._step.show_wait()
        elapsed_s, hint = self.result.elapsed_s or self._step.elapsed(), at_source(self.result.hint, self.gate)
        self.result = replace(self.result, elapsed_s=elapsed_s, hint=hint)
        # The report, at the end of the log, says why a gate has its decision, but not what each of several runs showed.
        why = summary(self.result.run.numbers) if self.result.decision.is_decided else self.result.run_decision.reason
        why = f": {why}" if why and len(self._step.pollers) > 1 else ""
        waited = f" after {number_format.duration(self.result.elapsed_s)}"
        said = why and self.result.decision is Decision.PENDING
        self._log(f"{self.result.decision}{'' if said else waited}{why}")
        await self._step.publish_fail(self.gate)

    async def _evaluate(self) -> None:
        try:
            self.result = replace(self.result, campaign_id=await self._step.campaign_id(self.gate))
            decided, outage = await self._resumed(), Outage.NO
            if decided is None:
                self.result = replace(self.result, trace_id=await self._upload())
                await self._start()
                decided = await self._poll_until_decided()
            if decided.decision is not Decision.PASS:  # after a signal, it must not pass without a number
                self._set_decision(decided)
                self.ended = True
                await self._step.publish_fail(self.gate)
            # Both evaluations of `confirm` need the numbers, also of a first one that failed.
            if decided.decision is Decision.PASS or (decided.decision is Decision.FAIL and self.gate.confirm):
                outage = await self._read_numbers()
            self._set_decision(decided)
            self.ended = self.complete = True
            await self._step.publish_fail(self.gate)
            await self._note_outage(outage)
            unknown = self.result.run.reading(RELIABILITY_SCORE).missing
            read = self._limits_score and (decided.decision is Decision.PASS or self.gate.confirm)
            if unknown and not read and len(self._run_ids) == 1:  # the score of one of many is not the batch's
                await self._read_shown_score(self._run_ids[0])
        except EvaluationError as error:
            self._fail(error)
            await self._note_outage(error.outage)
        except DEFECTS as defect:  # the other runs go on
            self._log(f"{describe_defect(defect)}. {REPORT_DEFECT}")
            self._fail(EvaluationError(describe_defect(defect), REPORT_DEFECT))

    def known_result(self) -> RunResult:
        """Return the result, without numbers that may still change."""
        if self.ended and self._numbers_are_final:
            return self.result
        return replace(self.result, run=replace(self.result.run, numbers={}))

    @property
    def _numbers_are_final(self) -> bool:
        return self.result.decision is not Decision.PENDING and self.result.run.decision in {"pass", "fail"}

    def _set_decision(self, decided: RunDecision) -> None:
        self.result = replace(self.result, run_decision=decided, hint=NEXT_STEPS.get(decided.rule, ""))

    def _fail(self, error: EvaluationError) -> None:
        """Make the error the result, unless there is a `fail` already."""
        if self.result.decision is Decision.FAIL:
            return
        decision = Decision.PENDING if isinstance(error, StillPending) else Decision.ERROR
        reason, detail = _sentence(error.reason), _sentence(error.detail)
        decided = RunDecision(decision=decision, reason=reason, rule=Rule.NOT_POLLED, detail=detail)
        self.result = replace(self.result, run_decision=decided, hint=error.hint)

    async def _note_outage(self, outage: Outage) -> None:
        """Note that no uploaded trace caused an outage. For `allow`, the list of campaigns may have to confirm it."""
        if not self.result.trace_may_be_cause:
            return
        if outage is Outage.IF_CONFIRMED and self.gate.on_undecided is OnUndecided.ALLOW:
            listed = await self._step.send(api.list_campaigns(self.gate.project), schedule.LAST_POLL_S)
            if isinstance(listed, TransientError) and listed.sent and listed.outage is Outage.IF_CONFIRMED:
                outage = Outage.YES
        self.result = replace(self.result, trace_may_be_cause=outage is not Outage.YES)

    async def _resumed(self) -> RunDecision | None:
        """Return the decision on a run that an earlier workflow run started, None if the trace needs a new run."""
        new, known = self.result, self._known
        if known is None or not (known.run_id or known.batch_id):
            return None
        ids = {name: getattr(known, name) for name in ("earlier", "trace_id", "run_id", "batch_id")}
        self.result = replace(new, **ids, run=CIRun(run_ids=known.run.run_ids))
        self._claim(known.batch_id, known.run_id, *known.run.run_ids)
        self._step.show_progress()
        by = f", which workflow run {known.earlier.number} started" if known.earlier else ""
        self._log(f"polling {known.batch_id or known.run_id} on{by}")
        decided = await self._poll_until_decided()
        if decided.rule not in {Rule.EVALUATION_FAILED, Rule.FINISHED_UNDECIDED}:
            return decided
        self.result, self._known = new, None
        return None

    async def _upload(self) -> str:
        if self._known and self._known.trace_id:
            return self._known.trace_id
        if self._trace.content is None:
            return self._trace.trace_id
        label = self._trace.label
        self._enter(f"uploading {label}")
        call = api.upload_trace(self._trace.content, label, self.gate.project, str(uuid.uuid4()))
        payload = await self._step.payload_of(call, self.gate.timeout_s)
        trace_id = json_reader.identifier(json_reader.as_object(payload).get("trace_id"))
        if not trace_id:
            reason = f"Sepurux accepted the trace {json_reader.preview(label)}, but sent no usable trace_id"
            raise EvaluationError(reason, api.UNUSABLE_RESPONSE)
        self._log(f"uploaded {label} as trace {trace_id}" if len(self.gate.traces) == 1 else f"uploaded as {trace_id}")
        return trace_id

    async def _start(self) -> None:
        self._enter("starting")
        campaign, trace_id, step = self.result.campaign_id, self.result.trace_id, self._step
        call = api.create_run(self.gate, campaign, trace_id, step.metadata, str(uuid.uuid4()))
        response = json_reader.as_object(await step.payload_of(call, self.gate.timeout_s))
        if ci_run.is_about_another(response, campaign):
            reason = f"Sepurux started the CI run, but sent {ci_run.OTHER_CAMPAIGN}"
            raise EvaluationError(reason, api.UNUSABLE_RESPONSE)
        run_ids = parse_ci_run(response).run_ids if isinstance(response.get("run_ids"), list) else ()
        batch_id = json_reader.identifier(response.get("batch_id"))
        run_id = json_reader.identifier(response.get("run_id")) or (run_ids[0] if len(run_ids) == 1 else "")
        if not (batch_id or run_id):
            reason = "Sepurux started the CI run, but sent no usable run_id or batch_id"
            raise EvaluationError(reason, api.UNUSABLE_RESPONSE)
        self._claim(batch_id, run_id, *run_ids)
        self.result = replace(self.result, run_id=run_id, batch_id=batch_id, run=CIRun(run_ids=run_ids))
        step.show_progress()
        self._log(f"started {f'batch {batch_id}' if batch_id else f'run {run_id}'}")

    def _claim(self, *ids: str) -> None:
        """Raise EvaluationError if one of the ids is that of another gate's run, another trace's, or the first one."""
        trace = Trace(label="", trace_id=self.result.trace_id)
        gate = replace(self.gate, campaign=self.result.campaign_id, traces=(trace,))
        evaluates = fingerprint(gate), self._trace.content, self._step.confirming
        for each in filter(None, ids):
            if self._step.evaluates.setdefault(each, evaluates) != evaluates:
                raise EvaluationError(
                    f"Sepurux sent the same run `{each}` for two gates, traces, or evaluations: one was not evaluated",
                    "{Rerun}. If it happens again, ask Sepurux about this run.",
                )

    async def _poll_until_decided(self) -> RunDecision:
        step = self._step
        polls = Polls(started=step.elapsed(), deadline=self.gate.timeout_s)
        while True:
            response, last = await self._poll(polls)
            before = polls.retry.error
            found = next_poll(polls, response, step.elapsed(), step.calls.jitter(), last=last)
            if isinstance(found, RunDecision):
                return found
            polls, seconds = found
            if seconds is None:
                raise self._out_of_time(polls)
            if (error := polls.retry.error) and not (before and before.reason == error.reason):
                self._log(f"poll failed: {error.reason}; next poll in {number_format.duration(seconds)}")
            await asyncio.sleep(seconds)

    async def _poll(self, polls: Polls) -> tuple[RunDecision | TransientError, bool]:
        """Return what one poll shows, and whether it was the last; raises EvaluationError if it was rejected."""
        run_id, batch_id = self.result.run_id, self.result.batch_id
        call = api.poll_run(run_id=run_id, batch_id=batch_id, project=self.gate.project)
        result, last = await self._step.poll(call, self.gate.timeout_s)
        if isinstance(result, PermanentError):
            if result.status == NOT_FOUND and self.result.earlier:  # Sepurux does not know the run any more
                return replace(CANCELLED, rule=Rule.EVALUATION_FAILED), last
            if result.status != NOT_FOUND or self._step.elapsed() - polls.started >= schedule.YOUNG_RUN_S:
                raise EvaluationError(result.reason, result.hint, outage=result.outage)
            return TransientError(reason=result.reason, status=result.status, reached=True), last
        if isinstance(result, TransientError):
            return result, last
        if problem := ci_run.wrong_shape(
            result.payload, run_id=run_id, batch_id=batch_id, campaign_id=self.result.campaign_id
        ):
            return TransientError(reason=problem, reached=True), last
        return self._decide(parse_ci_run(result.payload)), last

    def _decide(self, run: CIRun) -> RunDecision:
        step, before = self._step, self.result.run
        if not run.run_ids and before.run_ids:  # maybe only the response to the start names them
            counted = {SCENARIOS.name: Reading(float(len(set(before.run_ids))))}
            run = replace(run, run_ids=before.run_ids, numbers={**counted, **run.numbers})
        elif run.run_ids != before.run_ids:  # a backend may name a batch's runs only now
            self._claim(*run.run_ids)
        self.result = replace(self.result, run=run)
        self._enter(run.status or "running")
        if run.dashboard_url and not before.dashboard_url:
            step.show_progress()
            step.output.log(self._labeled(run.dashboard_url))
        decided = decide(run)
        if decided.decision is Decision.PENDING and step.is_new(decided.reason):
            if decided.rule is Rule.UNKNOWN_WORD:
                step.output.annotate(Level.WARNING, decided.reason)
            else:
                step.output.progress(decided.reason)
        return decided

    def _out_of_time(self, polls: Polls) -> EvaluationError:
        timeout_s, decision, error = self.gate.timeout_s, polls.decision, polls.retry.error
        waited, failed = min(self._step.elapsed(), timeout_s), error.reason if error else ""
        if error and error.retry_after_s is not None:
            asked = number_format.duration(polls.retry.wait(0))
            failed += f", and Sepurux asked to wait {asked}, longer than the time that is left"
        if decision is None:
            hint = f"{{Rerun}}, or raise {{timeout}} (now {number_format.duration(timeout_s)})."
            reason = f"No poll of the run succeeded within {number_format.duration(waited)}: {failed}"
            return EvaluationError(reason, hint, outage=error.outage if error else Outage.NO)
        if decision.rule is Rule.FINISHED_UNDECIDED:
            return EvaluationError(decision.reason, NEXT_STEPS[decision.rule])
        why = f": {decision.reason}" if decision.rule is Rule.UNKNOWN_WORD else ""
        why += f"; the last poll failed: {failed}" if failed else ""
        self.result = replace(self.result, elapsed_s=waited)  # what a report shows is what the reason says
        reason = f"No decision after {number_format.duration(waited)}{why}"
        return StillPending(reason, NEXT_STEPS[decision.rule], detail=why.lstrip(":; "))

    @property
    def _run_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.result.run.run_ids)) or (self.result.run_id or self.result.batch_id,)

    @property
    def _limits_score(self) -> bool:
        return bool({RELIABILITY_SCORE.threshold, RELIABILITY_SCORE.drop} & self.gate.limits.keys())

    async def _read_numbers(self) -> Outage:
        """Read what the decision needs and no poll reports; return whether an outage is why a score is unknown."""
        outage = Outage.NO
        if self._limits_score and self.result.run.reading(RELIABILITY_SCORE).missing:
            outage = await self._read_score()
        if LOWEST_SCENARIO.threshold in self.gate.limits and not self.gate.names_traces and len(self._run_ids) > 1:
            await self._read_batch()
        return outage

    async def _read_score(self) -> Outage:
        """Add the mean score of all runs to the result; return whether an outage is why one is unknown.

        One that is not usable, or not read in time, is the score of the result.
        """
        self._enter("reading the reliability score")
        timeout_s = max(self.gate.timeout_s, self._step.elapsed() + schedule.SCORE_S)
        read = list(await asyncio.gather(*(self._score_of(each, timeout_s) for each in self._run_ids)))
        if len(self.result.run.run_ids) >= ci_run.MAX_RUN_IDS:
            unread = Reading(broken=f"could not be read: the batch has {ci_run.MAX_RUN_IDS:,} or more runs")
            read.append((unread, Outage.NO))
        values = [score.value for score, _ in read if score.value is not None]
        broken = [(score, outage) for score, outage in read if score.broken]
        score = Reading()
        if broken:
            score = broken[0][0]
        elif values:
            of_all = "" if len(values) == len(read) else f"{len(values)} of {len(read)} runs"
            score = Reading(RELIABILITY_SCORE.rounded(RELIABILITY_SCORE.together(values)), reported_by=of_all)
        self.result = replace(self.result, run=self.result.run.with_score(score))
        return min((outage for _, outage in broken), default=Outage.NO)

    async def _read_batch(self) -> None:
        """Add the runs of a batch with their numbers to the result. What could not be read is their `problem`."""
        if (count := len(self._run_ids)) > batch_numbers.MAX_RUNS:
            problem = f"not read: the batch has {count:,} runs, and at most {batch_numbers.MAX_RUNS} are read"
            self.result = replace(self.result, problem=problem)
            return
        self._enter("reading the pass rate of each scenario")
        step, campaign_id = self._step, self.result.campaign_id
        retried = partial(step.retried, of_object=True)
        reader = BatchReader(retried, step.elapsed, self.gate.timeout_s, self.gate.project, campaign_id)
        self.result = replace(self.result, of_batch=await reader.read(self._run_ids))

    async def _score_of(self, run_id: str, timeout_s: float) -> tuple[Reading, Outage]:
        """Return the score of one run, missing if the backend shows none to this secret, and why it is not known."""
        call = api.reliability(self.result.campaign_id, run_id, self.gate.project)
        result = await self._step.retried(call, timeout_s, of_object=True)
        if isinstance(result, Success):
            return RELIABILITY_SCORE.read(result.payload), Outage.NO
        if result.status in SCORE_NOT_SHOWN:
            return Reading(), Outage.NO
        reason = json_reader.shorten(result.reason, MAX_REASON_LENGTH)
        return Reading(broken=f"could not be read: {reason}"), result.outage

    async def _read_shown_score(self, run_id: str) -> None:
        """Add a score that decides nothing to the result. If the call fails, a note says why."""
        call = api.reliability(self.result.campaign_id, run_id, self.gate.project)
        result = await self._step.send(call, schedule.SHOWN_SCORE_S)
        if isinstance(result, Success):
            scored = self.result.run.with_score(RELIABILITY_SCORE.read(result.payload))
            self.result = replace(self.result, run=scored)
        else:
            self.result = replace(self.result, note=f"Could not read {call.purpose}: {result.reason}.")

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self._step.show_wait()

    def _log(self, text: str) -> None:
        self._step.output.progress(self._labeled(text))

    def _labeled(self, text: str) -> str:
        names = [self.gate.name] if len(self._step.compared) > 1 else []
        names += [self._trace.label] if len(self.gate.traces) > 1 else []
        return f"[{' / '.join(names)}] {text}" if names else text


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""
