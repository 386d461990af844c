"""Evaluates all gates of a step: starts their runs, polls them until they are decided, and reads what failed."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from urllib.parse import quote

from sepurux_action.common import json_reader, wording
from sepurux_action.common.json_reader import Reading
from sepurux_action.common.wording import capitalized, joined
from sepurux_action.config.options import MAX_FAILURES
from sepurux_action.config.settings import Gate, Trace
from sepurux_action.errors import DEFECTS, REPORT_DEFECT, EvaluationError, Interrupted, describe_defect
from sepurux_action.evaluation import api, runs
from sepurux_action.evaluation.api import NO_TIME_LEFT, Reply
from sepurux_action.evaluation.decision import GateDecision, compare_with_base, decide_gate
from sepurux_action.evaluation.engine import MIN_POLL_WAIT_S, Engine, retry_wait
from sepurux_action.evaluation.gate_numbers import Base, scenarios_of
from sepurux_action.evaluation.metrics import FAILURES, PASS_RATE, RELIABILITY_SCORE, SCENARIOS, summary
from sepurux_action.evaluation.runs import Decision, Rule, Run, Runs, decide, parse_run, wrong_shape
from sepurux_action.host.output import Level, Output

MAX_POLL_WAIT_S = 5.0
POLL_SHARE = 0.05  # of the time waited so far: about 180 polls in ten minutes
SECOND_OPINION_S = 2.0  # between a finished status without a decision and the poll that confirms it
YOUNG_RUN_S = 15.0  # a backend may not know a run yet that it created this short a time ago, and respond 404
SCORE_S = 30.0  # for a score that decides, also after the deadline
SHOWN_SCORE_S = 5.0  # a score that decides nothing
MAX_SCORES = 1_000  # of runs of a batch that are read for their mean
SCENARIOS_S = 20.0  # the numbers and failures of each scenario, for all gates together
MAX_RUNS = 100  # of a batch whose numbers are read
MAX_NAMES = 20  # traces of a step whose names are read
MAX_LISTED = 5_000  # failures of a step that are kept: also after a signal, they are compared and reported in a second
NOT_FOUND = 404
NOT_SHOWN = frozenset({401, 403})  # the backend shows it to another secret
CANCELED = Run(decision=Decision.ERROR, rule=Rule.CANCELED, reason="The run was canceled.", hint="{Rerun}.")


class StepEvaluation:
    """The evaluation of all gates. What failed is read of those that did not pass, or also of those `with_passed`."""

    def __init__(
        self,
        compared: Sequence[tuple[Gate, Base]],
        metadata: Mapping[str, object],
        engine: Engine,
        output: Output,
        *,
        with_passed: bool = False,
    ) -> None:
        self.compared, self.metadata, self.engine = compared, metadata, engine
        self.output, self._with_passed = output, with_passed
        self.claimed = dict[str, object]()  # by the id of a trace, a run, or a batch, its owner
        self._longest_timeout_s = max(gate.timeout_s for gate, _ in compared)
        self._runs = [_Evaluation(self, gate, trace) for gate, _ in compared for trace in gate.traces]
        self._shown = f"{compared[0][0].name}: " if len(compared) == 1 else ""

    def evaluate(self) -> Mapping[str, GateDecision]:
        """Return the results by gate, with the runs in the order of the traces. A backend's failure is a result."""
        self.engine.begin(len(self._runs), self._show_progress, self.output.progress)
        self._show_progress()
        with suppress(Interrupted):
            self.engine.perform((each.evaluate for each in self._runs), self._log_heartbeat)
        decided = []
        for gate, base in self.compared:
            of_gate = tuple(each.run for each in self._runs if each.gate is gate)
            decided.append(decide_gate(gate, of_gate, base))
        self.output.wait("reading what failed", SCENARIOS_S)
        until = self.engine.now() + SCENARIOS_S
        chosen = [each for each in decided if self._with_passed or each.decision is not Decision.PASS]
        readers = {each.gate.name: self._readers(each, until) for each in chosen}
        every, kept = [*chain(*readers.values())], 0
        try:
            with suppress(Interrupted):
                self.engine.perform([partial(_read_failures, self.engine, every)])
        except DEFECTS as defect:
            self.output.log(f"{describe_defect(defect)}. {REPORT_DEFECT}")
        for reader in every:
            kept += len(reader.run.failures)
            if kept > MAX_LISTED:
                reader.run = replace(reader.run, failures=(), unread=True)
            if reader.run.decision.is_decided and not reader.run.failures:
                reader.run = replace(reader.run, failures=runs.own_failures(reader.run, self.output.redact))
        found = dict[str, GateDecision]()
        for each, (gate, base) in zip(decided, self.compared, strict=True):
            read = replace(each, scenarios=each.known_scenarios)
            if gate.name in readers:
                read = _with_read(each, tuple(reader.run for reader in readers[gate.name]))
            found[gate.name] = compare_with_base(read, base.kept)
        return found

    def _readers(self, decided: GateDecision, until: float) -> "list[_RunReader]":
        """Return a reader for the run of each trace of a gate, else for each run of its batch."""
        reader, found = partial(_RunReader, partial(self.engine.send, until=until), decided.gate.project), list[Run]()
        for run in decided.runs:
            run_ids = run.run_ids or tuple(filter(None, [run.run_id]))
            if decided.gate.names_traces or len(run_ids) == 1:
                run_id = run_ids[0] if len(run_ids) == 1 else run.run_id
                found.append(replace(run, run_id=run_id, unread=run.evaluated and run.reported > 0))
            elif run.evaluated:
                found += [Run(run_id=each, campaign_id=run.campaign_id, unread=True) for each in run_ids[:MAX_RUNS]]
        return [*map(reader, found)]

    def _progress(self) -> str:
        if len(self._runs) == 1:
            return f"{self._shown}{self._runs[0].run.status or 'starting'}"
        decided = sum(each.run.decision.is_decided for each in self._runs)
        return f"{self._shown}{decided} of {len(self._runs)} runs decided"

    def _show_progress(self) -> None:
        with self.output.lock:  # what is shown last is the newest
            failed = self.engine.last_error
            what = joined("; ", failed.error if failed else "", self._progress())
            self.output.wait(what, max(0.0, self._longest_timeout_s - self.engine.elapsed()))

    def _log_heartbeat(self) -> None:
        elapsed_s = self.engine.elapsed()
        elapsed, left = map(wording.duration, (elapsed_s, max(0.0, self._longest_timeout_s - elapsed_s)))
        self.output.progress(f"{self._progress()}: {elapsed} elapsed, at most {left} left")


