"""Sends calls to Sepurux. A secret goes to the origin of `base_url` and nowhere else (docs/security.md#secrets)."""

import email.utils
import http.client
import io
import os
import re
import ssl
import threading
import time
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3

from sepurux_action import __version__
from sepurux_action.common.json_reader import is_loopback, preview
from sepurux_action.common.secret import Redactor
from sepurux_action.evaluation import api
from sepurux_action.evaluation.api import ApiRequest, Result

CONNECT_S = 5.0
READ_S = 15.0
MAX_RETRY_AFTER_S = 7 * 24 * 3600.0  # longer than any timeout; texts that quote it stay short
CHUNK_BYTES = 64 * 1024
CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # the variables that requests reads, the first one first
_MISSING_BUNDLE = re.compile(r"CA certificate bundle, invalid path: (.+)")  # in an error of requests
CLIENT = f"gate-action/{__version__}"
TRANSPORT_ERRORS = (
    *(requests.RequestException, urllib3.exceptions.HTTPError, urllib3.exceptions.ProxySchemeUnsupported),
    *(http.client.HTTPException, OSError, UnicodeError),
)


class Transport:
    def __init__(
        self,
        base_url: str,
        credentials: api.Credentials,
        redact: Redactor,
        adapter: requests.adapters.BaseAdapter | None = None,
    ) -> None:
        self._base_url = base_url
        self._host = urlsplit(base_url).hostname or ""
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
            self._session.mount(scheme, adapter or requests.adapters.HTTPAdapter())

    def send(self, call: ApiRequest, within_s: float) -> Result:
        """Return the result of one call, whose body is read in time; never raises for anything that a network does."""
        try:
            return self._exchange(call, time.monotonic() + within_s)
        except TRANSPORT_ERRORS as error:
            return Result(error=failure_words(self._host, error), temporary=True)

    def _exchange(self, call: ApiRequest, deadline: float) -> Result:
        left, data = max(0.1, deadline - time.monotonic()), None
        # requests leaves out those that are None.
        own = {"Idempotency-Key": call.idempotency_key or None, "X-Project-Id": call.project.encode() or None}
        headers = {**self._headers, **own}
        if call.body:
            # A stream is sent in pieces: the timeout counts for each of them, and not for a whole trace.
            data, headers["Content-Type"] = io.BytesIO(call.body), "application/json"
        response = self._session.request(
            call.method,
            self._base_url + call.path,
            params=call.query,
            data=data,
            headers=headers,
            timeout=(min(CONNECT_S, left), min(READ_S, left)),
            allow_redirects=False,
            stream=True,
        )
        with response:
            try:
                body = _read_body(response, deadline)
            except TRANSPORT_ERRORS as error:  # its status shows that Sepurux is up
                return Result(error=failure_words(self._host, error), status=response.status_code, temporary=True)
            if response.status_code < 300 and len(body) > api.MAX_RESPONSE_BYTES:  # noqa: PLR2004 - HTTP
                return Result(
                    error=f"Sepurux sent more than {api.MAX_RESPONSE_BYTES // 2**20} MiB for {call.purpose}",
                    status=response.status_code,
                    hint="Check that {base_url} is the API's own address.",
                )
            now = _http_date(response.headers.get("Date", "")) or datetime.now(UTC)  # this machine's clock may be off
            wait = retry_after(response.headers.get("Retry-After", ""), now)
            target = response.headers.get("Location", "")
            received = api.Response(status=response.status_code, body=body, retry_after_s=wait, location=target)
            with self._parsing:
                return api.parse_response(call, received, self._credentials, self._redact)


def _read_body(response: requests.Response, deadline: float) -> bytearray:
    """Return the body, only a part of it if it is too long; raises ReadTimeout after the deadline."""
    body = bytearray()
    # read1 returns what has arrived; reading a whole chunk would wait for a slow body.
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > api.MAX_RESPONSE_BYTES:
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
    ((requests.ConnectTimeout,), "{host} did not accept a connection in time"),
    ((requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), "{host} did not respond in time"),
    ((urllib3.exceptions.ProtocolError,), "the response of {host} was cut off"),
    ((urllib3.exceptions.DecodeError,), "the response of {host} could not be decompressed"),
    ((requests.ConnectionError, ConnectionError), "the connection to {host} failed"),
)


def failure_words(host: str, error: Exception) -> str:
    """Return what happened. A problem with certificates names the variable for them (docs/platforms.md#network)."""
    variable = next(filter(os.environ.get, CA_BUNDLES), CA_BUNDLES[0])
    if type(error) is OSError and (missing := _MISSING_BUNDLE.search(str(error))):
        return f"the connection to {host} failed: `{variable}` names {preview(missing[1])}, which does not exist"
    words = (text for kinds, text in _WORDS if isinstance(error, kinds))
    said = next(words, f"the connection to {{host}} failed ({type(error).__name__})")
    check = "" if is_loopback(host) else f": check `{variable}`"
    return said.format(host=host, check=check)


def retry_after(header: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date), or None; never negative."""
    try:
        seconds = float(header)
    except ValueError:
        when = _http_date(header)
        if not when:
            return None
        seconds = (when - now).total_seconds()
    return min(MAX_RETRY_AFTER_S, max(0.0, seconds))


def _http_date(text: str) -> datetime | None:
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return when if when.tzinfo else None
