"""Owns requests, answers and how a foreign body becomes checked values; never knows an endpoint or a socket."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sepurux_action.sandbox.judging import Thresholds

MAX_DEPTH = 100
"""Levels of nesting in a body: far more than a trace has, far less than a recursive encoder bears."""

MAX_WHOLE_NUMBER = 1_000_000_000
"""Largest whole number accepted: nothing here is counted that far, and larger ones break float arithmetic."""

MAX_FAULTS = 20
"""Faults told about one body: the first ones are what a reader corrects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came in: `path` without its query, header names in lower case, the last of equal query keys."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def json(self) -> dict[str, object]:
        """Return the body as a JSON object; raises `RefusedError` (422) when it is none."""
        return read_object(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, ready to be sent."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class RefusedError(Exception):
    """A request that is refused with `status` and `detail`: a text, or the faults of a body that does not fit."""

    status: int
    detail: str | list[dict[str, object]]
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer(self) -> Answer:
        """Return the refusal as an answer."""
        return json_answer({"detail": self.detail}, status=self.status, headers=self.headers)


def json_answer(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer that carries the value as JSON, in ASCII."""
    return Answer(status=status, body=json.dumps(value, allow_nan=False).encode(), headers=headers or {})


def fault(loc: tuple[str | int, ...], msg: str, kind: str) -> dict[str, object]:
    """Return one entry of a 422 detail."""
    return {"loc": list(loc), "msg": msg, "type": kind}


def unfit(loc: tuple[str | int, ...], msg: str, kind: str) -> RefusedError:
    """Return the refusal (422) of a request with one fault."""
    return RefusedError(422, [fault(loc, msg, kind)])


def read_object(body: bytes) -> dict[str, object]:
    """Return the body's JSON object, without NaN, infinities or nesting beyond `MAX_DEPTH`.

    Raises `RefusedError` (422) when the body is anything else.
    """
    try:
        value = json.loads(body, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise unfit(("body",), f"nested deeper than {MAX_DEPTH} levels", "json_invalid") from None
    except ValueError as error:
        raise unfit(("body",), f"not valid JSON: {error}", "json_invalid") from None
    if not isinstance(value, dict):
        raise unfit(("body",), "must be an object", "dict_type")
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return value
    raise unfit(("body",), f"nested deeper than {MAX_DEPTH} levels", "json_invalid")


def read_whole(text: str | None, key: str, *, default: int, least: int, most: int) -> int:
    """Return a whole number of the query, the default where it is absent; raises `RefusedError` (422) out of range."""
    if text is None:
        return default
    # Seven digits hold every bound used here; str.isdigit alone would let superscripts through to int().
    if text.isascii() and text.isdigit() and len(text) <= len("1000000") and least <= int(text) <= most:
        return int(text)
    raise unfit(("query", key), f"must be a whole number from {least} to {most}", "int_parsing")


class Fields:
    """Typed getters over one JSON object that collect every fault; `check` raises them together.

    A getter whose value is absent or faulty gives its neutral value (None, "", an empty tuple), so nothing may be used
    before `check` has passed. The optional getters take null for absent.
    """

    def __init__(self, values: Mapping[str, object], loc: tuple[str | int, ...] = ("body",)) -> None:
        self._values = values
        self._loc = loc
        self._asked: set[str] = set()
        self._faults: list[dict[str, object]] = []
        self._sections: list[Fields] = []

    def text(self, key: str, *, required: bool = False) -> str:
        """Return a text that is not blank, "" where it is absent."""
        value = self._take(key, required=required)
        if value is None:
            return ""
        if isinstance(value, str) and value.strip():
            return value
        self._fault(key, "must be a text that is not blank", "string_type")
        return ""

    def uuid(self, key: str, *, required: bool = False) -> str | None:
        """Return a UUID in its usual spelling."""
        value = self._take(key, required=required)
        return None if value is None else self._uuid(value, key)

    def uuids(self, key: str) -> tuple[str, ...]:
        """Return a list of UUIDs in their usual spelling."""
        found = [self._uuid(value, key, index) for index, value in enumerate(self._items(key))]
        return tuple(value for value in found if value is not None)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        items = self._items(key)
        for index, value in enumerate(items):
            if not isinstance(value, str):
                self._fault(key, "must be a text", "string_type", index)
        return tuple(value for value in items if isinstance(value, str))

    def number(self, key: str, *, most: float) -> float | None:
        """Return a number from 0 to `most`."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most:
            return float(value)
        self._fault(key, f"must be a number from 0 to {most:g}", "float_type")
        return None

    def whole(self, key: str, *, least: int = 0) -> int | None:
        """Return a whole number from `least` to `MAX_WHOLE_NUMBER`."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_WHOLE_NUMBER:
            return value
        self._fault(key, f"must be a whole number from {least} to {MAX_WHOLE_NUMBER}", "int_type")
        return None

    def section(self, key: str, *, required: bool = False) -> Fields | None:
        """Return the getters of an inner object; its faults count among these."""
        value = self._take(key, required=required)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._fault(key, "must be an object", "dict_type")
            return None
        return self._section(value, key)

    def sections(self, key: str) -> list[Fields]:
        """Return the getters of each object in a list that must be there."""
        items = self._items(key, required=True)
        for index, value in enumerate(items):
            if not isinstance(value, dict):
                self._fault(key, "must be an object", "dict_type", index)
        return [self._section(value, key, index) for index, value in enumerate(items) if isinstance(value, dict)]

    def check(self, *, closed: bool) -> None:
        """Raise `RefusedError` (422) when there was a fault.

        In a closed object a key that was not asked for is one: a misspelt threshold must not pass for one not given.
        """
        faults = self._all_faults(closed=closed)
        if faults:
            raise RefusedError(422, faults[:MAX_FAULTS])

    def _all_faults(self, *, closed: bool) -> list[dict[str, object]]:
        unknown = self._values.keys() - self._asked if closed else ()
        return [
            *self._faults,
            *(fault((*self._loc, key), "is not known here", "extra_forbidden") for key in sorted(unknown)),
            *(found for section in self._sections for found in section._all_faults(closed=closed)),  # noqa: SLF001
        ]

    def _take(self, key: str, *, required: bool = False) -> object:
        self._asked.add(key)
        value = self._values.get(key)
        if value is None and required:
            self._fault(key, "is required", "missing")
        return value

    def _items(self, key: str, *, required: bool = False) -> list[object]:
        value = self._take(key, required=required)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self._fault(key, "must be a list", "list_type")
        return []

    def _uuid(self, value: object, *path: str | int) -> str | None:
        try:
            return str(UUID(value if isinstance(value, str) else ""))
        except ValueError:
            self._faults.append(fault((*self._loc, *path), "must be a UUID", "uuid_parsing"))
            return None

    def _section(self, values: Mapping[str, object], *path: str | int) -> Fields:
        section = Fields(values, (*self._loc, *path))
        self._sections.append(section)
        return section

    def _fault(self, key: str, msg: str, kind: str, *index: int) -> None:
        self._faults.append(fault((*self._loc, key, *index), msg, kind))


def read_trace(body: bytes) -> dict[str, object]:
    """Return a trace that has a version, a source, a task with a name and events with a type each.

    Anything else in it is kept as it is. Raises `RefusedError` (422) when one of them is missing.
    """
    payload = read_object(body)
    trace = Fields(payload)
    trace.text("trace_version", required=True)
    trace.text("source", required=True)
    task = trace.section("task", required=True)
    if task is not None:
        task.text("name", required=True)
    for event in trace.sections("events"):
        event.text("type", required=True)
    trace.check(closed=False)
    return payload


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """What a `POST /v1/ci/runs` asks for; `thresholds` is None where it gives none."""

    campaign_id: str
    trace_id: str | None
    thresholds: Thresholds | None


def read_run_order(body: bytes) -> RunOrder:
    """Return what the body of `POST /v1/ci/runs` asks for.

    `mutation_pack_id`, `repo` and `pull_request_number` are checked and change nothing. Raises `RefusedError` (422).
    """
    order = Fields(read_object(body))
    campaign_id, trace_id = order.uuid("campaign_id", required=True), order.uuid("trace_id")
    order.text("mutation_pack_id")
    order.text("repo")
    order.whole("pull_request_number", least=1)
    asked = order.section("thresholds")
    thresholds = None if asked is None else _read_thresholds(asked)
    order.check(closed=True)
    return RunOrder(campaign_id=campaign_id or "", trace_id=trace_id, thresholds=thresholds)


def _read_thresholds(asked: Fields) -> Thresholds:
    return Thresholds(
        min_pass_rate=asked.number("min_pass_rate", most=1),
        max_unsafe=asked.whole("max_unsafe"),
        max_failures=asked.whole("max_failures"),
        min_reliability_score=asked.number("min_reliability_score", most=100),
        min_mutation_categories=asked.whole("min_mutation_categories"),
        required_mutation_categories=asked.texts("required_mutation_categories"),
    )


def _inside(value: object) -> list[object]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []


def _finite(text: str) -> float:
    value = float(text)
    if math.isfinite(value):
        return value
    raise ValueError(f"{text[:20]} is no finite number")
