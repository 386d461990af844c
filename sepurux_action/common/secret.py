"""Secrets that cannot be printed by accident, and the redaction of texts that quote one, as a backend may do."""

import base64
import functools
import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from sepurux_action.common import json_reader

REDACTED = "***"
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
LIKE_A_SECRET = re.compile(rf"(?!{_UUID}\Z)(?=.*[0-9])(?=.*[A-Za-z])[\w.+=~-]{{20,}}\Z")
MIN_REDACTED_LENGTH = 6  # characters; redacting "a" or "pass" everywhere would destroy the responses


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """A credential. Its text is `***`; only what sends it, or signs with it, calls `reveal`."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return REDACTED


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret, as an address and a report escape it, and the parts that the base64 of a text may have of it.

    base64 encodes three bytes as four characters. So there are three such parts, one for each number of bytes before
    the secret, divided by three. A character at an end may also encode bits of another byte, so the parts lack it.
    """
    raw = secret.encode(errors="surrogatepass")  # an environment variable may contain bytes that are not UTF-8
    yield from (secret, json.dumps(secret)[1:-1], html.escape(secret), html.escape(secret, quote=False))
    yield quote(raw, safe="")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before, mixed in ((0, 0), (1, 2), (2, 3)):
            yield encode(bytes(before) + raw).decode()[mixed : (before + len(raw)) * 8 // 6]


@functools.cache
def _pattern(character: str) -> str:
    """Return the pattern of a character, plain or percent-encoded."""
    return f"(?:{re.escape(character)}|(?i:%{character.encode(errors='surrogatepass').hex('%')}))"


class Redactor:
    """Replaces secrets, plain and encoded, in any text by `***`. Only a text that is not cut yet shows all of them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Take the secrets. One with fewer than `MIN_REDACTED_LENGTH` characters is not redacted."""
        forms = dict.fromkeys(form for secret in secrets for form in _forms(secret) if len(form) >= MIN_REDACTED_LENGTH)
        self.forms = sorted(forms, key=len, reverse=True)  # of two that begin alike, the longer one
        patterns = ("".join(map(_pattern, form)) for form in self.forms)
        first = "".join(re.escape(form[0]) for form in self.forms)  # a text has few of them, so it is found fast
        self._found = re.compile(f"(?=[%{first}])(?:{'|'.join(patterns)})")

    def __call__(self, text: str) -> str:
        return self._found.sub(REDACTED, text) if self.forms else text

    def redact_json(self, value: object) -> object:
        """Return a JSON value with every string redacted and cut; raises RecursionError. No report shows keys.

        Lists and objects are changed in place, because a copy of a large response would need as much memory again.
        """
        if isinstance(value, str):
            shown = json_reader.printable(value)  # joins a secret that invisible characters split
            redacted = self(shown)
            return json_reader.shorten(value if redacted == shown else redacted, json_reader.MAX_TEXT_LENGTH)
        if isinstance(value, list):
            value[:] = map(self.redact_json, value)
        elif isinstance(value, dict):
            value.update((key, self.redact_json(item)) for key, item in value.items())
        return value
