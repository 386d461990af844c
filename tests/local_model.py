"""The examples' local model during a test, with what it asked for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from threading import Thread

import local_model

Calls = list[tuple[str, dict[str, str]]]


@contextmanager
def a_local_model() -> Iterator[tuple[str, Mapping[str, Calls]]]:
    """Yield the address of the model, and the tool calls that it asks for, by request."""
    asked: defaultdict[str, Calls] = defaultdict(list)

    def reply(instructions: str, request: str, results: Sequence[str]) -> local_model.Reply:
        replied = local_model.reply(instructions, request, results)
        if not isinstance(replied, str):
            asked[request] += [(name, json.loads(given)) for name, given in replied]
        return replied

    with serving(local_model.server(reply=reply)) as url:
        yield url, asked


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Yield the address of the server while it runs."""
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
