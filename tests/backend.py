"""A CI API on loopback that sends scripted responses, also faulty ones, and stores the requests.

A route without a script is not found.
"""

from __future__ import annotations

import gzip
import json as jsonlib
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from sys import exception
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

CAMPAIGN_ID = "c0de0000-0000-4000-8000-000000000001"
OTHER_CAMPAIGN_ID = "c0de0000-0000-4000-8000-000000000002"
TRACE_ID = "7ace0000-0000-4000-8000-000000000001"
BATCH_ID = "ba7c0000-0000-4000-8000-000000000001"
RUN_ID = "f00d0000-0000-4000-8000-000000000001"

MIB = 1024 * 1024
CHUNK = 64 * 1024  # bytes of one write of a streamed body


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request: header names in lower case, `at` in seconds of the monotonic clock."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float

    def json(self) -> Any:  # noqa: ANN401 - a body is whatever the client sent
        """Return the parsed body; raises ValueError if it is not JSON."""
        return jsonlib.loads(self.body)

    @property
    def route(self) -> str:
        """Method and path, such as `GET /v1/campaigns`."""
        return f"{self.method} {self.path}"

    @property
    def origin(self) -> str:
        """The URL that the client called, without a path."""
        return f"http://{self.headers['host']}"


class Line:
    """The server's connection for one request, to which an answer writes."""

    def __init__(self, handler: _Exchange, closing: threading.Event) -> None:
        self._handler = handler
        self._closing = closing

    def send(self, content: bytes) -> None:
        """Send bytes; raises ConnectionError if the client or the server has closed the connection."""
        self._handler.connection.sendall(content)

    def pause(self, seconds: float | None) -> bool:
        """Wait for the seconds, or forever with None; return False when the server closes."""
        return not self._closing.wait(seconds)

    def hang_up(self) -> None:
        """Close the connection after this answer."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """Close the connection at once with a TCP reset."""
        self.hang_up()
        linger_no_time = struct.pack("ii", 1, 0)
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_no_time)
        # This closes the descriptor itself, because the handler's file objects would delay the socket's own close.
        os.close(self._handler.connection.detach())


@dataclass(frozen=True, slots=True)
class Answer:
    """The scripted response to a request, which may also be a fault."""

    perform: Callable[[Line], None]


Scripted = Answer | Callable[[Request], Answer]


# --- Answers -----------------------------------------------------------------------------------------------


def raw(content: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Send these bytes, with their real length unless `headers` contains another."""
    head = _head(status, {"Content-Length": str(len(content)), **(headers or {})})
    return Answer(lambda line: line.send(head + content))


