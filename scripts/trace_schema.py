"""Builds the JSON schema of a trace, and the table of docs/trace-format.md, from the fields that the gate reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from sepurux_action.evaluation.trace_format import FIELDS, OF_EVENTS, TYPES, Field

PATH = Path(__file__).resolve().parent.parent / "docs" / "trace.schema.json"
HEAD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": f"https://raw.githubusercontent.com/sepurux/gate-action/main/docs/{PATH.name}",
    "title": "Trace of an agent, as the Sepurux gate uploads it",
    "description": "A result must also follow a call of the same tool, which a schema cannot express.",
}


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
