"""What is sent to GitHub, in which order, and what a rejection ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest

from sepurux_action.common.secret import Redactor
from sepurux_action.config.gate import Gate
from sepurux_action.config.options import CommentMode
from sepurux_action.config.path_filter import ChangedFile, parse_paths
from sepurux_action.config.policy_parser import MAX_GATES_IN_STEP
from sepurux_action.config.settings import Inputs, Settings
from sepurux_action.config.stage import Stage
from sepurux_action.errors import ErrorDetails, Interrupted
from sepurux_action.evaluate import evaluate, read_record
from sepurux_action.evaluation.enforcement import ApprovalStatus
from sepurux_action.evaluation.result import GateResult
from sepurux_action.github.bounded_calls import READS_S, BoundedCalls
from sepurux_action.github.client import CommitState
from sepurux_action.github.commit import Commit, PolicyFile, PublishedStatus
from sepurux_action.github.event import Event, Lookup, PullRequest
from sepurux_action.github.publisher import STATUSES_S
from sepurux_action.github.session import GitHubSession
from sepurux_action.github.snapshot import MAX_PAGES, Comment, Snapshot
from sepurux_action.github.subject import FIRST_READ_S, Subject
from sepurux_action.host.deadlines import Signals
from sepurux_action.step import Connections, Step, from_command_line
from tests.builders import PASSING, a_gate, a_result, a_run
from tests.fakes import FakeClock, FakeGitHubClient, FakeOutput
from tests.scenes import DECIDED

HEAD = "b" * 40
PULL = PullRequest(number=7, head_sha=HEAD, author="mona", base_ref="main", open=True)
UNKNOWN = PullRequest()
EVENT = Event(name="pull_request", repository="octo/shop", commit=HEAD, pull_request=7, base_ref="main")
BODY = "{}\n{}".format
SETTINGS = Settings()
PAGE = Snapshot(pull_request=PULL)
COMMIT = Commit(statuses=(), account="github-actions[bot]")


def listed(*contexts: str) -> tuple[PublishedStatus, ...]:
    return tuple(PublishedStatus(context=context, description=DECIDED, own=True) for context in contexts)


OURS = Comment(id=5, body="<!-- sepurux-gate:gates -->\nReport")

OLD = f"<!-- sepurux-gate:gates -->\n### Result\n[`aaaaaaa`](https://github.com/x/y/commit/{'a' * 40})\n<!-- state -->"
KEYED = OLD.replace(":gates", ":other")
SAME = OLD.replace("a" * 40, HEAD)

UNPROCESSABLE = ErrorDetails(status=422, message="Validation Failed")
NOT_FOUND = ErrorDetails(status=404, message="Not Found")
FORBIDDEN = ErrorDetails(status=403, message="Resource not accessible by integration", forbidden=True)
LIMITED = ErrorDetails(status=403, message="You have exceeded a secondary rate limit", rate_limited=True)
OUTAGE = ErrorDetails(message="GitHub kept failing")


class Scene(NamedTuple):
    """A pull request of octo/shop, read and ready to be written to."""

    clock: FakeClock
    client: FakeGitHubClient
    output: FakeOutput
    session: GitHubSession

    @property
    def warnings(self) -> list[str]:
        return [text.removeprefix("Sepurux gate: ") for _, text in self.output.annotations]


def a_scene(event: Event = EVENT, settings: Settings = SETTINGS, **client: object) -> Scene:
    clock, output = FakeClock(), FakeOutput()
    fake = FakeGitHubClient(clock, **{"pages": (PAGE,), "shown": COMMIT, **client})  # type: ignore[arg-type]
    event = replace(event, run_url="https://github.com/run")
    session = a_session(BoundedCalls(fake, clock, output, event), event, settings)
    return Scene(clock, fake, output, session)


def a_session(calls: BoundedCalls, event: Event = EVENT, settings: Settings = SETTINGS) -> GitHubSession:
    return GitHubSession(calls, Subject(event=event, settings=settings, signing_key="signs")).load("")


def results(*names: str, passing: bool = False) -> list[GateResult]:
    run = a_run(PASSING) if passing else a_run()
    return [a_result(run, gate=a_gate(name=name)) for name in names]


def notice(commit: str, symbol: str, *, collapsed: bool) -> tuple[str, str]:
    return f"⏳ not {commit[:7]}", "older" if collapsed or symbol == "❌" else ""


def numbered(count: int, prefix: str = "g") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


READS = "commit snapshot base_branch"  # the first ones


def rejecting(rejection: ErrorDetails, names: str, *targets: str) -> Callable[[str, str, float], ErrorDetails | None]:
    """Reject the calls of these names whose target begins so; all of them where none is given."""
    starts = targets or ("",)
    return lambda called, target, _: rejection if called in names.split() and target.startswith(starts) else None


# -- rejections -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rejection", [UNPROCESSABLE, NOT_FOUND])
def test_a_rejected_status_does_not_prevent_the_others(rejection: ErrorDetails) -> None:
    scene = a_scene(reject=rejecting(rejection, "set_status", "Sepurux / one"))
    scene.session.publisher.publish_results(results("one", "two", "three"))
    assert {context: state for context, (state, _) in scene.client.newest.items()} == {
        "Sepurux / two": CommitState.FAILURE,
        "Sepurux / three": CommitState.FAILURE,
    }
    [warning] = scene.warnings
    said = f"HTTP {rejection.status} {rejection.message}"
    assert warning.startswith(f"Could not set the commit status (Sepurux / one: {said}). ")


def test_a_status_that_is_rejected_with_its_link_is_set_without_it() -> None:
    scene = a_scene(reject=lambda _name, target, _time: UNPROCESSABLE if "https:" in target else None)
    scene.session.publisher.publish_results(results("one", "two"))
    assert scene.client.newest == {
        "Sepurux / one": (CommitState.FAILURE, ""),
        "Sepurux / two": (CommitState.FAILURE, ""),
    }
    assert scene.warnings == [
        "GitHub refused the link of a commit status (HTTP 422 Validation Failed), so the status has no link."
    ]


@pytest.mark.parametrize("rejection", [FORBIDDEN, ErrorDetails(status=401), ErrorDetails(status=410)])
def test_a_rejection_of_the_token_ends_the_calls_of_its_kind_in_one_warning(rejection: ErrorDetails) -> None:
    scene = a_scene(reject=rejecting(rejection, "set_status"))
    scene.session.publisher.publish_pending(["one", "two"])
    scene.session.publisher.publish_results(results("one", "two"))
    assert len(scene.client.named("set_status")) == 1
    assert len(scene.warnings) == 1


def test_a_rate_limit_ends_the_calls_for_now_and_names_what_is_missing() -> None:
    scene = a_scene(reject=rejecting(LIMITED, "set_status"))
    scene.session.publisher.publish_pending(["one", "two", "three"])
    assert len(scene.client.named("set_status")) == 1
    scene.client.reject = lambda *_: None
    scene.session.publisher.publish_results(results("one", "two", "three"))
    assert len(scene.client.newest) == 3
    [warning] = scene.warnings
    assert (
        "(Sepurux / one, Sepurux / two, Sepurux / three: HTTP 403 You have exceeded a secondary rate limit)" in warning
    )


@pytest.mark.parametrize(
    ("rejection", "target", "requested"), [(UNPROCESSABLE, "ann", ["ann", "bob", "cat"]), (FORBIDDEN, "", ["ann"])]
)
def test_a_rejected_review_request_ends_the_others_only_if_the_token_may_make_none(
    rejection: ErrorDetails, target: str, requested: list[str]
) -> None:
    scene = a_scene(reject=rejecting(rejection, "request_review", target))
    scene.client.permissions = dict.fromkeys(("ann", "bob", "cat"), "write")
    assert scene.session.reviews.approval(("ann", "bob", "cat")).can_approve == ("ann", "bob", "cat")
    scene.session.publisher.publish_results([])
    scene.session.reviews.request_reviews()
    assert scene.client.named("request_review") == requested
    [warning] = scene.warnings
    named = "ann" if target else "ann, bob, cat"
    assert warning.startswith(f"Could not request a review ({named}: HTTP {rejection.status} {rejection.message}). ")


# -- reads ------------------------------------------------------------------------------------------------------------


def until(seconds: float, rejection: ErrorDetails, names: str) -> Callable[[str, str, float], ErrorDetails | None]:
    start = FakeClock().time
    return lambda name, _target, time: rejection if name in names.split() and time < start + seconds else None


PUSH = replace(EVENT, name="push", pull_request=None, lookup=Lookup(commit=HEAD))


@pytest.mark.parametrize(("event", "call"), [(EVENT, READS), (PUSH, "find_pull_requests")])
def test_an_outage_of_50_seconds_does_not_fail_the_first_read(event: Event, call: str) -> None:
    scene = a_scene(event, takes_s=1, reject=until(50, OUTAGE, call))
    assert (scene.session.subject.event.ambiguous, scene.session.subject.commit) == (False, COMMIT)
    assert scene.warnings == []
    assert any("GitHub kept failing" in line for line in scene.output.lines)


class EndedClock(FakeClock):
    """A clock that a signal has interrupted."""

    def pause(self, seconds: float) -> None:
        raise Interrupted(seconds)


def test_a_signal_ends_the_pause_between_two_attempts() -> None:
    client, output = FakeGitHubClient(FakeClock(), reject=rejecting(OUTAGE, READS)), FakeOutput()
    session = a_session(BoundedCalls(client, EndedClock(), output, EVENT))
    assert session.subject.commit.policy.error == "the run was canceled before GitHub responded"
    assert output.annotations == []
    assert client.named("snapshot") == [""]


def test_a_longer_outage_ends_the_first_read_after_a_minute() -> None:
    scene, start = a_scene(takes_s=1, reject=rejecting(OUTAGE, READS)), FakeClock().time
    assert scene.session.subject.commit.policy.details == OUTAGE
    assert FIRST_READ_S - 10 < scene.clock.time - start <= FIRST_READ_S
    assert scene.warnings == []


def test_all_statuses_during_the_evaluation_share_one_limit_if_github_hangs() -> None:
    scene = a_scene()
    scene.client.takes_s, start = 1_000, scene.clock.time
    for result in results("one", "two", "three"):
        scene.session.publisher.publish_fail(result, may_change=False)
    assert scene.clock.time - start == STATUSES_S
    scene.client.takes_s = 0
    scene.session.publisher.publish_results(results("one", "two", "three"))
    assert [state for state, _ in scene.client.newest.values()] == [CommitState.FAILURE] * 3


def test_a_github_that_hangs_ends_each_part_at_its_deadline() -> None:
    scene, start = a_scene(takes_s=1_000), FakeClock().time
    assert scene.session.subject.commit.policy.error.startswith("GitHub did not respond")
    assert scene.clock.time - start == FIRST_READ_S
    scene.session.publisher.publish_config_error(["one"])
    assert scene.clock.time - start == FIRST_READ_S + STATUSES_S
    assert [warning.partition(" (")[0] for warning in scene.warnings] == [
        "Could not set the commit status",
        "Could not read the statuses of the commit",
    ]


@pytest.mark.parametrize("rejection", [FORBIDDEN, LIMITED, ErrorDetails(status=401)])
def test_a_permanent_rejection_of_the_first_read_is_not_retried(rejection: ErrorDetails) -> None:
    scene = a_scene(reject=rejecting(rejection, READS))
    assert scene.session.subject.commit.policy.details == rejection
    assert len(scene.client.named("snapshot")) == 1


@pytest.fixture
def signals() -> Iterator[Signals]:
    """Return signals whose handlers are gone after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Signals()
    for number, handler in before.items():
        signal.signal(number, handler)


