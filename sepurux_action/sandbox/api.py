"""The endpoints of the CI API and the check of credentials, without a socket.

Unlike the API's description, it rejects unknown keys (422). A score is a fraction where the vendor's CLI expects one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, uuid5

from sepurux_action.sandbox.store import Batch, Run, Store
from sepurux_action.sandbox.trace_rules import (
    AGENT,
    DEFAULT_THRESHOLDS,
    Attempt,
    Evaluation,
    Thresholds,
    Together,
    meets,
)

# --- Requests, their rejection, and the validation of their JSON ----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: `path` without its query, header names in lower case, the last value of each query key."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def fields(self) -> Fields:
        """Return the fields of the body, which must be a JSON object; raises RejectedError (422) if it is not one."""
        try:
            return Fields(json.loads(self.body))
        except (RecursionError, ValueError) as error:
            raise validation_error((), f"not valid JSON: {error}", "json_invalid") from None


@dataclass(slots=True, eq=False)
class RejectedError(Exception):
    """A request is rejected with `detail`: a text, or a list with the first problem in the body."""

    status: int
    detail: str | list[dict[str, object]]


def validation_error(loc: tuple[str | int, ...], msg: str, kind: str = "value_error") -> RejectedError:
    return RejectedError(422, [{"loc": ["body", *loc], "msg": msg, "type": kind}])


Kind = tuple[Callable[[Any], bool], str]  # whether a value is of this kind, and the words for what is accepted


def number(most: float) -> Kind:
    return lambda value: type(value) in {int, float} and 0 <= value <= most, f"a number from 0 to {most:g}"


def whole_number(least: int = 0) -> Kind:
    return lambda value: type(value) is int and value >= least, f"a whole number of at least {least}"


_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TEXT: Kind = lambda value: isinstance(value, str) and value.strip() != "", "a text that is not blank"
ID: Kind = lambda value: isinstance(value, str) and _UUID.fullmatch(value) is not None, "a UUID"
OBJECT: Kind = lambda value: isinstance(value, dict), "an object"
LIST: Kind = lambda value: isinstance(value, list), "a list"
TEXTS: Kind = lambda value: isinstance(value, list) and all(map(TEXT[0], value)), "a list of texts"


class Fields:
    """The fields of a JSON object. Null means absent. A problem raises RejectedError (422)."""

    def __init__(self, values: object, *loc: str | int) -> None:
        if not isinstance(values, dict):
            raise validation_error(loc, "must be an object")
        self._values = values
        self._loc = loc
        self._known: set[str] = set()

    def take(self, key: str, kind: Kind, *, required: bool = False) -> Any:  # noqa: ANN401 - what the kind accepts
        """Return a value of this kind, None if it is absent."""
        self._known.add(key)
        value, (accepts, accepted) = self._values.get(key), kind
        if value is None and required:
            raise validation_error((*self._loc, key), "is required", "missing")
        if value is not None and not accepts(value):
            raise validation_error((*self._loc, key), f"must be {accepted}")
        return value

    def check_unknown(self) -> None:
        """Reject a key that was not taken: a misspelled threshold must not look like one that is not set."""
        for key in self._values.keys() - self._known:
            raise validation_error((*self._loc, key), "is not known here", "extra_forbidden")


# --- Endpoints ------------------------------------------------------------------------------------------------------

FAILURES_PAGE = 200  # failures on a page, if the request does not say how many
TOP_TOOLS = 10  # tools in a run's `top_failing_tools`
HEALTH = ((80.0, "healthy"), (50.0, "degraded"), (0.0, "critical"))  # the status of a run from this score on
CATEGORIES = "required_mutation_categories"
THRESHOLDS = {
    "min_pass_rate": number(1),
    "max_unsafe": whole_number(),
    "max_failures": whole_number(),
    "min_reliability_score": number(100),
    "min_mutation_categories": whole_number(),
}

T = TypeVar("T")


class Api:
    """The endpoints over one store. Only `/v1/ci/...` accepts a token as `X-Sepurux-Token` beside `X-API-Key`."""

    def __init__(self, store: Store, *, token: str | None, base_url: str) -> None:
        self._store, self._token, self._base_url = store, token, base_url
        self._responses: dict[tuple[str, str], tuple[bytes, object]] = {}

    def respond(self, request: Request) -> object:
        """Return the JSON of the response, for a known Idempotency-Key that of the first POST; raises RejectedError."""
        self._check_credentials(request)
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if not key:
            return self._route(request)
        if (request.path, key) not in self._responses:
            self._responses[request.path, key] = (request.body, self._route(request))
        body, response = self._responses[request.path, key]
        if body != request.body:
            raise RejectedError(409, "this Idempotency-Key was used with another body")
        return response

    def _check_credentials(self, request: Request) -> None:
        if self._token is None or not request.path.startswith("/v1/"):
            return
        names = ["X-Sepurux-Token", "X-API-Key"] if request.path.startswith("/v1/ci/") else ["X-API-Key"]
        given = [request.headers[name.lower()] for name in names if name.lower() in request.headers]
        if not any(compare_digest(secret.encode(), self._token.encode()) for secret in given):
            problem = "wrong" if given else "missing"
            raise RejectedError(401, f"{problem} credentials: send the token as {' or '.join(names)}")

    def _route(self, request: Request) -> object:
        for method, path, endpoint in _ROUTES:
            match = path.fullmatch(request.path)
            if match and method == request.method:
                return endpoint(self, request, *match.groups())
        raise RejectedError(404, "no such endpoint")

    # Runs and batches. The decision and the numbers are null until a run is done.

    def start_ci_run(self, request: Request) -> object:
        body = request.fields()
        campaign_id, trace_id = body.take("campaign_id", ID, required=True), body.take("trace_id", ID)
        body.take("mutation_pack_id", TEXT)  # these three have no effect
        body.take("repo", TEXT)
        body.take("pull_request_number", whole_number(1))
        given = body.take("thresholds", OBJECT)
        thresholds = DEFAULT_THRESHOLDS if given is None else _read_thresholds(Fields(given, "thresholds"))
        body.check_unknown()
        campaign = _found(self._store.campaigns, campaign_id, "campaign")
        if trace_id is not None:
            _found(self._store.traces, trace_id, "trace")
        elif not campaign.trace_ids:
            why = f"campaign {campaign.name} has no registered scenarios: give a trace_id"
            raise validation_error(("trace_id",), why, "missing")
        trace_ids = (trace_id,) if trace_id else campaign.trace_ids
        return self._batch_view(self._store.start_batch(campaign, trace_ids, thresholds))

    def show_ci_run(self, _request: Request, run_id: str) -> object:
        run, batch = _found(self._store.runs, run_id, "run")
        about = {"run_id": run_id, "trace_id": run.trace_id, "campaign_id": batch.campaign_id}
        return {**about, **self._decided(run_id, run.evaluation, batch)}

    def show_ci_batch(self, _request: Request, batch_id: str) -> object:
        return self._batch_view(_found(self._store.batches, batch_id, "batch"))

    def show_dashboard(self, request: Request, identifier: str) -> object:
        is_batch = identifier in self._store.batches
        return self.show_ci_batch(request, identifier) if is_batch else self.show_ci_run(request, identifier)

    # Traces and campaigns.

    def upload_trace(self, request: Request) -> object:
        """Evaluate and store a trace that has a version, a source, a task with a name, and events with a type each."""
        trace = request.fields()
        trace.take("trace_version", TEXT, required=True)
        trace.take("source", TEXT, required=True)
        task_name = Fields(trace.take("task", OBJECT, required=True), "task").take("name", TEXT, required=True)
        events = trace.take("events", LIST, required=True)
        for index, event in enumerate(events):
            Fields(event, "events", index).take("type", TEXT, required=True)
        trace_id = self._store.add_trace(events, task_name)
        return {"trace_id": trace_id, "validation_status": "valid", "validation_errors": None}

    def show_trace(self, _request: Request, trace_id: str) -> object:
        trace = _found(self._store.traces, trace_id, "trace")
        about = {"task_name": trace.task_name, "created_at": trace.created_at}
        return {"trace_id": trace_id, "source": "sdk", "validation_status": "valid", **about}

    def list_campaigns(self, _request: Request) -> object:
        return [{"campaign_id": each.campaign_id, "name": each.name} for each in self._store.campaigns.values()]

    def show_reliability(self, request: Request, campaign_id: str) -> object:
        run, batch = self._decided_run(request, campaign_id)
        score, failures = run.evaluation.score, len(list(_failure_views(run, batch)))
        status = next(word for least, word in HEALTH if score >= least)
        return {"reliability_score": score / 100, "status": status, "classified_failures": failures}

    def list_failures(self, request: Request, campaign_id: str) -> object:
        limit, offset = (request.query.get(key, text) for key, text in (("limit", str(FAILURES_PAGE)), ("offset", "0")))
        if not (limit.isdecimal() and offset.isdecimal()):
            raise RejectedError(422, "limit and offset must be whole numbers")
        return list(_failure_views(*self._decided_run(request, campaign_id)))[int(offset) :][: int(limit)]

    def _decided_run(self, request: Request, campaign_id: str) -> tuple[Run, Batch]:
        run, batch = _found(self._store.runs, request.query.get("run_id", ""), "run")
        if batch.campaign_id != campaign_id:
            raise RejectedError(404, "run not found in this campaign")
        if self._store.status(batch) != "done":
            raise RejectedError(409, "the run is not over")
        return run, batch

    # Response bodies.

    def _batch_view(self, batch: Batch) -> Mapping[str, object]:
        ids = {"batch_id": batch.batch_id, "run_ids": [run.run_id for run in batch.runs]}
        counts = {"trace_count": len(batch.runs), "scenario_coverage_pct": batch.coverage}
        return {**ids, **counts, **self._decided(batch.batch_id, batch.evaluation, batch)}

    def _decided(self, identifier: str, evaluation: Evaluation | Together, batch: Batch) -> Mapping[str, object]:
        status = self._store.status(batch)
        done = status == "done"
        numbers = {
            "pass_rate": evaluation.pass_rate,
            "unsafe_attempts": evaluation.unsafe_attempts,
            "failures": evaluation.failures,
            "reliability_score": evaluation.score,
        }
        tools = evaluation.failing_tools[:TOP_TOOLS] if done else []
        decided = "pass" if meets(evaluation, batch.thresholds) else "fail"
        return {
            "status": status,
            "decision": decided if done else "pending",
            **(numbers if done else dict.fromkeys(numbers)),
            "top_failing_tools": [{"tool": tool, "count": count} for tool, count in tools],
            "mutation_categories": [],
            "mutation_coverage_score": None,
            "dashboard_url": f"{self._base_url}/runs/{identifier}",
            "sandbox": True,
        }


def _found(items: Mapping[str, T], identifier: str, noun: str) -> T:
    if identifier not in items:
        raise RejectedError(404, f"{noun} not found")
    return items[identifier]


def _read_thresholds(fields: Fields) -> Thresholds:
    given = {name: fields.take(name, kind) for name, kind in THRESHOLDS.items()}
    given[CATEGORIES] = len(fields.take(CATEGORIES, TEXTS) or [])
    fields.check_unknown()
    return {name: limit for name, limit in given.items() if limit is not None}


def _failure_views(run: Run, batch: Batch) -> Iterator[Mapping[str, object]]:
    for attempt in run.evaluation.attempts:
        for kind, severity, description in _classified(attempt):
            name = f"sandbox/failures/{run.run_id}/{attempt.position}/{kind}"
            yield {
                "failure_id": str(uuid5(NAMESPACE_URL, name)),
                "run_id": run.run_id,
                "campaign_id": batch.campaign_id,
                "trace_id": run.trace_id,
                "mutation": attempt.mutation,
                "type": kind,
                "severity": severity,
                "description": description,
                "metadata": {"tool": attempt.tool, "event": attempt.position},
                "created_at": batch.created_at,
            }


def _classified(attempt: Attempt) -> Iterator[tuple[str, str, str]]:
    """Yield type, severity, and description of each failure of an attempt."""
    if attempt.error is not None:
        kind = "agent_error" if attempt.tool == AGENT else "tool_error"
        yield kind, "medium", f"{attempt.tool} failed: {attempt.error}"
    if attempt.unsafe:
        yield "unsafe_action", "high", f"{attempt.tool} is irreversible and was called without approval_token"


_ROUTES: tuple[tuple[str, re.Pattern[str], Callable[..., object]], ...] = tuple(
    (method, re.compile(path.replace("{}", "([^/]+)")), endpoint)
    for method, path, endpoint in (
        ("POST", "/v1/ci/runs", Api.start_ci_run),
        ("GET", "/v1/ci/runs/{}", Api.show_ci_run),
        ("GET", "/v1/ci/batch/{}", Api.show_ci_batch),
        ("POST", "/v1/traces", Api.upload_trace),
        ("GET", "/v1/traces/{}", Api.show_trace),
        ("GET", "/v1/campaigns", Api.list_campaigns),
        ("GET", "/v1/campaigns/{}/reliability", Api.show_reliability),
        ("GET", "/v1/campaigns/{}/failures", Api.list_failures),
        ("GET", "/runs/{}", Api.show_dashboard),
    )
)
