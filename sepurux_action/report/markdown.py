"""Escapes foreign text for Markdown. Only this module makes a `Markdown` value.

Foreign text is escaped in two ways. Punctuation of Markdown and HTML becomes a character reference, which no parser
reads as markup. What GitHub links after parsing (mentions, issues, commits, URLs, emoji) is broken by a zero-width
space.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from sepurux_action.common import json_reader

MAX_TEXT_LENGTH = 300  # characters of a sentence in a report
MAX_CODE_LENGTH = 80  # characters of a name or an id
MAX_WORD_LENGTH = 16  # characters without a line break: four columns must fit on a phone
MAX_UNJOINTED_LENGTH = 9  # characters; a longer word may also break after dots, dashes, and underscores
MAX_MARKS = 2  # combining marks on one character; scripts need two, more would cover the lines around
BAR_CELLS = 10
SPARKS = "▁▂▃▄▅▆▇█"
GAP = "·"
CHART = {
    "xyChart": {"height": 250},  # pixels; Mermaid's default fills a screen
    "themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7"}},  # Mermaid's default is invisible on white
}
READ_AHEAD = 4  # times the allowed length that is read, so that a long text costs no more than a short one

ZERO_WIDTH_SPACE = "\u200b"
_MAY_BREAK = "\0"  # stands for <wbr>; printable foreign text cannot contain it

_ACTIVE = "&<>[]\\`*_~|#@"  # markup, or a part of a link, anywhere in a line
_DOLLAR = {ord("$"): "<span>&#36;</span>"}  # GitHub documents this for a dollar sign outside of mathematics
_IN_TEXT = {ord(mark): f"&#{ord(mark)};" for mark in _ACTIVE} | _DOLLAR | {ord(_MAY_BREAK): "<wbr>"}
# Code has no zero-width spaces, so that a name can be copied: all punctuation is escaped, and <wbr> breaks e-mails.
_IN_CODE = {ord(mark): f"&#{ord(mark)};" for mark in string.punctuation} | _DOLLAR
_IN_CODE |= {ord("@"): "&#64;<wbr>", ord(_MAY_BREAK): "<wbr>"}
_IN_CODE_BLOCK = {ord(mark): f"&#{ord(mark)};" for mark in string.punctuation if mark not in "-=."} | _DOLLAR
_IN_URL = {ord(mark): f"&#{ord(mark)};" for mark in string.punctuation if mark not in "/:.-?=%,;"}
_AT_START = re.compile(r"([0-9]+(?=[.)](?: |$)))?([-+=:/!.)])")  # a list, a line, an underline, a bot's command
# Invisible letters, marks, and symbols that Unicode does not classify as control or format characters.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
    "|(?<![\u2000-\u2bff])\ufe0f"  # after a symbol it selects the emoji
)
_LINKED = re.compile(
    r"""
    [@\#]                                                     # mentions, e-mails, issues
    | :(?=\S)                                                 # URLs, emoji
    | www(?=\.)
    | (?<=[A-Za-z])-(?=[0-9])                                 # GH-1 and a repository's own autolinks
    | GHSA(?=-)
    | (?<![A-Za-z0-9])[0-9a-f]{7,}(?![A-Za-z0-9])             # commits
    """,
    re.VERBOSE | re.IGNORECASE,
)
_HEX_RUN = 6  # digits; GitHub links 7 or more to a commit
_LONG_WORD = re.compile(rf"[^\s{ZERO_WIDTH_SPACE}]{{{MAX_UNJOINTED_LENGTH + 1},}}")
_JOINTS = re.compile(r"(?<=\w[._/:-])(?=\w)")
_QUOTED = re.compile(r"`([^`]+)`")
_KEPT_IN_URL = "/:?#[]@!$&'()*+,;=%~"  # RFC 3986's reserved characters, and `%` of what is encoded already


class Markdown(str):
    """Text that is Markdown; any other text has to be escaped."""

    __slots__ = ()


def text(value: str, *, longest: int = MAX_TEXT_LENGTH) -> Markdown:
    """Return a text as one escaped line of at most `longest` characters, also for cells and the start of a line."""
    return Markdown(_escape(_plain(value, longest)))


def prose(value: str, *, longest: int = MAX_TEXT_LENGTH) -> Markdown:
    """Return what `text` returns, with text between backticks as code."""
    pieces = _QUOTED.split(_plain(value, longest))
    return Markdown("".join(_code(piece) if n % 2 else _escape(piece) for n, piece in enumerate(pieces)))


def code(value: str, *, longest: int = MAX_CODE_LENGTH) -> Markdown:
    """Return a name or an id as code; '' for a text without visible characters.

    GitHub links nothing in code, so the name needs no zero-width space and can be copied.
    """
    plain = _plain(value, longest)
    return Markdown(_code(plain) if plain else "")


def link(label: str, url: str) -> Markdown:
    """Return a link to an http or https URL, or only the label for any other."""
    shown = _as_markdown(label)
    if not url.lower().startswith(("https://", "http://")):
        return shown
    target = quote(url, safe=_KEPT_IN_URL, errors="replace").translate(_IN_URL)
    return Markdown(f"[{shown}]({target})")


def strong(value: str) -> Markdown:
    """Return the text in bold. Unlike asterisks, the tag does not depend on the characters around it."""
    return Markdown(f"<strong>{_as_markdown(value)}</strong>")


def join(parts: Iterable[str], *, by: str = " ") -> Markdown:
    """Return the parts that are not empty with `by` between them; only the parts are escaped."""
    return Markdown(by.join(_as_markdown(part) for part in parts if part))


def bar(fraction: float) -> Markdown:
    """Return a fraction from 0 to 1 as a bar of blocks, which is full only at 1 and empty only at 0."""
    filled = round(fraction * BAR_CELLS)
    if 0 < fraction < 1:
        filled = min(max(filled, 1), BAR_CELLS - 1)
    return Markdown(f"<code>{'█' * filled}{'░' * (BAR_CELLS - filled)}</code>")


def sparkline(values: Sequence[float | None]) -> Markdown:
    """Return numbers as blocks of a height from the lowest to the highest number, and a dot for None."""
    known = [value for value in values if value is not None]
    low, span = min(known, default=0), max(known, default=0) - min(known, default=0)

    def block(value: float) -> str:
        return SPARKS[round((value - low) / span * (len(SPARKS) - 1))] if span else SPARKS[len(SPARKS) // 2]

    return Markdown(f"<code>{''.join(GAP if value is None else block(value) for value in values)}</code>")


def code_block(lines: Iterable[str]) -> Markdown:
    """Return lines to copy, without invisible characters, as a paragraph that no text in them can end."""
    seen = _INVISIBLE.sub("", "\n".join(lines))
    shown = "".join(letter for letter in _limit_marks(seen) if letter == "\n" or letter.isprintable())
    return Markdown(f"<pre><code>{shown.translate(_IN_CODE_BLOCK)}</code></pre>")


def chart(unit: str, points: Sequence[tuple[str, float]]) -> Markdown:
    """Return numbers from 0 to 100 as a line chart, a paragraph of its own; labels keep ASCII letters and digits only.

    Source: https://mermaid.js.org/syntax/xyChart.html
    """
    labels = ", ".join(f'"{n} {"".join(filter(_is_plain, label))}"' for n, (label, _) in enumerate(points, 1))
    return Markdown(
        "```mermaid\n"
        f"%%{{init: {json.dumps(CHART)}}}%%\n"
        "xychart-beta\n"
        f"    x-axis [{labels}]\n"
        f'    y-axis "{unit}" 0 --> 100\n'
        f"    line [{', '.join(f'{value:.2f}' for _, value in points)}]\n"
        "```"
    )


def _is_plain(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _as_markdown(value: str) -> Markdown:
    return value if isinstance(value, Markdown) else text(value)


def _plain(value: str, longest: int) -> str:
    """Return the text on one line, without invisible characters, shortened to `longest` characters."""
    seen = " ".join(_INVISIBLE.sub("", json_reader.printable(value[: longest * READ_AHEAD])).split())
    shown = "".join(_limit_marks(seen))
    cut = len(shown) > longest or len(value) > longest * READ_AHEAD
    return shown[: longest - 1].rstrip() + "…" if cut else shown


def _limit_marks(seen: str) -> Iterator[str]:
    marks = 0
    for character in seen:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MAX_MARKS:
            yield character


def _escape(plain: str) -> str:
    broken = _LONG_WORD.sub(_break_points, _LINKED.sub(_broken, plain))
    start = _AT_START.match(broken)
    if start is None:
        return broken.translate(_IN_TEXT)
    return f"{start[1] or ''}{start[2].translate(_IN_CODE)}{broken[start.end() :].translate(_IN_TEXT)}"


def _broken(linked: re.Match[str]) -> str:
    word = linked[0]
    if len(word) <= _HEX_RUN:
        return word + ZERO_WIDTH_SPACE
    return ZERO_WIDTH_SPACE.join(word[at : at + _HEX_RUN] for at in range(0, len(word), _HEX_RUN))


def _code(plain: str) -> str:
    return f"<code>{_LONG_WORD.sub(_break_points, plain).translate(_IN_CODE)}</code>"


def _break_points(word: re.Match[str]) -> str:
    """Return a long word with line breaks after its punctuation, or else after every 16 characters."""
    pieces = _JOINTS.split(word[0])
    return _MAY_BREAK.join(
        piece[at : at + MAX_WORD_LENGTH] for piece in pieces for at in range(0, len(piece), MAX_WORD_LENGTH)
    )
