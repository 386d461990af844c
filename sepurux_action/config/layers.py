"""What flags, the policy file, inputs, and environment variables give to the options. Each value is parsed once, here.

A `Given` of a policy file is made by the parser of the file, which reports problems at their line and column.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from sepurux_action.config.options import BY_NAME, OPTIONS, Option
from sepurux_action.errors import Problem


class Source(IntEnum):
    """What gives values to options, in the order in which it applies."""

    FLAGS = 1
    POLICY = 2
    INPUTS = 3
    ENVIRONMENT = 4

    def label(self, spelling: str) -> str:
        """Return what a problem in an option begins with."""
        kinds = {Source.INPUTS: "input ", Source.ENVIRONMENT: "environment variable "}
        return kinds.get(self, "") + self.name_of(spelling)

    def name_of(self, spelling: str) -> str:
        if self is Source.ENVIRONMENT:
            return BY_NAME[spelling].environment
        return flag(spelling) if self is Source.FLAGS else f"`{spelling}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What one source gives to an option: the texts by their names, and the value of the first one.

    An invalid text has a `hint` at the problem, which may be '', and no value. A list has one entry per line in its
    text. Of a policy file, `enforcement` has a tuple of rules as its value, and each option has the `place`, line, and
    column of its key.
    """

    source: Source
    texts: Mapping[str, str]
    value: Any = None
    hint: str | None = None
    place: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    @property
    def spelling(self) -> str:
        return next(iter(self.texts))

    @property
    def text(self) -> str:
        return self.texts[self.spelling]

    def problem(self, message: str) -> Problem:
        where = self.place or self.source.label(self.spelling)
        return Problem(where, message, self.file, self.line, self.column)

    @property
    def remedy(self) -> str:
        """Return where to change the value, for a hint."""
        return self.source.name_of(self.spelling) + (f" in `{self.file}:{self.line}`" if self.file else "")


@dataclass(frozen=True, slots=True)
class Layer:
    """The options that one source gives, by their names. That of a policy file has its path and where it begins.

    `prefix` is what a problem in a gate of a policy file begins with.
    """

    source: Source
    given: Mapping[str, Given] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    column: int = 0
    prefix: str = ""
    unknown: tuple[str, ...] = ()

    def text(self, option: Option[object]) -> str:
        return self.given[option.name].text if option.name in self.given else ""

    def problem(self, option: Option[object], message: str) -> Problem:
        """Return a problem in an option that the source does not give."""
        where = self.prefix + self.source.label(option.name)
        return Problem(where, message, self.file, self.line, self.column)

    def only(self, names: Container[str]) -> Layer:
        return replace(self, given={name: each for name, each in self.given.items() if name in names})


def input_layer(texts: Mapping[str, str]) -> Layer:
    return _layer(Source.INPUTS, texts)


def flag_layer(texts: Mapping[str, str]) -> Layer:
    return _layer(Source.FLAGS, texts)


def environment_layer(environ: Mapping[str, str]) -> Layer:
    texts = {option.name: environ.get(option.environment, "") for option in OPTIONS if option.environment}
    return _layer(Source.ENVIRONMENT, texts)


def flag(spelling: str) -> str:
    return "--" + spelling.replace("_", "-")


def _layer(source: Source, texts: Mapping[str, str]) -> Layer:
    given = {}
    for option in OPTIONS:
        spelled = {name: text for name in option.names if (text := texts.get(name, "").strip())}
        if spelled:
            given[option.name] = _parse(option, source, spelled)
    return Layer(source, given, unknown=tuple(spelling for spelling in texts if spelling not in BY_NAME))


def _parse(option: Option[object], source: Source, texts: Mapping[str, str]) -> Given:
    try:
        return Given(source=source, texts=texts, value=option.kind.read(next(iter(texts.values()))))
    except ValueError as error:
        return Given(source=source, texts=texts, hint=str(error))
