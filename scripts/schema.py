"""Builds the JSON Schema by which editors check a policy file, from the table of options. `make generate` writes it.

The schema is a little stricter than the action: it rejects a key without a value, which the action ignores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from sepurux_action.config import options, parsers, path_filter, policy_parser
from sepurux_action.config.options import CommentMode, Option, SectionKind
from sepurux_action.config.stage import OnUndecided, Stage

ROOT = Path(__file__).resolve().parent.parent

Schema: TypeAlias = dict[str, object]

PATH = ROOT / "docs" / "sepurux-gate.schema.json"
ADDRESS = "https://raw.githubusercontent.com/sepurux/gate-action/main/docs/sepurux-gate.schema.json"
MAX_WHOLE_NUMBER = 999_999_999  # nine digits, as in the action

_TEXT: Schema = {"type": ["string", "number"], "pattern": r"\S"}
_NAME: Schema = {"type": ["string", "number"], "pattern": r"\S", "maxLength": parsers.MAX_NAME_LENGTH}
_WHOLE: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_WHOLE_NUMBER}
_DURATION = r"^(?=\d)(\d{1,9}(\.\d{1,9})?[sS]?|(\d{1,9}[hH] ?)?(\d{1,9}[mM] ?)?(\d{1,9}[sS])?)$"
_PERCENTAGE = r"^(100(\.0+)?|\d{1,2}(\.\d+)?)%$"
_DAY = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"


def _words(words: type[StrEnum]) -> Schema:
    return {"enum": [str(word) for word in words]}


def _list(*, most: int = 0) -> Schema:
    items: Schema = {"type": "array", "items": _TEXT, "minItems": 1}
    return {"anyOf": [_TEXT, {**items, "maxItems": most} if most else items]}


def _duration(most: int) -> Schema:
    return {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": most},
            {"type": "string", "pattern": _DURATION},
        ]
    }


_ENTRY: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["stage"],
    "properties": {
        "stage": {"description": "The stage that applies.", **_words(Stage)},
        "from": {"description": "First day in UTC, such as `2027-01-31`.", "type": "string", "pattern": _DAY},
        "branches": {"description": "GitHub's filter patterns.", **_list(most=path_filter.MAX_PATTERNS)},
    },
}

_RATE: Schema = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": _PERCENTAGE},
    ]
}
_SCORE: Schema = {"anyOf": [{"const": 0}, {"type": "number", "minimum": 1, "maximum": 100}]}

# By the parser of an option, so that a new option of a known kind needs no row.
VALUES: Mapping[Callable[[str], object], Schema] = {
    parsers.parse_line: _TEXT,
    parsers.parse_name: _NAME,
    parsers.parse_trace_ids: _list(most=parsers.MAX_TRACES),
    parsers.parse_lines: _list(),
    parsers.parse_names: _list(),
    parsers.parse_logins: _list(),
    path_filter.parse_paths: _list(most=path_filter.MAX_PATTERNS),
    parsers.parse_rate: _RATE,
    parsers.parse_score: _SCORE,
    parsers.parse_whole_number: _WHOLE,
    parsers.parse_duration: _duration(parsers.MAX_TIMEOUT_S),
    parsers.parse_poll_interval: _duration(parsers.MAX_POLL_INTERVAL_S),
    parsers.parse_bool: {"type": "boolean"},
    options.ON_UNDECIDED.parse: _words(OnUndecided),
    options.COMMENT.parse: _words(CommentMode),
    options.ENFORCEMENT.parse: {
        "anyOf": [
            _words(Stage),
            {"type": "array", "items": _ENTRY, "minItems": 1, "maxItems": policy_parser.MAX_RULES},
        ]
    },
}


def schema() -> Schema:
    """Return the schema; raises KeyError for an option of the policy file whose parser `VALUES` lacks."""
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
    return {"description": option.help if same else f"The same as `{option.name}`.", **VALUES[option.parse]}
