"""Holds the scripted backend to its word: each fault looks to a client as its name says, and nothing is left behind.

Never asks anything of the action.
"""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
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


def test_a_request_is_remembered_as_it_arrived() -> None:
    with be.ScriptedBackend({ROUTE: be.json({})}) as server, closing(connect(server)) as connection:
        connection.request("POST", f"{PATH}?limit=200&empty=", '{"a": 1}', {"X-Sepurux-Token": "T"})
        connection.getresponse().read()
    (request,) = server.requests
    assert (request.method, request.path, request.query) == ("POST", PATH, {"limit": "200", "empty": ""})
    assert request.headers["x-sepurux-token"] == "T"
    assert request.json() == {"a": 1}


def test_requests_have_their_times_in_order() -> None:
    with be.ScriptedBackend({ROUTE: be.empty()}) as server:
        before = time.monotonic()
        ask(server, "POST", PATH)
        ask(server, "POST", PATH)
    first, second = server.requests
    assert before <= first.at <= second.at <= time.monotonic()


def test_a_connection_serves_several_requests() -> None:
    with be.ScriptedBackend({"GET *": be.json({})}) as server, closing(connect(server)) as connection:
        connection.request("GET", "/a")
        connection.getresponse().read()
        kept = connection.sock
        connection.request("GET", "/b")
        connection.getresponse().read()
        assert connection.sock is kept
    assert [request.path for request in server.requests] == ["/a", "/b"]


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


def test_calls_are_counted_by_route() -> None:
    with be.ScriptedBackend({"* /v1/*": be.empty()}) as server:
        for path in ("/v1/ci/batch/a", "/v1/ci/batch/b", "/v1/campaigns"):
            ask(server, "GET", path)
    assert [call.path[-1] for call in server.calls("GET /v1/ci/batch/*")] == ["a", "b"]


def test_a_route_without_an_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="without an answer"):
        be.ScriptedBackend({ROUTE: []})


def test_an_answer_may_be_a_function_of_the_request() -> None:
    with be.ScriptedBackend({ROUTE: lambda request: be.json(request.json()["echo"])}) as server:
        assert json.loads(ask(server, "POST", PATH, {"echo": "hello"})[2]) == "hello"


def test_an_exception_of_an_answer_is_raised_when_the_block_ends() -> None:
    """A client that hangs on a broken script must not hide the script's fault."""
    with (
        pytest.raises(KeyError),
        be.ScriptedBackend({ROUTE: lambda request: be.json(request.json()["absent"])}) as server,
        pytest.raises(ConnectionError),
    ):
        ask(server, "POST", PATH, {})


def test_a_page_is_html_with_a_status() -> None:
    with be.ScriptedBackend({ROUTE: be.page()}) as server:
        status, headers, body = ask(server, "POST", PATH)
    assert (status, headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert body.startswith(b"<html>")


def test_a_redirect_says_where() -> None:
    with be.ScriptedBackend({ROUTE: be.redirect("https://elsewhere.example/")}) as server:
        status, headers, _ = ask(server, "POST", PATH)
    assert (status, headers["location"]) == (307, "https://elsewhere.example/")


def test_headers_and_unknown_statuses_are_sent_as_given() -> None:
    with be.ScriptedBackend({ROUTE: be.json({}, 599, {"Retry-After": "7"})}) as server:
        status, headers, _ = ask(server, "POST", PATH)
    assert (status, headers["retry-after"]) == (599, "7")


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


def test_a_hanging_answer_of_some_seconds_hangs_up_without_an_answer() -> None:
    with be.ScriptedBackend({ROUTE: be.hang(0.01)}) as server, closing(raw_call(server)) as client:
        assert client.recv(1) == b""


def test_a_late_answer_comes_whole() -> None:
    with be.ScriptedBackend({ROUTE: be.late(0.01, be.json("here"))}) as server:
        assert json.loads(ask(server, "POST", PATH)[2]) == "here"


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


def test_a_client_may_leave_in_the_middle_of_an_answer() -> None:
    with be.ScriptedBackend({ROUTE: be.too_large(64 * be.MIB), "GET /": be.json("alive")}) as server:
        with closing(raw_call(server)) as client:
            client.recv(1000)
        assert json.loads(ask(server, "GET", "/")[2]) == "alive"


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


def test_closing_waits_for_an_answer_that_is_under_way() -> None:
    asked, told = threading.Event(), threading.Event()

    def slow(_: be.Request) -> be.Answer:
        asked.set()
        time.sleep(0.1)
        told.set()
        return be.empty()

    with be.ScriptedBackend({ROUTE: slow}) as server, closing(raw_call(server)):
        asked.wait(10)
        server.close()
        assert told.is_set()


def test_decided_is_the_documented_example_and_fields_can_be_changed_or_left_out() -> None:
    assert be.decided()["decision"] == "fail"
    changed = be.decided(pass_rate=None, failures=be.MISSING, mutation_categories=["timeouts"])
    assert changed["pass_rate"] is None
    assert changed["mutation_categories"] == ["timeouts"]
    assert "failures" not in changed


def test_a_sound_backend_passes_at_once() -> None:
    with be.sound_backend() as server:
        started = json.loads(ask(server, "POST", PATH, {})[2])
        batch = json.loads(ask(server, "GET", f"/v1/ci/batch/{started['batch_id']}")[2])
    assert batch["decision"] == "pass"
    assert batch["dashboard_url"].startswith(f"{server.url}/")
    assert batch["run_ids"] == started["run_ids"]


def test_a_sound_backend_knows_its_campaigns_traces_scores_and_failures() -> None:
    with be.sound_backend() as server:
        campaigns = json.loads(ask(server, "GET", "/v1/campaigns")[2])
        trace = json.loads(ask(server, "POST", "/v1/traces", {})[2])
        score = json.loads(ask(server, "GET", f"/v1/campaigns/{be.CAMPAIGN_ID}/reliability?run_id={be.RUN_ID}")[2])
        failures = json.loads(ask(server, "GET", f"/v1/campaigns/{be.CAMPAIGN_ID}/failures?run_id={be.RUN_ID}")[2])
    assert {"campaign_id": be.CAMPAIGN_ID, "name": "core-reliability"} in campaigns
    assert trace["trace_id"] == be.TRACE_ID
    assert score["reliability_score"] == 0.93
    assert [failure["run_id"] for failure in failures] == [be.RUN_ID]


def test_a_route_of_the_sound_backend_can_be_replaced() -> None:
    with be.sound_backend(**{"GET /v1/ci/batch/*": be.json(be.decided(decision="fail"))}) as server:
        look = json.loads(ask(server, "GET", f"/v1/ci/batch/{be.BATCH_ID}")[2])
    assert look["decision"] == "fail"


def raw_call(server: be.ScriptedBackend) -> socket.socket:
    address = urlsplit(server.url)
    client = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10)
    client.sendall(f"{ROUTE} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    return client
