"""The first reads of a step, also if GitHub does not return one of them, and the statuses that follow from them."""

from collections import Counter
from functools import partial

import pytest

from sepurux_action.config.options import OnOutage, Stage, input_layer
from sepurux_action.config.settings import POLICY_PATH, read_settings
from sepurux_action.errors import ConfigurationError
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.results import Results, median, parse_description
from sepurux_action.evaluation.runs import Decision, Rule
from sepurux_action.github.client import FIRST_READ_S
from sepurux_action.github.queries import read_pull_request
from sepurux_action.github.subject import resolve_policy, with_base
from tests import backend
from tests.builders import APPROVED, IMPOSSIBLE, a_gate, a_result, undecided
from tests.github.scene import Scene, answering
from tests.github_double import faults
from tests.scenes import DECIDED

NO_DECISION = undecided(Decision.PENDING, "No decision after 10 min.")
GONE = undecided(Decision.ERROR, "Gone.", rule=Rule.OUTAGE)
ALLOW, SOFT, OBSERVE = a_gate(on_outage=OnOutage.ALLOW), a_gate(stage=Stage.SOFT), a_gate(stage=Stage.OBSERVE)
of_soft = partial(a_result, gate=SOFT)
NUMBERS = "72.0% passed, 1 unsafe, 5 failures, score 61.5"
NO_REPOSITORY = {"type": "NOT_FOUND", "path": ["repository"], "message": "Could not resolve to a Repository"}
HIDDEN = backend.json({"data": {"repository": None}, "errors": [NO_REPOSITORY]})
DROP = a_gate(name="core", limits={"max_pass_rate_drop": 0.03})


@pytest.mark.parametrize(
    ("result", "state", "description"),
    [
        (a_result(), "failure", f"fail (hard): {NUMBERS}; 1 scenario"),
        (a_result(gate=OBSERVE), "success", f"fail (observe): {NUMBERS}; does not block; 1 sce"),
        (a_result(NO_DECISION), "failure", "pending (hard): -; No decision after 10 min"),
        (a_result(GONE, gate=ALLOW), "success", "error (hard): -; does not block: Gone"),
        (a_result(undecided(Decision.ERROR, "No `token`.")), "failure", "error (hard): -; No `token`"),
        (a_result(undecided(Decision.SKIPPED, "")), "success", "skipped (hard): -; no changed file matches its paths"),
        (of_soft(approval=IMPOSSIBLE), "pending", f"fail (soft): {NUMBERS}; needs an approval; 1 scenario"),
        (of_soft(approval=APPROVED), "success", f"fail (soft): {NUMBERS}; approved by mona; 1 scenario"),
    ],
)
def test_a_status_ends_with_what_is_next(result: GateDecision, state: str, description: str, scene: Scene) -> None:
    scene.load()
    scene.publish_results([result])
    [status] = scene.repository.latest_statuses(scene.pull.head_sha)
    assert (status.state, (status.description or "")[: len(description)]) == (state, description)
    assert parse_description(status.description) is not None


def test_an_approval_of_a_newer_head_approves_no_older_commit(scene: Scene) -> None:
    scene.repository.collaborator("ada", "write")
    scene.load()
    scene.pull.push()
    scene.pull.review("ada", "APPROVED")
    assert not scene.approval().approved_by


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (backend.reset(), "the connection to GitHub failed. Re-run the job later."),
        (faults.broken(502), "HTTP 502 Server Error. Re-run the job later."),
        (faults.refused(403, "Resource not accessible by integration"), "Give the job `contents: read` un"),
        (HIDDEN, "Could not resolve to a Repository. Give the job `contents: read` under `permissions:` if"),
    ],
)
def test_a_policy_that_cannot_be_read_says_why(answer: backend.Answer, message: str, scene: Scene) -> None:
    scene.github.fault("graphql*", answer, always=True)
    subject = scene.load()
    with pytest.raises(ConfigurationError) as bad:
        resolve_policy(read_settings([input_layer({"campaign": "core"})]), subject, None)
    unread = str(bad.value)
    assert unread.startswith("`.github/sepurux-gate.yml`: the policy could not be read: ")
    assert message in unread
    assert scene.output.annotations == []


