"""Parses the event of a run: which commit is evaluated, and which pull request it belongs to.

If the payload does not name the pull request, the event has a `lookup`, and `resolve` takes its result. Sources:
docs/reference.md#events; https://docs.github.com/webhooks/webhook-events-and-payloads; GITHUB_SHA for each event,
https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows; and the variables,
https://docs.github.com/actions/reference/workflows-and-actions/variables
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sepurux_action.common import json_reader
from sepurux_action.common.json_reader import safe_url
from sepurux_action.config.kinds import BOT_SUFFIX
from sepurux_action.errors import ErrorDetails

# GitHub's push event of a deleted branch has zeros in place of a commit.
SHA = re.compile(r"(?!0+\Z)[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
MAX_NUMBER = 2**31 - 1  # of a pull request, because GraphQL's Int has 32 bits
REVIEW = "pull_request_review"
PERSON = "User"  # GitHub's type for an account that is neither a bot nor an app
CONFIGURED_BOTS = frozenset({"dependabot", "renovate"})  # whose assignees come from a configuration
# Events whose runs belong to a pull request's head, also as the cause of a `workflow_run`. A run of a fork executes the
# fork's code, so a number that it passes on is not trusted: the pull request is looked up by its head.
PULL_REQUEST_EVENTS = frozenset({"pull_request", "pull_request_target", REVIEW, "pull_request_review_comment"})

_REPOSITORY = re.compile(r"(?!\.+/)[A-Za-z0-9._-]{1,100}/(?!\.+\Z)[A-Za-z0-9._-]{1,100}\Z")
_BRANCH, _TAG = re.compile("refs/heads/"), re.compile("refs/tags/")
_WORKFLOW = re.compile(r"(?P<repository>[^/]+/[^/]+)/(?P<path>\.github/workflows/[^/]{1,200}?\.ya?ml)@refs/.")
# A base branch may contain slashes, and even the name of another group's branch, so the last number counts.
_QUEUE = re.compile(r"\Arefs/heads/gh-readonly-queue/.+/pr-([1-9][0-9]{0,9})-(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")

At = Callable[..., object]  # returns the value at a path in a payload
Fields = dict[str, Any]  # of an event, with the values that replace those it has


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """How to find the pull request: by the `branch` of `repository` at `commit`, by `commit`, or else by `number`.

    By branch, closed ones count if no open one matches, because their author may reopen them after the lookup. By
    commit alone, it is the open one into this repository whose head it is. With `forks`, this head may be in a fork:
    only for a push to another branch than the default branch, because anyone can open a pull request from a fork with a
    commit of this repository into a branch with a weaker policy. Beside a commit, `number` selects one of several; if
    there is no branch, it also applies if nothing has the commit.
    """

    repository: str = ""
    branch: str = ""
    commit: str = ""
    forks: bool = False
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request; unknown fields are '' or None. Without `head_repository`, it has been deleted.

    A snapshot has only the author, the head commit, and the base. `by_agent`: a bot opened it, and neither Dependabot
    nor Renovate did, or its author is not known.
    """

    number: int | None = None
    head_sha: str = ""
    head_repository: str = ""
    head_branch: str = ""
    base_ref: str = ""
    base_sha: str = ""
    author: str = ""
    by_agent: bool = False
    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The commit to evaluate and the pull request that it belongs to; unknown fields are '' or None.

    `api_url` is https, or http on loopback, because the token is sent there. `commit` gets the statuses: it is a pull
    request's head, never its merge commit. `fork`: the head is not in this repository, or has been deleted. After the
    `lookup`, which is then None, `no_pr_reason` says why there is no `pull_request`, as a clause for the log. A
    `closed` pull request gets no comment. `at_current_head`: the commit may be newer than what the job checked out. An
    `ambiguous` event is not evaluated, because it is not known which pull request's policy applies: either `matches`
    has pull requests into different branches, or the lookup failed, because of `error` if GitHub rejected it.
    """

    name: str = ""
    repository: str = ""
    server_url: str = ""
    api_url: str = ""
    run_url: str = ""
    default_branch: str = ""
    commit: str = ""
    pull_request: int | None = None
    base_ref: str = ""
    base_sha: str = ""
    head_branch: str = ""
    tag: str = ""
    fork: bool = False
    dependabot: bool = False
    rerun: bool = False
    by_review: bool = False  # a review started this run, or the one that it is about
    workflow_file: str = ""
    skip_reason: str = ""
    lookup: Lookup | None = None
    no_pr_reason: str = "there is no event"
    closed: bool = False
    at_current_head: bool = False
    ambiguous: bool = False
    matches: tuple[PullRequest, ...] = ()
    error: ErrorDetails | None = None

    @property
    def branch(self) -> str:
        pushed = self.head_branch if self.name == "push" else ""
        return self.base_ref or pushed or self.default_branch

    @property
    def status_branch(self) -> str:
        """Return what the context of a status says of the branch, or of the tag, which no branch is named like."""
        if self.tag and not self.base_ref:
            return f"tag: {encoded(self.tag)}"
        return encoded(self.base_ref or self.head_branch) or "no branch"

    def url(self, kind: str, name: object) -> str:
        """Return the address of a page of the repository, such as `commit/<SHA>`; '' if it is not known."""
        return safe_url(f"{self.server_url}/{self.repository}/{kind}/{name}") if self.repository and name else ""


def parse_event(name: str, payload: object, environ: Mapping[str, str]) -> Event:
    """Return the event; never raises, whatever payload and environment contain."""
    at = partial(json_reader.at, payload)
    name = json_reader.printable(name)
    repository = _repository(environ.get("GITHUB_REPOSITORY")) or _repository(at("repository", "full_name"))
    server, api = (safe_url(environ.get(f"GITHUB_{each}_URL", "")).rstrip("/") for each in ("SERVER", "API"))
    actor = json_reader.printable(environ.get("GITHUB_ACTOR", ""))
    run, attempt = environ.get("GITHUB_RUN_ID", ""), environ.get("GITHUB_RUN_ATTEMPT", "")
    if run and attempt:
        run += f"/attempts/{attempt}"
    ref = environ.get("GITHUB_REF", "")
    branch = _branch_of_ref(ref)
    event = Event(
        name=name,
        repository=repository,
        server_url=server,
        api_url=api,
        # The payload of a scheduled run has no repository, but such a run is always on the default branch.
        default_branch=parse_branch(at("repository", "default_branch")) or (branch if name == "schedule" else ""),
        commit=parse_sha(environ.get("GITHUB_SHA")),
        head_branch=branch,
        tag=parse_branch(_matching(_TAG, ref).removeprefix("refs/tags/")),
        dependabot=actor == "dependabot[bot]",
        by_review=name == REVIEW,
        rerun=attempt not in {"", "1"},
        workflow_file=_workflow_file(environ, repository),
        no_pr_reason=f"a {name} event has no pull request" if name else "there is no event",
    )
    fields = PARSERS[name](event, at) if name in PARSERS else {}
    return _with_commit_lookup(replace(event, run_url=event.url("actions/runs", run), **fields))


def _workflow_file(environ: Mapping[str, str], repository: str) -> str:
    """Return the running workflow's file as `<SHA>:<path>`; '' if it is in another repository or not known.

    In a called reusable workflow, the variables name the workflow that calls it, whose triggers count.
    """
    commit = parse_sha(environ.get("GITHUB_WORKFLOW_SHA"))
    match = _WORKFLOW.match(environ.get("GITHUB_WORKFLOW_REF", ""))
    if not (commit and match and match["path"].isprintable() and _same(match["repository"], repository)):
        return ""
    return f"{commit}:{match['path']}"


def parse_pull_request(raw: object) -> PullRequest:
    """Return the pull request in a payload of a webhook or of GitHub's REST API."""
    at = partial(json_reader.at, raw)
    author, by_agent = parse_author(at("user"))
    return PullRequest(
        number=_number(at("number")),
        head_sha=parse_sha(at("head", "sha")),
        head_repository=_repository(at("head", "repo", "full_name")),
        head_branch=parse_branch(at("head", "ref")),
        base_ref=parse_branch(at("base", "ref")),
        base_sha=parse_sha(at("base", "sha")),
        author=author,
        by_agent=by_agent,
        open=at("state") == "open",
    )


