"""The calls of the CI API and the meaning of its responses, as data (docs/architecture.md#limits-and-polling)."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from sepurux_action.common import json_reader
from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.common.wording import joined
from sepurux_action.config.command_line import in_workflow
from sepurux_action.config.options import API_KEY, TOKEN
from sepurux_action.config.settings import Gate
from sepurux_action.evaluation.metrics import sent_limits

CALL_S = 30.0  # the longest that a call may take
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
MAX_OBJECTS = 50_000  # objects and lists of a response: each takes much memory, and no sound response has as many
MAX_DETAIL_LENGTH = 500  # characters of a backend's error text that a reason quotes
FAILURES_PAGE = 200  # classified failures that a call requests; the page size of the vendor's own client
CAMPAIGNS = "/v1/campaigns"
_ABOUT_SCENARIOS = re.compile("scenario|eval.?set|trace_id(: field|) (is )?required", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request. `path` is encoded; `purpose` completes "Sepurux refused ..."; `hint` returns what to do, or ''."""

    path: str
    purpose: str
    method: str = "GET"
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    project: str = ""
    idempotency_key: str = ""
    hint: Callable[[int, str], str] = field(default=lambda _status, _detail: "", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Success:
    payload: object


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """`status` is that of the response of the backend, or of a proxy of it; 0 without one."""

    reason: str
    status: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransientError(_Failure):
    """A failure that may pass. Without `sent`, the call was not sent: a wait was asked for, or no time was left."""

    retry_after_s: float | None = None
    sent: bool = True

    def unsent(self, retry_after_s: float | None) -> "TransientError":
        """Return this failure as that of a call that was not sent because of it."""
        return replace(self, retry_after_s=retry_after_s, sent=False)

    @property
    def no_time_left(self) -> bool:
        return not self.sent and self.retry_after_s is None

    def because_of(self, earlier: "TransientError | None") -> "TransientError":
        """Return this failure; if no time was left for the call, an earlier one is why."""
        return earlier.unsent(None) if self.no_time_left and earlier else self


NO_TIME_LEFT = TransientError(reason="no time was left for the call", sent=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PermanentError(_Failure):
    """A failure that another try would not change. `reason` quotes the backend; `hint` says what to change, or ''."""

    hint: str = ""


ApiResult = Success | TransientError | PermanentError


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    token: Secret | None = None
    api_key: Secret | None = None
    source: str = ""
    words: Callable[[str], str] = in_workflow  # names the settings that give the secrets

    @property
    def names(self) -> str:
        given = ((TOKEN, self.token), (API_KEY, self.api_key))
        return self.words(" and ".join(f"{{{option.name}}}" for option, secret in given if secret))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int
    body: bytes | bytearray
    retry_after_s: float | None = None
    location: str = ""


def list_campaigns(project: str) -> ApiRequest:
    return ApiRequest(path=CAMPAIGNS, purpose="the list of campaigns", project=project)


def upload_trace(content: bytes, label: str, project: str, key: str) -> ApiRequest:
    shown = json_reader.preview(label)
    hints = {
        413: f"Record a shorter trace than {shown}, or split it.",
        422: f"Correct {shown} as Sepurux says here; Sepurux's SDK writes traces that are accepted.",
    }
    return ApiRequest(
        method="POST",
        path="/v1/traces",
        purpose=f"the trace {shown}",
        body=content,
        project=project,
        idempotency_key=key,
        hint=lambda status, _detail: hints.get(status, ""),
    )


def create_run(gate: Gate, campaign_id: str, trace_id: str, metadata: Mapping[str, object], key: str) -> ApiRequest:
    """Return the call that starts a CI run: of the campaign's registered scenarios if `trace_id` is ''."""
    ids = {"trace_id": trace_id or None, "campaign_id": campaign_id, "mutation_pack_id": gate.mutation_pack or None}
    body = {**ids, "thresholds": sent_limits(gate), **metadata}
    campaign, trace = json_reader.preview(gate.campaign), trace_id and f"{{trace_id}} ({json_reader.preview(trace_id)})"
    project = json_reader.preview(gate.project) if gate.project else "not set"
    given = joined(", ", f"{{campaign}} ({campaign})", trace, f"{{project}} ({project})")

    def hint(status: int, detail: str) -> str:
        if status == 404:  # noqa: PLR2004 - HTTP
            return f"Check {given}: one of them does not exist, or the secret may not see it."
        if not trace_id and (not detail or _ABOUT_SCENARIOS.search(detail)):
            return f"Register scenarios for campaign {campaign}, or set {{trace_file}}."
        return ""

    return ApiRequest(
        method="POST",
        path="/v1/ci/runs",
        purpose="the CI run",
        body=json.dumps({name: value for name, value in body.items() if value is not None}).encode(),
        project=gate.project,
        idempotency_key=key,
        hint=hint,
    )


def poll_run(*, run_id: str, batch_id: str, project: str) -> ApiRequest:
    path = f"batch/{quote(batch_id, safe='')}" if batch_id else f"runs/{quote(run_id, safe='')}"
    return ApiRequest(path=f"/v1/ci/{path}", purpose="the poll of the run", project=project)


def reliability(campaign_id: str, run_id: str, project: str) -> ApiRequest:
    path = f"{CAMPAIGNS}/{quote(campaign_id, safe='')}/reliability"
    return ApiRequest(path=path, purpose="the reliability score", query=(("run_id", run_id),), project=project)


def classified_failures(campaign_id: str, run_id: str, project: str) -> ApiRequest:
    """Return the call for the first page of a run's classified failures."""
    path = f"{CAMPAIGNS}/{quote(campaign_id, safe='')}/failures"
    query = (("run_id", run_id), ("limit", str(FAILURES_PAGE)), ("offset", "0"))
    return ApiRequest(path=path, purpose="the classified failures", query=query, project=project)


def show_trace(trace_id: str, project: str) -> ApiRequest:
    return ApiRequest(path=f"/v1/traces/{quote(trace_id, safe='')}", purpose="the trace", project=project)


def parse_response(call: ApiRequest, response: Response, credentials: Credentials, redact: Redactor) -> ApiResult:
    """Return what a response means; never raises. `redact` comes before a cut: half a secret would not be found."""
    status, body = response.status, response.body
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's success class
        try:
            return Success(redact.redact_json(_read_json(body, _read_object)))
        except ValueError as error:
            return TransientError(reason=f"{error} (HTTP {status})", status=status)
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirection class
        where = json_reader.shorten(redact(json_reader.printable(response.location)), MAX_DETAIL_LENGTH)
        return PermanentError(
            reason=f"Sepurux redirected {call.purpose} (HTTP {status}) to {where or 'no address'}",
            status=status,
            hint="Set {base_url} to the API's own address. The gate follows no redirect, which would get the secret.",
        )
    detail = error_detail(body, redact)
    said = detail and f": {detail}"
    if status in {408, 425, 429} or status >= 500:  # noqa: PLR2004 - HTTP's server error class
        wait = response.retry_after_s
        return TransientError(reason=f"HTTP {status}{said}", status=status, retry_after_s=wait)
    if status in {401, 403}:
        refused, hint = credentials.names, _credentials_hint(status, call, credentials)
    else:
        refused = call.purpose
        hint = f"Check that {{base_url}} is the API's address; if it is, ask Sepurux about `{call.method} {call.path}`."
        if detail:
            hint = "Correct what Sepurux names here, in the settings of the gate or at Sepurux."
        hint = call.hint(status, detail) or hint
    return PermanentError(reason=f"Sepurux refused {refused} (HTTP {status}{said})", status=status, hint=hint)


def _read_json(body: bytes | bytearray, read_object: Callable[..., object] | None = None) -> object:
    """Return the JSON of a body; raises ValueError that says what it has instead."""
    if not body.strip():
        raise ValueError("an empty response")
    if body.count(b"{") + body.count(b"[") > MAX_OBJECTS:  # those in texts count too
        raise ValueError(f"a response with more than {MAX_OBJECTS:,} objects and lists")
    try:
        return json.loads(body, object_pairs_hook=read_object)
    except (ValueError, RecursionError):
        raise ValueError("a response that is not JSON") from None


def _read_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is there twice")
    return fields


def error_detail(body: bytes | bytearray, redact: Callable[[str], str]) -> str:
    """Return the text of `{"detail": "..."}`, or of `{"detail": [{"loc": [...], "msg": "..."}]}`, on one short line."""
    try:
        detail = json_reader.as_object(_read_json(body)).get("detail")
    except ValueError:
        return ""
    entries = [*filter(None, [json_reader.text(detail)])]
    for item in map(json_reader.as_object, json_reader.as_array(detail)):
        location = ".".join(str(part) for part in json_reader.as_array(item.get("loc")) if isinstance(part, str | int))
        if message := json_reader.text(item.get("msg")):
            entries.append(joined(": ", json_reader.printable(location), message))
    shown = "; ".join(map(redact, entries)).replace("`", "'")  # reports link what is between them
    return json_reader.shorten(shown, MAX_DETAIL_LENGTH)


def _credentials_hint(status: int, call: ApiRequest, sent: Credentials) -> str:
    project, set_project = f"project {json_reader.preview(call.project)}", ""
    if not call.project:
        project, set_project = "the campaign's project", "Set {project} if the secret needs it."
    if sent.token and not sent.api_key and call.path in {CAMPAIGNS, "/v1/traces"}:
        return "This needs {api_key}, a project API key: a CI token may be enough for CI runs only."
    valid = {401: "is valid and belongs to", 403: "may use"}[status]
    return joined(" ", f"Check that the secret {valid} {project}.", sent.source, set_project)
