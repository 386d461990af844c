"""Builds the JSON Schema of `report.json` from its fields in code. `make generate` writes it."""

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, TypeAlias, get_args, get_origin

from sepurux_action.report.report_json import ReportJson, described_fields

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = "https://raw.githubusercontent.com/sepurux/gate-action/main/docs/"
NAME = "report.schema.json"

Schema: TypeAlias = dict[str, Any]

TYPES: Mapping[object, Schema] = {
    str: {"type": "string", "minLength": 1},
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number"},
}


def files() -> Iterable[tuple[Path, str]]:
    """Yield the schema's path and text."""
    definitions: dict[str, Schema] = {}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ADDRESS + NAME}
    head["title"] = "Sepurux gate report"
    schema = {**head, **_object(ReportJson, definitions), "$defs": dict(sorted(definitions.items()))}
    yield ROOT / "docs" / NAME, json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _object(kind: type, definitions: dict[str, Schema]) -> Schema:
    properties = {name: _value(each, definitions, is_field=True) for name, each in described_fields(kind).items()}
    return {
        **(
            {"description": " ".join(kind.__doc__.split())}
            if kind.__doc__ and not kind.__name__.startswith("_")
            else {}
        ),
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _value(kind: Any, definitions: dict[str, Schema], *, is_field: bool = False) -> Schema:  # noqa: ANN401 - any type
    """Return the schema of a field of an object, or of an item of a list."""
    arguments = get_args(kind)
    if get_origin(kind) is Annotated:
        texts = [{"description": extra} for extra in arguments[1:] if isinstance(extra, str)]
        given = [extra for extra in arguments[1:] if isinstance(extra, Mapping)]
        return {
            key: each
            for part in (_value(arguments[0], definitions, is_field=is_field), *texts, *given)
            for key, each in part.items()
        }
    if NoneType in arguments:
        return _nullable(_value(next(each for each in arguments if each is not NoneType), definitions))
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _value(arguments[0], definitions)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [each.value for each in kind]}
    if kind in TYPES:
        return _nullable(TYPES[kind]) if kind is str and is_field else dict(TYPES[kind])
    name = kind.__name__.removeprefix("_")
    if name not in definitions:
        definitions[name] = {}
        definitions[name] = _object(kind, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _nullable(schema: Schema) -> Schema:
    """Return the schema of a value that may be unknown."""
    if "type" in schema and schema["type"] != "object":
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [{"type": "null"}, schema]}