def run_gates(scene: Scene, signals: Signals, *gates: Gate) -> None:
    """Evaluate without a secret, so that nothing is asked of the backend."""
    step = Step(
        invocation=from_command_line({}, {}),
        host=scene.output,
        signals=signals,
        connections=Connections(),
        redact=Redactor(),
        github=scene.session,
        inputs=Inputs(),
        settings=Settings(gates=gates),
    )
    recorded = read_record(step)
    scene.session.publisher.publish_pending(gate.name for gate in gates if gate.name not in recorded)
    evaluate(step, recorded)


def publish(scene: Scene, decided: Sequence[GateResult]) -> None:
    scene.session.publisher.read_again()
    scene.session.publisher.publish_results(decided)


def many_pages(count: int) -> tuple[Snapshot, ...]:
    return tuple(replace(PAGE, after=str(page + 1) if page + 1 < count else "") for page in range(count))


def test_pending_statuses_come_before_reads_of_files_and_comments(signals: Signals) -> None:
    scene = a_scene(pages=many_pages(3))
    run_gates(scene, signals, a_gate(name="one"), a_gate(name="two", paths=parse_paths("docs/**")))
    called = [name for _, name, _ in scene.client.calls]
    assert called[:6] == [*READS.split(), "set_status", "set_status", "changed_files"]
    assert called[6:] == [*["snapshot"] * 3, "required_contexts", "snapshot", "statuses"]


