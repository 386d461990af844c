"""Which policy applies, what a pull request does to its file, and how that of the checkout is read."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from sepurux_action.config import options
from sepurux_action.config.layers import input_layer
from sepurux_action.config.policy import MAX_FILE_BYTES, POLICY_PATH, Policy
from sepurux_action.config.settings import read_inputs
from sepurux_action.errors import ConfigurationError, ErrorDetails, Problem
from sepurux_action.evaluation.trace_files import NOWHERE, TraceFolder
from sepurux_action.github import policy_source
from sepurux_action.github.commit import NO_TEXT_FILE, Commit, PolicyFile, unread
from sepurux_action.github.event import Event
from sepurux_action.github.policy_source import ResolvedPolicy, invalid_base_note, read_checkout, resolve_policy


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a workspace with a file, and a parent folder with others."""
    folder = tmp_path / "workspace"
    for file in ("workspace/sub/real.yml", "workspace/own.yml", "temp/policy.yml", "outside.yml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"{}")
    return folder


def test_a_policy_file_that_leads_outside_cannot_be_read_whether_it_exists_or_not(base: Path, tmp_path: Path) -> None:
    (base / "link.yml").symlink_to(tmp_path / "outside.yml")
    (base / "temp.yml").symlink_to(tmp_path / "temp/policy.yml")
    for path in ("../outside.yml", "../none.yml", str(tmp_path / "outside.yml"), "link.yml", "temp.yml"):
        with pytest.raises(OSError, match="it leads outside the workspace"):
            read_checkout(TraceFolder(base, [tmp_path / "temp"]), path)


def test_a_policy_file_is_absent_only_if_nothing_has_its_name(base: Path) -> None:
    (base / "link.yml").symlink_to("sub/real.yml")
    (base / "dangling.yml").symlink_to("none.yml")
    (base / "long.yml").write_bytes(b"{}" * MAX_FILE_BYTES)
    found = TraceFolder(base)
    assert len(read_checkout(found, "long.yml") or b"") == MAX_FILE_BYTES + 1  # which is rejected
    assert [read_checkout(found, path) for path in ("own.yml", "link.yml")] == [b"{}"] * 2
    assert [read_checkout(found, path) for path in ("none.yml", "own.yml/none.yml")] == [None] * 2
    for path in ("dangling.yml", "sub"):
        with pytest.raises(OSError, match="it is not a file"):
            read_checkout(found, path)
    assert read_checkout(TraceFolder(NOWHERE), ".github/sepurux-gate.yml") is None


OLD, NEW, BAD = (PolicyFile(text=text) for text in ("timeout: 60", "campaign: new\ntimeout: 30", "a: 1\nb: 2"))
WRONG = PolicyFile(text="campaign: wrong")  # which the inputs and files of the run make a bad setting
NONE, YAML, BINARY = PolicyFile(), PolicyFile(misnamed=True), PolicyFile(error=NO_TEXT_FILE)
UNREAD = unread(ErrorDetails(message="forbidden"))
UNREAD_NOTE = "The policy file of this pull request could not be read: forbidden."
MISNAMED = ".github/sepurux-gate.yaml:1: the gate does not read a file with this name; rename it to `sepurux-gate.yml`"
FIRST, INVALID = policy_source.FIRST_FILE.text, policy_source.INVALID_BASE
OUTSIDE = policy_source.OutsideError(13, "it leads outside")
INPUTS = read_inputs([input_layer({})])
REJECTED = Problem("`trace_file`", "no such file", ".github/sepurux-gate.yml", 3)
ELSEWHERE = Problem("input `timeout`", "not accepted")


def problems(work: Callable[[], object]) -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as invalid:
        work()
    return invalid.value.problems


def check(merged: Policy) -> None:
    if merged.top.text(options.CAMPAIGN) == "wrong":
        raise ConfigurationError([REJECTED, ELSEWHERE])


def resolved(base: PolicyFile, head: PolicyFile, event: str, *, changed: bool) -> ResolvedPolicy:
    about = Event(name=event, repository="o/r", commit="a" * 40, pull_request=1, base_ref="main", base_sha="b" * 40)
    commit = Commit(policy=base, head_policy=head)
    return resolve_policy(INPUTS, about, commit, lambda _: None, check if changed else None)


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target", "merge_group", "workflow_run"])
@pytest.mark.parametrize(
    ("base", "head", "lines", "says"),
    [
        *((OLD, head, (), None) for head in (OLD, NEW)),
        (OLD, NONE, (), policy_source.DELETED.text),
        (NONE, NEW, (), FIRST),
        *((base, UNREAD, (), UNREAD_NOTE) for base in (OLD, NONE)),
        *((base, head, (1,), None) for base in (OLD, NONE) for head in (BINARY, YAML)),
        *((base, BAD, (1, 2), None) for base in (OLD, NONE)),
        *((base, WRONG, (3, 1), None) for base in (OLD, NONE)),
    ],
)
def test_the_old_policy_applies_whatever_a_pull_request_does_to_the_file(
    base: PolicyFile, head: PolicyFile, lines: tuple[int, ...], says: str | None, event: str
) -> None:
    found = resolved(base, head, event, changed=head != base)
    first = event == "pull_request" and (base, head) == (NONE, NEW)
    applies = "new" if first else "60" if base == OLD else ""
    texts = found.policy.top.given.values() if found.policy else ()
    assert "".join(each.text for each in texts) == applies
    assert tuple(each.line for each in found.problems) == lines
    assert all(each.file for each in found.problems)
    assert [note.text for note in found.notes] == ([says] if says and (first or says != FIRST) else [])
    assert found.replaces is (head != base and not lines and head != UNREAD)
    assert (found.merged is not None) is (head == NEW)
    assert bool(found.changes) is (base == OLD and head == NEW)
    unchanged = ResolvedPolicy(policy=None if base == NONE else found.policy, place="commit bbbbbbb of main")
    assert resolved(base, head, event, changed=False) == unchanged
    assert found.place == ("this pull request" if first else unchanged.place)


@pytest.mark.parametrize("event", ["pull_request", "pull_request_review", "pull_request_target", "merge_group"])
@pytest.mark.parametrize("head", [NEW, BAD, UNREAD, BINARY, NONE, YAML])
def test_a_misnamed_file_of_the_base_is_invalid_unless_it_is_renamed(head: PolicyFile, event: str) -> None:
    if head in (NEW, BAD):
        assert resolved(YAML, head, event, changed=True) == resolved(NONE, head, event, changed=True)
    for changed in {False, head not in (NEW, BAD)}:
        found = problems(partial(resolved, YAML, head, event, changed=changed))
        assert [each.located for each in found] == [MISNAMED]


def test_a_file_of_the_checkout_with_yaml_in_its_name_is_invalid() -> None:
    def read(found: str) -> Callable[[str], bytes | None]:
        return lambda path: b"enforcement: observe" if path == found else None

    found = problems(partial(resolve_policy, INPUTS, Event(), None, read(".github/sepurux-gate.yaml")))
    assert [each.located for each in found] == [MISNAMED]
    assert resolve_policy(INPUTS, Event(), None, read(".github/other.yaml")).policy is None
    named = replace(INPUTS, config="ci/gate.yaml")
    assert resolve_policy(named, Event(), None, read("ci/gate.yaml")).policy


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(5, "Input/output error"), "Input/output error. Make it a text file that the gate can read."),
        (OSError(), "it is not readable. Make it a text file that the gate can read."),
        (
            policy_source.OutsideError(13, "it leads outside"),
            "it leads outside. Use a path that stays inside, also through links.",
        ),
    ],
)
def test_a_file_of_the_checkout_that_cannot_be_read_says_what_to_do(error: OSError, says: str) -> None:
    def read(_: str) -> bytes:
        raise error

    [problem] = problems(partial(resolve_policy, INPUTS, Event(), None, read))
    assert str(problem) == f"`{POLICY_PATH}`: the policy could not be read: {says}"


@pytest.mark.parametrize(
    ("path", "text"),
    [(".github/sepurux-gate.yaml", policy_source.MISNAMED_BASE), (".github/sepurux-gate.yml", INVALID)],
)
def test_the_note_on_an_invalid_file_of_the_base_says_who_can_repair_it(path: str, text: str) -> None:
    note = invalid_base_note(Event(base_ref="main", repository="o/r", server_url="https://github.com"), path)
    assert (note.text, note.page) == (text.format("`main`"), f"https://github.com/o/r/blob/main/{path}")


@pytest.mark.parametrize("base", [BINARY, PolicyFile(text="\ud800")])
def test_a_file_of_the_base_that_is_no_text_is_invalid_on_its_first_line(base: PolicyFile) -> None:
    [problem] = problems(partial(resolved, base, OLD, "pull_request", changed=True))
    assert problem.location == ".github/sepurux-gate.yml:1"
