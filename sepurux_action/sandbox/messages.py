"""Requests and responses, and the validation of a request's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: `path` without its query, header names in lower case, the last value of each query key."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def json(self) -> dict[str, object]:
        """Return the body as a JSON object; raises RejectedError (422) if it is not one."""
        try:
            value = json.loads(self.body)
        except RecursionError:
            raise validation_error(("body",), "nested too deeply", "json_invalid") from None
        except ValueError as error:
            raise validation_error(("body",), f"not valid JSON: {error}", "json_invalid") from None
        if not isinstance(value, dict):
            raise validation_error(("body",), "must be an object", "dict_type")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response, with a JSON body."""

    status: int
    body: bytes


@dataclass(slots=True, eq=False)
class RejectedError(Exception):
    """A request is rejected with `status` and `detail`: a text, or a list with the first problem in the body."""

    status: int
    detail: str | list[dict[str, object]]

    def response(self) -> Response:
        """Return the response that rejects the request."""
        return json_response({"detail": self.detail}, status=self.status)


def json_response(value: object, *, status: int = 200) -> Response:
    """Return a response with the value as JSON, in ASCII."""
    return Response(status=status, body=json.dumps(value, allow_nan=False).encode())


def validation_error(loc: tuple[str | int, ...], msg: str, kind: str) -> RejectedError:
    """Return the rejection (422) of a request with a problem at this location."""
    return RejectedError(422, [{"loc": list(loc), "msg": msg, "type": kind}])


class Fields:
    """Typed getters of a JSON object. Null means absent. Each getter raises RejectedError (422) for a problem."""

    def __init__(self, values: Mapping[str, object], loc: tuple[str | int, ...] = ("body",)) -> None:
        self.values = values
        self._loc = loc
        self._known: set[str] = set()

    def text(self, key: str, *, required: bool = False) -> None:
        """Check that a value is a text that is not blank."""
        value = self._take(key, required=required)
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise self._invalid(key, "must be a text that is not blank", "string_type")

    def uuid(self, key: str, *, required: bool = False) -> str | None:
        """Return a UUID in canonical form."""
        value = self._take(key, required=required)
        return None if value is None else self._uuid(value, key)

    def uuids(self, key: str) -> tuple[str, ...]:
        """Return a list of UUIDs in canonical form."""
        return tuple(self._uuid(value, key, index) for index, value in self._items(key))

    def texts(self, key: str) -> tuple[object, ...]:
        """Return a list of texts."""
        for index, value in self._items(key):
            if not isinstance(value, str):
                raise self._invalid(key, "must be a text", "string_type", index)
        return tuple(value for _, value in self._items(key))

    def number(self, key: str, *, most: float) -> float | None:
        """Return a number from 0 to `most`."""
        value = self._take(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most):
            return value
        raise self._invalid(key, f"must be a number from 0 to {most:g}", "float_type")

    def whole_number(self, key: str, *, least: int = 0) -> int | None:
        """Return a whole number of at least `least`."""
        value = self._take(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
            return value
        raise self._invalid(key, f"must be a whole number of at least {least}", "int_type")

    def nested(self, key: str, *, required: bool = False) -> Fields | None:
        """Return the getters of an inner object."""
        value = self._take(key, required=required)
        return None if value is None else self._nested(value, key)

    def nested_list(self, key: str) -> list[Fields]:
        """Return the getters of each object in a required list."""
        return [self._nested(value, key, index) for index, value in self._items(key, required=True)]

    def check_unknown(self) -> None:
        """Reject a key that no getter has read: a misspelled threshold must not look like one that is not set."""
        for key in self.values.keys() - self._known:
            raise self._invalid(key, "is not known here", "extra_forbidden")

    def _take(self, key: str, *, required: bool = False) -> object:
        self._known.add(key)
        value = self.values.get(key)
        if value is None and required:
            raise self._invalid(key, "is required", "missing")
        return value

    def _items(self, key: str, *, required: bool = False) -> Iterator[tuple[int, object]]:
        value = self._take(key, required=required)
        if not isinstance(value, list | None):
            raise self._invalid(key, "must be a list", "list_type")
        return enumerate(value or [])

    def _uuid(self, value: object, *path: str | int) -> str:
        try:
            return str(UUID(value if isinstance(value, str) else ""))
        except ValueError:
            raise validation_error((*self._loc, *path), "must be a UUID", "uuid_parsing") from None

    def _nested(self, value: object, *path: str | int) -> Fields:
        if not isinstance(value, dict):
            raise validation_error((*self._loc, *path), "must be an object", "dict_type")
        return Fields(value, (*self._loc, *path))

    def _invalid(self, key: str, msg: str, kind: str, *index: int) -> RejectedError:
        return validation_error((*self._loc, key, *index), msg, kind)
