"""What is likely to be wrong in a policy file. A message says what and where it is, and what to do."""

from __future__ import annotations

from datetime import date

import pytest

from sepurux_action.config.policy_parser import read_policy
from sepurux_action.config.policy_plan import gate_plans, plan_line, policy_warnings
from sepurux_action.errors import ConfigurationError, Problem

TODAY = date(2026, 11, 29)
PATH = ".github/sepurux-gate.yml"
ANYONE = "anyone with write access can approve"
NOT_YAML = "this is not valid YAML: "
NO_VALUE = "found character '@' that cannot start any token"


def located(problems: tuple[Problem, ...] | list[Problem]) -> list[str]:
    assert {problem.file for problem in problems} <= {PATH}
    return [f"{problem.line}:{problem.column} {problem}" for problem in problems]


def only_problem(text: str) -> str:
    with pytest.raises(ConfigurationError) as bad:
        read_policy(text.encode(), PATH)
    [problem] = located(bad.value.problems)
    return problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: c\n", f"2:1 {NOT_YAML}a tab is not allowed here; indent with spaces"),
        ("gates:\n  -\tname: a\n", f"2:4 {NOT_YAML}a tab is not allowed here; indent with spaces"),
        ("campaign: @c\n", f"1:11 {NOT_YAML}{NO_VALUE}; put a text that begins with `@` in quotes"),
        ("campaign: a: b\n", "; put a text with `: ` in quotes, or correct the indentation"),
        ("gates:\n  - name: a\n   campaign: c\n", "; indent it like what belongs to the same list or group of keys"),
        (
            "reviewers:\n - a\nb: [c\nd: e\n",
            f"4:2 {NOT_YAML}expected ',' or ']', but got ':'; close the bracket of line 3",
        ),
        ("campaign: a\ntimeout\n", f"3:1 {NOT_YAML}could not find expected ':'; write line 2 as `key: value`"),
        ("campaign: 'a\ntimeout: 9\n", f"3:1 {NOT_YAML}found unexpected end of stream; close the quotes of line 1"),
        ("gates: [{owner: a}]", "1:10 gate 1, `owner`: it is not known; accepted: `project`, `campaign`, `name`, "),
        ("thresholds: {accuracy: 1}", "1:14 `thresholds`, `accuracy`: it is not known; accepted: `min_pass_rate`, "),
        ("gates: [{gates: []}]", "1:10 gate 1, `gates`: it belongs on the file's top level"),
        ("enforcement: [{stage: soft, on: x}]", "`on`: it is not known; accepted: `stage`, `from`, `branches`"),
        ("defaults: {}", ", `report_dir`, `version`, `thresholds`, `gates`"),
        (
            "gates:\n- campaign: a\n  name: b\n- campaign: c\n  name: B\n",
            '5:3 gate 2, `name`: "B" is the name of gate 1',
        ),
        ("gates:\n- campaign: a\n- project: p\n  campaign: a\n", '4:3 gate 2, `name`: "a" is the name of gate 1 too'),
    ],
)
def test_a_mistake_is_explained(text: str, message: str) -> None:
    assert message in only_problem(text)


@pytest.mark.parametrize("value", ["90 percent", "90percent", "90 Per Cent", "90 pct"])
def test_a_percentage_in_words_is_understood(value: str) -> None:
    problem = only_problem(f"thresholds: {{min_pass_rate: {value}}}")
    assert f'"{value}" is not accepted (did you mean `90%`?); accepted: a fraction' in problem


WEAKER = "3:3 `enforcement`, entry 2: `{}` is weaker than `{}`, which applies until then; check the dates"
LATE = ["2:3 `enforcement`, entry 1: 2028-11-30 is more than two years away; check the year"]
INPUT = "it is not set; set it here, or with the input `campaign`, which applies to every gate without one"


