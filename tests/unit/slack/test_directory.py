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
import redis.asyncio as redis
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.failure_reports import serve_world
from tests.support.virtual_time import SetClock, test_clock
from zofbot.domain.errors import SlackDeferred, StoreUnavailable
from zofbot.domain.permissions import Membership, Role, Roles, explain_refusal, role_of
from zofbot.observability.emitter import EventEmitter
from zofbot.simulator.seed import (
    ANA,
    BEN,
    CHECKOUT_CHANNEL,
    CHIOMA,
    EXTERNAL,
    GUEST,
    INCIDENT_ROOM,
    ON_CALL_GROUP,
    PARTNERS,
    QA_ALERTS,
    RANDOM_CHANNEL,
    seed_world,
)
from zofbot.simulator.slack.model import BOT_USER_ID, Channel
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.world import World
from zofbot.slack.cache import FRESH_SECONDS, MAX_CACHE_ENTRIES, MAX_STALE_SECONDS, TtlCache
from zofbot.slack.calls import SlackCalls
from zofbot.slack.client import SlackClient
from zofbot.slack.directory import MAX_ACCESS_AGE_SECONDS, MAX_LISTING_SECONDS, Directory, Readers
from zofbot.slack.identity import BotIdentity
from zofbot.slack.shared_channels import READERS_WAIT_SECONDS
from zofbot.slack.users import parse_user
from zofbot.store import Store
from zofbot.store.keyspace import Keyspace


@dataclass
class DirectoryBench:
    """People over a Slack that can be told to misbehave."""

    slack: Workspace
    notifier: SlackClient
    clock: SetClock

    def make_directory(self, *groups: str) -> Directory:
        return Directory(self.notifier, self.clock, groups)

    def count_calls(self, method: str) -> int:
        return len([call for call in self.slack.calls if call.method == method])


@pytest.fixture
async def bench() -> AsyncIterator[DirectoryBench]:
    clock = SetClock()
    world = World(clock)
    seed_world(world)
    async with serve_world(world) as simulator, aiohttp.ClientSession() as session:
        notifier = SlackClient(
            SlackCalls(
                session,
                token=world.slack.bot_token,
                api_url=f"{simulator.url}/api/",
                events=EventEmitter(),
                clock=test_clock(),
                deadline=2,
            )
        )
        yield DirectoryBench(world.slack, notifier, clock)


async def test_members_guests_strangers_and_bots_are_told_apart(bench: DirectoryBench) -> None:
    people = bench.make_directory()
    found = [(await people.load_person(user)).membership for user in (ANA, GUEST, EXTERNAL, BOT_USER_ID)]
    assert found == [Membership.MEMBER, Membership.GUEST, Membership.EXTERNAL, Membership.BOT]
    bench.slack.users[BEN].deleted = True
    assert (await people.load_person(BEN)).membership is Membership.DEACTIVATED
    nobody = await people.load_person("U0NOBODY")
    assert (nobody.membership, "user_not_found" in nobody.doubt) == (Membership.UNKNOWN, True)


async def test_somebody_of_another_organization_is_a_stranger_in_a_shared_channel_and_out_of_it(
    bench: DirectoryBench,
) -> None:
    assert (await bench.make_directory().load_person(EXTERNAL)).membership is Membership.EXTERNAL
    bench.slack.channels[PARTNERS].members.discard(EXTERNAL)
    assert (await bench.make_directory().load_person(EXTERNAL)).membership is Membership.EXTERNAL


async def test_a_person_has_a_name_a_time_zone_and_their_groups(bench: DirectoryBench) -> None:
    people = bench.make_directory(ON_CALL_GROUP)
    ana, chioma = await people.load_person(ANA), await people.load_person(CHIOMA)
    assert (ana.name, str(ana.zone), ana.admin, [*ana.groups]) == ("ana", "Europe/Berlin", True, [ON_CALL_GROUP])
    assert (str(chioma.zone), chioma.admin, chioma.groups) == ("Asia/Tokyo", False, frozenset())
    assert role_of(chioma, Roles.from_settings(ON_CALL_GROUP)) is Role.READER
    assert role_of(await people.load_person(BEN), Roles.from_settings(ON_CALL_GROUP)) is Role.RESPONDER


