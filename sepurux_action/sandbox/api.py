"""The endpoints of the CI API and their credentials, without a socket.

Three things are this sandbox's choice where the API's description is silent: keys of a run's body or thresholds that
are not described are refused (422), an answer to a `POST` is 200, and the reliability endpoint gives its score as a
fraction, as the vendor's CLI expects, while a run gives it as 0 to 100.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from hmac import compare_digest
from uuid import NAMESPACE_URL, uuid5

from sepurux_action.sandbox.judging import AGENT, DEFAULT_THRESHOLDS, Attempt, Judgement, Thresholds
from sepurux_action.sandbox.ledger import Batch, Campaign, Run, Status, Store
from sepurux_action.sandbox.wire import Answer, Fields, RefusedError, Request, json_answer, validation_error

FAILURES_PAGE = 200
MAX_FAILURES_PAGE = 1000
"""Entries of a page of failures: when none are asked for, and at most."""

MAX_OFFSET = 1_000_000
"""Entries that may be skipped."""

TOP_TOOLS = 10
"""Tools in a run's `top_failing_tools`."""

HEALTHY_SCORE = 80.0
DEGRADED_SCORE = 50.0
"""Points from which a run is called healthy, degraded; below it is critical."""

NOTHING_MUTATED = "none"
"""The `mutation` of every failure."""


