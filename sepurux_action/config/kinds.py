"""The kinds of option values: how a text is parsed, what is accepted, and how an editor checks a policy file for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from sepurux_action.common.secret import Secret
from sepurux_action.config import parsers, path_filter

Schema: TypeAlias = Mapping[str, object]
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=StrEnum)

MAX_WHOLE_NUMBER = 999_999_999  # nine digits, as `parse_whole_number` accepts
_TEXT: Schema = {"type": ["string", "number"], "pattern": r"\S"}
_DURATION = r"^(?=\d)(\d{1,9}(\.\d{1,9})?[sS]?|(\d{1,9}[hH] ?)?(\d{1,9}[mM] ?)?(\d{1,9}[sS])?)$"
_PERCENTAGE = r"^(100(\.0+)?|\d{1,2}(\.\d+)?)%$"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # a schema cannot be hashed
class Kind(Generic[T_co]):
    """A kind of values.

    `parse` returns the value of a text that is not empty, or raises ValueError; see `parsers.py`. `accepts` completes
    "accepted: ..." in errors and tables. `placeholder` is the word for a value in the help of the command line, and
    `schema` the JSON Schema of a value in a policy file, which may be a YAML list if `is_list`.
    """

    parse: Callable[[str], T_co]
    accepts: str
    placeholder: str = "NAME"
    schema: Schema = field(default_factory=lambda: _TEXT)
    is_list: bool = False


def secret(accepts: str) -> Kind[Secret]:
    """Return the kind of a secret."""
    return Kind(parse=parsers.parse_secret, accepts=accepts, placeholder="SECRET")


def line(accepts: str, placeholder: str = "NAME") -> Kind[str]:
    """Return the kind of a text on one line."""
    return Kind(parse=parsers.parse_line, accepts=accepts, placeholder=placeholder)


def word_of(words: type[E], placeholder: str = "WORD") -> Kind[E]:
    """Return the kind of one of these words."""
    *first, last = (f"`{word}`" for word in words)
    return Kind(
        parse=parsers.enum_parser(words),
        accepts=f"{', '.join(first)} or {last}",
        placeholder=placeholder,
        schema={"enum": [str(word) for word in words]},
    )


def rate(example: str) -> Kind[float]:
    """Return the kind of a fraction of 0 to 1."""
    number = {"type": "number", "minimum": 0, "maximum": 1}
    return Kind(
        parse=parsers.parse_rate,
        accepts=f"a fraction or a percentage, such as {example}",
        placeholder="RATE",
        schema={"anyOf": [number, {"type": "string", "pattern": _PERCENTAGE}]},
    )


def list_schema(*, most: int = 0) -> Schema:
    """Return the schema of a text, or of a list of at most so many texts; 0 for any number."""
    limit = {"maxItems": most} if most else {}
    return {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1, **limit}]}


NAME = Kind(
    parse=parsers.parse_name,
    accepts=f"1 to {parsers.MAX_NAME_LENGTH} characters on one line",
    schema={**_TEXT, "maxLength": parsers.MAX_NAME_LENGTH},
)
BASE_URL = Kind(parse=parsers.parse_base_url, accepts="an https address (http on loopback only)", placeholder="URL")
TRACE_IDS = Kind(
    parse=parsers.parse_trace_ids,
    accepts=f"trace IDs, separated by commas or line breaks, at most {parsers.MAX_TRACES}",
    placeholder="IDS",
    schema=list_schema(most=parsers.MAX_TRACES),
    is_list=True,
)
FILES = Kind(
    parse=parsers.parse_lines,
    accepts="paths or globs, one per line, inside the workspace or the runner's temporary folder",
    placeholder="FILES",
    schema=list_schema(),
    is_list=True,
)
NAMES = Kind(
    parse=parsers.parse_names,
    accepts="names, separated by commas or line breaks",
    placeholder="NAMES",
    schema=list_schema(),
    is_list=True,
)
LOGINS = Kind(
    parse=parsers.parse_logins,
    accepts="usernames, separated by commas or line breaks",
    schema=list_schema(),
    is_list=True,
)
PATTERNS = Kind(
    parse=path_filter.parse_paths,
    accepts="GitHub's filter patterns, one per line",
    schema=list_schema(most=path_filter.MAX_PATTERNS),
    is_list=True,
)
SCORE = Kind(
    parse=parsers.parse_score,
    accepts="0, or a number from 1 to 100",
    placeholder="SCORE",
    schema={"anyOf": [{"const": 0}, {"type": "number", "minimum": 1, "maximum": 100}]},
)
WHOLE_NUMBER = Kind(
    parse=parsers.parse_whole_number,
    accepts="a whole number",
    placeholder="N",
    schema={"type": "integer", "minimum": 0, "maximum": MAX_WHOLE_NUMBER},
)
PULL_REQUEST = Kind(parse=parsers.parse_positive_number, accepts="the number of a pull request", placeholder="N")
DURATION = Kind(
    parse=parsers.parse_duration,
    accepts="seconds, or a duration such as `10m` or `1h30m`, up to a day",
    placeholder="TIME",
    schema={
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": parsers.MAX_TIMEOUT_S},
            {"type": "string", "pattern": _DURATION},
        ]
    },
)
BOOL = Kind(parse=parsers.parse_bool, accepts="`true` or `false`", schema={"type": "boolean"})
