"""Sends calls to GitHub by PyGithub's requester: one request for each, and GitHubError for every failure.

`client.py` pauses and retries. PyGithub's own objects would fetch an entry of a list, and a comment, once more.
Sources: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api;
https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from collections.abc import Callable
from functools import partial

from github import Auth, BadAttributeException, Github, GithubException

from sepurux_action import __version__
from sepurux_action.common import T, json_reader
from sepurux_action.common.secret import Secret
from sepurux_action.evaluation.api import TRANSPORT_ERRORS, failure_words, retry_after
from sepurux_action.github.client import UNEXPECTED_SHAPE, Client, GitHubError, Kind, joined_messages

# PyGithub raises these for a response of an unexpected shape, and RuntimeError for a redirect to another host.
SHAPE_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def connect(api_url: str, token: Secret, repository: str, redact: Callable[[str], str] = str) -> Client:
    """Return the client for a repository. `api_url` is https, or http on loopback, and may have a path."""
    make = partial(
        Github,
        auth=Auth.Token(token.reveal()),
        base_url=api_url,
        timeout=10,  # seconds of one request; PyGithub has no separate timeout for connecting
        user_agent=f"sepurux-gate-action/{__version__}",
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )
    idle: list[Github] = []  # PyGithub keeps one request in its connection, so each request under way has its own

    def send(verb: str, path: str, *, query: dict[str, str] | None = None, body: object = None) -> object:
        try:
            github = idle.pop()
        except IndexError:
            github = make()
        url = f"/repos/{repository}/{path}" if path else github.requester.graphql_url
        call = partial(github.requester.requestJsonAndCheck, verb, url, parameters=query, input=body)
        try:
            return translate_errors(call, redact)[1]
        finally:
            idle.append(github)

    return Client(send, repository, redact)


def translate_errors(call: Callable[[], T], redact: Callable[[str], str] = str) -> T:
    try:
        return call()
    except GithubException as error:
        rejection = error
    except TRANSPORT_ERRORS as error:  # whose text quotes addresses
        raise GitHubError(failure_words("GitHub", error)) from None
    except (BadAttributeException, *SHAPE_ERRORS):  # of any status: PyGithub parses the body first
        raise GitHubError(UNEXPECTED_SHAPE) from None
    status, data = rejection.status, json_reader.as_object(rejection.data)
    headers = {name.lower(): value for name, value in (rejection.headers or {}).items()}
    message = redact(joined_messages([data, *json_reader.as_array(data.get("errors"))]))
    kind, wait = None, retry_after(headers.get("retry-after", ""))
    exhausted = headers.get("x-ratelimit-remaining") == "0" or "rate limit" in message.lower()
    if status in {403, 429} and (exhausted or "retry-after" in headers):
        kind = Kind.RATE_LIMITED
    elif status == 403:  # noqa: PLR2004
        kind = Kind.FORBIDDEN
    raise GitHubError(message, kind, status=status, retry_after_s=wait)
