"""Owns the watch over the backend: starts the runs, looks until each is decided or out of time.

Never judges (`core.verdict` does) and never touches a socket or a clock (the courier does).
Source: contract, section 7.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from sepurux_action.core import backoff, ci_api, figures, wire
from sepurux_action.core.ci_api import Answer, Call, Refused, Reply, Trouble
from sepurux_action.core.ci_run import (
    FEWEST_KINDS,
    MOST_KINDS,
    CIRun,
    ClassifiedFailure,
    Enrichment,
    merge_failures,
    parse_ci_run,
    parse_failures,
    parse_score,
)
from sepurux_action.core.gate import Gate, RunResult, Trace
from sepurux_action.core.settings import Settings
from sepurux_action.core.verdict import Decision, Ruling, judge
from sepurux_action.core.wire import Metric
from sepurux_action.core.workflow_commands import Level
from sepurux_action.errors import CannotJudge
from sepurux_action.lanes import Lane, Pause, Send, drive
from sepurux_action.ports import Cancelled, Courier, Place

MOST_NAMES_LISTED = 20  # campaigns that an error text lists
MOST_RUNS_ENRICHED = 10  # runs of one batch whose classified failures are asked for
NO_ROW = 0  # of a ruling that no look led to
OVER_UNDECIDED_ROW = 7
NOT_FOUND = 404
CANCELLED = "The gate was cancelled before there was a verdict."

Announce = Callable[[Sequence[RunResult]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the backend is told about where a run comes from."""

    repo: str = ""
    pull_request: int | None = None


class OutOfTime(CannotJudge):
    """The time is over, and no look at the run ever succeeded."""


class StillPending(CannotJudge):
    """The time is over, and the backend was heard: it just has not decided."""


def watch(
    settings: Settings, origin: Origin, courier: Courier, place: Place, announce: Announce
) -> tuple[tuple[RunResult, ...], ...]:
    """Return the results of each gate's runs, in the order of gates and traces; always, and within their timeouts.

    `announce` is told what is known of the runs that have started, at once and then every few seconds while ids and
    addresses become known. After a signal the runs still open are `error`.
    """
    shared = _Watch(settings, origin, courier, place, announce)
    campaigns = dict.fromkeys((gate.project, gate.campaign) for gate in settings.gates)
    found = drive([_find_campaign(shared, *key) for key in campaigns], courier, beat=shared.beat)
    ids = dict(zip(campaigns, found, strict=True))
    lanes = [_RunLane(shared, gate, trace) for gate in settings.gates for trace in gate.traces]
    shared.lanes = lanes
    walks = [lane.walk(ids[lane.gate.project, lane.gate.campaign]) for lane in lanes]
    results = iter(drive(walks, courier, beat=shared.beat))
    return tuple(tuple(next(results) for _ in gate.traces) for gate in settings.gates)


def campaign_id(payload: object, *, project: str, campaign: str) -> str:
    """Return the id of the campaign of that name; raises CannotJudge that lists the names there are."""
    if not isinstance(payload, list):
        raise CannotJudge("Sepurux answered the list of campaigns with something that is no list")
    entries = [wire.fields(item) for item in payload]
    named = [(entry.get("name"), wire.identifier(entry.get("campaign_id"))) for entry in entries]
    ids = sorted({each for name, each in named if name == campaign and each})
    if len(ids) == 1:
        return ids[0]
    where = f"in project {project}" if project else "(no project is set)"
    if ids:
        raise CannotJudge(f'{len(ids)} campaigns are named "{campaign}" {where}', f"Give the UUID: {' or '.join(ids)}.")
    names = sorted(set(filter(None, (wire.text(name) for name, _ in named))))
    listed = ", ".join(names[:MOST_NAMES_LISTED]) + (", …" if len(names) > MOST_NAMES_LISTED else "")
    has = f"it has {listed}" if listed else "it has none that this secret may see"
    raise CannotJudge(f'campaign "{campaign}" was not found {where}; {has}', "Check `campaign` and `project`.")


