"""What forms have in common."""

from __future__ import annotations

import pytest

from zofbot.domain.errors import BadInput
from zofbot.slack.views.forms import field_value, parse_private_metadata


@pytest.mark.parametrize(
    ("value", "read"),
    [("\u200b2\u00a0h\u2060", "2 h"), ("it’s  R&amp;D", "it's R&amp;D"), ("  ", "")],
)
def test_what_is_typed_in_a_form_is_read_as_elsewhere(value: str, read: str) -> None:
    view = {"state": {"values": {"words": {"words": {"type": "plain_text_input", "value": value}}}}}
    assert field_value(view, "words", "words") == read


@pytest.mark.parametrize("stored", [None, "", "{", '{"count": "many"}'])
def test_a_form_of_another_version_is_to_be_opened_again(stored: str | None) -> None:
    with pytest.raises(BadInput, match="another version"):
        parse_private_metadata(dict[str, int], {"private_metadata": stored})
