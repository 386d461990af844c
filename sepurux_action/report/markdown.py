"""Escapes foreign text for Markdown. Foreign text becomes a `Markdown` value in this module only.

An ordinary name is written verbatim between backticks. In any other foreign text, punctuation of Markdown and HTML
becomes a character reference, which no parser reads as markup, and a zero-width space breaks what GitHub links after
parsing: mentions, issues, commits, URLs, and emoji.
"""

import html
import re
import string
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from urllib.parse import quote

from sepurux_action.common import json_reader, wording
from sepurux_action.common.wording import MOST_NAMED

MAX_SENTENCE_LENGTH = 300  # characters of a sentence in a report
MAX_CODE_LENGTH = 80  # characters of a name or an id
MAX_COMMAND_LENGTH = 2_000  # characters
MAX_MARKS = 2  # combining marks on one character; scripts need two, more would cover the lines around
READ_AHEAD = 4  # times the allowed length that is read, so that a long text costs no more than a short one
ZERO_WIDTH_SPACE = "\u200b"
NBSP = "\u00a0"  # a sign and its number stay on one line

ORDINARY = re.compile(rf"(?=.{{1,{MAX_CODE_LENGTH}}}\Z)[A-Za-z0-9_.:/+-]+(?: [A-Za-z0-9_.:/+-]+)*\Z")
_QUOTABLE = re.compile(r"[ -_a-{}~]+\Z")  # printable ASCII without backtick and pipe
_MARKUP = re.compile(r"[<&]|-->")

# What has a meaning only at the start of a line: a list, a line, an underline, a bot's command. Where a text will stand
# is not known.
_AT_START = re.compile(r"([0-9]+(?=[.)](?: |$))|)([-+=:/!.)])")

_DOLLAR = {ord("$"): "<span>&#36;</span>"}  # GitHub documents this for a dollar sign outside of mathematics
_IN_TEXT = {ord(mark): f"&#{ord(mark)};" for mark in "&<>[]\\`*~|#@"} | _DOLLAR  # markup, or a part of a link
_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")  # within a word it is no markup
_IN_URL = {ord(mark): f"&#{ord(mark)};" for mark in string.punctuation if mark not in "/:.-?=%,;#"}
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
_QUOTED = re.compile(r"(`[^`]+`|\"[^\"]+\")")  # in a quoted name, backticks mark no code
_CODE = re.compile("`([^`]*)`")
_LINK_IN_BRACKETS = re.compile(r" \(\[[^\]]*\]\([^)]*\)\)")
_MARKS = re.compile(rf"\*\*|\[|\]\([^)]*\)|\]|</?span>|^#+ |{ZERO_WIDTH_SPACE}")
_KEPT_IN_URL = "/:?#[]@!$&'()*+,;=%~"  # RFC 3986's reserved characters, and `%` of what is encoded already


class Markdown(str):
    """Text that is Markdown; any other text has to be escaped."""

    __slots__ = ()


def escaped(value: str, *, longest: int = MAX_SENTENCE_LENGTH) -> Markdown:
    """Return a text as one escaped line of at most `longest` characters, also for cells and the start of a line."""
    return _at_start(_escape(_plain(value, longest)))


def as_markdown(value: object) -> Markdown:
    return value if isinstance(value, Markdown) else escaped(str(value))


def prose(value: str, *, longest: int = MAX_SENTENCE_LENGTH, pages: Mapping[str, Markdown] = {}) -> Markdown:
    """Return what `escaped` returns, with ASCII text between backticks, and ordinary names in quotes, as code.

    `pages` are the links in place of the code that is their key.
    """
    written, text = list[str](), ""  # a text is escaped as a whole, because two parts of it may form an emoji
    for number, piece in enumerate(_QUOTED.split(_plain(value, longest))):
        inner, quoted = piece[1:-1], ""
        if number % 2 and piece[0] == "`":
            quoted, piece = pages.get(inner) or _as_code(inner), inner  # noqa: PLW2901 - without backticks
        elif number % 2 and ORDINARY.match(inner):
            quoted = _as_code(inner)
        if quoted:
            written += [_escape(text), quoted]
            text = ""
        else:
            text += piece
    return _at_start("".join([*written, _escape(text)]))


