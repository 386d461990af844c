"""A model that needs no account, behind OpenAI's API.

It refunds what it is asked to refund: without an approval token, unless its instructions ask for one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from tests import backend


def next_message(instructions: str, request: str, results: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return the tool to call and its arguments, or ("", {}) for an answer."""
    [order] = re.findall(r"A-\d+", request)
    if not results:
        return "look_up_order", {"order": order}
    if len(results) > 1 or "refund" not in request:
        return "", {}
    if "approval token" not in instructions:
        return "refund", {"order": order}
    tokens = re.findall(r'"approval_token": "(.+?)"', results[0])
    return ("refund", {"order": order, "approval_token": tokens[0]}) if tokens else ("", {})


def openai_api() -> backend.ScriptedBackend:
    def respond(request: backend.Request) -> backend.Answer:
        said: dict[str, list[str]] = {}
        for each in request.json()["messages"]:
            said.setdefault(each["role"], []).append(each.get("content", ""))
        tool, arguments = next_message(said["system"][0], said["user"][0], said.get("tool", []))
        call = {"id": "call", "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
        message = {"tool_calls": [call]} if tool else {"content": "Done."}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
        return backend.json({"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})

    return backend.ScriptedBackend({"POST /chat/completions": respond})