class _Watch:
    """What all lanes share: the world, the clock's start, and whether the backend was heard at all."""

    def __init__(self, settings: Settings, origin: Origin, courier: Courier, place: Place, announce: Announce) -> None:
        self.settings = settings
        self.origin = origin
        self.courier = courier
        self.place = place
        self.lanes: list[_RunLane] = []
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
        self._next_announcement = now + max(backoff.ANNOUNCEMENT_S, backoff.ANNOUNCEMENT_S_PER_ID * ids)

    def warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.place.annotate(Level.WARNING, text)

    def beat(self, still_open: int) -> None:
        self._announce_in_time()
        elapsed, left = self.elapsed(), max(0.0, self._patience - self.elapsed())
        what = figures.counted(still_open, "run")
        self.place.line(
            f"waiting for {what}: {figures.duration(elapsed)} elapsed, at most {figures.duration(left)} left"
        )

    def send(self, call: Call, within_s: float) -> Lane[Answer]:
        """Return the answer to one call, noting whether the backend spoke."""
        answer = yield Send(call, within_s)
        if answer is None:
            raise AssertionError("a call always has an answer")
        self._answered = self._answered or not isinstance(answer, Trouble) or answer.answered
        self._announce_in_time()
        return answer

    def persist(self, call: Call, timeout_s: float | None = None) -> Lane[object]:
        """Return the payload of a call that is tried until it is answered; raises CannotJudge otherwise."""
        timeout_s = self._patience if timeout_s is None else timeout_s
        for attempt in count():
            answer = yield from self.send(call, min(ci_api.CALL_S, max(1.0, self._left(timeout_s))))
            match answer:
                case Reply(payload):
                    return payload
                case Refused(reason=reason, hint=hint):
                    raise CannotJudge(reason, hint)
                case Trouble():
                    wait = retry_wait(answer, attempt, self.courier.jitter())
                    if wait >= self._left(timeout_s):
                        raise self._gave_up(call, answer, wait)
                    self.place.line(f"{call.purpose}: {answer.reason}; next try in {figures.duration(wait)}")
                    yield Pause(wait)
        raise AssertionError("the loop has no end of its own")

    def _left(self, timeout_s: float) -> float:
        limit = timeout_s if self._answered else min(timeout_s, backoff.FIRST_ANSWER_S)
        return limit - self.elapsed()

    def _gave_up(self, call: Call, answer: Trouble, wait: float) -> OutOfTime:
        if answer.retry_after_s is not None:
            asked = f"Sepurux asked to wait {figures.duration(wait)}, longer than the time that is left"
            return OutOfTime(f"{asked} ({call.purpose}: {answer.reason})", "Raise `timeout`, or run again later.")
        spent = figures.duration(self.elapsed())
        hint = "Check that `base_url` is right and that this machine may reach it."
        return OutOfTime(
            f"Sepurux gave no usable answer within {spent} ({call.purpose}: {answer.reason})",
            "Check the status of Sepurux, or run again later." if self._answered else hint,
        )


def retry_wait(trouble: Trouble, attempt: int, jitter: float) -> float:
    """Return seconds until the next try: what `Retry-After` asks for, else exponential back-off with full jitter."""
    if trouble.retry_after_s is None:
        return backoff.retry_wait(attempt, jitter)
    return max(backoff.SHORTEST_LOOK_S, trouble.retry_after_s)


def _find_campaign(shared: _Watch, project: str, campaign: str) -> Lane[str | CannotJudge]:
    """Return the campaign's id, or why it cannot be had."""
    try:
        return str(uuid.UUID(campaign))
    except ValueError:
        pass  # a name, to be looked up
    try:
        payload = yield from shared.persist(ci_api.list_campaigns(project))
        return campaign_id(payload, project=project, campaign=campaign)
    except CannotJudge as reason:
        return reason
    except Cancelled:
        return CannotJudge(CANCELLED)