def test_comments_are_read_until_there_is_our_own() -> None:
    pages = list(many_pages(5))
    quoted = Comment(id=4, body=f"> {OURS.body}")
    pages[1], pages[2] = replace(pages[1], comments=(quoted,)), replace(pages[2], comments=(OURS,))
    scene = a_scene(pages=pages)
    assert scene.session.earlier.load_comments().comments == (quoted, OURS)
    assert scene.client.named("snapshot") == ["", "1", "2"]


KINDS = [FORBIDDEN, LIMITED, OUTAGE, NOT_FOUND, UNPROCESSABLE, ErrorDetails(status=401), ErrorDetails(status=410)]


@pytest.mark.parametrize("details", KINDS, ids=lambda details: details.summary)
def test_a_github_that_rejects_every_call_after_the_first_read_ends_nothing(
    details: ErrorDetails, signals: Signals
) -> None:
    scene = a_scene()
    scene.client.reject = lambda *_: details
    run_gates(scene, signals, a_gate(name="one", stage=Stage.SOFT, paths=parse_paths("docs/**")))
    assert scene.session.reviews.approval(("ann",)) == ApprovalStatus(unread=True)
    scene.session.publisher.publish_results(results("one"))
    assert scene.session.publisher.publish_comment(results("one"), BODY) == ""
    scene.session.reviews.request_reviews()
    assert 3 <= len(scene.warnings) == len(set(scene.warnings))
    of_record, *others = sorted(scene.warnings, key=lambda warning: "the statuses of the commit" not in warning)
    assert "this does not change the result" not in of_record  # the decision is an error
    assert all(warning.lower().endswith("this does not change the result.") for warning in others)


