"""The format of a trace: a table of the fields that the gate or Sepurux reads, as JSON schema and as Markdown.

The schema is stricter than the gate, which ignores what it does not know. Source: the SDK's `TraceBuilder`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from sepurux_action.evaluation.traces import CALL, PROMPT, RESULT

PATH = Path(__file__).resolve().parent.parent / "docs" / "trace.schema.json"
HEAD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": f"https://raw.githubusercontent.com/sepurux/gate-action/main/docs/{PATH.name}",
    "title": "Trace of an agent, as the Sepurux gate uploads it",
    "description": "A result must also follow a call of the same tool, which a schema cannot express.",
}
ERROR, ANSWER = "failure", "agent_output"
TYPES = (PROMPT, CALL, RESULT, ERROR, ANSWER, "llm_call", "model", "mutation", "retry")
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
        "recorder",
        "a text",
        "The program that recorded it, with its version.",
        {"type": "string"},
        is_required=False,
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
        "a text; `error` or `failed` if it went wrong",
        "Whether it went wrong.",
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
    Field(
        "injected",
        "`true` or `false`",
        "Whether a stub made the error, to see what the agent does. The sandbox does not count it.",
        {"type": "boolean"},
        (RESULT,),
        is_required=False,
    ),
    Field("input", "any JSON", "What the agent was asked.", {}, (PROMPT,), is_required=False),
    Field("output", "any JSON", "What the agent answered.", {}, (ANSWER,), is_required=False),
)


def text() -> str:
    """Return the schema as JSON."""
    by_type = [
        {"if": {"properties": {"type": {"const": kind}}}, "then": {"required": required}}
        for kind in TYPES
        if (required := [each.name for each in OF_EVENTS if each.is_required and kind in each.of])
    ]
    schema = {**HEAD, **_object(FIELDS), "$defs": {"event": {**_object(OF_EVENTS), "allOf": by_type}}}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _object(fields: Iterable[Field]) -> dict[str, object]:
    return {
        "type": "object",
        "required": [each.name for each in fields if each.is_required and not each.of],
        "properties": {each.name: {"description": each.use, **each.schema} for each in fields},
    }


def table() -> str:
    """Return the table of all fields; those that must be there have a mark."""
    rows = ["| field | of | value | what it is for |", "| --- | --- | --- | --- |"]
    for default, fields in (("the trace", FIELDS), ("each event", OF_EVENTS)):
        for field in fields:
            name = f"`{field.name}`{' *' if field.is_required else ''}"
            of = ", ".join(f"`{each}`" for each in field.of) or default
            rows.append(f"| {name} | {of} | {field.value} | {field.use} |")
    return "\n".join(rows)
