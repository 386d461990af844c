"""The HTTP client returns a result for everything that a network does, and sends a secret to one origin only."""

import gzip
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest
import requests

from sepurux_action.common import json_reader
from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.evaluation import api
from sepurux_action.evaluation.api import ApiRequest, Reply, Transport, retry_after
from tests import backend
from tests.backend import MIB, ScriptedBackend

TOKEN = "tok/en+of~no-one=71c4"
API_KEY = "key-of-no-one-9f2e"
POLL = ApiRequest(path="/v1/ci/runs/r1", purpose="the poll of the run")
START = ApiRequest(
    method="POST", path="/v1/ci/runs", purpose="the CI run", body=b'{"a": 1}', idempotency_key="once-only"
)
IN_TIME, CUT_OFF = "127.0.0.1 did not respond in time", "the response of 127.0.0.1 was cut off"
NO_HTTP = [
    *(b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 abc OK\r\n\r\n{}"),
    b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot-a-number\r\n{}\r\n0\r\n\r\n",
    *(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n{}" for head in (b"X-Many: 1\r\n" * 200, b"X-Long: " + b"a" * 70_000)),
]
SECONDS: list[tuple[list[str], float | None]] = [
    *((["7"], 7), (["0"], 0), (["86401"], 86_401), (["9" * 10], 604_800)),
    (["", "soon", "7, 8", "7s", " 7 ", "-5", "1.5", "inf", "nan", "9" * 400, "Sun, 01 Mar 2026 12:00:30 GMT"], None),
    (["Sun, 99 Mar 99999999999 99:99:99 GMT", "1 Jan " + "9" * 5_000 + " 00:00:00 GMT"], None),
]


def transport(url: str, *, token: str | None = TOKEN, api_key: str | None = None) -> Transport:
    credentials = api.Credentials(token=Secret(token) if token else None, api_key=Secret(api_key) if api_key else None)
    return Transport(url, credentials, Redactor(filter(None, [token, api_key])))


def result_of(scripted: backend.Scripted, call: ApiRequest = POLL, within_s: float = 10) -> Reply:
    with ScriptedBackend({"* /*": scripted}) as server:
        return transport(server.url).send(call, within_s)


def request_of(call: ApiRequest = POLL, *, token: str | None = TOKEN, api_key: str | None = None) -> backend.Request:
    with ScriptedBackend({"* /*": backend.json({})}) as server:
        assert transport(server.url, token=token, api_key=api_key).send(call, 10) == Reply(payload={})
        (request,) = server.requests
        return request


def on_the_wire(content: bytes) -> backend.Answer:
    return backend.stream(lambda: [content])


@contextmanager
def a_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedBackend]:
    """Yield a proxy of the environment that refuses everything."""
    with ScriptedBackend({"*": backend.empty(403)}) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, server.url)
        yield server


@pytest.mark.parametrize(
    ("token", "api_key", "sent"),
    [(TOKEN, None, (TOKEN, TOKEN)), (None, API_KEY, (None, API_KEY)), (TOKEN, API_KEY, (TOKEN, API_KEY))],
)
def test_secrets_are_sent_under_their_names(token: str | None, api_key: str | None, sent: object) -> None:
    headers = request_of(token=token, api_key=api_key).headers
    assert (headers.get("x-sepurux-token"), headers["x-api-key"]) == sent


def test_a_poll_has_no_body_and_a_post_has_json_and_its_idempotency_key() -> None:
    request = request_of(POLL)
    assert request.body == b""
    assert {"content-type", "idempotency-key", "x-project-id", "authorization", "cookie"}.isdisjoint(request.headers)
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["x-sepurux-sdk"].startswith("gate-action/")
    request = request_of(START)
    assert request.json() == {"a": 1}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "once-only"


