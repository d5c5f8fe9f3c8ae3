"""Fields of the subscription form, read as what is typed is read."""

from __future__ import annotations

from typing import Any

import pytest

from zofbot.slack.views.subscription_form import form_parser
from zofbot.subscriptions import parse_filters


def field_of(block: str, value: str) -> dict[str, Any]:
    return {block: {block: {"type": "plain_text_input", "value": value}}}


ON = {"on": {"on": {"selected_options": [{"value": "failed"}]}}}


@pytest.mark.parametrize(
    ("block", "entered", "typed"),
    [
        ("case", 'say "hi", 5" tablet', r'case:"say \"hi\"",5"\ tablet'),
        ("env", "QA\u00a0West\u200b", 'env:"QA West"'),
        ("case", "“a, b”", 'case:"a, b"'),
        ("reack", "\u200b4h\u2060", "reack:4h"),
        ("project", "R&amp;D", "project:R&amp;D"),
        ("reack", "1h 30m", "reack:90m"),
        ("escalate", "1 h 30 m -> U1", "escalate:90m-><@U1>"),
        ("escalate", "15m->@oncall", "escalate:15m-><!subteam^S9>"),
        ("groups", "oncall", "mention:<!subteam^S9>"),
        ("quiet", "22:00 – 07:00", "quiet:22:00-07:00"),
    ],
)
def test_a_field_means_what_typing_it_would_mean(block: str, entered: str, typed: str) -> None:
    filled = form_parser.parse_form(ON | field_of(block, entered), {"oncall": "S9"})
    assert filled == form_parser.ParsedForm(parse_filters(f"on:failed {typed}"))


def test_failures_are_chosen_by_history() -> None:
    chosen = {"standings": {"standings": {"selected_options": [{"value": "new"}, {"value": "flaky"}]}}}
    filled = form_parser.parse_form(ON | chosen)
    assert filled == form_parser.ParsedForm(parse_filters("on:failed,new,flaky"))
