"""Parses the event of a run: which commit is evaluated, and which pull request it belongs to.

Sources: docs/reference.md#events; https://docs.github.com/webhooks/webhook-events-and-payloads;
https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows (GITHUB_SHA and
GITHUB_REF); https://docs.github.com/actions/reference/workflows-and-actions/variables
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import safe_url

# GitHub's push event of a deleted branch has zeros in place of a commit.
SHA = re.compile(r"(?!0+\Z)[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
MAX_NUMBER = 2**31 - 1  # of a pull request, because GraphQL's Int has 32 bits
REVIEW = "pull_request_review"
PULL_REQUEST_EVENTS = frozenset({"pull_request", "pull_request_target", REVIEW})  # also as the cause of a workflow_run
COMMIT_EVENTS = frozenset(
    {"schedule", "workflow_dispatch", "deployment", "deployment_status", "release", "repository_dispatch"}
)
INCOMPLETE = "the payload or `GITHUB_SHA` lacks a commit, a base branch, or the number of the pull request"
NO_NAME = "the name of the branch or tag in `GITHUB_REF` has characters that cannot be shown"
NOT_A_RUN = (
    "must be about a run that `pull_request`, `pull_request_target`, or `pull_request_review` started, or a push of "
    "the newest commit of the default branch of this repository"
)

_REPOSITORY = re.compile(r"(?!\.+/)[A-Za-z0-9._-]{1,100}/(?!\.+\Z)[A-Za-z0-9._-]{1,100}\Z")
_BRANCH, _TAG = "refs/heads/", "refs/tags/"
# A base branch may contain slashes, and even the name of another group's branch, so the last number counts.
_QUEUE = re.compile(r"\Arefs/heads/gh-readonly-queue/.+/pr-([1-9][0-9]{0,9})-(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")

At = Callable[..., object]  # returns the value at a path in a payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The commit to evaluate and the pull request that it belongs to; unknown fields are '' or None.

    `name` is '' on a command line. `api_url` is https, or http on loopback, because the token is sent there. `commit`
    gets the statuses: it is a pull request's head, never its merge commit. `fork`: the head is not in this repository.
    `head_branch` and `tag` are those of GITHUB_REF. Of a pull request to find, `head` is as `octo/shop:branch`.
    `problem`: why the event cannot be evaluated, which is a bad setting.
    """

    name: str = ""
    repository: str = ""
    server_url: str = ""
    api_url: str = ""
    run_url: str = ""
    commit: str = ""
    pull_request: int | None = None
    base_ref: str = ""
    base_sha: str = ""  # of a merge group
    head_branch: str = ""
    tag: str = ""
    fork: bool = False
    dependabot: bool = False
    by_review: bool = False  # a review started this run, or the one that it is about
    skip_reason: str = ""
    head: str = ""
    problem: str = ""

    def url(self, kind: str, name: object) -> str:
        """Return the address of a page of the repository, such as `commit/<SHA>`; '' if it is not known."""
        return safe_url(f"{self.server_url}/{self.repository}/{kind}/{name}") if self.repository and name else ""


def parse_event(name: str, payload: object, environ: Mapping[str, str]) -> Event:
    """Return the event; never raises, whatever payload and environment contain."""
    at, name = partial(json_reader.at, payload), json_reader.printable(name)
    server, api = (safe_url(environ.get(f"GITHUB_{each}_URL", "")).rstrip("/") for each in ("SERVER", "API"))
    ref = environ.get("GITHUB_REF", "")
    branch, tag = (parse_branch(ref, kind) for kind in (_BRANCH, _TAG))
    event = Event(
        name=name,
        repository=_repository(environ.get("GITHUB_REPOSITORY")),
        server_url=server,
        api_url=api,
        commit=parse_sha(environ.get("GITHUB_SHA")),
        head_branch=branch,
        tag=tag,
        dependabot=json_reader.printable(environ.get("GITHUB_ACTOR", "")) == "dependabot[bot]",
        by_review=name == REVIEW,
    )
    event = replace(event, run_url=event.url("actions/runs", environ.get("GITHUB_RUN_ID")))
    if name not in PARSERS:
        accepted = ", ".join(f"`{each}`" for each in PARSERS)
        return replace(event, problem=f"must be one of {accepted}")
    if name == "push" and at("deleted") is True:
        reason = f"{json_reader.text(at('ref')) or 'what had been pushed'} was deleted"
        return replace(event, commit="", skip_reason=reason)
    event = PARSERS[name](event, at)
    if event.problem or event.skip_reason:
        return event
    if ref.startswith((_BRANCH, _TAG)) and not (branch or tag):
        return replace(event, problem=NO_NAME)
    return replace(event, problem="" if event.commit else INCOMPLETE)


