"""Owns the GraphQL side of the tests' GitHub: a real library executes queries against the public schema over the state.

Never answers a field or an argument that it does not resolve: such a query raises in the test.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLResolveInfo,
    OperationDefinitionNode,
    execute_sync,
    parse,
    validate,
)

from tests.github_double.access import Refusal, Token, not_found
from tests.github_double.description import graphql_schema
from tests.github_double.rest import blob_sha, combined, comment_url
from tests.github_double.state import (
    Account,
    ChangedFile,
    Comment,
    Commit,
    PullRequest,
    Repository,
    Review,
    Status,
    World,
)

LARGEST_PAGE = 100
SHOWN_TEXT_BYTES = 512_000  # a larger blob's text is cut; GitHub names no number, the flag is what counts
INT32 = 2**31 - 1
_SCHEMA: Final = cache(graphql_schema)

Json = dict[str, Any]
Info = GraphQLResolveInfo[Any]


@dataclass(frozen=True, slots=True)
class Session:
    """Whose query it is, and what the answers name: `used` is the number of calls so far, `limit` the most of them."""

    world: World
    token: Token
    server_url: str
    limit: int
    used: int
    reset: int


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a commit."""

    content: bytes

    @property
    def node_id(self) -> str:
        return f"B_{blob_sha(self.content)}"


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder of a commit."""

    oid: str

    @property
    def node_id(self) -> str:
        return f"T_{self.oid}"


@dataclass(frozen=True, slots=True)
class StatusRollup:
    """A commit's newest status of each context."""

    commit: Commit
    latest: Sequence[Status]

    @property
    def node_id(self) -> str:
        return f"S_{self.commit.sha}"


def roots(query: str) -> tuple[str, ...]:
    """Return the names of the fields that a document asks for first; none where it is no GraphQL."""
    try:
        document = parse(query)
    except GraphQLError:
        return ()
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    asked = [field for each in operations for field in each.selection_set.selections]
    return tuple(field.name.value for field in asked if isinstance(field, FieldNode))


def answered(session: Session, query: str, variables: Mapping[str, Any], name: str | None) -> tuple[Json, list[str]]:
    """Return GitHub's answer, and what of the query its schema does not know."""
    schema = _SCHEMA()
    try:
        document = parse(query)
    except GraphQLError as unreadable:
        return {"errors": [_formatted(unreadable)]}, [unreadable.message]
    if wrong := validate(schema, document):
        return {"errors": [_formatted(error) for error in wrong]}, [error.message for error in wrong]
    result = execute_sync(
        schema,
        document,
        context_value=session,
        variable_values=dict(variables),
        operation_name=name,
        field_resolver=_resolved,
        type_resolver=_type_name,
    )
    errors = result.errors or []
    for error in errors:
        if error.original_error is not None and not isinstance(error.original_error, Refusal | GraphQLError):
            raise error.original_error
    answer: Json = {"data": result.data}
    if errors:
        answer["errors"] = [_formatted(error) for error in errors]
    # What fails before a field is reached is the query's own fault: a variable that does not fit.
    return answer, [error.message for error in errors if error.path is None]


