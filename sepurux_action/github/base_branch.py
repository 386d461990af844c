"""What GitHub shows of the base branch: the results on its last commits, and those of its last pull requests."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from sepurux_action.common import grouped, json_reader
from sepurux_action.errors import ErrorDetails
from sepurux_action.evaluation.published_result import Result, Results, parse_description
from sepurux_action.github.commit import PublishedStatus, parse_statuses, query_of
from sepurux_action.github.event import Event, parse_sha
from sepurux_action.github.permissions import Operation

RECENT_PULL_REQUESTS = 30  # some weeks of a team's work
BASELINE_COMMITS = 50  # of the base branch's first-parent line that are searched for results

# One field for each commit of the line, and one more, because the line of a push begins at the evaluated commit. A
# list of the history would have all ancestors by date, so that one large merge fills it.
_LINE = tuple(f"base{steps}" for steps in range(BASELINE_COMMITS + 1))
_FRAGMENT = """
fragment baseCommit on GitObject {
  oid
  ... on Commit { status { contexts { context description targetUrl creator { __typename login } } } }
}"""
ReadAll = Callable[[str, str], Iterable[PublishedStatus]]  # the statuses of a commit, the newest first, and an account
RECENT_RESULTS_QUERY = """
query recent($owner: String!, $name: String!, $base: String!, $last: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequests(first: $last, baseRefName: $base, orderBy: {field: CREATED_AT, direction: DESC}) {
      nodes { commits(last: 1) { nodes { commit { status { contexts { context description } } } } } }
    }
  }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseBranch:
    """The results on the base branch. `results` are by lower-case context, None if not all statuses could be read.

    `error` is why a call failed.
    """

    results: Mapping[str, Results] | None = None
    error: ErrorDetails | None = None

    @property
    def operation(self) -> Operation:
        """Return what could not be done. Only a missing permission for statuses is clear from GitHub's errors."""
        return Operation.RESULTS if self.error and self.error.accepted == "statuses=read" else Operation.BASE


def base_query(event: Event) -> str:
    base = base_revision(event)
    fields = {name: (f"{base}~{steps}", "...baseCommit") for steps, name in enumerate(_LINE)}
    return query_of("base", fields) + _FRAGMENT


def base_revision(event: Event) -> str:
    return f"refs/heads/{event.base_ref}" if event.base_ref else event.commit


def parse_base_branch(response: object, evaluated: str, contexts: set[str], read_all: ReadAll) -> BaseBranch:
    """Return the results of the lower-case `contexts` before the `evaluated` commit in a response without errors.

    GraphQL shows the newest status of a context alone. If it is no result of the token's account, all statuses of the
    commit are read, for the newest result under it. Raises the errors of `read_all`.
    """
    line = _first_parents(json_reader.as_object(json_reader.at(response, "data", "repository")))
    account = json_reader.text(json_reader.at(response, "data", "viewer", "login"))
    before = [commit for commit in line if commit.get("oid") != evaluated][:BASELINE_COMMITS]
    results = _results(before, account, contexts, read_all) if account and line else None
    return BaseBranch(results=results)


def parse_recent_results(response: object) -> Mapping[str, list[Result]]:
    """Return the newest results, one of each pull request, by lower-case context."""
    pulls = json_reader.as_array(json_reader.at(response, "data", "repository", "pullRequests", "nodes"))
    nodes = (node for pull in pulls for node in json_reader.as_array(json_reader.at(pull, "commits", "nodes")))
    statuses = (each for node in nodes for each in parse_statuses(json_reader.at(node, "commit"), "") or ())
    results = ((each.context.lower(), parse_description(each.description)) for each in statuses)
    return grouped((context, result) for context, result in results if result)


def _results(
    line: Iterable[Mapping[str, object]], account: str, contexts: set[str], read_all: ReadAll
) -> dict[str, Results]:
    """Return the decided results of each lower-case context that `account` published, the newest first.

    Only the first-parent line counts: a merged branch has results of commits that the base branch never was at. GitHub
    compares contexts without regard to case, so a commit has one result of each.
    """
    found: dict[str, list[Result]] = {}
    for commit in line:
        sha = parse_sha(commit.get("oid"))
        newest = {each.context.lower(): each for each in parse_statuses(commit, account) or ()}
        for context in contexts & newest.keys():
            result = _decided(newest[context])
            if result is None:
                older = (_decided(each) for each in read_all(sha, account) if each.context.lower() == context)
                result = next(filter(None, older), None)
            if result:
                found.setdefault(context, []).append(replace(result, commit=sha))
    return {context: tuple(results) for context, results in found.items()}


def _decided(status: PublishedStatus) -> Result | None:
    result = parse_description(status.description)
    if status.own and result and result.decision.is_decided:
        return replace(result, url=status.url)
    return None


def _first_parents(repository: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
    """Return the commits of the base's first-parent line, from the tip on; () if a commit or its statuses are unread.

    Beyond the end of a short history, the commits are null. A branch that moved meanwhile may list a commit twice.
    """
    commits = [json_reader.as_object(repository.get(name)) for name in _LINE]
    length = next((steps for steps, commit in enumerate(commits) if not commit), len(commits))
    read = (parse_sha(commit.get("oid")) and parse_statuses(commit, "") is not None for commit in commits[:length])
    unread = any(commits[length:]) or not all(read)
    return () if unread else tuple({commit["oid"]: commit for commit in commits[:length]}.values())
