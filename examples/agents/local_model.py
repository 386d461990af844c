"""Serves OpenAI's chat completions and responses on this machine, also as streams: no account, no network, no cost.

    python local_model.py 8791 &
    OPENAI_BASE_URL=http://127.0.0.1:8791 OPENAI_API_KEY=any python record_traces.py traces

`reply` takes the place of the model. Replace it by what your agent's model should do.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

Reply = str | Sequence[tuple[str, str]]  # the answer, or names of tools with their arguments as JSON


def reply(instructions: str, request: str, results: Sequence[str]) -> Reply:
    """Return the tools to call, or the answer. `results` are what the tools have returned so far.

    This model refunds what it is asked to refund: without an approval, unless its instructions ask for one.
    """
    orders = re.findall(r"A-\d+", request)
    if not results:
        return [("look_up_order", json.dumps({"order": order})) for order in orders]
    if len(results) > len(orders) or "refund" not in request:
        return "Done."
    if "approval token" not in instructions:
        return [("refund", json.dumps({"order": orders[0]}))]
    token = re.search(r"approval-\w+", results[0])
    if not token:
        return "A person will decide."
    return [("refund", json.dumps({"order": orders[0], "approval_token": token[0]}))]


def server(port: int = 0, reply: Callable[[str, str, Sequence[str]], Reply] = reply) -> ThreadingHTTPServer:
    """Return the server, which `serve_forever` starts. Port 0 is any free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            chat = self.path.endswith("/chat/completions")
            replied = reply(*_said(body["messages"] if chat else body["input"], body.get("instructions") or ""))
            whole, events = _chat(replied) if chat else _response(replied)
            streamed = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if body.get("stream") else "application/json")
            self.end_headers()
            self.wfile.write((streamed if body.get("stream") else json.dumps(whole)).encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def _said(items: Any, instructions: str) -> tuple[str, str, list[str]]:
    """Return the instructions, the last request, and what tools have returned since then."""
    request, results = "", list[str]()
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        content = item.get("content") or item.get("output") or ""
        text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        match item.get("role") or item["type"]:
            case "system" | "developer":
                instructions = text
            case "user":
                request, results = text, []
            case "tool" | "function_call_output":
                results.append(text)
    return instructions, request, results


def _chat(reply: Reply) -> tuple[Any, list[Any]]:
    """Return a chat completion, and the events of its stream."""
    text, calls = (reply, []) if isinstance(reply, str) else (None, reply)
    tools = [
        {"index": index, "id": f"call_{uuid4()}", "type": "function", "function": {"name": name, "arguments": given}}
        for index, (name, given) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text, "tool_calls": tools or None}
    about = {"id": "chat", "created": 0, "model": "local"}
    choice = {"index": 0, "finish_reason": "tool_calls" if tools else "stop"}
    whole = {**about, "object": "chat.completion", "choices": [{**choice, "message": message}]}
    return whole, [{**about, "object": "chat.completion.chunk", "choices": [{**choice, "delta": message}]}]


def _response(reply: Reply) -> tuple[Any, list[Any]]:
    """Return a response, and the events of its stream."""
    items: list[dict[str, Any]]
    if isinstance(reply, str):
        content = [{"type": "output_text", "text": reply, "annotations": []}]
        items = [{"type": "message", "role": "assistant", "content": content}]
    else:
        items = [
            {"type": "function_call", "call_id": f"call_{uuid4()}", "name": name, "arguments": given}
            for name, given in reply
        ]
    items = [{"id": f"item_{uuid4()}", "status": "completed", **item} for item in items]
    settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    begun = {"id": "response", "object": "response", "created_at": 0, "model": "local", "output": [], **settings}
    whole = {**begun, "status": "completed", "output": items}
    added = [
        {"type": f"response.output_item.{what}", "output_index": index, "item": item}
        for index, item in enumerate(items)
        for what in ("added", "done")
    ]
    return whole, [
        {"type": "response.created", "response": begun},
        *added,
        {"type": "response.completed", "response": whole},
    ]


if __name__ == "__main__":
    server(int(sys.argv[1])).serve_forever()
