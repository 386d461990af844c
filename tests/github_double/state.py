"""The state of the double: accounts and tokens, repositories with commits, pull requests, reviews, and statuses."""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

BOT = "github-actions[bot]"
Files = Mapping[str, str | bytes]
CHANGE: Files = {"change.txt": "one line\n"}
BEYOND_INT32 = 2**31 + 12345  # the first id of comments, reviews, and statuses, as on github.com
LEVELS = ("none", "read", "write")
ALWAYS = {"metadata": "read"}  # every token of an app has it


@dataclass(eq=False, slots=True)
class Account:
    id: int
    login: str

    @property
    def is_bot(self) -> bool:
        return self.login.endswith("[bot]")


@dataclass(eq=False, slots=True)
class Commit:
    """A commit with its whole tree, `files`: content by path. `number` grows from commit to commit."""

    repository: "Repository"
    sha: str
    number: int
    parents: tuple["Commit", ...]
    files: Mapping[str, bytes]
    authors: Sequence[Account | None] = (None,)  # None: an address without an account

    def history(self) -> Iterator["Commit"]:
        """Yield this commit and all its ancestors, newest first."""
        due = {self}
        while due:
            newest = max(due, key=lambda commit: commit.number)
            yield newest
            due = due - {newest} | set(newest.parents)


@dataclass(eq=False, slots=True)
class Status:
    id: int
    commit: Commit
    state: str
    context: str
    description: str | None
    creator: Account | None = None
    target_url: str | None = None


@dataclass(eq=False, slots=True)
class Comment:
    """A comment on a pull request; `author` is None if the account was deleted."""

    id: int
    pull: "PullRequest"
    author: Account | None
    body: str


@dataclass(eq=False, slots=True)
class Review:
    id: int
    author: Account
    state: str
    commit: Commit


@dataclass(eq=False, slots=True)
class PullRequest:
    repository: "Repository"
    number: int
    author: Account
    head_repository: "Repository | None"  # None if the fork was deleted
    head_ref: str
    head: Commit
    base_ref: str
    base: Commit
    state: str = "open"
    comments: list[Comment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    requested: list[Account] = field(default_factory=list)
    assignees: list[Account] = field(default_factory=list)

    @property
    def head_sha(self) -> str:
        return self.head.sha

    def push(self, files: Mapping[str, str | bytes] | None = None) -> str:
        repository = self.head_repository or self.repository
        self.head = repository.commits[repository.commit(self.head_ref, files)]
        return self.head.sha

    def comment(self, login: str | None, body: str) -> Comment:
        world = self.repository.world
        comment = Comment(next(world.ids), self, world.user(login) if login else None, body)
        self.comments.append(comment)
        return comment

    def review(self, login: str, state: str, *, sha: str | None = None) -> Review:
        world, commit = self.repository.world, self.repository.commits[sha or self.head.sha]
        author = world.user(login)
        review = Review(next(world.ids), author, state, commit)
        self.reviews.append(review)
        self.requested = [each for each in self.requested if each is not author]
        return review


@dataclass(eq=False, slots=True)
class Repository:
    world: "World"
    id: int
    owner: Account
    name: str
    default_branch: str = "main"
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, Commit] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    protected: dict[str, list[str]] = field(default_factory=dict)  # what the protection of a branch requires

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    def commit(self, branch: str = "", files: Mapping[str, str | bytes] | None = None) -> str:
        """Return the SHA of a new commit on a branch, which starts at the default branch's tip."""
        branch = branch or self.default_branch
        parent = self.branches.get(branch) or self.branches.get(self.default_branch)
        tree = dict(parent.files) if parent else {}
        for path, content in (files or {}).items():
            tree[path] = content.encode() if isinstance(content, str) else content
        return self._add(branch, (parent,) if parent else (), tree)

    def merge(self, sha: str) -> str:
        tip, other = self.branches[self.default_branch], self.commits[sha]
        return self._add(self.default_branch, (tip, other), {**tip.files, **other.files})

    def _add(self, branch: str, parents: tuple[Commit, ...], tree: Mapping[str, bytes]) -> str:
        number = next(self.world.ids)
        sha = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = self.branches[branch] = Commit(self, sha, number, parents, tree)
        return sha

    def fork(self, owner: str) -> "Repository":
        fork = Repository(self.world, next(self.world.ids), self.world.user(owner), self.name, self.default_branch)
        fork.commits, fork.branches = self.commits, dict(self.branches)  # as on GitHub, commits are shared
        return self.world.add(fork)

    def pull(
        self, author: str = "mona", *, head: str = "topic", files: Files = CHANGE, source: "Repository | None" = None
    ) -> PullRequest:
        """Return a new open pull request: one commit with `files` on `head`, a branch of the fork `source` if given."""
        source, base, number = source or self, self.default_branch, len(self.pulls) + 1
        commit, user, tip = self.commits[source.commit(head, files)], self.world.user(author), self.branches[base]
        self.pulls[number] = PullRequest(self, number, user, source, head, commit, base, tip)
        return self.pulls[number]

    def status(
        self, sha: str, state: str, context: str, description: str | None = None, *, creator: str = BOT
    ) -> Status:
        account = self.world.user(creator)
        status = Status(next(self.world.ids), self.commits[sha], state, context, description, account)
        self.statuses.append(status)
        return status

    def statuses_of(self, sha: str) -> list[Status]:
        return [each for each in reversed(self.statuses) if each.commit.sha == sha]

    def latest_statuses(self, sha: str) -> list[Status]:
        newest: dict[str, Status] = {}
        for status in self.statuses_of(sha):
            newest.setdefault(status.context.lower(), status)
        return list(newest.values())

    def changed_files(self, base: str, head: str) -> list[str]:
        """Return the path of each file that a head changes since it left a base. No test renames a file."""
        if base not in self.commits or head not in self.commits:
            raise not_found()
        old_commits = set(self.commits[base].history())
        left = next((each for each in self.commits[head].history() if each in old_commits), None)
        old, new = left.files if left else {}, self.commits[head].files
        return sorted(path for path in {**old, **new} if old.get(path) != new.get(path))

    def role(self, account: Account) -> str:
        return "admin" if account is self.owner else self.roles.get(account.login.lower(), "none")

    def collaborator(self, login: str, role: str) -> None:
        self.roles[self.world.user(login).login.lower()] = role

    def require_statuses(self, branch: str, *contexts: str) -> None:
        checks = [{"context": context} for context in contexts]
        parameters = {"required_status_checks": checks, "strict_required_status_checks_policy": False}
        ruleset = {"ruleset_id": 42, "ruleset_source_type": "Repository", "ruleset_source": self.full_name}
        rule = {"type": "required_status_checks", "parameters": parameters, **ruleset}
        self.rules.setdefault(branch, []).append(rule)

    def find(self, revision: str) -> Commit | None:
        """Return the commit that a SHA, a branch's ref, or HEAD means, with ~N the Nth ancestor by first parents."""
        start, tilde, steps = revision.partition("~")
        name = self.default_branch if start == "HEAD" else start.removeprefix("refs/heads/")
        commit = self.branches.get(name) or self.commits.get(start)
        for _ in range(int(steps) if tilde else 0):
            commit = commit.parents[0] if commit and commit.parents else None
        return commit


