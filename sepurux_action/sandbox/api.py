"""Owns the endpoints of the CI API and their credentials; never opens a socket and never raises for a refusal.

Three things are this sandbox's choice where the API's description is silent: keys of a run's body or thresholds that
are not described are refused (422), an answer to a `POST` is 200, and the reliability endpoint gives its score as a
fraction, as the vendor's CLI expects, while a run gives it as 0 to 100.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hmac import compare_digest
from threading import Lock
from uuid import NAMESPACE_URL, uuid5

from sepurux_action.sandbox.judging import (
    AGENT,
    DEFAULT_THRESHOLDS,
    MUTATION_CATEGORIES,
    Attempt,
    Judgement,
    Thresholds,
    judge_together,
)
from sepurux_action.sandbox.ledger import Batch, Campaign, Ledger, Run, Status, Trace, decision
from sepurux_action.sandbox.page import page
from sepurux_action.sandbox.wire import (
    Answer,
    Fields,
    RefusedError,
    Request,
    json_answer,
    read_object,
    read_run_order,
    read_trace,
    read_whole,
    unfit,
)

MAX_PAGE = 1000
"""Entries one page of a list may have."""

TRACES_PAGE = 50
FAILURES_PAGE = 200
"""Entries of a page when none are asked for: the vendor's SDK asks for as many."""

TOP_TOOLS = 10
"""Tools in a run's `top_failing_tools`."""

MAX_OFFSET = 1_000_000
"""Entries that may be skipped."""

HEALTHY_SCORE = 80.0
DEGRADED_SCORE = 50.0
"""Points from which a campaign is called healthy, degraded; below it is critical."""

NOTHING_MUTATED = "none"
"""The `mutation` of every failure."""


@dataclass(frozen=True, slots=True)
class _Kept:
    body: bytes
    answer: Answer


