"""Owns the socket, HTTP/1.1 and TLS of the sandbox; never makes a certificate and never judges anything."""

from __future__ import annotations

import re
import socket
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
from sepurux_action.sandbox.ledger import Ledger
from sepurux_action.sandbox.wire import Answer, RefusedError, Request

LOOPBACK = "127.0.0.1"

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Largest body in bytes: as much as a trace file may have (contract, section 1)."""

MAX_REQUESTS_KEPT = 10_000
"""Requests remembered for whoever looks at `Sandbox.requests`; older ones are forgotten."""

MAX_QUERY_FIELDS = 100
"""Fields of a query: no endpoint has more than three."""

IDLE_SECONDS = 30.0
"""How long a connection may be silent, so that a stalled client does not hold a thread for good."""

LINGER_SECONDS = 2.0
"""How long the rest of a refused body is read away: closed at once, the client would see a reset and no answer."""

_LENGTH = re.compile("[0-9]{1,15}")


class Sandbox:
    """A CI API that keeps everything in memory, for trying and testing; a context manager.

    It judges recorded traces by the rules in `judging`. It replays nothing, mutates nothing and is no substitute for
    the product. `decide_after` is the time in seconds until a run is decided, told by `clock`; `host` is an IPv4
    address of this machine; `port` 0 takes a free one; `campaigns` names further campaigns without scenarios; with
    `tls` it speaks https, which the gate asks of every host but loopback. Entering it raises `OSError` when the
    address cannot be had.
    """

    def __init__(  # noqa: PLR0913 - each is one option of the command
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
        self._ledger = Ledger(decide_after=decide_after, clock=clock, campaigns=campaigns)
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
        self._server.stop()

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self._requests.append(request)
        return self._api.answer(request)


class _Server(ThreadingHTTPServer):
    # Joined when the server is closed: a stopped sandbox must not answer on a connection that was kept alive.
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        self._connections: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__((host, port), _Connection)
        if tls:
            # Not at once: a client that is silent must hold its own thread and not the one that accepts.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self) -> None:
        # HTTPServer's own looks the host's name up in DNS, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        with self._lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]  # TCP has no datagrams
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        self.shutdown()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Connection(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "SepuruxSandbox"
    sys_version = ""
    timeout = IDLE_SECONDS
    # Headers and body go out in two writes; with Nagle's algorithm the second waits for the client's delayed ACK.
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Serve until the connection ends; a client that goes away or trusts another is no fault of the sandbox."""
        with suppress(ConnectionError, ssl.SSLError):
            super().handle()

    def serve(self) -> None:
        """Read one request whole and send its answer."""
        try:
            request = self._request()
        except RefusedError as refused:
            self._send(refused.answer(), last=True)
            self._drain()
        else:
            self._send(self.server.answer(request))

    # http.server looks these names up.
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send http.server's own refusals (a bad request line, too many headers) in the API's shape."""
        del explain
        self.command = self.command or "GET"
        self.request_version = self.protocol_version
        self._send(RefusedError(code, message or "bad request").answer(), last=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden method's name for it
        """Log nothing: `Sandbox.requests` tells what came in."""

    def _request(self) -> Request:
        length = self._body_length()
        body = self.rfile.read(length)
        if len(body) < length:
            raise RefusedError(400, "the body is shorter than its Content-Length")
        path, _, query = self.path.partition("?")
        try:
            fields = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS))
        except ValueError:
            raise RefusedError(400, f"the query has more than {MAX_QUERY_FIELDS} fields") from None
        headers = {name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        return Request(method=self.command, path=path, query=fields, headers=headers, body=body)

    def _body_length(self) -> int:
        if "Transfer-Encoding" in self.headers:
            raise RefusedError(411, "send the body with a Content-Length, not in chunks")
        given = self.headers.get_all("Content-Length", ["0"])
        if len(given) > 1 or not _LENGTH.fullmatch(given[0]):
            raise RefusedError(400, "Content-Length must be one whole number")
        if int(given[0]) > MAX_BODY_BYTES:
            raise RefusedError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        return int(given[0])

    def _send(self, answer: Answer, *, last: bool = False) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if last:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _drain(self) -> None:
        end = time.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            while time.monotonic() < end and self.rfile.read1(65536):
                pass
