"""What is sent to GitHub, and what a rejection ends."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from sepurux_action.config.parsers import parse_paths
from sepurux_action.config.policy import MAX_GATES_IN_STEP
from sepurux_action.config.settings import MISNAMED_PATH, POLICY_PATH, Gate, Settings
from sepurux_action.errors import Interrupted, Problem
from sepurux_action.evaluation.decision import ApprovalStatus, GateDecision
from sepurux_action.github.client import FIRST_READ_S, PAGE, READS_S
from sepurux_action.github.pull_request import marker_of, read_again
from sepurux_action.github.queries import Subject, misnamed
from sepurux_action.github.statuses import STATUSES_S, publish_pending
from sepurux_action.github.subject import changes_policy, is_skipped
from tests import backend
from tests.builders import PASSING, a_gate, a_result, a_run
from tests.fakes import FakeClock
from tests.github.scene import FILES, FORBIDDEN, OUTAGE, PULL, SET, SETTINGS, Scene, rejecting
from tests.github_double import BOT, faults
from tests.github_double.state import Refusal

READS, CREATE = "graphql *", "issues/create-comment"
LIMITED = Refusal(403, "You have exceeded a secondary rate limit")
UNPROCESSABLE, NOT_FOUND = Refusal(422, "Validation Failed"), Refusal(404, "Not Found")
BAD_TOKEN = Refusal(401, "Bad credentials")
POLICY, RENAMED = "campaign: a", [{"filename": "new.yml", "previous_filename": POLICY_PATH}]
ADDED, SAME = Subject(head_policy=POLICY), Subject(policy=POLICY, head_policy=POLICY)
UNREAD, YAML = Subject(policy=Problem("", "no"), head_policy=POLICY), Subject(head_policy=misnamed(MISNAMED_PATH))
BOTH = replace(ADDED, policy=misnamed(MISNAMED_PATH))
EDIT = "issues/update-comment"
MARKER = "<!-- sepurux-gate:gates -->"
TEXT, BEFORE = f"{MARKER}\nnew", f"{MARKER}\nold"


def results(*names: str, passing: bool = False) -> list[GateDecision]:
    run = a_run(PASSING) if passing else a_run()
    return [a_result(run, gate=a_gate(name=name)) for name in names]


def numbered(count: int, prefix: str = "g") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("rejection", "target", "sent"),
    [
        *((each, "Sepurux / one", 4) for each in (UNPROCESSABLE, NOT_FOUND)),
        *((FORBIDDEN, "", 1), (BAD_TOKEN, "", 2), (LIMITED, "", 2)),
    ],
)
def test_which_rejection_ends_such_calls(rejection: Refusal, target: str, sent: int, scene: Scene) -> None:
    scene.reject = rejecting(rejection, SET, target)
    subject = scene.load()
    publish_pending(scene.calls, subject, ["one", "two"])
    scene.publish_results(results("one", "two"))
    assert scene.states() == ({"Sepurux / two": "failure"} if target else {})
    assert len(scene.contexts) == sent  # before and after the evaluation
    [warning] = scene.warnings
    said = f"Sepurux / one: HTTP {rejection.status} {rejection.message}"
    assert warning.startswith(f"Could not set the commit status ({said}). ")


def test_an_outage_of_50_seconds_does_not_fail_the_first_read(scene: Scene) -> None:
    end, outage = scene.clock.time + 50, rejecting(OUTAGE, "pulls/list")
    scene.takes_s, scene.reject = 1, lambda record: outage(record) if scene.clock.time < end else None
    subject = scene.load(name="workflow_run", head="octo/shop:feature")
    assert (subject.event.problem, subject.policy) == ("", None)
    assert scene.warnings == []
    assert any("HTTP 502 Server Error" in line for line in scene.output.lines)


class EndedClock(FakeClock):
    """A clock that a signal has interrupted."""

    def pause(self, seconds: float) -> None:
        if seconds:
            raise Interrupted(seconds)


def test_a_signal_ends_the_pause_between_two_attempts(scene: Scene) -> None:
    scene.timeouts, scene.reject = EndedClock(), rejecting(OUTAGE, READS)
    assert "before the run was canceled" in str(scene.load().policy)
    assert scene.output.annotations == []
    assert scene.operations == ["graphql commit"] * 2


@pytest.mark.parametrize(
    ("rejection", "seconds"), [(OUTAGE, FIRST_READ_S), *((each, 1) for each in (FORBIDDEN, LIMITED, BAD_TOKEN))]
)
def test_only_an_outage_is_waited_for_and_for_a_minute(rejection: Refusal, seconds: float, scene: Scene) -> None:
    scene.takes_s, scene.reject, start = 1, rejecting(rejection, READS), scene.clock.time
    assert f"HTTP {rejection.status} {rejection.message}" in str(scene.load().policy)
    assert seconds - 10 < scene.clock.time - start <= seconds
    assert scene.warnings == []


def test_a_github_that_hangs_ends_each_part_at_its_deadline(scene: Scene) -> None:
    scene.takes_s, start = 1_000, scene.clock.time
    assert "GitHub did not respond" in str(scene.load().policy)
    assert scene.clock.time - start == FIRST_READ_S
    scene.publish_results(results("one"))
    assert scene.clock.time - start == FIRST_READ_S + STATUSES_S
    assert read_again(scene.calls, scene.subject.event, SETTINGS) is None
    assert scene.clock.time - start == FIRST_READ_S + STATUSES_S + READS_S
    said = [warning.partition(" (")[0] for warning in scene.warnings]
    assert said == ["Could not set the commit status", "Could not read the pull request"]


def publish(scene: Scene, decided: Sequence[GateDecision], text: str = "Report") -> str:
    pull = read_again(scene.calls, scene.subject.event, SETTINGS)
    scene.publish_results(decided)
    return scene.publish_comment(pull, text)


def test_reviews_have_time_of_their_own_and_are_unread_without_the_pull_request(scene: Scene) -> None:
    scene.load()
    scene.clock.time += 24 * 3600
    assert not scene.approval().unread
    scene.reject = rejecting(FORBIDDEN, PULL)
    scene.load()
    assert scene.approval("ann") == ApprovalStatus(commit="", unread=True)


def changed_files(scene: Scene, files: object, **event: Any) -> Subject:  # noqa: ANN401 - any fields
    answer = faults.refused(403, "no") if files is None else backend.json({"files": files})
    scene.github.fault(FILES, answer, always=True)
    return scene.load(**event)


@pytest.mark.parametrize(
    ("read", "files", "changes"),
    [
        *((ADDED, RENAMED, True), (ADDED, [], False), (ADDED, None, True)),
        *((ADDED, [{"filename": f"{number}.txt"} for number in range(300)], True), (SAME, RENAMED, False)),
        *((UNREAD, RENAMED, False), (BOTH, RENAMED, True)),
        *((YAML, [{"filename": name}], True) for name in (MISNAMED_PATH, POLICY_PATH)),
        *((YAML, [{"filename": "other.yaml"}], False), (YAML, [{"filename": "other.yaml"}, {}], True)),
    ],
)
def test_the_comparison_says_if_a_policy_changes(read: Subject, files: object, scene: Scene, *, changes: bool) -> None:
    subject = replace(changed_files(scene, files), policy=read.policy, head_policy=read.head_policy)
    assert changes_policy(scene.calls, subject) is changes


@pytest.mark.parametrize(
    ("event", "files", "skips"),
    [
        *(({}, [{"filename": "a.md"}], True), ({}, [{"filename": "docs/a.md"}], False)),
        ({}, [{"filename": "\u200b"}], True),  # a name that shows nothing
        ({}, [{"filename": "a.md"}, {"filename": "docs/private/a.md"}], True),
        ({}, [{"filename": "a.md", "previous_filename": "docs/a.md"}], False),
        ({}, [{"filename": "docs/a.md", "previous_filename": "a.md"}], False),
        *(({}, [{"filename": f"{number}.txt"} for number in range(count)], count < 300) for count in (299, 300)),
        *(({}, None, False), ({"name": "merge_group"}, [], False), ({"pull_request": None}, [], False)),
        ({"by_review": True}, [], False),
    ],
)
def test_only_pull_requests_skip_a_gate(event: dict[str, Any], files: object, scene: Scene, *, skips: bool) -> None:
    subject = changed_files(scene, files, **event)
    paths = parse_paths("docs/**\n!docs/private/**")
    assert [is_skipped(scene.calls, subject, paths) for _ in range(2)] == [skips] * 2
    assert scene.operations.count(FILES) == (1 if event == {} else 0)


def test_what_the_base_changed_since_the_head_left_it_is_no_change(scene: Scene) -> None:
    scene.repository.commit("main", {"later.txt": "on main"})
    subject = scene.load()
    assert not is_skipped(scene.calls, subject, parse_paths("change.txt"))
    assert is_skipped(scene.calls, subject, parse_paths("later.txt"))


def test_where_comments_are_not_known_none_is_written(scene: Scene) -> None:
    for number in range(PAGE * 3 - 1):
        scene.pull.comment("mona", f"comment {number}")
    scene.reject = rejecting(OUTAGE, PULL, "cursor:")
    scene.load()
    assert publish(scene, results("one")) == ""
    assert CREATE not in scene.operations
    assert [text.partition(" (")[0] for text in scene.warnings] == ["Could not read the pull request"]
    scene.reject = lambda _: None
    scene.load()
    assert publish(scene, results("one"))


def test_a_comment_needs_the_evaluated_commit_as_head(scene: Scene) -> None:
    decided, head = results("one", passing=True), scene.pull.head_sha
    scene.load()
    scene.pull.push()
    assert publish(scene, decided) == ""
    assert [each.state for each in scene.repository.latest_statuses(head)] == ["success"]
    assert len([line for line in scene.output.lines if line.startswith("no comment: the pull request")]) == 1


def test_what_blocks_is_sent_first_and_the_first_that_was_not_sent_is_named(scene: Scene) -> None:
    scene.load()
    scene.takes_s, start = 2.4, scene.clock.time
    passing = MAX_GATES_IN_STEP - 5
    decided = [*results(*numbered(passing), passing=True), *results(*numbered(5, "bad"))]
    publish(scene, decided)
    sent = scene.contexts
    assert [context.split()[2] for context in sent[:6]] == [*numbered(5, "bad"), "g0"]
    assert 20 < len(sent) < MAX_GATES_IN_STEP
    assert scene.operations.count(CREATE) == 1
    assert scene.clock.time - start <= 90
    [warning] = scene.warnings
    missing = MAX_GATES_IN_STEP - len(sent) + 1  # the last one was under way when the time was over
    assert warning.startswith(f"Could not set the commit status (Sepurux / g{passing - missing}: ")


def test_after_a_signal_each_status_is_tried_once(scene: Scene) -> None:
    scene.load()
    scene.takes_s, scene.reject = 0.05, rejecting(OUTAGE, SET, '"Sepurux / g0"')
    scene.publish_results(results("g0"))
    assert len(scene.contexts) == 4
    scene.calls.enter_shutdown(scene.clock)
    start = scene.clock.time
    scene.publish_results(results(*numbered(MAX_GATES_IN_STEP)))
    assert len(scene.states()) == MAX_GATES_IN_STEP - 1
    assert len(scene.contexts) == 4 + MAX_GATES_IN_STEP
    assert scene.clock.time - start < 3


def test_the_marker_of_the_comment_has_the_name_of_the_only_gate() -> None:
    for names, key in (("a b",), "a%20b"), (("a", "b"), "gates"):
        settings = Settings(gates=tuple(Gate(name=name, campaign="c") for name in names))
        assert marker_of(settings) == f"<!-- sepurux-gate:{key} -->"


def write(scene: Scene) -> str:
    scene.load()
    return publish(scene, [], "new")


def bodies(scene: Scene) -> list[str]:
    return [comment.body for comment in scene.pull.comments]


def sent(scene: Scene) -> list[str]:
    return [record.operation for record in scene.github.calls("issues/*")]


def test_the_comment_is_created_once_and_then_edited_if_it_changes(scene: Scene) -> None:
    address = write(scene)
    [created] = scene.pull.comments
    assert address.endswith(f"#issuecomment-{created.id}")
    assert write(scene) == address
    created.body = BEFORE
    assert write(scene) == address
    assert (bodies(scene), sent(scene)) == ([TEXT], [CREATE, EDIT])


@pytest.mark.parametrize("answer", [backend.reset(), faults.lost, faults.secondary_limit(), faults.refused(403, "no")])
def test_a_comment_is_created_once_and_then_found(answer: backend.Answer, scene: Scene) -> None:
    scene.github.fault(CREATE, answer)
    assert write(scene) == ""
    assert (len(scene.warnings), sent(scene)) == (1, [CREATE])
    assert write(scene)
    assert bodies(scene) == [TEXT]


def test_duplicates_are_deleted_only_if_the_comment_was_edited(scene: Scene) -> None:
    scene.pull.comment(BOT, BEFORE)
    scene.pull.comment(BOT, BEFORE)
    scene.github.fault(EDIT, *[faults.broken()] * 4)
    write(scene)
    assert bodies(scene) == [BEFORE] * 2
    write(scene)
    assert bodies(scene) == [TEXT]


def test_a_comment_that_was_deleted_meanwhile_is_a_warning(scene: Scene) -> None:
    scene.pull.comment(BOT, BEFORE)
    scene.reject = lambda record: scene.pull.comments.clear() if record.operation == EDIT else None
    write(scene)
    assert bodies(scene) == []
    assert [text.partition(" (")[0] for text in scene.warnings] == ["Could not write the comment"]
