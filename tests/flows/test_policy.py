"""The policy file and the stages: which file applies, what a pull request cannot loosen, who can approve a gate."""

import json

import pytest

from sepurux_action.config import options
from tests.github_double import faults
from tests.runner import run_action
from tests.scenes import PASSED, SECRET, Scene

PATH = ".github/sepurux-gate.yml"
STRICT = "campaign: core-reliability\nenforcement: hard\nthresholds:\n  min_pass_rate: 0.9\n  max_unsafe: 0\n"
LOOSE = "campaign: core-reliability\nenforcement: observe\nthresholds:\n  min_pass_rate: 0\n  max_unsafe: 99\n"
SOFT = STRICT.replace("hard", "soft")
TRACE = {"events": [{"type": "tool_call", "tool": "lookup"}]}
GATES = LOOSE + "gates:\n- {name: a, trace_file: traces/a.json}\n- {name: b, trace_id: t-2}\n"
NOT_SET = "`campaign`: must be a campaign's name or UUID, but is not set"
AFTER_MERGE = [  # a valid file that is a bad setting with the inputs and files of the run, and one of its problems
    (GATES.replace("a.json", "*.jsn"), 7, 'gate 1, `trace_file`: "traces/*.jsn" matches no file in the workspace'),
    (GATES.replace("a.json", "c.json"), 7, 'gate 1, `trace_file`: "traces/c.json" is not valid JSON'),
    (GATES.replace("campaign: core-reliability", "timeout: 60"), 8, f"gate 2, {NOT_SET}"),
    (GATES.replace("core-reliability", SECRET), 1, "`campaign`: must not contain a secret"),
    ("timeout: 60", 1, NOT_SET),
    ("campaign: core-reliability", 0, 'input `max_failures`: must be a whole number from 0 to 999,999,999, not "many"'),
]
NO_ALARM = [  # the file of the base, that of the pull request, and the inputs
    (STRICT + "trace_file: a.json\n", STRICT + "trace_file: b.json\n", {"trace_file": "none.json"}),
    (STRICT + "timeout: 60\n", STRICT + "timeout: 61\n", {"timeout": "soon"}),
    (STRICT + "trace_file: large-1.json\n", STRICT + "trace_file: large-2.json\n", {"token": ""}),
]


def with_policy(scene: Scene, text: str) -> None:
    """Commit a policy to the base branch, and open a new pull request on top of it."""
    scene.repository.commit("main", {PATH: text})
    scene.pull = scene.repository.pull("mona", head=f"feature-{len(scene.repository.pulls)}")


@pytest.mark.parametrize(
    ("workflow", "shown"),
    [
        ("acme/shop/.github/workflows/the gate.yml@refs/heads/a@b", ".github/workflows/the gate.yml: "),
        *((f"acme/shop/{path}@main", "") for path in (".github/workflows/a/b.yml", ".github/x.yml", "::x.yml")),
        ("", ""),
    ],
)
def test_problems_of_the_file_and_inputs_are_reported_at_once(workflow: str, shown: str, scene: Scene) -> None:
    with_policy(scene, "campaign: core\nenforcment: hard\nthresholds:\n  max_unsafe: -1\n")
    inputs, env = {"timeout": "ten minutes", "pol_interval": "5"}, {"GITHUB_WORKFLOW_REF": workflow}
    result = scene.on("pull_request", scene.event(), inputs, env=env)
    assert result.exit_code == 2
    places = [(each.file, each.line) for each in result.annotations if each.level == "error"]
    assert places == [(PATH, 2), (PATH, 4), (None, None), (None, None)]
    assert result.messages("error") == [
        "on `main`: there is no key `enforcment`; did you mean `enforcement`?",
        'on `main`, `thresholds`, `max_unsafe`: must be a whole number from 0 to 999,999,999, not "-1"',
        f'{shown}input `timeout`: must be {options.TIMEOUT.accepts}, not "ten minutes"',
        f"{shown}there is no input `pol_interval`",
    ]


@pytest.mark.parametrize(("head", "line", "says"), AFTER_MERGE, ids=range(len(AFTER_MERGE)))
def test_a_policy_that_blocks_after_its_merge_blocks_before_it(head: str, line: int, says: str, scene: Scene) -> None:
    (scene.workspace / "traces").mkdir()
    (scene.workspace / "traces" / "a.json").write_text(json.dumps(TRACE))
    (scene.workspace / "traces" / "c.json").write_text("no trace")
    with_policy(scene, LOOSE + "  max_failures: 9\n")
    scene.pull.push({PATH: head})
    result = scene.run(campaign="", max_failures="many")
    assert (result.exit_code, result.outputs["decision"], result.outputs["conclusion"]) == (2, "error", "failure")
    assert (scene.states(), scene.ours, scene.sepurux.requests) == ({}, [], ())
    found = [(each.line, each.message[: len(says)]) for each in result.annotations if each.level == "error"]
    assert (line or None, says) in found


