"""Requests, their rejection, and the validation of their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: `path` without its query, header names in lower case, the last value of each query key."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def fields(self) -> Fields:
        """Return the fields of the body, which must be a JSON object; raises RejectedError (422) if it is not one."""
        try:
            return Fields(json.loads(self.body))
        except (RecursionError, ValueError) as error:
            raise validation_error((), f"not valid JSON: {error}", "json_invalid") from None


@dataclass(slots=True, eq=False)
class RejectedError(Exception):
    """A request is rejected with `status` and `detail`: a text, or a list with the first problem in the body."""

    status: int
    detail: str | list[dict[str, object]]


def validation_error(loc: tuple[str | int, ...], msg: str, kind: str = "value_error") -> RejectedError:
    """Return the rejection (422) of a request with a problem at this location of its body."""
    return RejectedError(422, [{"loc": ["body", *loc], "msg": msg, "type": kind}])


Kind = tuple[Callable[[Any], bool], str]  # whether a value is of this kind, and the words for what is accepted


def number(most: float) -> Kind:
    return lambda value: type(value) in {int, float} and 0 <= value <= most, f"a number from 0 to {most:g}"


def whole_number(least: int = 0) -> Kind:
    return lambda value: type(value) is int and value >= least, f"a whole number of at least {least}"


_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TEXT: Kind = lambda value: isinstance(value, str) and value.strip() != "", "a text that is not blank"
ID: Kind = lambda value: isinstance(value, str) and _UUID.fullmatch(value) is not None, "a UUID"
OBJECT: Kind = lambda value: isinstance(value, dict), "an object"
LIST: Kind = lambda value: isinstance(value, list), "a list"
TEXTS: Kind = lambda value: isinstance(value, list) and all(map(TEXT[0], value)), "a list of texts"


class Fields:
    """The fields of a JSON object. Null means absent. A problem raises RejectedError (422)."""

    def __init__(self, values: object, *loc: str | int) -> None:
        if not isinstance(values, dict):
            raise validation_error(loc, "must be an object")
        self._values = values
        self._loc = loc
        self._known: set[str] = set()

    def take(self, key: str, kind: Kind, *, required: bool = False) -> Any:  # noqa: ANN401 - what the kind accepts
        """Return a value of this kind, None if it is absent."""
        self._known.add(key)
        value, (accepts, accepted) = self._values.get(key), kind
        if value is None and required:
            raise validation_error((*self._loc, key), "is required", "missing")
        if value is not None and not accepts(value):
            raise validation_error((*self._loc, key), f"must be {accepted}")
        return value

    def check_unknown(self) -> None:
        """Reject a key that was not taken: a misspelled threshold must not look like one that is not set."""
        for key in self._values.keys() - self._known:
            raise validation_error((*self._loc, key), "is not known here", "extra_forbidden")
