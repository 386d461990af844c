"""The GraphQL calls of the double: graphql-core executes queries against GitHub's public schema."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from graphql import DocumentNode, GraphQLError, GraphQLResolveInfo, execute_sync, parse, validate

from tests.github_double.description import graphql_schema
from tests.github_double.rest import comment_url
from tests.github_double.state import Account, Commit, PullRequest, Refusal, Repository, Token, World, not_found

MAX_PAGE = 100
_SCHEMA: Final = cache(graphql_schema)
Json = dict[str, Any]
Info = GraphQLResolveInfo[Any]


@dataclass(frozen=True, slots=True)
class Session:
    world: World
    token: Token
    server_url: str
    denied: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Blob:
    content: bytes


class Tree:
    """A folder of a commit."""


def execute(session: Session, asked: Mapping[str, Any]) -> tuple[Json, list[str]]:
    """Return GitHub's response, and what of the query its schema does not know."""
    document, wrong = _parsed(asked["query"])
    if wrong:
        return {"errors": [_formatted(error) for error in wrong]}, [error.message for error in wrong]
    result = execute_sync(
        _SCHEMA(),
        document,
        context_value=session,
        variable_values=asked.get("variables"),
        field_resolver=_resolve,
        type_resolver=_type_name,
    )
    errors = result.errors or []
    for error in errors:
        if error.original_error is not None and not isinstance(error.original_error, Refusal | GraphQLError):
            raise error.original_error
    response: Json = {"data": result.data}
    if errors:
        response["errors"] = [_formatted(error) for error in errors]
    # An error without a path is a problem of the query itself: a variable that does not fit.
    return response, [error.message for error in errors if error.path is None]


@cache
def _parsed(query: str) -> tuple[DocumentNode, list[GraphQLError]]:
    """Return the document of a query and its problems; to check one takes longer than to execute it."""
    document = parse(query)
    return document, validate(_SCHEMA(), document)


def _formatted(error: GraphQLError) -> Json:
    formatted: Json = {"message": error.message}
    if isinstance(error.original_error, Refusal):
        formatted["type"] = error.original_error.kind
    if error.path is not None:
        formatted["path"] = error.path
    return formatted


def _resolve(source: Any, info: Info, **arguments: Any) -> Any:  # noqa: ANN401 - graphql-core's types
    """Return a field's value: by the table, else the key or attribute of this name."""
    name = f"{info.parent_type.name}.{info.field_name}"
    if name in info.context.denied:
        raise Refusal(403, "Resource not accessible by integration", kind="FORBIDDEN")
    if (permissions := PERMISSIONS.get(name)) is not None:
        info.context.token.need(*permissions)
    if resolver := FIELDS.get(name):
        return resolver(source, info.context, **arguments)
    return source[info.field_name] if isinstance(source, dict) else getattr(source, info.field_name)


def _type_name(value: object, _info: Info, _abstract: object) -> str:
    if isinstance(value, Account):
        return "Bot" if value.is_bot else "User"
    return type(value).__name__


def _connection(items: Sequence[Any], *, first: int, after: str | None = None) -> Json:
    """Return a page of items, at most 100. The cursor names the last item, as an item may be removed meanwhile."""
    if first > MAX_PAGE:
        message = f"Requesting {first} records exceeds the limit of {MAX_PAGE} records."
        raise Refusal(200, message, kind="EXCESSIVE_PAGINATION")
    cursors = [f"cursor:{each.id}" for each in items]
    start = cursors.index(after) + 1 if after else 0
    end = min(len(items), start + first)
    page_info = {"endCursor": cursors[end - 1] if start < end else None, "hasNextPage": end < len(items)}
    return {"nodes": items[start:end], "pageInfo": page_info}


def _repository(_: object, session: Session, *, owner: str, name: str, **_options: object) -> Repository:
    full_name = f"{owner}/{name}"
    if (repository := session.world.repositories.get(full_name.lower())) is None:
        raise not_found(f"Could not resolve to a Repository with the name '{full_name}'.")
    return repository


