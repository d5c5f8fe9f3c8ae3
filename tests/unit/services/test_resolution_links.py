"""Links to earlier resolutions: fetched once, and a message does not wait for them long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from zofbot.domain.errors import SlackRefused
from zofbot.notifications.notification import Claim, Notification, NotificationKind, Receipt
from zofbot.services.resolution_links import MAX_LINK_SECONDS, ResolutionLinker

PAST = {"past": [{"resolved": {"alert": "case:1", "by": "ben"}}]}
CLAIM = Claim(Notification(key="case:2", channel="C1", kind=NotificationKind.ROOT, happened=0.0, body=PAST), 1, 0.0)
ALERT = Receipt("C1", "1.0")


def make_linker(fetch: Any, receipt: Receipt | None = ALERT, *, own_receipts: bool = False) -> ResolutionLinker:
    """Make a linker; with ``own_receipts`` each alert's timestamp is its key."""

    async def prepare(claim: Claim) -> Claim:
        return claim

    async def get_records(keys: Sequence[str]) -> Any:
        return [SimpleNamespace(key=key, receipt=Receipt("C1", key) if own_receipts else receipt) for key in keys]

    outbox: Any = SimpleNamespace(get_records=get_records)
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


def with_past(claim: Claim, *keys: str) -> Claim:
    """Return the claim of a root whose alert has these resolutions in its past."""
    body = {"past": [{"resolved": {"alert": key}} for key in keys]}
    return replace(claim, notification=claim.notification.model_copy(update={"body": body}), failure=body)


async def test_all_links_of_a_message_share_its_wait() -> None:
    async def fetch(receipt: Receipt) -> str:
        await asyncio.sleep(MAX_LINK_SECONDS + 1)
        return "too late"

    loop = asyncio.get_running_loop()
    started = loop.time()
    prepared = await make_linker(fetch)(with_past(CLAIM, "case:1", "case:2", "case:3"))
    assert prepared == with_past(CLAIM, "case:1", "case:2", "case:3")
    assert loop.time() - started < MAX_LINK_SECONDS + 1


async def test_a_link_that_comes_late_holds_back_no_other_and_each_alert_is_asked_for_once() -> None:
    asked: list[str] = []

    async def fetch(receipt: Receipt) -> str:
        asked.append(receipt.ts)
        await asyncio.sleep(MAX_LINK_SECONDS + 1 if receipt.ts == "case:1" else 0)
        return f"link to {receipt.ts}"

    prepared = await make_linker(fetch, own_receipts=True)(with_past(CLAIM, "case:1", "case:2", "case:1", "case:2"))
    assert isinstance(prepared, Claim)
    links = [past["resolved"].get("link") for past in prepared.notification.body["past"]]
    assert links == [None, "link to case:2", None, "link to case:2"]
    assert prepared.failure == prepared.notification.body
    assert sorted(asked) == ["case:1", "case:2"]


async def test_an_alert_that_was_not_posted_has_no_link() -> None:
    async def fetch(receipt: Receipt | None) -> str:
        return "https://acme.slack.com/archives/C1/p1"

    assert await linked(make_linker(fetch, receipt=None)) is None