def with_rules(*rules: str) -> str:
    """Return `enforcement` with an entry on each line, from line 2."""
    return "\n".join(["enforcement:", *(f"- {{stage: {rule}}}" for rule in rules), "campaign: c", ""])


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (
            with_rules("hard, from: 2026-12-01", "soft, from: 2026-12-07"),
            [WEAKER.format("soft from 2026-12-07", "hard from 2026-12-01")],
        ),
        (
            with_rules("soft, branches: a", "observe, branches: a, from: 2020-01-01"),
            [WEAKER.format("observe from 2020-01-01 on a", "soft on a")],
        ),
        (with_rules("soft, from: 2028-11-30"), LATE),
        (with_rules("soft, from: 2028-11-30") + "gates: [{name: a}, {name: b}]", LATE),
        ("gates:\n- campaign: c\n- name: b\n", [f"3:3 gate 2, `campaign`: {INPUT}"]),
        ("thresholds: {max_unsafe: 1}\n", [f"1:1 `campaign`: {INPUT}"]),
        (with_rules("soft, from: 2028-11-29"), []),
        (with_rules("hard, from: 2026-12-07", "soft, from: 2026-12-01"), []),
        (with_rules("hard", "soft, from: 2026-12-07, branches: next"), []),
        ("campaign: c\ngates: [{name: a}]\n", []),
    ],
)
def test_what_is_allowed_and_probably_a_mistake_is_a_warning(text: str, warnings: list[str]) -> None:
    assert located(policy_warnings(read_policy(text.encode(), PATH), TODAY)) == warnings


ROLLOUT = """\
reviewers: [ada, grace]
status_context: "Sepurux ({base})"
enforcement:
- stage: observe
- {stage: soft, from: 2026-12-07}
- {stage: soft, from: 2026-12-14}
- {stage: hard, from: 2026-12-21}
- {stage: hard, branches: [release/**, main]}
gates:
- {name: support, campaign: refunds}
- {name: billing, campaign: invoices, enforcement: soft, reviewers: [linus]}
- {name: search, enforcement: hard}
"""


def test_each_gate_is_one_line() -> None:
    stages = "observe today, soft from 2026-12-07, hard from 2026-12-21; on release/**, main: hard today"
    assert [*map(plan_line, gate_plans(read_policy(ROLLOUT.encode(), PATH), TODAY))] == [
        f"support: campaign refunds; {stages}; ada, grace can approve; status Sepurux ({{base}}) / support",
        "billing: campaign invoices; soft today; linus can approve; status Sepurux ({base}) / billing",
        "search: no campaign; hard today; needs no approval; status Sepurux ({base}) / search",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "a gate without a name: no campaign; hard by default; needs no approval; status Sepurux / NAME"),
        ("campaign: c\nstatus: false\n", "c: campaign c; hard by default; needs no approval; no status"),
        (
            "campaign: c\nenforcement: [{stage: soft, branches: next}]\n",
            f"c: campaign c; hard today; on next: soft today; {ANYONE}; status Sepurux / c",
        ),
        (
            "campaign: c\nenforcement: [{stage: soft, from: 2027-01-01}]\n",
            f"c: campaign c; observe today, soft from 2027-01-01; {ANYONE}; status Sepurux / c",
        ),
    ],
)
def test_what_the_file_does_not_set_is_visible(text: str, line: str) -> None:
    [plan] = gate_plans(read_policy(text.encode(), PATH), TODAY)
    assert plan_line(plan) == line


def test_json_has_the_same() -> None:
    support, billing, _ = gate_plans(read_policy(ROLLOUT.encode(), PATH), TODAY)
    later = [{"from": "2026-12-07", "stage": "soft"}, {"from": "2026-12-21", "stage": "hard"}]
    assert support == {
        "file": PATH,
        "line": 10,
        "name": "support",
        "campaign": "refunds",
        "enforcement": [
            {"branches": None, "today": "observe", "changes": later},
            {"branches": "release/**, main", "today": "hard", "changes": []},
        ],
        "approvers": ("ada", "grace"),
        "status": "Sepurux ({base}) / support",
    }
    assert billing["approvers"] == ("linus",)
    [plan] = gate_plans(read_policy(b"status: false", PATH), TODAY)
    nothing: dict[str, object] = {"name": None, "campaign": None, "enforcement": [], "approvers": (), "status": None}
    assert plan == {"file": PATH, "line": 1, **nothing}
