"""App Home: what it shows to whom, that it stays up to date and within Slack's limits, and its buttons."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import fakeredis
import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.poller_bench import START_TIME, poller_bench
from tests.support.valkey_servers import stopped_server
from tests.support.virtual_time import SetClock, test_clock
from zofbot.app import run_bot
from zofbot.domain.model import Outcome, Run, Schedule
from zofbot.notifications.alert_payloads import CaseAlertPayload, RunAlertPayload
from zofbot.notifications.notification import Notification, NotificationKind, NotificationState
from zofbot.notifications.payload_parts import CaseSummary, RunSummary
from zofbot.polling import status
from zofbot.services.daily_stats import CACHE_SECONDS, summarize_runs
from zofbot.simulator.blockkit import blocks
from zofbot.simulator.seed import INCIDENT_ROOM
from zofbot.slack.views.channel_notes import note_payload
from zofbot.slack.views.home import channel_sections, health_section, home_view
from zofbot.slack.views.home.home_data import (
    BotHealth,
    DailyStats,
    DeadLetterRow,
    FailureList,
    HomeData,
    HomeSubscription,
    ZofProblem,
)
from zofbot.slack.views.oncall import FailureRow
from zofbot.store.audit import AuditLog
from zofbot.store.home_viewers import MAX_AGE_SECONDS, MAX_VIEWERS, MIN_UPDATE_SECONDS, VIEWER_SECONDS, HomeViewers
from zofbot.store.keyspace import Keyspace
from zofbot.store.leases import Lease
from zofbot.triage import Action, Actor, TriageRecord
from zofbot.triage import TriageState as Stands

ANA, BEN, CHIOMA, GUEST, EXTERNAL = "U0ANA", "U0BEN", "U0CHIOMA", "U0GUEST", "U0EXT"
DAY = 86400.0

# --- pure: any load stays within Slack's limits

TEXTS = st.one_of(
    st.text(max_size=400).filter(lambda text_of: "None" not in text_of),
    st.sampled_from(["<!channel>", "`*_~", "🧪" * 3000, "x" * 5000, "&lt;", "\x00", "a|b>c", "<@U0ANA>", ""]),
)
TIMES = st.floats(START_TIME - 9 * DAY, START_TIME + DAY)
PLACES = st.builds(
    RunSummary, id=TEXTS, title=TEXTS, project=TEXTS, environment=TEXTS, outcome=st.sampled_from(Outcome), url=TEXTS
)
TRIAGES = st.builds(
    TriageRecord, state=st.sampled_from(Stands), owner=st.builds(Actor, id=TEXTS, name=TEXTS), at=TIMES, opened=TIMES,
    did=st.none() | st.sampled_from(Action), until=st.none() | TIMES, more=st.integers(0, 9),
)  # fmt: skip
BODIES = st.one_of(
    st.builds(RunAlertPayload, run=PLACES, opened=TIMES),
    st.builds(
        CaseAlertPayload,
        run=PLACES,
        case=st.builds(CaseSummary, id=TEXTS, title=TEXTS),
        first=TIMES,
        last=TIMES,
        opened=TIMES,
    ),
)
ROWS = st.builds(FailureRow, TEXTS, BODIES, TRIAGES, TEXTS, TEXTS)
PARTS = st.builds(FailureList, st.lists(ROWS, max_size=channel_sections.MAX_FAILURE_ROWS), st.integers(0, 10**6))
RUNS = st.builds(
    Run, id=st.text("abc_-0", min_size=1) | TEXTS, title=TEXTS | st.none(), project_name=TEXTS | st.none(),
    outcome=st.sampled_from(Outcome), environment=TEXTS | st.none(), status=TEXTS | st.none(),
    url=st.none() | st.just("https://console.zof.ai/" + "x" * 4000),
    started=st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),
)  # fmt: skip
FIGURES = st.builds(
    DailyStats, TIMES, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6),
    st.lists(RUNS, max_size=8).map(tuple), st.booleans(),
)  # fmt: skip
SCHEDULES = st.builds(
    Schedule, id=st.text("abc_-0", min_size=1), name=st.none() | TEXTS, cron=st.none() | TEXTS, paused=st.booleans(),
    project=st.none() | TEXTS, environment=st.none() | TEXTS,
    next=st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC)),
)  # fmt: skip
TROUBLES = st.builds(ZofProblem, TEXTS, TEXTS, st.just(0.0) | TIMES)
HEALTHS = st.builds(
    BotHealth, zof=st.none() | TROUBLES, lacking=st.lists(TROUBLES, max_size=2),
    store=st.just("") | TEXTS, polled=st.just(0.0) | TIMES, polling=st.booleans(),
    late=st.booleans(), waiting=st.integers(0, 10**6), oldest=st.floats(0, 1e7), parked=st.integers(0, 500),
    paused=st.sampled_from(["", "token_revoked", "🧪" * 400]), dead=st.integers(0, 10**6),
    letters=st.lists(st.builds(DeadLetterRow, TEXTS, TEXTS, TEXTS, st.none() | TIMES), max_size=9),
)  # fmt: skip
HOMES = st.builds(
    HomeData,
    now=st.just(START_TIME),
    figures=st.none() | FIGURES,
    open=st.integers(0, 10**6),
    since=st.none() | TIMES,
    mine=PARTS,
    waiting=PARTS,
    wishes=st.lists(st.builds(HomeSubscription, TEXTS, TEXTS, TEXTS), max_size=40),
    health=HEALTHS,
    rooms=st.booleans(),
    edits=st.booleans(),
    retries=st.booleans(),
    schedules=st.lists(SCHEDULES, max_size=8),
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(HOMES)
def test_whatever_there_is_slack_takes_it(shown: HomeData) -> None:
    view = home_view.render_home(shown)
    assert blocks.find_problems(view, "home") == []
    assert len(view["blocks"]) <= 100
    assert len(json.dumps(view)) <= 250_000
    assert "None" not in json.dumps(view).replace("No subscriptions yet", "")


def test_the_fullest_home_there_can_be_fits() -> None:
    long = "🧪" * 9000
    body = RunAlertPayload(run=RunSummary(id=long, title=long, project=long, environment=long), opened=1.0)
    present = TriageRecord(
        owner=Actor(id="U1", name=long), did=Action.ACKNOWLEDGE, at=2.0, state=Stands.SNOOZED, until=5e9
    )
    part = FailureList(
        [FailureRow(long, body, present, "https://x.example/" + "y" * 3000, "C1")] * channel_sections.MAX_FAILURE_ROWS,
        10**9,
    )
    run = Run(
        id="r" * 128, title=long, project_name=long, environment=long, status=long, url="https://zof.ai/" + "z" * 2900
    )
    shown = HomeData(
        now=3.0,
        figures=DailyStats(1.0, 9, 3, 6, (run,) * 40, cut=True),
        open=10**9,
        since=1.0,
        mine=part,
        waiting=part,
        wishes=[HomeSubscription("i" * 128, "C1", long)] * 400,
        edits=True,
        retries=True,
        health=BotHealth(
            zof=ZofProblem(long, long, 1.0),
            lacking=[ZofProblem(long, long)] * 2,
            paused=long,
            dead=10**9,
            waiting=10**9,
            letters=[DeadLetterRow("k" * 900, "C1", long, 1.0)] * 40,
        ),
        schedules=[Schedule(id="s" * 128, name=long, cron=long, project=long, environment=long)] * 40,
    )
    view = home_view.render_home(shown)
    assert blocks.find_problems(view, "home") == []
    assert len(json.dumps(view)) <= 250_000
    assert view["blocks"][-1]["type"] == "context", "nothing had to be cut off at the end"


@pytest.mark.parametrize(
    "view",
    [
        home_view.guest_view(),
        home_view.guest_view("Slack did not say."),
        home_view.fallback_view(),
        home_view.unexpected_error_view("ref_1"),
    ],
)
def test_what_stands_in_its_place_is_taken_too(view: dict[str, Any]) -> None:
    assert blocks.find_problems(view, "home") == []


@pytest.mark.parametrize(
    ("part", "told"),
    [(0.0, "0%"), (1.0, "100%"), (0.999, "99%"), (0.0001, "1%"), (0.5, "50%"), (0.714, "71%")],
)
def test_all_and_nothing_are_said_only_of_all_and_nothing(part: float, told: str) -> None:
    assert home_view.format_percent(part) == told


def view_text(view: dict[str, Any]) -> str:
    return json.dumps(view, ensure_ascii=False)


def test_zof_in_trouble_is_said_with_its_request_id_and_the_rest_stays() -> None:
    shown = HomeData(
        now=START_TIME,
        open=3,
        health=BotHealth(zof=ZofProblem("Zof is busy.", "req_7"), polled=START_TIME, polling=True),
    )
    view = view_text(home_view.render_home(shown))
    assert "Zof is busy. Request ID: `req_7`" in view
    assert "Open in your channels*\\n3" in view
    assert "Runs in 24 h" not in view
    nothing = home_view.render_home(HomeData(now=START_TIME, health=BotHealth(zof=ZofProblem("Zof is busy."))))
    assert "Zof returned no request id." in view_text(nothing)


def test_of_more_runs_than_were_read_there_are_over_so_many() -> None:
    view = view_text(
        home_view.render_home(HomeData(now=START_TIME, figures=DailyStats(START_TIME, 500, 250, 250, cut=True)))
    )
    assert "Runs in 24 h*\\nover 500" in view
    assert "50%" in view


@pytest.mark.parametrize(
    ("health", "told"),
    [
        (BotHealth(polled=START_TIME, polling=True), "✅ Last full poll"),
        (BotHealth(polled=START_TIME, polling=True, late=True), "⚠️ Last full poll"),
        (BotHealth(polled=START_TIME), "No worker is polling"),
        (BotHealth(), "⚠️ Zof isn't polled"),
        (BotHealth(polling=True), "First poll"),
        (
            BotHealth(paused="token_revoked", waiting=2),
            "Slack no longer accepts the bot's token. 2 notifications queued",
        ),
        (BotHealth(parked=1), "1 channel can't be posted to"),
        (BotHealth(dead=2), "2 notifications couldn't be delivered"),
        (BotHealth(store="zofbot's store (Redis) isn't responding."), "Nothing is lost"),
    ],
)
def test_health_says_what_is_amiss(health: BotHealth, told: str) -> None:
    view = view_text(home_view.render_home(HomeData(now=START_TIME, health=health)))
    assert told in view
    assert ("*Health*: OK" in view) == told.startswith(("✅", "First"))


# --- pure: figures

OUTCOMES = st.sampled_from(Outcome)


@st.composite
def runs(draw: st.DrawFn) -> list[Run]:
    at = st.none() | st.floats(START_TIME - 2 * DAY, START_TIME + 3600).map(
        lambda item: datetime.fromtimestamp(item, UTC)
    )
    made = draw(
        st.lists(
            st.tuples(st.integers(0, 30), OUTCOMES, at, at), max_size=40, unique_by=lambda each_tuple: each_tuple[0]
        )
    )
    return [
        Run(id=f"run_{number}", outcome=outcome, started=began, ended=ended) for number, outcome, began, ended in made
    ]


@given(runs(), st.randoms())
def test_figures_add_up_whatever_the_order(read: list[Run], random: Any) -> None:
    told = summarize_runs(read, START_TIME - DAY, START_TIME)
    shuffled = list(read)
    random.shuffle(shuffled)
    assert summarize_runs([*shuffled, *read], START_TIME - DAY, START_TIME) == told
    within = [run for run in read if run.latest_time and START_TIME - DAY <= run.latest_time.timestamp() <= START_TIME]
    assert told.runs == len(within)
    other = [run for run in within if run.outcome not in (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR)]
    assert told.passed + told.bad + len(other) == told.runs
    assert len(told.going) == sum(run.outcome in (Outcome.RUNNING, Outcome.QUEUED) for run in within)
    assert told.pass_rate is None if not told.passed + told.bad else 0 <= (told.pass_rate or 0) <= 1


# --- who is due


@pytest.fixture
async def homes() -> AsyncIterator[tuple[HomeViewers, SetClock, fakeredis.FakeAsyncRedis]]:
    clock = SetClock()
    async with fakeredis.FakeAsyncRedis() as client:
        yield HomeViewers(Keyspace(client, "test"), clock), clock, client


Kept = tuple[HomeViewers, SetClock, fakeredis.FakeAsyncRedis]


async def test_a_home_is_due_when_something_changed_since_it_was_opened(homes: Kept) -> None:
    kept, clock, client = homes
    await kept.add_viewer(ANA)
    assert await kept.claim_due() == []
    for change in (
        client.incr("{test}:outbox:sequence"),
        client.zadd("{test}:outbox:open", {"run:1": 1}),
        client.zadd("{test}:outbox:dead", {"run:1": 1}),
        client.xadd("{test}:audit", {"act": "{}"}),
    ):
        clock.at += MIN_UPDATE_SECONDS
        await change
        assert [item.user for item in await kept.claim_due()] == [ANA]
        assert await kept.claim_due() == [], "whoever takes it draws it"


async def test_it_is_drawn_no_more_often_than_its_pace_and_in_the_end_shows_the_last(homes: Kept) -> None:
    kept, clock, client = homes
    await kept.add_viewer(ANA)
    drawn = 0
    for _ in range(int(4 * MIN_UPDATE_SECONDS)):
        await client.incr("{test}:outbox:sequence")
        drawn += len(await kept.claim_due())
        clock.at += 1
    assert drawn == 4
    clock.at += MIN_UPDATE_SECONDS
    assert len(await kept.claim_due()) == 1
    clock.at += MIN_UPDATE_SECONDS
    assert await kept.claim_due() == []


async def test_a_home_with_a_note_is_not_due_before_the_note_can_be_read(homes: Kept) -> None:
    kept, clock, client = homes
    await kept.add_viewer(ANA, has_note=True)
    await client.incr("{test}:outbox:sequence")
    clock.at += MIN_UPDATE_SECONDS - 1
    assert await kept.claim_due() == []
    clock.at += 1
    assert [item.user for item in await kept.claim_due()] == [ANA]


async def test_ages_grow_so_it_is_drawn_every_few_minutes_until_nobody_is_taken_to_look(homes: Kept) -> None:
    kept, clock, client = homes
    await kept.add_viewer(ANA)
    drawn = 0
    for _ in range(int(VIEWER_SECONDS / 10) * 2):
        clock.at += 10
        drawn += len(await kept.claim_due())
    assert drawn == VIEWER_SECONDS / MAX_AGE_SECONDS - 1, "at the end of the last it is nobody's any more"
    await client.incr("{test}:outbox:sequence")
    assert await kept.claim_due() == []
    assert await client.hlen("{test}:home:shown") == 0


async def test_of_many_viewers_those_are_served_who_came_last(homes: Kept) -> None:
    kept, clock, client = homes
    for number in range(MAX_VIEWERS + 30):
        clock.at += 1
        await kept.add_viewer(f"U{number}")
    await client.incr("{test}:outbox:sequence")
    assert sorted(item.user for item in await kept.claim_due()) == sorted(
        f"U{number}" for number in range(30, MAX_VIEWERS + 30)
    )


async def test_versions_are_kept_and_a_conflict_is_drawn_at_once(homes: Kept) -> None:
    kept, _, client = homes
    assert await kept.add_viewer(ANA) == ""
    await kept.save_version(ANA, "1.abc")
    assert await kept.add_viewer(ANA) == "1.abc"
    assert 0 < await client.ttl("{test}:home:versions") <= 2 * VIEWER_SECONDS
    await kept.mark_stale(ANA, "0.old")
    assert await kept.claim_due() == [(ANA, "1.abc")]
    await kept.mark_stale(ANA, "1.abc")
    assert await kept.claim_due() == [(ANA, "")]


# --- the word of the poller


async def test_when_zof_was_polled_is_left_by_a_step_that_is_taken_anyway() -> None:
    async with poller_bench() as zof:
        await zof.poll_until_settled()
        await zof.kill_poller()
        looker = Lease(Keyspace(zof.store, "test"), status.POLLER_LEASE, 90, zof.clock)
        polling = asyncio.create_task(zof.start_poller(interval=0.05).run())

        async def is_stored() -> bool:
            return status.parse_status((await looker.read_state()).note).succeeded_at > 0

        await wait_until(is_stored)
        seen = await looker.read_state()
        assert seen.held
        assert status.parse_status(seen.note).succeeded_at == pytest.approx(zof.clock.at, abs=1)
        polling.cancel()
        await asyncio.wait({polling})
        assert not (await looker.read_state()).held


async def test_what_kept_it_from_polling_is_left_too() -> None:
    async with poller_bench() as zof:
        await zof.poll_until_settled()
        await zof.kill_poller()
        zof.zof.spoil = lambda request: httpx.Response(503, headers={"X-Request-Id": "req_5"})
        looker = Lease(Keyspace(zof.store, "test"), status.POLLER_LEASE, 90, zof.clock)
        polling = asyncio.create_task(zof.start_poller(interval=0.05).run())

        async def is_stored() -> bool:
            return status.parse_status((await looker.read_state()).note).failed_at > 0

        await wait_until(is_stored)
        polling.cancel()
        await asyncio.wait({polling})
        told = status.parse_status((await looker.read_state()).note)
        assert told.request_id == "req_5"
        assert told.failed_at == pytest.approx(zof.clock.at, abs=1)
        assert told.error


# --- through the real door


@pytest.fixture
async def working_bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET) as built:
        await wait_for_first_poll(built)
        yield built


def shown_home(built: RunningBot, user: str = ANA) -> str:
    view = built.world.slack.homes.get(user)
    return view_text(view.payload) if view else ""


async def home_text(built: RunningBot, user: str = ANA) -> str:
    before = built.world.slack.homes[user].hash if user in built.world.slack.homes else ""
    await built.simulator.people.open_home(user)
    await wait_until(lambda: user in built.world.slack.homes and built.world.slack.homes[user].hash != before)
    return shown_home(built, user)


async def fail_delivery(built: RunningBot, channel: str = "C0QA") -> str:
    """A failure that its channel was told of; its run's id."""
    run = fail_run(built)
    before = len(built.public_messages(channel))
    await post_webhook(built, webhook_event(run["id"], f"evt_{run['id']}"))
    await wait_until(lambda: any(run["id"] in text_of(message) for message in built.public_messages(channel)[before:]))
    return str(run["id"])