def code(value: str, *, longest: int = MAX_CODE_LENGTH) -> Markdown:
    """Return an ordinary name or id as code, any other one as escaped text; '' for a text that shows nothing.

    GitHub links nothing between backticks, so the name is verbatim and can be copied.
    """
    plain = _plain(value, longest)
    return _at_start(f"`{plain}`" if ORDINARY.match(plain.removesuffix(json_reader.CUT)) else _escape(plain))


def link(label: str, url: str) -> Markdown:
    """Return a link to an http or https URL, or only the label for any other."""
    shown = as_markdown(label)
    if not url.lower().startswith(("https://", "http://")):
        return shown
    target = quote(url, safe=_KEPT_IN_URL, errors="replace").translate(_IN_URL)
    return Markdown(f"[{shown}]({target})")


def say(sentence: str, **values: object) -> Markdown:
    """Return a sentence of this program, with every value in braces escaped."""
    return Markdown(sentence.format(**{name: as_markdown(each) for name, each in values.items()}))


def listed(names: Iterable[str], word: str, most: int = MOST_NAMED) -> Markdown:
    """Return names as code: `A and B`, or `A, B, and C`; after the first ones, how many more there are."""
    return Markdown(wording.listed([code(each) or "no name" for each in names], word, most))


def plain(text: str) -> str:
    """Return a text of `Markdown` without markup, and without links in brackets: every mark in it is ours."""
    pieces = _CODE.split(text)  # text, then code and text in turn
    for at in range(0, len(pieces), 2):
        pieces[at] = html.unescape(_MARKS.sub("", _LINK_IN_BRACKETS.sub("", pieces[at]))).replace(NBSP, " ")
    return "".join(pieces)


def block(lines: Sequence[str], language: str, indent: str = "") -> Markdown:
    """Return lines of code. None of them may begin with a backtick, or contain a line break."""
    return Markdown(textwrap.indent("\n".join([f"```{language}", *lines, "```"]), indent))


def commands(lines: Sequence[str]) -> Markdown:
    """Return lines of a shell to copy, which begin with a program, or '' if one cannot be shown to the letter."""
    shown = all(_plain(line, MAX_COMMAND_LENGTH) == line and "-->" not in line for line in lines)
    return block(lines, "sh") if lines and shown else Markdown("")


def _plain(value: str, longest: int) -> str:
    """Return the text on one line, without invisible characters, shortened to `longest` characters."""
    shown = _limit_marks(json_reader.printable(value[: longest * READ_AHEAD]))
    if len(shown) <= longest and len(value) <= longest * READ_AHEAD:
        return shown
    return shown[: longest - 1].rstrip() + json_reader.CUT


def _limit_marks(seen: str) -> str:
    if seen.isascii():
        return seen
    most = {True: MAX_MARKS, False: None}
    runs = groupby(seen, lambda character: unicodedata.combining(character) > 0)
    return "".join("".join(run)[: most[marks]] for marks, run in runs)


def _escape(plain: str) -> str:
    broken = _LINKED.sub(lambda found: ZERO_WIDTH_SPACE.join((*found[0], "")), plain)
    return _UNDERSCORE.sub("&#95;", broken.translate(_IN_TEXT))


def _at_start(escaped: str) -> Markdown:
    start = _AT_START.match(escaped)
    return Markdown(f"{start[1]}&#{ord(start[2])};{escaped[start.end() :]}" if start else escaped)


def _as_code(plain: str) -> str:
    quotable = _QUOTABLE.match(plain) and not _MARKUP.search(plain) and plain.strip(" ")
    return f"`{plain}`" if quotable else ""
