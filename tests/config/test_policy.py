"""The policy file's meaning: places, precedence, every problem at once, and changes."""

from __future__ import annotations

from datetime import date

import pytest

from sepurux_action.config.gate import Trace
from sepurux_action.config.layers import Given, Layer, Source
from sepurux_action.config.options import OPTIONS
from sepurux_action.config.path_filter import parse_branches, parse_paths
from sepurux_action.config.policy import Change, Policy, diff, without_unmerged_rules
from sepurux_action.config.policy_parser import MAX_PROBLEMS, read_policy
from sepurux_action.config.settings import read_settings
from sepurux_action.config.stage import Stage, StageRule
from sepurux_action.errors import ConfigurationError, Place

PATH = ".github/sepurux-gate.yml"
TODAY = date(2027, 1, 15)
FULL = """\
version: 1
project: my-agent
timeout: 15m
reviewers: [octocat, '@octodog']
thresholds:
  min_pass_rate: 0.90
  max_unsafe: 0
enforcement:
  - stage: observe
  - {stage: hard, from: 2027-02-01, branches: [main]}
gates:
  - name: Refunds
    campaign: core-reliability
    trace_file: |
      traces/a.json
      traces/b.json
    paths: [agents/**, '!**/*.md']
    thresholds: {min_pass_rate: 95%}
  - campaign: support
    enforcement: soft
"""


def read(text: str) -> Policy:
    return read_policy(text.encode(), PATH)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as bad:
        read(text)
    assert {problem.file for problem in bad.value.problems} == {PATH}
    return [f"{problem.line}:{problem.column}: {problem}" for problem in bad.value.problems]


def values(layer: Layer) -> dict[str, tuple[str, object, int]]:
    return {name: (given.text, given.value, given.place.line) for name, given in layer.given.items()}


def test_every_key_becomes_the_value_of_its_option_with_its_text_and_line() -> None:
    policy = read(FULL)
    assert policy.path == PATH
    soft = (StageRule(stage=Stage.SOFT),)
    scheduled = StageRule(stage=Stage.HARD, start=date(2027, 2, 1), branches=parse_branches("main"))
    assert values(policy.top) == {
        "project": ("my-agent", "my-agent", 2),
        "timeout": ("15m", 900.0, 3),
        "reviewers": ("octocat\n@octodog", ("octocat", "octodog"), 4),
        "min_pass_rate": ("0.90", 0.9, 6),
        "max_unsafe": ("0", 0, 7),
        "enforcement": ("observe; hard from 2027-02-01 on main", (StageRule(stage=Stage.OBSERVE), scheduled), 8),
    }
    refunds, support = policy.gates
    assert values(refunds) == {
        "name": ("Refunds", "Refunds", 12),
        "campaign": ("core-reliability", "core-reliability", 13),
        "trace_file": ("traces/a.json\ntraces/b.json", ("traces/a.json", "traces/b.json"), 14),
        "paths": ("agents/**\n!**/*.md", parse_paths("agents/**\n!**/*.md"), 17),
        "min_pass_rate": ("95%", 0.95, 18),
    }
    assert (refunds.place.line, support.place.line) == (12, 19)
    assert values(support) == {"campaign": ("support", "support", 19), "enforcement": ("soft", soft, 20)}


@pytest.mark.parametrize(
    "text", ["", "{}", "# nothing", "version: 1", "version: '1'", "gates:", "thresholds:", "campaign: ''", "timeout: ~"]
)
def test_what_is_empty_is_not_given(text: str) -> None:
    assert read(text) == Policy(path=PATH, top=Layer(Source.POLICY, place=Place("", PATH, 1, 1)))


@pytest.mark.parametrize(
    ("branch", "today", "stage"),
    [("next", TODAY, Stage.OBSERVE), ("main", TODAY, Stage.OBSERVE), ("main", date(2027, 2, 1), Stage.HARD)],
)
def test_a_gate_overrides_the_top_level_and_its_stage_is_that_of_the_branch_and_the_day(
    branch: str, today: date, stage: Stage
) -> None:
    def find(path: str) -> tuple[Trace, ...]:
        return (Trace(label=path, content=b"{}"),)

    refunds, support = read_settings([], find, read(FULL), branch=branch, today=today).gates
    assert (refunds.limits, support.limits) == (
        {"min_pass_rate": 0.95, "max_unsafe": 0},
        {"min_pass_rate": 0.9, "max_unsafe": 0},
    )
    assert (refunds.stage, support.stage) == (stage, Stage.SOFT)
    assert support.rules == (StageRule(stage=Stage.SOFT),)


def test_a_gate_without_a_name_has_its_campaigns() -> None:
    policy = read("campaign: shared\ngates: [{name: One}, {campaign: two}, {project: p}]")
    assert [policy.name(gate) for gate in policy.gates] == ["One", "two", "shared"]
    nameless, long = read("gates: [{project: p}]"), read(f"campaign: {'x' * 99}")
    assert nameless.name(nameless.gates[0]) == ""
    assert len(long.name(long.top)) == 80


