"""Settings: layers, spellings, defaults, and every problem at once, none of which shows a secret."""

import string
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common.secret import MIN_REDACTED_LENGTH
from sepurux_action.config.options import INPUTS, OPTIONS, OnOutage, Stage, environment_layer, flag_layer, input_layer
from sepurux_action.config.policy import read_policy
from sepurux_action.config.settings import REGISTERED, Gate, Settings, Trace, read_settings
from sepurux_action.errors import TraceFileError

LEAST = {"campaign": "refunds"}
TOKEN = "sk_live_5c0ffee5c0ffee5c0ffee5c0ffee5c0ffee5c0ffee5c0ffee"
SPELLINGS = [spelling for option in INPUTS for spelling in option.names]
ENVIRONMENT = [option.environment for option in OPTIONS if option.environment]
# Texts near to those that are accepted, so that settings come of them often enough, and any text at all.
LIKELY = ["", " ", "0", "1", "0.85", "85%", "80", "10m", "1h30m", "soft", "allow", "https://h.example"]
LIKELY += ["a,b\nc", "a.json"]
any_text = st.text(max_size=30) | st.text(st.characters(categories=["Cs", "Cc", "Nd", "Zs"]), max_size=5)
texts = st.sampled_from(LIKELY) | any_text
near = st.dictionaries(st.sampled_from(SPELLINGS), st.sampled_from(LIKELY), max_size=3)
inputs = st.dictionaries(st.sampled_from(SPELLINGS) | st.text(max_size=12), texts, max_size=8) | near
environs = st.dictionaries(st.sampled_from(ENVIRONMENT) | st.text(max_size=12), texts, max_size=8)
secrets = st.text(string.ascii_letters + string.digits, min_size=MIN_REDACTED_LENGTH, max_size=60).map("7Q".__add__)


def find(pattern: str) -> tuple[Trace, ...]:
    """Return a trace for each label in a pattern; `*N` stands for so many. A label with a `!` is not found."""
    if "!" in pattern:
        raise TraceFileError('"bad!.json" was not found')
    labels = map(str, range(int(pattern[1:]))) if pattern[:1] == "*" and pattern[1:].isdecimal() else pattern.split()
    return tuple(Trace(label=label, content=b"{}") for label in labels)


def read(inputs: Mapping[str, str], environ: Mapping[str, str] | None = None, policy: str | None = None) -> Settings:
    read_file = None if policy is None else read_policy(policy.encode(), "p.yml")
    return read_settings([input_layer({**LEAST, **inputs}), environment_layer(environ or {})], find, read_file)


def problems(inputs: Mapping[str, str], environ: Mapping[str, str] | None = None) -> list[str]:
    return [str(problem) for problem in read(inputs, environ).problems]


def test_a_campaign_alone_is_enough_and_everything_else_has_its_default() -> None:
    settings = read({})
    limits = {"min_pass_rate": 0.9, "max_unsafe": 0}
    gate = Gate(name="refunds", campaign="refunds", traces=(Trace(label=REGISTERED),), limits=limits)
    assert settings == Settings(gates=(replace(gate, stage=Stage.HARD, on_outage=OnOutage.BLOCK, timeout_s=600),))
    assert read_settings([input_layer({})]) == Settings(gates=(Gate(name="", campaign=""),))
    assert settings.base_url == "https://app.sepurux.dev/api/backend"


@pytest.mark.parametrize(
    ("flags", "limits"),
    [
        ({}, {"min_pass_rate": 0.5, "max_unsafe": 3}),
        ({"max_unsafe": "0", "min_pass_rate": "0"}, {"min_pass_rate": 0, "max_unsafe": 0}),
        ({"min_reliability": "0"}, {"min_pass_rate": 0.5, "max_unsafe": 3, "min_reliability_score": 0}),
    ],
)
def test_a_flag_beats_the_policy_file_and_that_a_default(flags: Mapping[str, str], limits: Mapping[str, float]) -> None:
    read_file = read_policy(b"thresholds: {max_unsafe: 3, min_pass_rate: 50%}", "p.yml")
    assert read_settings([flag_layer({**LEAST, **flags})], find, read_file).gates[0].limits == limits
    assert read({"min_reliability": "0"}).gates[0].limits == {"max_unsafe": 0, "min_reliability_score": 0}


