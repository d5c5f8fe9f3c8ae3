"""What a failed call means for its notification."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.virtual_time import SetClock
from zofbot.delivery.failed_calls import FailedCallClassifier
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused
from zofbot.notifications.notification import Claim, Notification, NotificationKind, Receipt
from zofbot.slack.errors import classify_error
from zofbot.slack.shared_channels import DETAILS_KEY_PREFIX
from zofbot.store.attempt_results import Deferred, Dropped, Gone, Unknown


async def test_a_rate_limited_search_or_send_waits_at_least_as_long_as_slack_asks() -> None:
    nobody: Any = None
    classifier = FailedCallClassifier(nobody, random=lambda: 0.0, clock=SetClock())
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
    classifier = FailedCallClassifier(nobody, random=lambda: 1.0, clock=SetClock())
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
    classifier = FailedCallClassifier(nobody, random=lambda: 0.0, clock=SetClock())
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


class Channel:
    """A channel with or without a message, or one that Slack does not read."""

    def __init__(self, *, has_message: bool, error: SlackError | None = None) -> None:
        self._has_message, self._error = has_message, error

    async def has_message(self, receipt: Receipt) -> bool:
        if self._error:
            raise self._error
        return self._has_message


@pytest.mark.parametrize(("key", "deleted"), [("run-edit:r", Gone), (f"{DETAILS_KEY_PREFIX}r", Dropped)])
async def test_a_message_counts_as_deleted_only_if_its_channel_has_not_shown_it_for_a_while(
    key: str, deleted: type
) -> None:
    clock = SetClock()
    place = Receipt("C1", f"{clock.time():.6f}")
    edit = Notification(key=key, kind=NotificationKind.EDIT, channel="C1", root="r", happened=0)
    claim = Claim(edit, attempt=1, committed=0.0, place=place)
    missed = SlackRefused("message_not_found", "")

    async def classify(*, has_message: bool) -> type:
        channel: Any = Channel(has_message=has_message)
        classifier = FailedCallClassifier(channel, random=lambda: 0.0, clock=clock)
        return type(await classifier.classify_send_error(claim, missed))

    assert await classify(has_message=False) is Deferred, "Slack may not show it yet"
    clock.advance(60)
    assert await classify(has_message=True) is Deferred
    assert await classify(has_message=False) is deleted


async def test_a_clock_that_lags_far_behind_slacks_makes_no_deleted_message_wait() -> None:
    clock = SetClock()
    place = Receipt("C1", f"{clock.time() + 3600:.6f}")
    edit = Notification(key="run-edit:r", kind=NotificationKind.EDIT, channel="C1", root="r", happened=0)
    channel: Any = Channel(has_message=False)
    classifier = FailedCallClassifier(channel, random=lambda: 0.0, clock=clock)
    claim = Claim(edit, attempt=1, committed=0.0, place=place)
    assert isinstance(await classifier.classify_send_error(claim, SlackRefused("message_not_found", "")), Gone)


async def test_a_rate_limit_while_a_deletion_is_confirmed_is_waited_for() -> None:
    clock = SetClock()
    busy = SlackDeferred("ratelimited", "")
    busy.retry_after = 30.0
    edit = Notification(key="run-edit:r", kind=NotificationKind.EDIT, channel="C1", root="r", happened=0)
    claim = Claim(edit, attempt=1, committed=0.0, place=Receipt("C1", f"{clock.time() - 60:.6f}"))
    channel: Any = Channel(has_message=False, error=busy)
    classifier = FailedCallClassifier(channel, random=lambda: 0.0, clock=clock)
    deferred = await classifier.classify_send_error(claim, SlackRefused("message_not_found", ""))
    assert isinstance(deferred, Deferred)
    assert deferred.seconds >= 30