def parse_author(account: object) -> tuple[str, bool]:
    """Return who opened a pull request, and whether this may be a coding agent, which someone asked for it."""
    rest, graphql, login = (json_reader.text(json_reader.at(account, name)) for name in ("type", "__typename", "login"))
    return login, PERSON not in {rest, graphql} and login.removesuffix(BOT_SUFFIX) not in CONFIGURED_BOTS


def with_pull_request_number(event: Event, number: int | None) -> Event:
    """Return the event with the setting `pr_number`, which applies if the event has no pull request."""
    if number is None or event.pull_request is not None or event.skip_reason or event.ambiguous:
        return event
    lookup, fields = event.lookup, {"commit": "", **_number_lookup(number)}
    if lookup and (lookup.branch or event.name == "push"):
        fields = {"lookup": replace(lookup, number=number)}
    return replace(event, **fields)


def resolve(event: Event, found: Sequence[PullRequest] | ErrorDetails) -> Event:
    """Return the event with the result of its lookup, or another lookup: `pr_number` is the last one for a push."""
    return replace(event, **_resolved(event, event.lookup, found)) if event.lookup else event


def _resolved(event: Event, lookup: Lookup, found: Iterable[PullRequest] | ErrorDetails) -> Fields:
    by_number = f"pull request {lookup.number}"
    if isinstance(found, ErrorDetails):
        which = "the pull request of this run" if lookup.commit else by_number
        return {"error": found, **_ambiguous(f"{which} could not be read ({found.summary})")}
    if not lookup.commit:
        matches = [pull for pull in found if pull.number == lookup.number]
        return _match(event, matches) or _ambiguous(f"{by_number} cannot be read")
    of_commit = [pull for pull in found if pull.head_sha == lookup.commit]
    if lookup.branch:
        of_branch = (pull for pull in of_commit if pull.head_branch == lookup.branch)
        matches = [pull for pull in of_branch if _same(pull.head_repository, lookup.repository)]
        still_open = [pull for pull in matches if pull.open]
        if fields := _match(event, still_open or matches, lookup.number):
            return {**fields, "closed": not still_open}
        head = f"`{lookup.repository}:{lookup.branch}` at `{lookup.commit[:7]}`"
        return _ambiguous(f"no pull request has the head {head}; a newer commit has a run of its own")
    own = (pull for pull in of_commit if lookup.forks or _same(pull.head_repository, event.repository))
    matches = [pull for pull in own if pull.open]
    if not matches and lookup.number is not None:
        return _number_lookup(lookup.number)  # of a push, which keeps its commit
    none = f"`{lookup.commit[:7]}` is the head of no open pull request"
    return _match(event, matches, lookup.number) or {"lookup": None, "no_pr_reason": none}