class _Evaluation:
    """The evaluation of one trace: `run` is what is known of its run so far.

    `label` is the gate if there are several, and the trace if the gate has several; '' for the only run.
    """

    def __init__(self, step: StepEvaluation, gate: Gate, trace: Trace) -> None:
        self.step, self.gate, self._engine = step, gate, step.engine
        parts = (gate.name, len(step.compared) > 1), (trace.label, gate.has_several_traces)
        self.label = " / ".join(name for name, is_needed in parts if is_needed)
        self.run = replace(CANCELED, trace=trace)

    def evaluate(self) -> None:
        """Evaluate the trace; after a signal, the run has what is known by then."""
        with suppress(Interrupted):
            try:
                self._start()
                self._poll_until_decided()
                self._read_score()
            except EvaluationError as error:
                self._fail(error, Rule.OUTAGE if self._engine.is_down else Rule.NOT_POLLED)
            except DEFECTS as defect:  # the other runs go on
                self._log(f"{describe_defect(defect)}. {REPORT_DEFECT}")
                self._fail(EvaluationError(describe_defect(defect), REPORT_DEFECT), Rule.NOT_POLLED)
        self.run = run = replace(self.run, elapsed_s=self.run.elapsed_s or round(self._engine.elapsed(), 3))
        self._engine.show_progress()
        # Of several runs, say why: the report, at the end of the log, does not say it of each.
        why = summary(run.numbers) if run.decision.is_decided else run.reason
        self._log(joined(": ", f"{run.decision} after {wording.duration(run.elapsed_s)}", self.label and why))

    def _fail(self, error: EvaluationError, rule: Rule) -> None:
        if self.run.decision is Decision.FAIL:
            return
        decision, reason = Decision.PENDING if error.pending else Decision.ERROR, capitalized(error.reason.rstrip("."))
        hint = error.hint.replace("{now}", wording.duration(self.gate.timeout_s))
        self.run = replace(self.run, decision=decision, rule=rule, reason=f"{reason}.", hint=hint)

    def _log(self, text: str) -> None:
        self.step.output.progress(f"[{self.label}] {text}" if self.label else text)

    # -- start: each call is tried again while its error may pass -----------------------------------------------------

    def _start(self) -> None:
        gate, trace, given, trace_id = self.gate, self.run.trace, "", self.run.trace.trace_id
        with suppress(ValueError):  # if it is a name
            given = str(uuid.UUID(gate.campaign))
        # The list is read also if the id is given: it shows whether Sepurux is up. A CI token may not see it.
        call = api.ApiRequest(path=api.CAMPAIGNS, purpose="the list of campaigns", project=gate.project)
        listed = self._engine.shared(call, gate.timeout_s)
        if not given or listed.status not in NOT_SHOWN:
            payload = self._engine.payload(call, listed)
            given = given or api.find_campaign(payload, gate.campaign, gate.project)
        self.run = replace(self.run, campaign_id=given)
        if trace.content is not None:
            call = api.upload_trace(trace.content, trace.label, gate.project, str(uuid.uuid4()))
            response = self._engine.payload(call, self._engine.retried(call, gate.timeout_s))
            trace_id = json_reader.identifier(json_reader.at(response, "trace_id"))
            if not trace_id:
                told = f"Sepurux accepted {call.purpose}, but sent no usable trace_id"
                raise EvaluationError(told, api.UNUSABLE_RESPONSE)
            self._claim("trace", trace.content, trace_id)
            named = f"{trace.label} as trace {trace_id}" if len(gate.traces) == 1 else f"as {trace_id}"
            self._log(f"uploaded {named}")
        self.run = replace(self.run, trace_id=trace_id)
        of_run = gate
        if trace.flaky:  # its failures do not count
            limits = {name: limit for name, limit in gate.limits.items() if name != MAX_FAILURES.name}
            of_run = replace(gate, limits=limits)
        call = api.create_run(of_run, given, trace_id, self.step.metadata, str(uuid.uuid4()))
        response = self._engine.payload(call, self._engine.retried(call, gate.timeout_s))
        run_id, batch_id, run_ids = api.started(response, given)
        self._claim("run", self, batch_id, run_id, *run_ids)
        self.run = replace(self.run, run_id=run_id, batch_id=batch_id, run_ids=run_ids)
        self._log(f"started batch {batch_id}" if batch_id else f"started run {run_id}")

    def _claim(self, noun: str, owner: object, *ids: str) -> None:
        """Raise EvaluationError if one of the ids has another owner: a run this evaluation, a trace its content."""
        for each in filter(None, ids):
            if self.step.claimed.setdefault(f"{noun} {each}", owner) != owner:
                raise EvaluationError(
                    f"Sepurux sent the same {noun} `{each}` for two gates or traces: one was not evaluated",
                    "{Rerun}. If it happens again, ask Sepurux about this `Sepurux run`.",
                )

    def _poll_until_decided(self) -> None:
        """Poll until there is a final decision: a finished run without one is none until another poll confirms it."""
        engine, started, failed, shown = self._engine, self._engine.elapsed(), 0, self.run
        error: Reply | None = None  # of the last poll
        call = api.poll_run(run_id=shown.run_id, batch_id=shown.batch_id, project=self.gate.project)
        while True:
            response, last = self._poll(call, started)
            wait = min(MAX_POLL_WAIT_S, max(MIN_POLL_WAIT_S, POLL_SHARE * (engine.elapsed() - started)))
            left, before = engine.left(self.gate.timeout_s), error
            if isinstance(response, Reply):
                failed, error = failed + 1, response.because_of(error)
                backoff, asked = retry_wait(failed, error, engine.jitter()), response.retry_after_s is not None
                wait = backoff if asked else max(wait, backoff)
                last = last or (wait > left if asked else not response.sent)
            else:
                confirmed = last or shown.rule is Rule.FINISHED_UNDECIDED
                if response.rule is Rule.FINISHED_UNDECIDED and not confirmed:
                    wait = SECOND_OPINION_S
                elif response.decision is not Decision.PENDING:
                    return
                shown, failed, error = response, 0, None
            if last:
                raise self._out_of_time(call, shown, error)
            if wait > left - MIN_POLL_WAIT_S:  # the last poll is at the deadline
                wait = max(0.0, left)
            if error and not (before and before.error == error.error):
                self._log(f"poll failed: {error.error}; next poll in {wording.duration(wait)}")
            engine.wait(engine.now() + wait)

    def _poll(self, call: api.ApiRequest, started: float) -> tuple[Run | Reply, bool]:
        """Return what one poll shows, or why it failed, and whether it was the last; raises EvaluationError."""
        before, engine, output = self.run, self._engine, self.step.output
        result, last = engine.poll(call, self.gate.timeout_s)
        if result.status == NOT_FOUND and engine.elapsed() - started < YOUNG_RUN_S:
            result = replace(result, temporary=True)
        if not result.error and (problem := wrong_shape(result.payload, before)):
            result = replace(result, payload=None, error=problem, temporary=True)
        if result.temporary:
            return result, last
        run = parse_run(engine.payload(call, result), before)
        engine.heard_s = engine.elapsed()
        if not run.run_ids and before.run_ids:  # maybe only the response to the start names them
            counted = {SCENARIOS.name: Reading(float(len(before.run_ids)))}
            run = replace(run, run_ids=before.run_ids, numbers={**counted, **run.numbers})
        elif run.run_ids != before.run_ids:  # a backend may name a batch's runs only now
            self._claim("run", self, *run.run_ids)
        decided = decide(run)
        is_pending = decided.decision is Decision.PENDING
        if is_pending or run.sepurux_decision not in {"pass", "fail"}:  # they may still change
            run = replace(run, numbers={}, categories=None, failing_tools={})
        elif run.trace.own_failures:  # docs/record.md#what-must-happen
            own = dict.fromkeys((PASS_RATE.name, RELIABILITY_SCORE.name), Reading(0.0))
            run = replace(run, numbers={**run.numbers, **own})
        self.run = run  # which keeps the decision `canceled` until it is decided
        engine.show_progress()
        if run.dashboard_url and not before.dashboard_url:
            output.log(f"[{self.label}] {run.dashboard_url}" if self.label else run.dashboard_url)
        told, is_unknown = f"{self.gate.name}: {decided.reason}", decided.rule is Rule.UNKNOWN_WORD
        if is_pending and engine.is_new(f"{self.gate.name}: {decided.rule}" if is_unknown else told):
            write = partial(output.annotate, Level.WARNING) if is_unknown else output.progress
            write(told)
        return decided, last

    def _out_of_time(self, call: api.ApiRequest, shown: Run, error: Reply | None) -> EvaluationError:
        """Return the error of a run that was not decided in time; pending if a poll has `shown` something."""
        elapsed_s, timeout_s = self._engine.elapsed(), self.gate.timeout_s
        self.run = replace(self.run, elapsed_s=round(min(elapsed_s, timeout_s), 3))  # the same as in the reason
        if error and (shown.rule is Rule.CANCELED or timeout_s - elapsed_s >= MIN_POLL_WAIT_S):
            return self._engine.failure(call, error)
        if shown.rule is Rule.FINISHED_UNDECIDED:
            return EvaluationError(shown.reason, shown.hint)
        hint = f"{shown.reason} {shown.hint}" if shown.rule is Rule.UNKNOWN_WORD else shown.hint
        return EvaluationError(f"No decision after {wording.duration(self.run.elapsed_s)}", hint, pending=True)

    def _read_score(self) -> None:
        """Read a score that decides, then set the decision, then read a score that is only shown; each if missing."""
        run, gate, decided = self.run, self.gate, decide(self.run)
        run_ids = run.run_ids or (run.run_id or run.batch_id,)
        missing = RELIABILITY_SCORE.reading(run.numbers).missing
        is_limited = RELIABILITY_SCORE.threshold in gate.limits and not run.trace.flaky
        if missing and is_limited and decided.decision is Decision.PASS:  # after a signal, it must not pass without it
            score = self._mean_score(run_ids)
            decided, missing = replace(decided, numbers={**run.numbers, RELIABILITY_SCORE.name: score}), False
        self.run = decided
        if not missing or run.sepurux_decision not in {"pass", "fail"} or len(run_ids) > 1:
            return  # it is known, there are no numbers, or it is that of one run of many
        call = api.of_campaign("reliability", run.campaign_id, run_ids[0], gate.project)
        result = self._engine.noted(self._engine.send(call, self._engine.now() + SHOWN_SCORE_S))
        if not result.error:
            score = RELIABILITY_SCORE.read(result.payload)
            self.run = replace(decided, numbers={**decided.numbers, RELIABILITY_SCORE.name: score})

    def _mean_score(self, run_ids: Sequence[str]) -> Reading:
        """Return the mean of the scores, which all must be usable if there are any."""
        if len(run_ids) >= MAX_SCORES:
            return Reading(broken=f"could not be read: the batch has {MAX_SCORES:,} or more runs")
        engine = self._engine
        until_s = max(self.gate.timeout_s, engine.elapsed() + SCORE_S)

        def read_score(run_id: str) -> Reading:
            call = api.of_campaign("reliability", self.run.campaign_id, run_id, self.gate.project)
            result = NO_TIME_LEFT
            if engine.left(until_s) > 0:
                result = engine.retried(call, until_s, of_object=True)
            if not result.error:
                return RELIABILITY_SCORE.read(result.payload)
            is_hidden = result.status in {*NOT_SHOWN, NOT_FOUND}
            return Reading() if is_hidden else Reading(broken=f"could not be read: {result.error}")

        scores = engine.share(run_ids, read_score)
        if broken := next((score for score in scores if score.broken), None):
            return broken
        values = [score.value for score in scores if score.value is not None]
        if not values:
            return Reading()
        reported_by = f"{len(values)} of {len(scores)} runs" if len(values) < len(scores) else ""
        return Reading(RELIABILITY_SCORE.rounded(RELIABILITY_SCORE.combine(values)), reported_by=reported_by)