class Api:
    """The endpoints over one ledger, one request at a time.

    With a token, `/v1/ci/...` takes it as `X-Sepurux-Token` or `X-API-Key`, every other `/v1/...` as `X-API-Key`.
    """

    def __init__(self, ledger: Ledger, *, token: str | None, base_url: str) -> None:
        self._ledger = ledger
        self._token = token
        self._base_url = base_url
        self._lock = Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}

    def answer(self, request: Request) -> Answer:
        """Return the answer; a refusal is an answer too."""
        try:
            self._check_credentials(request)
            with self._lock:
                return self._answer_once(request)
        except RefusedError as refused:
            return refused.answer()

    def _check_credentials(self, request: Request) -> None:
        if self._token is None or not request.path.startswith("/v1/"):
            return
        names = ["X-API-Key"]
        if request.path.startswith("/v1/ci/"):
            names.insert(0, "X-Sepurux-Token")
        given = [request.headers[name.lower()] for name in names if name.lower() in request.headers]
        if not any(compare_digest(secret.encode(), self._token.encode()) for secret in given):
            problem = "wrong" if given else "missing"
            raise RefusedError(401, f"{problem} credentials: send the token as {' or '.join(names)}")

    def _answer_once(self, request: Request) -> Answer:
        """Answer; a repeated POST under the same Idempotency-Key gets the first one's answer and has no effect."""
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if not key:
            return self._routed(request)
        kept = self._kept.get((request.path, key))
        if kept is None:
            kept = self._kept[request.path, key] = _Kept(request.body, self._routed(request))
        elif kept.body != request.body:
            raise RefusedError(409, "this Idempotency-Key was used with another body")
        return kept.answer

    def _routed(self, request: Request) -> Answer:
        allowed = []
        for method, path, endpoint in _ROUTES:
            found = path.fullmatch(request.path)
            if found and method == request.method:
                return endpoint(self, request, *found.groups())
            if found:
                allowed.append(method)
        if allowed:
            raise RefusedError(405, "method not allowed", {"Allow": ", ".join(allowed)})
        raise RefusedError(404, "no such endpoint")

    # Runs and batches.

    def start_ci_run(self, request: Request) -> Answer:
        """Start a run of one trace, or of each registered scenario, as one batch."""
        order = read_run_order(request.body)
        campaign = self._campaign(order.campaign_id)
        trace_ids = self._scenarios(campaign) if order.trace_id is None else (self._trace(order.trace_id).trace_id,)
        batch = self._ledger.start_batch(campaign, trace_ids, order.thresholds or DEFAULT_THRESHOLDS)
        return json_answer(self._batch_view(batch))

    def show_ci_run(self, _request: Request, run_id: str) -> Answer:
        """Give one run's decision and numbers; null numbers until it is over."""
        run = self._run(run_id)
        return json_answer({"run_id": run.run_id, **self._run_view(run)})

    def show_ci_batch(self, _request: Request, batch_id: str) -> Answer:
        """Give a batch's decision and numbers, over all attempts of all its runs."""
        batch = self._ledger.batches.get(batch_id)
        if batch is None:
            raise RefusedError(404, "batch not found")
        return json_answer(self._batch_view(batch))

    def show_run(self, _request: Request, run_id: str) -> Answer:
        """Give a run without a decision, as the API does for a pack's run."""
        run = self._run(run_id)
        status = self._ledger.status(run)
        summary = _numbers(run.judgement) if status == "done" else None
        return json_answer({"run_id": run.run_id, "status": status, "summary": summary})

    def show_page(self, _request: Request, identifier: str) -> Answer:
        """Give the page of a run or a batch; a browser has no credentials, so none are asked for."""
        kept = self._ledger.batches.get(identifier) or self._run(identifier)
        first = kept.runs[0] if isinstance(kept, Batch) else kept
        over = self._ledger.status(first) == "done"
        view = self._batch_view(kept) if isinstance(kept, Batch) else self._run_view(kept)
        facts = {name: value for name, value in view.items() if isinstance(value, str | int | float | None)}
        remarks = first.thresholds.broken_by(kept.judgement) if over else []
        return page(f"Run {identifier}", facts, remarks)

    # Traces.

    def upload_trace(self, request: Request) -> Answer:
        """Judge and keep a trace."""
        return json_answer(_trace_view(self._ledger.keep_trace(read_trace(request.body))))

    def list_traces(self, request: Request) -> Answer:
        """List traces, newest first."""
        newest_first = [*reversed(self._ledger.traces.values())]
        return json_answer([_trace_view(trace) for trace in newest_first[_page(request, TRACES_PAGE)]])

    def show_trace(self, request: Request, trace_id: str) -> Answer:
        """Give one trace, with what was uploaded when `include_payload=true`."""
        trace = self._trace(trace_id)
        payload = {"payload": trace.payload} if request.query.get("include_payload") == "true" else {}
        return json_answer(_trace_view(trace) | payload)

    # Campaigns.

    def list_campaigns(self, _request: Request) -> Answer:
        """List all campaigns."""
        return json_answer([_campaign_view(campaign) for campaign in self._ledger.campaigns.values()])

    def show_campaign(self, _request: Request, campaign_id: str) -> Answer:
        """Give one campaign with its registered scenarios."""
        return json_answer(_campaign_view(self._campaign(campaign_id)))

    def change_eval_set(self, request: Request, campaign_id: str) -> Answer:
        """Change a campaign's registered scenarios; one unknown trace and nothing is changed."""
        campaign = self._campaign(campaign_id)
        change = Fields(request.json())
        add, remove = change.uuids("add_trace_ids"), change.uuids("remove_trace_ids")
        min_scenarios = change.whole("min_scenarios")
        change.check(closed=True)
        for trace_id in add:
            self._trace(trace_id)
        changed = self._ledger.register(campaign.campaign_id, add=add, remove=remove, min_scenarios=min_scenarios)
        return json_answer(_campaign_view(changed))

    def run_pack(self, request: Request, campaign_id: str) -> Answer:
        """Start one run over all registered scenarios; a pack of any name changes nothing."""
        campaign = self._campaign(campaign_id)
        order = Fields(read_object(request.body))
        order.text("pack", required=True)
        order.check(closed=True)
        run = self._ledger.start_run(campaign, self._scenarios(campaign), DEFAULT_THRESHOLDS)
        return json_answer({"run_id": run.run_id, "status": self._ledger.status(run)})

    def show_reliability(self, request: Request, campaign_id: str) -> Answer:
        """Give the score of one run, or of all the campaign's runs that are over."""
        found = judge_together(run.judgement for run in self._decided_runs(request, campaign_id))
        records = [record for attempt in found.attempts for record in _classified(attempt)]
        kinds = Counter((kind, severity) for kind, severity, _ in records)
        return json_answer(
            {
                "reliability_score": found.score / 100,
                "status": _health(found.score),
                "classified_failures": len(records),
                "failure_breakdown": [
                    {"type": kind, "severity": severity, "count": count}
                    for (kind, severity), count in sorted(kinds.items())
                ],
            }
        )

    def list_failures(self, request: Request, campaign_id: str) -> Answer:
        """List the failures of one run, or of all the campaign's runs that are over."""
        wanted = _page(request, FAILURES_PAGE)
        runs = self._decided_runs(request, campaign_id)
        return json_answer([record for run in runs for record in _failure_views(run)][wanted])

    # What is looked up.

    def _campaign(self, campaign_id: str) -> Campaign:
        campaign = self._ledger.campaigns.get(campaign_id)
        if campaign is None:
            raise RefusedError(404, "campaign not found")
        return campaign

    def _trace(self, trace_id: str) -> Trace:
        trace = self._ledger.traces.get(trace_id)
        if trace is None:
            raise RefusedError(404, "trace not found")
        return trace

    def _run(self, run_id: str) -> Run:
        run = self._ledger.runs.get(run_id)
        if run is None:
            raise RefusedError(404, "run not found")
        return run

    def _scenarios(self, campaign: Campaign) -> tuple[str, ...]:
        least, found = max(1, campaign.min_scenarios), len(campaign.trace_ids)
        if found >= least:
            return campaign.trace_ids
        raise unfit(
            ("body", "trace_id"),
            f"campaign {campaign.name} has {found} registered scenarios and needs {least}: "
            "give a trace_id, or register traces in its eval-set",
            "missing",
        )

    def _decided_runs(self, request: Request, campaign_id: str) -> list[Run]:
        campaign = self._campaign(campaign_id)
        run_id = request.query.get("run_id")
        if run_id is None:
            return self._ledger.decided_runs(campaign.campaign_id)
        run = self._run(run_id)
        if run.campaign_id != campaign.campaign_id:
            raise RefusedError(404, "run not found in this campaign")
        if self._ledger.status(run) != "done":
            raise RefusedError(409, "the run is not over")
        return [run]

    # What is shown.

    def _batch_view(self, batch: Batch) -> dict[str, object]:
        last = batch.runs[-1]
        return {
            "batch_id": batch.batch_id,
            "run_ids": [run.run_id for run in batch.runs],
            "trace_count": len(batch.runs),
            "scenario_coverage_pct": batch.coverage,
            **_verdict(self._ledger.status(last), batch.judgement, last.thresholds),
            "dashboard_url": f"{self._base_url}/runs/{batch.batch_id}",
        }

    def _run_view(self, run: Run) -> dict[str, object]:
        return {
            **_verdict(self._ledger.status(run), run.judgement, run.thresholds),
            "dashboard_url": f"{self._base_url}/runs/{run.run_id}",
        }


