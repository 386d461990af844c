"""The REST calls of the double: the permission that each needs, its rules, and the fields that the package reads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tests.github_double.state import Account, Comment, PullRequest, Refusal, Repository, Status, Token, not_found

MAX_COMMENT_LENGTH = 65_536  # characters
MAX_DESCRIPTION_LENGTH = 140
MAX_CONTEXT_LENGTH = 255
PAGE = 30  # entries of a page unless the request asks for more
MAX_PAGE = 100
MAX_COMPARED = 300  # files of a comparison
Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    repository: Repository
    token: Token
    values: Mapping[str, str]
    query: Mapping[str, str]
    body: Json
    server_url: str
    headers: dict[str, str] = field(default_factory=dict)  # of the response

    @property
    def pull(self) -> PullRequest:
        number = int(self.values.get("pull_number") or self.values["issue_number"])
        if number not in self.repository.pulls:
            raise not_found()
        return self.repository.pulls[number]

    @property
    def comment(self) -> Comment:
        for pull in self.repository.pulls.values():
            for comment in pull.comments:
                if comment.id == int(self.values["comment_id"]):
                    return comment
        raise not_found()

    def page(self, items: Sequence[T]) -> Sequence[T]:
        size = min(int(self.query.get("per_page", PAGE)), MAX_PAGE)
        number = int(self.query.get("page", 1))
        if number * size < len(items):
            self.headers["Link"] = f'<{self.server_url}?page={number + 1}>; rel="next"'
        return items[(number - 1) * size : number * size]


def _user(account: Account | None) -> Json | None:
    if account is None:
        return None
    return {"id": account.id, "login": account.login, "type": "Bot" if account.is_bot else "User"}


def _status(status: Status) -> Json:
    texts = {"context": status.context, "description": status.description, "target_url": status.target_url}
    return {"id": status.id, "state": status.state, **texts, "creator": _user(status.creator)}


def repository_json(repository: Repository) -> Json:
    return {"id": repository.id, "full_name": repository.full_name, "default_branch": repository.default_branch}


def pull_json(pull: PullRequest) -> Json:
    head = pull.head_repository
    return {
        "id": pull.number,
        "number": pull.number,
        "state": pull.state,
        "user": _user(pull.author),
        "head": {"ref": pull.head_ref, "sha": pull.head.sha, "repo": repository_json(head) if head else None},
        "base": {"ref": pull.base_ref, "sha": pull.base.sha, "repo": repository_json(pull.repository)},
    }


def _comment(call: Call, comment: Comment) -> Json:
    address = comment_url(call.server_url, comment)
    return {"id": comment.id, "body": comment.body, "user": _user(comment.author), "html_url": address}


def comment_url(server_url: str, comment: Comment) -> str:
    pull = comment.pull
    return f"{server_url}/{pull.repository.full_name}/pull/{pull.number}#issuecomment-{comment.id}"


def get_branch_rules(call: Call) -> object:
    return call.page(call.repository.rules.get(call.values["branch"], []))


def get_permission(call: Call) -> object:
    account = call.repository.world.users.get(call.values["username"].lower())
    if account is None:
        raise not_found(f"{call.values['username']} is not a user")
    role = call.repository.role(account)
    return {"permission": {"maintain": "write", "triage": "read"}.get(role, role), "role_name": role}


def list_statuses(call: Call) -> object:
    return [_status(each) for each in call.page(call.repository.statuses_of(call.values["ref"]))]


def create_status(call: Call) -> object:
    context, description = call.body["context"], call.body.get("description")
    if len(description or "") > MAX_DESCRIPTION_LENGTH or len(context) > MAX_CONTEXT_LENGTH:
        raise Refusal(422, "Validation Failed")
    login = call.token.account.login
    status = call.repository.status(call.values["sha"], call.body["state"], context, description, creator=login)
    status.target_url = call.body.get("target_url")
    return _status(status)


def create_comment(call: Call) -> object:
    return _comment(call, call.pull.comment(call.token.account.login, _body(call)))


def update_comment(call: Call) -> object:
    comment = call.comment
    comment.body = _body(call)
    return _comment(call, comment)


def delete_comment(call: Call) -> object:
    call.comment.pull.comments.remove(call.comment)
    return None


def _body(call: Call) -> str:
    body: str = call.body["body"]
    if not 0 < len(body.strip()) <= MAX_COMMENT_LENGTH:
        raise Refusal(422, "Validation Failed")
    return body


def list_pulls(call: Call) -> object:
    state, head = call.query.get("state", "open"), call.query.get("head", "").lower()
    pulls = [pull for pull in reversed(call.repository.pulls.values()) if state in {pull.state, "all"}]
    if ":" in head:  # without an owner, GitHub ignores the filter
        owners = [(pull, (pull.head_repository or pull.repository).owner.login) for pull in pulls]
        pulls = [pull for pull, owner in owners if head == f"{owner}:{pull.head_ref}".lower()]
    return list(map(pull_json, call.page(pulls)))


def compare(call: Call) -> object:
    base, _, head = call.values["basehead"].partition("...")
    files = call.repository.changed_files(base, head)[:MAX_COMPARED]
    return {"files": [{"filename": path} for path in files]}


def list_reviews(call: Call) -> object:
    return [
        {"id": each.id, "user": _user(each.author), "state": each.state, "commit_id": each.commit.sha}
        for each in call.page(call.pull.reviews)
    ]


def list_requested(call: Call) -> object:
    return {"users": list(map(_user, call.pull.requested)), "teams": []}


def request_reviewers(call: Call) -> object:
    pull, repository = call.pull, call.repository
    accounts = [repository.world.users.get(login.lower()) for login in call.body.get("reviewers", [])]
    for account in accounts:
        if account is None or account is pull.author or repository.role(account) == "none":
            raise Refusal(422, f"Reviews may only be requested from collaborators of {repository.full_name}.")
    pull.requested += [account for account in accounts if account and account not in pull.requested]
    return pull_json(pull)


# Each call with its status on success and the permissions of which it needs one (GitHub's list of permissions of an
# app's token).
CALLS: Final[dict[str, tuple[Callable[[Call], object], int, tuple[str, ...]]]] = {
    "issues/create-comment": (create_comment, 201, ("issues=write", "pull-requests=write")),
    "issues/delete-comment": (delete_comment, 204, ("issues=write", "pull-requests=write")),
    "issues/update-comment": (update_comment, 200, ("issues=write", "pull-requests=write")),
    "pulls/list": (list_pulls, 200, ("pull-requests=read",)),
    "pulls/list-requested-reviewers": (list_requested, 200, ("pull-requests=read",)),
    "pulls/list-reviews": (list_reviews, 200, ("pull-requests=read",)),
    "pulls/request-reviewers": (request_reviewers, 201, ("pull-requests=write",)),
    "repos/compare-commits-with-basehead": (compare, 200, ("contents=read",)),
    "repos/create-commit-status": (create_status, 201, ("statuses=write",)),
    "repos/get-branch-rules": (get_branch_rules, 200, ("metadata=read",)),
    "repos/get-collaborator-permission-level": (get_permission, 200, ("metadata=read",)),
    "repos/list-commit-statuses-for-ref": (list_statuses, 200, ("statuses=read",)),
}
