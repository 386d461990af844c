"""A secret is never printed by accident, and texts that quote one are redacted."""

import html
import json
import logging
import sys
from urllib.parse import quote

import pytest

from sepurux_action.common.secret import LIKE_A_SECRET, Redactor, Secret
from sepurux_action.config.settings import Settings

TEXT = "sk_live/9+made=up"
SECRET = Secret(TEXT)
PERCENT = "".join(f"%{ord(each):02X}" for each in TEXT)
SPECIAL = "a<b>&'c\"d\\e"
BROKEN = "broken\udcff\udcfebytes"  # an environment variable may contain such bytes


def test_no_way_of_formatting_shows_the_secret() -> None:
    logged = logging.LogRecord("gate", 10, "", 1, "sent %s and %r", (SECRET, SECRET), None).getMessage()
    shown = f"{SECRET} {SECRET!r:>30} {[SECRET]} {Settings(token=SECRET, api_key=SECRET)} {logged}"
    assert "sk_live" not in shown
    assert SECRET.reveal() == TEXT
    assert Secret(TEXT) != SECRET


@pytest.mark.parametrize(
    ("secrets", "text", "redacted"),
    [
        *(([], "any text", "any text"), (["", ""], "", ""), (["pass"], "the run did pass", "the run did pass")),
        (["abcdef", "abcdef-123456"], "got abcdef-123456", "got ***"),
        (["cdefgh", "abcdefgh-123456"], "got abcdefgh-123456.", "got ***."),
        ([BROKEN], f"it was {BROKEN}", "it was ***"),
        ([TEXT, SPECIAL], f"{TEXT}{SPECIAL} {TEXT[:-1]}", f"****** {TEXT[:-1]}"),
        ([TEXT], f"key={quote(TEXT)}&key={quote(TEXT, safe='')}&", "key=***&key=***&"),
        (
            [TEXT, SPECIAL],
            f"key={PERCENT}&{PERCENT.lower()}&{TEXT[0]}{PERCENT[3:]} {PERCENT[3:]}",
            "key=***&***&*** " + PERCENT[3:],
        ),
        ([SPECIAL], json.dumps({"key": SPECIAL}), '{"key": "***"}'),
        ([SPECIAL], f"<a b='{html.escape(SPECIAL)}'>{html.escape(SPECIAL, quote=False)}</a>", "<a b='***'>***</a>"),
    ],
)
def test_a_secret_is_redacted_in_each_form_of_it(secrets: list[str], text: str, redacted: str) -> None:
    assert Redactor(secrets)(text) == redacted


def test_redaction_reaches_every_string_of_a_response_and_leaves_the_rest() -> None:
    # a report would join a secret that invisible characters split
    split = [f"key {each.join(TEXT)}" for each in ("\u200b", "\x07", "\ufe0f", "\u3164", "\U000e0100", "\ufe0f\u3164")]
    response = {"decision": "fail", TEXT: [f"key {TEXT}", 0.5, None, True, {"deep": [TEXT]}], "split": split}
    assert Redactor([TEXT]).redact_json(response) == {
        "decision": "fail",
        TEXT: ["key ***", 0.5, None, True, {"deep": ["***"]}],  # the name of a field hides none
        "split": ["key ***"] * len(split),
    }


def test_a_response_that_is_nested_too_deeply_raises() -> None:
    levels = sys.getrecursionlimit() * 6 // 10
    response = json.loads('{"a":' * levels + f'"{TEXT}"' + "}" * levels)
    with pytest.raises(RecursionError):
        Redactor([TEXT]).redact_json(response)


def test_a_long_text_of_letters_and_digits_may_be_a_secret() -> None:
    keys = "sk_live_4eC39HqLyjWDarjtT1zdp7dc eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln 0123456789012345678a"
    names = "refund-reliability-of-the-agent traces/2026-09-01/refund-unsafe.json 8c5f4f5e-0000-4000-8000-000000000001"
    assert all(map(LIKE_A_SECRET.match, keys.split()))
    assert not any(map(LIKE_A_SECRET.match, [*names.split(), "012345678901234567a", "eighty five percent of 100"]))