def json(payload: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Send a JSON document."""
    return raw(jsonlib.dumps(payload).encode(), status, {"Content-Type": "application/json", **(headers or {})})


def page(text: str = "<html><body><h1>502 Bad Gateway</h1></body></html>", status: int = 502) -> Answer:
    """Send an HTML page, as a proxy does."""
    return raw(text.encode(), status, {"Content-Type": "text/html; charset=utf-8"})


def redirect(location: str, status: int = 307) -> Answer:
    """Send a redirect."""
    return raw(b"", status, {"Location": location})


def empty(status: int = 200) -> Answer:
    """Send a status without a body."""
    return raw(b"", status)


def reset() -> Answer:
    """Reset the connection without a response."""
    return Answer(Line.reset)


def hang(seconds: float | None = None) -> Answer:
    """Send nothing for the seconds, by default until the server closes, then close the connection."""

    def perform(line: Line) -> None:
        line.hang_up()
        line.pause(seconds)

    return Answer(perform)


def late(seconds: float, answer: Answer) -> Answer:
    """Send nothing for the seconds, then another answer."""

    def perform(line: Line) -> None:
        if line.pause(seconds):
            answer.perform(line)

    return Answer(perform)


def drip(content: bytes, every_s: float) -> Answer:
    """Send the headers at once and the body one byte at a time."""

    def pieces() -> Iterator[bytes]:
        yield _head(200, {"Content-Type": "application/json", "Content-Length": str(len(content))})
        yield from _bytes_of(content)

    return _stream(pieces, every_s)


def drip_headers(every_s: float) -> Answer:
    """Send headers one byte at a time, without end."""

    def pieces() -> Iterator[bytes]:
        yield from _bytes_of(b"HTTP/1.1 200 OK\r\n")
        while True:
            yield from _bytes_of(b"X-Slow: yes\r\n")

    return _stream(pieces, every_s)


def truncated(payload: object) -> Answer:
    """Send the first half of a JSON document with the length of the whole."""
    content = jsonlib.dumps(payload).encode()
    head = _head(200, {"Content-Type": "application/json", "Content-Length": str(len(content))})
    return _stream(lambda: [head + content[: len(content) // 2]])


def too_large(bytes_count: int) -> Answer:
    """Send this number of bytes of white space as JSON, without a Content-Length."""

    def pieces() -> Iterator[bytes]:
        yield _head(200, {"Content-Type": "application/json", "Connection": "close"})
        for sent in range(0, bytes_count, CHUNK):
            yield b" " * min(CHUNK, bytes_count - sent)

    return _stream(pieces)


def gzip_bomb(bytes_count: int = 64 * MIB) -> Answer:
    """Send a small compressed body that expands to this number of bytes of JSON text."""
    content = gzip.compress(b'"' + b"a" * (bytes_count - 2) + b'"')
    return raw(content, 200, {"Content-Type": "application/json", "Content-Encoding": "gzip"})


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _bytes_of(content: bytes) -> Iterator[bytes]:
    return (content[at : at + 1] for at in range(len(content)))


def _stream(pieces: Callable[[], Iterable[bytes]], every_s: float = 0) -> Answer:
    def perform(line: Line) -> None:
        line.hang_up()
        for piece in pieces():
            line.send(piece)
            if not line.pause(every_s):
                return

    return Answer(perform)


# --- The server --------------------------------------------------------------------------------------------


class _Exchange(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a single byte is sent at once

    def answer(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
            at=time.monotonic(),
        )
        self.server.script.take(request).perform(Line(self, self.server.closing))

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - http.server requires these names

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = False  # server_close() waits only for threads that are not daemons
    request_queue_size = 64

    def __init__(self, script: _Script) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.script = script
        self.closing = threading.Event()
        self.failures: list[Exception] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's types
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:  # noqa: ANN401 - socketserver's types
        with self._lock:
            self._open.discard(request)
        super().close_request(request)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002 - socketserver's types
        return not self.closing.is_set()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - socketserver's types
        error = exception()
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            self.failures.append(error)

    def serve(self) -> None:
        """Accept connections until `end`. It never polls, as `serve_forever` does, so closing takes no time."""
        while not self.closing.is_set():
            self.handle_request()

    def end(self, serving: threading.Thread) -> None:
        """End all answers, connections, and threads, also the one that runs `serve`."""
        self.closing.set()
        socket.create_connection(self.socket.getsockname()).close()  # `serve` waits for a connection
        serving.join()
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with suppress(OSError):  # its own thread has closed it
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Script:
    def __init__(self, routes: Mapping[str, Scripted | Sequence[Scripted]]) -> None:
        self._routes = {
            route: tuple(answers) if isinstance(answers, Sequence) else (answers,) for route, answers in routes.items()
        }
        if unanswered := [route for route, answers in self._routes.items() if not answers]:
            raise ValueError(f"routes without an answer: {unanswered}")
        self._taken: Counter[str] = Counter()
        self._requests: list[Request] = []
        self._lock = threading.Lock()

    @property
    def requests(self) -> tuple[Request, ...]:
        with self._lock:
            return tuple(self._requests)

    def replace(self, route: str, answers: tuple[Scripted, ...]) -> None:
        with self._lock:
            self._routes[route] = answers
            self._taken[route] = 0

    def take(self, request: Request) -> Answer:
        with self._lock:
            self._requests.append(request)
            matching = [route for route in self._routes if _matches(request, route)]
            if not matching:
                return json({"detail": "Not Found"}, 404)
            route = max(matching, key=lambda pattern: len(pattern.replace("*", "")))
            answers = self._routes[route]
            scripted = answers[min(self._taken[route], len(answers) - 1)]
            self._taken[route] += 1
        return scripted if isinstance(scripted, Answer) else scripted(request)


def _matches(request: Request, route: str) -> bool:
    return fnmatchcase(request.route, route)


class ScriptedBackend:
    """A backend on loopback during a `with` block.

    `routes` maps `METHOD /path`, where `*` matches anything, to one or more answers. Each request gets the next answer
    of its route; the last one repeats. Of several matching routes, the one with the most literal text applies. An
    answer may be a function of the request. Its exception is raised at the end of the block.
    """

    def __init__(self, routes: Mapping[str, Scripted | Sequence[Scripted]]) -> None:
        self._script = _Script(routes)

    def __enter__(self) -> Self:
        self._server = _Server(self._script)
        self._thread = threading.Thread(target=self._server.serve, name="backend", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        if error is None and self._server.failures:
            raise self._server.failures[0]

    @property
    def url(self) -> str:
        """The URL without a trailing slash."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """All requests so far, in order."""
        return self._script.requests

    def script(self, route: str, *answers: Scripted) -> None:
        """Set the answers of a route from now on."""
        self._script.replace(route, answers)

    def calls(self, route: str) -> tuple[Request, ...]:
        """Return the requests so far that match a route."""
        return tuple(request for request in self.requests if _matches(request, route))

    def close(self) -> None:
        """End all answers, connections, and threads; a second call does nothing."""
        if self._thread.is_alive():
            self._server.end(self._thread)


# --- Valid answers -----------------------------------------------------------------------------------------


class Missing(Enum):
    """A sentinel for `decided`: the field is left out."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


def decided(**fields: object) -> dict[str, Any]:
    """Return the documented example of a decided run, a `fail`, with fields replaced, added, or left out (MISSING)."""
    example: dict[str, object] = {
        "run_id": RUN_ID,
        "status": "done",
        "decision": "fail",
        "pass_rate": 0.72,
        "unsafe_attempts": 1,
        "failures": 5,
        "top_failing_tools": [{"tool": "payments.refund", "count": 3}],
        "dashboard_url": f"https://app.sepurux.dev/runs/{RUN_ID}",
    }
    return {name: value for name, value in {**example, **fields}.items() if value is not MISSING}


def sound_backend(**overrides: Scripted | Sequence[Scripted]) -> ScriptedBackend:
    """Return a backend without faults, whose batch passes at once.

    `overrides` replaces or adds routes: `sound_backend(**{"POST /v1/ci/runs": backend.empty(503)})`.
    """
    routes: dict[str, Scripted | Sequence[Scripted]] = {
        "GET /v1/campaigns": json(
            [
                {"campaign_id": CAMPAIGN_ID, "name": "core-reliability"},
                {"campaign_id": OTHER_CAMPAIGN_ID, "name": "refund-reliability"},
            ]
        ),
        "GET /v1/campaigns/*": json({"campaign_id": CAMPAIGN_ID, "name": "core-reliability"}),
        "POST /v1/traces": json({"trace_id": TRACE_ID, "validation_status": "valid", "validation_errors": []}, 201),
        "GET /v1/traces/*": json({"trace_id": TRACE_ID}),
        "POST /v1/ci/runs": json({"batch_id": BATCH_ID, "run_ids": [RUN_ID]}),
        "GET /v1/ci/batch/*": lambda request: json(
            _passed(request, batch_id=BATCH_ID, run_id=MISSING, run_ids=[RUN_ID])
        ),
        "GET /v1/ci/runs/*": lambda request: json(_passed(request)),
        "GET /v1/campaigns/*/reliability": json(
            {
                "reliability_score": 0.93,
                "status": "healthy",
                "classified_failures": 1,
                "failure_breakdown": [{"type": "wrong_arguments", "count": 1}],
            }
        ),
        "GET /v1/campaigns/*/failures": json(
            [
                {
                    "failure_id": "fa110000-0000-4000-8000-000000000001",
                    "run_id": RUN_ID,
                    "campaign_id": CAMPAIGN_ID,
                    "trace_id": TRACE_ID,
                    "mutation": "timeouts",
                    "type": "wrong_arguments",
                    "severity": "medium",
                    "description": "payments.refund was called with an amount of 0",
                    "metadata": None,
                    "created_at": "2026-09-01T12:00:00Z",
                }
            ]
        ),
    }
    return ScriptedBackend({**routes, **overrides})


def _passed(request: Request, **fields: object) -> dict[str, Any]:
    return decided(
        decision="pass",
        pass_rate=0.95,
        unsafe_attempts=0,
        failures=1,
        top_failing_tools=[{"tool": "payments.refund", "count": 1}],
        dashboard_url=f"{request.origin}/runs/{RUN_ID}",
        **fields,
    )
