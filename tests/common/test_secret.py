"""A secret is never printed by accident, and texts that quote one are redacted."""

from __future__ import annotations

import base64
import json
import logging
import sys
from urllib.parse import quote

import pytest

from sepurux_action.common.json_reader import CUT
from sepurux_action.common.secret import MAX_DEPTH, Redactor, Secret, may_be_secret, spellings
from sepurux_action.config.settings import Settings

TEXT = "sk_live/9+made=up"
SECRET = Secret(TEXT)


@pytest.mark.parametrize(
    "shown",
    [
        str(SECRET),
        repr(SECRET),
        f"{SECRET}",
        f"{SECRET!r:>30}",
        f"{SECRET:>30}",
        "%s and %r" % (SECRET, SECRET),  # noqa: UP031 - how the logging module formats
        f"{[SECRET]} { ({'a': SECRET}) }",
        str(Settings(gates=(), token=SECRET, api_key=SECRET)),
        logging.LogRecord("gate", 10, "", 1, "sent %s", (SECRET,), None).getMessage(),
    ],
)
def test_no_way_of_formatting_shows_the_secret(shown: str) -> None:
    assert TEXT not in shown
    assert "sk_live" not in shown


def test_only_reveal_gives_the_secret_back() -> None:
    assert SECRET.reveal() == TEXT


def test_two_secrets_of_the_same_text_are_not_equal_so_that_none_can_be_guessed_by_comparing() -> None:
    assert Secret(TEXT) != Secret(TEXT)


@pytest.mark.parametrize("form", [TEXT, quote(TEXT, safe=""), base64.b64encode(TEXT.encode()).decode()])
def test_an_echo_is_redacted_plain_percent_encoded_and_in_base64(form: str) -> None:
    redacted = Redactor([TEXT])(f"no such key: {form}.")
    assert redacted.startswith("no such key: ***")
    assert all(each not in redacted for each in spellings(TEXT))


def test_a_short_secret_is_redacted_only_as_a_whole_text() -> None:
    redact = Redactor(["pass"])
    assert redact("pass") == "***"
    assert redact("the run did pass") == "the run did pass"


def test_a_secret_that_holds_another_is_redacted_as_a_whole() -> None:
    assert Redactor(["abcdef", "abcdef-123456"])("got abcdef-123456") == "got ***"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"a {TEXT[:9]}… b {TEXT[:6]}… {TEXT[:8]}", f"a ***… b ***… {TEXT[:8]}"),
        (f"{TEXT[:5]}… and {TEXT[:8]} …", f"{TEXT[:5]}… and {TEXT[:8]} …"),
        (f"{TEXT[:7]} {TEXT[:8]}…", f"{TEXT[:7]} ***…"),
        ("aaaaaaaaa…", "aa***…"),
    ],
)
def test_a_beginning_of_a_secret_is_redacted_only_before_a_cut(text: str, redacted: str) -> None:
    assert Redactor([TEXT, "aaaaaaab"])(text) == redacted


def test_the_work_does_not_grow_with_the_number_of_cuts() -> None:
    redact, text = Redactor([TEXT]), f"{CUT} sk_li" * 10_000
    calls: list[str] = []
    sys.setprofile(lambda _frame, event, _argument: calls.append(event))
    try:
        redacted = redact(text)
    finally:
        sys.setprofile(None)
    assert redacted == text
    assert len(calls) < 30


def test_without_secrets_every_text_stays() -> None:
    assert Redactor(["", ""])("") == ""
    assert Redactor()("any text") == "any text"


def test_a_secret_that_is_no_text_can_be_redacted_too() -> None:
    assert Redactor(["broken\udcff\udcfebytes"])("it was broken\udcff\udcfebytes") == "it was ***"


def test_redaction_reaches_every_string_of_a_response_and_leaves_the_rest() -> None:
    response = {"decision": "fail", "a": [f"key {TEXT}", 0.5, None, True, {"deep": [TEXT]}]}
    assert Redactor([TEXT]).redact_json(response) == {
        "decision": "fail",
        "a": ["key ***", 0.5, None, True, {"deep": ["***"]}],
    }


def test_a_secret_that_is_the_name_of_a_field_hides_no_field() -> None:
    assert Redactor(["status"]).redact_json({"status": "failed"}) == {"status": "failed"}


def test_a_secret_split_by_invisible_characters_is_redacted_because_a_report_would_join_it() -> None:
    assert Redactor([TEXT]).redact_json(f"key {TEXT[:4]}\u200b{TEXT[4:]}") == "key ***"


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_response_nested_as_deeply_as_json_allows_is_cut_off_and_does_not_raise(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    levels = sys.getrecursionlimit() * 6 // 10
    response = json.loads(opening * levels + f'"{TEXT}"' + closing * levels)
    redacted = Redactor([TEXT]).redact_json(response)
    assert json.dumps(redacted).count(closing) == MAX_DEPTH
    assert TEXT not in json.dumps(redacted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", True),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", True),
        ("0123456789012345678a", True),
        ("012345678901234567a", False),
        ("refund-reliability-of-the-agent", False),
        ("traces/2026-09-01/refund-unsafe.json", False),
        ("8c5f4f5e-0000-4000-8000-000000000001", False),
        ("eighty five percent of 100", False),
    ],
)
def test_a_long_text_of_letters_and_digits_may_be_a_secret(text: str, *, expected: bool) -> None:
    assert may_be_secret(text) is expected
