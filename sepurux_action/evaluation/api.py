"""The calls of the CI API, its client, and the meaning of its responses.

A secret goes to the origin of `base_url` and nowhere else (docs/security.md#what-is-defended).
"""

import http.client
import io
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import quote, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from sepurux_action import __version__
from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import is_loopback, preview
from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.common.wording import joined
from sepurux_action.config.command_line import in_workflow
from sepurux_action.config.options import API_KEY, TOKEN
from sepurux_action.config.parsers import similar
from sepurux_action.config.settings import Gate
from sepurux_action.errors import EvaluationError
from sepurux_action.evaluation.metrics import sent_limits
from sepurux_action.evaluation.runs import OTHER_CAMPAIGN, is_about_another, parse_run

CALL_S = 30.0  # the longest that a call may take
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
MAX_OBJECTS = 50_000  # objects and lists of a response: each takes much memory, and no sound response has as many
MAX_DETAIL_LENGTH = 500  # characters of a backend's error text that a reason quotes
FAILURES_PAGE = 200  # failures that a call requests; the page size of the vendor's own client
MAX_NAMES_LISTED = 20  # campaigns that an error text lists
MAX_NAMES_COMPARED = 200  # with the name that was not found: with all of a hostile list, it takes seconds
CONNECT_S, READ_S = 5.0, 15.0
MAX_RETRY_AFTER_S = 7 * 24 * 3600.0  # longer than any timeout; texts that quote it stay short
CLIENT = f"gate-action/{__version__}"
TRANSPORT_ERRORS = (
    *(requests.RequestException, urllib3.exceptions.HTTPError, urllib3.exceptions.ProxySchemeUnsupported),
    *(http.client.HTTPException, OSError, UnicodeError),
)
CAMPAIGNS, TRACES = "/v1/campaigns", "/v1/traces"
HINTS = {  # by the status of a rejection
    404: "Check {campaign}, {trace_id}, and {project}: one of them does not exist, or the secret may not see it.",
    413: "Record a shorter trace, or split it.",
}
UNUSABLE_RESPONSE = "Check that {base_url} is the API's address; if it is, ask Sepurux about this response."
_SECONDS = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request. `path` is encoded, and `purpose` completes "Sepurux refused ..."."""

    path: str
    purpose: str
    method: str = "GET"
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    project: str = ""
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of a call: the JSON of its response, or what failed, which quotes the backend.

    `error` is '' after a success, else `status` is that of the response of the backend, or of a proxy; 0 without one.
    A `temporary` failure may pass, after `retry_after_s` if Sepurux says so; of any other, `hint` says what to change.
    Without `sent`, the call was not sent: a wait was asked for, or no time was left.
    """

    payload: object = None
    error: str = ""
    status: int = 0
    hint: str = ""
    temporary: bool = False
    retry_after_s: float | None = None
    sent: bool = True

    def because_of(self, earlier: "Reply | None") -> "Reply":
        """Return this failure; if no time was left for the call, an earlier one is why."""
        if earlier and not self.sent and self.retry_after_s is None:
            return replace(earlier, retry_after_s=None, sent=False)
        return self


