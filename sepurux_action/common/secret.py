"""Owns secrets while they pass through the program; never shows one.

What a backend echoes is blanked here as well, so that no report can carry a secret further.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from sepurux_action.common import json_reader

REDACTED = "***"
MAX_DEPTH = 100  # levels of JSON that are kept; far more than any answer has, and a bound on the recursion
MIN_BLANKED_LENGTH = 6  # characters; blanking "a" or "pass" everywhere would destroy the answers themselves


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """A credential that cannot be printed by accident; only adapters call `reveal`."""

    _text: str

    def reveal(self) -> str:
        """Return the credential itself, for a header of the host that it belongs to."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return format(REDACTED, spec)


def spellings(secret: str) -> tuple[str, ...]:
    """Return the forms in which a secret may come back: plain, percent-encoded, base64 in both alphabets."""
    raw = secret.encode(errors="surrogatepass")  # an environment may hold bytes that are no text
    encoded = (encode(raw).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode))
    return tuple(dict.fromkeys((secret, quote(raw, safe=""), quote(raw), *encoded)))


class Redactor:
    """Blanks a set of secrets, and their usual encodings, in any text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Take the secrets; those shorter than `SHORTEST_BLANKED` are blanked only as a whole text."""
        known = [secret for secret in secrets if secret]
        self._whole = frozenset(known)
        forms = {form for secret in known for form in spellings(secret) if len(form) >= MIN_BLANKED_LENGTH}
        self._parts = sorted(forms, key=len, reverse=True)
        beginnings = "|".join(re.escape(form[:MIN_BLANKED_LENGTH]) for form in self._parts)
        self._maybe_cut = re.compile(f"(?:{beginnings})[^{json_reader.CUT}]*{json_reader.CUT}?")

    def __call__(self, text: str) -> str:
        """Return the text with each secret replaced by `***`, and each beginning of a secret that `wire.CUT` follows.

        So it does not matter whether a text was cut before or after this call. Of a secret that was cut, at most
        `SHORTEST_BLANKED` - 1 characters remain.
        """
        if text in self._whole:
            return REDACTED
        for part in self._parts:
            text = text.replace(part, REDACTED)
        if not self._parts or json_reader.CUT not in text:
            return text
        return self._maybe_cut.sub(self._without_beginning, text)

    def _without_beginning(self, match: re.Match[str]) -> str:
        """Return the matched text with the beginning of a secret replaced by `***` if `json_reader.CUT` follows it."""
        if not match[0].endswith(json_reader.CUT):
            return match[0]
        text = match[0].removesuffix(json_reader.CUT)
        starts = [len(text)]
        for part in self._parts:
            beginning = part[:MIN_BLANKED_LENGTH]
            at = text.find(beginning, max(0, len(text) - len(part)))
            while at >= 0 and not part.startswith(text[at:]):
                at = text.find(beginning, at + 1)
            if at >= 0:
                starts.append(at)
        start = min(starts)
        return match[0] if start == len(text) else text[:start] + REDACTED + json_reader.CUT

    def redact_json(self, value: object, levels: int = MAX_DEPTH) -> object:
        """Return a JSON value with every value in it blanked (keys are never shown); None below `levels`.

        Lists and objects are changed in place, because a copy of a large response would take as much memory again.
        """
        if isinstance(value, str):
            shown = json_reader.printable(
                value
            )  # as reports show it: a secret split by invisible characters is whole again
            return self(value) if self(shown) == shown else self(shown)
        if isinstance(value, list | dict) and not levels:
            return None
        if isinstance(value, list):
            value[:] = (self.redact_json(item, levels - 1) for item in value)
        elif isinstance(value, dict):
            value.update((key, self.redact_json(item, levels - 1)) for key, item in value.items())
        return value
