"""What GitHub shows of commits: policy files, the statuses of the evaluated commit, and who made it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import starmap

from sepurux_action.common import json_reader
from sepurux_action.config.kinds import BOT_SUFFIX
from sepurux_action.config.policy import MAX_FILE_BYTES, MISNAMED_PATH, POLICY_PATH
from sepurux_action.errors import ErrorDetails
from sepurux_action.evaluation.enforcement import Reason, Refusal
from sepurux_action.github.event import Event, parse_branch
from sepurux_action.github.permissions import failed_fields
from sepurux_action.github.snapshot import PAGE

NO_TEXT_FILE = f"it is not a text file of at most {MAX_FILE_BYTES // 1024} KiB"
# Without the head's file there is only a note, and without the statuses another call.
MAY_FAIL = frozenset({"evaluated", "headPolicy", "headPolicyYaml"})

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
    not known, and `committed` is the commit's POSIX time. `error` is why nothing could be read.
    """

    account: str = ""
    default_branch: str = ""
    statuses: tuple[PublishedStatus, ...] | None = None
    committed: float | None = None
    policy: PolicyFile = field(default_factory=PolicyFile)
    head_policy: PolicyFile = field(default_factory=PolicyFile)
    error: ErrorDetails | None = None


def policy_ref(event: Event) -> str:
    """Return the commit whose policy file applies to an event, or '' for the checkout (docs/configuration.md)."""
    if event.base_sha:
        return event.base_sha
    if event.base_ref:
        return f"refs/heads/{event.base_ref}"
    return "HEAD" if event.name == "workflow_run" else ""


def reads_head(event: Event) -> bool:
    """Return whether the policy file of the evaluated commit is read too: that of a pull request or a merge group."""
    proposed = event.pull_request is not None or event.name == "merge_group"
    return bool(proposed and event.commit and policy_ref(event))


def commit_query(event: Event) -> str:
    """Return the query for what `parse_commit` reads."""
    at, fields = policy_ref(event), dict[str, tuple[str, str]]()
    if event.commit:
        fields["evaluated"] = event.commit, _STATUSES
    if at:
        fields["policyCommit"] = at, "oid"
        fields["policy"] = f"{at}:{POLICY_PATH}", _FILE
        fields["policyYaml"] = f"{at}:{MISNAMED_PATH}", "__typename"
    if reads_head(event):
        fields["headPolicy"] = f"{event.commit}:{POLICY_PATH}", _FILE
        fields["headPolicyYaml"] = f"{event.commit}:{MISNAMED_PATH}", "__typename"
    return query_of("commit", fields, "defaultBranchRef { name }")


def query_of(query: str, fields: Mapping[str, tuple[str, str]], more: str = "") -> str:
    """Return a query of this name for objects and the token's login: of each field, the revision and what is read.

    A revision is a literal. JSON's escapes are those of GraphQL: https://spec.graphql.org/October2021/#sec-String-Value.
    """
    quoted = ((name, json.dumps(at, ensure_ascii=False), shape) for name, (at, shape) in fields.items())
    objects = "\n".join(f"{name}: object(expression: {at}) {{ {shape} }}" for name, at, shape in quoted)
    repository = f"repository(owner: $owner, name: $name) {{ {more} {objects} }}"
    return f"query {query}($owner: String!, $name: String!) {{ viewer {{ login }} {repository} }}"


def parse_commit(response: object, event: Event, error: ErrorDetails | None = None) -> Commit:
    """Return what a response to the query shows. `error` is about fields of MAY_FAIL only, which are null then."""
    repository = json_reader.as_object(json_reader.at(response, "data", "repository"))
    account = json_reader.text(json_reader.at(response, "data", "viewer", "login"))
    evaluated, failed = json_reader.as_object(repository.get("evaluated")), failed_fields(response)
    if evaluated.get("oid") != event.commit:
        evaluated = {}
    head = _policy_file(repository, "headPolicy")
    if error and head.text is None and failed & {"headPolicy", "headPolicyYaml"}:
        head = unread(error)
    policy = _policy_file(repository, "policy")
    if repository.get("policy") is None and not json_reader.as_object(repository.get("policyCommit")):
        # GitHub returns null for a commit that the token may not see, too.
        policy = PolicyFile(error="GitHub shows no base commit", details=ErrorDetails(status=404))
    return Commit(
        account=account,
        default_branch=parse_branch(json_reader.at(repository, "defaultBranchRef", "name")),
        statuses=None if "evaluated" in failed else parse_statuses(evaluated, account),
        committed=json_reader.time(evaluated.get("committedDate")),
        policy=policy,
        head_policy=head,
    )


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


def _policy_file(repository: Mapping[str, object], name: str) -> PolicyFile:
    value = repository.get(name)
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
