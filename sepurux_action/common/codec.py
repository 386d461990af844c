"""Converts frozen dataclasses to JSON values and back, objects to JSON of another shape, and signs JSON values."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def dump(value: object, *, defaults: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return a record as a JSON value. Fields that have their default are left out, unless `defaults` is true."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {name: dump(each, defaults=defaults) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [dump(each, defaults=defaults) for each in value]
    if is_dataclass(value):
        parts = {field: getattr(value, field.name) for field in fields(value)}
        kept = {field: part for field, part in parts.items() if defaults or part != _default(field)}
        return {field.name: dump(part, defaults=defaults) for field, part in kept.items()}
    return value


def load(kind: type[Record], value: object) -> Record:
    """Return the record that `dump` wrote; raises ValueError for a JSON value that it does not write for this type."""
    try:
        record: Record = _load(kind, value)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from error
    return record


def _load(kind: Any, value: Any) -> Any:  # noqa: ANN401 - any type, any JSON value
    arguments = get_args(kind)
    if NoneType in arguments:  # `X | None`
        return None if value is None else _load(arguments[0], value)
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_load(arguments[0], each) for each in value)
    if get_origin(kind) is Mapping and isinstance(value, dict):
        return {name: _load(arguments[1], each) for name, each in value.items()}
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        return kind(**{name: _load(_types(kind)[name], each) for name, each in value.items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"no {kind}")
    return value


class Shape:
    """A JSON object whose fields are the annotations of a subclass, and `more` fields that a table defines.

    `Annotated` adds to a field its description, a dictionary for its JSON schema, and a function that returns its value
    from the object that is written, in place of the attribute with the name of the field.
    """

    more: ClassVar[Mapping[str, Any]] = {}


def dump_as(kind: Any, value: Any) -> Any:  # noqa: ANN401 - any type, any value
    """Return an object as a JSON value of another type. A whole number is written as an integer: `1`, not `1.0`."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None:
        return None
    if hasattr(kind, "more"):  # a shape
        return {name: dump_as(each, read(value)) for name, each, read in _fields(kind)}
    arguments = get_args(kind)
    if NoneType in arguments:
        return dump_as(arguments[0], value)
    if get_origin(kind) is tuple:
        return [dump_as(arguments[0], each) for each in value]
    return dump(value, defaults=True)


@cache
def _fields(shape: Any) -> list[tuple[str, Any, Callable[[Any], object]]]:  # noqa: ANN401 - any type
    fields_of = ((name, *get_args(each)) for name, each in described_fields(shape).items())
    return [(name, each, next(filter(callable, more), attrgetter(name))) for name, each, *more in fields_of]


@cache
def _types(kind: type) -> Mapping[str, Any]:
    return {**get_type_hints(kind, include_extras=True), **getattr(kind, "more", {})}


def described_fields(kind: type) -> Mapping[str, Any]:
    return {name: each for name, each in _types(kind).items() if get_origin(each) is Annotated}


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def sign(key: str, purpose: str, *content: object) -> str:
    """Return the HMAC-SHA-256, in hexadecimal, of JSON values; no `purpose` accepts the signature of another one."""
    return hmac.new(key.encode(), json.dumps([purpose, *content]).encode(), hashlib.sha256).hexdigest()
