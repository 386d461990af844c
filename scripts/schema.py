"""Builds the JSON Schema by which editors check a policy file, from the table of options. `make generate` writes it.

The schema is a little stricter than the action: it rejects a key without a value, which the action ignores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

from sepurux_action.config import options, policy_parser
from sepurux_action.config.options import Option, SectionKind

ROOT = Path(__file__).resolve().parent.parent

Schema: TypeAlias = dict[str, object]

PATH = ROOT / "docs" / "sepurux-gate.schema.json"
ADDRESS = "https://raw.githubusercontent.com/sepurux/gate-action/main/docs/sepurux-gate.schema.json"
_DAY = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"


_ENTRY: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["stage"],
    "properties": {
        "stage": {"description": "The stage that applies.", **options.ENFORCEMENT.kind.schema},
        "from": {"description": "First day in UTC, such as `2027-01-31`.", "type": "string", "pattern": _DAY},
        "branches": {"description": "GitHub's filter patterns.", **options.PATHS.kind.schema},
    },
}

_ENFORCEMENT: Schema = {
    "anyOf": [
        options.ENFORCEMENT.kind.schema,
        {"type": "array", "items": _ENTRY, "minItems": 1, "maxItems": policy_parser.MAX_RULES},
    ]
}


def schema() -> Schema:
    """Return the schema."""
    thresholds: Schema = {"description": "What the evaluation must reach.", **_object(SectionKind.THRESHOLDS, {})}
    gate = _object(SectionKind.GATE, {policy_parser.THRESHOLDS: thresholds})
    most = policy_parser.MAX_GATES_IN_STEP
    gates = {"description": "One for each gate.", "type": "array", "items": gate, "minItems": 1, "maxItems": most}
    version = {"description": "Version of this form.", "enum": [int(policy_parser.VERSION), policy_parser.VERSION]}
    top = _object(
        SectionKind.TOP,
        {policy_parser.VERSION_KEY: version, policy_parser.THRESHOLDS: thresholds, policy_parser.GATES: gates},
    )
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ADDRESS,
        "title": "Sepurux gate policy",
        "description": "The policy file, .github/sepurux-gate.yml. It overrides the inputs of the workflow.",
        **top,
    }


def text() -> str:
    """Return the text of the file with the schema."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _object(section: SectionKind, more: Schema) -> Schema:
    allowed = [option for option in options.OPTIONS if section in option.allowed_in]
    values = {spelling: _value(spelling, option) for option in allowed for spelling in option.names}
    return {"type": "object", "additionalProperties": False, "properties": {**values, **more}}


def _value(spelling: str, option: Option[object]) -> Schema:
    same = spelling == option.name
    values = _ENFORCEMENT if option is options.ENFORCEMENT else option.kind.schema
    return {"description": option.help if same else f"The same as `{option.name}`.", **values}
