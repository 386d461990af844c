"""A CI API on loopback that sends scripted responses, also faulty ones, and stores the requests.

A route without a script is not found.
"""

import json as jsonlib
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http.client import responses
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from sys import exception
from typing import Any, Final, Protocol, Self
from urllib.parse import parse_qsl, urlsplit

CAMPAIGN_ID = "c0de0000-0000-4000-8000-000000000001"
TRACE_ID = "7ace0000-0000-4000-8000-000000000001"
BATCH_ID = "ba7c0000-0000-4000-8000-000000000001"
RUN_ID = "f00d0000-0000-4000-8000-000000000001"
MIB = 1024 * 1024
JSON = {"Content-Type": "application/json"}
MISSING: Final = object()  # for `decided`: the field is left out


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
        return jsonlib.loads(self.body)

    def matches(self, route: str) -> bool:
        """Return whether a route, such as `GET /v1/runs/*`, includes this request."""
        return fnmatchcase(f"{self.method} {self.path}", route)


class Line(Protocol):
    def send(self, content: bytes) -> None: ...

    def pause(self, seconds: float | None) -> bool:
        """Wait for the seconds, or forever with None; return False when the server closes."""

    def hang_up(self) -> None:
        """Close the connection after the answer."""

    def reset(self) -> None:
        """Close the connection at once with a TCP reset."""


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
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
        self.server.respond(request).perform(self)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_CONNECT = answer  # noqa: N815 - http.server requires these names

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)

    def pause(self, seconds: float | None) -> bool:
        return not self.server.closing.wait(seconds)

    def hang_up(self) -> None:
        self.close_connection = True

    def reset(self) -> None:
        self.hang_up()
        linger_no_time = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_no_time)
        # This closes the descriptor itself, because the handler's file objects would delay the socket's own close.
        os.close(self.connection.detach())


@dataclass(frozen=True, slots=True)
class Answer:
    perform: Callable[[Line], None]


Scripted = Answer | Callable[[Request], Answer]


def raw(content: bytes, status: int = 200, headers: Mapping[str, str] = {}) -> Answer:
    """Send these bytes, with their real length unless `headers` contains another."""
    head = _head(status, {"Content-Length": str(len(content)), **headers})
    return Answer(lambda line: line.send(head + content))


def json(payload: object, status: int = 200, headers: Mapping[str, str] = {}) -> Answer:
    return raw(jsonlib.dumps(payload).encode(), status, {**JSON, **headers})


def page(text: str = "<html><body><h1>502 Bad Gateway</h1></body></html>", status: int = 502) -> Answer:
    return raw(text.encode(), status, {"Content-Type": "text/html; charset=utf-8"})


def redirect(location: str, status: int = 307) -> Answer:
    return raw(b"", status, {"Location": location})


def empty(status: int = 200) -> Answer:
    return raw(b"", status)


def reset() -> Answer:
    return Answer(lambda line: line.reset())


def hang() -> Answer:
    """Send nothing until the server closes."""
    return stream(lambda: [b""], None)


