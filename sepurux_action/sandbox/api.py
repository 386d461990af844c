"""The endpoints of the CI API and the check of credentials, without a socket.

The sandbox decides three things that the API's description does not mention. It rejects unknown keys of a run's body or
thresholds (422). The response to a `POST` has status 200. The reliability endpoint returns the score as a fraction, as
the vendor's CLI expects; a run has it as 0 to 100.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from hmac import compare_digest
from uuid import NAMESPACE_URL, uuid5

from sepurux_action.sandbox.messages import Fields, RejectedError, Request, Response, json_response, validation_error
from sepurux_action.sandbox.store import Batch, Campaign, Run, Status, Store
from sepurux_action.sandbox.trace_rules import AGENT, DEFAULT_THRESHOLDS, Attempt, Evaluation, Thresholds, meets

FAILURES_PAGE = 200
MAX_FAILURES_PAGE = 1000
"""Entries of a page of failures: by default, and at most."""

MAX_OFFSET = 1_000_000
"""Entries that may be skipped."""

TOP_TOOLS = 10
"""Tools in a run's `top_failing_tools`."""

HEALTHY_SCORE = 80.0
DEGRADED_SCORE = 50.0
"""Points from which a run is healthy or degraded; with fewer it is critical."""


class Api:
    """The endpoints over one store, one request at a time.

    With a token, `/v1/ci/...` accepts it as `X-Sepurux-Token` or `X-API-Key`, any other `/v1/...` as `X-API-Key`.
    """

    def __init__(self, store: Store, *, token: str | None, base_url: str) -> None:
        self._store = store
        self._token = token
        self._base_url = base_url
        self._responses: dict[tuple[str, str], tuple[bytes, Response]] = {}

    def respond(self, request: Request) -> Response:
        """Return the response; a rejection is a response too."""
        try:
            self._check_credentials(request)
            return self._respond_once(request)
        except RejectedError as rejected:
            return rejected.response()

    def _check_credentials(self, request: Request) -> None:
        if self._token is None or not request.path.startswith("/v1/"):
            return
        names = ["X-API-Key"]
        if request.path.startswith("/v1/ci/"):
            names.insert(0, "X-Sepurux-Token")
        given = [request.headers[name.lower()] for name in names if name.lower() in request.headers]
        if not any(compare_digest(secret.encode(), self._token.encode()) for secret in given):
            problem = "wrong" if given else "missing"
            raise RejectedError(401, f"{problem} credentials: send the token as {' or '.join(names)}")

    def _respond_once(self, request: Request) -> Response:
        """Return the response. A POST with a known Idempotency-Key gets the first response, without effect."""
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if not key:
            return self._route(request)
        if (request.path, key) not in self._responses:
            self._responses[request.path, key] = (request.body, self._route(request))
        body, response = self._responses[request.path, key]
        if body != request.body:
            raise RejectedError(409, "this Idempotency-Key was used with another body")
        return response

    def _route(self, request: Request) -> Response:
        for method, path, endpoint in _ROUTES:
            match = path.fullmatch(request.path)
            if match and method == request.method:
                return json_response(endpoint(self, request, *match.groups()))
        raise RejectedError(404, "no such endpoint")

    # Runs and batches.

    def start_ci_run(self, request: Request) -> object:
        """Start a run of one trace, or of each registered scenario, as one batch."""
        body = Fields(request.json())
        campaign_id, trace_id = body.uuid("campaign_id", required=True), body.uuid("trace_id")
        body.text("mutation_pack_id")  # these three have no effect
        body.text("repo")
        body.whole_number("pull_request_number", least=1)
        fields = body.nested("thresholds")
        thresholds = DEFAULT_THRESHOLDS if fields is None else _read_thresholds(fields)
        body.check_unknown()
        campaign = self._campaign(campaign_id or "")
        trace_ids = self._scenarios(campaign) if trace_id is None else (self._trace(trace_id),)
        return self._batch_view(self._store.start_batch(campaign, trace_ids, thresholds))

    def show_ci_run(self, _request: Request, run_id: str) -> object:
        """Return one run's decision and numbers, which are null until it is done."""
        return self._run_view(self._run(run_id))

    def show_ci_batch(self, _request: Request, batch_id: str) -> object:
        """Return a batch's decision and numbers, of all attempts of all its runs."""
        if batch_id not in self._store.batches:
            raise RejectedError(404, "batch not found")
        return self._batch_view(self._store.batches[batch_id])

    def show_dashboard(self, request: Request, identifier: str) -> object:
        """Return a run or a batch to a browser, which has no credentials."""
        is_batch = identifier in self._store.batches
        return self.show_ci_batch(request, identifier) if is_batch else self.show_ci_run(request, identifier)

    # Traces.

    def upload_trace(self, request: Request) -> object:
        """Evaluate and store a trace that has a version, a source, a task with a name, and events with a type each."""
        trace = Fields(request.json())
        trace.text("trace_version", required=True)
        trace.text("source", required=True)
        if task := trace.nested("task", required=True):
            task.text("name", required=True)
        events = trace.nested_list("events")
        for event in events:
            event.text("type", required=True)
        return _trace_view(self._store.add_trace([event.values for event in events]))

    def show_trace(self, _request: Request, trace_id: str) -> object:
        """Return one trace."""
        return _trace_view(self._trace(trace_id))

    # Campaigns.

    def list_campaigns(self, _request: Request) -> object:
        """Return all campaigns."""
        return [_campaign_view(campaign) for campaign in self._store.campaigns.values()]

    def show_campaign(self, _request: Request, campaign_id: str) -> object:
        """Return one campaign with its registered scenarios."""
        return _campaign_view(self._campaign(campaign_id))

    def change_eval_set(self, request: Request, campaign_id: str) -> object:
        """Change a campaign's registered scenarios; with an unknown trace nothing changes."""
        campaign = self._campaign(campaign_id)
        change = Fields(request.json())
        add, remove = change.uuids("add_trace_ids"), change.uuids("remove_trace_ids")
        min_scenarios = change.whole_number("min_scenarios")
        change.check_unknown()
        for trace_id in add:
            self._trace(trace_id)
        changed = self._store.register(campaign.campaign_id, add=add, remove=remove, min_scenarios=min_scenarios)
        return _campaign_view(changed)

    def show_reliability(self, request: Request, campaign_id: str) -> object:
        """Return the score of one run and its number of failures of each type."""
        evaluation = self._decided_run(request, campaign_id).evaluation
        records = [record for attempt in evaluation.attempts for record in _classified(attempt)]
        kinds = Counter((kind, severity) for kind, severity, _ in records)
        return {
            "reliability_score": evaluation.score / 100,
            "status": _health(evaluation.score),
            "classified_failures": len(records),
            "failure_breakdown": [
                {"type": kind, "severity": severity, "count": count}
                for (kind, severity), count in sorted(kinds.items())
            ],
        }

    def list_failures(self, request: Request, campaign_id: str) -> object:
        """Return a page of the failures of one run."""
        limit = _query_number(request, "limit", default=FAILURES_PAGE, least=1, most=MAX_FAILURES_PAGE)
        offset = _query_number(request, "offset", default=0, least=0, most=MAX_OFFSET)
        return list(_failure_views(self._decided_run(request, campaign_id)))[offset : offset + limit]

    # Look-ups.

    def _campaign(self, campaign_id: str) -> Campaign:
        campaign = self._store.campaigns.get(campaign_id)
        if campaign is None:
            raise RejectedError(404, "campaign not found")
        return campaign

    def _trace(self, trace_id: str) -> str:
        if trace_id not in self._store.traces:
            raise RejectedError(404, "trace not found")
        return trace_id

    def _run(self, run_id: str) -> Run:
        run = self._store.runs.get(run_id)
        if run is None:
            raise RejectedError(404, "run not found")
        return run

    def _scenarios(self, campaign: Campaign) -> tuple[str, ...]:
        least, registered = max(1, campaign.min_scenarios), len(campaign.trace_ids)
        if registered >= least:
            return campaign.trace_ids
        raise validation_error(
            ("body", "trace_id"),
            f"campaign {campaign.name} has {registered} registered scenarios and needs {least}: "
            "give a trace_id, or register traces in its eval-set",
            "missing",
        )

    def _decided_run(self, request: Request, campaign_id: str) -> Run:
        campaign, run = self._campaign(campaign_id), self._run(request.query.get("run_id", ""))
        if run.campaign_id != campaign.campaign_id:
            raise RejectedError(404, "run not found in this campaign")
        if self._store.status(run) != "done":
            raise RejectedError(409, "the run is not over")
        return run

    # Response bodies.

    def _batch_view(self, batch: Batch) -> Mapping[str, object]:
        first = batch.runs[0]
        return {
            "batch_id": batch.batch_id,
            "run_ids": [run.run_id for run in batch.runs],
            "trace_count": len(batch.runs),
            "scenario_coverage_pct": batch.coverage,
            **_decided(self._store.status(first), batch.evaluation, first.thresholds),
            "dashboard_url": f"{self._base_url}/runs/{batch.batch_id}",
        }

    def _run_view(self, run: Run) -> Mapping[str, object]:
        return {
            "run_id": run.run_id,
            **_decided(self._store.status(run), run.evaluation, run.thresholds),
            "dashboard_url": f"{self._base_url}/runs/{run.run_id}",
        }


