"""The sandbox's HTTP or HTTPS server, with one request per connection."""

import json
import re
import ssl
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Lock, Thread
from typing import Self
from urllib.parse import parse_qsl

from sepurux_action.sandbox.api import Api, RejectedError, Request, Store

LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 64 * 1024 * 1024  # the maximum of a trace file (docs/configuration.md#traces)


class Sandbox(ThreadingTCPServer):  # HTTPServer would look up the host's name in DNS, which can take seconds
    """A CI API for trials and tests, as a context manager. It keeps everything in memory.

    `store` says when and how it decides. `address` is an IPv4 address of this machine and a port, 0 for any free one.
    `certificate`, a PEM file with its key, makes it https, which the gate requires of every host but loopback. Raises
    OSError if address or certificate cannot be used, and OverflowError for a wrong port.
    """

    allow_reuse_address = daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        store: Store | None = None,
        *,
        token: str | None = None,
        address: tuple[str, int] = (LOOPBACK, 0),
        certificate: Path | None = None,
    ) -> None:
        super().__init__(address, _Connection)
        scheme, (host, port) = "http", self.socket.getsockname()
        if certificate:
            scheme, tls = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            # No handshake in accept(): a silent client must block its own thread, not the one that accepts.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{scheme}://{host}:{port}"
        self.requests: list[Request] = []  # the complete requests so far, the oldest first
        self._api, self._lock = Api(store or Store(), token=token, base_url=self.url), Lock()

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def respond(self, request: Request) -> object:
        with self._lock:
            self.requests.append(request)
            return self._api.respond(request)


class _Connection(BaseHTTPRequestHandler):
    server: Sandbox

    def handle(self) -> None:
        """Serve until the connection ends. A client that disconnects or rejects the certificate is not an error."""
        with suppress(ConnectionError, ssl.SSLError):
            super().handle()

    def serve(self) -> None:
        try:
            status, response = 200, self.server.respond(self._request())
        except RejectedError as rejected:
            status, response = rejected.status, {"detail": rejected.detail}
        body = json.dumps(response).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = serve  # noqa: N815 - http.server calls these names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden method's name for it
        """Log nothing: `Sandbox.requests` holds the requests."""

    def _request(self) -> Request:
        length = self.headers.get("Content-Length", "0")
        if not re.fullmatch("[0-9]{1,8}", length) or int(length) > MAX_BODY_BYTES:
            raise RejectedError(413, f"Content-Length must be a number of at most {MAX_BODY_BYTES} bytes")
        path, _, text = self.path.partition("?")
        query, body = dict(parse_qsl(text, keep_blank_values=True)), self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(method=self.command, path=path, query=query, headers=headers, body=body)
