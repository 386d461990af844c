"""Owns the REST calls of the tests' GitHub: the permission that each takes, its rules and its answer.

Never parses HTTP; an answer holds what the tests ask for, the rest comes from the description.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from tests.github_double.access import Refusal, Token, invalid, not_found
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

COMMENT_CHARACTERS = 65_536  # what GitHub's refusal names
DESCRIPTION_CHARACTERS = 140
CONTEXT_CHARACTERS = 255
STATUSES_OF_A_CONTEXT = 1_000
PAGE = 30  # entries of a page that no one asked to be larger
LARGEST_PAGE = 100
LISTED_FILES = 3_000
INLINE_BYTES = 1024 * 1024  # larger files come without their content

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `payload` None is an empty one."""

    payload: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: the path's values, the query, the parsed body, and the addresses that answers name."""

    world: World
    repository: Repository
    token: Token
    values: Mapping[str, str]
    query: Mapping[str, str]
    body: Json
    path: str
    api_url: str
    server_url: str

    @property
    def pull(self) -> PullRequest:
        number = int(self.values.get("pull_number") or self.values["issue_number"])
        if (pull := self.repository.pulls.get(number)) is None:
            raise not_found()
        return pull

    @property
    def comment(self) -> Comment:
        if (comment := self.world.comment(int(self.values["comment_id"]), [self.repository])) is None:
            raise not_found()
        return comment

    def commit(self, revision: str) -> Commit:
        if (commit := self.repository.found(revision)) is None:
            raise Refusal(422, f"No commit found for SHA: {revision}")
        return commit

    def page(self, items: Sequence[T]) -> tuple[Sequence[T], dict[str, str]]:
        """Return the page that is asked for, and the Link header where there are several."""
        size = min(int(self.query.get("per_page", PAGE)), LARGEST_PAGE)
        number = int(self.query.get("page", 1))
        last = max(1, -(-len(items) // size))
        places = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        named = {
            rel: place
            for rel, place in places.items()
            if 1 <= place <= last and not (rel == "last" and number >= last) and not (rel == "first" and number == 1)
        }
        # GitHub's own links name a repository by its number.
        here = f"{self.api_url}/repositories/{self.repository.id}{self.path}"
        links = [f'<{here}?{urlencode({**self.query, "page": place})}>; rel="{rel}"' for rel, place in named.items()]
        return items[(number - 1) * size : number * size], {"Link": ", ".join(links)} if links else {}


# --- Shapes ------------------------------------------------------------------------------------------------


def _at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _user(account: Account | None) -> Json | None:
    if account is None:
        return None
    kind = "Bot" if account.is_bot else "User"
    return {"id": account.id, "login": account.login, "node_id": account.node_id, "type": kind}


def _repo_url(call: Call, repository: Repository | None = None) -> str:
    return f"{call.api_url}/repos/{(repository or call.repository).full_name}"


def _repository(call: Call, repository: Repository) -> Json:
    return {
        "id": repository.id,
        "node_id": repository.node_id,
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": _user(repository.owner),
        "private": repository.private,
        "archived": repository.archived,
        "default_branch": repository.default_branch,
        "url": _repo_url(call, repository),
        "html_url": f"{call.server_url}/{repository.full_name}",
    }


def _commit(call: Call, commit: Commit) -> Json:
    who = {"name": "Mona", "email": "mona@example.invalid", "date": _at(commit.at)}
    return {
        "sha": commit.sha,
        "node_id": commit.node_id,
        "url": f"{_repo_url(call)}/commits/{commit.sha}",
        "html_url": f"{call.server_url}/{call.repository.full_name}/commit/{commit.sha}",
        "commit": {"message": commit.message, "author": who, "committer": who},
        "parents": [{"sha": commit.parent.sha, "url": f"{_repo_url(call)}/commits/{commit.parent.sha}"}]
        if commit.parent
        else [],
    }


def _pull(call: Call, pull: PullRequest) -> Json:
    url, html = f"{_repo_url(call)}/pulls/{pull.number}", _html(call, pull)
    issue = f"{_repo_url(call)}/issues/{pull.number}"
    head = pull.head_repository
    return {
        "id": pull.id,
        "node_id": pull.node_id,
        "number": pull.number,
        "title": pull.title,
        "state": pull.state,
        "locked": pull.locked,
        "body": pull.body,
        "draft": pull.draft,
        "user": _user(pull.author),
        "url": url,
        "html_url": html,
        "issue_url": issue,
        "comments_url": f"{issue}/comments",
        "created_at": _at(pull.created_at),
        "updated_at": _at(pull.created_at),
        "merged_at": _at(pull.created_at) if pull.merged else None,
        "requested_reviewers": [_user(each) for each in pull.requested],
        "head": {
            "ref": pull.head_ref,
            "sha": pull.head.sha,
            "label": f"{pull.head_owner.login}:{pull.head_ref}",
            "repo": _repository(call, head) if head else None,
            "user": _user(pull.head_owner),
        },
        "base": {
            "ref": pull.base_ref,
            "sha": pull.base.sha,
            "label": f"{pull.repository.owner.login}:{pull.base_ref}",
            "repo": _repository(call, pull.repository),
            "user": _user(pull.repository.owner),
        },
    }


def _html(call: Call, pull: PullRequest) -> str:
    return f"{call.server_url}/{pull.repository.full_name}/pull/{pull.number}"


def _comment(call: Call, comment: Comment) -> Json:
    return {
        "id": comment.id,
        "node_id": comment.node_id,
        "body": comment.body,
        "user": _user(comment.author),
        "created_at": _at(comment.created_at),
        "updated_at": _at(comment.updated_at),
        "url": f"{_repo_url(call)}/issues/comments/{comment.id}",
        "issue_url": f"{_repo_url(call)}/issues/{comment.pull.number}",
        "html_url": comment_url(call.server_url, comment),
    }


def comment_url(server_url: str, comment: Comment) -> str:
    """Return where a browser finds a comment."""
    pull = comment.pull
    return f"{server_url}/{pull.repository.full_name}/pull/{pull.number}#issuecomment-{comment.id}"


def _status(call: Call, status: Status) -> Json:
    return {
        "id": status.id,
        "node_id": status.node_id,
        "state": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
        "url": f"{_repo_url(call)}/statuses/{status.commit.sha}",
        "creator": _user(status.creator),
        "created_at": _at(status.created_at),
        "updated_at": _at(status.created_at),
    }


def _review(call: Call, review: Review) -> Json:
    html = f"{_html(call, review.pull)}#pullrequestreview-{review.id}"
    url = f"{_repo_url(call)}/pulls/{review.pull.number}"
    return {
        "id": review.id,
        "node_id": review.node_id,
        "user": _user(review.author),
        "body": review.body,
        "state": review.state,
        "commit_id": review.commit.sha,
        "submitted_at": _at(review.submitted_at),
        "html_url": html,
        "pull_request_url": url,
        "_links": {"html": {"href": html}, "pull_request": {"href": url}},
    }


def _file(changed: ChangedFile) -> Json:
    previous = {"previous_filename": changed.previous_path} if changed.previous_path else {}
    return {
        "filename": changed.path,
        "status": changed.status,
        "additions": changed.additions,
        "deletions": changed.deletions,
        "changes": changed.additions + changed.deletions,
        **previous,
    }


# --- The calls ---------------------------------------------------------------------------------------------


def get_repository(call: Call) -> Reply:
    return Reply(_repository(call, call.repository))


def get_branch(call: Call) -> Reply:
    name = call.values["branch"]
    if (commit := call.repository.branches.get(name)) is None:
        raise not_found("Branch not found")
    protected = name in call.repository.rules
    return Reply({"name": name, "commit": _commit(call, commit), "protected": protected})


def get_branch_rules(call: Call) -> Reply:
    rules, links = call.page(call.repository.rules.get(call.values["branch"], []))
    source = {"ruleset_source_type": "Repository", "ruleset_source": call.repository.full_name, "ruleset_id": 1}
    return Reply([{**rule, **source} for rule in rules], headers=links)


def get_permission(call: Call) -> Reply:
    account = call.world.users.get(call.values["username"].lower())
    if account is None:
        raise not_found(f"{call.values['username']} is not a user")
    role = call.repository.role(account)
    legacy = {"maintain": "write", "triage": "read"}.get(role, role)
    return Reply({"permission": legacy, "role_name": role, "user": {**(_user(account) or {}), "role_name": role}})


def get_commit(call: Call) -> Reply:
    return Reply(_commit(call, call.commit(call.values["ref"])))


def list_pulls_of_commit(call: Call) -> Reply:
    commit = call.commit(call.values["commit_sha"])
    # A fork's commit is not found this way, although its pull request is open here. Of a commit that the default
    # branch contains, GitHub lists merged pull requests only.
    default = call.repository.branches[call.repository.default_branch]
    pulls = [
        pull
        for pull in call.repository.pulls.values()
        if not pull.is_fork
        and (pull.merged or (pull.state == "open" and commit not in default.history()))
        and commit in pull.commits()
    ]
    some, links = call.page(pulls)
    return Reply([_pull(call, pull) for pull in some], headers=links)


def get_combined_status(call: Call) -> Reply:
    commit = call.commit(call.values["ref"])
    latest = call.repository.latest_statuses(commit.sha)
    some, links = call.page(latest)
    payload = {
        "state": combined(latest),
        "sha": commit.sha,
        "total_count": len(latest),
        "statuses": [_status(call, each) for each in some],
        "repository": _repository(call, call.repository),
        "commit_url": f"{_repo_url(call)}/commits/{commit.sha}",
        "url": f"{_repo_url(call)}/commits/{commit.sha}/status",
    }
    return Reply(payload, headers=links)


def combined(latest: Iterable[Status]) -> str:
    """Return the one state of several: a failure beats everything, and nothing at all is pending."""
    states = {each.state for each in latest}
    if states & {"failure", "error"}:
        return "failure"
    return "success" if states == {"success"} else "pending"


def list_statuses(call: Call) -> Reply:
    some, links = call.page(call.repository.statuses_of(call.commit(call.values["ref"]).sha))
    return Reply([_status(call, each) for each in some], headers=links)


def create_status(call: Call) -> Reply:
    _not_archived(call)
    context = call.body.get("context", "default")
    description, target = call.body.get("description"), call.body.get("target_url")
    commit = call.repository.commits.get(call.values["sha"])
    if commit is None:
        raise Refusal(422, f"No commit found for SHA: {call.values['sha']}")
    if description is not None and len(description) > DESCRIPTION_CHARACTERS:
        raise _too_long("Status", "description", DESCRIPTION_CHARACTERS)
    if len(context) > CONTEXT_CHARACTERS:
        raise _too_long("Status", "context", CONTEXT_CHARACTERS)
    if target and urlsplit(target).scheme not in {"http", "https"}:
        raise invalid("Status", "target_url", "target_url must use http(s) scheme")
    same = [each for each in call.repository.statuses_of(commit.sha) if each.context.lower() == context.lower()]
    if len(same) >= STATUSES_OF_A_CONTEXT:
        raise invalid("Status", "context", "This SHA and context has reached the maximum number of statuses.")
    by = call.token.account.login
    status = call.repository.status(commit.sha, call.body["state"], context, description, by=by)
    status.target_url = target
    return Reply(_status(call, status), 201)


def get_content(call: Call) -> Reply:
    ref = call.query.get("ref", call.repository.default_branch)
    if (commit := call.repository.found(ref)) is None:
        raise not_found(f"No commit found for the ref {ref}")
    path = call.values["path"].strip("/")
    if (content := commit.files.get(path)) is not None:
        small = len(content) <= INLINE_BYTES
        text = base64.encodebytes(content).decode() if small else ""
        return Reply({**_entry(call, path, content), "content": text, "encoding": "base64" if small else "none"})
    if not (inside := {each: content for each, content in commit.files.items() if each.startswith(f"{path}/")}):
        raise not_found()
    here = {each: content for each, content in inside.items() if "/" not in each[len(path) + 1 :]}
    return Reply([_entry(call, each, content) for each, content in here.items()])


def _entry(call: Call, path: str, content: bytes) -> Json:
    name = path.rsplit("/", 1)[-1]
    url = f"{_repo_url(call)}/contents/{quote(path)}"
    return {"type": "file", "name": name, "path": path, "size": len(content), "sha": blob_sha(content), "url": url}


def blob_sha(content: bytes) -> str:
    """Return git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def get_issue(call: Call) -> Reply:
    pull = call.pull
    url = f"{_repo_url(call)}/issues/{pull.number}"
    payload = {
        "id": pull.id,
        "node_id": pull.node_id,
        "number": pull.number,
        "title": pull.title,
        "state": pull.state,
        "locked": pull.locked,
        "user": _user(pull.author),
        "comments": len(pull.comments),
        "url": url,
        "comments_url": f"{url}/comments",
        "html_url": _html(call, pull),
        "created_at": _at(pull.created_at),
        "updated_at": _at(pull.created_at),
        "pull_request": {"url": f"{_repo_url(call)}/pulls/{pull.number}", "html_url": _html(call, pull)},
    }
    return Reply(payload)


def list_comments(call: Call) -> Reply:
    since = call.query.get("since", "")
    some, links = call.page([each for each in call.pull.comments if _at(each.updated_at) >= since])
    return Reply([_comment(call, each) for each in some], headers=links)


def create_comment(call: Call) -> Reply:
    _not_archived(call)
    pull = call.pull
    if pull.locked:
        raise Refusal(403, "Unable to create comment because issue is locked.")
    comment = pull.comment(call.token.account.login, _body(call))
    return Reply(_comment(call, comment), 201)


def get_comment(call: Call) -> Reply:
    return Reply(_comment(call, call.comment))


def update_comment(call: Call) -> Reply:
    _not_archived(call)
    comment = call.comment
    comment.body, comment.updated_at = _body(call), call.world.tick()
    return Reply(_comment(call, comment))


def delete_comment(call: Call) -> Reply:
    _not_archived(call)
    call.world.delete(call.comment)
    return Reply(None, 204)


def _body(call: Call) -> str:
    body: str = call.body["body"]
    if not body.strip():
        raise invalid("IssueComment", "body", "body cannot be blank")
    if len(body) > COMMENT_CHARACTERS:
        raise _too_long("IssueComment", "body", COMMENT_CHARACTERS)
    return body


def _too_long(resource: str, name: str, most: int) -> Refusal:
    return invalid(resource, name, f"{name} is too long (maximum is {most} characters)")


def _not_archived(call: Call) -> None:
    if call.repository.archived:
        raise Refusal(403, "Repository was archived so is read-only.")


def list_pulls(call: Call) -> Reply:
    query = call.query
    state, head, base = query.get("state", "open"), query.get("head", ""), query.get("base", "")
    pulls = [
        pull
        for pull in call.repository.pulls.values()
        if state in {pull.state, "all"}
        # Without an owner the filter is no filter.
        and (":" not in head or head.lower() == f"{pull.head_owner.login}:{pull.head_ref}".lower())
        and base in {"", pull.base_ref}
    ]
    if query.get("sort", "created") != "created":
        raise NotImplementedError(f"pulls sorted by {query['sort']}")
    some, links = call.page(pulls if query.get("direction") == "asc" else pulls[::-1])
    return Reply([_pull(call, pull) for pull in some], headers=links)


def get_pull(call: Call) -> Reply:
    pull = call.pull
    counts = {"comments": len(pull.comments), "commits": len(pull.commits()), "merged": pull.merged}
    return Reply({**_pull(call, pull), **counts, "changed_files": len(pull.changed_files())})


def list_files(call: Call) -> Reply:
    some, links = call.page(call.pull.changed_files()[:LISTED_FILES])
    return Reply([_file(each) for each in some], headers=links)


def list_reviews(call: Call) -> Reply:
    some, links = call.page(call.pull.reviews)
    return Reply([_review(call, each) for each in some], headers=links)


def list_requested(call: Call) -> Reply:
    return Reply({"users": [_user(each) for each in call.pull.requested], "teams": []})


def request_reviewers(call: Call) -> Reply:
    _not_archived(call)
    pull, repository = call.pull, call.repository
    logins: list[str] = call.body.get("reviewers", [])
    if call.body.get("team_reviewers"):
        raise Refusal(422, "Could not resolve to a node with the global id of 'T_0'.")
    for login in logins:
        account = call.world.users.get(login.lower())
        if account is not None and account is pull.author:
            raise Refusal(422, "Review cannot be requested from pull request author.")
        if account is None or (account is not repository.owner and account.login.lower() not in repository.roles):
            raise Refusal(422, f"Reviews may only be requested from collaborators of {repository.full_name}.")
    pull.request_review(*logins)
    return Reply(_pull(call, pull), 201)


def _either(level: str) -> tuple[str, str]:
    return f"issues={level}", f"pull-requests={level}"


# What each call takes: one of the permissions named (GitHub's list of permissions of an app's token).
CALLS: Final[dict[str, tuple[Callable[[Call], Reply], tuple[str, ...]]]] = {
    "issues/create-comment": (create_comment, _either("write")),
    "issues/delete-comment": (delete_comment, _either("write")),
    "issues/get": (get_issue, _either("read")),
    "issues/get-comment": (get_comment, _either("read")),
    "issues/list-comments": (list_comments, _either("read")),
    "issues/update-comment": (update_comment, _either("write")),
    "pulls/get": (get_pull, ("pull-requests=read",)),
    "pulls/list": (list_pulls, ("pull-requests=read",)),
    "pulls/list-files": (list_files, ("pull-requests=read",)),
    "pulls/list-requested-reviewers": (list_requested, ("pull-requests=read",)),
    "pulls/list-reviews": (list_reviews, ("pull-requests=read",)),
    "pulls/request-reviewers": (request_reviewers, ("pull-requests=write",)),
    "repos/create-commit-status": (create_status, ("statuses=write",)),
    "repos/get": (get_repository, ("metadata=read",)),
    "repos/get-branch": (get_branch, ("contents=read",)),
    "repos/get-branch-rules": (get_branch_rules, ("metadata=read",)),
    "repos/get-collaborator-permission-level": (get_permission, ("metadata=read",)),
    "repos/get-combined-status-for-ref": (get_combined_status, ("statuses=read",)),
    "repos/get-commit": (get_commit, ("contents=read",)),
    "repos/get-content": (get_content, ("contents=read",)),
    "repos/list-commit-statuses-for-ref": (list_statuses, ("statuses=read",)),
    "repos/list-pull-requests-associated-with-commit": (list_pulls_of_commit, ("pull-requests=read",)),
}
