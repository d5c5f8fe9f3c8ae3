"""Decoding works with clients that return bytes and with those that return text."""

from __future__ import annotations

import pytest

from zofbot.store.decoding import decode_hash, decode_pairs, decode_text, decode_texts


def test_bytes_and_text_are_decoded_alike() -> None:
    assert decode_texts([b"\xc3\xa4", "ä"]) == ["ä", "ä"]
    assert decode_hash({b"a": b"1"}) == {"a": "1"}
    assert decode_pairs([b"a", b"1", "b", "2"]) == {"a": "1", "b": "2"}


def test_bytes_that_are_no_text_are_an_error_unless_they_may_be_replaced() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_text(b"\xff")
    assert decode_text(b"\xff", "replace") == "\ufffd"


def test_a_field_without_a_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        decode_pairs([b"a", b"1", b"b"])