HOME = BotIdentity("T0ACME", "U0ZOFBOT", "B0ZOFBOT", "E0ACME")
MEMBER = {"id": "U1", "team_id": "T0ACME"}


@pytest.mark.parametrize(
    ("told", "standing"),
    [
        (MEMBER, Membership.MEMBER),
        ({}, Membership.EXTERNAL),
        (MEMBER | {"team_id": "T0OTHER"}, Membership.EXTERNAL),
        (MEMBER | {"is_stranger": True}, Membership.EXTERNAL),
        (MEMBER | {"is_ultra_restricted": True}, Membership.GUEST),
        (MEMBER | {"is_restricted": True, "is_admin": True}, Membership.GUEST),
        ({"team_id": "T0SISTER", "enterprise_user": {"enterprise_id": "E0ACME"}}, Membership.MEMBER),
        ({"team_id": "E0ACME"}, Membership.MEMBER),
        ({"team_id": "T0OTHER", "enterprise_user": {"enterprise_id": "E0OTHER", "teams": ["T9"]}}, Membership.EXTERNAL),
        (MEMBER | {"id": "USLACKBOT"}, Membership.BOT),
        (MEMBER | {"is_workflow_bot": True}, Membership.BOT),
    ],
)
def test_what_slack_says_of_somebody_is_a_standing(told: dict[str, Any], standing: Membership) -> None:
    assert parse_user("U1", told, HOME).membership is standing


def test_without_an_organization_nobody_belongs_to_it() -> None:
    told = {"team_id": "T0OTHER", "enterprise_user": {"enterprise_id": ""}}
    assert parse_user("U1", told, BotIdentity("T0ACME", "", "")).membership is Membership.EXTERNAL


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
    assert parse_user("U1", told, HOME).zone == zone


async def test_whom_a_subscription_mentions_is_called_by_name(bench: DirectoryBench) -> None:
    wish = f"mention:<@{BEN}>,<@U0GONE> escalate:15m-><!subteam^{ON_CALL_GROUP}>,1h-><!subteam^S0GONE>"
    told = "mention:@ben,@U0GONE escalate:15m->@oncall-checkout,1h->@S0GONE"
    people = bench.make_directory()
    assert [
        await people.names.with_names(wish),
        await people.names.with_names(wish),
        await people.names.with_names("project:*"),
    ] == [
        told,
        told,
        "project:*",
    ]
    assert bench.count_calls("usergroups.list") == 1
    bench.slack.scopes.discard("usergroups:read")
    assert await bench.make_directory().names.with_names(wish) == told.replace("oncall-checkout", ON_CALL_GROUP)


async def test_group_direct_messages_are_seen_by_their_members_and_by_nobody_while_slack_is_silent(
    bench: DirectoryBench,
) -> None:
    people = bench.make_directory()
    bench.slack.channels["C0TALK"] = Channel("C0TALK", "mpdm-1", {ANA, BOT_USER_ID}, private=True, group_dm=True)
    ana, ben = await people.load_person(ANA), await people.load_person(BEN)
    assert [await people.joined_channels(each, ["C0TALK"]) for each in (ana, ben)] == [{"C0TALK"}, frozenset()]
    assert [await people.visible_channels(each, ["C0TALK"]) for each in (ana, ben)] == [{"C0TALK"}, frozenset()]
    bench.slack.faults.set_fault("500", only="conversations.info")
    assert await bench.make_directory().joined_channels(ben, ["C0TALK"]) == frozenset()
    bench.slack.faults.set_fault("500", only="users.conversations")
    assert await bench.make_directory().joined_channels(ana, ["C0TALK"]) is None
    assert await bench.make_directory().visible_channels(ana, ["C0TALK"]) == frozenset()