def test_a_trace_is_sent_in_pieces_with_its_length() -> None:
    content = b'{"a": "' + b"x" * 1_000_000 + b'"}'
    request = request_of(api.upload_trace(content, "a.json", "", "k"))
    assert (request.body, request.headers["content-length"]) == (content, str(len(content)))
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("project", ["my-agent", "Prüfung агент 試験", "a\u00a0b"])
def test_a_project_of_any_script_is_sent_as_utf_8(project: str) -> None:
    headers = request_of(ApiRequest(path="/v1/campaigns", purpose="x", project=project)).headers
    assert headers["x-project-id"].encode("latin-1").decode() == project


def test_path_and_query_arrive_as_the_call_has_them_below_the_path_of_the_address() -> None:
    call = ApiRequest(path="/v1/campaigns/a%2Fb/failures", purpose="x", query=(("run_id", "r&1 ü"),))
    with ScriptedBackend({"GET /api/backend/v1/*": backend.json({"count": 1})}) as server:
        assert transport(f"{server.url}/api/backend").send(call, 10) == Reply(payload={"count": 1})
        [request] = server.requests
    assert (request.path, request.query) == ("/api/backend/v1/campaigns/a%2Fb/failures", {"run_id": "r&1 ü"})


def test_cookies_are_never_sent_back() -> None:
    with ScriptedBackend({"* /*": backend.json({}, headers={"Set-Cookie": "session=1; Path=/"})}) as server:
        sender = transport(server.url)
        sender.send(POLL, 10)
        sender.send(POLL, 10)
        assert ["cookie" in request.headers for request in server.requests] == [False, False]


def test_netrc_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine api.example login someone password else\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    assert requests.utils.get_netrc_auth("http://api.example/") == ("someone", "else")  # requests itself would
    with a_proxy(monkeypatch) as proxy:
        transport("http://api.example").send(POLL, 10)
    assert ["authorization" in request.headers for request in proxy.requests] == [False]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_proxy_is_never_used_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_proxy(monkeypatch) as proxy:
        assert result_of(backend.json({"status": "direct"})) == Reply(payload={"status": "direct"})
    assert proxy.requests == ()


def test_a_proxy_of_the_environment_is_asked_to_connect_and_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_proxy(monkeypatch) as proxy:
        response = transport("https://example.invalid", api_key=API_KEY).send(START, 10)
    assert response == Reply(temporary=True, error="the proxy refused the connection to example.invalid")
    (request,) = proxy.requests
    assert (request.method, "x-api-key" in request.headers) == ("CONNECT", False)
    assert not {TOKEN, API_KEY} & {*request.headers.values()}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_and_its_target_gets_nothing(status: int) -> None:
    with ScriptedBackend({"* /*": backend.json({})}) as other:
        response = result_of(backend.redirect(f"{other.url}/v1/ci/runs", status), START)
        assert other.requests == ()
        assert response.error == f"Sepurux refused the CI run (HTTP {status})"


@pytest.mark.parametrize("location", ["http://[", "//", "", "http://\xff\xfe/", "javascript:1", "http://a:b:c/", "\t"])
def test_a_redirect_with_an_invalid_location_is_a_rejection(location: str) -> None:
    assert result_of(backend.redirect(location)).error == "Sepurux refused the poll of the run (HTTP 307)"


@pytest.mark.parametrize(
    ("fault", "reason", "status"),
    [
        *((backend.reset(), "the connection to 127.0.0.1 failed", 0), (backend.hang(), IN_TIME, 0)),
        (backend.stream(lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], None), IN_TIME, 200),
        (backend.truncated({"decision": "pass"}), CUT_OFF, 200),
        (on_the_wire(b'HTTP/1.1 503 x\r\nContent-Length: 99\r\n\r\n{"decision": "pass"}'), CUT_OFF, 503),
        (on_the_wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), CUT_OFF, 200),
    ],
    ids=["reset", "hangs", "stalls", "half", "whole JSON", "chunked"],
)
def test_a_response_that_is_cut_off_is_a_transient_error(fault: backend.Answer, reason: str, status: int) -> None:
    """Its status shows whether Sepurux is up, for `on_outage`."""
    assert result_of(fault, within_s=0.3) == Reply(temporary=True, error=reason, status=status)


