"""Owns what is asked of GitHub in one query, how its answer is read, and what a refusal means; never sends anything.

Sources: https://docs.github.com/graphql/reference; the permissions of each call,
https://docs.github.com/rest/authentication/permissions-required-for-github-apps
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sepurux_action.core import options, past, wire
from sepurux_action.core.address import safe_address
from sepurux_action.core.event import SHA, Event, PullRequest
from sepurux_action.core.options import CommentMode
from sepurux_action.core.past import PastResult

BASELINE_COMMITS = 20  # of the base branch that are looked through; contract, section 8
PAGE = 100  # comments of one page, GitHub's largest
MOST_PAGES = 30  # pages of comments; GitHub itself allows 2,500 comments on a pull request
LONGEST_MESSAGE = 200  # characters of GitHub's own words that a warning repeats
MOST_TARGETS_NAMED = 20  # of one warning

READ = """
query ($owner: String!, $name: String!, $number: Int!, $withPull: Boolean!, $after: String,
       $judged: String!, $withJudged: Boolean!,
       $base: String!, $withBase: Boolean!, $commits: Int!, $page: Int!,
       $policyAt: String!, $policy: String!, $withPolicy: Boolean!, $headPolicy: String!, $withHead: Boolean!,
       $defaultPolicy: String!, $withDefault: Boolean!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) @include(if: $withPull) {
      number headRefOid headRefName headRepository { nameWithOwner } baseRefName baseRefOid
      author { login } state
      commits(last: 1) { nodes { commit { oid status { contexts { context description } } } } }
      comments(first: $page, after: $after) {
        nodes { id fullDatabaseId viewerDidAuthor body url }
        pageInfo { hasNextPage endCursor }
      }
    }
    judged: object(expression: $judged) @include(if: $withJudged) {
      ... on Commit { oid status { contexts { context description } } }
    }
    policyCommit: object(expression: $policyAt) @include(if: $withPolicy) { oid }
    policy: object(expression: $policy) @include(if: $withPolicy) { ...file }
    headPolicy: object(expression: $headPolicy) @include(if: $withHead) { ...file }
    defaultPolicy: object(expression: $defaultPolicy) @include(if: $withDefault) { __typename }
    base: object(expression: $base) @include(if: $withBase) {
      ... on Commit {
        history(first: $commits) { nodes { oid status { contexts { context description } } } }
      }
    }
  }
}
fragment file on GitObject { __typename ... on Blob { text isTruncated } }
"""

LAST_PULLS = """
query ($owner: String!, $name: String!, $base: String!, $last: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequests(first: $last, baseRefName: $base, orderBy: {field: CREATED_AT, direction: DESC}) {
      nodes { number commits(last: 1) { nodes { commit { status { contexts { context description } } } } } }
    }
  }
}
"""


class State(StrEnum):
    """The state of a commit status, of those that the gate uses."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the gate appears on GitHub: `status_context` is the prefix of the contexts, `key` the comment's.

    A status links to `run_url` where there is no dashboard to link to.
    """

    comment: CommentMode = options.COMMENT.default_value
    key: str
    status: bool = options.STATUS.default_value
    status_context: str = options.STATUS_CONTEXT.default
    run_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment of our own. `id` is GitHub's number of it, beyond 32 bits."""

    id: int
    body: str = field(repr=False)
    url: str = ""


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy file as GitHub has it: its `text`, None where there is none; `trouble` says why it cannot be read."""

    text: str | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer of GitHub's that is no success. `status` is 0 for no answer; `accepted` is the header of that name.

    `late`: there is no time left to try again.
    """

    status: int = 0
    message: str = ""
    accepted: str = ""
    forbidden: bool = False
    limited: bool = False
    late: bool = False

    @property
    def of_the_token(self) -> bool:
        """Return whether the token may not make such a call at all, whatever the target."""
        return self.forbidden or self.status in {401, 410}

    @property
    def of_one_target(self) -> bool:
        """Return whether only the target of the call, or what was sent for it, was refused."""
        return not self.of_the_token and self.status in {404, 422}

    @property
    def of_every_target(self) -> bool:
        """Return whether a call for another target would be refused as well if it followed at once."""
        return self.of_the_token or self.limited or self.late

    @property
    def lasting(self) -> bool:
        """Return whether the same call would be refused again in this run."""
        return self.of_the_token or self.of_one_target

    @property
    def said(self) -> str:
        """Return what GitHub said, for a warning."""
        message = wire.shorten(wire.printable(self.message), LONGEST_MESSAGE).rstrip(". ")
        return " ".join(filter(None, [f"HTTP {self.status}" if self.status else "", message])) or "no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one read tells: the pull request as it is now, our own comments (the oldest first), the baselines.

    `comments_known` tells that no comment of the pages read is missing. `baselines` has the newest decided result of
    each context among the base's last commits. `after` is the cursor of the next page of comments, '' on the last one.
    `head_contexts` are those that the judged commit has a status of, with the descriptions; None if that is unknown.
    `refusal` is of a part that the token may not read, and `refused` says which. `policy` is the policy file at the
    commit that rules, `head_policy` the one at the pull request's head; `has_default_policy` tells, where `config`
    names another file, that the usual one is there all the same.
    """

    pull_request: PullRequest | None = None
    comments: tuple[Comment, ...] = ()
    comments_known: bool = True
    baselines: Mapping[str, PastResult] = field(default_factory=dict)
    after: str = ""
    has_default_policy: bool = False
    head_contexts: Mapping[str, str] | None = None
    refusal: Refusal | None = None
    refused: Deed | None = None
    policy: PolicyFile = field(default_factory=PolicyFile)
    head_policy: PolicyFile = field(default_factory=PolicyFile)


def policy_commit(event: Event) -> str:
    """Return the commit whose policy file rules an event, '' where the checkout's does (contract, section 5).

    Several pull requests into one branch may have different base commits, so the branch's tip counts for them.
    """
    if event.base_sha:
        return event.base_sha
    if event.base_ref:
        return f"refs/heads/{event.base_ref}"
    asked = event.pull_request is not None or event.name in {"workflow_run", "issue_comment"}
    return "HEAD" if asked else ""


def read_variables(event: Event, *, after: str = "", with_base: bool, config: str = "") -> dict[str, object]:
    """Return the variables of READ, for an event whose repository is known; `config` is the policy's path, or ''."""
    owner, _, name = event.repository.partition("/")
    ruling = policy_commit(event) if config else ""
    changes = bool(ruling and event.pull_request is not None and event.commit)
    base = f"refs/heads/{event.base_ref}" if event.base_ref else event.commit
    return {
        "owner": owner,
        "name": name,
        "number": event.pull_request or 0,
        "withPull": event.pull_request is not None,
        "after": after or None,
        "judged": event.commit,
        "withJudged": with_base and bool(event.commit),
        "base": base,
        "withBase": with_base and bool(base),
        "commits": BASELINE_COMMITS + 1,  # one may be the judged commit itself
        "page": PAGE,
        "policyAt": ruling,
        "policy": f"{ruling}:{config}",
        "withPolicy": bool(ruling),
        "headPolicy": f"{event.commit}:{config}",
        "withHead": changes,
        "defaultPolicy": f"{ruling}:{options.CONFIG.default}",
        "withDefault": bool(ruling) and config != options.CONFIG.default,
    }