def test_an_alias_of_an_option_is_read_as_the_option() -> None:
    policy = read("campaign_id: refunds\nthresholds: {min_reliability: 80}")
    assert values(policy.top) == {"campaign": ("refunds", "refunds", 1), "min_reliability_score": ("80", 80.0, 2)}
    assert policy.top.given["campaign"].spelling == "campaign_id"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("campain: a", "1:1: `campain`: it is not known; did you mean `campaign`?"),
        ("gate: []", "1:1: `gate`: it is not known; did you mean `gates`?"),
        ("<<: {campaign: a}", "1:1: `<<`: it is not known"),
        ("version: 2", '1:10: `version`: "2" is not known; accepted: `1`'),
        ("token: made-up", "1:1: `token`: it is a secret, which is not accepted in a file: use the input"),
        ("github_token: made-up", "1:1: `github_token`: it is a secret, which is not accepted in a file"),
        ("base_url: https://x.example", "1:1: `base_url`: it is not accepted in the file: use the input"),
        ("max_unsafe: 0", "1:1: `max_unsafe`: it belongs under `thresholds:`"),
        ("name: a", "1:1: `name`: it belongs in a gate, under `gates:`"),
        ("paths: [a]", "1:1: `paths`: it belongs in a gate, under `gates:`"),
        ("gates: [{comment: never}]", "1:10: gate 1, `comment`: it belongs on the file's top level"),
        ("thresholds: {timeout: 3}", "1:14: `thresholds`, `timeout`: it belongs on the file's top level or in a"),
        ("gates: [{gates: []}]", "1:10: gate 1, `gates`: it belongs on the file's top level"),
        ("thresholds: 3", '1:13: `thresholds`: it is "3"; accepted: keys with values'),
        ("gates: {name: a}", "1:8: `gates`: it is a group of keys; accepted: a list with an entry for each gate"),
        (f"gates: [{', '.join(f'{{name: g{n}}}' for n in range(27))}]", "1:8: `gates`: it has 27 entries; accepted: "),
        ("gates:\n- {project: p}\n- {timeout: 9}", "3:3: gate 2, `name`: it is missing, and so is `campaign`"),
        ("gates: [a]", '1:9: gate 1: it is "a"; accepted: keys with values'),
        ("- campaign", "1:1: the file holds a list; accepted: keys with values"),
        ("campaign: [a]", "1:11: `campaign`: it is a list; accepted: a campaign's name or UUID"),
        ("trace_id: {a: b}", "1:11: `trace_id`: it is a group of keys; accepted: trace IDs"),
        ("trace_id: []", "1:11: `trace_id`: the list is empty; remove the key"),
        ("trace_id: [a, '']", "1:15: `trace_id`: an entry of the list must be one line of text"),
        ('trace_id: ["a\\nb"]', "1:12: `trace_id`: an entry of the list must be one line of text"),
        (f"trace_id: [{', '.join(map(str, range(101)))}]", '1:11: `trace_id`: "0 1 2 '),
        ("timeout: soon", '1:10: `timeout`: "soon" is not accepted; accepted: seconds'),
        ("thresholds: {min_pass_rate: 85}", '1:29: `thresholds`, `min_pass_rate`: "85" is not accepted (did you mean'),
        ("campaign: a\ncampaign_id: a", "2:1: `campaign_id`: it is the same setting as `campaign`; set one of them"),
        ("reviewers: [a, b/c]", '1:12: `reviewers`: "a b/c" is not accepted ("b/c" is a team'),
        ("gates: [{paths: ['a', '[']}]", '1:17: gate 1, `paths`: "a [" is not accepted ("[": the bracket is'),
        ("gates: [{paths: ['!a']}]", '1:17: gate 1, `paths`: "!a" is not accepted (all patterns begin with `!`'),
        ("gates:\n- {name: a}\n- {name: A}", '3:4: gate 2, `name`: "A" is the name of gate 1 too'),
        ("gates:\n- {name: a}\n- {campaign: A}", '3:4: gate 2, `name`: "A" is the name of gate 1 too'),
        ("gates: [{name: a}, {name: a}]", '1:21: gate 2, `name`: "a" is the name of gate 1 too'),
    ],
)  # fmt: skip
def test_a_problem_is_reported_with_line_column_key_and_what_is_accepted(text: str, message: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(message)


def test_too_many_gates_name_what_two_steps_need() -> None:
    """26 gates make at most 79 writes, three statuses each and the comment. GitHub accepts 80 a minute."""
    texts = [f"gates: [{', '.join(f'{{name: g{n}}}' for n in range(count))}]" for count in (26, 27)]
    assert len(read(texts[0]).gates) == 26
    [problem] = problems(texts[1])
    limit, _, advice = problem.partition(". ")
    assert limit == "1:8: `gates`: it has 27 entries; accepted: at most 26"
    assert advice == (
        "Use two steps or jobs. Each needs gates with other names, and in the input `config` a policy file of its own "
        "with another name than `.github/sepurux-gate.yml`, which must not exist beside them"
    )


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("strict", '1:14: `enforcement`: "strict" is not accepted; accepted: `observe`, `soft` or `hard`'),
        ("[]", "1:14: `enforcement`: it is an empty list; accepted: a stage, or a list of entries"),
        ("[soft]", '1:15: `enforcement`, entry 1: it is "soft"; accepted: a `stage`, and optionally'),
        ("[{from: 2027-01-01}]", "1:15: `enforcement`, entry 1: its `stage` is missing"),
        ("[{stage: [soft]}]", "1:23: `enforcement`, entry 1, `stage`: it is a list; accepted: `observe`, `soft` or"),
        ("[{stage: soft, form: x}]", "1:29: `enforcement`, entry 1, `form`: it is not known; did you mean `from`?"),
        ("[{stage: soft, from: 1.2.2027}]", '1:35: `enforcement`, entry 1, `from`: "1.2.2027" is not accepted'),
        ("[{stage: soft, branches: []}]", "1:39: `enforcement`, entry 1, `branches`: the list is empty"),
        ("[{stage: soft, branches: ['!a']}]", '1:39: `enforcement`, entry 1, `branches`: "!a" is not accepted (all'),
        ("[{stage: soft, branches: refs/heads/a}]", '1:39: `enforcement`, entry 1, `branches`: "refs/heads/a" is not'),
        ("[{stage: soft}, {stage: hard}]", "1:30: `enforcement`, entry 2: it has the same `from` and `branches`"),
        (f"[{', '.join(['{stage: soft}'] * 51)}]", "1:14: `enforcement`: it has 51 entries; accepted: at most 50"),
    ],
)
def test_a_problem_in_enforcement_is_reported_at_its_line_and_column(rules: str, message: str) -> None:
    (problem,) = problems(f"enforcement: {rules}")
    assert problem.startswith(message)


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = "campain: a\ntimeout: soon\ngates:\n- name: ''\n  paths: ['[']\n- {thresholds: {max_unsafe: x}, nam: b}\n"
    assert [each.split(" ")[0] for each in problems(text)] == ["1:1:", "2:10:", "5:10:", "6:29:", "6:33:"]


