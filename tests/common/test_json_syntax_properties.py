"""The check of a JSON text agrees with Python's own parser for every text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sepurux_action.common.json_syntax import is_object

TOKENS = [*'{}[],:" \n\\', '"a"', '"é\\u00e9"', "1", "-0.5e+3", "01", "true", "nul", "\t", "NaN", "{}", "[]"]
TOKEN_TEXTS = st.lists(st.sampled_from(TOKENS), max_size=12).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=30,
)
DOCUMENTS = st.builds(
    lambda value, indent, ascii_only: json.dumps(value, indent=indent, ensure_ascii=ascii_only),
    VALUES,
    st.sampled_from([None, 0, 1]),
    st.booleans(),
)


def refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def result_of_python(text: str) -> bool | None:
    try:
        return isinstance(json.loads(text, parse_constant=refuse), dict)
    except ValueError:
        return None


def result(text: str) -> bool | None:
    try:
        return is_object(text.encode())
    except ValueError:
        return None


@given(TOKEN_TEXTS)
def test_a_row_of_tokens_is_json_where_python_says_so(text: str) -> None:
    assert result(text) == result_of_python(text)


@given(st.data(), DOCUMENTS, st.sampled_from(TOKENS))
def test_a_document_with_one_part_replaced_is_json_where_python_says_so(
    data: st.DataObject, document: str, token: str
) -> None:
    start = data.draw(st.integers(0, len(document)))
    end = data.draw(st.integers(start, min(len(document), start + 3)))
    for text in (document, document[:start] + token + document[end:]):
        assert result(text) == result_of_python(text)