async def test_without_the_scope_for_group_direct_messages_a_persons_channels_are_known_all_the_same(
    bench: DirectoryBench,
) -> None:
    bench.slack.channels["C0TALK"] = Channel("C0TALK", "mpdm-1", {ANA, BOT_USER_ID}, private=True, group_dm=True)
    bench.slack.scopes.discard("mpim:read")
    people = bench.make_directory()
    ana = await people.load_person(ANA)
    assert await people.joined_channels(ana, {QA_ALERTS, "C0TALK", "D0ANA"}) == frozenset({QA_ALERTS, "D0ANA"})


async def test_whom_a_mention_cannot_reach_is_named_only_if_slack_says_so(bench: DirectoryBench) -> None:
    names = bench.make_directory().names
    bench.slack.users[BEN].deleted = True
    assert await names.describe_unreachable([ANA, BEN]) == "The account of ben is deactivated."
    assert await names.describe_unreachable(["U0GONE"]) == "Slack knows nobody with the id `U0GONE`."
    bench.slack.faults.set_fault("error:user_not_visible", 1, only="users.info")
    assert await names.describe_unreachable(["U0UNSEEN"]) == "Slack knows nobody with the id `U0UNSEEN`."
    assert "no user group `S0GONE`" in await names.describe_unreachable(["S0GONE", ON_CALL_GROUP])
    bench.slack.faults.set_fault("500", only="users.info")
    assert await bench.make_directory().names.describe_unreachable([BEN]) == "", (
        "a subscription need not wait for Slack"
    )


async def test_slack_is_asked_once_a_minute_and_of_groups_once_in_five_however_many_wait(bench: DirectoryBench) -> None:
    people = bench.make_directory(ON_CALL_GROUP)
    await asyncio.gather(*(people.load_person(ANA) for _ in range(20)))
    await people.load_person(BEN)
    bench.clock.at += MAX_ACCESS_AGE_SECONDS - 1
    await people.load_person(ANA)
    asked = [bench.count_calls(method) for method in ("auth.test", "users.info", "usergroups.users.list")]
    assert asked == [1, 2, 1]
    bench.slack.groups[ON_CALL_GROUP].users.remove(ANA)
    bench.clock.at += FRESH_SECONDS - MAX_ACCESS_AGE_SECONDS
    assert (await people.load_person(ANA)).groups == {ON_CALL_GROUP}
    assert bench.count_calls("users.info") == 3
    bench.clock.at += 1
    assert (await people.load_person(ANA)).groups == frozenset()
    assert bench.count_calls("auth.test") == 1, "who we are does not change"


@pytest.mark.parametrize("fault", ["500", "429", "cut"])
async def test_without_slack_a_person_is_known_for_an_hour_and_who_reads_a_channel_for_a_minute(
    bench: DirectoryBench, fault: str
) -> None:
    people = bench.make_directory(ON_CALL_GROUP)
    known = await people.load_person(ANA)
    assert await people.readers_of(QA_ALERTS) is Readers.OURS
    assert await people.joined_channels(known, {QA_ALERTS}) == frozenset({QA_ALERTS})
    bench.slack.faults.set_fault(fault)
    bench.clock.at += MAX_ACCESS_AGE_SECONDS - 1
    assert await people.readers_of(QA_ALERTS) is Readers.OURS
    assert await people.joined_channels(known, {QA_ALERTS}) == frozenset({QA_ALERTS})
    bench.clock.at += 1
    assert await people.readers_of(QA_ALERTS) is Readers.UNKNOWN
    assert await people.joined_channels(known, {QA_ALERTS}) is None
    bench.clock.at += MAX_STALE_SECONDS - MAX_ACCESS_AGE_SECONDS - 1
    assert await people.load_person(ANA) == known
    bench.clock.at += 1
    unknown = await people.load_person(ANA)
    assert unknown.membership is Membership.UNKNOWN
    assert role_of(unknown, Roles()) is Role.READER
    assert "Try again in a moment." in (explain_refusal(Role.RESPONDER, unknown, Roles()) or "")
    bench.slack.faults.set_fault("none")
    bench.clock.at += 60
    assert await people.load_person(ANA) == known
    assert await people.readers_of(QA_ALERTS) is Readers.OURS


async def test_a_slack_that_does_not_answer_is_not_asked_by_everybody(bench: DirectoryBench) -> None:
    people = bench.make_directory()
    await people.load_person(BEN)
    bench.slack.faults.set_fault("500")
    await asyncio.gather(*(people.load_person(ANA) for _ in range(10)))
    assert bench.count_calls("users.info") == 2


async def test_of_very_many_answers_the_one_longest_unasked_for_is_forgotten() -> None:
    asked: list[str] = []

    async def ask(key: str) -> str:
        asked.append(key)
        return key

    shelf = TtlCache(ask, SetClock())
    for number in range(MAX_CACHE_ENTRIES):
        await shelf.get(f"{number}")
    for key in ("0", "one too many", "0", "1"):
        assert await shelf.get(key) == key
    assert asked[MAX_CACHE_ENTRIES:] == ["one too many", "1"]


async def test_a_missing_scope_is_named_to_whoever_it_hinders(bench: DirectoryBench) -> None:
    bench.slack.scopes.discard("users:read")
    ana = await bench.make_directory().load_person(ANA)
    assert "`users:read`" in (explain_refusal(Role.RESPONDER, ana, Roles()) or "")


async def test_a_group_that_slack_will_not_show_gives_nobody_its_role_and_says_so(bench: DirectoryBench) -> None:
    ben = await bench.make_directory(ON_CALL_GROUP, "S0GONE").load_person(BEN)
    assert ben.groups == {ON_CALL_GROUP}
    assert role_of(ben, Roles.from_settings(f"S0GONE,{ON_CALL_GROUP}")) is Role.RESPONDER
    assert "no_such_subteam" in (explain_refusal(Role.RESPONDER, ben, Roles.from_settings("S0GONE")) or "")


@pytest.mark.parametrize("listed", [frozenset[str](), frozenset({CHIOMA, ON_CALL_GROUP})])
async def test_the_admins_are_unknown_only_while_slack_does_not_answer(
    bench: DirectoryBench, listed: frozenset[str]
) -> None:
    bench.slack.faults.set_fault("429", None, "usergroups.users.list" if listed else "users.list")
    with pytest.raises(SlackDeferred):
        await bench.make_directory().admin_ids(listed)
    bench.slack.faults.set_fault("none")
    assert await bench.make_directory().admin_ids(listed) == ({CHIOMA, ANA, BEN} if listed else {ANA})


async def test_admins_that_slack_refuses_to_list_are_left_out(bench: DirectoryBench) -> None:
    bench.slack.scopes.discard("users:read")
    assert await bench.make_directory().admin_ids({ANA, "S0GONE"}) == {ANA}
    assert not await bench.make_directory().admin_ids()


async def test_a_channel_is_shared_once_another_organization_is_in_it_or_asked_to_be(bench: DirectoryBench) -> None:
    assert await bench.make_directory().is_shared(PARTNERS) is True
    assert await bench.make_directory().is_shared(QA_ALERTS) is False
    bench.slack.channels[QA_ALERTS].pending = True
    assert await bench.make_directory().is_shared(QA_ALERTS) is True


async def test_a_channel_that_cannot_be_seen_is_no_channel_of_ours(bench: DirectoryBench) -> None:
    people = bench.make_directory()
    assert await people.readers_of(INCIDENT_ROOM) is Readers.UNSEEN
    assert await people.is_shared(INCIDENT_ROOM) is True
    bench.slack.scopes.discard("im:read")
    assert await people.readers_of("D0ANA") is Readers.UNSEEN


async def test_direct_messages_are_shared_with_whoever_is_in_them(bench: DirectoryBench) -> None:
    people = bench.make_directory()
    assert [await people.readers_of(place) for place in ("D0ANA", ANA, EXTERNAL, "U0NOBODY")] == [
        Readers.OURS, Readers.OURS, Readers.SHARED, Readers.UNKNOWN,
    ]  # fmt: skip