def read_look(data: object, event: Event) -> Look:
    """Return what an answer to READ tells; whatever is missing or odd in it is not there."""
    repository = wire.fields(wire.fields(data).get("repository"))
    pull = wire.fields(repository.get("pullRequest"))
    thread = wire.fields(pull.get("comments"))
    page = wire.fields(thread.get("pageInfo"))
    history = wire.fields(wire.fields(repository.get("base")).get("history"))
    commits = [wire.fields(commit) for commit in wire.items(history.get("nodes"))]
    return Look(
        pull_request=_pull_request(pull) if pull else None,
        comments=tuple(sorted(_own(thread.get("nodes")), key=lambda comment: comment.id)),
        comments_known=_is_whole(thread),
        baselines=_baselines(commit for commit in commits if commit.get("oid") != event.commit),
        after=wire.text(page.get("endCursor")) if page.get("hasNextPage") is True else "",
        has_default_policy=bool(wire.fields(repository.get("defaultPolicy"))),
        head_contexts=_contexts(repository, event.commit),
        policy=_policy_file(repository.get("policy"), readable=bool(wire.fields(repository.get("policyCommit")))),
        head_policy=_policy_file(repository.get("headPolicy"), readable=True),
    )


def read_partly(answer: object, event: Event, refusal: Refusal) -> Look:
    """Return what an answer to READ tells beside GraphQL's errors; their paths tell which part was refused.

    A file that could not be read comes as null, as one that is not there does: that is trouble with the file.
    """
    parts = wire.fields(answer)
    look = read_look(parts.get("data"), event)
    paths = _paths(parts.get("errors"))
    failed = {path[1] if len(path) > 1 else "" for path in paths}
    no_comments = any(path[: len(_COMMENTS)] == _COMMENTS for path in paths)
    if no_comments or (look.pull_request is None and event.pull_request is not None):
        refused = Deed.READ
    else:
        refused = Deed.RESULTS if accepted(parts.get("errors")) else Deed.BASE
    known = look.comments_known and not no_comments and () not in paths
    look = replace(look, refusal=refusal, refused=refused, comments_known=known)
    trouble = PolicyFile(trouble="GitHub's answer did not contain it")
    asked = "defaultPolicy" in wire.fields(wire.fields(parts.get("data")).get("repository"))
    hidden = "defaultPolicy" in failed or ("" in failed and asked and not look.has_default_policy)
    if hidden or (failed & {"", "policy", "policyCommit"} and look.policy.text is None):
        look = replace(look, policy=trouble)
    if failed & {"", "headPolicy"} and look.head_policy.text is None:
        look = replace(look, head_policy=trouble)
    if not look.head_contexts and any(path[-1:] == ("status",) for path in _paths(parts.get("errors"))):
        look = replace(look, head_contexts=None)
    return look


