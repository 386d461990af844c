"""A text is JSON, or its first error is named with its position; the check needs little memory and can be stopped."""

from __future__ import annotations

import re
import tracemalloc

import pytest

from sepurux_action.common.json_syntax import MAX_DEPTH, STEPS_BETWEEN_STOPS, is_object

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", True),
        (' \n{ "a" : [ 1 , -0.5e+3 , "\\u00e9\\n" , true , { } , [ ] ] }\t\r\n', True),
        ('{"a": 1, "a": 2}', True),
        ('{"a": {"b": {"c": {"d": {"e": [[[[[[]]]]], 1]}}}}}', True),
        ("[{}]", False),
        ('"{}"', False),
        ("17", False),
        ("null", False),
    ],
)
def test_json_is_an_object_or_is_not(text: str, *, expected: bool) -> None:
    assert is_object(text.encode()) is expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "line 1, column 1: Expecting value"),
        ("{", "line 1, column 2: Expecting property name enclosed in double quotes"),
        ("[", "line 1, column 2: Expecting value"),
        ('{"a" 1}', "line 1, column 6: Expecting ':' delimiter"),
        ('{"a": 1 "b": 2}', "line 1, column 9: Expecting ',' delimiter"),
        ('{"a": [1, 2}', "line 1, column 12: Expecting ',' delimiter"),
        ('{"a": {"b": 1]}', "line 1, column 14: Expecting ',' delimiter"),
        ('{"a": 1,}', "line 1, column 9: Expecting property name enclosed in double quotes"),
        ('{"a": [1,]}', "line 1, column 10: Expecting value"),
        ('{"a": [,1]}', "line 1, column 8: Expecting value"),
        ('{"a": 01}', "line 1, column 8: Expecting ',' delimiter"),
        ('{"a": 1.}', "line 1, column 8: Expecting ',' delimiter"),
        ('{"a": -}', "line 1, column 7: Expecting value"),
        ('{"a": nul}', "line 1, column 7: Expecting value"),
        ('{"é": "b', "line 1, column 7: Unterminated string starting at"),
        ('{"é": "b\\x"}', "line 1, column 9: Invalid \\escape"),
        ('{"é\n": 1}', "line 1, column 4: Invalid control character at"),
        ("{}\n\n {}", "line 3, column 2: Extra data"),
        ('{"a": {"b": {"c": {"d": {"e": [[[[[[}]]]]]}}}}}', "line 1, column 37: Expecting value"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": [-Infinity]}', "-Infinity is no JSON number"),
    ],
)
def test_the_first_error_is_named_with_its_position(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        is_object(text.encode())


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_thousand_levels_are_accepted_and_few_more(opening: bytes, closing: bytes) -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' + opening * levels + b"0" + closing * levels + b"}"

    assert is_object(nested(MAX_DEPTH - 1))
    with pytest.raises(ValueError, match="nested too deeply"):
        is_object(nested(MAX_DEPTH + 10))


@pytest.mark.parametrize(
    "unit",
    [b"{},", b"[],", b"1,", b'"ab",', b'{"a":[{"b":{"c":[1]}}]},', b"[" * 900 + b"]" * 900 + b","],
    ids=["objects", "arrays", "numbers", "strings", "records", "nested"],
)
def test_the_check_of_a_large_text_needs_little_memory(unit: bytes) -> None:
    """With `json.loads`, a text of these needs 8 to 60 times its own size."""
    text = b'{"a":[' + unit * (MIB // 4 // len(unit)) + b"0]}"
    fields = b"{" + b"".join(b'"%07d":0,' % number for number in range(25_000)) + b'"":0}'
    tracemalloc.start()
    assert is_object(text)
    assert is_object(fields)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("stops", [0, 1, 7])
def test_a_slow_check_asks_every_thousand_steps_whether_to_stop(stops: int) -> None:
    """Each item is nested too deeply for the patterns, so it takes a step of its own."""
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == stops

    items = 10 * STEPS_BETWEEN_STOPS
    assert is_object(b'{"a":[' + b"[[[[1]]]]," * items + b"0]}", stop) is (None if stops else True)
    assert calls == (stops or items // STEPS_BETWEEN_STOPS)


def test_the_check_of_a_flat_text_can_be_stopped_too() -> None:
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return False

    assert is_object(b'{"a":[' + b"1," * 3_000_000 + b"1]}", stop)
    assert calls >= 2
