"""Authors and owners that Slack does not name in time hold up no alert."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from zofbot.domain.extra_fields import ExtraValue, FieldType
from zofbot.domain.model import Result, Run
from zofbot.polling.contacts import MAX_LOOKUP_SECONDS, add_contacts
from zofbot.subscriptions import RunFinding, parse_filters

OWNER = ExtraValue("owner", FieldType.TEXT, ("ben@acme.example",))
OWNED = RunFinding(Run(id="run_1"), 1.0, (Result(id="res_1", extras=(OWNER,)),))
UNOWNED = RunFinding(Run(id="run_2"), 1.0, (Result(id="res_2"),))


async def never_answer(names: Collection[str]) -> Mapping[str, str]:
    await asyncio.Event().wait()
    raise AssertionError("never set")


async def test_alerts_do_not_wait_long_for_the_people_they_mention() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    found = await add_contacts([OWNED], [parse_filters("mention:owner")], never_answer)
    assert found == [OWNED]
    assert MAX_LOOKUP_SECONDS <= loop.time() - started < MAX_LOOKUP_SECONDS + 1


async def test_slack_is_not_asked_about_failures_without_author_and_owner() -> None:
    assert await add_contacts([UNOWNED], [parse_filters("mention:owner,author")], never_answer) == [UNOWNED]