def test_a_connection_that_cannot_be_made_is_a_transient_error() -> None:
    with ScriptedBackend({"* /*": backend.json({})}) as server, socket.create_server(("127.0.0.1", 0)) as silent:
        urls = {
            "http://host.invalid:1": "the connection to host.invalid failed",
            server.url.replace("http:", "https:"): "the TLS connection to 127.0.0.1 failed, for example because its "
            "certificate is not trusted",
            f"https://127.0.0.1:{silent.getsockname()[1]}": IN_TIME,
        }
        for url, error in urls.items():
            assert transport(url).send(POLL, 0.5) == Reply(temporary=True, error=error)


@pytest.mark.parametrize(
    ("head", "piece"), [(b"Content-Length: 1000", b" "), (b"Transfer-Encoding: chunked", b"1\r\n \r\n")]
)
def test_a_call_whose_body_arrives_slowly_ends_at_its_timeout(head: bytes, piece: bytes) -> None:
    pieces = iter([piece] * 1_000)
    dripped = backend.stream(lambda: chain([b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n"], pieces), 0.02)
    response = result_of(dripped, within_s=0.3)
    assert response == Reply(temporary=True, error=IN_TIME, status=200)
    assert len([*pieces]) > 500


def test_a_response_of_the_largest_size_is_read_and_a_byte_more_is_rejected() -> None:
    largest = b'"' + b"a" * (api.MAX_RESPONSE_BYTES - 2) + b'"'
    assert result_of(backend.raw(largest)) == Reply(payload="a" * (json_reader.MAX_TEXT_LENGTH - 1) + json_reader.CUT)
    assert result_of(backend.raw(largest + b" ")).error == "Sepurux sent more than 4 MiB for the poll of the run"
    # A large page of a broken server is worth another try.
    assert result_of(backend.page("x" * (5 * MIB), 503)) == Reply(temporary=True, error="HTTP 503", status=503)


def test_a_compressed_bomb_is_rejected_before_it_is_decompressed() -> None:
    content = gzip.compress(b'"' + b"a" * (64 * MIB - 2) + b'"')
    bomb = backend.raw(content, headers={**backend.JSON, "Content-Encoding": "gzip"})
    tracemalloc.start()
    try:
        assert result_of(bomb).error.startswith("Sepurux sent more than 4 MiB")
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


def test_what_is_no_http_or_has_another_encoding_is_a_transient_error() -> None:
    encoded = [{"Content-Encoding": name} for name in ("gzip", "deflate", "br", ", ".join(["gzip"] * 7))]
    for answer in (*map(on_the_wire, NO_HTTP), *(backend.raw(b"\0 no such thing", headers=each) for each in encoded)):
        assert result_of(answer).temporary


@pytest.mark.parametrize(
    "head",
    [
        b'{"decision": "pass"}',
        b"HTTP/1.1 401 no\r\n" + b"X-Many: 1\r\n" * 101 + b"\r\n{}",
        b"HTTP/1.1 401 no\r\nX-Endless: ",
    ],
    ids=["HTTP/0.9", "101 header lines", "a head without end"],
)
def test_what_has_no_status_line_and_headers_is_no_response(head: bytes) -> None:
    """`on_outage: allow` covers it, as docs/policy.md says."""
    answer = backend.stream(lambda: [head], None) if head.endswith(b": ") else on_the_wire(head)
    found = result_of(answer, within_s=0.3)
    assert (found.status, found.temporary) == (0, True)


def test_a_broken_header_writes_nothing_to_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n::error::##[set-env name=a]b\r\nX: y\r\n\r\n{}"
    result_of(on_the_wire(head))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("headers", "seconds"), SECONDS, ids=range(len(SECONDS)))
def test_retry_after_is_a_whole_number_of_seconds(headers: list[str], seconds: float | None) -> None:
    assert [retry_after(header) for header in headers] == [seconds] * len(headers)