def truncated(payload: object) -> Answer:
    content = jsonlib.dumps(payload).encode()
    head = _head(200, {**JSON, "Content-Length": str(len(content))})
    return stream(lambda: [head + content[: len(content) // 2]])


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    first = f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}"
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1")


def stream(pieces: Callable[[], Iterable[bytes]], every_s: float | None = 0) -> Answer:
    def perform(line: Line) -> None:
        line.hang_up()
        for piece in pieces():
            line.send(piece)
            if not line.pause(every_s):
                return

    return Answer(perform)


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, respond: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.respond = respond
        self.closing = threading.Event()
        self.failures: list[Exception] = []

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - socketserver's types
        error = exception()
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            self.failures.append(error)


class ScriptedBackend:
    """A backend on loopback during a `with` block.

    `routes` maps `METHOD /path`, where `*` matches anything, to one or more answers. Each request gets the next answer
    of its route; the last one repeats. Of several matching routes, the one with the most literal text applies. An
    answer may be a function of the request. Its exception is raised at the end of the block.
    """

    def __init__(self, routes: Mapping[str, Scripted | Sequence[Scripted]]) -> None:
        self._lock = threading.Lock()
        self._routes: dict[str, Sequence[Scripted]] = {}
        self._taken: Counter[str] = Counter()
        self._requests: list[Request] = []
        for route, answers in routes.items():
            self.script(route, *(answers if isinstance(answers, Sequence) else [answers]))

    def __enter__(self) -> Self:
        self._server = _Server(self._respond)
        threading.Thread(target=self._server.serve_forever, args=[0.005], name="backend", daemon=True).start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        self.close()
        if error is None and self._server.failures:
            raise self._server.failures[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> tuple[Request, ...]:
        with self._lock:
            return tuple(self._requests)

    def script(self, route: str, *answers: Scripted) -> None:
        with self._lock:
            self._routes[route] = answers
            self._taken[route] = 0

    def calls(self, route: str) -> tuple[Request, ...]:
        return tuple(request for request in self.requests if request.matches(route))

    def close(self) -> None:
        """End all answers, and accept no more connections; a second call does nothing."""
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _respond(self, request: Request) -> Answer:
        with self._lock:
            self._requests.append(request)
            matching = [route for route in self._routes if request.matches(route)]
            if not matching:
                return json({"detail": "Not Found"}, 404)
            route = max(matching, key=lambda pattern: len(pattern.replace("*", "")))
            answers = self._routes[route]
            scripted = answers[min(self._taken[route], len(answers) - 1)]
            self._taken[route] += 1
        return scripted if isinstance(scripted, Answer) else scripted(request)


def decided(**fields: object) -> dict[str, Any]:
    """Return the documented example of a decided run, a `fail`, with fields replaced, added, or left out (MISSING)."""
    example: dict[str, object] = {"run_id": RUN_ID, "status": "done", "decision": "fail", "pass_rate": 0.72}
    example |= {"unsafe_attempts": 1, "failures": 5, "dashboard_url": f"https://app.sepurux.dev/runs/{RUN_ID}"}
    example |= {"top_failing_tools": [{"tool": "payments.refund", "count": 3}]}
    return {name: value for name, value in {**example, **fields}.items() if value is not MISSING}


def sound_backend(**overrides: Scripted | Sequence[Scripted]) -> ScriptedBackend:
    """Return a backend without faults, whose batch passes at once.

    `overrides` replaces or adds routes: `sound_backend(**{"POST /v1/ci/runs": backend.empty(503)})`.
    """
    core = {"campaign_id": CAMPAIGN_ID, "name": "core-reliability"}
    other = {"campaign_id": f"{CAMPAIGN_ID[:-1]}2", "name": "refund-reliability"}
    failure = {"failure_id": "fa110000-0000-4000-8000-000000000001", "type": "wrong_arguments", "severity": "medium"}
    failure |= {"run_id": RUN_ID, "trace_id": TRACE_ID, "campaign_id": CAMPAIGN_ID, "mutation": "timeouts"}
    failure |= {"description": "payments.refund was called with an amount of 0"}
    keys = list[str]()

    def start(request: Request) -> Answer:
        key = request.headers["idempotency-key"]
        keys.extend([key] if key not in keys else [])
        number = f"{keys.index(key) + 1:012}"
        return json({"batch_id": BATCH_ID[:24] + number, "run_ids": [RUN_ID[:24] + number]})

    routes: dict[str, Scripted | Sequence[Scripted]] = {
        "GET /v1/campaigns": json([core, other]),
        "GET /v1/campaigns/*": json(core),
        "POST /v1/traces": json({"trace_id": TRACE_ID, "validation_status": "valid", "validation_errors": []}, 201),
        "GET /v1/traces/*": json({"trace_id": TRACE_ID}),
        "POST /v1/ci/runs": start,
        "GET /v1/ci/batch/*": lambda request: json(
            _passed(request, batch_id=request.path[13:], run_id=MISSING, run_ids=run_ids(request))
        ),
        "GET /v1/ci/runs/*": lambda request: json(_passed(request)),
        "GET /v1/campaigns/*/reliability": json({"reliability_score": 0.93}),
        "GET /v1/campaigns/*/failures": json([failure]),
    }
    return ScriptedBackend({**routes, **overrides})


def run_ids(request: Request) -> list[str]:
    return [RUN_ID[:24] + request.path[-12:]]


def _passed(request: Request, **fields: object) -> dict[str, Any]:
    passed = {"decision": "pass", "pass_rate": 0.95, "unsafe_attempts": 0, "failures": 1}
    tools, address = [{"tool": "payments.refund", "count": 1}], f"http://{request.headers['host']}/runs/{RUN_ID}"
    return decided(**passed, top_failing_tools=tools, dashboard_url=address, **fields)