def accepted(errors: object) -> str:
    """Return the permission that GraphQL's errors ask for, as the header of REST has it; '' where that is not clear.

    Statuses have a permission of their own, whatever they hang on.
    """
    return "statuses=read" if {path[-1:] for path in _paths(errors)} == {("status",)} else ""


def _paths(errors: object) -> list[tuple[str, ...]]:
    return [tuple(map(wire.text, wire.items(wire.fields(error).get("path")))) for error in wire.items(errors)]


def _contexts(repository: Mapping[str, object], commit: str) -> dict[str, str] | None:
    """Return context and description of each status of the judged commit, None if the commit was not read.

    A token without `contents: read` reads them through the pull request, if the commit is still its head.
    """
    pull = wire.fields(repository.get("pullRequest"))
    heads = wire.items(wire.fields(pull.get("commits")).get("nodes"))
    read = map(wire.fields, [repository.get("judged"), *(wire.fields(head).get("commit") for head in heads)])
    commits = [each for each in read if each.get("oid") == commit]
    statuses = [map(wire.fields, wire.items(wire.fields(each.get("status")).get("contexts"))) for each in commits]
    found = {wire.text(each.get("context")): wire.text(each.get("description")) for of in statuses for each in of}
    return found if commits else None


def read_last_results(data: object) -> tuple[Mapping[str, PastResult], ...]:
    """Return the newest results, by lower-case context, of each of the last pull requests, the newest first."""
    pulls = wire.fields(wire.fields(wire.fields(data).get("repository")).get("pullRequests"))
    results = []
    for pull in map(wire.fields, wire.items(pulls.get("nodes"))):
        heads = wire.items(wire.fields(pull.get("commits")).get("nodes"))
        results.append(_baselines(wire.fields(wire.fields(head).get("commit")) for head in heads))
    return tuple(results)


