"""Calls to Slack, as they are counted."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.support.virtual_time import test_clock
from zofbot.domain.errors import SlackDeferred, SlackError, SlackRefused, SlackUnknown
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import SlackCall
from zofbot.slack.calls import SlackCalls


class Postponed(SlackDeferred):
    """A deferred call under another name."""


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [(SlackDeferred, "deferred"), (SlackRefused, "refused"), (SlackUnknown, "unknown"), (Postponed, "deferred")],
)
async def test_how_a_failed_call_is_counted_does_not_depend_on_the_name_of_its_error(
    kind: type[SlackError], outcome: str
) -> None:
    events, counted = EventEmitter(), list[SlackCall]()
    events.add_hook(SlackCall, counted.append)

    async def fail() -> None:
        raise kind("some_reason", "It failed.")

    async with aiohttp.ClientSession() as session:
        calls = SlackCalls(session, token="xoxb-1", api_url="http://slack/", events=events, clock=test_clock())
        with pytest.raises(kind):
            await calls.run_call("chat.update", fail)
    assert [call.outcome for call in counted] == [outcome]


@pytest.mark.parametrize(("ends", "reason"), [("canceled", "canceled"), ("crashed", "KeyError")])
async def test_a_call_that_somebody_gave_up_or_that_crashed_is_not_counted_as_answered(ends: str, reason: str) -> None:
    events, counted = EventEmitter(), list[SlackCall]()
    events.add_hook(SlackCall, counted.append)

    async def hang() -> None:
        if ends == "crashed":
            raise KeyError("unexpected")
        await asyncio.sleep(60)

    async with aiohttp.ClientSession() as session:
        calls = SlackCalls(session, token="xoxb-1", api_url="http://slack/", events=events, clock=test_clock())
        call = asyncio.create_task(calls.run_call("conversations.info", hang))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises((asyncio.CancelledError, KeyError)):
            await call
    assert [(call.outcome, call.status, call.reason) for call in counted] == [("unknown", None, reason)]
