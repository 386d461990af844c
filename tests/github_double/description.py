"""GitHub's published description of its API: which calls exist, what they accept, and what they return."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from graphql import GraphQLSchema, build_schema
from jsonschema import Draft202012Validator

FACTS = Path(__file__).parent / "facts"
_FACTS: Final[dict[str, Any]] = json.loads((FACTS / "rest.json").read_text())
_SCHEMAS: Final[dict[str, Any]] = _FACTS["schemas"]
_WORDS: Final = {"integer": re.compile(r"-?\d+"), "boolean": re.compile("true|false")}


def graphql_schema() -> GraphQLSchema:
    return build_schema((FACTS / "schema.graphql").read_text())


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    name: str  # the operationId
    method: str
    path: str
    _facts: Mapping[str, Any]

    def values(self, path: str) -> dict[str, str] | None:
        """Return what the path gives for the template's names, decoded, or None where it does not fit."""
        fit = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path)), path)
        return fit and {name: unquote(value) for name, value in fit.groupdict().items()}

    def complaints(self, values: Mapping[str, str], query: Mapping[str, str], body: bytes) -> Iterator[str]:
        """Yield what the description does not know, or forbids, in the path's values, the query and the body."""
        parameters = {(each["in"], each["name"]): each["schema"] for each in self._facts["parameters"]}
        given = {("path", name): value for name, value in values.items()}
        given |= {("query", name): value for name, value in query.items()}
        for (place, name), value in given.items():
            if (schema := parameters.get((place, name))) is None:
                yield f"{self.name}: no parameter {name!r} in the {place}"
            elif not _says(schema, value):
                yield f"{self.name}: {name}={value!r} in the {place} is no {schema}"
        if self._facts["body"] is None:
            if body:
                yield f"{self.name}: takes no body"
            return
        for error in _body_validator(self).iter_errors(json.loads(body)):
            yield f"{self.name}: body: {error.message}"

    def misfits(self, status: int, payload: object) -> list[str]:
        """Return how the fields of a response differ from the description; the response may lack fields."""
        if self._facts["answers"][str(status)] is None:
            return [] if payload is None else [f"{self.name}: answers nothing"]
        # The entries of a list are checked one by one, because many lists have the same ones.
        parts = [[each] for each in payload] if isinstance(payload, list) else [payload]
        return [misfit for part in parts for misfit in _misfits(self, status, json.dumps(part))]


@lru_cache(maxsize=10_000)
def _misfits(operation: Operation, status: int, response: str) -> tuple[str, ...]:
    errors = _answer_validator(operation, status).iter_errors(json.loads(response))
    # The description does not say everywhere that the repository of a deleted fork is null.
    found = (error for error in errors if error.instance is not None)
    return tuple(f"{operation.name}: {error.json_path}: {error.message}" for error in found)


@cache
def _body_validator(operation: Operation) -> Draft202012Validator:
    # A name that the description does not list would be taken by GitHub, and be without effect.
    body = {**operation._facts["body"], "additionalProperties": False}  # noqa: SLF001 - of this module
    return Draft202012Validator({"allOf": [body], "schemas": _SCHEMAS})


@cache
def _answer_validator(operation: Operation, status: int) -> Draft202012Validator:
    schema = operation._facts["answers"][str(status)]  # noqa: SLF001 - of this module
    return Draft202012Validator({"allOf": [_partial(schema)], "schemas": _partial(_SCHEMAS)})


OPERATIONS: Final = tuple(Operation(each["id"], each["method"], each["path"], each) for each in _FACTS["operations"])


def find_operation(method: str, path: str) -> tuple[Operation | None, dict[str, str]]:
    for operation in OPERATIONS:
        if operation.method == method and (values := operation.values(path)) is not None:
            return operation, values
    return None, {}


def _says(schema: Mapping[str, Any], text: str) -> bool:
    word = _WORDS.get(schema.get("type", ""))
    return (word is None or word.fullmatch(text) is not None) and text in schema.get("enum", [text])


def _partial(schema: Any) -> Any:  # noqa: ANN401 - a JSON Schema
    """Return a schema without `required`, so that an object fits several alternatives."""
    if isinstance(schema, list):
        return [_partial(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {"anyOf" if key == "oneOf" else key: _partial(each) for key, each in schema.items() if key != "required"}
