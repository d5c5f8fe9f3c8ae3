"""Filters in the file of subscriptions: read as what is typed in Slack, written so that they are read as they are."""

from __future__ import annotations

import pytest

from zofbot.subscriptions import Subscription, parse_filters
from zofbot.subscriptions.yaml_entries import InvalidFile
from zofbot.subscriptions.yaml_file import parse_yaml, render_yaml


def parse_one(filters: str) -> Subscription:
    """The only subscription of a file with these filters."""
    source = f"version: 1\nchannels:\n  C0QA:\n    - filters: |-\n        {filters}\n"
    [rule] = parse_yaml(source.encode(), "rules.yaml", {"oncall": "S0ONCALL"})
    return rule.subscription


@pytest.mark.parametrize(
    "name",
    ["R&amp;D", "a &lt; b", "<http://a.example|a>", "<#C1|qa>", "-flaky", 'say "hi"', "x[1]", '5" x'],
)
def test_odd_names_are_written_so_that_they_are_read_as_they_are(name: str) -> None:
    wanted = Subscription(id="s1", channel="C0QA", case=(name.replace("-flaky", "\\-flaky"),))
    if name == "<#C1|qa>":
        wanted = wanted.model_copy(update={"case": ("#qa",)})  # a channel's link is the name that people see
    [rule] = parse_yaml(render_yaml([wanted], {}).encode(), "rules.yaml")
    assert rule.subscription.case == wanted.case


@pytest.mark.parametrize(
    ("filters", "typed"),
    [
        ("project:<http://shop.example.com|shop.example.com>", "project:shop.example.com"),
        ("case:“Cart total” env:R&amp;D", 'case:"Cart total" env:R&D'),
        ("env:QA\u00a0West", "env:QA West"),
        ("escalate:1h30m-&gt;<@U1>", "escalate:90m-><@U1>"),
        ("mention:@oncall", "mention:<!subteam^S0ONCALL>"),
    ],
)
def test_what_is_pasted_into_the_file_is_read_as_in_slack(filters: str, typed: str) -> None:
    if "West" in typed:
        with pytest.raises(InvalidFile, match="`West` has no filter name"):
            parse_one(filters)
        return
    assert parse_one(filters) == parse_filters(typed)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_file(encoding: str) -> None:
    source = "version: 1\nchannels:\n  C0QA:\n    - filters: project:checkout\n"
    [rule] = parse_yaml(source.encode(encoding), "rules.yaml")
    assert rule.subscription == parse_filters("project:checkout")
