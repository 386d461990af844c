"""The scripted backend: each fault looks to a client as its name says, and no thread is left."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests import backend as be

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/v1/ci/runs"
ROUTE = f"POST {PATH}"


def ask(server: be.ScriptedBackend, method: str, path: str, body: object = None) -> tuple[int, dict[str, str], bytes]:
    with closing(connect(server)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def connect(server: be.ScriptedBackend) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """No test here may leave a thread of a backend behind."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_each_request_takes_the_next_answer_and_the_last_one_repeats() -> None:
    with be.ScriptedBackend({ROUTE: [be.empty(503), be.json({"run_id": "r"}, 201)]}) as server:
        statuses = [ask(server, "POST", PATH)[0] for _ in range(3)]
    assert statuses == [503, 201, 201]


def test_a_route_that_no_script_names_is_not_found() -> None:
    with be.ScriptedBackend({ROUTE: be.empty()}) as server:
        status, _, body = ask(server, "GET", PATH)
    assert (status, json.loads(body)) == (404, {"detail": "Not Found"})
    assert len(server.requests) == 1


def test_the_route_with_the_most_literal_text_answers() -> None:
    routes = {"GET /v1/*": be.json("any"), "GET /v1/runs/*": be.json("a run"), "GET /v1/runs/7": be.json("run 7")}
    with be.ScriptedBackend(routes) as server:
        said = [json.loads(ask(server, "GET", path)[2]) for path in ("/v1/x", "/v1/runs/8", "/v1/runs/7")]
    assert said == ["any", "a run", "run 7"]


def test_an_exception_of_an_answer_is_raised_when_the_block_ends() -> None:
    """A client that hangs on a broken script must not hide the script's fault."""
    with (
        pytest.raises(KeyError),
        be.ScriptedBackend({ROUTE: lambda request: be.json(request.json()["absent"])}) as server,
        pytest.raises(ConnectionError),
    ):
        ask(server, "POST", PATH, {})


def test_a_reset_reaches_the_client_as_one_after_the_request_was_read() -> None:
    with be.ScriptedBackend({ROUTE: be.reset()}) as server, closing(raw_call(server)) as client:
        with pytest.raises(ConnectionResetError):  # a mere hang-up would read as the end, b""
            client.recv(1)
        assert len(server.requests) == 1


def test_a_hanging_answer_sends_nothing_and_ends_with_the_server() -> None:
    with be.ScriptedBackend({ROUTE: be.hang()}) as server, closing(raw_call(server)) as client:
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        server.close()
        client.settimeout(10)
        assert client.recv(1) == b""


def test_a_dripped_answer_is_whole_in_the_end_and_again_for_the_next_request() -> None:
    with be.ScriptedBackend({ROUTE: be.drip(b'"abc"', 0.001)}) as server:
        assert [ask(server, "POST", PATH)[2] for _ in range(2)] == [b'"abc"'] * 2


def test_a_dripped_answer_sends_its_headers_first_and_then_waits_before_each_byte() -> None:
    with be.ScriptedBackend({ROUTE: be.drip(b'"abc"', 60)}) as server, closing(raw_call(server)) as client:
        assert client.recv(1000).endswith(b"\r\n\r\n")
        server.close()
        assert client.recv(1000) == b""


def test_dripped_headers_never_end() -> None:
    with be.ScriptedBackend({ROUTE: be.drip_headers(0.0001)}) as server, closing(raw_call(server)) as client:
        seen = b""
        while len(seen) < 100:
            seen += client.recv(1000)
    assert seen.startswith(b"HTTP/1.1 200 OK\r\nX-Slow: yes\r\nX-Slow")
    assert b"\r\n\r\n" not in seen


def test_a_truncated_answer_promises_more_than_it_sends() -> None:
    payload = be.decided()
    with (
        be.ScriptedBackend({ROUTE: be.truncated(payload)}) as server,
        pytest.raises(http.client.IncompleteRead) as caught,
    ):
        ask(server, "POST", PATH)
    assert 0 < len(caught.value.partial) < len(json.dumps(payload))


def test_a_too_large_answer_does_not_tell_its_length() -> None:
    with be.ScriptedBackend({ROUTE: be.too_large(be.MIB + 1)}) as server:
        _, headers, body = ask(server, "POST", PATH)
    assert "content-length" not in headers
    assert len(body) == be.MIB + 1


def test_a_gzip_bomb_is_small_on_the_wire_and_valid_json_inside() -> None:
    with be.ScriptedBackend({ROUTE: be.gzip_bomb(be.MIB)}) as server:
        _, headers, body = ask(server, "POST", PATH)
    assert headers["content-encoding"] == "gzip"
    assert len(body) < be.MIB // 100
    assert len(json.loads(gzip.decompress(body))) == be.MIB - 2


def test_closing_ends_idle_connections_and_refuses_new_ones() -> None:
    with be.ScriptedBackend({"GET /": be.json({})}) as server, closing(connect(server)) as idle:
        idle.request("GET", "/")
        idle.getresponse().read()
        server.close()
        server.close()
        assert idle.sock.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            ask(server, "GET", "/")


def raw_call(server: be.ScriptedBackend) -> socket.socket:
    address = urlsplit(server.url)
    client = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10)
    client.sendall(f"{ROUTE} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    return client