def _ambiguous(why: str) -> Fields:
    return {"lookup": None, "pull_request": None, "ambiguous": True, "no_pr_reason": why}


def pr_number_warning(event: Event, number: int | None) -> str:
    if number is None or event.lookup is not None or event.pull_request == number:
        return ""
    whose = f"this run belongs to pull request {event.pull_request}" if event.pull_request else event.no_pr_reason
    return f"`pr_number` {number} is ignored: {whose}."


def _pull_request(event: Event, at: At) -> Fields:
    if not json_reader.as_object(at("pull_request")):
        return {"commit": "", "no_pr_reason": f"the payload of this {event.name} event has no pull request"}
    return _of_pull_request(event, parse_pull_request(at("pull_request")))


def _merge_group(event: Event, at: At) -> Fields:
    numbers = map(int, _QUEUE.findall(json_reader.text(at("merge_group", "head_ref"))))
    return {
        "commit": parse_sha(at("merge_group", "head_sha")) or event.commit,
        "base_ref": _branch_of_ref(at("merge_group", "base_ref")),
        "base_sha": parse_sha(at("merge_group", "base_sha")),
        "pull_request": _number(next(numbers, None)),
        "no_pr_reason": "the merge group's branch names no pull request",
    }


def _workflow_run(event: Event, at: At) -> Fields:
    repository = _repository(at("workflow_run", "head_repository", "full_name"))
    branch, commit = parse_branch(at("workflow_run", "head_branch")), parse_sha(at("workflow_run", "head_sha"))
    cause, fork = json_reader.text(at("workflow_run", "event")), not _same(repository, event.repository)
    fields = {"commit": commit, "head_branch": "", "fork": fork, "by_review": cause == REVIEW}
    if commit == event.commit:  # a tag is named like a branch here; GITHUB_SHA is the tip of the default branch
        fields["head_branch"] = branch
    if cause not in PULL_REQUEST_EVENTS and not fork:
        return fields
    if not (repository and branch and commit):
        return fields | _ambiguous("the repository or branch that the workflow run is about is gone")
    return fields | {"lookup": Lookup(repository=repository, branch=branch, commit=commit)}