def test_reviews_have_time_of_their_own() -> None:
    scene = a_scene()
    scene.clock.time += 24 * 3600
    assert not scene.session.reviews.approval(()).unread


@pytest.mark.parametrize(
    ("commit", "pull"), [(HEAD, replace(PULL, head_sha="c" * 40)), (HEAD, UNKNOWN), ("f" * 40, PULL), ("", PULL)]
)
def test_changed_files_are_read_only_of_the_evaluated_head(commit: str, pull: PullRequest) -> None:
    scene = a_scene(replace(EVENT, commit=commit), pages=(replace(PAGE, pull_request=pull, error=OUTAGE),))
    assert scene.session.changes.files is None
    assert scene.client.named("changed_files") == []


@pytest.mark.parametrize("pull", [replace(PULL, head_sha="c" * 40), replace(PULL, base_ref="next"), UNKNOWN])
def test_changed_files_do_not_count_once_head_or_base_has_changed(pull: PullRequest) -> None:
    scene = a_scene()
    assert scene.session.changes.files == ()
    assert scene.session.changes.is_current()
    scene.client.pages = (replace(PAGE, pull_request=pull),)
    assert not scene.session.changes.is_current()
    scene.client.reject = rejecting(OUTAGE, READS)
    assert not scene.session.changes.is_current()


POLICY, LISTED = PolicyFile(text="campaign: a"), (ChangedFile("new.yml", "policy.yml"),)
AT_BASE = replace(EVENT, base_sha="b" * 40)


