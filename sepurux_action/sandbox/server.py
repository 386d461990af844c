"""The sandbox's HTTP and HTTPS server: one request for each connection."""

from __future__ import annotations

import re
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from sepurux_action.sandbox.api import Api
from sepurux_action.sandbox.ledger import Store
from sepurux_action.sandbox.wire import Answer, RefusedError, Request

LOOPBACK = "127.0.0.1"

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Largest body in bytes: as much as a trace file may have (contract, section 1)."""

MAX_REQUESTS_KEPT = 10_000
"""Requests kept for `Sandbox.requests`; older ones are dropped."""

IDLE_SECONDS = 30.0
"""How long a connection may be silent, so that a stalled client does not hold a thread for good."""


class Sandbox:
    """A CI API that keeps everything in memory, for trials and tests; a context manager.

    `decide_after` is the time in seconds until a run is decided, measured by `clock`; `host` is an IPv4 address of this
    machine; `port` 0 takes a free one; `campaigns` names further campaigns without scenarios; with `tls` it speaks
    https, which the gate requires of every host but loopback. Entering it raises `OSError` when the address is not
    available.
    """

    def __init__(  # noqa: PLR0913 - each is one option of a test or of the command
        self,
        *,
        token: str | None = None,
        decide_after: float = 0.0,
        host: str = LOOPBACK,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        campaigns: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._ledger = Store(decide_after=decide_after, clock=clock, campaigns=campaigns)
        self._host, self._port, self._tls = host, port, tls
        self._requests: deque[Request] = deque(maxlen=MAX_REQUESTS_KEPT)
        self._lock = Lock()

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end; known once the sandbox has been entered."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self._port}"

    @property
    def requests(self) -> list[Request]:
        """The requests received whole so far, oldest first: a copy that no later request changes."""
        with self._lock:
            return list(self._requests)

    def __enter__(self) -> Self:
        self._server = _Server(self._host, self._port, self._tls, self._answer)
        self._port = self._server.server_port
        self._api = Api(self._ledger, token=self._token, base_url=self.url)
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self._requests.append(request)
            return self._api.answer(request)


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        super().__init__((host, port), _Connection)
        if tls:
            # Not at once: a client that is silent must hold its own thread and not the one that accepts.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self) -> None:
        # HTTPServer's own looks the host's name up in DNS, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()


class _Connection(BaseHTTPRequestHandler):
    server: _Server
    server_version = "SepuruxSandbox"
    sys_version = ""
    timeout = IDLE_SECONDS

    def handle(self) -> None:
        """Serve until the connection ends; a client that goes away or trusts another is no fault of the sandbox."""
        with suppress(ConnectionError, ssl.SSLError):
            super().handle()

    def serve(self) -> None:
        """Read one request whole and send its answer."""
        try:
            answer = self.server.answer(self._request())
        except RefusedError as refused:
            answer = refused.answer()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PATCH = serve  # noqa: N815 - http.server looks these names up

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden method's name for it
        """Log nothing: `Sandbox.requests` has what came in."""

    def _request(self) -> Request:
        length = self.headers.get("Content-Length", "0")
        if not re.fullmatch("[0-9]{1,8}", length) or int(length) > MAX_BODY_BYTES:
            raise RefusedError(413, f"Content-Length must be a number of at most {MAX_BODY_BYTES} bytes")
        path, _, query = self.path.partition("?")
        return Request(
            method=self.command,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )
