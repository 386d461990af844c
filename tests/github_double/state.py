"""Owns what the tests' GitHub remembers: accounts, repositories with commits, pull requests and what hangs on them.

Never speaks HTTP and never refuses: who may do what is decided where a call comes in.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

BEYOND_INT32 = 2**31 + 12345  # where new comments, reviews and statuses begin, as on github.com


@dataclass(eq=False, slots=True)
class Account:
    """Somebody: a bot when the login ends with [bot]."""

    id: int
    login: str

    @property
    def is_bot(self) -> bool:
        return self.login.endswith("[bot]")

    @property
    def node_id(self) -> str:
        return f"{'BOT' if self.is_bot else 'U'}_{self.id}"


@dataclass(eq=False, slots=True)
class Commit:
    """A commit with its whole tree, `files`: content by path."""

    repository: Repository
    sha: str
    parent: Commit | None
    files: Mapping[str, bytes]
    message: str
    at: datetime

    @property
    def node_id(self) -> str:
        return f"C_{self.sha}"

    def history(self) -> Iterator[Commit]:
        """Yield this commit and what came before it, newest first."""
        commit: Commit | None = self
        while commit is not None:
            yield commit
            commit = commit.parent


@dataclass(eq=False, slots=True)
class Status:
    """One commit status; `context` is compared without regard to case."""

    id: int
    commit: Commit
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: Account
    created_at: datetime

    @property
    def node_id(self) -> str:
        return f"SC_{self.id}"


@dataclass(eq=False, slots=True)
class Comment:
    """A comment on a pull request; `author` None is an account that was deleted."""

    id: int
    pull: PullRequest
    author: Account | None
    body: str
    created_at: datetime
    updated_at: datetime
    minimized_reason: str | None = None

    @property
    def node_id(self) -> str:
        return f"IC_{self.id}"


@dataclass(eq=False, slots=True)
class Review:
    """A review: `state` is APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING."""

    id: int
    pull: PullRequest
    author: Account | None
    state: str
    commit: Commit
    body: str
    submitted_at: datetime

    @property
    def node_id(self) -> str:
        return f"PRR_{self.id}"


@dataclass(eq=False, slots=True)
class ChangedFile:
    """One file of a pull request: `status` is added, removed, modified or renamed."""

    path: str
    status: str
    additions: int
    deletions: int
    previous_path: str | None = None


@dataclass(eq=False, slots=True)
class PullRequest:
    """A pull request; `head_repository` None is a fork that was deleted."""

    repository: Repository
    number: int
    id: int
    title: str
    author: Account | None
    head_repository: Repository | None
    head_owner: Account
    head_ref: str
    head: Commit
    base_ref: str
    base: Commit
    created_at: datetime
    body: str = ""
    draft: bool = False
    state: str = "open"
    merged: bool = False
    locked: bool = False
    comments: list[Comment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    requested: list[Account] = field(default_factory=list)

    @property
    def node_id(self) -> str:
        return f"PR_{self.id}"

    @property
    def head_sha(self) -> str:
        return self.head.sha

    @property
    def base_sha(self) -> str:
        return self.base.sha

    @property
    def is_fork(self) -> bool:
        return self.head_repository is not self.repository

    def push(self, files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Return the SHA of a new head commit."""
        repository = self.head_repository or self.repository
        self.head = repository.commits[repository.commit(self.head_ref, files)]
        return self.head.sha

    def comment(self, login: str | None, body: str) -> Comment:
        """Return a new comment; None for `login` is an account that was deleted since."""
        world = self.repository.world
        now = world.tick()
        comment = Comment(next(world.ids), self, world.user(login) if login else None, body, now, now)
        self.comments.append(comment)
        return comment

    def review(self, login: str, state: str, *, sha: str | None = None, body: str = "") -> Review:
        """Return a new review, of the head unless `sha` names another commit; its author is asked no more."""
        world = self.repository.world
        author, commit = world.user(login), self.repository.commits[sha or self.head.sha]
        review = Review(next(world.ids), self, author, state, commit, body, world.tick())
        self.reviews.append(review)
        self.requested = [each for each in self.requested if each is not author]
        return review

    def request_review(self, *logins: str) -> None:
        """Ask accounts for a review, each once."""
        for account in map(self.repository.world.user, logins):
            if account not in self.requested:
                self.requested.append(account)

    def close(self, *, merged: bool = False) -> None:
        """Close it; `merged` moves the base branch to its head."""
        self.state, self.merged = "closed", merged
        if merged:
            self.repository.branches[self.base_ref] = self.head

    def commits(self) -> list[Commit]:
        """Return the commits that the base does not have, oldest first."""
        old = set(self.base.history())
        return [each for each in self.head.history() if each not in old][::-1]

    def changed_files(self) -> list[ChangedFile]:
        """Return what the head changes since it left the base, by path; equal content under a new name is a rename."""
        old_commits = set(self.base.history())
        left = next((each for each in self.head.history() if each in old_commits), None)
        old, new = left.files if left else {}, self.head.files
        gone = {path: content for path, content in old.items() if path not in new}
        changed: list[ChangedFile] = []
        for path, content in new.items():
            lines = len(content.splitlines())
            before = next((each for each, text in gone.items() if text == content), None)
            if path in old:
                if content != old[path]:
                    changed.append(ChangedFile(path, "modified", lines, len(old[path].splitlines())))
            elif before is not None:
                del gone[before]
                changed.append(ChangedFile(path, "renamed", 0, 0, before))
            else:
                changed.append(ChangedFile(path, "added", lines, 0))
        removed = [ChangedFile(path, "removed", 0, len(content.splitlines())) for path, content in gone.items()]
        return sorted([*changed, *removed], key=lambda each: each.path)


@dataclass(eq=False, slots=True)
class Repository:
    """A repository; forks share their commits with it, as on GitHub."""

    world: World
    id: int
    owner: Account
    name: str
    private: bool
    default_branch: str = "main"
    archived: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, Commit] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    @property
    def node_id(self) -> str:
        return f"R_{self.id}"

    def commit(self, branch: str = "", files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Return the SHA of a new commit on a branch, which starts at the default branch's tip; None removes a file."""
        branch = branch or self.default_branch
        parent = self.branches.get(branch) or self.branches.get(self.default_branch)
        tree = dict(parent.files) if parent else {}
        for path, content in (files or {}).items():
            if content is None:
                del tree[path]
            else:
                tree[path] = content.encode() if isinstance(content, str) else content
        number = next(self.world.ids)
        sha = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
        commit = Commit(self, sha, parent, tree, f"Change {number}", self.world.tick())
        self.commits[sha] = self.branches[branch] = commit
        return sha

    def branch(self, name: str, sha: str) -> None:
        """Let a branch point to a commit."""
        self.branches[name] = self.commits[sha]

    def fork(self, owner: str) -> Repository:
        """Return a fork with the same branches."""
        world = self.world
        fork = Repository(world, next(world.ids), world.user(owner), self.name, self.private, self.default_branch)
        fork.commits, fork.branches = self.commits, dict(self.branches)
        return world.add(fork)

    def pull(  # noqa: PLR0913 - each is one property of the new pull request
        self,
        author: str | None = "mona",
        *,
        head: str = "topic",
        base: str = "",
        files: Mapping[str, str | bytes | None] | None = None,
        source: Repository | None = None,
        draft: bool = False,
        title: str = "A change",
    ) -> PullRequest:
        """Return a new open pull request: one commit with `files` on `head`, a branch of the fork `source` if given."""
        world = self.world
        source, base = source or self, base or self.default_branch
        head_commit = self.commits[source.commit(head, files or {"change.txt": "one line\n"})]
        number = len(self.pulls) + 1
        self.pulls[number] = PullRequest(
            repository=self,
            number=number,
            id=next(world.ids),
            title=title,
            author=world.user(author) if author else None,
            head_repository=source,
            head_owner=source.owner,
            head_ref=head,
            head=head_commit,
            base_ref=base,
            base=self.branches[base],
            created_at=world.tick(),
            draft=draft,
        )
        return self.pulls[number]

    def status(
        self, sha: str, state: str, context: str = "default", description: str | None = None, *, by: str = "mona"
    ) -> Status:
        """Return a new status of a commit."""
        world = self.world
        status = Status(
            next(world.ids), self.commits[sha], state, context, description, None, world.user(by), world.tick()
        )
        self.statuses.append(status)
        return status

    def statuses_of(self, sha: str) -> list[Status]:
        """Return a commit's statuses, newest first."""
        return [each for each in reversed(self.statuses) if each.commit.sha == sha]

    def latest_statuses(self, sha: str) -> list[Status]:
        """Return the newest status of each context."""
        newest: dict[str, Status] = {}
        for status in self.statuses_of(sha):
            newest.setdefault(status.context.lower(), status)
        return list(newest.values())

    def role(self, account: Account) -> str:
        """Return admin, maintain, write, triage, read or none."""
        if account is self.owner:
            return "admin"
        return self.roles.get(account.login.lower(), "none" if self.private else "read")

    def collaborator(self, login: str, role: str) -> None:
        """Give an account a role."""
        self.roles[self.world.user(login).login.lower()] = role

    def require_statuses(self, branch: str, *contexts: str) -> None:
        """Let a rule of a branch demand status contexts."""
        checks = [{"context": context} for context in contexts]
        parameters = {"required_status_checks": checks, "strict_required_status_checks_policy": False}
        self.rules.setdefault(branch, []).append({"type": "required_status_checks", "parameters": parameters})

    def found(self, revision: str) -> Commit | None:
        """Return what a SHA, a branch's name or a ref means; HEAD is the default branch."""
        if revision == "HEAD":
            revision = self.default_branch
        for prefix in ("refs/heads/", "heads/", ""):
            if revision.startswith(prefix) and (commit := self.branches.get(revision.removeprefix(prefix))):
                return commit
        return self.commits.get(revision)

    def rename(self, name: str) -> None:
        """Give it another name; the old one leads here."""
        self.world.moved[self.full_name.lower()] = self
        del self.world.repositories[self.full_name.lower()]
        self.name = name
        self.world.add(self)


class World:
    """All that there is. Ids beyond 32 bits, and a clock that goes on by one second with each thing that happens."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.ids = count(BEYOND_INT32)
        self.users: dict[str, Account] = {}
        self.repositories: dict[str, Repository] = {}
        self.moved: dict[str, Repository] = {}
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def tick(self) -> datetime:
        """Return the next second."""
        self._now += timedelta(seconds=1)
        return self._now

    def user(self, login: str) -> Account:
        """Return the account of this name, made when there is none."""
        return self.users.setdefault(login.lower(), Account(len(self.users) + 1, login))

    def repository(self, full_name: str, *, private: bool = True, files: Mapping[str, str] | None = None) -> Repository:
        """Return a new repository with one commit on `main`."""
        owner, name = full_name.split("/")
        repository = self.add(Repository(self, len(self.repositories) + 1, self.user(owner), name, private))
        repository.commit(files={"README.md": "# Read me\n", **(files or {})})
        return repository

    def add(self, repository: Repository) -> Repository:
        """Return the repository, findable by its name from now on."""
        self.repositories[repository.full_name.lower()] = repository
        return repository

    def comment(self, comment_id: int | str, among: Sequence[Repository] | None = None) -> Comment | None:
        """Return a comment by its number or node id."""
        for repository in among if among is not None else self.repositories.values():
            for pull in repository.pulls.values():
                for comment in pull.comments:
                    if comment_id in (comment.id, comment.node_id):
                        return comment
        return None

    def delete(self, comment: Comment) -> None:
        """Forget a comment."""
        comment.pull.comments.remove(comment)