def _formatted(error: GraphQLError) -> Json:
    formatted: Json = {"message": error.message}
    if isinstance(error.original_error, Refusal):
        formatted["type"] = error.original_error.kind
    if error.path is not None:
        formatted["path"] = error.path
    if error.locations:
        formatted["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
    return formatted


# --- Fields ------------------------------------------------------------------------------------------------


def _resolved(source: Any, info: Info, **arguments: Any) -> Any:  # noqa: ANN401 - graphql-core's types
    """Resolve a field: by the table, else by the attribute of this name."""
    name = f"{info.parent_type.name}.{info.field_name}"
    if (permissions := PERMISSIONS.get(name)) is not None:
        info.context.token.need(*permissions)
    if resolver := FIELDS.get(name):
        return _plain(resolver(source, info.context, **arguments))
    if arguments:
        raise NotImplementedError(f"{name} with {', '.join(arguments)}")
    if isinstance(source, dict):
        return _plain(source[info.field_name])
    return _plain(getattr(source, "node_id" if info.field_name == "id" else _snake(info.field_name)))


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def _plain(value: object) -> object:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value


def _type_name(value: object, _info: Info, _abstract: object) -> str:
    if isinstance(value, Account):
        return "Bot" if value.is_bot else "User"
    names = {Comment: "IssueComment", Review: "PullRequestReview"}
    return names.get(type(value), type(value).__name__)


def _connection(  # noqa: PLR0913 - the four are GitHub's
    items: Iterable[Any],
    key: Callable[[Any], object],
    *,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
) -> Json:
    """Return a page of items; GitHub wants `first` or `last`, at most 100."""
    if first is None and last is None:
        message = "You must provide a `first` or `last` value to properly paginate the connection."
        raise Refusal(200, message, kind="MISSING_PAGINATION_BOUNDARIES")
    if max(first or 0, last or 0) > LARGEST_PAGE:
        message = f"Requesting {max(first or 0, last or 0)} records exceeds the limit of {LARGEST_PAGE} records."
        raise Refusal(200, message, kind="EXCESSIVE_PAGINATION")
    every = list(items)
    keys = [str(key(each)) for each in every]
    start = _place(keys, after) + 1 if after else 0
    end = _place(keys, before) if before else len(every)
    if first is not None:
        end = min(end, start + first)
    if last is not None:
        start = max(start, end - last)
    shown = keys[start:end]
    info = {
        "startCursor": _cursor(shown[0]) if shown else None,
        "endCursor": _cursor(shown[-1]) if shown else None,
        "hasPreviousPage": start > 0,
        "hasNextPage": end < len(every),
    }
    return {"nodes": every[start:end], "pageInfo": info, "totalCount": len(every)}


def _cursor(key: str) -> str:
    return base64.b64encode(f"cursor:{key}".encode()).decode()


def _place(keys: Sequence[str], cursor: str) -> int:
    try:
        return keys.index(base64.b64decode(cursor, validate=True).decode().removeprefix("cursor:"))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        message = f"`{cursor}` does not appear to be a valid cursor."
        raise Refusal(200, message, kind="INVALID_CURSOR_ARGUMENTS") from None


def _ordered(items: Sequence[Any], order: Mapping[str, str] | None) -> list[Any]:
    if order is None:
        return list(items)
    attribute = {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at"}[order["field"]]
    return sorted(items, key=lambda each: getattr(each, attribute), reverse=order["direction"] == "DESC")


# --- Query -------------------------------------------------------------------------------------------------


def _repository(_: object, session: Session, *, owner: str, name: str, followRenames: bool = True) -> Repository:  # noqa: N803
    world, full_name = session.world, f"{owner}/{name}"
    repository = world.repositories.get(full_name.lower())
    if repository is None and followRenames:
        repository = world.moved.get(full_name.lower())
    if repository is None:
        raise not_found(f"Could not resolve to a Repository with the name '{full_name}'.")
    return repository


def _rate_limit(_: object, session: Session, *, dryRun: bool = False) -> Json:  # noqa: ARG001, N803
    return {
        "cost": 1,
        "limit": session.limit,
        "used": session.used,
        "remaining": max(0, session.limit - session.used),
        "nodeCount": 0,
        "resetAt": datetime.fromtimestamp(session.reset, UTC),
    }


def _pull(repository: Repository, _: Session, *, number: int) -> PullRequest:
    if (pull := repository.pulls.get(number)) is None:
        raise not_found(f"Could not resolve to a PullRequest with the number of {number}.")
    return pull


def _pulls(
    repository: Repository,
    _: Session,
    *,
    states: Sequence[str] | None = None,
    baseRefName: str | None = None,  # noqa: N803 - the schema's names
    headRefName: str | None = None,  # noqa: N803
    orderBy: Mapping[str, str] | None = None,  # noqa: N803
    **page: Any,  # noqa: ANN401 - a connection's arguments
) -> Json:
    pulls = [
        pull
        for pull in repository.pulls.values()
        if _pull_state(pull) in (states or ("OPEN", "CLOSED", "MERGED"))
        and baseRefName in {None, pull.base_ref}
        and headRefName in {None, pull.head_ref}
    ]
    return _connection(_ordered(pulls, orderBy), lambda pull: pull.number, **page)


def _pull_state(pull: PullRequest) -> str:
    return "MERGED" if pull.merged else pull.state.upper()


def _object(
    repository: Repository, _: Session, *, expression: str | None = None, oid: str | None = None
) -> Commit | Blob | Tree | None:
    if oid is not None:
        return repository.commits.get(oid)
    revision, colon, path = (expression or "").partition(":")
    commit = repository.found(revision)
    return _inside(commit, path) if commit and colon else commit


def _inside(commit: Commit, path: str) -> Blob | Tree | None:
    if path in commit.files:
        return Blob(commit.files[path])
    folder = f"{path}/" if path else ""
    name = hashlib.sha1(f"{commit.sha}:{path}".encode(), usedforsecurity=False).hexdigest()
    return Tree(name) if any(each.startswith(folder) for each in commit.files) else None


def _ref(repository: Repository, name: str) -> Json | None:
    name = name.removeprefix("refs/heads/").removeprefix("heads/")
    commit = repository.branches.get(name)
    return {"id": f"REF_{name}", "name": name, "prefix": "refs/heads/", "target": commit} if commit else None


def _tree_entry(commit: Commit, _: Session, *, path: str) -> Json | None:
    if (inside := _inside(commit, path)) is None:
        return None
    folder = isinstance(inside, Tree)
    mode, kind = (0o040000, "tree") if folder else (0o100644, "blob")
    return {"mode": mode, "name": path.rsplit("/", 1)[-1], "object": inside, "path": path, "type": kind}


def _reviews(
    pull: PullRequest,
    _: Session,
    *,
    states: Sequence[str] | None = None,
    author: str | None = None,
    **page: Any,  # noqa: ANN401 - a connection's arguments
) -> Json:
    reviews = [
        each
        for each in pull.reviews
        if (not states or each.state in states) and (author is None or (each.author and each.author.login == author))
    ]
    return _connection(reviews, lambda review: review.id, **page)


def _statuses(commit: Commit, _: Session) -> StatusRollup | None:
    latest = commit.repository.latest_statuses(commit.sha)
    return StatusRollup(commit, latest) if latest else None


def _context(rollup: StatusRollup, _: Session, *, name: str) -> Status | None:
    return next((each for each in rollup.latest if each.context.lower() == name.lower()), None)


def _text(blob: Blob, _: Session) -> str | None:
    if _is_binary(blob):
        return None
    return blob.content[:SHOWN_TEXT_BYTES].decode(errors="ignore")


def _is_binary(blob: Blob) -> bool:
    try:
        return "\0" in blob.content.decode()
    except UnicodeDecodeError:
        return True


def _did_author(thing: Comment | PullRequest | Review, session: Session) -> bool:
    return thing.author is session.token.account


def _may_write(_: object, session: Session) -> bool:
    return session.token.level("pull-requests") > 1 or session.token.level("issues") > 1


# --- Mutation ----------------------------------------------------------------------------------------------


def _meant(session: Session, node_id: str) -> Comment:
    if (comment := session.world.comment(node_id)) is None:
        raise not_found(f"Could not resolve to a node with the global id of '{node_id}'")
    return comment


def _minimize(_: object, session: Session, *, input: Mapping[str, Any]) -> Json:  # noqa: A002 - the schema's name
    comment = _meant(session, input["subjectId"])
    comment.minimized_reason = input["classifier"].lower()
    return {"clientMutationId": input.get("clientMutationId"), "minimizedComment": comment}


def _delete(_: object, session: Session, *, input: Mapping[str, Any]) -> Json:  # noqa: A002 - the schema's name
    session.world.delete(_meant(session, input["id"]))
    return {"clientMutationId": input.get("clientMutationId")}


_WRITES_COMMENTS = ("issues=write", "pull-requests=write")

# What a field takes beyond seeing the repository: one of the permissions named.
PERMISSIONS: Final[dict[str, tuple[str, ...]]] = {
    "Commit.status": ("statuses=read",),
    "Mutation.deleteIssueComment": _WRITES_COMMENTS,
    "Mutation.minimizeComment": _WRITES_COMMENTS,
    "PullRequest.comments": ("issues=read", "pull-requests=read"),
    "Repository.defaultBranchRef": ("contents=read",),
    "Repository.object": ("contents=read",),
    "Repository.pullRequest": ("pull-requests=read",),
    "Repository.pullRequests": ("pull-requests=read",),
    "Repository.ref": ("contents=read",),
}

FIELDS: Final[dict[str, Callable[..., Any]]] = {
    "Mutation.deleteIssueComment": _delete,
    "Mutation.minimizeComment": _minimize,
    "Query.id": lambda *_: "Q_0",
    "Query.rateLimit": _rate_limit,
    "Query.repository": _repository,
    "Query.viewer": lambda _, session: {"login": session.token.account.login, "id": session.token.account.node_id},
    "Blob.byteSize": lambda blob, _: len(blob.content),
    "Blob.isBinary": lambda blob, _: _is_binary(blob),
    "Blob.isTruncated": lambda blob, _: len(blob.content) > SHOWN_TEXT_BYTES,
    "Blob.oid": lambda blob, _: blob_sha(blob.content),
    "Blob.text": _text,
    "Bot.login": lambda account, _: account.login.removesuffix("[bot]"),
    "Commit.committedDate": lambda commit, _: commit.at,
    "Commit.file": _tree_entry,
    "Commit.history": lambda commit, _, **page: _connection(commit.history(), lambda each: each.sha, **page),
    "Commit.oid": lambda commit, _: commit.sha,
    "Commit.parents": lambda commit, _, **page: _connection(
        [commit.parent] if commit.parent else [], lambda each: each.sha, **page
    ),
    "Commit.status": _statuses,
    "IssueComment.databaseId": lambda comment, _: comment.id if comment.id <= INT32 else None,
    "IssueComment.fullDatabaseId": lambda comment, _: str(comment.id),
    "IssueComment.isMinimized": lambda comment, _: comment.minimized_reason is not None,
    "IssueComment.url": lambda comment, session: comment_url(session.server_url, comment),
    "IssueComment.viewerCanDelete": _may_write,
    "IssueComment.viewerCanMinimize": _may_write,
    "IssueComment.viewerCanUpdate": _may_write,
    "IssueComment.viewerDidAuthor": _did_author,
    "PullRequest.baseRef": lambda pull, _: _ref(pull.repository, pull.base_ref),
    "PullRequest.baseRefName": lambda pull, _: pull.base_ref,
    "PullRequest.baseRefOid": lambda pull, _: pull.base.sha,
    "PullRequest.changedFiles": lambda pull, _: len(pull.changed_files()),
    "PullRequest.comments": lambda pull, _, orderBy=None, **page: _connection(  # noqa: N803 - the schema's name
        _ordered(pull.comments, orderBy), lambda comment: comment.id, **page
    ),
    "PullRequest.commits": lambda pull, _, **page: _connection(
        [{"commit": commit, "id": f"PURC_{commit.sha}"} for commit in pull.commits()],
        lambda each: each["commit"].sha,
        **page,
    ),
    "PullRequest.files": lambda pull, _, **page: _connection(pull.changed_files(), lambda file: file.path, **page),
    "PullRequest.fullDatabaseId": lambda pull, _: str(pull.id),
    "PullRequest.headRef": lambda pull, _: pull.head_repository and _ref(pull.head_repository, pull.head_ref),
    "PullRequest.headRefName": lambda pull, _: pull.head_ref,
    "PullRequest.headRefOid": lambda pull, _: pull.head.sha,
    "PullRequest.headRepositoryOwner": lambda pull, _: pull.head_owner,
    "PullRequest.isCrossRepository": lambda pull, _: pull.is_fork,
    "PullRequest.isDraft": lambda pull, _: pull.draft,
    "PullRequest.reviewRequests": lambda pull, _, **page: _connection(
        [{"requestedReviewer": account, "id": f"RR_{account.id}"} for account in pull.requested],
        lambda each: each["requestedReviewer"].id,
        **page,
    ),
    "PullRequest.reviews": _reviews,
    "PullRequest.state": lambda pull, _: _pull_state(pull),
    "PullRequest.updatedAt": lambda pull, _: pull.created_at,
    "PullRequest.viewerDidAuthor": _did_author,
    "PullRequest.url": lambda pull, session: f"{session.server_url}/{pull.repository.full_name}/pull/{pull.number}",
    "PullRequestChangedFile.changeType": lambda file, _: _change_type(file),
    "PullRequestReview.authorCanPushToRepository": lambda review, _: (
        review.author is not None and review.pull.repository.role(review.author) in {"write", "maintain", "admin"}
    ),
    "PullRequestReview.createdAt": lambda review, _: review.submitted_at,
    "PullRequestReview.fullDatabaseId": lambda review, _: str(review.id),
    "PullRequestReview.isMinimized": lambda *_: False,
    "PullRequestReview.minimizedReason": lambda *_: None,
    "PullRequestReview.updatedAt": lambda review, _: review.submitted_at,
    "PullRequestReview.viewerCanMinimize": _may_write,
    "PullRequestReview.viewerDidAuthor": _did_author,
    "Repository.defaultBranchRef": lambda repository, _: _ref(repository, repository.default_branch),
    "Repository.isArchived": lambda repository, _: repository.archived,
    "Repository.isPrivate": lambda repository, _: repository.private,
    "Repository.nameWithOwner": lambda repository, _: repository.full_name,
    "Repository.object": _object,
    "Repository.pullRequest": _pull,
    "Repository.pullRequests": _pulls,
    "Repository.ref": lambda repository, _, qualifiedName: _ref(repository, qualifiedName),  # noqa: N803
    "Repository.viewerPermission": lambda repository, session: (
        None if (role := repository.role(session.token.account)) == "none" else role.upper()
    ),
    "Status.context": _context,
    "Status.contexts": lambda rollup, _: rollup.latest,
    "Status.state": lambda rollup, _: combined(rollup.latest).upper(),
    "StatusContext.state": lambda status, _: status.state.upper(),
}


def _change_type(file: ChangedFile) -> str:
    return {"removed": "DELETED"}.get(file.status, file.status.upper())