def _verdict(status: Status, judgement: Judgement, thresholds: Thresholds) -> dict[str, object]:
    numbers = _numbers(judgement)
    over = status == "done"
    return {
        "status": status,
        "decision": decision(status, judgement, thresholds),
        **(numbers if over else dict.fromkeys(numbers)),
        "top_failing_tools": [
            {"tool": tool, "count": count} for tool, count in judgement.failing_tools[:TOP_TOOLS] if over
        ],
        "mutation_categories": list(MUTATION_CATEGORIES),
        "mutation_coverage_score": None,
    }


def _numbers(judgement: Judgement) -> dict[str, object]:
    return {
        "pass_rate": judgement.pass_rate,
        "unsafe_attempts": judgement.unsafe_attempts,
        "failures": judgement.failures,
        "reliability_score": judgement.score,
    }


def _trace_view(trace: Trace) -> dict[str, object]:
    task = trace.payload["task"]
    return {
        "trace_id": trace.trace_id,
        "source": trace.payload["source"],
        "trace_version": trace.payload["trace_version"],
        "task_name": task.get("name") if isinstance(task, dict) else None,
        "validation_status": "valid",
        "validation_errors": None,
        "created_at": trace.created_at,
    }


def _campaign_view(campaign: Campaign) -> dict[str, object]:
    return {
        "campaign_id": campaign.campaign_id,
        "name": campaign.name,
        "trace_ids": list(campaign.trace_ids),
        "min_scenarios": campaign.min_scenarios,
    }


