"""The GraphQL queries to GitHub, and what their responses say: the commit, the base branch, and the pull request."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from sepurux_action.common import grouped, json_reader
from sepurux_action.config.settings import CONTEXT_PREFIX, MAX_FILE_BYTES, MISNAMED_PATH, POLICY_PATH, Gate
from sepurux_action.errors import Problem
from sepurux_action.evaluation.results import Result, Results, comparable, parse_description
from sepurux_action.github.client import MAX_PAGES, PAGE, UNEXPECTED_SHAPE, Client, GitHubError
from sepurux_action.github.event import Event, encoded, parse_branch, parse_sha

NO_TEXT_FILE = f"it is not a text file of at most {MAX_FILE_BYTES // 1024} KiB"
UNREADABLE_FILE = "Make it a text file that the gate can read."
BOT_SUFFIX = "[bot]"
PERSON = "User"  # GitHub's type for an account that is neither a bot nor an app
CONFIGURED_BOTS = frozenset({"dependabot", "renovate"})  # whose assignees come from a configuration
RECENT_PULL_REQUESTS = 30  # some weeks of a team's work
BASELINE_COMMITS = 50  # of the base branch's first-parent line that are searched for results

_REPOSITORY = "repository(owner: $owner, name: $name) {{ {} {} }}"
_QUERY = "query {}($owner: String!, $name: String!) {{ viewer {{ login }} " + _REPOSITORY + " }}"
_FILE = "__typename ... on Blob { text isTruncated }"
# One field for each commit of the line, and one more, because the line of a push begins at the evaluated commit. A
# list of the history would have all ancestors by date, so that one large merge fills it.
_LINE = tuple(f"base{steps}" for steps in range(BASELINE_COMMITS + 1))
_BASE_COMMIT = """
fragment baseCommit on GitObject {
  oid
  ... on Commit { status { contexts { context description targetUrl creator { __typename login } } } }
}"""
_RECENT = """
query recent($owner: String!, $name: String!, $base: String!, $last: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequests(first: $last, baseRefName: $base, orderBy: {field: CREATED_AT, direction: DESC}) {
      nodes { commits(last: 1) { nodes { commit { status { contexts { context description } } } } } }
    }
  }
}
"""
_REQUESTERS = f"""
query requesters($owner: String!, $name: String!, $number: Int!, $head: String!) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{ assignees(first: {PAGE}) {{ nodes {{ login }} pageInfo {{ hasNextPage }} }} }}
    object(expression: $head) {{
      ... on Commit {{ ...authored parents(first: 1) {{ totalCount nodes {{ ...authored }} }} }}
    }}
  }}
}}
fragment authored on Commit {{
  committedViaWeb committer {{ user {{ login }} }}
  authors(first: {PAGE}) {{ nodes {{ user {{ login }} }} pageInfo {{ hasNextPage }} }}
}}
"""
_PULL_REQUEST = f"""
query pull($owner: String!, $name: String!, $number: Int!, $after: String) {{
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{
      headRefOid author {{ __typename login }}
      comments(first: {PAGE}, after: $after) {{
        nodes {{ fullDatabaseId viewerDidAuthor body url }}
        pageInfo {{ hasNextPage endCursor }}
      }}
    }}
  }}
}}
"""
_BIG_INT = re.compile(r"[0-9]{1,19}\Z")  # GraphQL sends a BigInt as text

PolicyFile = str | Problem | None  # its text, or why it cannot be used, or None if there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A status of a commit. `own`: this token's account set it. GraphQL has no `state` here, and no `id`: 0."""

    context: str
    state: str = ""
    description: str = ""
    url: str = ""  # where it links to
    own: bool = False
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a run is about: its event, and what GitHub shows of it before the evaluation.

    `account` is the token's login, with `[bot]` if it is a bot's. `committed` is the evaluated commit's POSIX time.
    `base` is the commit whose policy applies. `required` are the contexts that the branch protection of the base branch
    requires, None if they could not be read.
    `results` are those on the base branch by lower-case context: None if not all could be read, or why a call failed.
    """

    event: Event = field(default_factory=Event)
    account: str = ""
    default_branch: str = ""
    committed: float | None = None
    base: str = ""
    policy: PolicyFile = None
    head_policy: PolicyFile = None
    required: tuple[str, ...] | None = ()
    results: Mapping[str, Results] | GitHubError | None = None

    def context_of(self, gate: str) -> str:
        return f"{CONTEXT_PREFIX}{gate}{self.suffix}"

    @property
    def suffix(self) -> str:
        """Return the end of each context: none for the default branch. No branch is named like a tag's."""
        event = self.event
        branch = encoded(event.base_ref or event.head_branch) or "no branch"
        if event.tag:
            branch = f"tag: {encoded(event.tag)}"
        return "" if branch == encoded(self.default_branch) else f" ({branch})"

    def baseline(self, gate: Gate) -> Results | None:
        if self.results is None or isinstance(self.results, GitHubError):
            return None
        return comparable(self.results.get(self.context_of(gate.name).lower(), ()), gate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment that the token's own account wrote. `id` is GitHub's, beyond 32 bits."""

    id: int
    body: str = field(repr=False)
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request, and the token's own comments on it. `by_agent`: see `read_requesters`."""

    head: str
    author: str
    by_agent: bool
    comments: tuple[Comment, ...]


def read_commit(event: Event, client: Client) -> Subject:
    """Return what one query shows of the evaluated commit, and of the one whose policy applies: the base's, if any."""
    base_ref = event.base_ref and f"refs/heads/{event.base_ref}"
    at = event.base_sha or base_ref or event.commit
    fields = {"evaluated": (event.commit, "oid ... on Commit { committedDate }"), "policyCommit": (at, "oid")}
    for name, revision in (("policy", at), ("headPolicy", event.commit)):
        fields[name] = f"{revision}:{POLICY_PATH}", _FILE
        fields[f"{name}Yaml"] = f"{revision}:{MISNAMED_PATH}", "__typename"
    more = "defaultBranchRef { name }"
    if base_ref:
        name = json.dumps(base_ref, ensure_ascii=False)
        more += f" baseRef: ref(qualifiedName: {name}) {{ refUpdateRule {{ requiredStatusCheckContexts }} }}"
    response = client.query(
        _QUERY.format("commit", more, _objects(fields)), may_fail="baseRef"
    )  # without it, there is no advice
    repository = json_reader.as_object(response, "data", "repository")
    evaluated, base = repository.get("evaluated"), parse_sha(json_reader.at(repository, "policyCommit", "oid"))
    if not base or json_reader.at(evaluated, "oid") != event.commit:  # null also for what the token may not see
        raise GitHubError("GitHub does not show the commit", status=404)
    required = json_reader.at(repository, "baseRef", "refUpdateRule", "requiredStatusCheckContexts")
    contexts = filter(None, map(json_reader.text, json_reader.as_array(required)))
    return Subject(
        event=event,
        account=json_reader.text(response, "data", "viewer", "login"),
        default_branch=parse_branch(json_reader.at(repository, "defaultBranchRef", "name")),
        committed=json_reader.time(json_reader.at(evaluated, "committedDate")),
        base=base,
        policy=_policy_file(repository, "policy"),
        head_policy=_policy_file(repository, "headPolicy"),
        required=None if "errors" in json_reader.as_object(response) else tuple(contexts),
    )


def _objects(fields: Mapping[str, tuple[str, str]]) -> str:
    """Return a part of a query for objects of the repository: of each field, the revision and what is read.

    A revision is a literal. JSON's escapes are those of GraphQL: https://spec.graphql.org/October2021/#sec-String-Value.
    """
    quoted = ((name, json.dumps(at, ensure_ascii=False), shape) for name, (at, shape) in fields.items())
    return "\n".join(f"{name}: object(expression: {at}) {{ {shape} }}" for name, at, shape in quoted)


def _policy_file(repository: Mapping[str, object], name: str) -> PolicyFile:
    value = repository.get(name)
    if value is None:
        return misnamed(MISNAMED_PATH) if repository.get(f"{name}Yaml") is not None else None
    blob = json_reader.as_object(value)
    text = blob.get("text")
    if blob.get("__typename") != "Blob" or not isinstance(text, str) or blob.get("isTruncated") is not False:
        return Problem("", f"{NO_TEXT_FILE}. {UNREADABLE_FILE}", POLICY_PATH, 1)
    return text


def unreadable(why: str, step: str, where: str = f"`{POLICY_PATH}`") -> Problem:
    return Problem(where, f"the policy could not be read: {why}. {step}")


def misnamed(path: str) -> Problem:
    name = POLICY_PATH.rpartition("/")[2]
    return Problem("", f"the gate does not read a file with this name; rename it to `{name}`", path, 1)


def _statuses(commit: object, account: str) -> tuple[Status, ...] | None:
    """Return the statuses of a commit, () if its `status` is null; None if the shape is unknown, so they are unread."""
    status = json_reader.as_object(commit).get("status", "")
    if status is None:
        return ()
    contexts = json_reader.at(status, "contexts")
    statuses = tuple(map(json_reader.as_object, json_reader.as_array(contexts)))
    if not isinstance(contexts, list) or not all(isinstance(each.get("context"), str) for each in statuses):
        return None
    return tuple(parse_status(each, account) for each in statuses)


def parse_status(raw: Mapping[str, object], account: str) -> Status:
    """Return a status of GraphQL or REST. Only in REST, and in `account`, the login of a bot ends with `[bot]`."""
    creator, number = raw.get("creator"), raw.get("id")
    login = json_reader.text(creator, "login")
    if "Bot" in [json_reader.at(creator, name) for name in ("__typename", "type")]:
        login = login.removesuffix(BOT_SUFFIX) + BOT_SUFFIX
    return Status(
        context=str(raw.get("context") or ""),  # as it was set, because it is compared with what this run sets
        description=json_reader.text(raw.get("description")),
        url=json_reader.safe_url(raw.get("targetUrl") or raw.get("target_url")),
        own=bool(account) and login.lower() == account.lower(),
        id=number if isinstance(number, int) else 0,
    )


def read_base(event: Event, contexts: set[str], client: Client) -> Mapping[str, Results] | None:
    """Return the results of the lower-case `contexts` on the base branch, without those of the evaluated commit.

    Only the first-parent line counts: a merged branch has results of commits that the base branch never was at. Beyond
    the end of a short history, the commits are null. A branch that moved meanwhile may list a commit twice. Without the
    token's account, or if a commit or its statuses are unread, no result is known. GraphQL shows the newest status of a
    context alone. If it is no result of the account, all statuses of the commit are read.
    """
    base = f"refs/heads/{event.base_ref}" if event.base_ref else event.commit
    fields = {name: (f"{base}~{steps}", "...baseCommit") for steps, name in enumerate(_LINE)}
    response = client.query(_QUERY.format("base", "", _objects(fields)) + _BASE_COMMIT)
    account = json_reader.text(response, "data", "viewer", "login")
    commits = [json_reader.as_object(response, "data", "repository", name) for name in _LINE]
    length = next((steps for steps, commit in enumerate(commits) if not commit), len(commits))
    line = {parse_sha(commit.get("oid")): _statuses(commit, account) for commit in commits[:length]}
    if not (account and line) or any(commits[length:]) or "" in line or None in line.values():
        return None
    found: dict[str, list[Result]] = {}
    for sha in [each for each in line if each != event.commit][:BASELINE_COMMITS]:
        newest = {each.context.lower(): each for each in line[sha] or ()}
        for context in contexts & newest.keys():
            every = (parse_status(each, account) for each in client.pages(f"commits/{sha}/statuses"))
            older = (each for each in every if each.context.lower() == context)
            for status in chain([newest[context]], older):
                result = parse_description(status.description)
                if status.own and result and result.decision.is_decided:
                    found.setdefault(context, []).append(replace(result, url=status.url, commit=sha))
                    break
    return {context: tuple(results) for context, results in found.items()}


def read_recent_results(base: str, client: Client) -> Mapping[str, list[Result]]:
    """Return the newest results of pull requests to a base branch, one of each, by lower-case context."""
    response = client.query(_RECENT, {"base": base, "last": RECENT_PULL_REQUESTS})
    pulls = json_reader.as_array(response, "data", "repository", "pullRequests", "nodes")
    nodes = (node for pull in pulls for node in json_reader.as_array(pull, "commits", "nodes"))
    statuses = (each for node in nodes for each in _statuses(json_reader.at(node, "commit"), "") or ())
    results = ((each.context.lower(), parse_description(each.description)) for each in statuses)
    return grouped((context, result) for context, result in results if result)


def read_requesters(pull: PullRequest, number: int | None, head: str, client: Client) -> frozenset[str]:
    """Return the lower-case logins of who made the change, or asked a bot for it; raises GitHubError if one is unknown.

    That is the author of the pull request, that of the head commit, and if the first is a bot, the co-authors and the
    assignees too. Of a merge that GitHub made, the first parent counts; GraphQL does not always name GitHub's account.
    """
    response = client.query(_REQUESTERS, {"head": head, "number": number})
    repository = json_reader.at(response, "data", "repository")
    commit = json_reader.at(repository, "object")
    by_github = json_reader.at(commit, "committer", "user", "login") == "web-flow"
    by_github = by_github or json_reader.at(commit, "committedViaWeb") is True
    if by_github and json_reader.at(commit, "parents", "totalCount") != 1:
        commit = next(iter(json_reader.as_array(commit, "parents", "nodes")), None)
    assignees = _whole(json_reader.at(repository, "pullRequest", "assignees"))
    authors = _whole(json_reader.at(commit, "authors"))
    if assignees is None or not authors:
        raise GitHubError(UNEXPECTED_SHAPE)
    if not pull.by_agent:
        assignees, authors = [], authors[:1]
    users = (json_reader.as_object(author).get("user", "") for author in authors)
    people = [*(user for user in users if user is not None), *assignees]  # null: the address of no person
    logins = {json_reader.text(user, "login").lower() for user in people}
    if "" in logins:
        raise GitHubError(UNEXPECTED_SHAPE)
    return frozenset({*logins, pull.author.lower()})


def _whole(page: object) -> list[object] | None:
    nodes = json_reader.at(page, "nodes")
    return nodes if isinstance(nodes, list) and json_reader.at(page, "pageInfo", "hasNextPage") is False else None


def read_pull_request(number: int | None, client: Client) -> PullRequest:
    """Return a pull request with all own comments; raises GitHubError if it is not whole."""
    after, own = "", list[Comment]()
    for _ in range(MAX_PAGES):
        response = client.query(_PULL_REQUEST, {"number": number, "after": after or None})
        pull = json_reader.at(response, "data", "repository", "pullRequest")
        nodes, page = json_reader.at(pull, "comments", "nodes"), json_reader.at(pull, "comments", "pageInfo")
        head, more = parse_sha(json_reader.at(pull, "headRefOid")), json_reader.at(page, "hasNextPage")
        after = json_reader.text(page, "endCursor") if more is True else ""
        if not (isinstance(nodes, list) and head and (after or more is False)):
            raise GitHubError(UNEXPECTED_SHAPE)
        for node in map(json_reader.as_object, nodes):
            is_own, own_id, body = (node.get(name) for name in ("viewerDidAuthor", "fullDatabaseId", "body"))
            if not isinstance(is_own, bool):
                raise GitHubError(UNEXPECTED_SHAPE)
            if is_own and isinstance(own_id, str) and _BIG_INT.match(own_id) and isinstance(body, str):
                own.append(Comment(id=int(own_id), body=body, url=json_reader.safe_url(node.get("url"))))
        if not after:
            author, kind = json_reader.text(pull, "author", "login"), json_reader.at(pull, "author", "__typename")
            by_agent = kind != PERSON and author.removesuffix(BOT_SUFFIX) not in CONFIGURED_BOTS
            return PullRequest(head=head, author=author, by_agent=by_agent, comments=tuple(own))
    raise GitHubError(UNEXPECTED_SHAPE)  # GitHub allows fewer comments
