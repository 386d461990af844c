"""Reading JSON from outside: no reader raises an error for a value it does not expect."""

import math

import pytest

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import Reading

LINKED = """
https://app.sepurux.dev/runs/1?tab=a&b=(c)#d HTTPS://APP.SEPURUX.DEV https://host:8443/@team/x
http://localhost:8000/runs/1 http://LOCALHOST/ http://127.0.0.1/ http://127.9.9.9/ http://[::1]:8000/x
"""
DROPPED = r"""
http://127.1/ http://0.0.0.0/ http://10.0.0.1/ http://localhost./ http://[::2]/
https:// https:host //host/x javascript:alert(1) data:text/html,x ftp://host/x http://app.sepurux.dev/
http://127.0.0.1.evil.example/ http://localhost.evil.example/ http://localhost@evil.example/
https://user@host/ https://user:word@host/ https://host\@evil.example/ https://host/"onmouseover=" https://host/<b>
https://host/`x` https://host/|x https://hÖst/ https://host:port/ https://host:99999/ https://[::1/
"""
LONG = "https://h/" + "x" * 1990


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("two\nlines\r\nand\u2028more\u2029here", "two lines and more here"),
        *(("  spaces \t and\xa0more  ", "spaces and more"), ("bell\x07 escape\x1b[31m nul\0", "bell escape[31m nul")),
        *(("right\u202eto\u2066left", "righttoleft"), ("zero\u200bwidth\ufeff", "zerowidth")),
        ("joiner\u034ffiller\u115f\u3164\uffa0blank\u2800selector\ufe00\ufe0f\U000e0100", "joinerfillerblankselector"),
        *(("a \u3164 b\u3164", "a b"), ("⚠\ufe0f 1\ufe0f", "⚠\ufe0f 1"), ("lone\ud800surrogate", "lonesurrogate")),
        *(("\x1c\x85", ""), ("Größe 日本 🚀", "Größe 日本 🚀"), ("x" * 20_000, "x" * 20_000)),
    ],
)
def test_a_text_becomes_one_printable_line(raw: str, line: str) -> None:
    assert json_reader.text(raw) == line


@pytest.mark.parametrize(
    "value",
    [None, 17, "", ".", "..", "...", "a/b", "a b", "a\n", "a%2f", "a?b", "a#b", "a,b", "ä", "٣", "x" * 201, ["a"]],
)
def test_an_identifier_is_what_fits_into_an_address_and_an_output(value: object) -> None:
    for accepted in ("c0a8f0de-1b7d-4d6a-8f5e-2f4b7a9c3d10", "run:42", "a.b_c~d", "x" * 200, "..a"):
        assert json_reader.identifier(accepted) == accepted
    assert json_reader.identifier(value) == ""


@pytest.mark.parametrize(
    "value", [True, False, "0.5", "", [], [0.5], {}, math.nan, math.inf, -0.001, 1.001, 10**400, 0.5]
)
def test_what_is_no_whole_number_in_its_range_is_broken_and_not_missing(value: object) -> None:
    reading = json_reader.number(value, low=0, high=1, whole=True)
    assert (reading.value, bool(reading.broken), reading.missing) == (None, True, False)


def test_a_number_in_its_range_is_read_and_null_is_missing() -> None:
    shown = [str(json_reader.number(value, low=0, high=1).value) for value in (0, 1, 0.5, -0.0)]
    assert shown == ["0.0", "1.0", "0.5", "0.0"]
    assert json_reader.number(2.0, low=0, whole=True) == Reading(value=2.0)
    assert json_reader.number(None, low=0).missing


def test_an_error_text_repeats_a_short_line_of_a_value() -> None:
    values = ["none", "x\n::error::y", "x" * 80, "x" * 81, True, False, 1.5, {"a": 1}, [1]]
    assert [json_reader.preview(value) for value in values] == [
        *('"none"', '"x ::error::y"', f'"{"x" * 80}"', f'"{"x" * 79}…"'),  # the longest ordinary name has 80 characters
        *("true", "false", "1.5", "an object", "a list"),
    ]


@pytest.mark.parametrize(
    "address", [*DROPPED.split(), None, 3, "", "https://ho st/", "https://host/\n", "\thttps://host/", LONG + "x"]
)
def test_only_an_address_that_may_be_linked_stays(address: object) -> None:
    for linked in (*LINKED.split(), LONG):
        assert json_reader.safe_url(linked) == linked
    assert json_reader.safe_url(address) == ""