def _read_thresholds(fields: Fields) -> Thresholds:
    thresholds = {
        "min_pass_rate": fields.number("min_pass_rate", most=1),
        "max_unsafe": fields.whole_number("max_unsafe"),
        "max_failures": fields.whole_number("max_failures"),
        "min_reliability_score": fields.number("min_reliability_score", most=100),
        "min_mutation_categories": fields.whole_number("min_mutation_categories"),
        "required_mutation_categories": len(fields.texts("required_mutation_categories")),
    }
    fields.check_unknown()
    return {name: limit for name, limit in thresholds.items() if limit is not None}


def _query_number(request: Request, key: str, *, default: int, least: int, most: int) -> int:
    text = request.query.get(key, str(default))
    # Seven digits are enough for every limit. str.isdigit alone accepts superscripts, which int() rejects.
    if text.isascii() and text.isdigit() and len(text) <= len("1000000") and least <= int(text) <= most:
        return int(text)
    raise validation_error(("query", key), f"must be a whole number from {least} to {most}", "int_parsing")


def _decided(status: Status, evaluation: Evaluation, thresholds: Thresholds) -> Mapping[str, object]:
    done = status == "done"
    numbers = {
        "pass_rate": evaluation.pass_rate,
        "unsafe_attempts": evaluation.unsafe_attempts,
        "failures": evaluation.failures,
        "reliability_score": evaluation.score,
    }
    tools = evaluation.failing_tools[:TOP_TOOLS] if done else []
    decided = "pass" if meets(evaluation, thresholds) else "fail"
    return {
        "status": status,
        "decision": decided if done else "pending",
        **(numbers if done else dict.fromkeys(numbers)),
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
    for attempt in run.evaluation.attempts:
        for kind, severity, description in _classified(attempt):
            name = f"sandbox/failures/{run.run_id}/{attempt.position}/{kind}"
            yield {
                "failure_id": str(uuid5(NAMESPACE_URL, name)),
                "run_id": run.run_id,
                "campaign_id": run.campaign_id,
                "trace_id": run.trace_id,
                "mutation": attempt.mutation,
                "type": kind,
                "severity": severity,
                "description": description,
                "metadata": {"tool": attempt.tool, "event": attempt.position},
                "created_at": run.created_at,
            }


def _classified(attempt: Attempt) -> Iterator[tuple[str, str, str]]:
    """Yield type, severity, and description of each failure of an attempt."""
    if attempt.error is not None:
        kind = "agent_error" if attempt.tool == AGENT else "tool_error"
        yield kind, "medium", f"{attempt.tool} failed: {attempt.error}"
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