def _push(_: Event, at: At) -> Fields:
    fields = {"head_branch": _branch_of_ref(at("ref")), "no_pr_reason": "the pushed commit is not known"}
    if at("deleted") is True or set(json_reader.text(at("after"))) == {"0"}:
        gone = f"{json_reader.text(at('ref')) or 'what had been pushed'} was deleted"
        fields |= {"commit": "", "skip_reason": gone, "no_pr_reason": gone}
    return fields


def _issue_comment(_: Event, at: At) -> Fields:
    if not json_reader.as_object(at("issue", "pull_request")):
        return {"no_pr_reason": "the comment is on an issue, not on a pull request"}
    number = _number(at("issue", "number"))
    if number is None:
        return {"commit": "", "no_pr_reason": "the pull request's number cannot be read"}
    return {"commit": "", "pull_request": number, **_number_lookup(number)}


def _deployment(event: Event, at: At) -> Fields:
    sha, ref = at("deployment", "sha"), at("deployment", "ref")
    branch = _branch_of_ref(ref) or parse_branch(ref) or event.head_branch  # no head, if it is a tag or a SHA
    return {"commit": parse_sha(sha) or event.commit, "head_branch": branch}


def _with_commit_lookup(event: Event) -> Event:
    known = event.pull_request or event.base_ref or event.lookup or event.skip_reason or event.ambiguous
    if known or not (event.name and event.commit) or event.fork:
        return event
    # A maintainer may push a fork's commit, whose policy file is its author's, to a branch of this repository.
    forks = event.name == "push" and event.head_branch not in {"", event.default_branch}
    return replace(event, lookup=Lookup(commit=event.commit, forks=forks))


def _number_lookup(number: int) -> Fields:
    return {"lookup": Lookup(number=number), "at_current_head": True}


def _match(event: Event, matches: Sequence[PullRequest], number: int | None = None) -> Fields:
    """Return the fields of the match, or the base branch of several matches; {} if there is none."""
    matches = [pull for pull in matches if pull.number == number] or matches
    if not matches:
        return {}
    found, base = _of_pull_request(event, matches[0]), matches[0].base_ref
    if len(matches) == 1:
        return found
    state = "open" if matches[0].open else "closed"
    several = f"`{event.commit[:7]}` is the head of {len(matches)} {state} pull requests"
    if base and {pull.base_ref for pull in matches} == {base}:
        # Their base commits may differ, so the policy at the tip of the branch applies.
        return found | {"pull_request": None, "base_sha": "", "no_pr_reason": f"{several} into `{base}`"}
    return {**_ambiguous(f"{several} into different branches"), "matches": tuple(matches)}


def _of_pull_request(event: Event, pull: PullRequest) -> Fields:
    return {
        "commit": pull.head_sha,
        "pull_request": pull.number,
        "base_ref": pull.base_ref,
        "base_sha": pull.base_sha,
        "fork": not _same(pull.head_repository, event.repository),
        "lookup": None,
        "no_pr_reason": "the pull request's number cannot be read",
    }


def _same(one: str, other: str) -> bool:
    """Return whether both are the same known repository; GitHub ignores case."""
    return bool(one) and one.lower() == other.lower()


def _number(value: object) -> int | None:
    return value if type(value) is int and 1 <= value <= MAX_NUMBER else None


def _matching(pattern: re.Pattern[str], value: object) -> str:
    """Return a text that begins as the pattern says, '' for any other value."""
    return value if isinstance(value, str) and pattern.match(value) else ""


parse_sha, _repository = partial(_matching, SHA), partial(_matching, _REPOSITORY)


def parse_branch(value: object) -> str:
    """Return a branch's name, or '' if it has white space or unprintable characters: it could look like another one."""
    return value if isinstance(value, str) and value.isprintable() and " " not in value else ""


def encoded(name: str) -> str:
    """Return a name of a branch or tag for a context. GitHub ignores the case of a context, so capitals are encoded."""
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789._/-"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in name.encode(errors="surrogatepass"))


def _branch_of_ref(value: object) -> str:
    return parse_branch(_matching(_BRANCH, value).removeprefix("refs/heads/"))


# docs/reference.md#events lists the events. One that is not here is about `GITHUB_SHA`.
PARSERS: Mapping[str, Callable[[Event, At], Fields]] = {
    **dict.fromkeys(PULL_REQUEST_EVENTS, _pull_request),
    "merge_group": _merge_group,
    "push": _push,
    "workflow_run": _workflow_run,
    "issue_comment": _issue_comment,
    **dict.fromkeys(("deployment", "deployment_status"), _deployment),
}