@pytest.mark.parametrize("empty", ["", " ", "\n\t "])
def test_an_empty_value_is_not_given_and_space_around_a_secret_is_not_part_of_it(empty: str) -> None:
    gate = read({"project": empty, "trace_id": empty}, {"SEPURUX_PROJECT_ID": "shop"}).gates[0]
    assert gate.project == "shop"
    assert gate.traces == (Trace(label=REGISTERED),)
    known = read_settings([input_layer({"token": empty}), environment_layer({"SEPURUX_API_KEY": f" {TOKEN}{empty}"})])
    assert (known.token, known.api_key and known.api_key.reveal()) == (None, TOKEN)


def test_a_skipped_gate_reads_no_trace_file() -> None:
    def unread(_: str) -> tuple[Trace, ...]:
        raise TraceFileError("it was looked for")

    policy = read_policy(b"trace_file: a.json\ngates: [{name: a, paths: docs/**}, {name: b}]", "p.yml")
    layers = [input_layer(LEAST)]
    missing = read_settings(layers, unread, policy, skip=lambda paths: paths.matches("docs/a.md"))
    assert len(missing.problems) == 1  # of the other gate
    gates = read_settings(layers, find, policy, skip=lambda paths: paths.matches("docs/a.md")).gates
    assert [(each.skipped, each.uploads_traces) for each in gates] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    ("typo", "problem"),
    [
        ("min_pas_rate", "`min_pas_rate`; did you mean `min_pass_rate`?"),
        ("TIMEOUT", "`TIMEOUT`; did you mean `timeout`?"),
        ("max_pass_rate_drop", "`max_pass_rate_drop`; set it in the policy file"),
        ("x\n::error::y", "`x ::error::y`"),
    ],
)
def test_an_unknown_input_is_a_problem_with_the_nearest_known_name(typo: str, problem: str) -> None:
    assert problems({typo: "1"}) == [f"there is no input {problem}"]


@pytest.mark.parametrize(
    ("campaign", "why"), [("c" * 81, "it has 81 characters"), ("refunds (v2)", "it ends with `)`")]
)
def test_a_campaign_that_cannot_be_a_name_needs_one_beside_it(campaign: str, why: str) -> None:
    why = f"must be a name of the gate too, but {why}; set `name`"
    assert problems({"campaign": campaign}) == [f"input `campaign`: {why}"]
    [gate] = read({"campaign": campaign, "name": "Refunds"}).gates
    assert (gate.campaign, gate.name) == (campaign, "Refunds")


def test_the_input_name_selects_a_gate_of_the_policy_file_and_another_name_is_a_problem() -> None:
    names = {"BILLING": ["billing"], "": ["Refunds", "billing"]}
    policy = "gates:\n- {name: Refunds, trace_file: a}\n- {campaign: billing}\n"
    assert {name: [gate.name for gate in read({"name": name}, policy=policy).gates] for name in names} == names
    assert read({"name": "billing"}, policy=policy.replace("a}", "'!'}")).problems == ()
    assert read({"name": "own"}, policy="timeout: 9").gates[0].name == "own"
    [problem] = read({"name": "refund"}, policy=policy).problems
    assert str(problem) == 'input `name`: must be a gate of the policy file ("Refunds", "billing"), not "refund"'


def test_all_problems_are_reported_at_once_in_the_order_of_the_table() -> None:
    inputs = {"zzz": "1", "trace_file": "!", "trace_id": "a/b", "campaign": "", "project": "a", "project_id": "b"}
    found = problems(inputs, {"SEPURUX_API_KEY": "käy"})
    assert [each.partition(":")[0] for each in found] == [
        *("environment variable SEPURUX_API_KEY", "input `project`", "input `campaign`"),
        *("input `trace_id`", "input `trace_file`", "there is no input `zzz`"),
    ]
    assert found[1].endswith('not "a"; input `project_id` is the same setting, and differs')


