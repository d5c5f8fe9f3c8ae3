"""What a failed call means for its notification."""

from __future__ import annotations

from typing import Any

from zofbot.delivery.failed_calls import FailedCallClassifier
from zofbot.domain.errors import SlackDeferred
from zofbot.notifications.notification import Claim, Notification, NotificationKind
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
