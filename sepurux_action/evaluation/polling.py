"""Owns the watch over the backend: starts the runs, looks until each is decided or out of time.

Never judges (`core.verdict` does) and never touches a socket or a clock (the courier does).
Source: contract, section 7.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from sepurux_action.common import json_reader, number_format
from sepurux_action.common.json_reader import Metric
from sepurux_action.config.gate import Gate, Trace
from sepurux_action.config.settings import Settings
from sepurux_action.errors import (
    DEFECTS,
    REPORT_DEFECT,
    Cancelled,
    EvaluationError,
    StillPending,
    TimedOut,
    describe_defect,
)
from sepurux_action.evaluation import api, schedule
from sepurux_action.evaluation.api import ApiRequest, ApiResult, PermanentError, Success, TransientError
from sepurux_action.evaluation.ci_run import (
    MAX_KINDS,
    MIN_KINDS,
    CIRun,
    ClassifiedFailure,
    Enrichment,
    merge_failures,
    parse_ci_run,
    parse_failures,
    parse_score,
    wrong_shape,
)
from sepurux_action.evaluation.courier_protocol import Courier
from sepurux_action.evaluation.decision import Check, Decision, Verdict, decide
from sepurux_action.evaluation.fingerprint import fingerprint
from sepurux_action.evaluation.lanes import Lane, Pause, Send, drive
from sepurux_action.evaluation.result import RunResult
from sepurux_action.host.protocols import Output
from sepurux_action.host.workflow_commands import Level

MAX_NAMES_LISTED = 20  # campaigns that an error text lists
MAX_RUNS_ENRICHED = 10  # runs of one batch whose classified failures are asked for
NO_ROW = 0  # of a verdict that no look led to
OVER_UNDECIDED_ROW = 7
NOT_FOUND = 404
CANCELLED = "The gate was cancelled before there was a verdict."

OnProgress = Callable[[Sequence[RunResult]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMetadata:
    """What the backend is told about where a run comes from."""

    repo: str = ""
    pull_request: int | None = None


def watch(
    settings: Settings, origin: RunMetadata, courier: Courier, output: Output, announce: OnProgress
) -> tuple[tuple[RunResult, ...], ...]:
    """Return the results of each gate's runs, in the order of gates and traces; always, and within their timeouts.

    `announce` is told what is known of the runs that have started, at once and then every few seconds while ids and
    addresses become known. After a signal the runs still open are `error`.
    """
    shared = _PollContext(settings, origin, courier, output, announce)
    shared.lanes = [RunPoller(shared, gate, trace) for gate in settings.gates for trace in gate.traces]
    results = iter(drive([lane.run() for lane in shared.lanes], courier, beat=shared.heartbeat))
    return tuple(tuple(next(results) for _ in gate.traces) for gate in settings.gates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaigns:
    """What is kept of a project's campaign list: the ids of each name that a gate gives, and some of all names."""

    ids: Mapping[str, Sequence[str]]
    names: Sequence[str]

    def find(self, campaign: str, *, project: str) -> str:
        """Return the id of the campaign of that name; raises CannotJudge that lists the names there are."""
        ids = self.ids.get(campaign, ())
        if len(ids) == 1:
            return ids[0]
        where = f"in project {project}" if project else "(no project is set)"
        if ids:
            hint = f"Give the UUID: {' or '.join(ids)}."
            raise EvaluationError(f'{len(ids)} campaigns are named "{campaign}" {where}', hint)
        listed = ", ".join(self.names[:MAX_NAMES_LISTED]) + (", …" if len(self.names) > MAX_NAMES_LISTED else "")
        has = f"it has {listed}" if listed else "it has none that this secret may see"
        raise EvaluationError(f'campaign "{campaign}" was not found {where}; {has}', "Check `campaign` and `project`.")


