"""Checks that a text is JSON without building its values, which would need up to 30 times the memory of the text.

The error messages are those of the module `json`. Source: RFC 8259.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count

MAX_DEPTH = 1_000  # levels of nesting; Python's own parser accepts about as many
STEPS_BETWEEN_STOPS = 1_000  # a step takes microseconds, so the check stops within a fraction of a second

# No text matches in two ways, so every repetition is possessive: it stores no positions to backtrack to, which would
# cost memory for each item. The atomic group in `_many` is for Python up to 3.11.4: there, when the last iteration of a
# possessive repetition fails, the match continues after what that iteration had consumed (gh-100061).


def _many(pattern: bytes) -> bytes:
    return rb"(?>" + pattern + rb")*+"


_SPACE = rb"[ \t\n\r]*+"
_CHARACTERS = _many(rb'[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_STRING = b'"' + _CHARACTERS + b'"' + _SPACE
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?" + _SPACE
_SCALAR = rb"(?:" + _STRING + rb"|" + _NUMBER + rb"|(?:true|false|null)" + _SPACE + rb")"
_NAME = _STRING + rb":" + _SPACE


def _items(item: bytes, end: bytes) -> bytes:
    """Return the pattern of items, each followed by another item or by the end of their container."""
    one = item + rb"(?:," + _SPACE + rb"(?!" + end + rb")|(?=" + end + rb"))"
    return rb"(?>" + one + rb"){0,1000}+"  # a step must be short, because `stop` is asked between steps


def _array(value: bytes) -> bytes:
    return _items(value, rb"\]")


def _fields(value: bytes) -> bytes:
    return _items(_NAME + value, rb"\}")


def _with_containers(value: bytes) -> bytes:
    """Return the pattern of a scalar, or of an array or object of values that match `value`."""
    array, fields = rb"\[" + _SPACE + _array(value) + rb"\]", rb"\{" + _SPACE + _fields(value) + rb"\}"
    return rb"(?:" + _SCALAR + rb"|(?:" + array + rb"|" + fields + rb")" + _SPACE + rb")"


_SHALLOW = _with_containers(_with_containers(_with_containers(_SCALAR)))
_ITEMS = {ord("]"): re.compile(_array(_SHALLOW)), ord("}"): re.compile(_fields(_SHALLOW))}  # by what ends them
_OPEN_BRACKETS = re.compile(rb"\[" + _SPACE + _many(rb"\[" + _SPACE) + rb"|\{" + _SPACE)
_AFTER_SPACE = re.compile(_SPACE)
_AFTER_SCALAR = re.compile(_SCALAR)
_AFTER_STRING = re.compile(_STRING)
_AFTER_NAME = re.compile(_NAME)
_AFTER_CHARACTERS = re.compile(b'"' + _CHARACTERS)
_CONSTANT = re.compile(rb"NaN|-?Infinity")


def is_object(content: bytes, stop: Callable[[], bool] = lambda: False) -> bool | None:
    """Return whether a JSON text is an object, or None once `stop` returns True; it is called every 1,000 steps.

    `content` is UTF-8 without a byte order mark. Raises ValueError with line, column, and problem for a text that is
    not JSON. NaN, infinities, and more than `MAX_DEPTH` levels of nesting are not accepted.
    """
    ends = bytearray()  # the missing closing brackets of the open containers, the innermost last
    start = at = _end(_AFTER_SPACE, content, 0)
    for step in count(1):
        if step % STEPS_BETWEEN_STOPS == 0 and stop():
            return None
        at, ended = _begin_value(content, at, ends)
        at = _end_values(content, at, ends, ended=ended)
        if not ends:
            break
    if at < len(content):
        raise _error_at(content, at, "Extra data")
    return content.startswith(b"{", start)


def _begin_value(content: bytes, at: int, ends: bytearray) -> tuple[int, bool]:
    """Read a scalar or opening brackets; return the position after them and whether a value has ended there."""
    if opening := _OPEN_BRACKETS.match(content, at):
        ends += b"]" * opening[0].count(b"[") or b"}"
        if len(ends) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        return opening.end(), content.startswith(ends[-1:], opening.end())
    if (after := _end(_AFTER_SCALAR, content, at)) > at:
        return after, True
    raise _value_error(content, at)


def _end_values(content: bytes, at: int, ends: bytearray, *, ended: bool) -> int:
    """Return the start of the next value that is nested too deeply for the patterns, or the end of the text."""
    while ends:
        if not ended:
            items = _end(_ITEMS[ends[-1]], content, at)
            if items == at or not content.startswith(ends[-1:], items):
                return items if ends.endswith(b"]") else _value_of_field(content, items)
            at = items
        if content.startswith(ends[-1:], at):
            ends.pop()
            at, ended = _end(_AFTER_SPACE, content, at + 1), True
        elif content.startswith(b",", at):
            at, ended = _end(_AFTER_SPACE, content, at + 1), False
        else:
            raise _error_at(content, at, "Expecting ',' delimiter")
    return at


def _end(pattern: re.Pattern[bytes], content: bytes, at: int) -> int:
    """Return the end of the match that starts at `at`, or `at` if there is none."""
    match = pattern.match(content, at)
    return match.end() if match else at


def _value_of_field(content: bytes, at: int) -> int:
    """Return the start of the value of the field whose name starts at `at`."""
    if (value := _end(_AFTER_NAME, content, at)) > at:
        return value
    if not content.startswith(b'"', at):
        raise _error_at(content, at, "Expecting property name enclosed in double quotes")
    if (colon := _end(_AFTER_STRING, content, at)) > at:
        raise _error_at(content, colon, "Expecting ':' delimiter")
    raise _string_error(content, at)


def _value_error(content: bytes, at: int) -> ValueError:
    if content.startswith(b'"', at):
        return _string_error(content, at)
    if constant := _CONSTANT.match(content, at):
        return ValueError(f"{constant[0].decode()} is no JSON number")
    return _error_at(content, at, "Expecting value")


def _string_error(content: bytes, at: int) -> ValueError:
    end = _end(_AFTER_CHARACTERS, content, at)
    if end == len(content):
        return _error_at(content, at, "Unterminated string starting at")
    what = "Invalid \\escape" if content.startswith(b"\\", end) else "Invalid control character at"
    return _error_at(content, end, what)


def _error_at(content: bytes, at: int, what: str) -> ValueError:
    line = content.count(b"\n", 0, at) + 1
    column = len(content[content.rfind(b"\n", 0, at) + 1 : at].decode(errors="replace")) + 1
    return ValueError(f"line {line}, column {column}: {what}")
