"""The kinds of option values: how a text is parsed, what is accepted, and how an editor checks a policy file for it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from sepurux_action.common.secret import Secret
from sepurux_action.config import parsers

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
    """Return the kind of one of these words, whatever its case. The hint of its error is the most similar word."""

    def parse(text: str) -> E:
        try:
            return words(text.lower())
        except ValueError:
            similar = difflib.get_close_matches(text.lower()[: parsers.MAX_NAME_LENGTH], list(words), n=1)
            raise ValueError(f"did you mean `{similar[0]}`?" if similar else "") from None

    *first, last = (f"`{word}`" for word in words)
    accepts, schema = f"{', '.join(first)} or {last}", {"enum": [str(word) for word in words]}
    return Kind(parse=parse, accepts=accepts, placeholder=placeholder, schema=schema)


def rate(example: str) -> Kind[float]:
    """Return the kind of a fraction of 0 to 1."""
    number = {"type": "number", "minimum": 0, "maximum": 1}
    return Kind(
        parse=parsers.parse_rate,
        accepts=f"a fraction or a percentage, such as {example}",
        placeholder="RATE",
        schema={"anyOf": [number, {"type": "string", "pattern": _PERCENTAGE}]},
    )


def list_of(parse: Callable[[str], T_co], accepts: str, placeholder: str = "NAME", most: int = 0) -> Kind[T_co]:
    """Return the kind of several texts; in a policy file at most `most`, 0 for any number."""
    items = {"type": "array", "items": _TEXT, "minItems": 1, **({"maxItems": most} if most else {})}
    return Kind(parse=parse, accepts=accepts, placeholder=placeholder, schema={"anyOf": [_TEXT, items]}, is_list=True)


NAME = Kind(
    parse=parsers.parse_name,
    accepts=f"1 to {parsers.MAX_NAME_LENGTH} characters on one line",
    schema={**_TEXT, "maxLength": parsers.MAX_NAME_LENGTH},
)
NAMES = list_of(parsers.parse_names, "names, separated by commas or line breaks", "NAMES")
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
