"""What flags, the policy file, inputs, and environment variables give to the options. Each value is parsed once."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

from sepurux_action.config.options import BY_NAME, INPUTS, OPTIONS, Option
from sepurux_action.errors import Place, Problem


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


class Given(NamedTuple):
    """What one source gives to an option: the texts by their names there, and the value of the first one.

    An invalid text has a `hint` at the problem, which may be '', and no value. A list has one entry per line in its
    text. Of a policy file, the `place` is that of the key.
    """

    source: Source
    texts: Mapping[str, str]
    place: Place
    value: Any = None
    hint: str | None = None

    @property
    def name(self) -> str:
        return next(iter(self.texts))

    @property
    def text(self) -> str:
        return self.texts[self.name]


@dataclass(frozen=True, slots=True)
class Layer:
    """The options that one source gives, by their names. Its `place` is where it begins in a policy file."""

    source: Source
    given: Mapping[str, Given] = field(default_factory=dict)
    place: Place = field(default=Place())
    unknown: tuple[str, ...] = ()

    def text(self, option: Option[object]) -> str:
        given = self.given.get(option.name)
        return given.text if given else ""

    def problem(self, option: Option[object], message: str) -> Problem:
        """Return a problem in an option that the source does not give."""
        return Problem(self.place.where + self.source.label(option.name), message, *self.place[1:])

    def only(self, names: Container[str]) -> "Layer":
        kept = {name: each for name, each in self.given.items() if name in names}
        return Layer(self.source, kept, self.place, self.unknown)


def environment_layer(environ: Mapping[str, str]) -> Layer:
    named = [option for option in OPTIONS if option.environment]
    return _layer(Source.ENVIRONMENT, named, {option.name: environ.get(option.environment, "") for option in named})


def flag(spelling: str) -> str:
    return "--" + spelling.replace("_", "-")


def _layer(source: Source, accepted: Sequence[Option[object]], texts: Mapping[str, str]) -> Layer:
    given = {}
    for option in accepted:
        if spelled := {name: text for name in option.names if (text := texts.get(name, "").strip())}:
            given[option.name] = _parse(option, source, spelled)
    known = {spelling for option in accepted for spelling in option.names}
    return Layer(source, given, unknown=tuple(spelling for spelling in texts if spelling not in known))


input_layer = partial(_layer, Source.INPUTS, INPUTS)
flag_layer = partial(_layer, Source.FLAGS, OPTIONS)


def _parse(option: Option[object], source: Source, texts: Mapping[str, str]) -> Given:
    spelling, text = next(iter(texts.items()))
    names, place = {source.name_of(name): each for name, each in texts.items()}, Place(source.label(spelling))
    try:
        return Given(source, names, place, option.kind.read(text))
    except ValueError as error:
        return Given(source, names, place, hint=str(error))