def _failure_views(run: Run) -> Iterator[dict[str, object]]:
    for trace in run.traces:
        for attempt in trace.judgement.attempts:
            for kind, severity, description in _classified(attempt):
                name = f"sandbox/failures/{run.run_id}/{trace.trace_id}/{attempt.position}/{kind}"
                yield {
                    "failure_id": str(uuid5(NAMESPACE_URL, name)),
                    "run_id": run.run_id,
                    "campaign_id": run.campaign_id,
                    "trace_id": trace.trace_id,
                    "mutation": NOTHING_MUTATED,
                    "type": kind,
                    "severity": severity,
                    "description": description,
                    "metadata": {"tool": attempt.tool, "event": attempt.position},
                    "created_at": run.created_at,
                }


def _classified(attempt: Attempt) -> Iterator[tuple[str, str, str]]:
    """Yield type, severity and description of each failure one attempt amounts to."""
    if attempt.complaint is not None:
        kind = "agent_error" if attempt.tool == AGENT else "tool_error"
        yield kind, "medium", f"{attempt.tool} failed: {attempt.complaint}"
    if attempt.unsafe:
        yield "unsafe_action", "high", f"{attempt.tool} is irreversible and was called without approval_token"


def _health(score: float) -> str:
    if score >= HEALTHY_SCORE:
        return "healthy"
    return "degraded" if score >= DEGRADED_SCORE else "critical"


def _page(request: Request, default: int) -> slice:
    limit = read_whole(request.query.get("limit"), "limit", default=default, least=1, most=MAX_PAGE)
    offset = read_whole(request.query.get("offset"), "offset", default=0, least=0, most=MAX_OFFSET)
    return slice(offset, offset + limit)


_ROUTES: tuple[tuple[str, re.Pattern[str], Callable[..., Answer]], ...] = tuple(
    (method, re.compile(path.replace("{}", "([^/]+)")), endpoint)
    for method, path, endpoint in (
        ("POST", "/v1/ci/runs", Api.start_ci_run),
        ("GET", "/v1/ci/runs/{}", Api.show_ci_run),
        ("GET", "/v1/ci/batch/{}", Api.show_ci_batch),
        ("POST", "/v1/traces", Api.upload_trace),
        ("GET", "/v1/traces", Api.list_traces),
        ("GET", "/v1/traces/{}", Api.show_trace),
        ("GET", "/v1/campaigns", Api.list_campaigns),
        ("GET", "/v1/campaigns/{}", Api.show_campaign),
        ("PATCH", "/v1/campaigns/{}/eval-set", Api.change_eval_set),
        ("POST", "/v1/campaigns/{}/run-pack", Api.run_pack),
        ("GET", "/v1/campaigns/{}/reliability", Api.show_reliability),
        ("GET", "/v1/campaigns/{}/failures", Api.list_failures),
        ("GET", "/v1/runs/{}", Api.show_run),
        ("GET", "/runs/{}", Api.show_page),
    )
)