def test_only_the_default_branch_has_a_context_without_its_name(scene: Scene) -> None:
    assert scene.load().context_of("core") == "Sepurux / core"
    scene.repository.default_branch = "trunk"
    assert scene.load().context_of("core") == "Sepurux / core (main)"
    scene.repository.default_branch = "Trunk"
    scene.repository.commit("Trunk")
    assert scene.load(base_ref="Trunk").context_of("core") == "Sepurux / core"
    tagged = scene.load(pull_request=None, base_ref="", head_branch="Trunk", tag="Trunk")
    assert tagged.context_of("core") == "Sepurux / core (tag: %54runk)"


def test_a_bot_may_be_an_agent_unless_a_configuration_starts_it() -> None:
    bots = {"copilot-swe-agent": True, "another-agent": True, "renovate": False, "dependabot": False}
    comments = {"nodes": [], "pageInfo": {"hasNextPage": False}}
    for name, of_bot in bots.items():
        for login, kind, by_agent in ((f"{name}[bot]", "Bot", of_bot), (name, "Bot", of_bot), (name, "User", False)):
            pull = {"headRefOid": "a" * 40, "author": {"login": login, "__typename": kind}, "comments": comments}
            found = read_pull_request(7, answering({"pullRequest": pull}))
            assert (found.author, found.by_agent) == (login, by_agent)


def test_who_asked_a_bot_for_the_pull_request_is_read_once_also_in_a_merge_group(scene: Scene) -> None:
    user = scene.github.world.user
    scene.pull.author, scene.pull.assignees = user("copilot-swe-agent[bot]"), [user("ann")]
    scene.load(name="merge_group", commit="c" * 40)
    scene.repository.collaborator("ann", "write")
    assert [scene.approval("ann").can_approve for _ in range(2)] == [(), ()]
    assert scene.approval() == ApprovalStatus(commit=scene.pull.head_sha, anyone=True)
    assert scene.operations.count("graphql requesters") == 1


@pytest.fixture
def large(scene: Scene) -> Scene:
    base = scene.repository.commit("main", {POLICY_PATH: "campaign: core"})
    for _ in range(60):
        base = scene.repository.commit("main")
        scene.repository.status(base, "success", "Sepurux / core", DECIDED)
    return scene


def on_base(scene: Scene) -> Results | None:
    subject = scene.load()
    return with_base(scene.calls, subject, [DROP]).baseline(DROP)


def queries(scene: Scene) -> dict[str, int]:
    return dict(Counter(operation.removeprefix("graphql ") for operation in scene.operations))


def test_one_query_reads_what_decides_and_another_one_the_base_if_a_drop_is_set(large: Scene) -> None:
    subject = large.load()
    assert subject.policy == "campaign: core"
    assert with_base(large.calls, subject, [a_gate()]).baseline(DROP) is None
    assert queries(large) == {"commit": 1}
    found = with_base(large.calls, subject, [a_gate(), DROP]).baseline(DROP)
    assert found
    assert median(found, PASS_RATE) == 0.91
    assert (queries(large), large.warnings) == ({"commit": 1, "base": 1}, [])


@pytest.mark.parametrize(
    ("query", "fault"), [("commit", faults.lost), ("base", faults.secondary_limit(retry_after_s=3))]
)
def test_a_query_that_decides_is_sent_again_for_up_to_60_s(query: str, fault: faults.Step, large: Scene) -> None:
    large.github.fault(f"graphql {query}", *[fault] * 5)
    assert on_base(large)
    assert queries(large) == {"commit": 1, "base": 1, query: 6}
    assert large.warnings == []


def test_a_rate_limit_of_0_s_is_no_reason_to_send_a_query_without_a_pause(large: Scene) -> None:
    large.github.fault("graphql base", faults.secondary_limit(retry_after_s=0), always=True)
    assert on_base(large) is None
    assert queries(large)["base"] == len([0, 0, 1, 3, *range(8, int(FIRST_READ_S), 5)])
