"""Secrets that cannot be printed by accident, and the redaction of texts that quote one, as a backend may do."""

import base64
import html
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from sepurux_action.common import json_reader

REDACTED = "***"
MAX_DEPTH = 100  # levels of JSON that are kept, which limits the recursion; responses have far fewer
_LIKE_A_SECRET = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w.+=~-]{20,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
MIN_REDACTED_LENGTH = 6  # characters; redacting "a" or "pass" everywhere would destroy the responses
MIN_BEGINNING_LENGTH = 5  # characters before a cut: half an escape after them may show one more in a browser
MAX_LAYERS = 3  # of escapes, such as HTML in JSON in a URL

# The escapes of URLs, HTML, JSON, and JavaScript, first those that are cut off, and invisible characters, which reports
# put into words. A group captures what an escape stands for: two digits, four digits, an entity, a character, or a cut.
_ESCAPE = re.compile(
    r"(?:%[0-9A-Fa-f]?|&#?[0-9A-Za-z]{0,31}|\\(?:x[0-9A-Fa-f]?|u[0-9A-Fa-f]{0,3})?)"
    rf"({json_reader.CUT}|\\u{ord(json_reader.CUT):04x})"  # the cut as itself, or as JSON escapes it
    r"|(?:%|\\x)([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})"
    r"|(&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][0-9A-Za-z]{1,31}(?=;)|amp|apos|gt|lt|quot);?)"
    r"|\\([^0-9A-Za-z\s])"
    rf"|[{json_reader.INVISIBLE}\ufe0f]"
)
_FIRST_OF_ESCAPE = re.compile(rf"[%&\\{json_reader.INVISIBLE}\ufe0f]")


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """A credential. Its text is `***`; only the modules that send it call `reveal`."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return REDACTED


def may_be_secret(text: str) -> bool:
    return bool(_LIKE_A_SECRET.fullmatch(text)) and not _UUID.fullmatch(text)


def spellings(secret: str) -> tuple[str, ...]:
    """Return what the log masks: a secret, plain, percent-encoded, and in both alphabets of base64."""
    raw = secret.encode(errors="surrogatepass")
    encoded = (encode(raw).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode))
    return tuple(dict.fromkeys((secret, quote(raw, safe=""), quote(raw), *encoded)))


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret, its hexadecimal forms, and the parts that the base64 of a text with the secret may contain.

    A secret that itself has something like an escape loses it with the escapes around it, and is yielded without too.
    base64 encodes three bytes as four characters. So there are three such parts, one for each number of bytes before
    the secret, divided by three. A character at an end may also encode bits of another byte, so the parts lack it.
    """
    raw = secret.encode(errors="surrogatepass")  # an environment variable may contain bytes that are not UTF-8
    yield from (raw.hex(), raw.hex().upper())
    for _ in range(MAX_LAYERS + 1):
        yield secret
        secret, _ = _decode(secret)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before, mixed in ((0, 0), (1, 2), (2, 3)):
            yield encode(bytes(before) + raw).decode()[mixed : (before + len(raw)) * 8 // 6]


def _decode(text: str) -> "tuple[str, array[int]]":
    """Return the text without one layer of escapes, and where each of its characters, and its end, was before."""
    pieces, before, at = list[str](), array("L"), 0
    for found in _ESCAPE.finditer(text):
        cut, two, four, entity, character = found.groups()
        decoded = character or ""
        if cut:
            decoded = json_reader.CUT
        elif two or four:
            decoded = chr(int(two or four, 16))
        elif entity and len(decoded := html.unescape(entity)) != 1:
            continue
        pieces += [text[at : found.start()], decoded]
        before.extend(range(at, found.start() + len(decoded)))
        at = found.end()
    before.extend(range(at, len(text) + 1))
    return "".join((*pieces, text[at:])), before


class Redactor:
    """Replaces secrets, and their usual encodings, in any text by `***`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Take the secrets. One that is shorter than `MIN_REDACTED_LENGTH` is redacted only if it is the whole text."""
        self.secrets = tuple(filter(None, secrets))
        forms = {form for secret in self.secrets for form in _forms(secret) if len(form) >= MIN_REDACTED_LENGTH}
        self._parts, self._longest = forms, max(map(len, forms), default=0)
        beginnings = "|".join(dict.fromkeys(re.escape(form[:MIN_BEGINNING_LENGTH]) for form in self._parts))
        self._beginning = re.compile(f"(?={beginnings})")  # looks ahead, because one may overlap with the next

    def __call__(self, text: str) -> str:
        """Return the text with each secret, and each beginning of a secret before `json_reader.CUT`, replaced by `***`.

        So a text may be cut before or after this call. At most `MIN_REDACTED_LENGTH` - 1 characters of a secret remain.
        A secret may be in hexadecimal digits, within base64, or below three layers of escapes: of URLs, HTML, or JSON.
        """
        if text in self.secrets:
            return REDACTED
        if not self._parts or len(text) < MIN_REDACTED_LENGTH:
            return text
        pieces, at = list[str](), 0
        for start, end in sorted(self._find(text, MAX_LAYERS)):
            if start >= at:  # it does not overlap with the one before
                pieces += [text[at:start], REDACTED]
                at = start
            if json_reader.CUT in text[at:end]:
                pieces.append(json_reader.CUT)
            at = max(at, end)
        return "".join((*pieces, text[at:]))

    def _find(self, text: str, layers: int) -> Iterator[tuple[int, int]]:
        """Yield start and end of each secret in the text, below at most so many layers of escapes, in any order."""
        for part in self._parts:
            start = text.find(part)
            while start >= 0:
                yield start, start + len(part)
                start = text.find(part, start + len(part))
        if json_reader.CUT in text:
            yield from self._find_beginnings(text)
        if layers and _FIRST_OF_ESCAPE.search(text):
            decoded, before = _decode(text)
            yield from ((before[start], before[end]) for start, end in self._find(decoded, layers - 1))

    def _find_beginnings(self, text: str) -> Iterator[tuple[int, int]]:
        for match in self._beginning.finditer(text):
            start = match.start()
            end = text.find(json_reader.CUT, start, start + self._longest + 1)
            if end >= 0 and any(part.startswith(text[start:end]) for part in self._parts):
                yield start, end + 1

    def redact_json(self, value: object, levels: int = MAX_DEPTH) -> object:
        """Return a JSON value with every string cut and redacted, and None below `levels`. No report shows keys.

        Of a string, the first `json_reader.MAX_TEXT_LENGTH` characters are searched and kept; no report shows as many.
        Lists and objects are changed in place, because a copy of a large response would need as much memory again.
        """
        if isinstance(value, str):
            kept = json_reader.shorten(value, json_reader.MAX_TEXT_LENGTH)
            shown = json_reader.printable(kept)  # joins a secret that invisible characters split, as a report would
            redacted = self(shown)
            return kept if redacted == shown else redacted
        if isinstance(value, list | dict) and not levels:
            return None
        if isinstance(value, list):
            value[:] = (self.redact_json(item, levels - 1) for item in value)
        elif isinstance(value, dict):
            value.update((key, self.redact_json(item, levels - 1)) for key, item in value.items())
        return value
