"""The format of a trace: a table of the fields that the gate or Sepurux reads. docs/trace-format.md shows it.

`make generate` writes the JSON schema from the table. The schema is stricter than the gate, which ignores what it does
not know. Source: the SDK's `TraceBuilder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PROMPT, CALL, RESULT, ERROR, ANSWER = "prompt", "tool_call", "tool_result", "failure", "agent_output"
TYPES = (PROMPT, CALL, RESULT, ERROR, ANSWER, "llm_call", "model", "mutation", "retry")
FAILED = ("error", "failed")  # the status of a call or a result that went wrong

_TEXT: Mapping[str, object] = {"type": "string", "pattern": r"\S"}


class Field(NamedTuple):
    """A field of a trace, or of each event; with `of`, only of events of these types. `schema` is that of its value."""

    name: str
    value: str
    use: str
    schema: Mapping[str, object]
    of: tuple[str, ...] = ()
    is_required: bool = True


FIELDS = (
    Field("trace_version", '`"0.1"`', "As the SDK writes it.", {"const": "0.1"}),
    Field("source", '`"sdk"`', "As the SDK writes it.", {"const": "sdk"}),
    Field(
        "task",
        "an object with `name`, a text",
        "The name of the scenario. Traces with the same name are its recordings.",
        {"type": "object", "required": ["name"], "properties": {"name": _TEXT}},
    ),
    Field(
        "events",
        "a list, with more than prompts",
        "What happened, in this order.",
        {
            "type": "array",
            "minItems": 1,
            "contains": {"not": {"required": ["type"], "properties": {"type": {"const": PROMPT}}}},
            "items": {"$ref": "#/$defs/event"},
        },
    ),
)
OF_EVENTS = (
    Field("type", f"one of {', '.join(f'`{each}`' for each in TYPES)}", "What happened.", {"enum": list(TYPES)}),
    Field(
        "timestamp",
        "a time, such as `2026-11-25T00:18:02Z`",
        "The newest shows whether the trace is older than the commit.",
        {"type": "string", "format": "date-time"},
        is_required=False,
    ),
    Field("tool", "a text", "The tool. A result belongs to an earlier call of the same tool.", _TEXT, (CALL, RESULT)),
    Field("args", "an object", "Reports show the names of the arguments.", {"type": "object"}, (CALL,)),
    Field("result", "any JSON", "What the tool returned.", {}, (RESULT,), is_required=False),
    Field(
        "status",
        f"a text; {' or '.join(f'`{each}`' for each in FAILED)} if it went wrong",
        "Reports show which results are errors.",
        {"type": "string"},
        (CALL, RESULT, ERROR),
        is_required=False,
    ),
    Field(
        "error",
        "a text, or an object with `message`",
        "The same.",
        {"type": ["string", "object", "null"]},
        (CALL, RESULT, ERROR),
        is_required=False,
    ),
    Field("input", "any JSON", "What the agent was asked.", {}, (PROMPT,), is_required=False),
    Field("output", "any JSON", "What the agent answered.", {}, (ANSWER,), is_required=False),
)
