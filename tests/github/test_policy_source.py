"""Which policy applies, what a pull request does to its file, and how that of the checkout is read."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sepurux_action.common.wording import joined
from sepurux_action.config import options
from sepurux_action.config.options import Layer, input_layer
from sepurux_action.config.settings import MAX_FILE_BYTES, MISNAMED_PATH, POLICY_PATH, Settings, read_settings
from sepurux_action.errors import ConfigurationError, Problem
from sepurux_action.evaluation.traces import TraceFolder
from sepurux_action.github.event import Event
from sepurux_action.github.queries import PolicyFile, Subject, misnamed, unreadable
from sepurux_action.github.subject import ResolvedPolicy, read_checkout, resolve_policy


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    for file in ("workspace/sub/real.yml", "workspace/own.yml", "temp/policy.yml", "outside.yml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"{}")
    return folder


def test_a_policy_file_that_leads_outside_cannot_be_read_whether_it_exists_or_not(base: Path, tmp_path: Path) -> None:
    (base / "link.yml").symlink_to(tmp_path / "outside.yml")
    (base / "temp.yml").symlink_to(tmp_path / "temp/policy.yml")
    for path in ("../outside.yml", "../none.yml", str(tmp_path / "outside.yml"), "link.yml", "temp.yml"):
        [problem] = problems(partial(read_checkout, TraceFolder(base, [tmp_path / "temp"]), path))
        assert problem.located.startswith(f"{path}:1: the policy could not be read: it leads outside the workspace or ")


def test_a_policy_file_is_absent_only_if_nothing_has_its_name(base: Path) -> None:
    (base / "link.yml").symlink_to("sub/real.yml")
    (base / ".github").mkdir()
    (base / ".github/sepurux-gate.yaml").touch()
    (base / "long.yml").write_bytes(b"{}" * MAX_FILE_BYTES)
    found = TraceFolder(base)
    [problem] = problems(partial(read_checkout, found, "long.yml"))
    assert problem.located == "long.yml:1: the file has more than 262,144 bytes"
    assert [read_checkout(found, path) is None for path in ("own.yml", "link.yml")] == [False] * 2
    for path in ("none.yml", "own.yml/none.yml"):
        [problem] = problems(partial(read_checkout, found, path))
        assert problem.located == f"{path}:1: there is no such policy file"
    [problem] = problems(partial(read_checkout, found, "n" * 300))
    assert "the policy could not be read: File name too long. " in problem.message
    for path in ("", ".github/sepurux-gate.yaml"):
        assert [each.located for each in problems(partial(read_checkout, found, path))] == [MISNAMED]
    (base / ".github/sepurux-gate.yml").symlink_to("none.yml")
    for path in ("", "sub"):
        [problem] = problems(partial(read_checkout, found, path))
        said = "the policy could not be read: it is not a file. Make it a text file that the gate can read."
        assert problem.located == f"{path or POLICY_PATH}:1: {said}"


OLD, NEW, BAD = "timeout: 60", "campaign: new\ntimeout: 30", "a: 1\nb: 2"
WRONG = "campaign: wrong"  # which the inputs and files of the run make a bad setting
NONE, YAML, BINARY = None, misnamed(MISNAMED_PATH), Problem("", "it is not a text file.", POLICY_PATH, 1)
UNREAD = unreadable("forbidden", "Re-run the job.")
MISNAMED = ".github/sepurux-gate.yaml:1: the gate does not read a file with this name; rename it to `sepurux-gate.yml`"
INPUTS, WITH_CAMPAIGN = (read_settings([input_layer(texts)]) for texts in ({}, {"campaign": "c"}))
REJECTED = Problem("`trace_file`", "no such file", ".github/sepurux-gate.yml", 3)
PROPOSED = ("pull_request", "pull_request_review", "pull_request_target", "merge_group", "workflow_run")


def problems(work: Callable[[], object]) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as invalid:
        work()
    return invalid.value.problems


def check(merged: Layer) -> Settings:
    return Settings(problems=(REJECTED,) if merged.text(options.CAMPAIGN) == "wrong" else ())


def resolved(
    files: tuple[PolicyFile, PolicyFile],
    event: str = "pull_request",
    *,
    changed: bool = True,
    fork: bool = False,
    settings: Settings = INPUTS,
) -> ResolvedPolicy:
    about = Event(name=event, repository="o/r", commit="a" * 40, pull_request=1, base_ref="main", fork=fork)
    subject = Subject(event=about, base="b" * 40, policy=files[0], head_policy=files[1])
    return resolve_policy(settings, subject, None, check if changed else None)


def texts(policy: Layer | None) -> list[str]:
    return [each.text for each in policy.given.values()] if policy else []


@pytest.mark.parametrize("event", PROPOSED)
@pytest.mark.parametrize(
    ("head", "changes"), [(NEW, [("campaign", "", "new"), ("timeout", "60", "30")]), (NONE, [("timeout", "60", "")])]
)
def test_the_base_applies_and_changes_are_listed(head: PolicyFile, changes: object, event: str) -> None:
    found = resolved((OLD, head), event)
    assert (texts(found.policy), found.place) == (["60"], "commit bbbbbbb of main")
    assert [(each.setting, each.old, each.new) for each in found.changes] == changes
    assert resolved((OLD, head), event, changed=False) == ResolvedPolicy(policy=found.policy, place=found.place)


@pytest.mark.parametrize("event", PROPOSED)
@pytest.mark.parametrize("base", [OLD, NONE])
@pytest.mark.parametrize(
    ("head", "lines"), [(BINARY, (1,)), (YAML, (1,)), (BAD, (1, 2)), (WRONG, (3,)), (UNREAD, (0,))]
)
def test_a_broken_file_is_a_bad_setting(base: PolicyFile, head: PolicyFile, lines: object, event: str) -> None:
    found = problems(partial(resolved, (base, head), event, settings=WITH_CAMPAIGN))
    assert tuple(each.line for each in found) == lines
    of_base = problems(partial(resolved, (head, NEW), event)) if head != WRONG else ()
    for each, other in zip(of_base, found, strict=False):
        assert each.where == joined(", ", "on `main`" if other.line else "", other.where)


def test_without_a_file_of_the_base_and_a_campaign_of_the_workflow_that_of_the_pull_request_applies() -> None:
    for event in PROPOSED:
        found = resolved((NONE, NEW), event)
        first = event in {"pull_request", "pull_request_review"}
        assert texts(found.policy) == (["new", "30"] if first else [])
        assert found.place == ("this pull request" if first else "commit bbbbbbb of main")
        assert bool(found.changes) is not first
    assert resolved((NONE, NEW), fork=True).policy is None
    assert resolved((NONE, NEW), settings=WITH_CAMPAIGN).policy is None
    assert resolved((OLD, NEW), fork=True).changes


@pytest.mark.parametrize("head", [NEW, YAML, NONE])
def test_a_misnamed_file_of_the_base_is_a_bad_setting(head: PolicyFile) -> None:
    for changed in (True, False):
        found = problems(partial(resolved, (YAML, head), changed=changed))
        assert [each.located for each in found] == [MISNAMED.replace(":1:", ":1: on `main`:")]


@pytest.mark.parametrize("base", [BINARY, "\ud800"])
def test_a_file_of_the_base_that_is_no_text_is_invalid_on_its_first_line(base: PolicyFile) -> None:
    [problem] = problems(partial(resolved, (base, OLD)))
    assert problem.location == ".github/sepurux-gate.yml:1"