async def test_members_see_public_channels_and_guests_those_they_are_in(bench: DirectoryBench) -> None:
    places = {QA_ALERTS, CHECKOUT_CHANNEL, INCIDENT_ROOM, "D0ANA", "D0BEN", "D0GUEST"}
    bench.slack.channels[INCIDENT_ROOM].members.add(BOT_USER_ID)
    people = bench.make_directory()

    async def channels_seen_by(user: str) -> set[str]:
        return set(await people.visible_channels(await people.load_person(user), places))

    assert await channels_seen_by(BEN) == {QA_ALERTS, CHECKOUT_CHANNEL, INCIDENT_ROOM, "D0BEN"}
    assert await channels_seen_by(CHIOMA) == {QA_ALERTS, CHECKOUT_CHANNEL}
    assert await channels_seen_by(GUEST) == {CHECKOUT_CHANNEL, "D0GUEST"}
    assert await channels_seen_by(EXTERNAL) == set()
    assert await channels_seen_by("U0NOBODY") == set()


async def test_what_slack_does_not_say_is_not_seen(bench: DirectoryBench) -> None:
    people = bench.make_directory()
    ana = await people.load_person(ANA)
    bench.slack.scopes -= {"usergroups:read", "groups:read"}
    assert await people.group_members(ON_CALL_GROUP) is None
    assert await people.joined_channels(ana, {QA_ALERTS}) is None
    assert await people.visible_channels(ana, {QA_ALERTS, INCIDENT_ROOM}) == {QA_ALERTS}
    bench.slack.scopes.discard("channels:read")
    bench.clock.at += MAX_ACCESS_AGE_SECONDS
    assert await people.visible_channels(ana, {QA_ALERTS}) == set()


async def test_one_listing_a_minute_says_who_reads_the_channels_that_the_bot_is_in(bench: DirectoryBench) -> None:
    people = bench.make_directory()
    bench.slack.channels[CHECKOUT_CHANNEL].pending = True

    async def readers(*channels: str) -> list[Readers]:
        return await asyncio.gather(*(people.readers_of(channel, from_listing=True) for channel in channels))

    listed = QA_ALERTS, CHECKOUT_CHANNEL, PARTNERS
    assert await readers(*listed) == [Readers.OURS, Readers.SHARED, Readers.SHARED]
    assert (bench.count_calls("users.conversations"), bench.count_calls("conversations.info")) == (1, 0)
    assert await readers(RANDOM_CHANNEL, INCIDENT_ROOM, "D0ANA") == [Readers.OURS, Readers.UNSEEN, Readers.OURS]
    assert (bench.count_calls("users.conversations"), bench.count_calls("conversations.info")) == (1, 3)
    bench.slack.channels[QA_ALERTS].external = True
    bench.clock.at += MAX_ACCESS_AGE_SECONDS - 1
    await readers(*listed)
    assert bench.count_calls("users.conversations") == 1
    bench.clock.at += 1
    assert await readers(*listed) == [Readers.SHARED] * 3
    assert (bench.count_calls("users.conversations"), bench.count_calls("conversations.info")) == (2, 3)


async def test_the_bots_channels_come_in_pages(bench: DirectoryBench) -> None:
    for number in range(1000):
        bench.slack.channels[f"C{number}"] = Channel(f"C{number}", f"c-{number}", {BOT_USER_ID}, external=number == 999)
    found = [await bench.make_directory().readers_of(f"C{number}", from_listing=True) for number in (0, 999)]
    assert found == [Readers.OURS, Readers.SHARED]
    assert (bench.count_calls("users.conversations"), bench.count_calls("conversations.info")) == (4, 0)


