"""Digests: their rhythm over time zones, what they count, how they look, and that each is told once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bot import RunningBot, running_bot, text_of, until, wait_for_first_poll
from tests.support.poller_bench import START, PollerBench, answer_well, poller_bench
from tests.support.virtual_time import test_clock
from zofbot.errors import BadInput, StoreUnavailable
from zofbot.model import Outcome, Result, Run
from zofbot.notification import Claimed, Kind, Notification, State
from zofbot.pipeline import digester
from zofbot.pipeline.delivery import Delivery
from zofbot.pipeline.digest import Due, Read, digest, due
from zofbot.pipeline.digester import Digester
from zofbot.pipeline.failures import Failures
from zofbot.routing import parse, rhythm
from zofbot.routing.rhythm import Regular, Rhythm, edges, following, latest, read, spelled
from zofbot.simulator import blocks
from zofbot.simulator.organization import INCIDENT_ROOM
from zofbot.slack import digests
from zofbot.slack.digests import Charted, Counted, DigestBody, Point
from zofbot.slack.message import Message
from zofbot.store.audit import Audit
from zofbot.store.digests import DIGESTS
from zofbot.store.settlement import Snoozed
from zofbot.triage.shift import Shift

DAY = 86400.0
BERLIN = "Europe/Berlin"
ZONES = [
    "UTC",
    BERLIN,
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Casablanca",
]

# --- the rhythm, pure

RHYTHMS = st.builds(
    Rhythm, every=st.sampled_from(["daily", "weekly"]), day=st.integers(0, 6), minute=st.integers(0, 1439),
    zone=st.sampled_from(ZONES),
).map(lambda one: one if one.every == "weekly" else one.model_copy(update={"day": 0}))  # fmt: skip
NOWS = st.floats(datetime(2024, 1, 1, tzinfo=UTC).timestamp(), datetime(2028, 1, 1, tzinfo=UTC).timestamp())


@given(RHYTHMS)
def test_what_is_spelled_is_read_as_it_was(one: Rhythm) -> None:
    assert read(spelled(one), one.zone) == one


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("daily", "daily 09:00"), ("Daily at 9am", "daily 09:00"), ("daily 17:30", "daily 17:30"),
        ("weekly monday", "weekly mon 09:00"), ("weekly on FRI at 4 pm", "weekly fri 16:00"),
        ("weekly sun 00:00", "weekly sun 00:00"),
    ],
)  # fmt: skip
def test_it_is_typed_as_people_say_it(typed: str, told: str) -> None:
    assert spelled(read(typed, BERLIN)) == told


@pytest.mark.parametrize(
    "typed",
    ["", "hourly", "daily mon 09:00", "daily 25:00", "weekly", "weekly 09:00", "weekly someday", "daily 9", "x" * 500],
)
def test_what_is_no_rhythm_gets_an_example(typed: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(typed, BERLIN)
    assert refused.value.example.startswith("/zof digest ")
    assert read(refused.value.example.removeprefix("/zof digest "), BERLIN)


@given(RHYTHMS, NOWS)
def test_now_lies_between_two_times_that_show_the_same_on_the_clock(one: Rhythm, now: float) -> None:
    before, after = latest(one, now), following(one, now)
    assert before.at <= now < after.at
    assert (after.day - before.day).days == one.days
    for occasion in (before, after):
        shown = datetime.fromtimestamp(occasion.at, ZoneInfo(one.zone))
        wall = datetime(occasion.day.year, occasion.day.month, occasion.day.day) + timedelta(minutes=one.minute)
        late = shown.replace(tzinfo=None) - wall
        assert timedelta(0) <= late <= timedelta(hours=1), "only an hour that is left out makes it later"
        if one.every == "weekly":
            assert occasion.day.weekday() == one.day


@given(RHYTHMS, NOWS)
def test_each_time_begins_where_the_one_before_ended(one: Rhythm, now: float) -> None:
    day, at = latest(one, now)
    bounds = edges(one, day)
    assert len(bounds) == rhythm.PARTS[one.every] + 1
    assert list(bounds) == sorted(set(bounds))
    assert bounds[-1] == at
    assert bounds[0] == latest(one, at - 1).at
    labels = [rhythm.label(one, bound) for bound in bounds[:-1]]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("minute", "day", "utc"),
    [
        (150, date(2026, 3, 29), "2026-03-29T01:30"),  # 02:30 does not exist: 03:30
        (150, date(2026, 10, 25), "2026-10-25T00:30"),  # 02:30 twice: the first
        (540, date(2026, 3, 28), "2026-03-28T08:00"),
        (540, date(2026, 3, 29), "2026-03-29T07:00"),
    ],
)
def test_clock_changes(minute: int, day: date, utc: str) -> None:
    at = datetime.fromisoformat(f"{utc}:00+00:00").timestamp()
    one = Rhythm(every="daily", minute=minute, zone=BERLIN)
    assert latest(one, at) == (day, at)
    assert latest(one, at - 1).day == day - timedelta(days=1)


def regular(channel: str = "C0QA", *, since: float = 0.0, **fields: Any) -> Regular:
    one = Rhythm.model_validate({"every": "daily", "minute": 480, **fields})
    return Regular(channel=channel, rhythm=one, since=since)


def test_after_a_pause_of_days_the_latest_alone_is_due() -> None:
    later = START + 9.5 * DAY
    [one] = due([regular()], {"C0QA": "digest:daily:2026-05-20:C0QA"}, later)
    assert one.key == "digest:daily:2026-06-10:C0QA"
    assert one.until == datetime(2026, 6, 10, 8, tzinfo=UTC).timestamp()
    assert due([regular()], {"C0QA": one.key}, later) == []


def test_nothing_is_due_that_lies_before_it_was_set() -> None:
    eight = datetime(2026, 6, 1, 8, tzinfo=UTC).timestamp()
    assert due([regular(since=eight)], {}, eight + 3600) == []
    assert [one.key for one in due([regular(since=eight - 1)], {}, eight)] == ["digest:daily:2026-06-01:C0QA"]


# --- what it counts, pure

PROJECTS = ("checkout", "search", None)
TIMES = st.floats(START - 9 * DAY, START + DAY).map(lambda one: datetime.fromtimestamp(one, UTC))


def _runs(parts: Iterable[Any]) -> list[Run]:
    return [
        Run(id=f"run_{number}", outcome=outcome, ended=at, project_name=project, environment=environment)
        for number, outcome, at, project, environment in parts
    ]


def _results(parts: Iterable[Any]) -> list[Result]:
    return [
        Result(id=f"res_{number}", run_id=f"run_{run}", case_id=f"tc_{case}", title=f"Case {case}", outcome=outcome,
               ended=at, duration=duration, project_name=project, environment=environment)
        for number, run, case, outcome, at, duration, project, environment in parts
    ]  # fmt: skip


ENVIRONMENTS = st.sampled_from(["staging", "production", None])
RUNS = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from(Outcome), st.none() | TIMES, st.sampled_from(PROJECTS), ENVIRONMENTS),
    max_size=30, unique_by=lambda one: one[0],
).map(_runs)  # fmt: skip
RESULTS = st.lists(
    st.tuples(
        st.integers(0, 60), st.integers(0, 20), st.integers(0, 4), st.sampled_from(Outcome), st.none() | TIMES,
        st.none() | st.floats(0, 900), st.sampled_from(PROJECTS), ENVIRONMENTS,
    ),
    max_size=40, unique_by=lambda one: one[0],
).map(_results)  # fmt: skip
WISHES = st.sampled_from(["", "project:checkout", "env:-staging", "project:nowhere", "project:checkout env:production"])


def of(*, every: str = "daily", at: float = START) -> Due:
    [one] = due([regular(every=every)], {}, at)
    return one


def made(runs: Iterable[Run], results: Iterable[Result] = (), wishes: Iterable[str] = (), **more: Any) -> DigestBody:
    own = [parse(one) for one in wishes]
    return digest(of(**more), Read(runs, results), Shift(0.0), own)


@given(RUNS, RESULTS, WISHES, st.sampled_from(["daily", "weekly"]), st.randoms())
def test_totals_add_up_in_whatever_order_it_was_read(
    runs: list[Run], results: list[Result], wish: str, every: str, random: Any
) -> None:
    told = made(runs, results, [wish], every=every)
    mixed, shaken = [*runs, *runs], [*results, *results]
    random.shuffle(mixed)
    random.shuffle(shaken)
    assert made(mixed, shaken, [wish], every=every) == told
    assert told.passed + told.failed + told.error + told.other == told.runs
    assert sum(point.ended for point in told.trend) == told.passed + told.failed + told.error
    assert sum(point.passed for point in told.trend) == told.passed
    assert told.bad <= told.results
    assert all(0 < one.times <= one.of for one in told.failing)
    assert len(told.trend) == rhythm.PARTS[every]
    if wish == "project:nowhere":
        assert told.runs == told.results == 0


@given(RUNS)
def test_each_run_is_in_one_digest_of_a_row(runs: list[Run]) -> None:
    daily = [made(runs, at=START - back * DAY) for back in range(7)]
    within = [run for run in runs if run.ended and daily[-1].since < run.ended.timestamp() <= daily[0].until]
    assert sum(one.runs for one in daily) == len(within)


def results(outcomes: str, *, run: str = "", environment: str = "staging", every: float = 60.0) -> list[Result]:
    """Outcomes of one case: ``p``assed, ``f``ailed, ``e``rror, ``s``kipped, ``r``unning, each in a run of its own."""
    words = {"p": Outcome.PASSED, "f": Outcome.FAILED, "e": Outcome.ERROR, "s": Outcome.SKIPPED, "r": Outcome.RUNNING}
    return [
        Result(id=f"{environment}_{number}", run_id=run or f"run_{number}", case_id="tc", title="Case",
               outcome=words[sign], environment=environment, duration=5.0,
               ended=datetime.fromtimestamp(START - 3600 + number * every, UTC))
        for number, sign in enumerate(outcomes)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcomes", "times"),
    [
        ("fp", 1),
        ("pf", 0),
        ("ffp", 1),
        ("fpfp", 2),
        ("fep", 0),
        ("fsp", 0),
        ("ep", 0),
        ("ff", 0),
        ("pp", 0),
        ("frp", 1),
    ],
)
def test_flaky_is_what_failed_and_then_passed_with_nothing_else_in_between(outcomes: str, times: int) -> None:
    assert [one.times for one in made([], results(outcomes)).flaky] == ([times] if times else [])


def test_flaky_is_a_case_in_one_environment_over_several_runs() -> None:
    assert made([], results("fp", run="run_1")).flaky == ()
    elsewhere = [*results("f"), *results("sp", environment="production")[1:]]
    assert made([], elsewhere).flaky == ()


def test_the_slowest_is_slow_in_the_middle_and_not_once() -> None:
    steady = [one.model_copy(update={"duration": 40.0}) for one in results("ppp", environment="a")]
    once = [
        one.model_copy(update={"duration": 900.0 if n == 0 else 1.0})
        for n, one in enumerate(results("ppp", environment="b"))
    ]
    slowest = made([], [*steady, *once]).slowest
    assert [(one.where, one.seconds) for one in slowest] == [("a", 40.0), ("b", 1.0)]


def test_what_a_result_does_not_say_of_where_it_ran_its_run_does() -> None:
    run = Run(id="run_0", project_id="proj_1", project_name="checkout", environment="staging", outcome=Outcome.FAILED,
              ended=datetime.fromtimestamp(START - 60, UTC))  # fmt: skip
    bare = results("f", environment="")[0].model_copy(update={"environment": None})
    told = made([run], [bare], ["project:checkout env:staging"])
    assert (told.runs, told.results, told.narrowed) == (1, 1, True)
    assert told.failing[0].where == "checkout, staging"
    assert made([run], [bare], ["project:search"]).results == 0


# --- how it looks, pure

TEXTS = st.text(max_size=200).filter(lambda text: "None" not in text) | st.sampled_from(
    ["<!channel>", "`*_~", "🧪" * 2000, "", "<@U0ANA>"]
)
POINTS = st.builds(Point, label=TEXTS, passed=st.integers(0, 9), ended=st.integers(0, 99).map(lambda one: one * 9))
COUNTED = st.builds(
    Counted, title=TEXTS, where=TEXTS, times=st.integers(0, 99), of=st.integers(0, 99), seconds=st.floats(0, 1e6)
)
MOMENTS = st.floats(0, 4e9)
BODIES = st.builds(
    DigestBody, every=st.sampled_from(["daily", "weekly"]), rhythm=TEXTS, since=MOMENTS, until=MOMENTS,
    runs=st.integers(0, 10**6), passed=st.integers(0, 10**6), failed=st.integers(0, 10**6), error=st.integers(0, 9),
    trend=st.lists(POINTS, max_size=8).map(tuple), failing=st.lists(COUNTED, max_size=5).map(tuple),
    slowest=st.lists(COUNTED, max_size=5).map(tuple), flaky=st.lists(COUNTED, max_size=5).map(tuple),
    open=st.integers(0, 10**6), oldest=st.none() | MOMENTS, answered=st.none() | MOMENTS, ended=st.none() | MOMENTS,
    narrowed=st.booleans(), back=st.none() | MOMENTS, trouble=TEXTS, request_id=TEXTS,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(BODIES, st.just("") | st.just("This channel gets no digest."))
def test_slack_takes_it_with_its_chart_and_without(body: DigestBody, above: str) -> None:
    kept = json.loads(json.dumps(digests.stored(body)))
    shown = digests.message(body, above)
    again = digests.drawn(kept)
    assert again is not None
    assert above or again.payload() == shown.payload(), "what is stored says the same"
    for message in (shown, shown.plain()):
        payload = message.payload()
        assert blocks.problems(payload, "message") == []
        assert "None" not in json.dumps(payload)
    kinds = {block["type"] for block in shown.plain().blocks}
    assert "data_visualization" not in kinds


TREND = (Point(label="Mon 1", passed=0, ended=4), Point(label="Tue 2"), Point(label="Wed 3", passed=4, ended=4))


def test_the_trend_is_a_line_of_the_days_that_had_runs_or_signs() -> None:
    shown = digests.message(DigestBody(every="weekly", trend=TREND, runs=8, passed=4, failed=4))
    assert isinstance(shown, Charted)
    [chart] = [block for block in shown.blocks if block["type"] == "data_visualization"]
    assert chart["chart"]["axis_config"]["categories"] == ["Mon 1", "Wed 3"]
    assert [one["value"] for one in chart["chart"]["series"][0]["data"]] == [0.0, 100.0]
    assert "▁·█" in shown.text
    assert "▁·█" in json.dumps(shown.plain().blocks, ensure_ascii=False)
    alone = digests.message(DigestBody(trend=TREND[:2], runs=4, failed=4))
    assert not isinstance(alone, Charted)
    assert "▁·" in json.dumps(alone.blocks, ensure_ascii=False)


def test_what_could_not_be_read_is_said() -> None:
    shown = json.dumps(digests.message(DigestBody(back=START, trouble="Zof is busy.", request_id="req_9")).blocks)
    assert "Zof lists more than was read here" in shown
    assert "Zof is busy. Request ID: `req_9`" in shown


# --- in the poller's turns, with a clock that is set


@pytest.fixture
async def zof() -> AsyncIterator[PollerBench]:
    async with poller_bench() as built:
        yield built


def another(built: PollerBench, **options: Any) -> Any:
    own = Digester(Failures(built.outbox, built.clock, built.metrics), Audit(built.store, "test"))
    return built.another(digester=own, **options)


async def succeeded(built: PollerBench) -> None:
    """The process dies, and the next one makes digests, too."""
    await built.killed()
    built.poller = another(built)


async def agree(built: PollerBench, *channels: str, **fields: Any) -> None:
    kept = {channel: regular(channel, **fields).model_dump_json() for channel in channels}
    await built.outbox.commit([], changes={DIGESTS: kept})


async def promised(built: PollerBench) -> list[str]:
    return sorted(key for key in await built.keys() if key.startswith("digest:"))


async def body_of(built: PollerBench, key: str) -> DigestBody:
    entry = await built.outbox.show(key)
    assert entry
    return DigestBody.model_validate(entry.body)


async def test_it_is_promised_once_by_whoever_holds_the_lease(zof: PollerBench) -> None:
    zof.run("passed", bad=0, passed=3, ago=600)
    zof.run("failed", bad=1, ago=500)
    zof.clock.at -= 60
    await zof.settled()
    await agree(zof, "C0QA", "C0B")
    await zof.killed()
    pollers = [another(zof) for _ in range(3)]
    for _ in range(4):
        zof.clock.at += 60
        for poller in pollers:
            await poller.tick()
    assert await promised(zof) == ["digest:daily:2026-06-01:C0B", "digest:daily:2026-06-01:C0QA"]
    body = await body_of(zof, "digest:daily:2026-06-01:C0QA")
    assert (body.runs, body.passed, body.failed, body.results, body.bad) == (2, 1, 1, 4, 1)
    zof.clock.at += DAY
    for poller in pollers:
        await poller.tick()
    assert len(await promised(zof)) == 4


async def test_wherever_a_process_dies_it_is_promised_once(zof: PollerBench) -> None:
    await zof.settled()
    await agree(zof, "C0QA", "C0B", "C0C")
    for step in range(1, 14):
        zof.clock.at += DAY
        zof.run("failed", ago=600)
        await zof.store.delete("{test}:lease:poller")
        poller = another(zof)
        zof.store.blows = zof.store.trips + step
        try:
            await poller.tick()
        except Exception:
            pass
        zof.store.blows = None
        await zof.store.delete("{test}:lease:poller")
        await another(zof).tick()
        day = datetime.fromtimestamp(zof.clock.at, UTC).date()
        found = [key for key in await promised(zof) if f":{day}:" in key]
        assert found == [f"digest:daily:{day}:{channel}" for channel in ("C0B", "C0C", "C0QA")]
        assert (await body_of(zof, found[0])).runs == 1


async def test_a_quiet_cycle_costs_no_more_for_them(zof: PollerBench) -> None:
    await zof.settled()
    await zof.killed()
    await agree(zof, "C0QA", since=START + 9 * DAY)
    zof.poller = another(zof)
    await zof.cycle()
    asked, trips = len(zof.zof.asked), zof.store.trips
    await zof.cycle()
    assert zof.zof.asked[asked:] == ["/runs", "/runs", "/results", "/results", "/runs"]
    assert zof.store.trips - trips == 1


async def test_it_reads_a_share_of_each_cycle_and_says_what_it_left_out() -> None:
    async with poller_bench(page=2, requests=20) as zof:
        await zof.settled()
        for number in range(60):
            zof.run("passed", bad=0, passed=1, ago=3600 + number)
        await zof.killed()
        await agree(zof, "C0QA")
        zof.poller = another(zof)
        spent = []
        while not await promised(zof):
            spent.append((await zof.cycle(60)).requests)
            assert len(spent) < 30
        assert max(spent) <= 20
        assert len(spent) >= 3
        body = await body_of(zof, "digest:daily:2026-06-01:C0QA")
        assert body.back is not None
        assert body.runs == 2 * digester.PAGES["runs"]


async def test_an_oldest_first_listing_is_gone_through_from_where_the_last_one_ended() -> None:
    async with poller_bench(page=5, requests=60) as zof:
        zof.world.zof.newest_first = False
        for number in range(90):
            zof.run("passed", bad=0, passed=0, ago=5 * DAY - number * 3000)
        await zof.settled()
        await agree(zof, "C0QA")
        await succeeded(zof)
        found = []
        for _ in range(4):
            zof.run("failed", bad=0, ago=-DAY / 2)
            zof.clock.at += DAY
            for _ in range(3):
                await zof.cycle(60)
            found = await promised(zof)
        assert (await body_of(zof, found[-1])).runs == 1
        assert (await body_of(zof, found[-1])).back is None


async def test_while_zof_is_away_it_waits_and_in_the_end_says_so(zof: PollerBench) -> None:
    await zof.settled()
    await agree(zof, "C0QA")
    await succeeded(zof)

    def spoil(request: httpx.Request) -> httpx.Response | None:
        away = "status" not in request.url.params
        return httpx.Response(503, headers={"X-Request-Id": "req_8"}) if away else None

    zof.zof.spoil = spoil
    tick = await zof.cycle()
    assert tick.leads
    assert not tick.refused
    assert await promised(zof) == []
    await zof.cycle(digester.GIVE_UP)
    [key] = await promised(zof)
    body = await body_of(zof, key)
    assert body.trouble
    assert body.request_id == "req_8"


async def test_that_zof_was_away_is_not_said_once_all_was_read(zof: PollerBench) -> None:
    await zof.settled()
    zof.run("passed", bad=0, passed=3, ago=600)
    await agree(zof, "C0QA")
    await succeeded(zof)
    zof.zof.spoil = lambda request: None if "status" in request.url.params else httpx.Response(503)
    await zof.cycle()
    zof.zof.spoil = answer_well
    for _ in range(3):
        await zof.cycle()
    [key] = await promised(zof)
    body = await body_of(zof, key)
    assert (body.runs, body.trouble) == (1, "")


async def test_without_a_listing_that_zof_refuses_it_says_so_and_does_not_wait(zof: PollerBench) -> None:
    await zof.settled()
    zof.run("passed", bad=0, passed=3, ago=600)
    await agree(zof, "C0QA")
    await succeeded(zof)

    def spoil(request: httpx.Request) -> httpx.Response | None:
        refused = request.url.path.endswith("/runs") and "status" not in request.url.params
        return httpx.Response(403, headers={"X-Request-Id": "req_9"}) if refused else None

    zof.zof.spoil = spoil
    for _ in range(3):
        await zof.cycle()
    [key] = await promised(zof)
    body = await body_of(zof, key)
    assert body.trouble
    assert body.request_id == "req_9"


# --- through the real door


@pytest.fixture
async def there(valkey: str) -> AsyncIterator[RunningBot]:
    async with running_bot(valkey, works=True, zofbot_poll_interval=1) as built:
        await wait_for_first_poll(built)
        yield built


async def keep(built: RunningBot, one: Regular) -> None:
    await built.app.outbox.commit([], changes={DIGESTS: {one.channel: one.model_dump_json()}})


def now_due(channel: str = "C0QA", **fields: Any) -> Regular:
    """A digest that was due a minute ago."""
    then = test_clock().now() - timedelta(minutes=1)
    return regular(channel, minute=then.hour * 60 + then.minute, **fields)


async def told(built: RunningBot, text: str) -> None:
    await until(lambda: any(text in text_of(one) for one in built.public()))


async def test_it_is_set_shown_and_ended_and_everybody_sees_who_did(there: RunningBot) -> None:
    assert "This channel gets no digest" in await there.answer("/zof digest")
    assert "✅ *This channel gets a digest daily 09:00 (Europe/Berlin).*" in await there.answer(
        "/zof digest daily 09:00"
    )
    await told(there, "ana set this channel's digest: daily 09:00 (Europe/Berlin)")
    assert "digest *daily 09:00* (Europe/Berlin), set by ana" in await there.answer("/zof digest")
    assert "America/New_York" in await there.answer("/zof digest weekly fri 4pm", user="U0BEN")
    assert "This channel gets no digest any more" in await there.answer("/zof digest off")
    await told(there, "ana ended this channel's digest, which was weekly fri 16:00")
    assert "Nothing had to be done" in await there.answer("/zof digest off")
    acts = [one for one in await Audit(there.app.store.client, "zofbot").read() if one.act == "digest"]
    assert [(one.name, one.before, one.after) for one in acts] == [
        ("ana", "", "daily 09:00 Europe/Berlin"),
        ("ben", "daily 09:00 Europe/Berlin", "weekly fri 16:00 America/New_York"),
        ("ana", "weekly fri 16:00 America/New_York", ""),
    ]


async def test_guests_may_look_and_not_set(there: RunningBot) -> None:
    refused = await there.answer("/zof digest daily 09:00", user="U0GUEST", channel="C0CHECKOUT")
    assert "not set this channel's digest" in refused
    assert "This channel gets no digest" in await there.answer("/zof digest", user="U0GUEST", channel="C0CHECKOUT")


async def test_alone_it_shows_privately_what_it_would_say_now(there: RunningBot) -> None:
    await there.type("/zof digest")
    await until(lambda: "Daily digest" in text_of(there.private()[-1]))
    shown = text_of(there.private()[-1])
    assert "This channel gets no digest" in text_of(there.private()[0])
    assert "Card payment is authorized" in shown
    assert there.public() == []


async def test_the_preview_without_zof_keeps_the_setting_and_names_the_request(there: RunningBot) -> None:
    there.world.zof.faults.set("403")
    await there.type("/zof digest")
    await until(lambda: "Not all could be read" in text_of(there.private()[-1]))
    call = there.world.zof.calls[-1]
    assert "Request ID: `req_" in text_of(there.private()[-1])
    assert call.status == 403


async def test_a_preview_that_cannot_be_made_leaves_the_setting(there: RunningBot) -> None:
    await keep(there, regular("C0QA", by_name="ana"))
    await there.app.store.client.set("{zofbot}:audit", "no stream")  # which has to be read for it
    await there.type("/zof digest")
    await until(lambda: "store (Redis) does not answer" in text_of(there.private()[-1]))
    assert "This channel gets a digest" in json.dumps(there.private()[0].blocks)
    assert len(there.private()) == 2


async def test_when_it_is_due_the_channel_gets_it_once(there: RunningBot) -> None:
    await keep(there, now_due())
    await until(lambda: len(there.public()) == 1)
    [message] = there.public()
    assert "📊 Daily digest" in text_of(message)
    assert "data_visualization" in {block["type"] for block in message.blocks}
    assert message.key == f"digest:daily:{test_clock().now() - timedelta(minutes=1):%Y-%m-%d}:C0QA"
    before = sum(call.path == "/runs" for call in there.world.zof.calls)
    await until(lambda: sum(call.path == "/runs" for call in there.world.zof.calls) > before + 4)
    assert len(there.public()) == 1


async def test_where_charts_are_not_known_yet_it_is_told_in_signs(there: RunningBot) -> None:
    there.world.slack.draws_charts = False
    await keep(there, now_due(every="weekly", day=(test_clock().now() - timedelta(minutes=1)).weekday()))
    await until(lambda: len(there.public()) == 1)
    assert "Weekly digest" in text_of(there.public()[0])
    assert "low to high" in text_of(there.public()[0])
    await there.type("/zof digest")
    await until(lambda: "low to high" in text_of(there.private()[-1]))


async def test_it_speaks_of_what_the_channel_is_subscribed_to(there: RunningBot) -> None:
    await there.type("/zof subscribe project:search env:production")
    await keep(there, now_due())
    await told(there, "Daily digest")
    [message] = [one for one in there.public() if "Daily digest" in text_of(one)]
    assert "what this channel's subscriptions mean" in text_of(message)
    assert "search, production" in text_of(message)
    assert "checkout" not in text_of(message)


async def dropped(built: RunningBot, key: str) -> bool:
    entry = await built.app.outbox.show(key)
    return entry is not None and entry.state is State.DROPPED


@pytest.mark.parametrize("meanwhile", ["ended", "changed", "moved", "overtaken"])
async def test_one_that_nobody_wants_any_more_is_dropped_at_its_claim(there: RunningBot, meanwhile: str) -> None:
    one = now_due()
    [that] = due([one], {}, test_clock().now().timestamp())
    body = digest(that, Read(), Shift(0.0), ())
    if meanwhile == "changed":
        await keep(there, regular(minute=(one.rhythm.minute + 60) % 1440, since=2e9))
    elif meanwhile == "moved":
        await keep(
            there, one.model_copy(update={"since": 2e9, "rhythm": one.rhythm.model_copy(update={"zone": BERLIN})})
        )
    elif meanwhile == "overtaken":
        await keep(there, one.model_copy(update={"since": 2e9}))
        body = body.model_copy(update={"until": body.until - DAY})
    note = Notification(key=that.key, kind=Kind.ROOT, channel="C0QA", body=digests.stored(body), happened=that.until)
    await there.app.outbox.commit([note])

    async def gone() -> bool:
        return await dropped(there, that.key)

    await until(gone)
    assert there.public() == []


async def test_while_the_store_does_not_say_whether_it_is_wanted_it_waits(there: RunningBot) -> None:
    async def unknown(claimed: Claimed) -> Claimed:
        raise StoreUnavailable("Redis does not answer.")

    delivery = Delivery(
        there.app.notifier, lambda claimed, now: Message("x"), there.app.metrics, there.world.clock,
        random=lambda: 0.5, veil=unknown,
    )  # fmt: skip
    note = Notification(key="digest:daily:2026-06-01:C0QA", kind=Kind.ROOT, channel="C0QA", happened=START)
    assert isinstance(await delivery.attempt(Claimed(note, 1, START), lambda: True), Snoozed)


async def test_a_private_channel_and_one_of_strangers_get_names_and_counts_alone(there: RunningBot) -> None:
    await keep(there, now_due("C0PARTNERS"))
    await until(lambda: bool(there.public("C0PARTNERS")))
    shown = text_of(there.public("C0PARTNERS")[0])
    assert "Daily digest" in shown
    assert "order total is wrong" not in shown
    there.world.slack.channels[INCIDENT_ROOM].members.add("U0ZOFBOT")
    assert "digest daily 09:00" in await there.answer("/zof digest daily 09:00", channel=INCIDENT_ROOM)


async def test_records_of_another_version_are_left_aside(there: RunningBot) -> None:
    await there.app.outbox.commit([], changes={DIGESTS: {"C0B": '{"rhythm": "hourly"}'}})
    await keep(there, now_due())
    await until(lambda: len(there.public()) == 1)