@pytest.mark.parametrize(
    ("event", "policy", "files", "head", "changes"),
    [
        (AT_BASE, PolicyFile(), LISTED, PULL, True),
        (AT_BASE, PolicyFile(), (), PULL, False),
        (AT_BASE, PolicyFile(), (), replace(PULL, head_sha="c" * 40), True),
        (AT_BASE, PolicyFile(), (ChangedFile("other.yml"),) * 3000, PULL, True),
        (AT_BASE, PolicyFile(), None, PULL, True),
        (AT_BASE, POLICY, LISTED, PULL, False),
        (AT_BASE, PolicyFile(error="unread"), LISTED, PULL, False),
        (replace(AT_BASE, name="merge_group", commit="f" * 40), PolicyFile(), (), PULL, True),
        (replace(AT_BASE, name="merge_group", pull_request=None), PolicyFile(), (), PULL, True),
        (replace(AT_BASE, name="push", pull_request=None), PolicyFile(), LISTED, PULL, False),
    ],
    ids=["renamed", "behind", "moved", "cut", "unread", "same", "base", "group", "group alone", "push"],
)
def test_the_list_of_changed_files_decides_whether_the_policy_is_changed(
    event: Event, policy: PolicyFile, files: tuple[ChangedFile, ...] | None, head: PullRequest, *, changes: bool
) -> None:
    shown = replace(COMMIT, policy=policy, head_policy=POLICY)
    rejected = "changed_files" if files is None else ""
    scene = a_scene(event, shown=shown, files=files or (), reject=rejecting(FORBIDDEN, rejected))
    scene.client.pages = (replace(PAGE, pull_request=head),)
    assert scene.session.changes.of_policy("policy.yml") is changes


@pytest.mark.parametrize(("listed", "changes"), [("policy.yaml", True), ("policy.yml", True), ("other.yaml", False)])
def test_a_policy_file_that_a_pull_request_adds_with_yaml_in_its_name_is_a_change(
    listed: str, *, changes: bool
) -> None:
    shown = replace(COMMIT, head_policy=PolicyFile(misnamed=True))
    scene = a_scene(AT_BASE, shown=shown, files=(ChangedFile(listed),))
    assert scene.session.changes.of_policy("policy.yml") is changes


def test_without_a_client_nothing_is_read_or_published_and_there_is_no_warning(signals: Signals) -> None:
    output = FakeOutput()
    event = replace(EVENT, lookup=Lookup(commit=HEAD))
    session = a_session(BoundedCalls(None, FakeClock(), output, event), event)
    scene = Scene(FakeClock(), FakeGitHubClient(FakeClock()), output, session)
    run_gates(scene, signals, a_gate(name="one", stage=Stage.SOFT, paths=parse_paths("docs/**")))
    session.publisher.publish_results(results("one"))
    session.publisher.publish_config_error(["one"])
    assert session.publisher.publish_comment(results("one"), BODY) == ""
    assert session.reviews.approval(()) == ApprovalStatus(unread=True)
    assert (session.subject.event.lookup, session.subject.baseline(a_gate()), output.annotations) == (
        Lookup(commit=HEAD),
        None,
        [],
    )


# -- comments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reject", [rejecting(OUTAGE, "snapshot", "1"), lambda *_: None], ids=["unread", "too many"])
def test_where_comments_are_not_known_none_is_written_and_the_reason_is_logged(reject: object) -> None:
    scene = a_scene(pages=many_pages(MAX_PAGES + 1), reject=reject)
    publish(scene, results("one"))
    assert scene.session.publisher.publish_comment(results("one"), BODY) == ""
    assert scene.client.named("create_comment") == []
    assert any("not all comments of the pull request could be read" in line for line in scene.output.lines)


def test_one_warning_says_that_the_base_branch_has_changed_since_the_policy_was_read() -> None:
    scene = a_scene()
    scene.client.pages = (replace(PAGE, pull_request=replace(PULL, base_ref="next")),)
    decided = [*results("one", passing=True), *results("two", passing=True)]
    publish(scene, decided)
    assert scene.session.publisher.publish_comment(decided, BODY) == ""
    assert [state for state, _ in scene.client.newest.values()] == [CommitState.FAILURE] * 2
    [warning] = scene.warnings
    changed = 'The base branch of the pull request has changed from "main" to "next" since the policy was read'
    assert warning == f"{changed}, so each status is `failure`. Re-run the job."


