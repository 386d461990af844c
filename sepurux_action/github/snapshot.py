"""The GraphQL queries of the gate, and parsers of the responses. Source: https://docs.github.com/graphql/reference."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, starmap

from sepurux_action.common import json_reader
from sepurux_action.config import options
from sepurux_action.config.kinds import BOT_SUFFIX
from sepurux_action.config.policy import MAX_FILE_BYTES, misnamed
from sepurux_action.errors import ErrorDetails
from sepurux_action.evaluation import published_result
from sepurux_action.evaluation.drops import Baseline, BaselineResult
from sepurux_action.evaluation.enforcement import Reason, Refusal
from sepurux_action.evaluation.published_result import PreviousResult
from sepurux_action.github.event import Event, PullRequest, is_agent, parse_branch, parse_sha
from sepurux_action.github.permissions import Operation, error_paths, required_permission

RECENT_PULL_REQUESTS = 30  # some weeks of a team's work
PAGE = 100  # comments of one page, GitHub's largest
BASELINE_COMMITS = 50  # of the base branch's first-parent line that are searched for results
# On these events an approval starts another run only if the workflow runs on reviews too.
NEED_REVIEW_TRIGGER = frozenset({"pull_request", "pull_request_target"})
NO_BASE_COMMIT = "GitHub shows no base commit"
NO_TEXT_FILE = f"it is not a text file of at most {MAX_FILE_BYTES // 1024} KiB"
MAX_PAGES = 30  # pages of comments; GitHub itself allows 2,500 comments on a pull request

# One field for each commit of the line, and one more, because the line of a push begins at the evaluated commit. A
# list of the history would have all ancestors by date, so that one large merge fills it.
_LINE = tuple(f"base{steps}" for steps in range(BASELINE_COMMITS + 1))
_BASE_COMMIT = """
fragment baseCommit on GitObject {
  oid
  ... on Commit { status { contexts { context description targetUrl creator { __typename login } } } }
}"""
_QUERY = """
query ($owner: String!, $name: String!, $number: Int!, $withPull: Boolean!, $after: String,
       $evaluated: String!, $withEvaluated: Boolean!, $page: Int!,
       $policyAt: String!, $policy: String!, $policyYaml: String!, $withPolicy: Boolean!,
       $headPolicy: String!, $headPolicyYaml: String!, $withHead: Boolean!,
       $defaultPolicy: String!, $withDefault: Boolean!, $workflow: String!, $withWorkflow: Boolean!) {
  viewer { login }
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) @include(if: $withPull) {
      headRefOid baseRefName baseRefOid author { __typename login }
      commits(last: 1) { nodes { commit { oid committedDate ...statuses } } }
      comments(first: $page, after: $after) {
        nodes { fullDatabaseId viewerDidAuthor body url }
        pageInfo { hasNextPage endCursor }
      }
    }
    evaluated: object(expression: $evaluated) @include(if: $withEvaluated) {
      ... on Commit { oid committedDate ...statuses }
    }
    policyCommit: object(expression: $policyAt) @include(if: $withPolicy) { oid }
    policy: object(expression: $policy) @include(if: $withPolicy) { ...file }
    policyYaml: object(expression: $policyYaml) @include(if: $withPolicy) { __typename }
    headPolicy: object(expression: $headPolicy) @include(if: $withHead) { ...file }
    headPolicyYaml: object(expression: $headPolicyYaml) @include(if: $withHead) { __typename }
    defaultPolicy: object(expression: $defaultPolicy) @include(if: $withDefault) { __typename }
    workflow: object(expression: $workflow) @include(if: $withWorkflow) { ...file }
    %s
  }
}
fragment file on GitObject { __typename ... on Blob { text isTruncated } }
fragment statuses on Commit {
  status { contexts { context description targetUrl createdAt creator { __typename login } } }
}
"""

RECENT_RESULTS_QUERY = """
query ($owner: String!, $name: String!, $base: String!, $last: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequests(first: $last, baseRefName: $base, orderBy: {field: CREATED_AT, direction: DESC}) {
      nodes { commits(last: 1) { nodes { commit { status { contexts { context description } } } } } }
    }
  }
}
"""

MAX_UPDATES = 10  # merges of the base branch in a row, by GitHub, before whose commits the authors are looked for
_ANCESTORS = "...authored"
for _ in range(MAX_UPDATES):
    _ANCESTORS = f"...authored parents(first: 1) {{ nodes {{ {_ANCESTORS} }} }}"

REQUESTERS_QUERY = f"""
query ($owner: String!, $name: String!, $number: Int!, $withPull: Boolean!, $head: String!) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) @include(if: $withPull) {{
      assignees(first: {PAGE}) {{ nodes {{ login }} pageInfo {{ hasNextPage }} }}
    }}
    object(expression: $head) {{ ... on Commit {{ {_ANCESTORS} }} }}
  }}
}}
fragment authored on Commit {{
  committedViaWeb committer {{ user {{ login }} }} parents(first: 1) {{ totalCount }}
  authors(first: {PAGE}) {{ nodes {{ user {{ login }} }} pageInfo {{ hasNextPage }} }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment that the token's own account wrote. `id` is GitHub's, beyond 32 bits."""

    id: int
    body: str = field(repr=False)
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedStatus:
    """A status of a commit. `own`: this token's account set it. `created` is GitHub's time, in seconds, as a text.

    `id` is known from REST only, else 0.
    """

    context: str
    description: str = ""
    url: str = ""
    created: str = ""
    own: bool = False
    id: int = 0


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy file, without `text` if there is none. `error` says why it is not read, `details` how a call failed.

    `misnamed`: there is none, but one with `.yaml` in place of `.yml`.
    """

    text: str | None = None
    error: str = ""
    details: ErrorDetails | None = None
    misnamed: bool = False


def unread(details: ErrorDetails) -> PolicyFile:
    return PolicyFile(error=details.summary, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a pull request and its base, as one query returns it.

    `comments` are the account's own, the oldest first; `comments_known` is False if one of the pages read may lack a
    comment; `after` is the cursor of the next page, '' on the last one. `baselines` are by lower-case context, None if
    not all statuses of the base could be read; `base_commits` are those whose statuses are. `statuses` are the
    evaluated commit's, the newest of each context, None if not known, and `committed` is its POSIX time. `error` is
    why a part could not be read, and `denied` says which part. `account` is the token's login, with `[bot]` if it is a
    bot's. `has_default_policy`: a file is at the default path although `config` names another one. `workflow` is the
    text of the running workflow's file, '' if it was not read.
    """

    pull_request: PullRequest | None = None
    comments: tuple[Comment, ...] = ()
    comments_known: bool = True
    baselines: Mapping[str, Baseline] | None = None
    base_commits: frozenset[str] = frozenset()
    after: str = ""
    has_default_policy: bool = False
    statuses: tuple[PublishedStatus, ...] | None = None
    committed: float | None = None
    error: ErrorDetails | None = None
    denied: Operation | None = None
    account: str = ""
    policy: PolicyFile = field(default_factory=PolicyFile)
    head_policy: PolicyFile = field(default_factory=PolicyFile)
    workflow: str = field(default="", repr=False)


def policy_ref(event: Event) -> str:
    """Return the commit whose policy file applies to an event, or '' for the checkout (docs/configuration.md).

    Several pull requests into one branch may have different base commits, so the tip of the branch applies to them.
    """
    if event.base_sha:
        return event.base_sha
    if event.base_ref:
        return f"refs/heads/{event.base_ref}"
    from_default_branch = event.pull_request is not None or event.name in {"workflow_run", "issue_comment"}
    return "HEAD" if from_default_branch else ""


def reads_head(event: Event) -> bool:
    """Return whether the policy file of the evaluated commit is read too: that of a pull request or a merge group."""
    proposed = event.pull_request is not None or event.name == "merge_group"
    return bool(proposed and event.commit and policy_ref(event))


def snapshot_query(event: Event, *, with_base: bool) -> str:
    """Return the query, with the base's commits as literals: with variables it would be twice as long.

    JSON's escapes are those of GraphQL too: https://spec.graphql.org/October2021/#sec-String-Value.
    """
    base = f"refs/heads/{event.base_ref}" if event.base_ref else event.commit
    if not (with_base and base):
        return _QUERY % ""
    revisions = (json.dumps(f"{base}~{steps}", ensure_ascii=False) for steps in range(len(_LINE)))
    fields = (f"{name}: object(expression: {at}) {{...baseCommit}}" for name, at in zip(_LINE, revisions, strict=True))
    return _QUERY % "\n".join(fields) + _BASE_COMMIT


def snapshot_variables(event: Event, *, after: str = "", config: str = "") -> dict[str, object]:
    """Return the variables of the query. Without `config`, it reads no file and nothing of the evaluated commit."""
    owner, _, name = event.repository.partition("/")
    policy_at = policy_ref(event) if config else ""
    return {
        "owner": owner,
        "name": name,
        "number": event.pull_request or 0,
        "withPull": event.pull_request is not None,
        "after": after or None,
        "evaluated": event.commit,
        "withEvaluated": bool(config and event.commit),
        "page": PAGE,
        "policyAt": policy_at,
        "policy": f"{policy_at}:{config}",
        "policyYaml": f"{policy_at}:{misnamed(config)}",
        "withPolicy": bool(policy_at),
        "headPolicy": f"{event.commit}:{config}",
        "headPolicyYaml": f"{event.commit}:{misnamed(config)}",
        "withHead": bool(config) and reads_head(event),
        "defaultPolicy": f"{policy_at}:{options.CONFIG.default}",
        "withDefault": bool(policy_at) and config != options.CONFIG.default,
        "workflow": event.workflow_file,
        "withWorkflow": bool(config and event.workflow_file) and event.name in NEED_REVIEW_TRIGGER,
    }


def parse_snapshot(response: object, event: Event, error: ErrorDetails | None = None) -> Snapshot:
    """Return the snapshot in a response to the query; what has an unknown shape is left out.

    `error` is given if the response has errors. A file that could not be read is null, like one that does not exist, so
    an error counts. That of the workflow's file does not, because the report only lacks a hint without it.
    """
    repository = json_reader.as_object(json_reader.at(response, "data", "repository"))
    thread = json_reader.at(repository, "pullRequest", "comments")
    more, after = (json_reader.at(thread, "pageInfo", name) for name in ("hasNextPage", "endCursor"))
    line, readable = _first_parents(repository), bool(json_reader.as_object(repository.get("policyCommit")))
    viewer = json_reader.text(json_reader.at(response, "data", "viewer", "login"))
    committed = (json_reader.time(each.get("committedDate")) for each in _evaluated(repository, event.commit))
    snapshot = Snapshot(
        pull_request=_pull_request(json_reader.as_object(repository.get("pullRequest"))),
        comments=tuple(sorted(_own_comments(json_reader.at(thread, "nodes")), key=lambda comment: comment.id)),
        comments_known=_is_complete(thread),
        baselines=_baselines(line, event.commit, viewer) if viewer and line else None,
        base_commits=frozenset(parse_sha(each.get("oid")) for each in _before(line, event.commit)),
        after=json_reader.text(after) if more is True else "",
        has_default_policy=bool(json_reader.as_object(repository.get("defaultPolicy"))),
        statuses=_head_statuses(repository, event.commit, viewer),
        committed=next(committed, None),
        account=viewer,
        policy=_policy_file(repository.get("policy"), repository.get("policyYaml"), readable=readable),
        head_policy=_policy_file(repository.get("headPolicy"), repository.get("headPolicyYaml")),
        workflow=_policy_file(repository.get("workflow")).text or "",
    )
    given = list(json_reader.as_array(json_reader.at(response, "errors")))
    errors = [each for each, path in zip(given, error_paths(given), strict=True) if _part(path) != "workflow"]
    if error is None or (given and not errors):
        return snapshot
    # Beyond its limit, GitHub returns a part, and the path need not name each missing one.
    parts = {_EVERYTHING} if error.over_limit else set(map(_part, error_paths(errors))) or {_EVERYTHING}

    def failed(part: str) -> bool:
        return not parts.isdisjoint({part, _EVERYTHING})

    no_default = "defaultPolicy" in repository and not snapshot.has_default_policy
    no_policy = (failed("policy") and snapshot.policy.text is None) or (failed("defaultPolicy") and no_default)
    no_head = failed("headPolicy") and snapshot.head_policy.text is None
    no_statuses = not snapshot.statuses and (failed("evaluated") or failed("pullRequest"))
    no_pull = snapshot.pull_request is None and event.pull_request is not None
    of_base = Operation.RESULTS if required_permission(errors) else Operation.BASE
    return replace(
        snapshot,
        error=error,
        denied=Operation.READ if no_pull or "comments" in parts else of_base,
        comments_known=snapshot.comments_known and not failed("comments"),
        baselines=None if failed("base") else snapshot.baselines,
        policy=unread(error) if no_policy else snapshot.policy,
        head_policy=unread(error) if no_head else snapshot.head_policy,
        statuses=None if no_statuses else snapshot.statuses,
    )


def _pull_request(pull: Mapping[str, object]) -> PullRequest | None:
    if not pull:
        return None
    kind, author = (json_reader.text(json_reader.at(pull, "author", name)) for name in ("__typename", "login"))
    return PullRequest(
        head_sha=parse_sha(pull.get("headRefOid")),
        base_ref=parse_branch(pull.get("baseRefName")),
        base_sha=parse_sha(pull.get("baseRefOid")),
        author=author,
        by_agent=is_agent(kind, author),
    )


_EVERYTHING = ""
_PARTS = {
    "policyCommit": "policy",
    "policyYaml": "policy",
    "headPolicyYaml": "headPolicy",
    **dict.fromkeys(_LINE, "base"),
}


def _part(path: tuple[str, ...]) -> str:
    """Return the part that an error is about. One of the pull request or `evaluated` says nothing about other parts."""
    if path[:3] == ("repository", "pullRequest", "comments"):
        return "comments"
    return _PARTS.get(path[1], path[1]) if path[0:1] == ("repository",) and len(path) > 1 else _EVERYTHING


def _head_statuses(repository: Mapping[str, object], commit: str, account: str) -> tuple[PublishedStatus, ...] | None:
    """Return the newest status of each context of the evaluated commit; None if they were not read.

    A token without `contents: read` reads them through the pull request, if the commit is still its head.
    """
    known = (_statuses(each) for each in _evaluated(repository, commit))
    read = next((each for each in known if each is not None), None)
    return None if read is None else tuple(parse_status(each, account) for each in read)


def parse_status(raw: Mapping[str, object], account: str) -> PublishedStatus:
    """Return a status that GraphQL or REST shows; `account` is the login of this token, with `[bot]` if it is a bot's.

    The login of a bot ends with `[bot]` in REST, and not in GraphQL.
    """
    texts = {name: json_reader.text(raw.get(name)) for name in ("context", "description")}
    creator, number = raw.get("creator"), raw.get("id")
    suffix = BOT_SUFFIX if "Bot" in {json_reader.at(creator, name) for name in ("__typename", "type")} else ""
    login = json_reader.text(json_reader.at(creator, "login")).removesuffix(suffix) + suffix
    return PublishedStatus(
        **texts,
        url=json_reader.safe_url(json_reader.text(raw.get("targetUrl") or raw.get("target_url"))),
        created=json_reader.text(raw.get("createdAt") or raw.get("created_at")),
        own=bool(account) and login.lower() == account.lower(),
        id=number if isinstance(number, int) else 0,
    )


def _evaluated(repository: Mapping[str, object], commit: str) -> Iterator[Mapping[str, object]]:
    """Yield what was read of the evaluated commit: by its SHA, and as the pull request's head."""
    read = map(json_reader.as_object, [repository.get("evaluated"), *_heads(repository.get("pullRequest"))])
    return (each for each in read if each.get("oid") == commit)


def _statuses(commit: Mapping[str, object]) -> tuple[Mapping[str, object], ...] | None:
    """Return the statuses of a commit, () if its `status` is null; None if the shape is unknown, so they are unread."""
    status = commit.get("status", "")
    if status is None:
        return ()
    contexts = json_reader.as_object(status).get("contexts")
    statuses = tuple(map(json_reader.as_object, json_reader.as_array(contexts)))
    known = isinstance(contexts, list) and all(isinstance(each.get("context"), str) for each in statuses)
    return statuses if known else None


def _heads(pull: object) -> Iterator[Mapping[str, object]]:
    for node in json_reader.as_array(json_reader.at(pull, "commits", "nodes")):
        yield json_reader.as_object(json_reader.at(node, "commit"))


def parse_recent_results(response: object) -> tuple[Mapping[str, PreviousResult], ...]:
    """Return the newest results, by lower-case context, of each pull request."""
    pulls = json_reader.as_array(json_reader.at(response, "data", "repository", "pullRequests", "nodes"))
    return tuple(
        {
            str(status.get("context")).lower(): result
            for commit in _heads(pull)
            for status in _statuses(commit) or ()
            if (result := published_result.parse_description(status.get("description"))) and result.decision.is_decided
        }
        for pull in pulls
    )


def parse_requesters(response: object, *, of_pull: bool) -> tuple[Refusal, ...] | None:
    """Return the assignees, and the authors of the newest commit that is no update; None if someone may be missing.

    `of_pull`: the query asked for a pull request, which has the assignees.

    An update is a merge that someone made on GitHub's pages, so its author need not have asked for the changes.
    """
    repository = json_reader.at(response, "data", "repository")
    commit = json_reader.at(repository, "object")
    while _is_update(commit):
        commit = next(json_reader.as_array(json_reader.at(commit, "parents", "nodes")), None)
    assignees = _whole(json_reader.at(repository, "pullRequest", "assignees")) if of_pull else []
    authors = _whole(json_reader.at(commit, "authors"))
    if assignees is None or not authors:
        return None
    users = (json_reader.as_object(author).get("user", "") for author in authors)
    people = [(user, Reason.COMMIT_AUTHOR) for user in users if user is not None]  # null: the address of no person
    people += [(user, Reason.ASSIGNEE) for user in assignees]
    reasons = {json_reader.text(json_reader.at(user, "login")): reason for user, reason in people}
    return None if "" in reasons else tuple(starmap(Refusal, reasons.items()))


def _is_update(commit: object) -> bool:
    """Return whether GitHub's own account made a merge; GraphQL does not always name that account."""
    own = json_reader.at(commit, "committer", "user", "login") == "web-flow"
    own = own or json_reader.at(commit, "committedViaWeb") is True
    return own and json_reader.at(commit, "parents", "totalCount") != 1


def _whole(page: object) -> list[object] | None:
    nodes = json_reader.at(page, "nodes")
    return nodes if isinstance(nodes, list) and json_reader.at(page, "pageInfo", "hasNextPage") is False else None


def _policy_file(value: object, with_yaml: object = None, *, readable: bool = True) -> PolicyFile:
    """Return the file. If it is missing, that is an error unless the commit itself is `readable`."""
    if value is None and not readable:  # GitHub returns null for a commit that the token may not see, too
        return PolicyFile(error=NO_BASE_COMMIT, details=ErrorDetails(status=404))
    if value is None:
        return PolicyFile(misnamed=with_yaml is not None)
    blob = json_reader.as_object(value)
    text = blob.get("text")
    if blob.get("__typename") != "Blob" or not isinstance(text, str) or blob.get("isTruncated") is not False:
        return PolicyFile(error=NO_TEXT_FILE)
    return PolicyFile(text=text)


_BIG_INT = re.compile(r"[0-9]{1,19}\Z")  # GraphQL sends a BigInt as text


def _is_complete(thread: object) -> bool:
    """Return whether a page of comments has all comments, their authors, and the cursor of the next page."""
    nodes, more = json_reader.at(thread, "nodes"), json_reader.at(thread, "pageInfo", "hasNextPage")
    has_cursor = bool(json_reader.text(json_reader.at(thread, "pageInfo", "endCursor")))
    authored = (json_reader.at(node, "viewerDidAuthor") for node in json_reader.as_array(nodes))
    known = isinstance(nodes, list) and all(isinstance(each, bool) for each in authored)
    return known and (more is False or (more is True and has_cursor))


def _own_comments(nodes: object) -> Iterable[Comment]:
    for node in map(json_reader.as_object, json_reader.as_array(nodes)):
        number, body = node.get("fullDatabaseId"), node.get("body")
        number = int(number) if isinstance(number, str) and _BIG_INT.match(number) else number
        if node.get("viewerDidAuthor") is True and type(number) is int and isinstance(body, str):
            yield Comment(id=number, body=body, url=json_reader.safe_url(json_reader.text(node.get("url"))))


def _baselines(line: Iterable[Mapping[str, object]], evaluated: str, account: str) -> dict[str, Baseline]:
    """Return the decided results of each lower-case context that `account` published, the newest first.

    Only the first-parent line counts: a merged branch has results of commits that the base branch never was at. GitHub
    compares contexts without regard to case, so a commit has one result of each.
    """
    found: dict[str, list[BaselineResult]] = {}
    hidden = Counter[str]()
    for commit in _before(line, evaluated):
        statuses = (parse_status(each, account) for each in _statuses(commit) or ())
        for context, status in {each.context.lower(): each for each in statuses}.items():
            of_context = found.setdefault(context, [])
            result = published_result.parse_description(status.description) if status.own else None
            if result is None or not result.decision.is_decided:
                hidden[context] += 1
            else:
                of_context.append(BaselineResult(commit=parse_sha(commit.get("oid")), url=status.url, result=result))
    return {context: Baseline(tuple(results), hidden[context]) for context, results in found.items()}


def _before(line: Iterable[Mapping[str, object]], evaluated: str) -> Iterator[Mapping[str, object]]:
    return islice((commit for commit in line if commit.get("oid") != evaluated), BASELINE_COMMITS)


def _first_parents(repository: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
    """Return the commits of the base's first-parent line, from the tip on; () if a commit or its statuses are unread.

    Beyond the end of a short history, the commits are null. A branch that moved meanwhile may list a commit twice.
    """
    commits = [json_reader.as_object(repository.get(name)) for name in _LINE]
    listed = {sha: commit for commit in commits if (sha := parse_sha(commit.get("oid")))}
    length = next((steps for steps, commit in enumerate(commits) if not commit), len(commits))
    read = (parse_sha(commit.get("oid")) and _statuses(commit) is not None for commit in commits[:length])
    return tuple(listed.values()) if all(read) and not any(commits[length:]) else ()