# -- what failed: docs/reference.md#scenarios-and-numbers -------------------------------------------------------------


class _RunReader:
    """Reads responses about one CI run of an evaluation into `run`, by calls that must end by a time."""

    def __init__(self, send: Callable[[api.ApiRequest], Reply], project: str, run: Run) -> None:
        self.run, self._project, self._send = run, project, send

    def read_numbers(self) -> None:
        result = self._send(api.poll_run(run_id=self.run.run_id, batch_id="", project=self._project))
        if result.error or wrong_shape(result.payload, self.run):
            return
        trace_id = json_reader.identifier(json_reader.at(result.payload, "trace_id"))
        # Hundreds of lists of names would take much memory.
        read = replace(parse_run(result.payload, self.run), categories=None, failing_tools={})
        self.run = replace(decide(read), trace_id=trace_id, unread=read.reported > 0)

    def read_failures(self) -> None:
        """Read the first page of the classified failures. An empty one is complete only if the run reports none.

        Without a trace of its own, their trace is the run's. What Sepurux sends beyond the page is not read.
        """
        run, reported = self.run, self.run.value(FAILURES)
        page = {"limit": str(api.FAILURES_PAGE), "offset": "0"}
        call = api.of_campaign("failures", run.campaign_id, run.run_id, self._project, **page)
        payload = self._send(call).payload
        of_run = isinstance(payload, list) and all(
            isinstance(each, dict)
            and each.get("campaign_id") in (None, run.campaign_id)  # a value may not be hashable
            and each.get("run_id") in (None, run.run_id)
            for each in payload
        )
        first = [*islice(json_reader.as_array(payload), api.FAILURES_PAGE)]
        listed = runs.parse_failures(first) if of_run else ()
        complete = 0 < len(listed) < api.FAILURES_PAGE if reported is None else len(listed) >= reported
        trace_id = run.trace_id or next((each.trace_id for each in listed if each.trace_id), "")
        flaky = bool(run.trace.flaky)
        named = (replace(each, trace_id=run.path or each.trace_id or trace_id, flaky=flaky) for each in listed)
        self.run = replace(run, trace_id=trace_id, failures=runs.merge_failures(named), unread=not complete)

    def read_name(self) -> None:
        path = f"/v1/traces/{quote(self.run.trace_id, safe='')}"
        result = self._send(api.ApiRequest(path=path, purpose="the trace", project=self._project))
        self.run = replace(self.run, name=json_reader.text(result.payload, "task_name"))