@pytest.mark.parametrize(
    ("pull", "says"),
    [
        (replace(PULL, head_sha="c" * 40), ["no comment: the pull request has a newer commit, which gets a run"]),
        (UNKNOWN, ["no comment: the pull request could not be read"]),
        (replace(PULL, base_ref=""), []),
    ],
)
def test_without_another_base_branch_the_status_is_decided_and_the_comment_needs_the_evaluated_commit_as_head(
    pull: PullRequest, says: list[str]
) -> None:
    scene, decided = a_scene(), results("one", passing=True)
    scene.client.pages = (replace(PAGE, pull_request=pull),)
    publish(scene, decided)
    assert scene.client.newest["Sepurux / one"][0] is CommitState.SUCCESS
    assert bool(scene.session.publisher.publish_comment(decided, BODY)) is not bool(says)
    assert [line[: len(says[0])] for line in scene.output.lines if line.startswith("no comment")] == says


@pytest.mark.parametrize("hangs", [True, False])
def test_a_pull_request_that_cannot_be_read_again_keeps_the_time_for_the_decided_statuses(*, hangs: bool) -> None:
    scene = a_scene()
    start = scene.clock.time

    def reject(name: str, _target: str, _time: float) -> ErrorDetails | None:
        if name == "snapshot" and hangs:
            scene.clock.time += 1_000
        return OUTAGE if name == "snapshot" and not hangs else None

    scene.client.reject = reject
    publish(scene, results("one", passing=True))
    assert scene.client.newest["Sepurux / one"][0] is CommitState.SUCCESS
    assert scene.clock.time - start <= READS_S
    [warning] = scene.warnings
    assert warning.startswith("Could not read the pull request (GitHub ")
    assert scene.session.publisher.publish_comment(results("one"), BODY) == ""
    assert scene.client.comments == {}


def test_the_statuses_of_the_given_gates_are_set_before_those_that_have_to_be_read() -> None:
    scene = a_scene(reject=rejecting(LIMITED, READS))
    scene.client.listed = listed("Sepurux / one", "Sepurux / two")
    scene.session.publisher.publish_config_error(["one"])
    calls = [(name, target.split(" https")[0]) for _, name, target in scene.client.calls[3:]]
    assert calls == [
        ("set_status", "Sepurux / one"),
        ("statuses", EVENT.commit),
        ("set_status", "Sepurux / two"),
    ]


def test_without_a_status_or_a_commit_no_statuses_are_read() -> None:
    for event, status in [(EVENT, False), (replace(EVENT, commit=""), True)]:
        scene = a_scene(event, Settings(status=status), reject=rejecting(LIMITED, READS))
        scene.session.publisher.publish_config_error(["one"])
        assert scene.client.named("statuses") == []


def test_the_last_page_that_is_read_is_enough_to_write() -> None:
    scene = a_scene(pages=many_pages(MAX_PAGES))
    publish(scene, results("one"))
    scene.session.publisher.publish_comment(results("one"), BODY)
    assert len(scene.client.named("create_comment")) == 1


# -- limits -----------------------------------------------------------------------------------------------------------


def test_what_blocks_is_sent_first_and_what_was_not_sent_is_named() -> None:
    scene = a_scene(takes_s=2.4)
    start = scene.clock.time
    passing = MAX_GATES_IN_STEP - 5
    decided = [*results(*numbered(passing), passing=True), *results(*numbered(5, "bad"))]
    publish(scene, decided)
    scene.session.publisher.publish_comment(decided, BODY)
    sent = scene.client.named("set_status")
    assert [context.split()[2] for context in sent[:6]] == [*numbered(5, "bad"), "g0"]
    assert 20 < len(sent) < MAX_GATES_IN_STEP
    assert len(scene.client.named("create_comment")) == 1
    assert scene.clock.time - start <= 90
    [warning] = scene.warnings
    missing = MAX_GATES_IN_STEP - len(sent) + 1  # the last one was under way when the time was over
    assert warning.startswith(
        f"Could not set the commit status (Sepurux / g{passing - missing}, Sepurux / g{passing + 1 - missing}, "
    )


