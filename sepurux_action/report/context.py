"""The commit, the pull request, and the workflow run that a report is about, and the addresses of their pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sepurux_action.config.settings import Change
from sepurux_action.evaluation.published_result import Results

SHORT_SHA = 7  # digits, as GitHub shows a commit
MAX_HOST_LENGTH = 60  # characters; the end of a host's name shows whose it is, so the start is cut


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The address of a run in Sepurux. `host` is '' if it is the host of `base_url` (docs/security.md)."""

    url: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The commit, the pull request, and the workflow run of a report; '' and None for what is unknown."""

    repository: str = ""
    commit: str = ""
    commit_url: str = ""
    run_url: str = ""
    base_url_host: str = ""
    pull_request: int | None = None
    pull_request_url: str = ""
    version: str = ""
    policy_path: str = ""
    policy_changes: tuple[Change, ...] = ()  # by the pull request
    base_results: Mapping[str, Results] = field(default_factory=dict)  # by the gate's name
    base_ref: str = ""
    committed: float | None = None
    policy_ref: str = ""  # the commit of the policy file that applies
    on_command_line: bool = False

    def page(self, path: str) -> str:
        """Return the address of a page of the repository, '' if it is not known."""
        repository = self.commit_url.removesuffix(f"/commit/{self.commit}")
        return "" if repository == self.commit_url else repository + path

    def dashboard(self, url: str) -> Dashboard | None:
        if not url:
            return None
        host = (urlsplit(url).hostname or "").lower()
        if host == self.base_url_host.lower():
            return Dashboard(url, "")
        return Dashboard(url, host if len(host) <= MAX_HOST_LENGTH else "…" + host[1 - MAX_HOST_LENGTH :])