@pytest.mark.parametrize("told", [{}, {"is_ext_shared": False}, {"is_pending_ext_shared": False}])
async def test_a_channel_that_is_listed_without_who_reads_it_is_asked_about(told: dict[str, bool]) -> None:
    asked: list[str] = []

    async def answer_call(request: web.Request) -> web.Response:
        asked.append(request.path.removeprefix("/"))
        return web.json_response(
            {"ok": True, "channels": [{"id": QA_ALERTS} | told], "channel": {"is_ext_shared": True}}
        )

    app = web.Application()
    app.router.add_get("/{method}", answer_call)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        calls = SlackCalls(
            session, token="xoxb-1", api_url=f"{server.make_url('/')}", events=EventEmitter(), clock=test_clock()
        )
        people = Directory(SlackClient(calls), SetClock())
        assert await people.readers_of(QA_ALERTS, from_listing=True) is Readers.SHARED
    assert asked == ["users.conversations", "conversations.info"]


async def test_a_listing_counts_until_a_change_that_it_may_lack(bench: DirectoryBench) -> None:
    numbers = {"": "7", QA_ALERTS: "7", CHECKOUT_CHANNEL: "7"}

    async def changes(identifier: str) -> str:
        if not numbers:
            raise StoreUnavailable("Redis is away.")
        return numbers.get(identifier, "")

    async def readers(*channels: str) -> list[Readers]:
        return [await people.readers_of(channel, from_listing=True) for channel in channels]

    people = Directory(bench.notifier, bench.clock, (), changes)
    assert await readers(QA_ALERTS, CHECKOUT_CHANNEL) == [Readers.OURS] * 2
    assert bench.count_calls("conversations.info") == 0
    bench.slack.channels[QA_ALERTS].external = bench.slack.channels[CHECKOUT_CHANNEL].external = True
    numbers |= {"": "10", QA_ALERTS: "10"}
    assert await readers(QA_ALERTS, CHECKOUT_CHANNEL) == [Readers.SHARED, Readers.OURS]
    numbers.clear()
    assert await readers(CHECKOUT_CHANNEL) == [Readers.SHARED], "without the store nothing is remembered"
    assert (bench.count_calls("users.conversations"), bench.count_calls("conversations.info")) == (1, 2)


@pytest.mark.parametrize("event", ["earlier version", "earlier version again", "Redis came back empty", "expired"])
async def test_a_channel_that_was_shared_after_the_listing_is_shared_however_its_change_was_numbered(
    bench: DirectoryBench, store: redis.Redis, event: str
) -> None:
    numbers = Store(Keyspace(store, "test"))
    people = Directory(bench.notifier, bench.clock, (), numbers.read_change_number)
    for changed in (*([QA_ALERTS] if event == "earlier version again" else []), PARTNERS, PARTNERS):
        await numbers.note_change(changed)
    assert await people.readers_of(QA_ALERTS, from_listing=True) is Readers.OURS
    bench.slack.channels[QA_ALERTS].external = True
    if event == "Redis came back empty":
        await store.flushall()
    elif event == "expired":
        await store.delete(numbers.keyspace.key("changed", ""))
    if event.startswith("earlier version"):
        await store.incr(numbers.keyspace.key("changed", QA_ALERTS))
    else:
        await numbers.note_change(QA_ALERTS)
    assert await people.readers_of(QA_ALERTS, from_listing=True) is Readers.SHARED


def test_a_listing_that_takes_too_long_leaves_time_to_ask_about_a_channel() -> None:
    assert MAX_LISTING_SECONDS < READERS_WAIT_SECONDS


async def test_a_change_is_heard_by_every_process(bench: DirectoryBench) -> None:
    count = {QA_ALERTS: "1"}

    async def changes(identifier: str) -> str:
        if not count:
            raise StoreUnavailable("Redis is away.")
        return count.get(identifier, "")

    people = Directory(bench.notifier, bench.clock, (), changes)
    assert await people.readers_of(QA_ALERTS) is Readers.OURS
    bench.slack.channels[QA_ALERTS].external = True
    assert await people.readers_of(QA_ALERTS) is Readers.OURS
    count[QA_ALERTS] = "2"
    assert await people.readers_of(QA_ALERTS) is Readers.SHARED
    count.clear()
    bench.slack.channels[QA_ALERTS].external = False
    assert await people.readers_of(QA_ALERTS) is Readers.OURS, "without the store nothing is remembered"