class World:
    """All accounts and repositories. Ids are beyond 32 bits."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.ids = count(BEYOND_INT32)
        self.users: dict[str, Account] = {}
        self.repositories: dict[str, Repository] = {}

    def user(self, login: str) -> Account:
        return self.users.setdefault(login.lower(), Account(len(self.users) + 1, login))

    def repository(self, full_name: str) -> Repository:
        """Return a new repository with one commit on `main`."""
        owner, name = full_name.split("/")
        repository = self.add(Repository(self, len(self.repositories) + 1, self.user(owner), name))
        repository.commit(files={"README.md": "# Read me\n"})
        return repository

    def add(self, repository: Repository) -> Repository:
        self.repositories[repository.full_name.lower()] = repository
        return repository


@dataclass(eq=False)
class Refusal(Exception):
    """GitHub rejects a call: `status` and `message` are those of REST, `kind` is the `type` of a GraphQL error."""

    status: int
    message: str
    kind: str = "UNPROCESSABLE"
    errors: Sequence[object] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def not_found(message: str = "Not Found") -> Refusal:
    return Refusal(404, message, kind="NOT_FOUND")


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an account; `permissions` maps a workflow's `permissions:` keys to read or write, None is all."""

    account: Account
    permissions: Mapping[str, str] | None = None

    def need(self, *alternatives: str) -> None:
        """Raise Refusal unless one alternative such as `pull-requests=write` is granted."""
        for alternative in alternatives:
            permission, level = alternative.split("=")
            given = {permission: "write"} if self.permissions is None else {**self.permissions, **ALWAYS}
            if LEVELS.index(given.get(permission, "none")) >= LEVELS.index(level):
                return
        headers = {"X-Accepted-GitHub-Permissions": "; ".join(alternatives).replace("-", "_")}
        raise Refusal(403, "Resource not accessible by integration", kind="FORBIDDEN", headers=headers)
