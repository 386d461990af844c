"""Secrets that cannot be printed by accident, and the redaction of texts that quote one.

Responses are redacted too, because a backend may send a secret back.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from sepurux_action.common import json_reader

REDACTED = "***"
MAX_DEPTH = 100  # levels of JSON that are kept, which limits the recursion; responses have far fewer
_LIKE_A_SECRET = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w.+=~-]{20,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
MIN_REDACTED_LENGTH = 6  # characters; redacting "a" or "pass" everywhere would destroy the responses


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """A credential. Its text is `***`; only the modules that send it call `reveal`."""

    _text: str

    def reveal(self) -> str:
        """Return the credential, for a request to the host that it belongs to."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return format(REDACTED, spec)


def may_be_secret(text: str) -> bool:
    """Return whether a text looks like a secret: long, without spaces and slashes, and with letters and digits.

    A UUID is an id.
    """
    return bool(_LIKE_A_SECRET.fullmatch(text)) and not _UUID.fullmatch(text)


def spellings(secret: str) -> tuple[str, ...]:
    """Return the forms in which a text may contain a secret: plain, percent-encoded, and base64 in both alphabets."""
    raw = secret.encode(errors="surrogatepass")  # an environment variable may contain bytes that are not UTF-8
    encoded = (encode(raw).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode))
    return tuple(dict.fromkeys((secret, quote(raw, safe=""), quote(raw), *encoded)))


class Redactor:
    """Replaces secrets, and their usual encodings, in any text by `***`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Take the secrets. One that is shorter than `MIN_REDACTED_LENGTH` is redacted only if it is the whole text."""
        known = [secret for secret in secrets if secret]
        self._whole = frozenset(known)
        forms = {form for secret in known for form in spellings(secret) if len(form) >= MIN_REDACTED_LENGTH}
        self._parts = sorted(forms, key=len, reverse=True)
        beginnings = "|".join(re.escape(form[:MIN_REDACTED_LENGTH]) for form in self._parts)
        self._maybe_cut = re.compile(f"(?:{beginnings})[^{json_reader.CUT}]*{json_reader.CUT}?")

    def __call__(self, text: str) -> str:
        """Return the text with each secret, and each beginning of a secret before `json_reader.CUT`, replaced by `***`.

        So a text may be cut before or after this call. At most `MIN_REDACTED_LENGTH` - 1 characters of a secret remain.
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
            beginning = part[:MIN_REDACTED_LENGTH]
            start = text.find(beginning, max(0, len(text) - len(part)))
            while start >= 0 and not part.startswith(text[start:]):
                start = text.find(beginning, start + 1)
            if start >= 0:
                starts.append(start)
        start = min(starts)
        return match[0] if start == len(text) else text[:start] + REDACTED + json_reader.CUT

    def redact_json(self, value: object, levels: int = MAX_DEPTH) -> object:
        """Return a JSON value with every string redacted except keys, which no report shows; None below `levels`.

        Lists and objects are changed in place, because a copy of a large response would need as much memory again.
        """
        if isinstance(value, str):
            shown = json_reader.printable(value)  # joins a secret that invisible characters split, as a report would
            return self(value) if self(shown) == shown else self(shown)
        if isinstance(value, list | dict) and not levels:
            return None
        if isinstance(value, list):
            value[:] = (self.redact_json(item, levels - 1) for item in value)
        elif isinstance(value, dict):
            value.update((key, self.redact_json(item, levels - 1)) for key, item in value.items())
        return value
