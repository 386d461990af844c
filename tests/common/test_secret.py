"""A secret is never printed by accident, and texts that quote one are redacted."""

import base64
import html
import json
import logging
import sys
from collections.abc import Callable
from functools import partial
from html.entities import codepoint2name
from itertools import cycle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import CUT
from sepurux_action.common.secret import MAX_DEPTH, Redactor, Secret, may_be_secret
from sepurux_action.config.settings import Inputs

TEXT = "sk_live/9+made=up"
SECRET = Secret(TEXT)


def test_no_way_of_formatting_shows_the_secret() -> None:
    logged = logging.LogRecord("gate", 10, "", 1, "sent %s and %r", (SECRET, SECRET), None).getMessage()
    shown = f"{SECRET} {SECRET!r:>30} {[SECRET]} {Inputs(token=SECRET, api_key=SECRET)} {logged}"
    assert "sk_live" not in shown
    assert SECRET.reveal() == TEXT
    assert Secret(TEXT) != SECRET


# The ways in which a character may be written. A backend may use several in one text, and one in another.
CODES = ["%{:02x}", "%{:02X}", "&#{};", "&#{:05};", "&#x{:x};", "&#X{:X};", "\\u{:04x}", "\\u{:04X}", "\\x{:02x}"]
ESCAPES: list[Callable[[str], str]] = [
    *(str, html.escape, partial(quote, safe="")),
    lambda character: f"&{codepoint2name.get(ord(character), '')};".replace("&;", character),
    lambda character: json.dumps(character)[1:-1],
    lambda character: character.replace("/", "\\/"),
    *(partial(lambda code, character: code.format(ord(character)), code) for code in CODES),
]
secrets = st.sampled_from([TEXT, "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "a<b>'c\"d(e)", "aaaaaa"])
around = st.text("xyz -", max_size=8)


@given(secret=secrets, before=around, after=around, data=st.data())
def test_a_secret_is_redacted_below_three_layers_of_escapes_and_the_text_around_it_stays(
    secret: str, before: str, after: str, data: st.DataObject
) -> None:
    text = list(secret)
    for _ in range(data.draw(st.integers(0, 3))):
        escapes = data.draw(st.lists(st.sampled_from(ESCAPES), min_size=1, max_size=4))
        text = ["".join(map(escape, part)) for part, escape in zip(text, cycle(escapes), strict=False)]
    assert Redactor([secret])(f"{before}{''.join(text)}{after}") == f"{before}***{after}"


@pytest.mark.parametrize("secret", ["a<b>&'c\"d\\e%41;f", "%25%25%25", "&amp;&#65;"])
@pytest.mark.parametrize("layers", range(4))
@given(data=st.data())
def test_a_secret_that_has_escapes_itself_is_redacted_too(secret: str, layers: int, data: st.DataObject) -> None:
    text = secret
    for _ in range(layers):
        text = "".join(map(data.draw(st.sampled_from(ESCAPES)), text))
    assert Redactor([secret])(f"key {text}.") == "key ***."


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@given(secret=secrets, before=around, after=around)
def test_of_a_secret_in_base64_at_most_one_character_remains_at_each_end(
    encode: Callable[[bytes], bytes], secret: str, before: str, after: str
) -> None:
    encoded = encode(f"{before}{secret}{after}".encode()).decode()
    start, end = len(before) * 8 // 6, (len(before) + len(secret)) * 8 // 6
    shown = Redactor([secret])(encoded)
    left, right = shown.split("***")
    assert encoded == f"{left}{encoded[len(left) : len(encoded) - len(right)]}{right}"
    assert start <= len(left) <= start + 1
    assert len(encoded) - end - 1 <= len(right) <= len(encoded) - end


BASE64 = base64.b64encode(f"x:{TEXT}".encode()).decode()
HEX = TEXT.encode().hex()


@pytest.mark.parametrize("form", [BASE64.replace("/", r"\/"), quote(BASE64), HEX, HEX.upper(), f"7{HEX}79"])
def test_an_echo_in_escaped_base64_and_hexadecimal_digits_is_redacted(form: str) -> None:
    redacted = Redactor([TEXT])(f"no such key: {form}.")
    assert "***" in redacted
    assert len(redacted.removeprefix("no such key: ").removesuffix(".")) < 20


ENDS_OF_RANGES = (
    "\u180b\u180f\u200b\u200f\u202a\u202e\u2060\u206f\ufe00\ufe0f\ufff0\ufff8\U0001bca0\U0001bca3\U0001d173\U0001d17a"
    "\U000e0000\U000e0fff"
)
BROKEN = "broken\udcff\udcfebytes"  # an environment variable may contain such bytes


@pytest.mark.parametrize(
    ("secrets", "text", "redacted"),
    [
        ([], "any text", "any text"),
        (["", ""], "", ""),
        (["pass"], "pass", "***"),
        (["pass"], "the run did pass", "the run did pass"),
        (["abcdef", "abcdef-123456"], "got abcdef-123456", "got ***"),
        (["cdefgh", "abcdefgh-123456"], "got abcdefgh-123456.", "got ***."),
        ([BROKEN], f"it was {BROKEN}", "it was ***"),
        ([TEXT], f"a {TEXT[:9]}… b {TEXT[:5]}… {TEXT[:8]}", f"a ***… b ***… {TEXT[:8]}"),
        ([TEXT], f"{TEXT[:4]}… and {TEXT[:8]} …", f"{TEXT[:4]}… and {TEXT[:8]} …"),
        ([TEXT], f"{TEXT[:7]} {TEXT[:8]}…", f"{TEXT[:7]} ***…"),
        ([TEXT, "aaaaaaab"], "aaaaaaaaa…", "aa***…"),
        *(([TEXT], f"key sk_liv{cut}… and", "key ***… and") for cut in ("%", "%6", "%65%2", "&", "&#10", "&#x6")),
        *(([TEXT], f"key sk_liv{cut}… and", "key ***… and") for cut in ("&quo", "\\u00")),
        *(([TEXT], each, each) for each in ("100%", "a & b &amp; c", r"C:\new\u00e4.txt", "%zz%4", "\u200b \u200b")),
        ([TEXT], "&fjlig;&#0;&unknown;", "&fjlig;&#0;&unknown;"),
        # the name of a gate may have invisible characters, and a JSON text has them as escapes
        *(([TEXT], f"key {each.join(TEXT)}!", "key ***!") for each in f"\u034f\u3164{ENDS_OF_RANGES}"),
        ([TEXT], json.dumps("\u200b\u3164".join(TEXT)), '"***"'),
    ],
)
def test_a_secret_or_its_beginning_before_a_cut_is_redacted_and_nothing_else(
    secrets: list[str], text: str, redacted: str
) -> None:
    assert Redactor(secrets)(text) == redacted


def calls_of(work: Callable[[], object]) -> int:
    """Return the number of calls and returns, also of functions in C, that the work consists of."""
    calls: list[str] = []
    sys.setprofile(lambda _frame, event, _argument: calls.append(event))
    try:
        work()
    finally:
        sys.setprofile(None)
    return len(calls)


@pytest.mark.parametrize(
    ("unit", "most"), [(f"{CUT} sk_l", 0), (f"sk_liv{CUT}", 100), (f"{HEX[:5]}{CUT}", 100), (HEX[:5], 100)]
)
def test_the_work_does_not_grow_with_cuts_or_the_length_of_the_secret(unit: str, most: int) -> None:
    redact = Redactor([TEXT, "x" * 500 + "1"])
    assert calls_of(lambda: redact(unit * 200 + CUT)) < 100 + most * 200


@pytest.mark.parametrize("unit", ["%73", "&#115;", "\\u0073", "67687", f"sk_liv{CUT}", "\u200b a"])
def test_of_a_long_text_in_a_response_only_the_beginning_is_searched_and_kept(unit: str) -> None:
    redact, long = Redactor([TEXT]), unit * 400_000
    kept = redact.redact_json({"text": long})
    assert kept == redact.redact_json({"text": json_reader.shorten(long, json_reader.MAX_TEXT_LENGTH)})
    work_for_beginning = calls_of(lambda: redact.redact_json(long[: json_reader.MAX_TEXT_LENGTH]))
    assert calls_of(lambda: redact.redact_json(long)) < work_for_beginning + 1_000


def test_redaction_reaches_every_string_of_a_response_and_leaves_the_rest() -> None:
    # a report would join a secret that invisible characters split
    split = [f"key {each.join(TEXT)}" for each in ("\u200b", "\x07", "\ufe0f", "\u3164", "\U000e0100", "\ufe0f\u3164")]
    response = {"decision": "fail", TEXT: [f"key {TEXT}", 0.5, None, True, {"deep": [TEXT]}], "split": split}
    assert Redactor([TEXT]).redact_json(response) == {
        "decision": "fail",
        TEXT: ["key ***", 0.5, None, True, {"deep": ["***"]}],  # the name of a field hides none
        "split": ["key ***"] * len(split),
    }


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_response_nested_as_deeply_as_json_allows_is_cut_off_and_does_not_raise(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    levels = sys.getrecursionlimit() * 6 // 10
    response = json.loads(opening * levels + f'"{TEXT}"' + closing * levels)
    redacted = Redactor([TEXT]).redact_json(response)
    assert json.dumps(redacted).count(closing) == MAX_DEPTH
    assert TEXT not in json.dumps(redacted)


def test_a_long_text_of_letters_and_digits_may_be_a_secret() -> None:
    keys = "sk_live_4eC39HqLyjWDarjtT1zdp7dc eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln 0123456789012345678a"
    names = "refund-reliability-of-the-agent traces/2026-09-01/refund-unsafe.json 8c5f4f5e-0000-4000-8000-000000000001"
    assert all(map(may_be_secret, keys.split()))
    assert not any(map(may_be_secret, [*names.split(), "012345678901234567a", "eighty five percent of 100"]))