def with_pull_request(event: Event, pulls: Iterable[object]) -> Event:
    """Return the event with the only open pull request that has its head; skipped without one, invalid with several."""
    head = event.head
    repository, _, branch = head.partition(":")
    matches = [
        pull
        for pull in pulls
        if json_reader.at(pull, "state") == "open"
        and parse_sha(json_reader.at(pull, "head", "sha")) == event.commit
        and parse_branch(json_reader.at(pull, "head", "ref")) == branch
        and _same(_repository(json_reader.at(pull, "head", "repo", "full_name")), repository)
    ]
    if not matches:
        gone = f"no open pull request has the head `{head}` at `{event.commit[:7]}`"
        return replace(event, head="", commit="", skip_reason=gone)
    if matches[1:]:
        several = f"{len(matches)} open pull requests have the head `{head}`, and their policies may differ"
        return replace(event, head="", commit="", problem=several)
    return _of_pull_request(event, partial(json_reader.at, {"pull_request": matches[0]}))


def _of_pull_request(event: Event, at: At) -> Event:
    number, commit = at("pull_request", "number"), parse_sha(at("pull_request", "head", "sha"))
    if type(number) is not int or not 1 <= number <= MAX_NUMBER:
        number = None
    base = parse_branch(at("pull_request", "base", "ref"))
    return replace(
        event,
        head="",
        commit=commit,
        pull_request=number,
        base_ref=base,
        fork=not _same(_repository(at("pull_request", "head", "repo", "full_name")), event.repository),
        problem="" if number and commit and base else INCOMPLETE,
    )


def _merge_group(event: Event, at: At) -> Event:
    numbers = map(int, _QUEUE.findall(json_reader.text(at("merge_group", "head_ref"))))
    commit, base_sha = (parse_sha(at("merge_group", f"{which}_sha")) for which in ("head", "base"))
    base = parse_branch(at("merge_group", "base_ref"), _BRANCH)
    return replace(
        event,
        commit=commit,
        base_ref=base,
        base_sha=base_sha,
        pull_request=next((each for each in numbers if each <= MAX_NUMBER), None),
        problem="" if commit and base and base_sha else INCOMPLETE,
    )


def _workflow_run(event: Event, at: At) -> Event:
    """Return the event with the commit of the run. GITHUB_SHA and GITHUB_REF are those of the default branch."""
    repository = _repository(at("workflow_run", "head_repository", "full_name"))
    branch, commit = parse_branch(at("workflow_run", "head_branch")), parse_sha(at("workflow_run", "head_sha"))
    cause, fork = json_reader.text(at("workflow_run", "event")), not _same(repository, event.repository)
    is_tip = not fork and branch == event.head_branch and commit == event.commit
    head = f"{repository}:{branch}" if cause in PULL_REQUEST_EVENTS else ""
    if not head and not (cause == "push" and is_tip):
        return replace(event, problem=NOT_A_RUN)
    return replace(event, commit=commit, fork=fork, by_review=cause == REVIEW, head=head)


def _same(one: str, other: str) -> bool:
    """Return whether both are the same known repository; GitHub ignores case."""
    return bool(one) and one.lower() == other.lower()


def _matching(pattern: re.Pattern[str], value: object) -> str:
    """Return a text that begins as the pattern says, '' for any other value."""
    return value if isinstance(value, str) and pattern.match(value) else ""


parse_sha, _repository = partial(_matching, SHA), partial(_matching, _REPOSITORY)


def parse_branch(value: object, start: str = "") -> str:
    """Return a branch's name, or '' if it has white space or unprintable characters: it could look like another one."""
    is_name = isinstance(value, str) and value.startswith(start) and value.isprintable() and " " not in value
    return str(value).removeprefix(start) if is_name else ""


def encoded(name: str) -> str:
    """Return a name of a branch or tag for a context. GitHub ignores the case of a context, so capitals are encoded."""
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789._/-"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in name.encode(errors="surrogatepass"))


PARSERS: Mapping[str, Callable[[Event, At], Event]] = {
    **dict.fromkeys(sorted(PULL_REQUEST_EVENTS), _of_pull_request),
    "merge_group": _merge_group,
    "workflow_run": _workflow_run,
    **dict.fromkeys(("push", *sorted(COMMIT_EVENTS)), lambda event, _: event),
}