NO_MARKS = str.maketrans("`{}", "'()")  # reports link what is between backticks, and replace names in braces
NO_TIME_LEFT = Reply(error="no time was left for the call", temporary=True, sent=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    token: Secret | None = None
    api_key: Secret | None = None
    where: str = ""  # the secrets are set, as the end of a sentence
    words: Callable[[str], str] = in_workflow  # names the settings that give the secrets


def upload_trace(content: bytes, label: str, project: str, key: str) -> ApiRequest:
    purpose = f"the trace {preview(label)}"
    return ApiRequest(method="POST", path=TRACES, purpose=purpose, body=content, project=project, idempotency_key=key)


def create_run(gate: Gate, campaign_id: str, trace_id: str, metadata: Mapping[str, object], key: str) -> ApiRequest:
    """Return the call that starts a CI run: of the campaign's registered scenarios if `trace_id` is ''."""
    ids = {"trace_id": trace_id or None, "campaign_id": campaign_id, "mutation_pack_id": gate.mutation_pack or None}
    given = {**ids, "thresholds": sent_limits(gate), **metadata}
    body = json.dumps({name: value for name, value in given.items() if value is not None}).encode()
    return ApiRequest(
        method="POST", path="/v1/ci/runs", purpose="the CI run", body=body, project=gate.project, idempotency_key=key
    )


def poll_run(*, run_id: str, batch_id: str, project: str) -> ApiRequest:
    path = f"batch/{quote(batch_id, safe='')}" if batch_id else f"runs/{quote(run_id, safe='')}"
    return ApiRequest(path=f"/v1/ci/{path}", purpose="the poll of the run", project=project)


def of_campaign(what: str, campaign_id: str, run_id: str, project: str, **query: str) -> ApiRequest:
    """Return the call for the `reliability` or the `failures` of a run."""
    path, given = f"{CAMPAIGNS}/{quote(campaign_id, safe='')}/{what}", {"run_id": run_id, **query}
    return ApiRequest(path=path, purpose=f"the {what} of the run", query=tuple(given.items()), project=project)


class Transport:
    def __init__(
        self, base_url: str, credentials: Credentials, redact: Redactor, adapter: BaseAdapter | None = None
    ) -> None:
        self._base_url, self._host = base_url, urlsplit(base_url).hostname or ""
        self._credentials, self._redact = credentials, redact
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        self._headers |= {"User-Agent": CLIENT, "X-Sepurux-SDK": CLIENT}
        if credentials.token:
            self._headers["X-Sepurux-Token"] = credentials.token.reveal()
        if key := credentials.api_key or credentials.token:
            self._headers["X-API-Key"] = key.reveal()
        self._parsing = threading.Lock()  # one response at a time: a parsed one takes many times its size
        self._session = requests.Session()
        # Detect no redirect: requests would read its whole body and parse its target.
        self._session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # noqa: ARG005
        self._session.trust_env = not is_loopback(self._host)  # the proxies and CA bundles of the environment
        self._session.auth = lambda request: request  # requests reads `.netrc` if there is none
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter or HTTPAdapter())

    def send(self, call: ApiRequest, within_s: float) -> Reply:
        """Return the result of one call, whose body is read in time; never raises for anything that a network does."""
        deadline, left, data, status = time.monotonic() + within_s, max(0.1, within_s), None, 0
        try:
            # requests leaves out those that are None.
            own = {"Idempotency-Key": call.idempotency_key or None, "X-Project-Id": call.project.encode() or None}
            headers = {**self._headers, **own}
            if call.body:
                # A stream is sent in pieces: the timeout counts for each of them, and not for a whole trace.
                data, headers["Content-Type"] = io.BytesIO(call.body), "application/json"
            with self._session.request(
                call.method,
                self._base_url + call.path,
                params=call.query,
                data=data,
                headers=headers,
                timeout=(min(CONNECT_S, left), min(READ_S, left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                status = response.status_code  # shows that Sepurux is up, also if the body is cut off
                body = _read_body(response, deadline)
        except TRANSPORT_ERRORS as error:
            return Reply(error=failure_words(self._host, error), status=status, temporary=True)
        if status < 300 and len(body) > MAX_RESPONSE_BYTES:  # noqa: PLR2004 - HTTP
            return Reply(
                error=f"Sepurux sent more than {MAX_RESPONSE_BYTES // 2**20} MiB for {call.purpose}",
                status=status,
                hint="Check that {base_url} is the API's own address.",
            )
        with self._parsing:
            return parse_response(call, response, body, self._credentials, self._redact)


def _read_body(response: requests.Response, deadline: float) -> bytearray:
    """Return the body, only a part of it if it is too long; raises ReadTimeout after the deadline."""
    body = bytearray()
    # read1 returns what has arrived; reading a whole chunk would wait for a slow body.
    while chunk := response.raw.read1(64 * 1024, decode_content=True):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            break
        if time.monotonic() > deadline:
            raise requests.ReadTimeout
    return body


# What happened, without the text of the exception, which may quote addresses and headers.
_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((requests.exceptions.ProxyError,), "the proxy refused the connection to {host}"),
    (
        (requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError),
        "the TLS connection to {host} failed, for example because its certificate is not trusted{check}",
    ),
    ((requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), "{host} did not respond in time"),
    ((urllib3.exceptions.ProtocolError,), "the response of {host} was cut off"),
    ((requests.ConnectionError, ConnectionError), "the connection to {host} failed"),
)


def failure_words(host: str, error: Exception) -> str:
    words = (text for kinds, text in _WORDS if isinstance(error, kinds))
    said = next(words, f"the connection to {{host}} failed ({type(error).__name__})")
    return said.format(host=host, check="" if is_loopback(host) else ": check `REQUESTS_CA_BUNDLE`")


def retry_after(header: str) -> float | None:
    """Return the seconds that a Retry-After header asks for; None for anything but a number, such as a date."""
    return min(MAX_RETRY_AFTER_S, float(header)) if _SECONDS.fullmatch(header) else None


def parse_response(
    call: ApiRequest, response: requests.Response, body: bytes | bytearray, credentials: Credentials, redact: Redactor
) -> Reply:
    """Return what a response means; never raises. `redact` comes before a cut: half a secret would not be found."""
    status = response.status_code
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's success class
        try:
            return Reply(payload=redact.redact_json(_read_json(body)))
        except ValueError as error:
            return Reply(error=f"{error} (HTTP {status})", status=status, temporary=True)
    detail = error_detail(body, redact)
    said = detail and f": {detail}"
    if status in {408, 425, 429} or status >= 500:  # noqa: PLR2004 - HTTP's server error class
        wait = retry_after(response.headers.get("Retry-After", ""))
        return Reply(error=f"HTTP {status}{said}", status=status, temporary=True, retry_after_s=wait)
    if status in {401, 403}:
        refused, hint = _refused_credentials(status, call, credentials)
    else:
        refused = call.purpose
        hint = f"Check that {{base_url}} is the API's address; if it is, ask Sepurux about `{call.method} {call.path}`."
        if detail:
            where = "the trace" if call.path == TRACES else "the settings of the gate"
            hint = f"Correct what Sepurux names here, in {where} or at Sepurux."
        hint = HINTS.get(status, hint)
    return Reply(error=f"Sepurux refused {refused} (HTTP {status}{said})", status=status, hint=hint)


def _read_json(body: bytes | bytearray) -> object:
    """Return the JSON of a body; raises ValueError that says what it has."""
    if not body.strip():
        raise ValueError("an empty response")
    if body.count(b"{") + body.count(b"[") > MAX_OBJECTS:  # those in texts count too
        raise ValueError(f"a response with more than {MAX_OBJECTS:,} objects and lists")
    try:
        return json_reader.parse(body.decode(json.detect_encoding(body)))
    except json_reader.UnusableJson as error:
        raise ValueError(f"a response that cannot be used: {error}") from None
    except ValueError:
        raise ValueError("a response that is not JSON") from None


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
    return json_reader.shorten(redact("; ".join(entries)).translate(NO_MARKS), MAX_DETAIL_LENGTH)


def _refused_credentials(status: int, call: ApiRequest, sent: Credentials) -> tuple[str, str]:
    given = ((TOKEN, sent.token), (API_KEY, sent.api_key))
    names = sent.words(" and ".join(f"{{{option.name}}}" for option, secret in given if secret))
    if sent.token and not sent.api_key and call.path in {CAMPAIGNS, TRACES}:
        return names, "This needs {api_key}, a project API key: a CI token may be enough for CI runs only."
    project, set_project = "the campaign's project", "Set {project} if the secret needs it."
    if call.project:
        project, set_project = f"project {preview(call.project)}", ""
    needed = {401: "a valid secret of", 403: "a secret that may use"}[status]
    return names, joined(" ", f"Set {needed} {project}{sent.where}.", set_project)


def find_campaign(listed: object, campaign: str, project: str) -> str:
    """Return the id of a campaign from the response with the list of them; raises EvaluationError."""
    if not isinstance(listed, list):
        raise EvaluationError("Sepurux sent no list as the list of campaigns", UNUSABLE_RESPONSE)
    entries = [*map(json_reader.as_object, listed)]
    named = (json_reader.identifier(entry.get("campaign_id")) for entry in entries if entry.get("name") == campaign)
    ids = sorted({*named} - {""})
    if len(ids) == 1:
        return ids[0]
    reason, names = f"campaign {preview(campaign)} was not found", ids
    if ids:
        reason = f"{len(ids)} campaigns are named {preview(campaign)}"
    elif names := sorted({json_reader.text(entry.get("name")).translate(NO_MARKS) for entry in entries} - {""}):
        meant = similar(campaign, names[:MAX_NAMES_COMPARED])
        names.sort(key=lambda name: name != meant)
    listed_names = ", ".join(map(preview, names[:MAX_NAMES_LISTED]))
    hint = f"Set {{campaign}} to one of these, or {{project}} to another project: {listed_names}."
    if not names:
        hint = "Check {project} and the secret, which see no campaign, or create the campaign at Sepurux."
    raise EvaluationError(reason + (project and f" in project {preview(project)}"), hint)


def started(response: object, campaign_id: str) -> tuple[str, str, tuple[str, ...]]:
    """Return the ids of the started run and batch, '' if unknown, and of the runs of a batch as far as known."""
    if is_about_another(response, campaign_id):
        raise EvaluationError(f"Sepurux started the CI run, but sent {OTHER_CAMPAIGN}", UNUSABLE_RESPONSE)
    run_ids = parse_run(response).run_ids if isinstance(json_reader.at(response, "run_ids"), list) else ()
    batch_id = json_reader.identifier(json_reader.at(response, "batch_id"))
    run_id = json_reader.identifier(json_reader.at(response, "run_id")) or (run_ids[0] if len(run_ids) == 1 else "")
    if not (batch_id or run_id):
        raise EvaluationError("Sepurux started the CI run, but sent no usable run_id or batch_id", UNUSABLE_RESPONSE)
    return run_id, batch_id, run_ids
