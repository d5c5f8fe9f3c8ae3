"""Who somebody is and whether a channel is shared: asked of the pretend Slack over HTTP, with a clock that is set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from tests.support.virtual_time import SetClock
from zofbot.access import Role, Roles, Standing, refusal, role_of
from zofbot.clock import Clock
from zofbot.metrics import Metrics
from zofbot.simulator.entities import BOT
from zofbot.simulator.organization import (
    ANA,
    BEN,
    CHIOMA,
    EXTERNAL,
    GUEST,
    INCIDENT_ROOM,
    ON_CALL,
    PARTNERS,
    QA_ALERTS,
    furnish,
)
from zofbot.simulator.stage import Stage
from zofbot.simulator.workspace import Workspace
from zofbot.simulator.world import World
from zofbot.slack.notifier import Identity, SlackNotifier
from zofbot.slack.people import People, described
from zofbot.slack.shelf import FRESH, MOST, STALE, Shelf


@dataclass
class Bench:
    """People over a Slack that can be told to misbehave."""

    slack: Workspace
    notifier: SlackNotifier
    clock: SetClock

    def people(self, *groups: str) -> People:
        return People(self.notifier, self.clock, groups)

    def calls(self, method: str) -> int:
        return len([call for call in self.slack.calls if call.method == method])


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = SetClock()
    world = World(clock)
    furnish(world)
    stage = Stage(world)
    await stage.start()
    async with aiohttp.ClientSession() as session:
        notifier = SlackNotifier(
            session,
            token=world.slack.bot_token,
            api_url=f"{stage.url}/api/",
            metrics=Metrics(),
            clock=Clock(),
            deadline=2,
        )
        yield Bench(world.slack, notifier, clock)
    await stage.stop()


async def test_members_guests_strangers_and_bots_are_told_apart(bench: Bench) -> None:
    people = bench.people()
    found = [(await people.person(user)).standing for user in (ANA, GUEST, EXTERNAL, BOT)]
    assert found == [Standing.MEMBER, Standing.GUEST, Standing.STRANGER, Standing.BOT]
    bench.slack.users[BEN].deleted = True
    assert (await people.person(BEN)).standing is Standing.GONE
    nobody = await people.person("U0NOBODY")
    assert (nobody.standing, "user_not_found" in nobody.doubt) == (Standing.UNKNOWN, True)


async def test_somebody_of_another_organization_is_a_stranger_in_a_shared_channel_and_out_of_it(bench: Bench) -> None:
    assert (await bench.people().person(EXTERNAL)).standing is Standing.STRANGER
    bench.slack.channels[PARTNERS].members.discard(EXTERNAL)
    assert (await bench.people().person(EXTERNAL)).standing is Standing.STRANGER


async def test_a_person_has_a_name_a_time_zone_and_their_groups(bench: Bench) -> None:
    people = bench.people(ON_CALL)
    ana, chioma = await people.person(ANA), await people.person(CHIOMA)
    assert (ana.name, str(ana.zone), ana.admin, [*ana.groups]) == ("ana", "Europe/Berlin", True, [ON_CALL])
    assert (str(chioma.zone), chioma.admin, chioma.groups) == ("Asia/Tokyo", False, frozenset())
    assert role_of(chioma, Roles.read(ON_CALL)) is Role.READER
    assert role_of(await people.person(BEN), Roles.read(ON_CALL)) is Role.RESPONDER


HOME = Identity("T0ACME", "U0ZOFBOT", "B0ZOFBOT", "E0ACME")
MEMBER = {"id": "U1", "team_id": "T0ACME"}


@pytest.mark.parametrize(
    ("told", "standing"),
    [
        (MEMBER, Standing.MEMBER),
        ({}, Standing.STRANGER),
        (MEMBER | {"team_id": "T0OTHER"}, Standing.STRANGER),
        (MEMBER | {"is_stranger": True}, Standing.STRANGER),
        (MEMBER | {"is_ultra_restricted": True}, Standing.GUEST),
        (MEMBER | {"is_restricted": True, "is_admin": True}, Standing.GUEST),
        ({"team_id": "T0SISTER", "enterprise_user": {"enterprise_id": "E0ACME"}}, Standing.MEMBER),
        ({"team_id": "E0ACME"}, Standing.MEMBER),
        ({"team_id": "T0OTHER", "enterprise_user": {"enterprise_id": "E0OTHER", "teams": ["T9"]}}, Standing.STRANGER),
        (MEMBER | {"id": "USLACKBOT"}, Standing.BOT),
        (MEMBER | {"is_workflow_bot": True}, Standing.BOT),
    ],
)
def test_what_slack_says_of_somebody_is_a_standing(told: dict[str, Any], standing: Standing) -> None:
    assert described("U1", told, HOME).standing is standing


def test_without_an_organization_nobody_belongs_to_it() -> None:
    told = {"team_id": "T0OTHER", "enterprise_user": {"enterprise_id": ""}}
    assert described("U1", told, Identity("T0ACME", "", "")).standing is Standing.STRANGER


@pytest.mark.parametrize(
    ("told", "zone"),
    [
        ({"tz": "Asia/Kolkata", "tz_offset": 0}, ZoneInfo("Asia/Kolkata")),
        ({"tz": "Mars/Olympus", "tz_offset": 19800}, timezone(timedelta(seconds=19800))),
        ({"tz": "", "tz_offset": -3600}, timezone(timedelta(hours=-1))),
        ({"tz_offset": 999999}, UTC),
        ({}, UTC),
    ],
)
def test_a_time_zone_is_a_name_else_a_difference(told: dict[str, Any], zone: object) -> None:
    assert described("U1", told, HOME).zone == zone


async def test_whom_a_subscription_mentions_is_called_by_name(bench: Bench) -> None:
    wish = f"mention:<@{BEN}>,<@U0GONE> escalate:15m-><!subteam^{ON_CALL}>,1h-><!subteam^S0GONE>"
    told = "mention:@ben,@U0GONE escalate:15m->@oncall-checkout,1h->@S0GONE"
    people = bench.people()
    assert [await people.named(wish), await people.named(wish), await people.named("project:*")] == [
        told,
        told,
        "project:*",
    ]
    assert bench.calls("usergroups.list") == 1
    bench.slack.scopes.discard("usergroups:read")
    assert await bench.people().named(wish) == told.replace("oncall-checkout", ON_CALL)


async def test_slack_is_asked_once_in_five_minutes_however_many_wait(bench: Bench) -> None:
    people = bench.people(ON_CALL)
    await asyncio.gather(*(people.person(ANA) for _ in range(20)))
    await people.person(BEN)
    bench.clock.at += FRESH - 1
    await people.person(ANA)
    asked = [bench.calls(method) for method in ("auth.test", "users.info", "usergroups.users.list")]
    assert asked == [1, 2, 1]
    bench.slack.groups[ON_CALL].users.remove(ANA)
    bench.clock.at += 1
    assert (await people.person(ANA)).groups == frozenset()
    assert bench.calls("auth.test") == 1, "who we are does not change"


@pytest.mark.parametrize("fault", ["500", "429", "cut"])
async def test_without_slack_what_was_known_counts_for_an_hour_and_then_nobody_is_known(
    bench: Bench, fault: str
) -> None:
    people = bench.people(ON_CALL)
    known = await people.person(ANA)
    assert await people.shared(QA_ALERTS) is False
    bench.slack.faults.set(fault)
    bench.clock.at += STALE - 1
    assert await people.person(ANA) == known
    assert await people.shared(QA_ALERTS) is False
    bench.clock.at += 1
    unknown = await people.person(ANA)
    assert unknown.standing is Standing.UNKNOWN
    assert role_of(unknown, Roles()) is Role.READER
    assert "Try again in a moment." in (refusal(Role.RESPONDER, unknown, Roles()) or "")
    assert await people.shared(QA_ALERTS) is True
    bench.slack.faults.set("none")
    bench.clock.at += 60
    assert await people.person(ANA) == known


async def test_a_slack_that_does_not_answer_is_not_asked_by_everybody(bench: Bench) -> None:
    people = bench.people()
    await people.person(BEN)
    bench.slack.faults.set("500")
    await asyncio.gather(*(people.person(ANA) for _ in range(10)))
    assert bench.calls("users.info") == 2


async def test_of_very_many_answers_the_one_longest_unasked_for_is_forgotten() -> None:
    asked: list[str] = []

    async def ask(key: str) -> str:
        asked.append(key)
        return key

    shelf = Shelf(ask, SetClock())
    for number in range(MOST):
        await shelf.get(f"{number}")
    for key in ("0", "one too many", "0", "1"):
        assert await shelf.get(key) == key
    assert asked[MOST:] == ["one too many", "1"]


async def test_a_missing_scope_is_named_to_whoever_it_hinders(bench: Bench) -> None:
    bench.slack.scopes.discard("users:read")
    ana = await bench.people().person(ANA)
    assert "`users:read`" in (refusal(Role.RESPONDER, ana, Roles()) or "")


async def test_a_group_that_slack_will_not_show_gives_nobody_its_role_and_says_so(bench: Bench) -> None:
    ben = await bench.people(ON_CALL, "S0GONE").person(BEN)
    assert ben.groups == {ON_CALL}
    assert role_of(ben, Roles.read(f"S0GONE,{ON_CALL}")) is Role.RESPONDER
    assert "no_such_subteam" in (refusal(Role.RESPONDER, ben, Roles.read("S0GONE")) or "")


async def test_a_channel_is_shared_once_another_organization_is_in_it_or_asked_to_be(bench: Bench) -> None:
    assert await bench.people().shared(PARTNERS) is True
    assert await bench.people().shared(QA_ALERTS) is False
    bench.slack.channels[QA_ALERTS].pending = True
    assert await bench.people().shared(QA_ALERTS) is True


async def test_a_channel_that_cannot_be_seen_is_taken_for_shared_and_a_direct_message_never(bench: Bench) -> None:
    people = bench.people()
    assert await people.shared(INCIDENT_ROOM) is True
    asked = bench.calls("conversations.info")
    assert [await people.shared(place) for place in ("D0ANA", ANA)] == [False, False]
    assert bench.calls("conversations.info") == asked


async def test_a_channel_is_private_unless_slack_says_that_everybody_may_know_of_it(bench: Bench) -> None:
    people = bench.people()
    places = (QA_ALERTS, INCIDENT_ROOM, "D0ANA")
    assert [await people.private(place) for place in places] == [False, True, True]
    bench.slack.channels[INCIDENT_ROOM].members.add(BOT)
    assert await bench.people().private(INCIDENT_ROOM) is True
    bench.slack.scopes.discard("channels:read")
    assert await bench.people().private(QA_ALERTS) is True


async def test_who_is_in_a_group_and_where_somebody_is_may_be_what_slack_does_not_say(bench: Bench) -> None:
    people = bench.people()
    assert await people.members(ON_CALL) == frozenset({ANA, BEN})
    assert QA_ALERTS in (await people.rooms(ANA) or ())
    bench.slack.scopes -= {"usergroups:read", "groups:read"}
    assert await bench.people().members(ON_CALL) is None
    assert await bench.people().rooms(ANA) is None
