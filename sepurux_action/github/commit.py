"""What GitHub shows of commits: policy files, the statuses of the evaluated commit, and who made it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import starmap

from sepurux_action.common import json_reader
from sepurux_action.config.parsers import BOT_SUFFIX
from sepurux_action.config.settings import MAX_FILE_BYTES, MISNAMED_PATH, POLICY_PATH
from sepurux_action.errors import ErrorDetails
from sepurux_action.evaluation.decision import Reason, Refusal
from sepurux_action.github.event import Event, parse_branch, parse_sha
from sepurux_action.github.permissions import failed_fields
from sepurux_action.github.snapshot import PAGE

NO_TEXT_FILE = f"it is not a text file of at most {MAX_FILE_BYTES // 1024} KiB"
MAY_FAIL = frozenset({"evaluated", "baseRef"})  # without the statuses there is another call, without rules no advice

_FILE = "__typename ... on Blob { text isTruncated }"
_STATUSES = """... on Commit {
      oid committedDate
      status { contexts { context description targetUrl createdAt creator { __typename login } } }
    }"""

REQUESTERS_QUERY = f"""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedStatus:
    """A status of a commit. `own`: this token's account set it. `created` is GitHub's time. GraphQL has no `id`: 0."""

    context: str
    description: str = ""
    url: str = ""
    created: str = ""
    own: bool = False
    id: int = field(default=0, compare=False)


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
class Commit:
    """What one query shows of the evaluated commit and of the one whose policy applies.

    `account` is the token's login, with `[bot]` if it is a bot's. `statuses` are the newest of each context, None if
    not known, and `committed` is the commit's POSIX time. `base` is the commit whose policy applies.
    `required` are the contexts that the branch protection of the base branch requires, None if they could not be read.
    """

    account: str = ""
    default_branch: str = ""
    statuses: tuple[PublishedStatus, ...] | None = None
    committed: float | None = None
    base: str = ""
    policy: PolicyFile = field(default_factory=PolicyFile)
    head_policy: PolicyFile = field(default_factory=PolicyFile)
    required: tuple[str, ...] | None = ()


def policy_ref(event: Event) -> str:
    """Return the commit whose policy file applies.

    It is the base of a merge group, the newest one of the base branch of a pull request, else the evaluated one.
    """
    base = event.base_ref and f"refs/heads/{event.base_ref}"
    return event.base_sha or base or event.commit


def commit_query(event: Event) -> str:
    """Return the query for what `parse_commit` reads."""
    at = policy_ref(event)
    fields = {"evaluated": (event.commit, _STATUSES), "policyCommit": (at, "oid")}
    for name, revision in (("policy", at), ("headPolicy", event.commit)):
        fields[name] = f"{revision}:{POLICY_PATH}", _FILE
        fields[f"{name}Yaml"] = f"{revision}:{MISNAMED_PATH}", "__typename"
    more = "defaultBranchRef { name }"
    if event.base_ref:
        base = json.dumps(f"refs/heads/{event.base_ref}", ensure_ascii=False)
        more += f" baseRef: ref(qualifiedName: {base}) {{ refUpdateRule {{ requiredStatusCheckContexts }} }}"
    return query_of("commit", fields, more)


def query_of(query: str, fields: Mapping[str, tuple[str, str]], more: str = "") -> str:
    """Return a query of this name for objects and the token's login: of each field, the revision and what is read.

    A revision is a literal. JSON's escapes are those of GraphQL: https://spec.graphql.org/October2021/#sec-String-Value.
    """
    quoted = ((name, json.dumps(at, ensure_ascii=False), shape) for name, (at, shape) in fields.items())
    objects = "\n".join(f"{name}: object(expression: {at}) {{ {shape} }}" for name, at, shape in quoted)
    repository = f"repository(owner: $owner, name: $name) {{ {more} {objects} }}"
    return f"query {query}($owner: String!, $name: String!) {{ viewer {{ login }} {repository} }}"


