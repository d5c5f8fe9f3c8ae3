"""The pretend Slack's view of what it would link or draw by itself, from both sides."""

from __future__ import annotations

from typing import Any

import pytest

from zofbot.simulator.blockkit.automatic_links import (
    DEFAULT_PARSING,
    LinkParsing,
    find_automatic,
    find_emoji,
    find_links,
    parsing_options,
)

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("said", "linked"),
    [
        ("see https://evil.example/x?y=1 now", ["https://evil.example/x?y=1"]),
        ("http://10.0.0.1:8080/", ["http://10.0.0.1:8080/"]),
        ("slack://open", ["slack://open"]),
        ("www.evil.example/login", ["www.evil.example/login"]),
        ("evil.example", ["evil.example"]),
        ("checkout.spec.ts:42", ["checkout.spec.ts"]),
        ("münchen.example", ["münchen.example"]),
        ("ana@evil.example", ["ana@evil.example"]),
        ("`https://evil.example`", ["https://evil.example`"]),
        ("took 4.2 s, 1.5x, v2.14.0", []),
        ("#general and @here", []),
        ("<https://app.zof.ai/runs/1|the run> and <!date^1^{date}|2026.example>", []),
        ("https:\u200b//evil.\u200bexample", []),
    ],
)
def test_addresses_are_linked_by_default(said: str, linked: list[str]) -> None:
    assert find_links(said, DEFAULT_PARSING) == linked
    assert find_links(said, LinkParsing(addresses=False)) == []


def test_names_are_linked_on_request() -> None:
    assert find_links("hi @here in #general", LinkParsing(names=True)) == ["@here", "#general"]


@pytest.mark.parametrize(
    ("given", "default", "wanted"),
    [
        ({}, "", LinkParsing(addresses=True, names=False)),
        ({}, "client", LinkParsing(addresses=True, names=True)),
        ({"parse": "none"}, "client", LinkParsing(addresses=False, names=False)),
        ({"parse": "full"}, "", LinkParsing(addresses=True, names=True)),
        ({"link_names": True}, "", LinkParsing(addresses=True, names=True)),
    ],
)
def test_parse_and_link_names_say_what_is_linked(given: Json, default: str, wanted: LinkParsing) -> None:
    assert parsing_options(given, default) == wanted


def test_names_of_emoji_are_drawn_but_times_and_paths_are_not() -> None:
    assert find_emoji("hi :wave: :+1: :100:") == ["wave", "+1", "100"]
    assert find_emoji("12:30:45, tests/cart.py::test_total::case, `:wave:`, a: b, :\u200bwave:") == []


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "https://evil.example"},
        {"attachments": [{"fallback": "www.evil.example"}]},
        {"attachments": [{"fields": [{"title": "x", "value": "evil.example"}]}]},
        {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "evil.example"}}]},
        {"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "@here", "verbatim": False}]}]},
        {"attachments": [{"blocks": [{"type": "context", "elements": [{"type": "mrkdwn", "text": "a@b.example"}]}]}]},
        {"blocks": [{"type": "markdown", "text": "https://evil.example"}]},
        {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "hi :wave:"}}]},
        {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ":wave:", "verbatim": True}}]},
    ],
)
def test_it_is_found_wherever_slack_would_read_it(payload: Json) -> None:
    assert find_automatic(payload, DEFAULT_PARSING)


def test_verbatim_text_and_plain_text_are_left_alone() -> None:
    verbatim = {"type": "mrkdwn", "text": "https://evil.example @here #general", "verbatim": True}
    title = {"type": "plain_text", "text": "https://evil.example :wave:", "emoji": False}
    rich = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "https://evil.example :wave:"}]}
    blocks = [
        {"type": "section", "text": verbatim},
        {"type": "header", "text": title},
        {"type": "rich_text", "elements": [rich]},
    ]
    assert find_automatic({"text": "all well", "blocks": blocks}, DEFAULT_PARSING) == []
