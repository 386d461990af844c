"""Builds the JSON Schema of `report.json` from the table of its fields, and their annotations, for `make generate`."""

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from sepurux_action.evaluation.metrics import METRICS, Unit
from sepurux_action.report.data import COMPUTED, FIELDS, SCHEMA, Values
from sepurux_action.report.report import Report

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = "https://raw.githubusercontent.com/sepurux/gate-action/main/docs/"
NAME = "report.schema.json"
MEANING = (
    "The file report.json: what a step of the action learned and what follows from it. Every field is present; null is"
    " unknown. Rates are fractions, scores 0 to 100."
)

Schema: TypeAlias = dict[str, Any]

HIGHEST = {Unit.FRACTION: 1, Unit.OF_100: 100}  # the end of the scale
TYPES: Mapping[object, Schema] = {
    str: {"type": ["string", "null"], "minLength": 1},
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number"},
    Values: {"$ref": "#/$defs/Numbers"},
}


def files() -> Iterable[tuple[Path, str]]:
    """Yield the schema's path and text."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ADDRESS + NAME}
    version = {"schema": {"const": SCHEMA, "description": "Name and version of this format."}}
    definitions = {kind.__name__: _object(_properties(kind)) for kind in FIELDS if kind is not Report}
    definitions["Numbers"] = _object(_numbers())
    schema = {
        **head,
        "title": "Sepurux gate report",
        "description": MEANING,
        **_object({**version, **_properties(Report)}),
        "$defs": dict(sorted(definitions.items())),
    }
    yield ROOT / "docs" / NAME, json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _properties(kind: type) -> Mapping[str, Schema]:
    every = ((path.rpartition(".")[2], _type(kind, path), text) for path, text in FIELDS[kind].items())
    return {name: {**_value(found), "description": text} for name, found, text in every}


def _numbers() -> Mapping[str, Schema]:
    found = {}
    for metric in METRICS:
        kind = "integer" if metric.unit is Unit.INTEGER else "number"
        highest = {"maximum": HIGHEST[metric.unit]} if metric.unit in HIGHEST else {}
        found[metric.name] = {"type": [kind, "null"], "minimum": 0, **highest, "description": f"{metric.label}."}
    return found


def _type(kind: Any, path: str) -> Any:  # noqa: ANN401 - any type
    """Return the annotation at a path: of a field, a property, or a function that computes the value."""
    for name in path.split("."):
        member = getattr(kind, name, None)
        function = COMPUTED.get((kind, name)) or getattr(member, "fget", None) or getattr(member, "func", None)
        kind = get_type_hints(function)["return"] if function else get_type_hints(kind)[name]
    return kind


def _value(kind: Any) -> Schema:  # noqa: ANN401 - any type
    arguments = get_args(kind)
    if kind in TYPES:
        return dict(TYPES[kind])
    if NoneType in arguments:
        return _nullable(_value(next(each for each in arguments if each is not NoneType)))
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _value(arguments[0])}
    if get_origin(kind) is Mapping:
        return {"type": "object", "additionalProperties": _value(arguments[1])}
    if get_origin(kind) is Literal:
        return {"enum": list(arguments)}
    if issubclass(kind, Enum):
        return {"enum": [each.value for each in kind]}
    if kind not in FIELDS:
        raise TypeError(f"FIELDS describes no {kind}")
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _nullable(schema: Schema) -> Schema:
    """Return the schema of a value that may be unknown."""
    if "type" in schema and schema["type"] != "object":
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [{"type": "null"}, schema]}
