"""The policy file's meaning: places, precedence, changes, warnings, and the plan of each gate."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.app import run_command_line
from sepurux_action.config.options import BY_NAME, OPTIONS, Layer, Source, Stage
from sepurux_action.config.path_filter import parse_paths
from sepurux_action.config.policy import read_policy
from sepurux_action.config.settings import Change, diff, gate_plans
from sepurux_action.errors import ConfigurationError
from sepurux_action.host.deadlines import Signals

PATH = ".github/sepurux-gate.yml"
FULL = """\
version: 1
timeout: 15m
reviewers: [octocat, '@octodog']
thresholds:
  min_pass_rate: 0.90
enforcement: observe
gates:
  - name: Refunds
    trace_file: |
      traces/a.json
      traces/b.json
    paths: [agents/**, '!**/*.md']
    thresholds: {min_pass_rate: 95%}
  - campaign: support
    enforcement: soft
"""


def read(text: str) -> Layer:
    return read_policy(text.encode(), PATH)


def values(layer: Layer) -> dict[str, tuple[str, object, int]]:
    return {name: (given.text, given.value, given.line) for name, given in layer.given.items()}


def test_every_key_becomes_the_value_of_its_option_with_its_text_and_line() -> None:
    policy = read(FULL)
    refunds, support = policy.gates
    assert values(policy) == {
        "timeout": ("15m", 900.0, 2),
        "reviewers": ("octocat\n@octodog", ("octocat", "octodog"), 3),
        "min_pass_rate": ("0.90", 0.9, 5),
        "enforcement": ("observe", Stage.OBSERVE, 6),
    }
    assert values(refunds) == {
        "name": ("Refunds", "Refunds", 8),
        "trace_file": ("traces/a.json\ntraces/b.json", ("traces/a.json", "traces/b.json"), 9),
        "paths": ("agents/**\n!**/*.md", parse_paths("agents/**\n!**/*.md"), 12),
        "min_pass_rate": ("95%", 0.95, 13),
    }
    assert values(support) == {"campaign": ("support", "support", 14), "enforcement": ("soft", Stage.SOFT, 15)}
    assert (policy.file, refunds.line, support.line) == (PATH, 8, 14)
    assert read("campaign_id: refunds").given["campaign"].where == "`campaign_id`"


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "# nothing", "---\n", "\ufeff", "null\n", "version: 1", "version: '1'", "gates:", "thresholds:"),
        *("campaign: ''", "timeout: ~"),
    ],
)
def test_what_is_empty_is_not_given(text: str) -> None:
    assert read(text) == Layer(Source.POLICY, file=PATH, line=1)


def test_a_gate_without_a_name_has_its_campaigns() -> None:
    policy = read("campaign: shared\ngates: [{name: One}, {campaign: two}, {project: p}]")
    assert [policy.name_of(gate) for gate in policy.gates] == ["One", "two", "shared"]


def test_each_changed_value_is_a_row_with_its_old_and_its_new_text() -> None:
    new = (
        FULL.replace("0.90", "0.5").replace("enforcement: observe", "enforcement: hard").replace("octocat, ", "")
        .replace("timeout: 15m\n", "").replace("95%", "0.95").replace("enforcement: soft", "on_outage: allow")
    )  # fmt: skip
    assert diff(read(FULL), read(new)) == (
        Change("min_pass_rate", "0.90", "0.5"),
        Change("enforcement", "observe", "hard"),
        Change("reviewers", "octocat, @octodog", "@octodog"),
        Change("timeout", "15m", ""),
        Change("enforcement", "soft", "", "support"),
        Change("on_outage", "", "allow", "support"),
    )


def test_a_gate_that_comes_or_goes_is_a_row_beside_its_values() -> None:
    old, new = read("gates: [{name: a, timeout: 30}, {name: b}]"), read("gates: [{name: B}, {name: c, campaign: d}]")
    assert diff(old, new) == (
        Change("", "listed", "", "a"),
        Change("name", "a", "", "a"),
        Change("timeout", "30", "", "a"),
        Change("name", "b", "B", "b"),
        Change("", "", "listed", "c"),
        Change("campaign", "", "d", "c"),
        Change("name", "", "c", "c"),
    )
    old, new = (read(f"gates: [{{name: a}}, {{timeout: {seconds}}}]") for seconds in (40, 50))
    assert diff(old, new) == (Change("timeout", "40", "50", "2"),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("thresholds: {min_pass_rate: 0.9}", "thresholds: {min_pass_rate: 90%}"),
        ("timeout: 600", "timeout: 10m"),
        ("trace_id: [a, b]", "trace_id: a, b"),
        ("campaign: a", "# why\nversion: 1\ncampaign_id: 'a'"),
        ("gates: [{name: a}, {name: b}]", "gates: [{name: b}, {name: a}]"),
        ("enforcement: soft", "enforcement: Soft"),
    ],
)
def test_another_way_of_writing_the_same_is_no_change(old: str, new: str) -> None:
    assert diff(read(old), read(new)) == ()


TWO = """\
reviewers: [ada, grace]
timeout: 15m
thresholds: {max_failures: 3, required_mutation_categories: [auth, timeouts]}
gates:
- {name: support, campaign: refunds, enforcement: soft, paths: [bots/**]}
- {campaign: search, on_outage: allow, thresholds: {min_reliability_score: 80}}
"""
PLANS = """\
support: campaign refunds; min_pass_rate 0.9, max_unsafe 0, max_failures 3; required_mutation_categories auth, timeouts\
; soft; ada, grace can approve; only for changes of bots/**; waits 15 min at most
search: campaign search; max_unsafe 0, max_failures 3, min_reliability_score 80; required_mutation_categories auth,\
 timeouts; hard; does not block if Sepurux is down; waits 15 min at most
a gate without a name: campaign of the input; min_pass_rate 0.9, max_unsafe 0, min_scenario_pass_rate 0.2; soft;\
 anyone with write access can approve; waits 10 min at most
"""


def test_each_gate_is_one_line_with_its_thresholds_and_what_a_file_leaves_to_the_inputs_is_no_problem() -> None:
    nameless = read("enforcement: soft\nthresholds: {min_scenario_pass_rate: 20%}")
    assert [*gate_plans(read(TWO)), *gate_plans(nameless)] == PLANS.splitlines()
    with pytest.raises(ConfigurationError, match="it is the name of the gate too, but it ends with"):
        [*gate_plans(read("campaign: refunds (v2)"))]


# Pieces of YAML near to a policy, so that policies come of them often enough.
OTHER_KEYS = ["version", "gates", "thresholds", "campaign_id"]
KEYS = [*(option.name for option in OPTIONS), *OTHER_KEYS]
TEXTS = ["1", "soft", "0.9", "85%", "10m", "a", "main", "2027-01-31", "'**'", "'!a'", "true", "~", "[a, b]", "''"]
LINE_STARTS = ["\n", "\n  ", "\n- ", "\n  - "]
MARKS = [*LINE_STARTS, "{", "}", "[", "]", ", ", "'", '"', "*", "&a ", "!", "|", ">", "#", "---", "\t", "%"]
pieces = st.sampled_from([*(f"{key}: " for key in KEYS), *(f"\n{key}: " for key in KEYS), *TEXTS, *MARKS])
nearly = (
    st.lists(pieces | st.text(max_size=3), max_size=12).map("".join).map(lambda text: text.encode(errors="replace"))
)
yaml_values = st.recursive(
    st.sampled_from(TEXTS) | st.text(max_size=4).map(repr),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(
            lambda fields: "{" + ", ".join(f"{key}: {value}" for key, value in fields.items()) + "}"
        )
    ),
    max_leaves=8,
)
shaped = st.dictionaries(st.sampled_from(KEYS), yaml_values, max_size=5).map(
    lambda fields: "\n".join(f"{key}: {value}" for key, value in fields.items()).encode(errors="replace")
)
files = st.binary(max_size=60) | nearly | shaped


def read_any(raw: bytes) -> Layer | ConfigurationError:
    try:
        return read_policy(raw, PATH)
    except ConfigurationError as bad:
        return bad


@given(files)
def test_any_bytes_become_a_policy_or_problems_each_with_its_place_on_one_line(raw: bytes) -> None:
    found = read_any(raw)
    if isinstance(found, ConfigurationError):
        assert found.problems
        for problem in found.problems:
            assert 1 <= problem.line <= len(raw.splitlines()) + raw.count(b"\xc2\x85") + raw.count(b"\xe2\x80") + 1
            assert str(problem).isprintable()


@given(files)
def test_check_raises_nothing_and_agrees_with_what_a_run_reads(raw: bytes) -> None:
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()) as out:
        file = Path(folder, "policy.yml")
        file.write_bytes(raw)
        status = run_command_line(["--check", str(file)], {}, Signals())
    found = read_any(raw)
    problems = found.problems if isinstance(found, ConfigurationError) else ()
    lines = out.getvalue().splitlines()
    if isinstance(found, Layer) and status == 0:
        assert len(lines) == 1 + (len(found.gates) or 1)
    elif problems:
        assert lines == [f"{file}:{each.line}: {each}" for each in problems]
    assert status == 2 or not problems


@given(files)
def test_every_value_of_a_policy_is_what_its_text_means(raw: bytes) -> None:
    found = read_any(raw)
    if isinstance(found, Layer):
        for section in (found, *found.gates):
            for name, given_here in section.given.items():
                assert given_here.text.strip() == given_here.text != ""
                assert name == "enforcement" or BY_NAME[name].parse(given_here.text) == given_here.value


@given(shaped, shaped)
def test_a_policy_differs_from_itself_in_nothing_and_from_another_both_ways_alike(one: bytes, other: bytes) -> None:
    old, new = read_any(one), read_any(other)
    if isinstance(old, Layer) and isinstance(new, Layer):
        assert diff(old, old) == ()
        assert len(diff(old, new)) == len(diff(new, old))
