"""PyGithub's connections to the double in this process, without a socket."""

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from urllib.parse import parse_qsl, urlsplit

from github.Requester import Requester

from tests import backend as be
from tests.github_double import GitHub


@contextmanager
def connected(github: GitHub) -> Iterator[None]:
    """Let PyGithub call this GitHub.

    The end of the block raises what was not described, and an exception of the double, which PyGithub may have hidden.
    """
    failures = list[Exception]()
    connection = type("Connection", (_Connection,), {"github": github, "failures": failures})
    Requester.injectConnectionClasses(connection, connection)
    try:
        yield
    finally:
        Requester.resetConnectionClasses()
    for failure in failures:
        raise failure
    github.check()


class _Response(HTTPResponse):
    def read(self, _size: int | None = None) -> str:  # type: ignore[override]
        """Return the body as text, as PyGithub's own responses do."""
        return super().read().decode()


class _Connection:
    """A connection of PyGithub, and the socket from which http.client reads the response."""

    github: GitHub
    failures: list[Exception]

    def __init__(self, *_: object, **__: object) -> None:
        self._content = b""

    def request(self, verb: str, url: str, body: str | None, headers: Mapping[str, str], *_: object) -> None:
        parts = urlsplit(url)
        request = be.Request(
            method=verb,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers.items()},
            body=(body or "").encode(),
            at=time.monotonic(),
        )
        self._content = b""
        try:
            self.github.respond(request).perform(self)
        except ConnectionError:
            raise
        except Exception as error:
            self.failures.append(error)
            raise

    def getresponse(self) -> _Response:
        response = _Response(self)  # type: ignore[arg-type]
        response.begin()
        return response

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._content)

    def send(self, content: bytes) -> None:
        self._content += content

    def pause(self, _seconds: float | None) -> bool:
        return False

    def hang_up(self) -> None:
        pass

    def reset(self) -> None:
        raise ConnectionResetError

    def close(self) -> None:
        pass