def test_a_name_that_came_of_the_campaign_is_explained() -> None:
    (problem,) = problems("campaign: a\ngates: [{project: p}, {project: q}]")
    assert problem.endswith("names that differ in more than case (the default of `name` is the campaign)")


def test_a_limited_number_of_problems_is_reported() -> None:
    assert len(problems("".join(f"key{number}: a\n" for number in range(5000)))) == MAX_PROBLEMS


def test_the_value_of_a_secret_is_in_no_problem() -> None:
    assert "made-up-secret" not in "".join(problems("token: made-up-secret\napi_key: [made-up-secret]\n"))


def test_a_hostile_key_is_shown_on_one_line_in_quotes() -> None:
    (problem,) = problems('"a`\\n::error::b\\u202e": c')
    assert problem.startswith("1:1: `a' ::error::b`: it is not known; accepted: `project`, ")


def test_of_a_first_policy_file_only_gates_and_what_they_evaluate_apply() -> None:
    given = {option.name: Given(Source.POLICY, {option.name: "x"}, Place(), "x") for option in OPTIONS}
    everything = Layer(Source.POLICY, given)
    policy = without_unmerged_rules(Policy(path=PATH, top=everything, gates=(everything, everything)))
    assert len(policy.gates) == 2
    for layer in (policy.top, *policy.gates):
        assert set(layer.given) == {"name", "campaign", "project", "trace_id", "trace_file", "mutation_pack"}


def test_each_changed_value_is_a_row_with_its_old_and_its_new_text() -> None:
    new = (
        FULL.replace("0.90", "0.5").replace("stage: observe", "stage: soft").replace("octocat, ", "")
        .replace("timeout: 15m\n", "").replace("95%", "0.95").replace("enforcement: soft", "on_undecided: allow")
    )  # fmt: skip
    assert diff(read(FULL), read(new)) == (
        Change("min_pass_rate", "0.90", "0.5"),
        Change("enforcement", "observe; hard from 2027-02-01 on main", "soft; hard from 2027-02-01 on main"),
        Change("reviewers", "octocat, @octodog", "@octodog"),
        Change("timeout", "15m", ""),
        Change("enforcement", "soft", "", "support"),
        Change("on_undecided", "", "allow", "support"),
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


def test_gates_without_a_name_in_the_file_are_compared_by_their_order() -> None:
    old, new = read("gates: [{name: a}, {timeout: 40}]"), read("gates: [{name: a}, {timeout: 50}]")
    assert diff(old, new) == (Change("timeout", "40", "50", "2"),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("thresholds: {min_pass_rate: 0.9}", "thresholds: {min_pass_rate: 90%}"),
        ("timeout: 600", "timeout: 10m"),
        ("trace_id: [a, b]", "trace_id: a, b"),
        ("campaign: a", "# why\nversion: 1\ncampaign_id: 'a'"),
        ("gates: [{name: a}, {name: b}]", "gates: [{name: b}, {name: a}]"),
        ("enforcement: soft", "enforcement: [{stage: Soft}]"),
    ],
)
def test_another_way_of_writing_the_same_is_no_change(old: str, new: str) -> None:
    assert diff(read(old), read(new)) == ()