def _read_failures(engine: Engine, readers: list[_RunReader]) -> None:
    """Read the numbers of the runs of batches, then what failed, the worst run first; raises Interrupted."""
    engine.share([each for each in readers if each.run.trace is runs.NO_TRACE], _RunReader.read_numbers)
    readers.sort(key=lambda each: runs.numbers_key(each.run.value))
    known = [each for each in readers if each.run.run_id and each.run.evaluated]
    engine.share([each for each in known if each.run.reported], _RunReader.read_failures)
    unnamed = [each for each in readers if each.run.failed and each.run.trace_id and not each.run.path]
    engine.share(unnamed[:MAX_NAMES], _RunReader.read_name)


def _with_read(decided: GateDecision, recordings: Runs) -> GateDecision:
    """Return a decision with its scenarios, the worst first, of what was read of the runs of its traces or batch."""
    gate, failures_unread, scenarios_unread = decided.gate, 0, 0
    is_batch = not (gate.names_traces or len(recordings) == 1)
    of_runs = [recordings] if is_batch else [(each,) for each in recordings]
    for run, of_run in zip(decided.runs, of_runs, strict=True):
        if run.evaluated:
            listed = sum(failure.count for each in of_run for failure in each.failures)
            failures_unread += max(0, int(run.value(FAILURES) or 0) - listed)
            if not gate.names_traces:
                scenarios_unread += max(0, int(run.value(SCENARIOS) or 1) - len(of_run))
    scenarios = [*scenarios_of(gate, decided.runs if is_batch else recordings, recordings)]
    scenarios.sort(key=lambda each: (bool(each.flaky), not each.failed, *runs.numbers_key(each.value)))
    scenarios_unread += sum(any(run.unread for run in each.recordings) for each in scenarios)
    read = replace(decided, failures_unread=failures_unread, scenarios_unread=scenarios_unread)
    return replace(read, scenarios=tuple(scenarios))
