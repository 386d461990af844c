"""Whatever texts are given, they become settings or a list of problems, and no problem shows a secret."""

from __future__ import annotations

import string
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common.secret import MIN_REDACTED_LENGTH
from sepurux_action.config.gate import Trace
from sepurux_action.config.layers import environment_layer, input_layer
from sepurux_action.config.options import OPTIONS
from sepurux_action.config.settings import Inputs, Settings, read_inputs, read_settings
from sepurux_action.errors import ConfigurationError, TraceFileError

SPELLINGS = [spelling for option in OPTIONS for spelling in option.names]
ENVIRONMENT = [option.environment for option in OPTIONS if option.environment]
ORDER = {spelling: number for number, option in enumerate(OPTIONS) for spelling in option.names}

# Texts near to those that are accepted, so that settings come of them often enough, and any text at all.
NUMBERS = ["0", "1", "0.85", "85%", "80", "10m", "1h30m"]
LIKELY = ["", " ", *NUMBERS, "soft", "allow", "https://h.example", "a,b\nc", "a.json"]
any_text = st.text(max_size=30) | st.text(st.characters(categories=["Cs", "Cc", "Nd", "Zs"]), max_size=5)
texts = st.sampled_from(LIKELY) | any_text
near = st.dictionaries(st.sampled_from(SPELLINGS), st.sampled_from(LIKELY), max_size=3)
inputs = st.dictionaries(st.sampled_from(SPELLINGS) | st.text(max_size=12), texts, max_size=8) | near
environs = st.just({"SEPURUX_CAMPAIGN_ID": "refunds"}) | st.dictionaries(
    st.sampled_from(ENVIRONMENT) | st.text(max_size=12), texts, max_size=8
)
secrets = st.text(string.ascii_letters + string.digits, min_size=MIN_REDACTED_LENGTH, max_size=60).map("7Q".__add__)


def find(pattern: str) -> tuple[Trace, ...]:
    if "." not in pattern:
        raise TraceFileError(f"{pattern!r} was not found in the workspace")
    return (Trace(label=pattern, content=b"{}"),)


def read(inputs: Mapping[str, str], environ: Mapping[str, str]) -> tuple[Inputs, Settings | ConfigurationError]:
    layers = [input_layer(inputs), environment_layer(environ)]
    try:
        return read_inputs(layers), read_settings(layers, find)
    except ConfigurationError as bad:
        return read_inputs(layers), bad


@given(inputs, environs)
def test_any_texts_become_settings_or_problems_on_one_line_each_in_the_order_of_the_table(
    inputs: Mapping[str, str], environ: Mapping[str, str]
) -> None:
    known, read_back = read(inputs, environ)
    if isinstance(read_back, ConfigurationError):
        assert read_back.problems == known.problems or {*read_back.problems} - {*known.problems}
        named = [place_in_table(problem.where) for problem in read_back.problems]
        assert named == sorted(named)
        assert all(len(problem.message.splitlines()) == 1 for problem in read_back.problems)
        return
    assert known.problems == ()
    assert set(inputs) <= set(SPELLINGS)
    [gate] = read_back.gates
    assert gate.campaign.isprintable()
    assert 1 <= len(gate.name) <= 80
    assert 1 <= len(gate.traces) <= 100
    assert "min_pass_rate" in gate.limits or "min_reliability_score" in gate.limits
    for secret in (known.token, known.api_key):
        assert secret is None or (secret.reveal().isascii() and secret.reveal().strip() == secret.reveal() != "")


@given(secrets, st.sampled_from(["token", "api_key"]), st.data())
def test_a_secret_is_in_no_problem_wherever_else_it_was_given(secret: str, name: str, data: st.DataObject) -> None:
    spoilt = data.draw(st.dictionaries(st.sampled_from(SPELLINGS), any_text.map(secret.__add__), max_size=6))
    around = data.draw(environs)
    gap = data.draw(st.sampled_from(["", "\n", " ", "\r\n\t"]))
    known, read_back = read({**spoilt, name: secret + gap + (secret if gap else "")}, around)
    if isinstance(read_back, ConfigurationError):
        assert all(secret[: MIN_REDACTED_LENGTH + 1] not in str(problem) for problem in read_back.problems)
    else:
        assert secret not in repr((known, read_back))


def place_in_table(where: str) -> int:
    spelled = where.split("`")[1] if "`" in where else where.rsplit(" ", 1)[1]
    by_environment = {option.environment: option.name for option in OPTIONS if option.environment}
    return ORDER.get(by_environment.get(spelled, spelled), len(OPTIONS))
