"""JSON without spaces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zofbot.domain.json_encoding import encode_json

_TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
"""Texts of any characters, lone surrogates too."""
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(_TEXTS, values, max_size=4),
    max_leaves=10,
)


@given(_VALUES)
@example({"\ud800": "\udfff"})
def test_what_is_encoded_is_read_back(value: Any) -> None:
    assert json.loads(encode_json(value)) == value


@given(_VALUES)
@example({"\ud800": "\udfff"})
def test_encoded_json_can_be_stored_and_sent(value: Any) -> None:
    assert encode_json(value).encode()


def test_encoded_json_has_no_spaces() -> None:
    assert encode_json({"a": [1, 2], "b": {"c": None}}) == '{"a":[1,2],"b":{"c":null}}'


def test_a_value_that_json_lacks_is_refused() -> None:
    with pytest.raises((TypeError, ValueError)):
        encode_json({"a": object()})
