"""Builds the JSON Schema by which editors check a policy file, from the table of options. `make generate` writes it.

The schema is a little stricter than the action: it rejects a key without a value, which the action ignores.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from sepurux_action.config import options, parsers, policy
from sepurux_action.config.command_line import in_workflow
from sepurux_action.config.options import Option, SectionKind

ROOT = Path(__file__).resolve().parent.parent

Schema: TypeAlias = dict[str, object]

PATH = ROOT / "docs" / "sepurux-gate.schema.json"
ADDRESS = "https://raw.githubusercontent.com/sepurux/gate-action/main/docs/sepurux-gate.schema.json"
_DURATION = r"^(?=\d)(\d{1,9}|(\d{1,9}[hH] ?)?(\d{1,9}[mM] ?)?(\d{1,9}[sS])?)$"
_PERCENTAGE = r"^(100(\.0+)?|\d{1,2}(\.\d+)?)%$"

_NO_EXPRESSION = r"^(?![\s\S]*\$\{\{)[\s\S]*"
_TEXT: Schema = {"type": ["string", "number"], "pattern": rf"{_NO_EXPRESSION}\S"}
_COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
_VALUES: Mapping[object, Schema] = {  # by their parser; `make generate` asks for one that is missing
    parsers.parse_line: _TEXT,
    parsers.parse_name: {**_TEXT, "pattern": rf"{_NO_EXPRESSION}[^)\s]\s*$", "maxLength": parsers.MAX_NAME_LENGTH},
    parsers.parse_whole_number: _COUNT,
    parsers.parse_positive_number: {**_COUNT, "minimum": 1},
    parsers.parse_score: {"anyOf": [{"const": 0}, {"type": "number", "minimum": 1, "maximum": 100}]},
    parsers.parse_rate: {
        "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": _PERCENTAGE}]
    },
    parsers.parse_duration: {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": parsers.MAX_TIMEOUT_S},
            {"type": "string", "pattern": _DURATION},
        ]
    },
}
_MOST: Mapping[object, int] = {  # entries of a list, by its parser; any number for the others
    parsers.parse_trace_ids: parsers.MAX_TRACES,
    parsers.parse_paths: parsers.MAX_PATTERNS,
}


class MissingError(Exception):
    """An edit is missing, without which the generated files would be wrong. The text says which one."""


def values_of(option: Option[object]) -> Schema:
    """Return the schema of an option's value; raises MissingError if its parser has none."""
    default = option.parse(option.default) if option.default else None
    if isinstance(default, StrEnum):
        return {"enum": [str(word) for word in type(default)]}
    if option.form is dict:
        days = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
        return {"type": "object", "minProperties": 1, "additionalProperties": days}
    if option.form is list:
        most = {"maxItems": _MOST[option.parse]} if option.parse in _MOST else {}
        return {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, **most}]}
    if option.parse not in _VALUES:
        raise MissingError(f"`_VALUES` in scripts/schema.py has no entry for the parser of `{option.name}`")
    return _VALUES[option.parse]


def schema() -> Schema:
    """Return the schema."""
    thresholds: Schema = {"description": "What the evaluation must reach.", **_object(SectionKind.THRESHOLDS, {})}
    gate = _object(SectionKind.GATE, {policy.THRESHOLDS: thresholds})
    most = policy.MAX_GATES_IN_STEP
    gates = {"description": "One for each gate.", "type": "array", "items": gate, "minItems": 1, "maxItems": most}
    version = {"description": "Version of this form.", "enum": [int(policy.VERSION), policy.VERSION]}
    top = _object(
        SectionKind.TOP,
        {policy.VERSION_KEY: version, policy.THRESHOLDS: thresholds, policy.GATES: gates},
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
    help_text = in_workflow(option.help) if same else f"The same as `{option.name}`."
    return {"description": help_text, **values_of(option)}