def parse_campaigns(payload: object, wanted: Collection[str]) -> Campaigns:
    """Return what gates need of a project's campaign list; raises CannotJudge if it is no list."""
    if not isinstance(payload, list):
        raise EvaluationError("Sepurux answered the list of campaigns with something that is no list")
    ids: dict[str, set[str]] = {}
    names = set()
    for entry in map(json_reader.fields, payload):
        name, campaign_id = entry.get("name"), json_reader.identifier(entry.get("campaign_id"))
        if isinstance(name, str) and name in wanted and campaign_id:
            ids.setdefault(name, set()).add(campaign_id)
        names.add(json_reader.text(name))
    listed = heapq.nsmallest(MAX_NAMES_LISTED + 1, names - {""})
    return Campaigns(ids={name: sorted(found) for name, found in ids.items()}, names=listed)


class _PollContext:
    """What all lanes share: the world, the clock's start, and whether the backend was heard at all."""

    def __init__(
        self, settings: Settings, origin: RunMetadata, courier: Courier, output: Output, announce: OnProgress
    ) -> None:
        self.settings = settings
        self.origin = origin
        self.courier = courier
        self.output = output
        self.lanes: list[RunPoller] = []
        self.campaigns: dict[tuple[str, float], Campaigns | EvaluationError | None] = {}  # None while one is fetched
        self._announce = announce
        self._started = courier.now()
        self._answered = False
        self._news = False
        self._next_announcement = self._started
        self._warned: set[str] = set()
        self._patience = max(gate.timeout_s for gate in settings.gates)

    def elapsed(self) -> float:
        return self.courier.now() - self._started

    def announce(self) -> None:
        """Write early outputs: an id or an address has become known."""
        self._news = True
        self._announce_in_time()

    def _announce_in_time(self) -> None:
        """Write what is not yet written, unless the last time was a moment ago: each time writes all ids again."""
        now = self.courier.now()
        if not self._news or now < self._next_announcement:
            return
        known = [lane.result for lane in self.lanes if lane.result.run_id or lane.result.batch_id]
        ids = sum(max(1, len(result.run.run_ids)) for result in known)
        self._announce(known)
        self._news = False
        self._next_announcement = now + max(schedule.ANNOUNCEMENT_S, schedule.ANNOUNCEMENT_S_PER_ID * ids)

    def warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.output.annotate(Level.WARNING, text)

    def heartbeat(self, still_open: int) -> None:
        self._announce_in_time()
        elapsed = number_format.duration(self.elapsed())
        left = number_format.duration(max(0.0, self._patience - self.elapsed()))
        self.output.log(
            f"waiting for {number_format.counted(still_open, 'run')}: {elapsed} elapsed, at most {left} left"
        )

    def send(self, call: ApiRequest, within_s: float) -> Lane[ApiResult]:
        """Return the answer to one call; the wait until it can start is part of its time."""
        until = self.courier.now() + within_s
        return (yield from self._send(Send(call, lambda: until - self.courier.now())))

    def poll(self, call: ApiRequest, seconds: Callable[[], float]) -> Lane[ApiResult]:
        """Return the answer to a poll, which may take as long as `seconds` returns when it starts."""
        return (yield from self._send(Send(call, seconds, is_poll=True)))

    def _send(self, wish: Send) -> Lane[ApiResult]:
        """Return the answer to one call, noting whether the backend spoke."""
        answer = yield wish
        if answer is None:
            raise AssertionError("a call always has an answer")
        self._answered = self._answered or not isinstance(answer, TransientError) or answer.reached
        self._announce_in_time()
        return answer

    def call_with_retry(self, call: ApiRequest, timeout_s: float) -> Lane[object]:
        """Return the payload of a call that is tried until it is answered; raises CannotJudge otherwise."""
        for attempt in count():
            answer = yield from self.send(call, min(api.CALL_S, max(1.0, self._left(timeout_s))))
            match answer:
                case Success(payload):
                    return payload
                case PermanentError() as refused:
                    raise _error_of(refused)
                case TransientError():
                    wait = retry_wait(answer, attempt, self.courier.jitter())
                    if wait >= self._left(timeout_s):
                        raise self._gave_up(call, answer, wait)
                    self.output.log(f"{call.purpose}: {answer.reason}; next try in {number_format.duration(wait)}")
                    yield Pause(wait)
        raise AssertionError("the loop has no end of its own")

    def _left(self, timeout_s: float) -> float:
        limit = timeout_s if self._answered else min(timeout_s, schedule.FIRST_ANSWER_S)
        return limit - self.elapsed()

    def _gave_up(self, call: ApiRequest, answer: TransientError, wait: float) -> TimedOut:
        if answer.retry_after_s is not None:
            asked = f"Sepurux asked to wait {number_format.duration(wait)}, longer than the time that is left"
            return TimedOut(
                f"{asked} ({call.purpose}: {answer.reason})",
                "Raise `timeout`, or run again later.",
                is_outage=answer.is_outage,
            )
        spent = number_format.duration(self.elapsed())
        hint = "Check that `base_url` is right and that this machine may reach it."
        return TimedOut(
            f"Sepurux gave no usable answer within {spent} ({call.purpose}: {answer.reason})",
            "Check the status of Sepurux, or run again later." if self._answered else hint,
            is_outage=answer.is_outage,
        )


