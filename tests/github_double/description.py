"""GitHub's published description of its API: which calls exist, what they accept, and what they return."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from graphql import GraphQLSchema, build_schema
from jsonschema import Draft202012Validator

FACTS = Path(__file__).parent / "facts"
SOMETHING: Final = {"uri": "https://example.invalid/", "date-time": "2026-01-01T00:00:00Z"}

TOLERATED: Final = {"per_page"}  # PyGithub sends it with each list, also where nothing is paged; GitHub ignores it

_FACTS: Final[dict[str, Any]] = json.loads((FACTS / "rest.json").read_text())
_SCHEMAS: Final[dict[str, Any]] = _FACTS["schemas"]
_WORDS: Final = {"integer": re.compile(r"-?\d+"), "boolean": re.compile("true|false")}


def graphql_schema() -> GraphQLSchema:
    """Return the part of GitHub's public GraphQL schema that is kept here."""
    return build_schema((FACTS / "schema.graphql").read_text())


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the REST API as its description has it; `name` is its operationId."""

    name: str
    method: str
    path: str
    _facts: Mapping[str, Any]

    def values(self, path: str) -> dict[str, str] | None:
        """Return what the path gives for the template's names, decoded, or None where it does not fit."""
        fit = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path)), path)
        return fit and {name: unquote(value) for name, value in fit.groupdict().items()}

    def complaints(self, values: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Iterator[str]:
        """Yield what the description does not know, or forbids, in the path's values, the query and the body."""
        parameters = {(each["in"], each["name"]): each for each in self._facts["parameters"]}
        for place, given in (("path", values), ("query", query)):
            for name, value in given.items():
                if name in TOLERATED:
                    continue
                if (parameter := parameters.get((place, name))) is None:
                    yield f"{self.name}: no parameter {name!r} in the {place}"
                elif not _says(parameter["schema"], value):
                    yield f"{self.name}: {name}={value!r} in the {place} is no {parameter['schema']}"
        for (place, name), parameter in parameters.items():
            if place == "query" and parameter["required"] and name not in query:
                yield f"{self.name}: {name!r} is missing in the query"
        yield from (f"{self.name}: {complaint}" for complaint in self._of_body(body))

    def _of_body(self, body: bytes) -> Iterator[str]:
        schema = self._facts["body"]
        if schema is None:
            if body:
                yield "takes no body"
            return
        try:
            parsed = json.loads(body)
        except ValueError:
            yield "the body is no JSON"
            return
        # A name that the description does not list would be taken by GitHub, and be without effect.
        for error in _validator({**schema, "additionalProperties": False}).iter_errors(parsed):
            yield f"body: {error.message}"

    def completed(self, status: int, payload: object) -> Any:  # noqa: ANN401 - a JSON document
        """Return an answer with each required field that it leaves out, in the emptiest value of its type."""
        schema = self._facts["answers"][str(status)]
        return _completed(schema, payload) if schema else payload

    def misfits(self, status: int, payload: object) -> list[str]:
        """Return how an answer differs from what the description promises; an unknown status is a KeyError."""
        schema = self._facts["answers"][str(status)]
        if schema is None:
            return [] if payload is None else ["answers nothing"]
        return [f"{error.json_path}: {error.message}" for error in _validator(schema).iter_errors(payload)]


OPERATIONS: Final = tuple(Operation(each["id"], each["method"], each["path"], each) for each in _FACTS["operations"])


def find_operation(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """Return the operation of a request and its path's values, or None if the description does not have it."""
    for operation in OPERATIONS:
        if operation.method == method and (values := operation.values(path)) is not None:
            return operation, values
    return None


def _says(schema: Mapping[str, Any], text: str) -> bool:
    word = _WORDS.get(schema.get("type", ""))
    return (word is None or word.fullmatch(text) is not None) and text in schema.get("enum", [text])


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({"allOf": [schema], "schemas": _SCHEMAS})


def _followed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = _SCHEMAS[schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _completed(schema: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401 - a JSON document
    schema = _chosen(_followed(schema), value)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        missing = {
            name: _emptiest(properties.get(name, {})) for name in schema.get("required", []) if name not in value
        }
        return {**missing, **{name: _completed(properties.get(name, {}), each) for name, each in value.items()}}
    if isinstance(value, list):
        return [_completed(schema.get("items", {}), each) for each in value]
    return value


def _chosen(schema: Mapping[str, Any], value: object) -> Mapping[str, Any]:
    """Return the alternative that is meant: for an object the one that takes what its `type` says."""
    alternatives = [_followed(each) for key in ("oneOf", "anyOf") for each in schema.get(key, [])]
    for each in alternatives:
        inner = _chosen(each, value)
        kinds = inner.get("properties", {}).get("type", {}).get("enum")
        if isinstance(value, dict) and "properties" in inner and (kinds is None or value.get("type") in kinds):
            return inner
        if isinstance(value, list) and inner.get("type") == "array":
            return inner
    return schema


def _emptiest(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON document
    schema = _followed(schema)
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    alternatives = [each for key in ("oneOf", "anyOf") for each in schema.get(key, [])]
    if "null" in kinds or any(each.get("type") == "null" for each in alternatives):
        return None
    if alternatives:
        return _emptiest(alternatives[0])
    if "enum" in schema:
        return schema["enum"][0]
    match kinds:
        case ["object"]:
            return _completed(schema, {})
        case ["string"]:
            return SOMETHING.get(schema.get("format", ""), "")
        case ["array"]:
            return []
        case ["integer"] | ["number"]:
            return 0
        case ["boolean"]:
            return False
        case _:
            return None