def _policy_file(value: object, *, readable: bool) -> PolicyFile:
    """Return the file; "there is none" is believed only where the commit itself can be read."""
    blob = wire.fields(value)
    if not blob:
        return PolicyFile() if readable else PolicyFile(trouble="the base commit cannot be read")
    text = blob.get("text")
    if blob.get("__typename") != "Blob" or not isinstance(text, str) or blob.get("isTruncated") is not False:
        return PolicyFile(trouble="it is no text file, or too large")
    return PolicyFile(text=text)


def _pull_request(pull: Mapping[str, object]) -> PullRequest:
    number = wire.number(pull.get("number"), low=1, whole=True).value
    return PullRequest(
        number=None if number is None else int(number),
        head_sha=_sha(pull.get("headRefOid")),
        head_repository=wire.text(wire.fields(pull.get("headRepository")).get("nameWithOwner")),
        head_branch=wire.text(pull.get("headRefName")),
        base_ref=wire.text(pull.get("baseRefName")),
        base_sha=_sha(pull.get("baseRefOid")),
        author=wire.text(wire.fields(pull.get("author")).get("login")),
        open=pull.get("state") == "OPEN",
    )


def _sha(value: object) -> str:
    return value if isinstance(value, str) and SHA.match(value) else ""


_BIG_INT = re.compile(r"[0-9]{1,19}\Z")  # GraphQL's BigInt comes as text

_COMMENTS = ("repository", "pullRequest", "comments")


def _is_whole(thread: Mapping[str, object]) -> bool:
    """Return whether a page of comments lacks nothing: no comment, no author, no cursor of the next page."""
    nodes, page = thread.get("nodes"), wire.fields(thread.get("pageInfo"))
    more = page.get("hasNextPage")
    last = more is False or (more is True and bool(wire.text(page.get("endCursor"))))
    authored = (wire.fields(node).get("viewerDidAuthor") for node in wire.items(nodes))
    return last and isinstance(nodes, list) and all(isinstance(each, bool) for each in authored)


def _own(nodes: object) -> Iterable[Comment]:
    for node in map(wire.fields, wire.items(nodes)):
        number, body = node.get("fullDatabaseId"), node.get("body")
        number = int(number) if isinstance(number, str) and _BIG_INT.match(number) else number
        if node.get("viewerDidAuthor") is True and type(number) is int and isinstance(body, str):
            yield Comment(id=number, body=body, url=safe_address(wire.text(node.get("url"))))


def _baselines(commits: Iterable[Mapping[str, object]]) -> dict[str, PastResult]:
    newest: dict[str, PastResult] = {}
    for commit in commits:
        for status in map(wire.fields, wire.items(wire.fields(commit.get("status")).get("contexts"))):
            context, result = status.get("context"), past.read_description(status.get("description"))
            if isinstance(context, str) and result is not None and result.decided:
                newest.setdefault(context.lower(), result)
    return newest


# -- refusals ---------------------------------------------------------------------------------------------------------


class Deed(StrEnum):
    """What the gate wants of GitHub; the text completes "Could not ..."."""

    FIND = "find the pull request of this run"
    READ = "read the pull request and the base branch"
    BASE = "read the base branch"
    RESULTS = "read what the base branch decided last"
    STATUS = "set the commit status"
    COMMENT = "write the comment"
    FILES = "read which files the pull request changes"
    REVIEWS = "read the reviews"
    ASK = "ask for a review"
    RULES = "read the branch's rules"
    PULLS = "read the results of the last pull requests"


@dataclass(frozen=True, slots=True)
class Need:
    """What a deed needs of the job's token; `permission` is a line of `permissions:`, `when` tells who comes to it."""

    permission: str
    when: str