def parse_commit(response: object, event: Event) -> Commit:
    """Return what a response to the query shows. Its errors are about fields of MAY_FAIL only, which are null then."""
    repository = json_reader.as_object(json_reader.at(response, "data", "repository"))
    account = json_reader.text(json_reader.at(response, "data", "viewer", "login"))
    evaluated = json_reader.as_object(repository.get("evaluated"))
    if evaluated.get("oid") != event.commit:
        evaluated = {}
    base = parse_sha(json_reader.at(repository, "policyCommit", "oid"))
    return Commit(
        account=account,
        default_branch=parse_branch(json_reader.at(repository, "defaultBranchRef", "name")),
        statuses=None if "evaluated" in failed_fields(response) else parse_statuses(evaluated, account),
        committed=json_reader.time(evaluated.get("committedDate")),
        base=base,
        policy=_policy_file(repository, "policy", is_known=bool(base)),
        head_policy=_policy_file(repository, "headPolicy", is_known=bool(evaluated)),
        required=None if "baseRef" in failed_fields(response) else _required(repository.get("baseRef")),
    )


def _required(branch: object) -> tuple[str, ...]:
    contexts = json_reader.at(branch, "refUpdateRule", "requiredStatusCheckContexts")
    return tuple(filter(None, map(json_reader.text, json_reader.as_array(contexts))))


def parse_statuses(commit: object, account: str) -> tuple[PublishedStatus, ...] | None:
    """Return the statuses of a commit, () if its `status` is null; None if the shape is unknown, so they are unread."""
    status = json_reader.as_object(commit).get("status", "")
    if status is None:
        return ()
    contexts = json_reader.at(status, "contexts")
    statuses = tuple(map(json_reader.as_object, json_reader.as_array(contexts)))
    if not isinstance(contexts, list) or not all(isinstance(each.get("context"), str) for each in statuses):
        return None
    return tuple(parse_status(each, account) for each in statuses)


def parse_status(raw: Mapping[str, object], account: str) -> PublishedStatus:
    """Return a status of GraphQL or REST. Only in REST, and in `account`, the login of a bot ends with `[bot]`."""
    creator, number = raw.get("creator"), raw.get("id")
    login = json_reader.text(json_reader.at(creator, "login"))
    if "Bot" in {json_reader.at(creator, name) for name in ("__typename", "type")}:
        login = login.removesuffix(BOT_SUFFIX) + BOT_SUFFIX
    return PublishedStatus(
        context=str(raw.get("context") or ""),  # as it was set, because it is compared with what this run sets
        description=json_reader.text(raw.get("description")),
        url=json_reader.safe_url(raw.get("targetUrl") or raw.get("target_url")),
        created=json_reader.text(raw.get("createdAt") or raw.get("created_at")),
        own=bool(account) and login.lower() == account.lower(),
        id=number if isinstance(number, int) else 0,
    )


def _policy_file(repository: Mapping[str, object], name: str, *, is_known: bool) -> PolicyFile:
    """Return a file of a commit. GitHub returns null also for a commit that the token may not see."""
    value = repository.get(name)
    if value is None and not is_known:
        return PolicyFile(error="GitHub does not show the commit", details=ErrorDetails(status=404))
    if value is None:
        return PolicyFile(misnamed=repository.get(f"{name}Yaml") is not None)
    blob = json_reader.as_object(value)
    text = blob.get("text")
    if blob.get("__typename") != "Blob" or not isinstance(text, str) or blob.get("isTruncated") is not False:
        return PolicyFile(error=NO_TEXT_FILE)
    return PolicyFile(text=text)


def parse_requesters(response: object, *, by_agent: bool) -> tuple[Refusal, ...] | None:
    """Return who made the head commit, or asked a bot for it; None if someone may be missing.

    That is its author, and if the pull request is `by_agent`, its co-authors and the assignees too. Of a merge that
    GitHub made, the first parent counts.
    """
    repository = json_reader.at(response, "data", "repository")
    commit = json_reader.at(repository, "object")
    if _is_update(commit):
        commit = next(iter(json_reader.as_array(json_reader.at(commit, "parents", "nodes"))), None)
    assignees = _whole(json_reader.at(repository, "pullRequest", "assignees"))
    authors = _whole(json_reader.at(commit, "authors"))
    if assignees is None or not authors:
        return None
    if not by_agent:
        assignees, authors = [], authors[:1]
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
