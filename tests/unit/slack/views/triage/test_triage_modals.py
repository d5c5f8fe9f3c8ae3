"""Fields of the forms that ask something before an act."""

from __future__ import annotations

import pytest

from zofbot.slack.views.triage.triage_modals import field_value


@pytest.mark.parametrize(
    ("value", "read"),
    [("\u200b2\u00a0h\u2060", "2 h"), ("it’s  R&amp;D", "it's R&amp;D"), ("  ", "")],
)
def test_what_is_typed_in_a_form_is_read_as_elsewhere(value: str, read: str) -> None:
    view = {"state": {"values": {"words": {"words": {"type": "plain_text_input", "value": value}}}}}
    assert field_value(view, "words", "words") == read