# Source: GitHub's list of permissions by call; see the module's docstring.
NEEDS: Mapping[Deed, Need] = {
    Deed.BASE: Need("contents: read", "always: for the policy file and the base's last commits"),
    Deed.RULES: Need("contents: read", "a `hard` gate on a pull request"),
    Deed.FIND: Need("pull-requests: read", "the event holds no pull request, as a push; without it nothing is judged"),
    Deed.READ: Need("pull-requests: read", "there is a pull request"),
    Deed.FILES: Need("pull-requests: read", "a gate has `paths`"),
    Deed.REVIEWS: Need("pull-requests: read", "a `soft` gate failed"),
    Deed.PULLS: Need("pull-requests: read", "an `observe` or `soft` gate on a pull request"),
    Deed.COMMENT: Need("pull-requests: write", "unless `comment: never`"),
    Deed.ASK: Need("pull-requests: write", "a `soft` gate with `reviewers` failed"),
    Deed.RESULTS: Need("statuses: read", "always; `statuses: write` holds it"),
    Deed.STATUS: Need("statuses: write", "unless `status: false`"),
}
VERDICT_STANDS = "The verdict and the exit status stand."
MAY_STAND = "Where the policy file was read, the verdict and the exit status stand."
NOTHING_JUDGED = "Without it nothing is judged, and the gate blocks in every stage."


def explain(deed: Deed, refusal: Refusal, event: Event, targets: Sequence[str] = ()) -> str:
    """Return the one warning about a refusal: what was not done, for whom, what GitHub said, what to change."""
    said = refusal.said
    if targets:
        more = len(targets) - MOST_TARGETS_NAMED
        named = [*targets[:MOST_TARGETS_NAMED], *([f"{more} more"] if more > 0 else [])]
        said = f"{wire.printable(', '.join(named))}: {said}"
    stands = {Deed.READ: MAY_STAND, Deed.BASE: MAY_STAND, Deed.FIND: NOTHING_JUDGED}.get(deed, VERDICT_STANDS)
    return f"Could not {deed} ({said}). {_advice(deed, refusal, event)} {stands}"


def _advice(deed: Deed, refusal: Refusal, event: Event) -> str:
    message = refusal.message.lower()
    if "archived" in message:
        return "The repository is archived and takes no writes."
    if "locked" in message:
        return "The conversation is locked: unlock it, or set `comment: never`."
    if refusal.limited:
        return "GitHub's rate limit is used up: run again later."
    if refusal.forbidden:
        return _permission(deed, refusal, event)
    match refusal.status:
        case 401:
            return "`github_token` is not valid any more: leave it out, so that the job's own token is used."
        case 404:
            return f"The token cannot see it, or it is gone: give the job `{NEEDS[deed].permission}`."
        case 410:
            return "It is switched off in this repository."
        case 422:
            return "GitHub did not accept what was sent."
        case _:
            return "GitHub did not take it; run again to publish it."


def _permission(deed: Deed, refusal: Refusal, event: Event) -> str:
    need = NEEDS[deed].permission
    if need.endswith("write") and event.fork and event.name in {"pull_request", "pull_request_review"}:
        return (
            "The token of a pull request from a fork can only read: "
            "judge such pull requests in a `workflow_run` workflow, or set `comment: never` and `status: false`."
        )
    needed = _accepted(refusal.accepted) or f"`{need}`"
    whose = " (Dependabot's token reads only unless the job says so)" if event.dependabot else ""
    return f"Give the job {needed} under `permissions:`{whose}."


_PERMISSION = re.compile(r"\b([a-z_]{1,40})=(read|write|admin)\b")


def _accepted(header: str) -> str:
    """Return the permissions that `x-accepted-github-permissions` names: `issues=write; pull_requests=write`."""
    ways = filter(None, map(_PERMISSION.findall, header.split(";")))
    return " or ".join(" and ".join(f"`{name.replace('_', '-')}: {level}`" for name, level in pairs) for pairs in ways)