def find_button(built: RunningBot, action: str, user: str = ANA, label: str = "") -> dict[str, Any]:
    view = built.world.slack.homes[user]
    parts = ((block, block.get("accessory") or {}) for block in view.payload["blocks"])
    return next(
        element | {"block_id": block["block_id"]}
        for block, element in parts
        if element.get("action_id") == action and label in element.get("value", "")
    )


async def press_on_home(built: RunningBot, action: str, user: str = ANA, label: str = "") -> None:
    view = built.world.slack.homes[user]
    outcome = await built.simulator.people.press_element(user, find_button(built, action, user, label), view_id=view.id)
    assert outcome.is_accepted


async def test_it_shows_figures_subscriptions_and_health(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe project:checkout")
    await working_bot.type_text("/zof subscribe project:search", channel="C0SEARCH")
    view = await home_text(working_bot)
    assert "Runs in 24 h" in view
    assert "Running: checkout: cart on production" in view
    assert "<#C0QA> `project:checkout`" in view
    assert "<#C0SEARCH> `project:search`" in view
    assert "✅ Zof: OK" in view
    assert "No open failures for you" in view


async def test_a_failure_appears_and_goes_by_itself_while_it_is_looked_at(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe")  # the form; the word below subscribes
    await working_bot.type_text("/zof subscribe project:*")
    await home_text(working_bot)
    await fail_delivery(working_bot)
    await wait_until(lambda: "1 unacknowledged failure" in shown_home(working_bot), 20)
    assert "Unacknowledged in your channels" in shown_home(working_bot)
    assert "|nightly cart (" in shown_home(working_bot), "its alert is a click away"
    assert shown_home(working_bot, BEN) == "", "nobody is shown a Home that they did not open"


async def test_what_is_assigned_to_me_is_mine_wherever_it_stands(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe project:*")
    await fail_delivery(working_bot)
    root = next(message for message in working_bot.public_messages() if "Failed: nightly cart" in text_of(message))
    await working_bot.press_button(root, "zof_triage_acknowledge", user=BEN)
    await wait_until(lambda: any("acknowledged" in text_of(message) for message in working_bot.public_messages()))
    view = await home_text(working_bot, BEN)
    assert "1 assigned to you" in view
    assert "Unacknowledged in your channels" not in view
    assert "No open failures for you" in await home_text(working_bot, ANA)


async def test_a_failure_whose_link_slack_does_not_give_is_listed_without_one(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe project:*")
    await fail_delivery(working_bot)
    working_bot.world.slack.faults.set_fault("500", only="chat.getPermalink")
    view = await home_text(working_bot)
    assert "1 unacknowledged failure" in view
    assert "nightly cart" in view
    assert "|nightly cart (" not in view


async def test_private_channels_are_shown_to_their_members_only(working_bot: RunningBot) -> None:
    working_bot.world.slack.channels[INCIDENT_ROOM].members.add("U0ZOFBOT")
    await working_bot.type_text("/zof subscribe project:*", channel=INCIDENT_ROOM)
    await fail_delivery(working_bot, INCIDENT_ROOM)
    assert "1 unacknowledged failure" in await home_text(working_bot, ANA)
    view = await home_text(working_bot, CHIOMA)
    assert "No open failures for you" in view
    assert INCIDENT_ROOM not in view
    assert "nightly cart" not in view.replace("Runs in progress", "")


async def test_what_is_told_in_a_direct_message_is_on_the_home_of_who_subscribed_it_alone(
    working_bot: RunningBot,
) -> None:
    await working_bot.type_text("/zof subscribe project:*", channel="D0ANA")
    await fail_delivery(working_bot, "D0ANA")
    view = await home_text(working_bot, ANA)
    assert "1 unacknowledged failure" in view
    assert "`project:*`" in view
    assert "No open failures for you" in (view := await home_text(working_bot, BEN))
    assert "`project:*`" not in view


@pytest.mark.parametrize("user", [GUEST])
async def test_guests_see_what_can_be_looked_up_and_no_more(working_bot: RunningBot, user: str) -> None:
    await working_bot.type_text("/zof subscribe project:*", channel="C0CHECKOUT")
    await fail_delivery(working_bot, "C0CHECKOUT")
    view = await home_text(working_bot, user)
    assert "/zof result" in view
    for secret in ("nightly cart", "Health", "project:*", "Runs in 24 h"):
        assert secret not in view


async def test_edit_opens_the_form_and_its_answer_stands_in_the_form(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe project:checkout")
    await home_text(working_bot)
    await press_on_home(working_bot, channel_sections.EDIT_ACTION_ID)
    await wait_until(lambda: bool(working_bot.world.slack.modals.get(ANA)))
    form = working_bot.world.slack.modals[ANA][-1]
    values = {"project": {"project": {"type": "plain_text_input", "value": "search"}}}
    await working_bot.simulator.people.submit_view(ANA, form.id, values)
    told = working_bot.world.slack.modals[ANA][-1].payload
    assert "Subscription updated" in view_text(told)
    assert told["title"]["text"] == "Subscription"
    await wait_until(lambda: "<#C0QA> `project:search`" in shown_home(working_bot), 20)
    await wait_until(
        lambda: any(
            "changed this channel's subscription" in text_of(message) for message in working_bot.public_messages()
        )
    )


async def test_edit_in_a_channel_that_one_has_left_is_refused_on_home(working_bot: RunningBot) -> None:
    working_bot.world.slack.channels[INCIDENT_ROOM].members.add("U0ZOFBOT")
    await working_bot.type_text("/zof subscribe project:checkout", channel=INCIDENT_ROOM, user=BEN)
    await home_text(working_bot, BEN)
    await wait_until(lambda: INCIDENT_ROOM in shown_home(working_bot, BEN))
    working_bot.world.slack.channels[INCIDENT_ROOM].members.discard(BEN)
    async with run_bot(
        working_bot.settings, working_bot.world.clock, workers=False
    ) as other:  # a process that has not asked Slack yet
        working_bot.world.slack.request_url = f"{other.url}/slack/events"
        await press_on_home(working_bot, channel_sections.EDIT_ACTION_ID, BEN)
        await wait_until(lambda: "You aren't in that channel" in shown_home(working_bot, BEN))
    assert not working_bot.world.slack.modals.get(BEN)


async def test_edit_while_slack_does_not_list_channels_says_so_on_home(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe project:checkout")
    await home_text(working_bot)
    async with run_bot(working_bot.settings, working_bot.world.clock, workers=False) as other:  # has not asked yet
        working_bot.world.slack.request_url = f"{other.url}/slack/events"
        working_bot.world.slack.faults.set_fault("500", only="users.conversations")
        await press_on_home(working_bot, channel_sections.EDIT_ACTION_ID)
        unanswered = "Slack didn't say which channels you are in. Try again in a moment."
        await wait_until(lambda: unanswered in shown_home(working_bot).replace("*", "").replace("\\n", " "))
        assert "Reference: `ref_" in shown_home(working_bot)
    assert "You aren't in that channel" not in shown_home(working_bot)
    assert not working_bot.world.slack.modals.get(ANA)


async def park_dead_letter(built: RunningBot, key: str = "run:run_odd:failed:C0QA") -> str:
    """A notification that Slack refuses for good."""
    built.world.slack.faults.set_fault("error:metadata_too_large", 1, only="chat.postMessage")
    note = Notification(
        key=key, kind=NotificationKind.ROOT, channel="C0QA", body=note_payload("Refused."), happened=START_TIME
    )
    await built.app.outbox.commit([note])

    async def is_dead() -> bool:
        return bool(await built.app.outbox.list_records(NotificationState.DEAD))

    await wait_until(is_dead)
    return key


async def test_an_admin_has_a_dead_letter_sent_after_all_and_the_audit_knows_who(working_bot: RunningBot) -> None:
    key = await park_dead_letter(working_bot)
    view = await home_text(working_bot)
    assert "1 notification couldn't be delivered" in view
    assert find_button(working_bot, health_section.RETRY_ACTION_ID)["confirm"]
    await press_on_home(working_bot, health_section.RETRY_ACTION_ID)
    await wait_until(lambda: "Retrying" in shown_home(working_bot))
    acts = [
        record
        for record in await AuditLog(working_bot.app.store.keyspace).read_records()
        if record.act == "outbox retry"
    ]
    assert [(act.user, act.key, act.before, act.after, act.channel) for act in acts] == [
        (ANA, key, "dead", "pending", "C0QA")
    ]


async def test_others_see_that_there_are_some_and_cannot_have_them_sent(working_bot: RunningBot) -> None:
    await park_dead_letter(working_bot)
    await home_text(working_bot, BEN)
    assert "1 notification couldn't be delivered" in shown_home(working_bot, BEN)
    assert health_section.RETRY_ACTION_ID not in shown_home(working_bot, BEN)
    await home_text(working_bot, ANA)
    working_bot.world.slack.homes[BEN].payload = working_bot.world.slack.homes[
        ANA
    ].payload  # a stale Home of somebody demoted
    await press_on_home(working_bot, health_section.RETRY_ACTION_ID, BEN)
    await wait_until(lambda: "You can't retry an undelivered alert" in shown_home(working_bot, BEN))
    acts = await AuditLog(working_bot.app.store.keyspace).read_records()
    assert not [act for act in acts if act.act == "outbox retry"]


async def test_a_note_can_be_read_although_something_happens_meanwhile(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe project:*")
    await park_dead_letter(working_bot)
    await home_text(working_bot)
    await press_on_home(working_bot, health_section.RETRY_ACTION_ID)
    await wait_until(lambda: "Retrying" in shown_home(working_bot))
    await fail_delivery(working_bot)
    await asyncio.sleep(MIN_UPDATE_SECONDS * 2 / 3)
    assert "Retrying" in shown_home(working_bot)
    await wait_until(lambda: "Retrying" not in shown_home(working_bot), 2 * MIN_UPDATE_SECONDS)
    assert "1 unacknowledged failure" in shown_home(working_bot)


async def test_what_was_sent_meanwhile_is_not_retried(working_bot: RunningBot) -> None:
    key = await park_dead_letter(working_bot)
    await home_text(working_bot)
    assert await working_bot.app.outbox.drop(key)
    await working_bot.app.store.client.delete(f"{{zofbot}}:note:{key}")
    await press_on_home(working_bot, health_section.RETRY_ACTION_ID)
    await wait_until(lambda: "Nothing to retry" in shown_home(working_bot))


async def test_zof_down_costs_the_figures_alone_and_is_named(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe project:*")
    await fail_delivery(working_bot)
    working_bot.world.zof.faults.set_fault("403", only="/runs")
    view = await home_text(working_bot)
    call = next(call for call in reversed(working_bot.world.zof.calls) if call.path == "/runs")
    assert f"Request ID: `{call.request_id}`" in view
    assert "1 unacknowledged failure" in view
    assert "Runs in 24 h" not in view


async def test_while_zof_is_slow_home_is_there_and_gets_its_figures_later(working_bot: RunningBot) -> None:
    working_bot.world.zof.faults.delays["slow"] = 4.5
    working_bot.world.zof.faults.set_fault("slow", only="/runs")
    assert "Loading" in await home_text(working_bot)
    await wait_until(lambda: "Loading" not in shown_home(working_bot) and "Runs in 24 h" in shown_home(working_bot))


async def test_all_viewers_share_one_reading_of_zof(working_bot: RunningBot) -> None:
    def requests_made() -> int:
        return sum(call.path == "/runs" and "status" not in call.query for call in working_bot.world.zof.calls)

    before = requests_made()
    await asyncio.gather(*(home_text(working_bot, user) for user in (ANA, BEN, CHIOMA)))
    await home_text(working_bot, ANA)
    assert requests_made() - before == 1


async def test_redis_down_is_said_and_the_rest_stands(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe project:*")
    await home_text(working_bot)
    async with stopped_server(working_bot.settings.redis_url):
        await working_bot.simulator.people.open_home(ANA)
        await wait_until(lambda: "store (Redis) isn't responding" in shown_home(working_bot))
    assert "Runs in 24 h" in shown_home(working_bot)
    assert "zofbot's store isn't responding" in shown_home(working_bot)


async def test_a_subscription_of_ones_own_messages_with_the_bot_is_shown_as_that(working_bot: RunningBot) -> None:
    await working_bot.type_text("/zof subscribe project:search", channel="D0ANA")
    assert "your direct messages with zofbot: `project:search`" in await home_text(working_bot)
    assert "project:search" not in await home_text(working_bot, BEN)


async def test_figures_are_read_again_while_somebody_looks(store_url: str) -> None:
    clock = test_clock()
    async with running_bot(store_url, clock=clock) as built:
        before = int(re.findall(r"Runs in 24 h\*\\n(\d+)", await home_text(built))[0])
        clock.advance(CACHE_SECONDS + MAX_AGE_SECONDS)
        fail_run(built)
        await wait_until(lambda: f"Runs in 24 h*\\n{before + 1}" in shown_home(built))


async def break_failures(built: RunningBot) -> str:
    """Store a time of a failure that is not UTF-8, which nothing expects; gives the name of the hash."""
    name = "{zofbot}:failures"
    await built.app.store.client.hset(name, "odd", b"\xff")
    return name


async def test_a_home_that_cannot_be_drawn_says_so_with_a_reference(bot: RunningBot) -> None:
    name = await break_failures(bot)
    view = await home_text(bot)
    assert "went wrong in zofbot" in view
    assert "ref_" in view
    await bot.app.store.client.delete(name)
    assert "Runs in 24 h" in await home_text(bot)


async def test_homes_stay_up_to_date_after_one_could_not_be_drawn(store_url: str) -> None:
    clock = test_clock()
    async with running_bot(store_url, clock=clock) as built:
        await home_text(built)
        name = await break_failures(built)
        await built.type_text("/zof subscribe project:checkout")
        with structlog.testing.capture_logs() as lines:
            clock.advance(MIN_UPDATE_SECONDS)
            await wait_until(lambda: any(line["event"] == "homes not updated" for line in lines))
        await built.app.store.client.delete(name)
        await built.type_text("/zof subscribe project:search")
        clock.advance(MIN_UPDATE_SECONDS)
        await wait_until(lambda: "project:search" in shown_home(built), 30)


async def test_what_was_published_meanwhile_is_not_overwritten_by_what_is_older(working_bot: RunningBot) -> None:
    await home_text(working_bot)
    stands = working_bot.world.slack.homes[ANA]
    stands.hash = "0.elsewhere"  # another process was faster
    await working_bot.type_text("/zof subscribe project:search")
    await wait_until(lambda: "project:search" in shown_home(working_bot), 20)
    refused = [
        call
        for call in working_bot.world.slack.calls
        if call.method == "views.publish" and call.error == "hash_conflict"
    ]
    assert refused


async def test_a_storm_of_changes_is_one_view_not_many(working_bot: RunningBot) -> None:
    await home_text(working_bot)

    def count_published() -> int:
        return sum(call.method == "views.publish" for call in working_bot.world.slack.calls)

    before = count_published()
    for number in range(6):
        await working_bot.type_text(f"/zof subscribe project:p{number}")
        await asyncio.sleep(0.6)
    assert 1 <= count_published() - before <= 2


async def test_a_view_that_slack_refuses_becomes_a_plain_one(working_bot: RunningBot) -> None:
    working_bot.world.slack.faults.set_fault("view_too_large", 1, only="views.publish")
    assert "Slack rejected the full view" in await home_text(working_bot)