def retry_wait(trouble: TransientError, attempt: int, jitter: float) -> float:
    """Return seconds until the next try: what `Retry-After` asks for, else exponential back-off with full jitter."""
    if trouble.retry_after_s is None:
        return schedule.retry_wait(attempt, jitter)
    return max(schedule.MIN_RETRY_AFTER_S, trouble.retry_after_s)


def _error_of(refused: PermanentError) -> EvaluationError:
    return EvaluationError(refused.reason, refused.hint, is_outage=refused.is_outage)


class RunPoller:
    """One CI run from its trace to its result."""

    def __init__(self, shared: _PollContext, gate: Gate, trace: Trace) -> None:
        self.gate = gate
        self.result = RunResult(
            trace=trace.label, verdict=_no_verdict(CANCELLED), trace_may_be_cause=trace.content is not None
        )
        self._trace = trace
        self._shared = shared
        self._courier = shared.courier

    def conflicts_with(self, run_id: str, batch_id: str, other: RunPoller) -> bool:
        """Return whether this lane has that very run, started for something else than `other`."""
        mine = self.result.batch_id or self.result.run_id
        return mine == (batch_id or run_id) and self._fingerprint() != other._fingerprint()

    def _fingerprint(self) -> str:
        """Return the fingerprint of the run's campaign, project, trace, mutation pack and thresholds, ids in use."""
        trace = Trace(label="", trace_id=self.result.trace_id)
        return fingerprint(replace(self.gate, campaign=self.result.campaign_id, traces=(trace,)))

    def run(self) -> Lane[RunResult]:
        """Return what became of the run, whatever happens on the way."""
        try:
            campaign = yield from self._find_campaign()
            self.result = replace(self.result, campaign_id=campaign)
            trace_id = yield from self._upload()
            yield from self._start(campaign, trace_id)
            verdict = yield from self._poll_until_decided()
            self.result = replace(self.result, verdict=verdict)
            yield from self._enrich()
        except EvaluationError as failure:
            self._fail(failure, decide(self.result.run, self.gate.thresholds).checks)
        except DEFECTS as defect:  # the other runs go on
            self._log(f"{describe_defect(defect)}. {REPORT_DEFECT}")
            self._fail(EvaluationError(describe_defect(defect), REPORT_DEFECT))
        except Cancelled:
            pass  # what is known by now is the result: before a verdict that is CANCELLED
        self.result = replace(self.result, elapsed_s=self._shared.elapsed())
        self._log(f"{self.result.decision}: {self.result.verdict.reason}")
        return self.result

    def _fail(self, failure: EvaluationError, checks: tuple[Check, ...] = ()) -> None:
        """End the run without a verdict; a `fail` that is known already stays."""
        if self.result.decision is Decision.FAIL:
            return
        decision = Decision.PENDING if isinstance(failure, StillPending) else Decision.ERROR
        verdict = Verdict(decision=decision, reason=_sentence(failure.reason), rule=NO_ROW, checks=checks)
        may_be_cause = self.result.trace_may_be_cause and not failure.is_outage
        self.result = replace(self.result, verdict=verdict, hint=failure.hint, trace_may_be_cause=may_be_cause)

    def _find_campaign(self) -> Lane[str]:
        """Return the campaign's id; runs of one project with one timeout share a request for its campaign list."""
        project, timeout_s = self.gate.project, self.gate.timeout_s
        try:
            return str(uuid.UUID(self.gate.campaign))
        except ValueError:
            pass  # a name, to be looked up
        lists, key = self._shared.campaigns, (project, timeout_s)
        if key not in lists:
            lists[key] = None
            found: Campaigns | EvaluationError = EvaluationError(CANCELLED)
            try:
                payload = yield from self._shared.call_with_retry(api.list_campaigns(project), timeout_s)
                wanted = {gate.campaign for gate in self._shared.settings.gates if gate.project == project}
                found = parse_campaigns(payload, wanted)
            except EvaluationError as failure:
                found = failure
            finally:
                lists[key] = found
        while (known := lists[key]) is None:
            yield Pause(schedule.SHARED_LOOKUP_S)
        if isinstance(known, EvaluationError):
            raise known
        return known.find(self.gate.campaign, project=project)

    def _upload(self) -> Lane[str]:
        """Return the id of the trace to judge, '' for the registered scenarios; uploads a file first."""
        trace_id = self._trace.trace_id
        if self._trace.content is not None:
            key, label = self._courier.new_key(), self._trace.label
            call = api.upload_trace(self._trace.content, label=label, project=self.gate.project, key=key)
            payload = yield from self._shared.call_with_retry(call, self.gate.timeout_s)
            trace_id = json_reader.identifier(json_reader.fields(payload).get("trace_id"))
            if not trace_id:
                raise EvaluationError(f"Sepurux took the trace {label} but named no usable trace_id")
            self._log(f"uploaded {label} as trace {trace_id}")
        self.result = replace(self.result, trace_id=trace_id)
        return trace_id

    def _start(self, campaign: str, trace_id: str) -> Lane[None]:
        origin = self._shared.origin
        call = api.create_run(
            self.gate,
            campaign,
            trace_id,
            repo=origin.repo,
            pull_request=origin.pull_request,
            key=self._courier.new_key(),
        )
        answer = json_reader.fields((yield from self._shared.call_with_retry(call, self.gate.timeout_s)))
        run_ids = parse_ci_run(answer).run_ids if isinstance(answer.get("run_ids"), list) else ()
        batch_id = json_reader.identifier(answer.get("batch_id"))
        run_id = json_reader.identifier(answer.get("run_id")) or (run_ids[0] if len(run_ids) == 1 else "")
        if not (batch_id or run_id):
            raise EvaluationError("Sepurux started the CI run but named no usable run_id or batch_id")
        if any(lane.conflicts_with(run_id, batch_id, self) for lane in self._shared.lanes):
            raise EvaluationError(
                f"Sepurux gave two different gates or traces the same run {batch_id or run_id}, so one was not judged"
            )
        self.result = replace(self.result, run_id=run_id, batch_id=batch_id, run=CIRun(run_ids=run_ids))
        self._shared.announce()
        self._log(f"started {f'batch {batch_id}' if batch_id else f'run {run_id}'}")

    def _poll_until_decided(self) -> Lane[Verdict]:
        """Return the final verdict; raises StillPending or OutOfTime at the deadline."""
        shared = self._shared
        looking = PollSchedule(
            shared.settings.poll_interval_s, self.gate.timeout_s, self._courier.jitter, shared.elapsed
        )
        while True:
            yield Pause(looking.pause())
            match (yield from self._poll(looking)):
                case PermanentError() as refused:
                    raise _error_of(refused)
                case TransientError() as trouble:
                    looking.failed(trouble)
                    if not looking.over:
                        next_in = number_format.duration(looking.wait)
                        self._log(f"a look at the run failed: {trouble.reason}; next look in {next_in}")
                case CIRun() as run:
                    news = looking.verdict
                    verdict = looking.read(self._read(run))
                    if verdict.final:
                        return verdict
                    if not news or news.reason != verdict.reason:
                        self._log(verdict.reason)
            if looking.over:
                raise self._out_of_time(looking)

    def _poll(self, looking: PollSchedule) -> Lane[CIRun | TransientError | PermanentError]:
        """Return what one poll shows. Its payload is not kept: while a run waits, it holds no more than a CIRun."""
        run_id, batch_id = self.result.run_id, self.result.batch_id
        call = api.poll_run(run_id=run_id, batch_id=batch_id, project=self.gate.project)
        answer = yield from self._shared.poll(call, looking.seconds)
        if (
            isinstance(answer, PermanentError)
            and answer.status == NOT_FOUND
            and looking.waited() < schedule.YOUNG_RUN_S
        ):
            return TransientError(reason=answer.reason, status=answer.status, reached=True)
        if not isinstance(answer, Success):
            return answer
        if mistake := wrong_shape(answer.payload, run_id=run_id, batch_id=batch_id):
            return TransientError(reason=mistake, reached=True)
        return parse_ci_run(answer.payload)

    def _read(self, run: CIRun) -> Verdict:
        before = self.result.run
        self.result = replace(self.result, run=run if run.run_ids else replace(run, run_ids=before.run_ids))
        if run.dashboard_url and not before.dashboard_url:
            self._shared.announce()
        verdict = decide(run, self.gate.thresholds)
        if verdict.warning:
            self._shared.warn_once(f"Sepurux answered with a word that this gate does not know: {verdict.warning}.")
        return verdict

    def _out_of_time(self, looking: PollSchedule) -> EvaluationError:
        spent, trouble = number_format.duration(self._shared.elapsed()), looking.trouble
        if looking.verdict is None:
            reason = f"no look at the run succeeded within {spent}: {trouble}"
            return TimedOut(reason, "Run again later.", is_outage=looking.is_outage)
        if looking.verdict.rule == OVER_UNDECIDED_ROW:
            return EvaluationError(looking.verdict.reason, "Run again; if it stays so, ask Sepurux about this run.")
        after = f"; the last look failed: {trouble}" if trouble else ""
        timeout = number_format.duration(self.gate.timeout_s)
        return StillPending(
            f"Sepurux had not decided after {spent}{after}",
            f"Raise `timeout` (now {timeout}) if evaluations take this long, or run again.",
        )

    def _enrich(self) -> Lane[None]:
        """Add the score and the classified failures; what cannot be had becomes a note."""
        run, campaign, project = self.result.run, self.result.campaign_id, self.gate.project
        run_ids = run.run_ids or (self.result.run_id or self.result.batch_id,)
        until = self._courier.now() + schedule.ENRICHMENT_S
        notes: list[str] = []

        def ask(call: ApiRequest) -> Lane[object]:
            left = until - self._courier.now()
            answer = (
                (yield from self._shared.send(call, left)) if left > 0 else TransientError(reason="no time was left")
            )
            if isinstance(answer, Success):
                return answer.payload
            notes.append(f"Could not get {call.purpose}: {answer.reason}.")
            return None

        score = Metric()
        if run.reliability_score.missing and len(run_ids) == 1:  # a score of one run of many is not the batch's
            payload = yield from ask(api.reliability(campaign, run_ids[0], project))
            score = parse_score(json_reader.fields(payload).get("reliability_score"))
        failures: tuple[ClassifiedFailure, ...] = ()
        left_out, most = 0, max(MIN_KINDS, MAX_KINDS // len(self._shared.lanes))
        more = len(run_ids) > MAX_RUNS_ENRICHED
        for run_id in run_ids[:MAX_RUNS_ENRICHED]:
            page = parse_failures((yield from ask(api.classified_failures(campaign, run_id, project))))
            failures, lost = merge_failures((*failures, *page), most)
            left_out += lost
            more = more or len(page) >= api.FAILURES_PAGE
        run = run.with_score(score)
        self.result = replace(
            self.result,
            run=run,
            verdict=_with_late_score(self.result.verdict, decide(run, self.gate.thresholds)),
            enrichment=Enrichment(
                failures=failures, left_out=left_out, more_failures=more, notes=tuple(dict.fromkeys(notes))
            ),
        )

    def _log(self, text: str) -> None:
        names = [self.gate.name] if len(self._shared.settings.gates) > 1 else []
        names += [self._trace.label] if len(self.gate.traces) > 1 else []
        self._shared.output.log(f"[{' / '.join(names)}] {text}" if names else text)


class PollSchedule:
    """When to look next, and what the looks so far amount to. Times are seconds since the watch began."""

    def __init__(
        self, fixed_s: float | None, timeout_s: float, jitter: Callable[[], float], elapsed: Callable[[], float]
    ) -> None:
        self.wait = 0.0
        self.over = False
        self.trouble = ""
        self.is_outage = False
        self.verdict: Verdict | None = None
        self._fixed_s = fixed_s
        self._timeout_s = timeout_s
        self._jitter = jitter
        self._elapsed = elapsed
        self._began = elapsed()
        self._troubles = 0

    def waited(self) -> float:
        """Return the seconds since the run was started."""
        return self._elapsed() - self._began

    def pause(self) -> float:
        """Return the seconds until the next poll is due; the last one is due at the deadline."""
        left = self._timeout_s - self._elapsed()
        return self.wait if self.wait <= left - schedule.MIN_POLL_WAIT_S else left

    def seconds(self) -> float:
        """Return the seconds that a poll may take if it starts now, and note whether it is the last one."""
        left = self._timeout_s - self._elapsed()
        self.over = left < schedule.MIN_POLL_WAIT_S
        return left + schedule.LAST_LOOK_S if self.over else min(api.CALL_S, left)

    def failed(self, trouble: TransientError) -> None:
        """Note a look that failed, which is not a verdict."""
        self.trouble, self.is_outage = trouble.reason, trouble.is_outage
        self._troubles += 1
        self.wait = retry_wait(trouble, self._troubles, self._jitter())
        if trouble.retry_after_s is None:
            self.wait = max(self.wait, schedule.look_wait(self.waited(), self._fixed_s))
        elif self._elapsed() + self.wait > self._timeout_s:
            self.over = True
            asked = f"Sepurux asked to wait {number_format.duration(self.wait)}, longer than the time that is left"
            self.trouble = f"{trouble.reason}; {asked}"

    def read(self, verdict: Verdict) -> Verdict:
        """Return the verdict of a look that succeeded; row 7 is final when it is seen again, or for the last time."""
        again = self.verdict is not None and self.verdict.rule == OVER_UNDECIDED_ROW
        self.trouble, self._troubles, self.verdict = "", 0, verdict
        self.wait = schedule.look_wait(self.waited(), self._fixed_s)
        if verdict.rule == OVER_UNDECIDED_ROW:
            self.wait = schedule.SECOND_OPINION_S
            if again or self.over:
                return replace(verdict, final=True)
        return verdict


def _with_late_score(before: Verdict, after: Verdict) -> Verdict:
    """Return the verdict once a score is known: it may break a `pass`, and changes no other decision."""
    return after if before.decision is Decision.PASS else replace(before, checks=after.checks)


def _no_verdict(reason: str) -> Verdict:
    return Verdict(decision=Decision.ERROR, reason=reason, rule=NO_ROW)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
