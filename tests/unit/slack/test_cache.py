"""Slack's answers age by the present clock, though they came by a clock that was set back since."""

from __future__ import annotations

import pytest

from tests.support.virtual_time import SetClock
from zofbot.domain.errors import SlackUnknown
from zofbot.slack.cache import TtlCache

each_step = pytest.mark.parametrize("step", [600, 86400])


@each_step
async def test_an_answer_is_read_again_once_the_clock_was_set_back(step: float) -> None:
    clock, answers = SetClock(), ["first", "second"]

    async def ask(_: str) -> str:
        return answers.pop(0)

    cache = TtlCache(ask, clock, fresh=60.0, stale=60.0)
    assert await cache.get("C1") == "first"
    clock.at -= step
    assert await cache.get("C1") == "second"


@each_step
async def test_a_failed_lookup_is_repeated_once_the_clock_was_set_back(step: float) -> None:
    clock, failures = SetClock(), [SlackUnknown("TimeoutError", "")]

    async def ask(_: str) -> str:
        if failures:
            raise failures.pop()
        return "answer"

    cache = TtlCache(ask, clock)
    with pytest.raises(SlackUnknown):
        await cache.get("C1")
    clock.at -= step
    assert await cache.get("C1") == "answer"
