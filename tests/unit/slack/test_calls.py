"""Calls to Slack, as they are counted."""

from __future__ import annotations

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
