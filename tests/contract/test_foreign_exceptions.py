"""No exception of a library or of the system gets past its adapter: each becomes one of ours, in our own words."""

import http.client
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import requests
import requests.exceptions
import urllib3.exceptions
from github import BadAttributeException, GithubException
from requests.adapters import BaseAdapter

from sepurux_action.common.secret import Redactor, Secret
from sepurux_action.evaluation.api import TRANSPORT_ERRORS, ApiRequest, Credentials, Transport
from sepurux_action.github.client import GitHubError, translate_errors

TOKEN = "token-of-no-one-3b1d"
TEXT = f"HTTPSConnectionPool(host='10.1.2.3'): X-API-Key: {TOKEN}"
CALL = ApiRequest(method="POST", path="/v1/ci/runs", purpose="the CI run", body=b"{}")


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from below(each)


KINDS = {each for kind in TRANSPORT_ERRORS for each in below(kind)}


class Failing(BaseAdapter):
    """A network that raises: instead of an answer, or in the middle of one."""

    def __init__(self, error: Exception, *, in_the_body: bool) -> None:
        super().__init__()
        self._error, self._in_the_body = error, in_the_body

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        if not self._in_the_body:
            raise self._error
        response = requests.Response()
        response.status_code, response.request, response.raw = 200, request, self
        return response

    def read1(self, *_: object, **__: object) -> bytes:
        raise self._error

    def close(self) -> None:
        """Have nothing to close."""


def github_error(error: Exception) -> GitHubError:
    def call() -> None:
        raise error

    with pytest.raises(GitHubError) as refused:
        translate_errors(call)
    return refused.value


@pytest.mark.parametrize("in_the_body", [False, True], ids=["before the answer", "in the answer"])
def test_every_exception_of_the_network_becomes_one_of_ours_without_its_text(*, in_the_body: bool) -> None:
    for kind in KINDS:
        error = kind.__new__(kind, TEXT)  # without __init__, whose arguments every kind has its own
        network = Failing(error, in_the_body=in_the_body)
        sender = Transport("https://api.example", Credentials(token=Secret(TOKEN)), Redactor([TOKEN]), network)
        answer = sender.send(CALL, 5)
        assert answer.temporary, kind
        assert ("api.example" in answer.error, answer.status) == (True, 200 if in_the_body else 0), kind
        refused = github_error(error)
        for text in (answer.error, str(refused), refused.message):
            assert (TOKEN in text, "10.1.2.3" in text) == (False, False), kind


def kinds_of(library: ModuleType) -> set[type[Exception]]:
    kinds = (kind for _, kind in inspect.getmembers(library, inspect.isclass) if kind.__module__ == library.__name__)
    return {kind for kind in kinds if issubclass(kind, Exception) and not issubclass(kind, Warning)}


@pytest.mark.parametrize("library", [requests.exceptions, urllib3.exceptions, http.client])
def test_the_libraries_have_no_kind_besides(library: ModuleType) -> None:
    assert set() < kinds_of(library) <= KINDS


def test_every_exception_of_pygithub_becomes_an_error_with_its_status_or_is_an_unexpected_response() -> None:
    module = sys.modules[GithubException.__module__]
    assert kinds_of(module) == {*below(GithubException), BadAttributeException}
    for kind in below(GithubException):
        details = github_error(kind(418, {"message": "I am a teapot"}, {}))
        assert (details.status, details.message) == (418, "I am a teapot")
    assert "unknown shape" in str(github_error(BadAttributeException(TEXT, (str, str), None)))