class Api:
    """The endpoints over one ledger, one request at a time.

    With a token, `/v1/ci/...` takes it as `X-Sepurux-Token` or `X-API-Key`, every other `/v1/...` as `X-API-Key`.
    """

    def __init__(self, ledger: Store, *, token: str | None, base_url: str) -> None:
        self._ledger = ledger
        self._token = token
        self._base_url = base_url
        self._kept: dict[tuple[str, str], tuple[bytes, Answer]] = {}

    def answer(self, request: Request) -> Answer:
        """Return the answer; a refusal is an answer too."""
        try:
            self._check_credentials(request)
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
        if (request.path, key) not in self._kept:
            self._kept[request.path, key] = (request.body, self._routed(request))
        body, answer = self._kept[request.path, key]
        if body != request.body:
            raise RefusedError(409, "this Idempotency-Key was used with another body")
        return answer

    def _routed(self, request: Request) -> Answer:
        for method, path, endpoint in _ROUTES:
            found = path.fullmatch(request.path)
            if found and method == request.method:
                return json_answer(endpoint(self, request, *found.groups()))
        raise RefusedError(404, "no such endpoint")

    # Runs and batches.

    def start_ci_run(self, request: Request) -> object:
        """Start a run of one trace, or of each registered scenario, as one batch."""
        order = Fields(request.json())
        campaign_id, trace_id = order.uuid("campaign_id", required=True), order.uuid("trace_id")
        order.text("mutation_pack_id")  # these three change nothing
        order.text("repo")
        order.whole("pull_request_number", least=1)
        asked = order.section("thresholds")
        thresholds = DEFAULT_THRESHOLDS if asked is None else _read_thresholds(asked)
        order.close()
        campaign = self._campaign(campaign_id or "")
        trace_ids = self._scenarios(campaign) if trace_id is None else (self._trace(trace_id),)
        return self._batch_view(self._ledger.start_batch(campaign, trace_ids, thresholds))

    def show_ci_run(self, _request: Request, run_id: str) -> object:
        """Give one run's decision and numbers; null numbers until it is over."""
        return self._run_view(self._run(run_id))

    def show_ci_batch(self, _request: Request, batch_id: str) -> object:
        """Give a batch's decision and numbers, over all attempts of all its runs."""
        if batch_id not in self._ledger.batches:
            raise RefusedError(404, "batch not found")
        return self._batch_view(self._ledger.batches[batch_id])

    def show_dashboard(self, request: Request, identifier: str) -> object:
        """Give a run or a batch to a browser, which has no credentials."""
        found = identifier in self._ledger.batches
        return self.show_ci_batch(request, identifier) if found else self.show_ci_run(request, identifier)

    # Traces.

    def upload_trace(self, request: Request) -> object:
        """Judge and keep a trace that has a version, a source, a task with a name and events with a type each."""
        trace = Fields(request.json())
        trace.text("trace_version", required=True)
        trace.text("source", required=True)
        if task := trace.section("task", required=True):
            task.text("name", required=True)
        events = trace.sections("events")
        for event in events:
            event.text("type", required=True)
        return _trace_view(self._ledger.keep_trace([event.values for event in events]))

    def show_trace(self, _request: Request, trace_id: str) -> object:
        """Give one trace."""
        return _trace_view(self._trace(trace_id))

    # Campaigns.

    def list_campaigns(self, _request: Request) -> object:
        """List all campaigns."""
        return [_campaign_view(campaign) for campaign in self._ledger.campaigns.values()]

    def show_campaign(self, _request: Request, campaign_id: str) -> object:
        """Give one campaign with its registered scenarios."""
        return _campaign_view(self._campaign(campaign_id))

    def change_eval_set(self, request: Request, campaign_id: str) -> object:
        """Change a campaign's registered scenarios; one unknown trace and nothing is changed."""
        campaign = self._campaign(campaign_id)
        change = Fields(request.json())
        add, remove = change.uuids("add_trace_ids"), change.uuids("remove_trace_ids")
        min_scenarios = change.whole("min_scenarios")
        change.close()
        for trace_id in add:
            self._trace(trace_id)
        changed = self._ledger.register(campaign.campaign_id, add=add, remove=remove, min_scenarios=min_scenarios)
        return _campaign_view(changed)

    def show_reliability(self, request: Request, campaign_id: str) -> object:
        """Give the score of one run."""
        judgement = self._decided_run(request, campaign_id).judgement
        records = [record for attempt in judgement.attempts for record in _classified(attempt)]
        kinds = Counter((kind, severity) for kind, severity, _ in records)
        return {
            "reliability_score": judgement.score / 100,
            "status": _health(judgement.score),
            "classified_failures": len(records),
            "failure_breakdown": [
                {"type": kind, "severity": severity, "count": count}
                for (kind, severity), count in sorted(kinds.items())
            ],
        }

    def list_failures(self, request: Request, campaign_id: str) -> object:
        """List the failures of one run."""
        limit = _query_number(request, "limit", default=FAILURES_PAGE, least=1, most=MAX_FAILURES_PAGE)
        offset = _query_number(request, "offset", default=0, least=0, most=MAX_OFFSET)
        return list(_failure_views(self._decided_run(request, campaign_id)))[offset : offset + limit]

    # What is looked up.

    def _campaign(self, campaign_id: str) -> Campaign:
        campaign = self._ledger.campaigns.get(campaign_id)
        if campaign is None:
            raise RefusedError(404, "campaign not found")
        return campaign

    def _trace(self, trace_id: str) -> str:
        if trace_id not in self._ledger.traces:
            raise RefusedError(404, "trace not found")
        return trace_id

    def _run(self, run_id: str) -> Run:
        run = self._ledger.runs.get(run_id)
        if run is None:
            raise RefusedError(404, "run not found")
        return run

    def _scenarios(self, campaign: Campaign) -> tuple[str, ...]:
        least, found = max(1, campaign.min_scenarios), len(campaign.trace_ids)
        if found >= least:
            return campaign.trace_ids
        raise validation_error(
            ("body", "trace_id"),
            f"campaign {campaign.name} has {found} registered scenarios and needs {least}: "
            "give a trace_id, or register traces in its eval-set",
            "missing",
        )

    def _decided_run(self, request: Request, campaign_id: str) -> Run:
        campaign, run = self._campaign(campaign_id), self._run(request.query.get("run_id", ""))
        if run.campaign_id != campaign.campaign_id:
            raise RefusedError(404, "run not found in this campaign")
        if self._ledger.status(run) != "done":
            raise RefusedError(409, "the run is not over")
        return run

    # What is shown.

    def _batch_view(self, batch: Batch) -> Mapping[str, object]:
        first = batch.runs[0]
        return {
            "batch_id": batch.batch_id,
            "run_ids": [run.run_id for run in batch.runs],
            "trace_count": len(batch.runs),
            "scenario_coverage_pct": batch.coverage,
            **_verdict(self._ledger.status(first), batch.judgement, first.thresholds),
            "dashboard_url": f"{self._base_url}/runs/{batch.batch_id}",
        }

    def _run_view(self, run: Run) -> Mapping[str, object]:
        return {
            "run_id": run.run_id,
            **_verdict(self._ledger.status(run), run.judgement, run.thresholds),
            "dashboard_url": f"{self._base_url}/runs/{run.run_id}",
        }