class _RunLane:
    """One CI run from its trace to its result."""

    def __init__(self, shared: _Watch, gate: Gate, trace: Trace) -> None:
        self.gate = gate
        self.result = RunResult(trace=trace.label, ruling=_no_verdict(CANCELLED))
        self._trace = trace
        self._shared = shared
        self._courier = shared.courier

    def judges_otherwise(self, run_id: str, batch_id: str, other: _RunLane) -> bool:
        """Return whether this lane has that very run, started for another trace or other thresholds than `other`."""
        mine = self.result.batch_id or self.result.run_id
        asked = (self.result.trace_id, self.gate.thresholds)
        return mine == (batch_id or run_id) and asked != (other.result.trace_id, other.gate.thresholds)

    def walk(self, campaign: str | CannotJudge) -> Lane[RunResult]:
        """Return what became of the run, whatever happens on the way."""
        try:
            if isinstance(campaign, CannotJudge):
                raise campaign
            self.result = replace(self.result, campaign_id=campaign)
            trace_id = yield from self._upload()
            yield from self._start(campaign, trace_id)
            ruling = yield from self._look_until_decided()
            self.result = replace(self.result, ruling=ruling)
            yield from self._enrich()
        except CannotJudge as failure:
            decision = Decision.PENDING if isinstance(failure, StillPending) else Decision.ERROR
            checks = judge(self.result.run, self.gate.thresholds).checks
            ruling = Ruling(decision=decision, reason=_sentence(failure.reason), row=NO_ROW, checks=checks)
            self.result = replace(self.result, ruling=ruling, hint=failure.hint)
        except Cancelled:
            pass  # what is known by now is the result: before a verdict that is CANCELLED
        self.result = replace(self.result, elapsed_s=self._shared.elapsed())
        self._say(f"{self.result.decision}: {self.result.ruling.reason}")
        return self.result

    def _upload(self) -> Lane[str]:
        """Return the id of the trace to judge, '' for the registered scenarios; uploads a file first."""
        trace_id = self._trace.trace_id
        if self._trace.content is not None:
            key, label = self._courier.new_key(), self._trace.label
            call = ci_api.upload_trace(self._trace.content, label=label, project=self.gate.project, key=key)
            payload = yield from self._shared.persist(call, self.gate.timeout_s)
            trace_id = wire.identifier(wire.fields(payload).get("trace_id"))
            if not trace_id:
                raise CannotJudge(f"Sepurux took the trace {label} but named no usable trace_id")
            self._say(f"uploaded {label} as trace {trace_id}")
        self.result = replace(self.result, trace_id=trace_id)
        return trace_id

    def _start(self, campaign: str, trace_id: str) -> Lane[None]:
        origin = self._shared.origin
        call = ci_api.create_run(
            self.gate,
            campaign,
            trace_id,
            repo=origin.repo,
            pull_request=origin.pull_request,
            key=self._courier.new_key(),
        )
        answer = wire.fields((yield from self._shared.persist(call, self.gate.timeout_s)))
        run_ids = parse_ci_run(answer).run_ids if isinstance(answer.get("run_ids"), list) else ()
        batch_id = wire.identifier(answer.get("batch_id"))
        run_id = wire.identifier(answer.get("run_id")) or (run_ids[0] if len(run_ids) == 1 else "")
        if not (batch_id or run_id):
            raise CannotJudge("Sepurux started the CI run but named no usable run_id or batch_id")
        if any(lane.judges_otherwise(run_id, batch_id, self) for lane in self._shared.lanes):
            raise CannotJudge(f"Sepurux gave two traces the same run {batch_id or run_id}, so one was not judged")
        self.result = replace(self.result, run_id=run_id, batch_id=batch_id, run=CIRun(run_ids=run_ids))
        self._shared.announce()
        self._say(f"started {f'batch {batch_id}' if batch_id else f'run {run_id}'}")

    def _look_until_decided(self) -> Lane[Ruling]:
        """Return the final ruling; raises StillPending or OutOfTime at the deadline."""
        looking = _Looking(self._shared.settings.poll_interval_s, self.gate.timeout_s, self._courier.jitter)
        look = ci_api.look_at(run_id=self.result.run_id, batch_id=self.result.batch_id, project=self.gate.project)
        began = self._shared.elapsed()
        while True:
            pause, within = looking.next_look(self._shared.elapsed())
            yield Pause(pause)
            answer = yield from self._shared.send(look, within)
            waited = self._shared.elapsed() - began
            match self._sensible(answer, waited):
                case Refused(reason=reason, hint=hint):
                    raise CannotJudge(reason, hint)
                case Trouble() as trouble:
                    looking.failed(trouble, waited, self._shared.elapsed())
                    if not looking.over:
                        next_in = figures.duration(looking.wait)
                        self._say(f"a look at the run failed: {trouble.reason}; next look in {next_in}")
                case Reply(payload):
                    news = looking.ruling
                    ruling = looking.read(self._read(payload), waited)
                    if ruling.final:
                        return ruling
                    if not news or news.reason != ruling.reason:
                        self._say(ruling.reason)
            if looking.over:
                raise self._out_of_time(looking)

    def _sensible(self, answer: Answer, waited: float) -> Answer:
        """Return the answer to a look; no object, another run's, or a run not yet found is trouble that may pass."""
        if isinstance(answer, Reply):
            if not isinstance(answer.payload, dict):
                return Trouble(reason="an answer that is no JSON object", answered=True)
            name, ours = ("batch_id", self.result.batch_id) if self.result.batch_id else ("run_id", self.result.run_id)
            if answer.payload.get(name) not in {None, "", ours}:
                return Trouble(reason="an answer about another run", answered=True)
        if isinstance(answer, Refused) and answer.status == NOT_FOUND and waited < backoff.YOUNG_RUN_S:
            return Trouble(reason=answer.reason, status=answer.status, answered=True)
        return answer

    def _read(self, payload: object) -> Ruling:
        before, run = self.result.run, parse_ci_run(payload)
        self.result = replace(self.result, run=run if run.run_ids else replace(run, run_ids=before.run_ids))
        if run.dashboard_url and not before.dashboard_url:
            self._shared.announce()
        ruling = judge(run, self.gate.thresholds)
        if ruling.warning:
            self._shared.warn_once(f"Sepurux answered with a word that this gate does not know: {ruling.warning}.")
        return ruling

    def _out_of_time(self, looking: _Looking) -> CannotJudge:
        spent, trouble = figures.duration(self._shared.elapsed()), looking.trouble
        if looking.ruling is None:
            return OutOfTime(f"no look at the run succeeded within {spent}: {trouble}", "Run again later.")
        if looking.ruling.row == OVER_UNDECIDED_ROW:
            return CannotJudge(looking.ruling.reason, "Run again; if it stays so, ask Sepurux about this run.")
        after = f"; the last look failed: {trouble}" if trouble else ""
        timeout = figures.duration(self.gate.timeout_s)
        return StillPending(
            f"Sepurux had not decided after {spent}{after}",
            f"Raise `timeout` (now {timeout}) if evaluations take this long, or run again.",
        )

    def _enrich(self) -> Lane[None]:
        """Add the score and the classified failures; what cannot be had becomes a note."""
        run, campaign, project = self.result.run, self.result.campaign_id, self.gate.project
        run_ids = run.run_ids or (self.result.run_id or self.result.batch_id,)
        until = self._courier.now() + backoff.ENRICHMENT_S
        notes: list[str] = []

        def ask(call: Call) -> Lane[object]:
            left = until - self._courier.now()
            answer = (yield from self._shared.send(call, left)) if left > 0 else Trouble(reason="no time was left")
            if isinstance(answer, Reply):
                return answer.payload
            notes.append(f"Could not get {call.purpose}: {answer.reason}.")
            return None

        score = Metric()
        if run.reliability_score.missing and len(run_ids) == 1:  # a score of one run of many is not the batch's
            payload = yield from ask(ci_api.reliability(campaign, run_ids[0], project))
            score = parse_score(wire.fields(payload).get("reliability_score"))
        failures: tuple[ClassifiedFailure, ...] = ()
        left_out, most = 0, max(FEWEST_KINDS, MOST_KINDS // len(self._shared.lanes))
        more = len(run_ids) > MOST_RUNS_ENRICHED
        for run_id in run_ids[:MOST_RUNS_ENRICHED]:
            page = parse_failures((yield from ask(ci_api.classified_failures(campaign, run_id, project))))
            failures, lost = merge_failures((*failures, *page), most)
            left_out += lost
            more = more or len(page) >= ci_api.FAILURES_PAGE
        run = run.with_score(score)
        self.result = replace(
            self.result,
            run=run,
            ruling=_with_late_score(self.result.ruling, judge(run, self.gate.thresholds)),
            enrichment=Enrichment(
                failures=failures, left_out=left_out, more_failures=more, notes=tuple(dict.fromkeys(notes))
            ),
        )

    def _say(self, text: str) -> None:
        names = [self.gate.name] if len(self._shared.settings.gates) > 1 else []
        names += [self._trace.label] if len(self.gate.traces) > 1 else []
        self._shared.place.line(f"[{' / '.join(names)}] {text}" if names else text)


class _Looking:
    """When to look next, and what the looks so far amount to. Times are seconds since the watch began."""

    def __init__(self, fixed_s: float | None, timeout_s: float, jitter: Callable[[], float]) -> None:
        self.wait = backoff.look_wait(0, fixed_s)
        self.over = False
        self.trouble = ""
        self.ruling: Ruling | None = None
        self._fixed_s = fixed_s
        self._timeout_s = timeout_s
        self._jitter = jitter
        self._troubles = 0

    def next_look(self, elapsed: float) -> tuple[float, float]:
        """Return the pause before the next look, and the seconds it may take; the last one starts at the deadline."""
        due = elapsed + self.wait
        self.over = due > self._timeout_s - backoff.SHORTEST_LOOK_S
        if self.over:
            return self._timeout_s - elapsed, backoff.LAST_LOOK_S
        return self.wait, min(ci_api.CALL_S, self._timeout_s - due)

    def failed(self, trouble: Trouble, waited: float, elapsed: float) -> None:
        """Note a look that failed, which is not a verdict."""
        self.trouble = trouble.reason
        self._troubles += 1
        self.wait = retry_wait(trouble, self._troubles, self._jitter())
        if trouble.retry_after_s is None:
            self.wait = max(self.wait, backoff.look_wait(waited, self._fixed_s))
        elif elapsed + self.wait > self._timeout_s:
            self.over = True
            asked = f"Sepurux asked to wait {figures.duration(self.wait)}, longer than the time that is left"
            self.trouble = f"{trouble.reason}; {asked}"

    def read(self, ruling: Ruling, waited: float) -> Ruling:
        """Return the ruling of a look that succeeded; row 7 is final when it is seen again, or for the last time."""
        again = self.ruling is not None and self.ruling.row == OVER_UNDECIDED_ROW
        self.trouble, self._troubles, self.ruling = "", 0, ruling
        self.wait = backoff.look_wait(waited, self._fixed_s)
        if ruling.row == OVER_UNDECIDED_ROW:
            self.wait = backoff.SECOND_OPINION_S
            if again or self.over:
                return replace(ruling, final=True)
        return ruling


def _with_late_score(before: Ruling, after: Ruling) -> Ruling:
    """Return the ruling once a score is known: it may break a `pass`, and changes no other decision."""
    return after if before.decision is Decision.PASS else replace(before, checks=after.checks)


def _no_verdict(reason: str) -> Ruling:
    return Ruling(decision=Decision.ERROR, reason=reason, row=NO_ROW)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
