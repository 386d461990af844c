"""Wherever a secret stands in a foreign text, and wherever that is cut, the log shows at most 5 characters of it."""

import base64
import io
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from sepurux_action.common import json_reader, secret
from sepurux_action.config import options, settings
from sepurux_action.errors import Problem
from sepurux_action.evaluation import api, runs
from sepurux_action.host.output import ActionsRunner, Level, Terminal

SECRET = "ghs_Zq7/Wm3+Kv9RtY2xLp5Nd8JhGc4BfUo6Es1Ai"
REDACTED = secret.Redactor([SECRET])
BASIC = base64.b64encode(f"x:{SECRET}".encode()).decode()
FORMS = [SECRET, BASIC, quote(SECRET, safe="")]
PIECES = {
    form[at : at + secret.MIN_REDACTED_LENGTH]
    for form in (SECRET, BASIC.removeprefix("eDpn").rstrip("="))
    for at in range(len(form) - secret.MIN_REDACTED_LENGTH + 1)
}
LIMITS = [40, 80, 120, 140, 200, 500, 600, 4_000, 8_000, json_reader.MAX_TEXT_LENGTH, 2 * json_reader.MAX_TEXT_LENGTH]
offsets = st.integers(0, 1_000) | st.builds(
    lambda limit, back: max(0, limit - back), st.sampled_from(LIMITS), st.integers(0, 60)
)
CALL = api.ApiRequest(path="/v1/campaigns", purpose="the list of campaigns")
fillers = st.sampled_from(["-", "- ", "-\n", " ", "\u200b"])  # the last two are not shown, so they move a cut


def of_the_backend(status: int, text: str) -> str:
    response, body = requests.Response(), json.dumps({"detail": text}).encode()
    response.status_code, response.headers["Location"] = status, text
    answer = api.parse_response(CALL, response, body, api.Credentials(), REDACTED)
    assert not answer.temporary
    return answer.error


def of_settings(text: str) -> str:
    given = {"token": SECRET, "campaign": "c", "timeout": text, text or "-": "1"}
    problems = settings.read_settings([options.input_layer(given)], lambda _: ()).problems
    assert problems
    return "\n".join(map(str, problems))


def the_end(text: str) -> str:
    # A log has as many lines as the text, and thousands of them take seconds. The cut is behind the first secret.
    return text if len(text) < 1_000 else text[-500:]


# The places that show what may quote a secret: a response, and the settings.
SOURCES: dict[str, Callable[[str], str]] = {
    "the end": the_end,
    "the backend": lambda text: of_the_backend(422, text),
    "a redirect": lambda text: of_the_backend(302, text),
    "a long text": lambda text: the_end(str(REDACTED.redact_json(text))),
    "a run": lambda text: (
        runs.decide(runs.parse_run(REDACTED.redact_json({"status": text, "decision": text, "pass_rate": text}))).reason
    ),
    "settings": of_settings,
}


def logged(text: str) -> str:
    """Return what both places write to their log of a text."""
    log = io.StringIO()
    runner, terminal = ActionsRunner({}, log), Terminal({}, out=log, log=log)
    runner.mask_secrets(REDACTED)
    log.truncate(0)  # the runner masks the secret by naming it
    terminal.mask_secrets(REDACTED)
    for place in (runner, terminal):
        place.log(text)
        place.annotate(Level.WARNING, text, title=text)
    runner.annotate(Level.WARNING, text, file=text)
    terminal.write_result([text])
    return log.getvalue()


@pytest.mark.parametrize("source", SOURCES)
@given(first=st.sampled_from(["", SECRET]), form=st.sampled_from(FORMS), offset=offsets, filler=fillers)
@example(first="", form=SECRET, offset=198, filler="-")
@example(first="", form=SECRET, offset=json_reader.MAX_TEXT_LENGTH - len(SECRET), filler=" ")
@example(first=SECRET, form=SECRET, offset=2 * json_reader.MAX_TEXT_LENGTH - len(SECRET) - 20, filler="\u200b")
def test_no_cut_shows_6_characters_of_a_secret(source: str, first: str, form: str, offset: int, filler: str) -> None:
    before = first + (filler * (offset // len(filler) + 1))[:offset]
    log = logged(SOURCES[source](f"{before}{form}{filler * 60}"))
    assert [piece for piece in PIECES if piece in log] == []


def test_invalid_settings_are_redacted_before_a_report_escapes_them() -> None:
    bad = Problem(where=SECRET, message=f"{SECRET} is not accepted")
    assert str(bad.redacted(REDACTED)) == "***: *** is not accepted"