@pytest.mark.parametrize(
    ("gates", "body", "requests"),
    [
        (gates, body, 2 * gates + more)
        for gates in (1, MAX_GATES_IN_STEP)
        for body, more in (("", 8), (OLD, 8), (SAME, 7))
    ],
)
def test_what_a_step_costs(gates: int, body: str, requests: int, signals: Signals) -> None:
    """The figures of docs/architecture.md: for 0.3 s per request, and an evaluation of 10 minutes.

    With a `body`, the pull request has this comment. If it is about this commit, all gates have a decided status.
    """
    names = numbered(gates)
    decided = listed(*(f"Sepurux / {name}" for name in names if body == SAME))
    page = replace(PAGE, comments=(Comment(id=5, body=body),) if body else ())
    scene = a_scene(takes_s=0.3, pages=(page,), shown=replace(COMMIT, statuses=decided))
    run_gates(scene, signals, *(a_gate(name=name) for name in names))
    scene.session.publisher.publish_notice(notice, "gates")
    scene.clock.time += 600
    scene.session.publisher.publish_results(results(*names))
    scene.session.publisher.publish_comment(results(*names), BODY)
    assert len(scene.client.calls) == requests


# -- the line above the result of an earlier commit --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "bodies", "changed"),
    [
        ("gates", [OLD, KEYED], [0]),
        ("", [OLD], [0]),
        ("", [KEYED], [0]),
        ("", [OLD, KEYED], []),  # which one it is cannot be known
        ("gates", [KEYED], []),
        ("gates", [SAME], []),  # a re-run on the same commit
        ("gates", [OLD.replace("\n", "\n⏳ of another run\n\n", 1)], [0]),
        ("gates", ["<!-- sepurux-gate:gates -->\nemptied"], []),
    ],
)
def test_one_line_is_written_into_the_comment_of_the_step_if_it_is_about_another_commit(
    key: str, bodies: list[str], changed: list[int]
) -> None:
    comments = {number: Comment(id=number, body=body) for number, body in enumerate(bodies)}
    scene = a_scene(comments=comments)
    scene.session.publisher.publish_notice(notice, key)
    wanted = OLD.replace("\n", "\n⏳ not aaaaaaa\n\n", 1)
    for number, body in enumerate(bodies):
        expected = wanted.replace(":gates", body[17:23]) if number in changed else body
        assert scene.client.comments[number].body == expected


@pytest.mark.parametrize(
    ("mode", "pull", "event"),
    [
        (CommentMode.NEVER, PULL, EVENT),
        (CommentMode.ALWAYS, replace(PULL, head_sha="c" * 40), EVENT),
        (CommentMode.ALWAYS, PULL, replace(EVENT, closed=True)),
    ],
)
def test_no_line_is_written_where_no_comment_would_be(mode: CommentMode, pull: PullRequest, event: Event) -> None:
    pages = (replace(PAGE, pull_request=pull),)
    scene = a_scene(event, Settings(comment=mode), comments={1: Comment(id=1, body=OLD)}, pages=pages)
    scene.session.publisher.publish_notice(notice, "gates")
    assert scene.client.comments[1].body == OLD


def test_a_commit_that_was_not_evaluated_is_the_title_of_the_comment() -> None:
    scene = a_scene(comments={1: Comment(id=1, body=OLD.replace("### Result", "### ❌ Result"))})
    scene.session.publisher.publish_notice(notice, "gates")
    assert "\n⏳ not aaaaaaa\n\n<details><summary>Result of the earlier commit older</summary>\n\n### ❌ Result\n" in (
        scene.client.comments[1].body
    )


def test_after_a_signal_a_line_of_another_run_stays() -> None:
    scene = a_scene(comments={1: Comment(id=1, body=OLD)})
    scene.session.publisher.publish_notice(notice, "gates")
    [written] = scene.client.comments.values()
    scene.client.comments = {1: replace(written, body=written.body.replace("⏳ not", "⏳ other"))}
    scene.session.calls.enter_shutdown(scene.clock)
    scene.session.publisher.publish_notice(lambda *_, **__: ("### ❗ canceled", "older"), "gates")
    assert "⏳ other" in scene.client.comments[1].body


