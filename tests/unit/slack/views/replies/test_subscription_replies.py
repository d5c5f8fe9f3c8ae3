"""The list of a channel's subscriptions: each pair of buttons stands below what it is about."""

from __future__ import annotations

import pytest

from zofbot.slack.views.blocks import section_block
from zofbot.slack.views.replies.subscription_replies import SubscriptionRow, subscription_list
from zofbot.slack.views.run_list import ROWS_PER_PAGE


@pytest.mark.parametrize("word", ["checkout-service-", "a&b<c>", "'`*_~"])
@pytest.mark.parametrize("count", [1, 5, ROWS_PER_PAGE])
def test_buttons_of_long_subscriptions_stand_below_their_filters(count: int, word: str) -> None:
    filters = "project:" + ",".join(f"{word}{number}" for number in range(200))
    rows = [SubscriptionRow(f"s{number}", filters, "&" * 80, 1.8e9) for number in range(count)]
    mutes = [section_block("y" * 900)]
    shown = subscription_list(rows, note="x" * 1500, muted=mutes).message_fields()["blocks"]
    for number in range(1, count + 1):
        [place] = [
            index
            for index, block in enumerate(shown)
            if block.get("text", {}).get("text", "").startswith(f"*{number}.* ")
        ]
        assert f"Remove subscription {number}" in str(shown[place + 1])


def test_few_subscriptions_are_shown_in_full() -> None:
    filters = "project:" + ",".join(f"service-{number}" for number in range(100))
    assert filters in str(subscription_list([SubscriptionRow("s1", filters, "Ana", 1.8e9)]).blocks)
