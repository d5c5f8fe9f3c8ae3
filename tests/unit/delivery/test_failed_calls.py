"""What a failed call means for its notification."""

from __future__ import annotations

from typing import Any

import pytest

from zofbot.delivery.failed_calls import FailedCallClassifier
from zofbot.domain.errors import SlackDeferred, SlackError
from zofbot.notifications.notification import Claim, Notification, NotificationKind
from zofbot.slack.errors import classify_error
from zofbot.store.attempt_results import Deferred, Unknown


async def test_a_rate_limited_search_or_send_waits_at_least_as_long_as_slack_asks() -> None:
    nobody: Any = None
    classifier = FailedCallClassifier(nobody, random=lambda: 0.0)
    notification = Notification(key="k", kind=NotificationKind.ROOT, channel="C1", happened=0)
    claim = Claim(notification, attempt=1, committed=0.0, maybe_since=1.0)
    busy = SlackDeferred("ratelimited", "")
    busy.retry_after = 30.0
    search, send = await classifier.classify_find_error(claim, busy), await classifier.classify_send_error(claim, busy)
    assert isinstance(search, Unknown), "an earlier attempt may have been posted: it is searched for again"
    assert search.seconds >= 30
    assert isinstance(send, Deferred)
    assert (send.seconds, send.whole_channel) == (30, True)


@pytest.mark.parametrize(("tries", "seconds"), [(0, 1.0), (3, 8.0)])
async def test_the_backoff_follows_from_the_failed_tries_not_from_the_attempts(tries: int, seconds: float) -> None:
    nobody: Any = None
    classifier = FailedCallClassifier(nobody, random=lambda: 1.0)
    notification = Notification(key="k", kind=NotificationKind.ROOT, channel="C1", happened=0)
    claim = Claim(notification, attempt=8, committed=0.0, tries=tries)
    failed = await classifier.classify_send_error(claim, SlackDeferred("unreachable", ""))
    assert isinstance(failed, Deferred)
    assert failed.seconds == seconds


@pytest.mark.parametrize(
    ("error", "holds_edits"),
    [
        (classify_error(429, "", {}), True),
        (classify_error(200, "ratelimited", {}), True),
        (classify_error(200, "rate_limited", {}), True),
        (classify_error(200, "message_limit_exceeded", {}), True),
        (classify_error(200, "external_channel_migrating", {}), False),
        (SlackDeferred("http_503", ""), False),
    ],
)
async def test_only_a_rate_limit_holds_the_edits_of_all_channels(error: SlackError, holds_edits: bool) -> None:
    nobody: Any = None
    classifier = FailedCallClassifier(nobody, random=lambda: 0.0)
    held = {}
    for kind in NotificationKind:
        claim = Claim(Notification(key="k", kind=kind, channel="C1", happened=0), attempt=1, committed=0.0)
        sent = await classifier.classify_send_error(claim, error)
        assert isinstance(sent, Deferred)
        held[kind] = sent.whole_channel
    assert held == {
        NotificationKind.ROOT: True,
        NotificationKind.REPLY: True,
        NotificationKind.EDIT: holds_edits,
    }