@pytest.mark.parametrize(
    "address", ["https://user:hunter22@h.example", "https://hunter22@h.example/x", "https://h.example/?key=hunter22"]
)
def test_a_credential_in_an_address_is_not_shown(address: str) -> None:
    (message,) = problems({"base_url": address})
    assert message.startswith("input `base_url`: must be an https address (http on loopback only); it must have a host")
    assert "hunter22" not in message


def test_traces_by_id_come_before_traces_from_files_and_each_once_in_their_order() -> None:
    traces = read({"trace_id": "t-2,t-1", "trace_file": "b1 b2\na\na c"}).gates[0].traces
    assert [trace.label for trace in traces] == ["t-2", "t-1", "b1", "b2", "a", "c"]


@pytest.mark.parametrize(
    ("top", "gate", "traces"),
    [
        *(("", "", ["t-1", "a"]), ("trace_file: b", "", ["b"]), ("trace_id: t-2", "", ["t-2"])),
        *(("trace_file: b", "trace_id: t-3", ["t-3"]), ("trace_id: t-2", "trace_file: c", ["c"])),
    ],
)
def test_the_innermost_place_that_names_traces_names_all_of_them(top: str, gate: str, traces: list[str]) -> None:
    made = read({"trace_id": "t-1", "trace_file": "a"}, policy=f"{top}\ngates: [{{name: a, {gate}}}]")
    assert [trace.label for trace in made.gates[0].traces] == traces
    assert made.overridden == (("trace_file", "trace_id") if top else ())


@pytest.mark.parametrize(
    ("ids", "file", "message"),
    [
        ("", "*101", "must name at most 100 traces for one gate, not 101 files"),
        ("t-1,t-2", "*99", "must name at most 100 traces for one gate, not 99 files beside 2 trace ids"),
        ("", "a!\nb\nc!", '"bad!.json" was not found'),
    ],
)
def test_a_gate_has_at_most_a_hundred_traces_and_a_bad_file_is_reported_once(ids: str, file: str, message: str) -> None:
    assert problems({"trace_id": ids, "trace_file": file}) == [f"input `trace_file`: {message}"]


@pytest.mark.parametrize("name", ["campaign", "name", "trace_file", "trace_id"])
def test_a_text_that_holds_a_secret_is_rejected_because_reports_would_show_it(name: str) -> None:
    (message,) = problems({"token": TOKEN, name: f"a-{TOKEN}"})
    assert message.startswith(f"input `{name}`: must not contain a secret")
    early = read_settings([input_layer({"token": TOKEN, name: TOKEN})])
    assert early.gates == (Gate(name="", campaign=""),)
    assert TOKEN[:8] not in message + repr(early)


def test_a_context_has_at_most_255_characters() -> None:
    layers = [input_layer(LEAST)]
    longest = " (b)".ljust(255 - len("Sepurux / refunds"), "b")
    assert read_settings(layers, find, suffix=longest).problems == ()
    [problem] = read_settings(layers, find, suffix=longest + "b").problems
    assert problem.message.endswith("the context of a status, which has the branch too, not 256")


def both(inputs: Mapping[str, str], environ: Mapping[str, str]) -> tuple[Settings, Settings]:
    layers = [input_layer(inputs), environment_layer(environ)]
    return read_settings(layers), read_settings(layers, find)


@given(inputs, environs)
def test_texts_become_settings_or_problems_on_one_line(inputs: Mapping[str, str], environ: Mapping[str, str]) -> None:
    known, read_back = both(inputs, environ)
    assert {*known.problems} <= {*read_back.problems}
    if read_back.problems:
        assert all(len(problem.message.splitlines()) == 1 for problem in read_back.problems)
        return
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
    known, read_back = both({**spoilt, name: secret + gap + (secret if gap else "")}, around)
    assert all(secret[: MIN_REDACTED_LENGTH + 1] not in str(problem) for problem in read_back.problems)
    assert secret not in repr((known, read_back))