@pytest.mark.parametrize(("base", "head", "inputs"), NO_ALARM, ids=range(len(NO_ALARM)))
def test_a_sound_policy_blocks_nothing(base: str, head: str, inputs: dict[str, str], scene: Scene) -> None:
    """The last two trace files have more than 64 MiB together, but each policy names only one of them."""
    large = json.dumps({**TRACE, "padding": "x" * 33 * 2**20}) if "large" in base else ""
    for name in ("large-1", "large-2") if large else ("a", "b"):
        (scene.workspace / f"{name}.json").write_text(large or json.dumps(TRACE))
    with_policy(scene, base)
    scene.pull.push({PATH: head})
    scene.answers(**PASSED)
    result = scene.run(**inputs)
    expected = (2, "error") if "token" in inputs else (0, "pass")
    assert (result.exit_code, result.outputs["decision"]) == expected, result.log


def test_a_bad_setting_of_both_policies_is_reported_once(scene: Scene) -> None:
    with_policy(scene, STRICT)
    scene.pull.push({PATH: STRICT + "trace_file: none.json\n"})
    result = scene.run(pol_interval="5")
    shown = [(each.file, each.message.partition(":")[0]) for each in result.annotations if each.level == "error"]
    assert shown == [(PATH, "`trace_file`"), (None, "there is no input `pol_interval`")]


def test_the_log_says_which_policy_file_applies_or_where_it_would_be(scene: Scene) -> None:
    scene.answers(**PASSED)
    base = f"commit {scene.repository.branches['main'].sha[:7]} of main"
    assert f"no policy file: {base} has no {PATH}\n" in scene.run().log
    (scene.workspace / ".github").mkdir()
    (scene.workspace / PATH).write_text(STRICT)
    assert f"policy file: {PATH} in the workspace\n" in scene.run(github_token="").log
    scene.pull.push({PATH: STRICT})
    assert f"policy file: {PATH} in this pull request\n" in scene.run(campaign="").log
    with_policy(scene, STRICT)
    base = f"commit {scene.repository.commit('main', {PATH: STRICT})[:7]} of main"  # after the pull request began
    assert f"policy file: {PATH} in {base}\n" in scene.run().log


def test_a_soft_gate_asks_the_listed_reviewers_who_can_approve_it(scene: Scene) -> None:
    with_policy(scene, SOFT + "reviewers: [hubot, reader]\n")
    scene.repository.collaborator("hubot", "write")
    scene.repository.collaborator("reader", "read")
    scene.answers()
    gate = scene.run().gate
    assert "; needs an approval; " in scene.status[2]
    assert [account.login for account in scene.pull.requested] == gate["approval"]["can_approve"] == ["hubot"]
    scene.pull.requested.clear()
    assert scene.on("pull_request_review", scene.event()).outputs["decision"] == "fail"
    assert scene.pull.requested == []


def test_a_missing_secret_is_no_bad_setting(scene: Scene) -> None:
    alone = scene.run(token="", enforcement="observe")
    assert (alone.exit_code, alone.outputs["decision"], alone.outputs["conclusion"]) == (0, "error", "success")
    assert "add that secret under `Settings > Secrets and variables > Actions`" in alone.gate["hint"]
    of_dependabot = {**scene.environment(), "GITHUB_ACTOR": "dependabot[bot]"}
    result = run_action(**{**scene.options(token=""), "env": of_dependabot})
    assert "`Settings > Secrets and variables > Dependabot`" in result.gate["hint"]


def test_reviews_that_cannot_be_read_are_read_once_for_all_gates(scene: Scene) -> None:
    with_policy(scene, f"{SOFT}gates: [{{name: one}}, {{name: two}}, {{name: three}}]\n")
    scene.github.fault("pulls/list-reviews", faults.refused(403, "Resource not accessible by integration"), always=True)
    scene.answers()
    assert [gate["approval"]["unread"] for gate in scene.run().gates] == [True] * 3
    assert set(scene.states().values()) == {"pending"}
    assert len(scene.github.calls("pulls/list-reviews")) == 1


def test_a_github_without_a_usable_address_is_no_reason_to_take_the_checkouts_policy(scene: Scene) -> None:
    (scene.workspace / ".github").mkdir()
    (scene.workspace / PATH).write_text(LOOSE)
    options = scene.options()
    result = run_action(**{**options, "env": {**scene.environment(), "GITHUB_API_URL": "http://github.example"}})
    assert (result.exit_code, result.outputs["decision"]) == (2, "error")
    assert "GITHUB_API_URL" in result.messages("error")[0]