def _pull(repository: Repository, _: Session, *, number: int) -> PullRequest:
    if (pull := repository.pulls.get(number)) is None:
        raise not_found(f"Could not resolve to a PullRequest with the number of {number}.")
    return pull


def _pulls(repository: Repository, _: Session, *, first: int, **by: object) -> Json:
    if by["orderBy"] != {"field": "CREATED_AT", "direction": "DESC"}:
        raise NotImplementedError(f"pull requests ordered by {by['orderBy']}")
    pulls = [pull for pull in reversed(repository.pulls.values()) if pull.base_ref == by["baseRefName"]]
    return {"nodes": pulls[:first]}


def _object(repository: Repository, _: Session, *, expression: str) -> Commit | Blob | Tree | None:
    revision, colon, path = expression.partition(":")
    commit = repository.find(revision)
    if commit is None or not colon:
        return commit
    if path in commit.files:
        return Blob(commit.files[path])
    return Tree() if any(each.startswith(f"{path}/") for each in commit.files) else None


def _ref(repository: Repository, _: Session, *, qualifiedName: str) -> Json | None:  # noqa: N803 - GitHub's name
    name = qualifiedName.removeprefix("refs/heads/")
    required = repository.protected.get(name)
    rule = None if required is None else {"requiredStatusCheckContexts": required}
    return {"name": name, "refUpdateRule": rule} if name in repository.branches else None


def _status(commit: Commit, _: Session) -> Json | None:
    latest = commit.repository.latest_statuses(commit.sha)
    return {"contexts": latest} if latest else None


def _authors(commit: Commit, _: Session, *, first: int) -> Json:
    """Return the author and co-authors. GitHub names no account of a bot here."""
    people = [{"user": None if each is None or each.is_bot else each} for each in commit.authors]
    return {"nodes": people[:first], "pageInfo": {"hasNextPage": len(people) > first}}


# What a field needs beyond seeing the repository: one of the permissions named.
PERMISSIONS: Final[dict[str, tuple[str, ...]]] = {
    "Commit.status": ("statuses=read",),
    "PullRequest.comments": ("issues=read", "pull-requests=read"),
    "Repository.object": ("contents=read",),
    "Repository.pullRequest": ("pull-requests=read",),
    "Repository.pullRequests": ("pull-requests=read",),
}
FIELDS: Final[dict[str, Callable[..., Any]]] = {
    "Query.repository": _repository,
    "Query.viewer": lambda _, session: session.token.account,
    "Blob.isTruncated": lambda _, __: False,
    "Blob.text": lambda blob, _: blob.content.decode(errors="ignore"),
    "Bot.login": lambda account, _: account.login.removesuffix("[bot]"),
    "Commit.authors": _authors,
    "Commit.committedDate": lambda _, __: "2026-07-01T12:00:00Z",
    "Commit.committedViaWeb": lambda _, __: False,
    "Commit.committer": lambda commit, session: _authors(commit, session, first=1)["nodes"][0],
    "Commit.oid": lambda commit, _: commit.sha,
    "Commit.parents": lambda commit, _, first: {"totalCount": len(commit.parents), "nodes": commit.parents[:first]},
    "Commit.status": _status,
    "IssueComment.fullDatabaseId": lambda comment, _: str(comment.id),
    "IssueComment.url": lambda comment, session: comment_url(session.server_url, comment),
    "IssueComment.viewerDidAuthor": lambda comment, session: comment.author is session.token.account,
    "PullRequest.assignees": lambda pull, _, **page: _connection(pull.assignees, **page),
    "PullRequest.comments": lambda pull, _, **page: _connection(pull.comments, **page),
    "PullRequest.commits": lambda pull, _, last: {"nodes": [{"commit": pull.head}][:last]},
    "PullRequest.headRefOid": lambda pull, _: pull.head.sha,
    "Repository.defaultBranchRef": lambda repository, _: {"name": repository.default_branch},
    "Repository.object": _object,
    "Repository.pullRequest": _pull,
    "Repository.pullRequests": _pulls,
    "Repository.ref": _ref,
    "StatusContext.createdAt": lambda _, __: "2026-07-01T14:02:00Z",
    "StatusContext.targetUrl": lambda status, _: status.target_url,
}
