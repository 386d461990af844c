"""The first reads of a session, also if GitHub does not return one of them, and the statuses that follow from them."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from math import inf
from threading import Barrier

import pytest

from sepurux_action.config.gate import Gate
from sepurux_action.config.layers import input_layer
from sepurux_action.config.policy import POLICY_PATH
from sepurux_action.config.settings import read_inputs
from sepurux_action.config.stage import OnOutage, Stage
from sepurux_action.errors import ConfigurationError
from sepurux_action.evaluation.decision import Decision, Rule
from sepurux_action.evaluation.enforcement import ApprovalStatus, Reason, Refusal
from sepurux_action.evaluation.metrics import PASS_RATE
from sepurux_action.evaluation.published_result import parse_description
from sepurux_action.evaluation.result import GateResult
from sepurux_action.github.bounded_calls import BASE_QUERY_S
from sepurux_action.github.event import parse_author
from sepurux_action.github.policy_source import resolve_policy
from sepurux_action.github.subject import Subject
from sepurux_action.host.deadlines import Timeouts
from tests import backend
from tests.builders import APPROVED, IMPOSSIBLE, UNREAD, WAITS, a_gate, a_result, undecided
from tests.github.scene import Scene
from tests.github_double import faults
from tests.scenes import DECIDED

NO_DECISION = undecided(Decision.PENDING, "No decision after 10 min.")
GONE = undecided(Decision.ERROR, "Gone.", rule=Rule.OUTAGE)
ALLOW, SOFT, OBSERVE = a_gate(on_outage=OnOutage.ALLOW), a_gate(stage=Stage.SOFT), a_gate(stage=Stage.OBSERVE)
of_soft = partial(a_result, gate=SOFT)
NUMBERS = "72.0% passed, 1 unsafe, 5 failures, score 61.5"


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
        (of_soft(approval=WAITS), "pending", f"fail (soft): {NUMBERS}; needs an approval; 1 scenario"),
        (of_soft(approval=UNREAD), "pending", f"fail (soft): {NUMBERS}; needs an approval; 1 scenario"),
        (of_soft(approval=APPROVED), "success", f"fail (soft): {NUMBERS}; approved by mona; 1 scenario"),
    ],
)
def test_a_status_says_after_its_numbers_what_next(
    result: GateResult, state: str, description: str, scene: Scene
) -> None:
    scene.load().publisher.publish_results([result])
    [status] = scene.repository.latest_statuses(scene.pull.head_sha)
    assert (status.state, (status.description or "")[: len(description)]) == (state, description)
    assert parse_description(status.description) is not None


def test_in_a_merge_group_a_gate_without_an_approval_fails(scene: Scene) -> None:
    scene.load(name="merge_group").publisher.publish_results([of_soft(approval=WAITS)])
    assert set(scene.states().values()) == {"failure"}


def hidden(scene: Scene) -> None:
    """Let the token see no repository, as GitHub answers for a private one."""
    error = {"type": "NOT_FOUND", "path": ["repository"], "message": "Could not resolve to a Repository"}
    scene.github.fault("graphql*", backend.json({"data": {"repository": None}, "errors": [error]}), always=True)


def failing(answer: backend.Answer) -> Callable[[Scene], None]:
    return lambda scene: scene.github.fault("graphql*", answer, always=True)


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (failing(backend.reset()), "the connection to GitHub failed. Re-run the job."),
        (failing(faults.broken(502)), "HTTP 502 Server Error. Re-run the job."),
        (failing(faults.refused(403, "Resource not accessible by integration")), "Give the job `contents: read` un"),
        (hidden, "Could not resolve to a Repository. The token cannot see it, or it is gone: give the job `contents"),
    ],
)
def test_a_policy_that_cannot_be_read_says_why(arrange: Callable[[Scene], None], message: str, scene: Scene) -> None:
    arrange(scene)
    session = scene.load()
    early = read_inputs([input_layer({"campaign": "core", "timeout": "soon"})])
    with pytest.raises(ConfigurationError) as bad:
        resolve_policy(early, session.subject.event, session.subject.commit, lambda _: None)
    unread, other = map(str, bad.value.problems)
    assert unread.startswith("`.github/sepurux-gate.yml`: the policy could not be read: ")
    assert message in unread
    assert other.startswith("input `timeout`: ")
    assert scene.output.annotations == []


def test_only_the_default_branch_has_a_context_without_its_name(scene: Scene) -> None:
    assert scene.load().subject.context_of("core") == "Sepurux / core"
    scene.repository.default_branch = "trunk"
    assert scene.load().subject.context_of("core") == "Sepurux / core (main)"
    scene.repository.default_branch = "Trunk"
    assert scene.load(base_ref="Trunk").subject.context_of("core") == "Sepurux / core"
    tagged = scene.load(pull_request=None, base_ref="", head_branch="Trunk", tag="Trunk")
    assert tagged.subject.context_of("core") == "Sepurux / core (tag: %54runk)"


def test_a_bot_may_be_an_agent_unless_a_configuration_starts_it() -> None:
    bots = {"copilot-swe-agent": True, "another-agent": True, "renovate": False, "dependabot": False}
    for name, by_agent in bots.items():
        assert parse_author({"login": f"{name}[bot]", "type": "Bot"}) == (f"{name}[bot]", by_agent)
        assert parse_author({"login": name, "__typename": "Bot"}) == (name, by_agent)
        assert parse_author({"login": name, "type": "User"}) == (name, False)


def test_who_asked_a_bot_for_the_pull_request_is_read_once_also_in_a_merge_group(scene: Scene) -> None:
    user = scene.github.world.user
    scene.pull.author, scene.pull.assignees = user("copilot-swe-agent[bot]"), [user("ann")]
    reviews = scene.load(name="merge_group", commit="c" * 40).reviews
    wanted = ApprovalStatus(commit=scene.pull.head_sha, anyone=True, cannot_approve=(Refusal("ann", Reason.ASSIGNEE),))
    assert [reviews.approval(()), reviews.approval(())] == [wanted, wanted]
    assert scene.operations.count("graphql requesters") == 1


POLICY = POLICY_PATH
DROP = a_gate(name="core", limits={"max_pass_rate_drop": 0.03})
FEW = 150  # nodes; the base branch has some 210, and the pull request some 105
TIMED_OUT = "Something went wrong while executing your query. This may be the result of a timeout, or a GitHub bug."
TOO_LARGE = "Could not read the base branch"


@pytest.fixture
def large(scene: Scene) -> Scene:
    """Return a scene whose base branch and pull request have many statuses and comments."""
    base = scene.repository.commit("main", {POLICY: "campaign: core"})
    for _ in range(60):
        base = scene.repository.commit("main")
        scene.repository.status(base, "success", "Sepurux / core", DECIDED)
    scene.comments(1)
    scene.repository.status(scene.event.commit, "failure", "Sepurux / old")
    return scene


def load(scene: Scene) -> Subject:
    """Make the first reads, of which all but the base branch succeed."""
    subject = scene.load().subject
    assert subject.snapshot.pull_request.head_sha
    assert subject.commit.policy.text == "campaign: core"
    assert [each.context for each in subject.commit.statuses or ()] == ["Sepurux / old"]
    return subject


def queries(scene: Scene) -> dict[str, int]:
    """Return how often each query was sent."""
    return dict(Counter(operation.removeprefix("graphql ") for operation in scene.operations))


def warnings(scene: Scene) -> list[str]:
    return [text.partition(" (")[0] for text in scene.warnings]


def test_each_part_is_read_by_one_query_and_all_are_under_way_at_once(large: Scene) -> None:
    under_way = Barrier(3)
    for query in ("commit", "pull", "base"):
        large.github.before(f"graphql {query}", partial(under_way.wait, 5))
    large.timeouts = Timeouts()
    assert load(large).baseline(DROP)
    assert queries(large) == {"commit": 1, "pull": 1, "base": 1}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        *map(faults.broken, (502, 503, 504)),
        backend.json({"data": None, "errors": [{"message": TIMED_OUT}]}),
        backend.json({"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "no"}]}),
        backend.json({"message": "Request timed out"}, 500),
    ],
)
def test_a_base_branch_that_is_too_large_costs_only_the_comparison(answer: backend.Answer | None, large: Scene) -> None:
    large.github.max_nodes, large.github.too_large = FEW, answer
    start = large.clock.time
    load(large)
    assert large.session.with_base([a_gate()]).subject.baseline(DROP) is None
    assert (queries(large), large.clock.time) == ({"commit": 1, "pull": 1, "base": 1}, start)
    assert warnings(large) == [TOO_LARGE]


@pytest.mark.parametrize(("seconds", "known"), [(7.9, True), (8.1, False)])
def test_no_one_waits_for_the_base_branch_for_more_than_8_s(seconds: float, large: Scene, *, known: bool) -> None:
    start = large.clock.time
    large.github.before("graphql base", lambda: setattr(large.clock, "time", large.clock.time + seconds))
    assert bool(load(large).baseline(DROP)) is known
    assert (queries(large)["base"], large.clock.time) == (1, start + min(seconds, BASE_QUERY_S))


@pytest.mark.parametrize("fault", [faults.lost, faults.broken(500), faults.secondary_limit(retry_after_s=3)])
@pytest.mark.parametrize("query", ["commit", "pull", "base"])
def test_only_the_part_that_failed_is_read_again(query: str, fault: faults.Step, large: Scene) -> None:
    large.github.fault(f"graphql {query}", fault)
    assert load(large).baseline(DROP)
    assert queries(large) == {"commit": 1, "pull": 1, "base": 1, query: 2}


def test_no_one_waits_for_the_base_branch_alone_but_an_outage_of_all_is_survived(large: Scene) -> None:
    start, broken = large.clock.time, faults.broken(500)
    large.github.fault("graphql base", broken, always=True)
    assert load(large).baseline(DROP) is None
    assert (queries(large), large.clock.time) == ({"commit": 1, "pull": 1, "base": 4}, start + 3)


@pytest.mark.parametrize(
    ("limit", "gate", "later_s", "expected"),
    [(inf, DROP, 0, (1, 0.91)), (FEW, DROP, 0, (2, None)), (FEW, a_gate(), 0, (1, None)), (FEW, DROP, 60, (1, None))],
)
def test_if_a_drop_is_set_the_base_branch_is_read_once_more_within_60_s(
    limit: float, gate: Gate, later_s: int, expected: tuple[int, float | None], large: Scene
) -> None:
    large.github.max_nodes = limit
    load(large)
    large.clock.time += later_s
    found = large.session.with_base([a_gate(), gate]).subject.baseline(DROP)
    assert (queries(large)["base"], found and found.median(PASS_RATE)) == expected
    assert warnings(large) == ([] if found else [TOO_LARGE])


@pytest.mark.parametrize(("fault", "requests"), [(faults.broken(502), 2), (faults.refused(403, "no"), 1)])
def test_a_base_branch_is_read_again_if_the_token_may(fault: backend.Answer, requests: int, large: Scene) -> None:
    large.github.fault("graphql base", fault)
    assert load(large).baseline(DROP) is None
    assert bool(large.session.with_base([DROP]).subject.baseline(DROP)) is (requests == 2)
    assert (queries(large)["base"], len(large.warnings)) == (requests, 2 - requests)
