"""Links to earlier resolutions: fetched once, and a message does not wait for them long."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from zofbot.domain.errors import SlackRefused
from zofbot.notifications.notification import Claim, Notification, NotificationKind, Receipt
from zofbot.services.resolution_links import MAX_LINK_SECONDS, ResolutionLinker

PAST = {"past": [{"resolved": {"alert": "case:1", "by": "ben"}}]}
CLAIM = Claim(Notification(key="case:2", channel="C1", kind=NotificationKind.ROOT, happened=0.0, body=PAST), 1, 0.0)
ALERT = Receipt("C1", "1.0")


def make_linker(fetch: Any, receipt: Receipt | None = ALERT) -> ResolutionLinker:
    async def prepare(claim: Claim) -> Claim:
        return claim

    async def get_record(key: str) -> Any:
        return SimpleNamespace(receipt=receipt)

    outbox: Any = SimpleNamespace(get_record=get_record)
    return ResolutionLinker(prepare, outbox, fetch)


async def linked(linker: ResolutionLinker) -> Any:
    prepared = await linker(CLAIM)
    assert isinstance(prepared, Claim)
    return prepared.notification.body["past"][0]["resolved"].get("link")


async def test_a_link_is_fetched_once() -> None:
    asked: list[Receipt] = []

    async def fetch(receipt: Receipt) -> str:
        asked.append(receipt)
        return "https://acme.slack.com/archives/C1/p1"

    linker = make_linker(fetch)
    assert [await linked(linker), await linked(linker)] == ["https://acme.slack.com/archives/C1/p1"] * 2
    assert asked == [ALERT]


async def refuse(receipt: Receipt) -> str:
    raise SlackRefused("message_not_found", "Slack does not find the message.")


async def never_answer(receipt: Receipt) -> str:
    await asyncio.Event().wait()
    raise AssertionError("never set")


@pytest.mark.parametrize("fetch", [refuse, never_answer])
async def test_without_a_link_from_slack_the_message_is_sent_without_it(fetch: Any) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await linked(make_linker(fetch)) is None
    assert loop.time() - started < MAX_LINK_SECONDS + 1


async def test_an_alert_that_was_not_posted_has_no_link() -> None:
    assert await linked(make_linker(refuse, receipt=None)) is None