def _read_thresholds(asked: Fields) -> Thresholds:
    thresholds = Thresholds(
        min_pass_rate=asked.number("min_pass_rate", most=1),
        max_unsafe=asked.whole("max_unsafe"),
        max_failures=asked.whole("max_failures"),
        min_reliability_score=asked.number("min_reliability_score", most=100),
        min_mutation_categories=asked.whole("min_mutation_categories"),
        required_mutation_categories=asked.texts("required_mutation_categories"),
    )
    asked.close()
    return thresholds


def _query_number(request: Request, key: str, *, default: int, least: int, most: int) -> int:
    text = request.query.get(key, str(default))
    # Seven digits hold every bound used here. str.isdigit alone would let superscripts through to int().
    if text.isascii() and text.isdigit() and len(text) <= len("1000000") and least <= int(text) <= most:
        return int(text)
    raise validation_error(("query", key), f"must be a whole number from {least} to {most}", "int_parsing")


def _verdict(status: Status, judgement: Judgement, thresholds: Thresholds) -> Mapping[str, object]:
    over = status == "done"
    numbers = {
        "pass_rate": judgement.pass_rate,
        "unsafe_attempts": judgement.unsafe_attempts,
        "failures": judgement.failures,
        "reliability_score": judgement.score,
    }
    tools = judgement.failing_tools[:TOP_TOOLS] if over else []
    verdict = "pass" if thresholds.hold_for(judgement) else "fail"
    return {
        "status": status,
        "decision": verdict if over else "pending",
        **(numbers if over else dict.fromkeys(numbers)),
        "top_failing_tools": [{"tool": tool, "count": count} for tool, count in tools],
        "mutation_categories": [],
        "mutation_coverage_score": None,
    }


def _trace_view(trace_id: str) -> Mapping[str, object]:
    return {"trace_id": trace_id, "validation_status": "valid", "validation_errors": None}


def _campaign_view(campaign: Campaign) -> Mapping[str, object]:
    return {
        "campaign_id": campaign.campaign_id,
        "name": campaign.name,
        "trace_ids": list(campaign.trace_ids),
        "min_scenarios": campaign.min_scenarios,
    }


def _failure_views(run: Run) -> Iterator[Mapping[str, object]]:
    for attempt in run.judgement.attempts:
        for kind, severity, description in _classified(attempt):
            name = f"sandbox/failures/{run.run_id}/{attempt.position}/{kind}"
            yield {
                "failure_id": str(uuid5(NAMESPACE_URL, name)),
                "run_id": run.run_id,
                "campaign_id": run.campaign_id,
                "trace_id": run.trace_id,
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


_ROUTES: tuple[tuple[str, re.Pattern[str], Callable[..., object]], ...] = tuple(
    (method, re.compile(path.replace("{}", "([^/]+)")), endpoint)
    for method, path, endpoint in (
        ("POST", "/v1/ci/runs", Api.start_ci_run),
        ("GET", "/v1/ci/runs/{}", Api.show_ci_run),
        ("GET", "/v1/ci/batch/{}", Api.show_ci_batch),
        ("POST", "/v1/traces", Api.upload_trace),
        ("GET", "/v1/traces/{}", Api.show_trace),
        ("GET", "/v1/campaigns", Api.list_campaigns),
        ("GET", "/v1/campaigns/{}", Api.show_campaign),
        ("PATCH", "/v1/campaigns/{}/eval-set", Api.change_eval_set),
        ("GET", "/v1/campaigns/{}/reliability", Api.show_reliability),
        ("GET", "/v1/campaigns/{}/failures", Api.list_failures),
        ("GET", "/runs/{}", Api.show_dashboard),
    )
)
