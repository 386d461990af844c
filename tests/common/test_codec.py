"""A record reads back as it was dumped, and anything else is a ValueError."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common import codec


class Word(StrEnum):
    HARD = "hard"
    SOFT = "soft"


class Row(IntEnum):
    FIRST = 1


@dataclass(frozen=True)
class Part:
    number: float
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Whole:
    word: Word
    row: Row = Row.FIRST
    flag: bool = False
    count: int | None = None
    part: Part | None = None
    parts: tuple[Part, ...] = ()
    named: Mapping[str, Part] = field(default_factory=dict)


a_part = st.builds(Part, number=st.floats(allow_nan=False), text=st.text())
a_whole = st.builds(
    Whole,
    word=st.sampled_from(Word),
    row=st.sampled_from(Row),
    flag=st.booleans(),
    count=st.none() | st.integers(),
    part=st.none() | a_part,
    parts=st.lists(a_part, max_size=3).map(tuple),
    named=st.dictionaries(st.text(), a_part, max_size=3),
)


@given(a_whole, st.booleans())
def test_a_record_reads_back_as_it_was_dumped(record: Whole, defaults: bool) -> None:  # noqa: FBT001
    assert codec.load(Whole, codec.dump(record, defaults=defaults)) == record


def test_fields_with_their_default_are_left_out() -> None:
    record = Whole(word=Word.SOFT, parts=(Part(1.5),), named={"a": Part(2, "b")})
    assert codec.dump(record) == {
        "word": "soft",
        "parts": [{"number": 1.5}],
        "named": {"a": {"number": 2, "text": "b"}},
    }


@pytest.mark.parametrize(
    "value",
    [
        *(None, [], {}, {"word": "firm"}, {"word": "hard", "other": 1}, {"word": "hard", "flag": 1}),
        *({"word": "hard", "count": True}, {"word": "hard", "parts": {}}),
        *({"word": "hard", "part": {"number": "1"}}, {"word": "hard", "part": {"text": "a"}}),
    ],
)
def test_a_missing_or_unknown_field_or_another_type_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match="not a Whole"):
        codec.load(Whole, value)


def test_a_signature_is_of_one_key_purpose_and_content() -> None:
    signature = codec.sign("key", "state", 1, "a")
    assert signature == codec.sign("key", "state", 1, "a")
    for key, purpose, content in (("other", "state", "a"), ("key", "baseline", "a"), ("key", "state", "b")):
        assert signature != codec.sign(key, purpose, 1, content)
