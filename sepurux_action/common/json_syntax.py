"""Owns the check that a text is JSON, in memory that does not grow with the text; never builds a value of it.

`json.loads` needs up to 30 times the memory of its text. The error texts here are those of `json`. Source: RFC 8259.
"""

from __future__ import annotations

import re

MAX_DEPTH = 1_000  # levels of nesting; Python's own parser, with which a trace is usually read, follows about as many

# No text matches in two ways, so every repeat is possessive: it remembers no way back, which would cost memory for each
# item. The atomic group in `_many` is for Python up to 3.11.4: when the last pass of a possessive repeat fails there,
# the match goes on after what that pass had consumed (gh-100061).


def _many(pattern: bytes) -> bytes:
    return rb"(?>" + pattern + rb")*+"


_SPACE = rb"[ \t\n\r]*+"
_CHARACTERS = _many(rb'[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_STRING = b'"' + _CHARACTERS + b'"' + _SPACE
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?" + _SPACE
_SCALAR = rb"(?:" + _STRING + rb"|" + _NUMBER + rb"|(?:true|false|null)" + _SPACE + rb")"
_NAME = _STRING + rb":" + _SPACE


def _items(item: bytes, end: bytes) -> bytes:
    """Return the pattern of items each of which has another one, or the end of their container, behind it."""
    return _many(item + rb"(?:," + _SPACE + rb"(?!" + end + rb")|(?=" + end + rb"))")


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
_OPENING = re.compile(rb"\[" + _SPACE + _many(rb"\[" + _SPACE) + rb"|\{" + _SPACE)
_AFTER_SPACE = re.compile(_SPACE)
_AFTER_SCALAR = re.compile(_SCALAR)
_AFTER_STRING = re.compile(_STRING)
_AFTER_NAME = re.compile(_NAME)
_AFTER_CHARACTERS = re.compile(b'"' + _CHARACTERS)
_CONSTANT = re.compile(rb"NaN|-?Infinity")


def is_object(content: bytes) -> bool:
    """Return whether a JSON text is an object; `content` is UTF-8 without a byte order mark.

    Raises ValueError, which tells line, column and what is wrong there, for what is not JSON: NaN and infinities are
    not, nor are more than `DEEPEST` levels of nesting.
    """
    ends = bytearray()  # the brackets that the open containers lack, the innermost last
    start = at = _end(_AFTER_SPACE, content, 0)
    while True:
        at, ended = _begin_value(content, at, ends)
        at = _end_values(content, at, ends, ended=ended)
        if not ends:
            break
    if at < len(content):
        raise _wrong(content, at, "Extra data")
    return content.startswith(b"{", start)


def _begin_value(content: bytes, at: int, ends: bytearray) -> tuple[int, bool]:
    """Read a scalar, or the brackets that open containers; return what comes next and whether a value has ended."""
    if opening := _OPENING.match(content, at):
        ends += b"]" * opening[0].count(b"[") or b"}"
        if len(ends) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        return opening.end(), content.startswith(ends[-1:], opening.end())
    if (after := _end(_AFTER_SCALAR, content, at)) > at:
        return after, True
    raise _no_value(content, at)


def _end_values(content: bytes, at: int, ends: bytearray, *, ended: bool) -> int:
    """Read all up to a value that is not shallow, and return where it starts; with no container left, the end."""
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
            raise _wrong(content, at, "Expecting ',' delimiter")
    return at


def _end(pattern: re.Pattern[bytes], content: bytes, at: int) -> int:
    """Return where a match that begins at `at` ends, `at` where there is none."""
    found = pattern.match(content, at)
    return found.end() if found else at


def _value_of_field(content: bytes, at: int) -> int:
    """Return where the value of the field starts whose name is at `at`."""
    if (value := _end(_AFTER_NAME, content, at)) > at:
        return value
    if not content.startswith(b'"', at):
        raise _wrong(content, at, "Expecting property name enclosed in double quotes")
    if (colon := _end(_AFTER_STRING, content, at)) > at:
        raise _wrong(content, colon, "Expecting ':' delimiter")
    raise _no_string(content, at)


def _no_value(content: bytes, at: int) -> ValueError:
    if content.startswith(b'"', at):
        return _no_string(content, at)
    if constant := _CONSTANT.match(content, at):
        return ValueError(f"{constant[0].decode()} is no JSON number")
    return _wrong(content, at, "Expecting value")


def _no_string(content: bytes, at: int) -> ValueError:
    end = _end(_AFTER_CHARACTERS, content, at)
    if end == len(content):
        return _wrong(content, at, "Unterminated string starting at")
    what = "Invalid \\escape" if content.startswith(b"\\", end) else "Invalid control character at"
    return _wrong(content, end, what)


def _wrong(content: bytes, at: int, what: str) -> ValueError:
    line = content.count(b"\n", 0, at) + 1
    column = len(content[content.rfind(b"\n", 0, at) + 1 : at].decode(errors="replace")) + 1
    return ValueError(f"line {line}, column {column}: {what}")