# -- after a signal ---------------------------------------------------------------------------------------------------


def test_after_a_signal_each_status_is_tried_once() -> None:
    scene = a_scene(takes_s=0.05, reject=rejecting(replace(OUTAGE, temporary=True), "set_status", "Sepurux / g0 "))
    scene.session.publisher.publish_results(results("g0"))
    assert len(scene.client.named("set_status")) == 4
    scene.session.calls.enter_shutdown(scene.clock)
    start = scene.clock.time
    scene.session.publisher.publish_results(results(*numbered(MAX_GATES_IN_STEP)))
    assert len(scene.client.newest) == MAX_GATES_IN_STEP - 1
    assert len(scene.client.named("set_status")) == 4 + MAX_GATES_IN_STEP
    assert scene.clock.time - start < 3


@pytest.mark.parametrize(("status", "reads"), [(True, 2), (False, 1)])
def test_without_a_comment_the_pull_request_is_read_again_for_the_status_alone(*, status: bool, reads: int) -> None:
    scene = a_scene(settings=Settings(comment=CommentMode.NEVER, status=status), pages=many_pages(3))
    publish(scene, results("one"))
    assert scene.session.publisher.publish_comment(results("one"), BODY) == ""
    assert scene.client.named("snapshot") == [""] * reads


def test_the_current_base_branch_replaces_that_of_an_older_payload() -> None:
    pull = replace(PULL, base_ref="next", base_sha="d" * 40)
    scene = a_scene(pages=(replace(PAGE, pull_request=pull),))
    assert (scene.session.subject.event.base_ref, scene.session.subject.event.base_sha) == ("next", "d" * 40)
    calls = [name for _, name, _ in scene.client.calls]
    assert calls == [*READS.split(), "commit", "base_branch"]
    assert scene.warnings == []


def test_the_base_branch_of_a_merge_group_stays_that_of_its_payload() -> None:
    scene = a_scene(
        replace(EVENT, name="merge_group"), pages=(replace(PAGE, pull_request=replace(PULL, base_ref="x")),)
    )
    assert scene.session.subject.event.base_ref == "main"
    assert len(scene.client.named("snapshot")) == 1


def test_the_rules_of_the_branch_are_read_once_also_after_a_rejection() -> None:
    scene = a_scene(reject=rejecting(NOT_FOUND, "required_contexts"))
    for gate in ("one", "two"):
        assert scene.session.advice.of_gate(a_gate(name=gate, stage=Stage.HARD), scheduled=False) == ""
    assert len(scene.client.named("required_contexts")) == 1


@pytest.mark.parametrize(
    ("gates", "prefix", "status", "lost"),
    [
        ("search returns", "Sepurux", True, "`Sepurux / refunds`"),
        ("search", "Agents", True, "`Sepurux / search`, `Sepurux / refunds`"),
        ("", "Sepurux", True, "`Sepurux / search`, `Sepurux / refunds`"),
        ("REFUNDS search", "Sepurux", True, ""),
        ("search refunds", "Sepurux", False, "`Sepurux / search`, `Sepurux / refunds`"),
    ],
    ids=["renamed", "prefix", "deleted", "case", "no status"],
)
def test_a_required_status_that_no_gate_would_set_after_the_merge_is_lost(
    gates: str, prefix: str, lost: str, *, status: bool
) -> None:
    scene = a_scene(required={"sepurux / search": "rules/42", "sepurux / refunds": "rules/42", "other": "rules/1"})
    now = Settings(gates=tuple(a_gate(name=name) for name in ("search", "refunds", "billing")))
    merged = Settings(gates=tuple(a_gate(name=name) for name in gates.split()), status_context=prefix, status=status)
    found = scene.session.advice.lost_statuses(now, merged)
    notes = [note.text.split("no gate sets ")[1] for note in found]
    assert [note.partition(" any more")[0] for note in notes] == ([lost] if lost else [])
