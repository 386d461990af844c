"""Wherever a secret stands in a foreign text, and wherever that is cut, the log shows at most 5 characters of it."""

import base64
import html
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sepurux_action.common import json_reader
from sepurux_action.common.secret import MIN_REDACTED_LENGTH, Redactor, spellings
from sepurux_action.config.layers import input_layer
from sepurux_action.config.policy import PolicyNote
from sepurux_action.config.policy_parser import read_policy
from sepurux_action.config.settings import read_settings
from sepurux_action.errors import ConfigurationError, ErrorDetails, Problem
from sepurux_action.evaluation.api import Credentials, PermanentError, Response, list_campaigns, parse_response
from sepurux_action.evaluation.ci_run import parse_ci_run
from sepurux_action.evaluation.decision import decide
from sepurux_action.evaluation.failures import ClassifiedFailure
from sepurux_action.evaluation.runs import Scenario, WhatFailed
from sepurux_action.github.event import Event, parse_event
from sepurux_action.github.permissions import Operation, warning_text
from sepurux_action.host.actions_runner import ActionsRunner
from sepurux_action.host.output import Level
from sepurux_action.host.terminal import Terminal
from sepurux_action.report.rendering import render_summary
from sepurux_action.report.report import build_report
from sepurux_action.report.report_json import report_files
from tests.builders import a_context, a_gate, a_result, a_run

SECRET = "ghs_Zq7/Wm3+Kv9RtY2xLp5Nd8JhGc4BfUo6Es1Ai"
REDACTED = Redactor([SECRET])
BASIC = base64.b64encode(f"x:{SECRET}".encode()).decode()
DIGITS = SECRET.encode().hex()
HTML = "".join(f"&#{ord(character)};" for character in SECRET)
PIECES = [
    form[at : at + MIN_REDACTED_LENGTH]
    for form in (*spellings(SECRET), BASIC.removeprefix("eDpn").rstrip("="), DIGITS)
    for at in range(len(form) - MIN_REDACTED_LENGTH + 1)
]
INVISIBLE = ["\u200b", "\u034f", "\ufe0f", "\u3164", "\U000e0100"]
LIMITS = [40, 80, 120, 140, 200, 500, 600, 4_000, 8_000, json_reader.MAX_TEXT_LENGTH]

offsets = st.integers(0, 1_000) | st.builds(
    lambda limit, back: max(0, limit - back), st.sampled_from(LIMITS), st.integers(0, 60)
)
fillers = st.sampled_from(["-", "- ", "-\u200b", "\u200b", "-\n"])


def of_the_backend(response: Response) -> str:
    answer = parse_response(list_campaigns(""), response, Credentials(), REDACTED)
    assert isinstance(answer, PermanentError)
    return answer.reason


def of_github(**details: Any) -> str:  # noqa: ANN401 - fields of several types
    return warning_text(Operation.STATUS, ErrorDetails(status=403, **details), Event())


def invalid(read: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as bad:
        read()
    return "\n".join(map(str, bad.value.problems))


def of_settings(text: str) -> str:
    given = {"token": SECRET, "campaign": "c", "timeout": text, "reviewers": text, "paths": text, text or "-": "1"}
    return invalid(lambda: read_settings([input_layer(given)], lambda _: ()))


def of_an_event(text: str) -> str:
    return parse_event("push", {"ref": text, "deleted": True}, {}).skip_reason


def the_end(text: str) -> str:
    return text[-500:]  # a log has as many lines as the text, and thousands of them take seconds


# The places that show a text of others.
SOURCES: dict[str, Callable[[str], str]] = {
    "the end": the_end,
    "a preview": json_reader.preview,
    "printable": json_reader.printable,
    "GitHub": lambda text: of_github(message=text, accepted=f"{text}=write"),
    "a permission": lambda text: of_github(accepted=f"{text}=write", forbidden=True),
    "the backend": lambda text: of_the_backend(Response(status=422, body=json.dumps({"detail": text}).encode())),
    "a redirect": lambda text: of_the_backend(Response(status=302, body=b"", location=text)),
    "a long text": lambda text: the_end(str(REDACTED.redact_json(text))),
    "a run": lambda text: (
        decide(parse_ci_run(REDACTED.redact_json({"status": text, "decision": text, "pass_rate": text}))).reason
    ),
    "a policy": lambda text: invalid(
        lambda: read_policy(json.dumps({text: text, "timeout": text}).encode(), "gate.yml")
    ),
    "settings": of_settings,
    "an event": of_an_event,
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


def shown_pieces(text: str) -> list[str]:
    """Return the pieces of a secret that a reader of a text sees, who does not see invisible characters."""
    decoded = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), html.unescape(text))
    shown = decoded.translate({ord(each): "" for each in (*INVISIBLE, "\udb40", "\udd00")})
    return [piece for piece in PIECES if piece in shown]


@pytest.mark.parametrize("source", SOURCES)
@given(
    form=st.sampled_from([SECRET, BASIC, DIGITS, HTML]),
    offset=offsets,
    filler=fillers,
    separator=st.sampled_from(["", *INVISIBLE]),
)
@example(form=SECRET, offset=198, filler="-", separator="")
@example(form=HTML, offset=6, filler="-", separator="")
def test_no_place_and_no_cut_shows_more_than_5_characters_of_a_secret(
    source: str, form: str, offset: int, filler: str, separator: str
) -> None:
    before = (filler * (offset // len(filler) + 1))[:offset]
    log = logged(SOURCES[source](f"{before}{form[:9]}{separator}{form[9:]}{filler * 60}"))
    assert shown_pieces(log) == []


@given(form=st.sampled_from([SECRET, BASIC, DIGITS, HTML]), offset=offsets, separator=st.sampled_from(INVISIBLE))
@example(form=HTML, offset=66, separator=INVISIBLE[0])  # JSON escapes the cut after `&#10`, which is a whole entity too
def test_no_file_of_a_report_shows_more_than_5_characters_of_a_secret_that_invisible_characters_split(
    form: str, offset: int, separator: str
) -> None:
    said = f"{'- ' * (offset // 2)}{separator.join(form)} -"
    failure = ClassifiedFailure(type=said, severity=said, description=said, mutation=said)
    scenario = Scenario(said, (a_run(failures=(failure,)),))
    found = WhatFailed(failures=(failure,), scenarios=(scenario,))
    report = build_report([a_result(gate=a_gate(name=said), what_failed=found)], a_context(notes=(PolicyNote(said),)))
    for text in (*report_files(report).values(), render_summary(report)):
        assert shown_pieces(REDACTED(text)) == []


def test_invalid_settings_are_redacted_before_a_report_escapes_them() -> None:
    bad = Problem(where=SECRET, message=f"{SECRET[:20]}{json_reader.CUT} is not accepted")
    assert str(bad.redacted(REDACTED)) == f"***: ***{json_reader.CUT} is not accepted"
