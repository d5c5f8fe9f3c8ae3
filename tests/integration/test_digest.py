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

from tests.support.bot import RunningBot, running_bot, text_of, wait_for_first_poll, wait_until
from tests.support.poller_bench import START_TIME, PollerBench, answer_well, poller_bench
from tests.support.virtual_time import test_clock
from zofbot.delivery.attempt import NotificationSender
from zofbot.domain.errors import BadInput, StoreUnavailable, ZofUnavailable
from zofbot.domain.model import Outcome, Result, Run
from zofbot.notifications import payloads
from zofbot.notifications.digest_payload import CaseCount, DigestPayload, TrendPoint
from zofbot.notifications.notification import Claim, Notification, NotificationKind, NotificationState
from zofbot.services import digest_job
from zofbot.services.digest_job import DigestJob
from zofbot.services.digest_report import DigestData, DueDigest, build_digest, due_digests
from zofbot.services.triage import TriageService
from zofbot.simulator.blockkit import blocks
from zofbot.simulator.seed import INCIDENT_ROOM
from zofbot.slack.views import digest_message
from zofbot.slack.views.blocks import Message
from zofbot.store.attempt_results import Snoozed
from zofbot.store.audit import AuditLog
from zofbot.store.digests import DIGESTS_HASH
from zofbot.store.keyspace import Keyspace
from zofbot.subscriptions import digest_schedule, parse_filters
from zofbot.subscriptions.digest_schedule import (
    DigestSchedule,
    DigestSetting,
    format_schedule,
    latest_occurrence,
    next_occurrence,
    parse_schedule,
    period_bounds,
)
from zofbot.triage.shift_report import ShiftReport

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
    DigestSchedule, every=st.sampled_from(["daily", "weekly"]), day=st.integers(0, 6), minute=st.integers(0, 1439),
    zone=st.sampled_from(ZONES),
).map(lambda item: item if item.every == "weekly" else item.model_copy(update={"day": 0}))  # fmt: skip
NOWS = st.floats(datetime(2024, 1, 1, tzinfo=UTC).timestamp(), datetime(2028, 1, 1, tzinfo=UTC).timestamp())


@given(RHYTHMS)
def test_what_is_spelled_is_read_as_it_was(one: DigestSchedule) -> None:
    assert parse_schedule(format_schedule(one), one.zone) == one


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("daily", "daily 09:00"), ("Daily at 9am", "daily 09:00"), ("daily 17:30", "daily 17:30"),
        ("weekly monday", "weekly mon 09:00"), ("weekly on FRI at 4 pm", "weekly fri 16:00"),
        ("weekly sun 00:00", "weekly sun 00:00"),
    ],
)  # fmt: skip
def test_it_is_typed_as_people_say_it(typed: str, told: str) -> None:
    assert format_schedule(parse_schedule(typed, BERLIN)) == told


@pytest.mark.parametrize(
    "typed",
    ["", "hourly", "daily mon 09:00", "daily 25:00", "weekly", "weekly 09:00", "weekly someday", "daily 9", "x" * 500],
)
def test_what_is_no_rhythm_gets_an_example(typed: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_schedule(typed, BERLIN)
    assert refused.value.example.startswith("/zof digest ")
    assert parse_schedule(refused.value.example.removeprefix("/zof digest "), BERLIN)


@given(RHYTHMS, NOWS)
def test_now_lies_between_two_times_that_show_the_same_on_the_clock(one: DigestSchedule, now: float) -> None:
    before, after = latest_occurrence(one, now), next_occurrence(one, now)
    assert before.at <= now < after.at
    assert (after.day - before.day).days == (1 if one.every == "daily" else 7)
    for occasion in (before, after):
        shown = datetime.fromtimestamp(occasion.at, ZoneInfo(one.zone))
        wall = datetime(occasion.day.year, occasion.day.month, occasion.day.day) + timedelta(minutes=one.minute)
        late = shown.replace(tzinfo=None) - wall
        assert timedelta(0) <= late <= timedelta(hours=1), "only an hour that is left out makes it later"
        if one.every == "weekly":
            assert occasion.day.weekday() == one.day


@given(RHYTHMS, NOWS)
def test_each_time_begins_where_the_one_before_ended(one: DigestSchedule, now: float) -> None:
    day, at = latest_occurrence(one, now)
    bounds = period_bounds(one, day)
    assert len(bounds) == digest_schedule.TREND_PARTS[one.every] + 1
    assert list(bounds) == sorted(set(bounds))
    assert bounds[-1] == at
    assert bounds[0] == latest_occurrence(one, at - 1).at
    labels = [digest_schedule.period_label(one, bound) for bound in bounds[:-1]]
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
    one = DigestSchedule(every="daily", minute=minute, zone=BERLIN)
    assert latest_occurrence(one, at) == (day, at)
    assert latest_occurrence(one, at - 1).day == day - timedelta(days=1)


def digest_setting(channel: str = "C0QA", *, since: float = 0.0, **fields: Any) -> DigestSetting:
    one = DigestSchedule.model_validate({"every": "daily", "minute": 480, **fields})
    return DigestSetting(channel=channel, rhythm=one, since=since)


def test_after_a_pause_of_days_the_latest_alone_is_due() -> None:
    later = START_TIME + 9.5 * DAY
    [one] = due_digests([digest_setting()], {"C0QA": "digest:daily:2026-05-20:C0QA"}, later)
    assert one.key == "digest:daily:2026-06-10:C0QA"
    assert one.ends_at == datetime(2026, 6, 10, 8, tzinfo=UTC).timestamp()
    assert due_digests([digest_setting()], {"C0QA": one.key}, later) == []


def test_nothing_is_due_that_lies_before_it_was_set() -> None:
    eight = datetime(2026, 6, 1, 8, tzinfo=UTC).timestamp()
    assert due_digests([digest_setting(since=eight)], {}, eight + 3600) == []
    assert [digest.key for digest in due_digests([digest_setting(since=eight - 1)], {}, eight)] == [
        "digest:daily:2026-06-01:C0QA"
    ]


# --- what it counts, pure

PROJECTS = ("checkout", "search", None)
TIMES = st.floats(START_TIME - 9 * DAY, START_TIME + DAY).map(lambda item: datetime.fromtimestamp(item, UTC))


def _runs_in(parts: Iterable[Any]) -> list[Run]:
    return [
        Run(id=f"run_{number}", outcome=outcome, ended=at, project_name=project, environment=environment)
        for number, outcome, at, project, environment in parts
    ]


def _results_in(parts: Iterable[Any]) -> list[Result]:
    return [
        Result(id=f"res_{number}", run_id=f"run_{run}", case_id=f"tc_{case}", title=f"Case {case}", outcome=outcome,
               ended=at, duration=duration, project_name=project, environment=environment)
        for number, run, case, outcome, at, duration, project, environment in parts
    ]  # fmt: skip


ENVIRONMENTS = st.sampled_from(["staging", "production", None])
RUNS = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from(Outcome), st.none() | TIMES, st.sampled_from(PROJECTS), ENVIRONMENTS),
    max_size=30, unique_by=lambda each_tuple: each_tuple[0],
).map(_runs_in)  # fmt: skip
RESULTS = st.lists(
    st.tuples(
        st.integers(0, 60), st.integers(0, 20), st.integers(0, 4), st.sampled_from(Outcome), st.none() | TIMES,
        st.none() | st.floats(0, 900), st.sampled_from(PROJECTS), ENVIRONMENTS,
    ),
    max_size=40, unique_by=lambda each_tuple: each_tuple[0],
).map(_results_in)  # fmt: skip
WISHES = st.sampled_from(["", "project:checkout", "env:-staging", "project:nowhere", "project:checkout env:production"])


def due_digest(*, every: str = "daily", at: float = START_TIME) -> DueDigest:
    [one] = due_digests([digest_setting(every=every)], {}, at)
    return one


def make_digest(
    runs: Iterable[Run], results: Iterable[Result] = (), wishes: Iterable[str] = (), **more: Any
) -> DigestPayload:
    own = [parse_filters(wish) for wish in wishes]
    return build_digest(due_digest(**more), DigestData(runs, results), ShiftReport(0.0), own)


@given(RUNS, RESULTS, WISHES, st.sampled_from(["daily", "weekly"]), st.randoms())
def test_totals_add_up_in_whatever_order_it_was_read(
    runs: list[Run], results: list[Result], wish: str, every: str, random: Any
) -> None:
    told = make_digest(runs, results, [wish], every=every)
    mixed, shaken = [*runs, *runs], [*results, *results]
    random.shuffle(mixed)
    random.shuffle(shaken)
    assert make_digest(mixed, shaken, [wish], every=every) == told
    assert told.passed + told.failed + told.error + told.other == told.runs
    assert sum(point.ended for point in told.trend) == told.passed + told.failed + told.error
    assert sum(point.passed for point in told.trend) == told.passed
    assert told.bad <= told.results
    assert all(0 < item.times <= item.of for item in told.failing)
    assert len(told.trend) == digest_schedule.TREND_PARTS[every]
    if wish == "project:nowhere":
        assert told.runs == told.results == 0


@given(RUNS)
def test_each_run_is_in_one_digest_of_a_row(runs: list[Run]) -> None:
    daily = [make_digest(runs, at=START_TIME - back * DAY) for back in range(7)]
    within = [run for run in runs if run.ended and daily[-1].since < run.ended.timestamp() <= daily[0].until]
    assert sum(item.runs for item in daily) == len(within)


def make_results(outcomes: str, *, run: str = "", environment: str = "staging", every: float = 60.0) -> list[Result]:
    """Outcomes of one case: ``p``assed, ``f``ailed, ``e``rror, ``s``kipped, ``r``unning, each in a run of its own."""
    words = {"p": Outcome.PASSED, "f": Outcome.FAILED, "e": Outcome.ERROR, "s": Outcome.SKIPPED, "r": Outcome.RUNNING}
    return [
        Result(id=f"{environment}_{number}", run_id=run or f"run_{number}", case_id="tc", title="Case",
               outcome=words[sign], environment=environment, duration=5.0,
               ended=datetime.fromtimestamp(START_TIME - 3600 + number * every, UTC))
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
    assert [item.times for item in make_digest([], make_results(outcomes)).flaky] == ([times] if times else [])


def test_flaky_is_a_case_in_one_environment_over_several_runs() -> None:
    assert make_digest([], make_results("fp", run="run_1")).flaky == ()
    elsewhere = [*make_results("f"), *make_results("sp", environment="production")[1:]]
    assert make_digest([], elsewhere).flaky == ()


def test_the_slowest_is_slow_in_the_middle_and_not_once() -> None:
    steady = [result.model_copy(update={"duration": 40.0}) for result in make_results("ppp", environment="a")]
    once = [
        result.model_copy(update={"duration": 900.0 if n == 0 else 1.0})
        for n, result in enumerate(make_results("ppp", environment="b"))
    ]
    slowest = make_digest([], [*steady, *once]).slowest
    assert [(item.where, item.seconds) for item in slowest] == [("a", 40.0), ("b", 1.0)]


def test_what_a_result_does_not_say_of_where_it_ran_its_run_does() -> None:
    run = Run(id="run_0", project_id="proj_1", project_name="checkout", environment="staging", outcome=Outcome.FAILED,
              ended=datetime.fromtimestamp(START_TIME - 60, UTC))  # fmt: skip
    bare = make_results("f", environment="")[0].model_copy(update={"environment": None})
    told = make_digest([run], [bare], ["project:checkout env:staging"])
    assert (told.runs, told.results, told.narrowed) == (1, 1, True)
    assert told.failing[0].where == "checkout, staging"
    assert make_digest([run], [bare], ["project:search"]).results == 0


# --- how it looks, pure

TEXTS = st.text(max_size=200).filter(lambda text: "None" not in text) | st.sampled_from(
    ["<!channel>", "`*_~", "🧪" * 2000, "", "<@U0ANA>"]
)
POINTS = st.builds(
    TrendPoint, label=TEXTS, passed=st.integers(0, 9), ended=st.integers(0, 99).map(lambda item: item * 9)
)
COUNTED = st.builds(
    CaseCount, title=TEXTS, where=TEXTS, times=st.integers(0, 99), of=st.integers(0, 99), seconds=st.floats(0, 1e6)
)
MOMENTS = st.floats(0, 4e9)
BODIES = st.builds(
    DigestPayload, every=st.sampled_from(["daily", "weekly"]), rhythm=TEXTS, since=MOMENTS, until=MOMENTS,
    runs=st.integers(0, 10**6), passed=st.integers(0, 10**6), failed=st.integers(0, 10**6), error=st.integers(0, 9),
    trend=st.lists(POINTS, max_size=8).map(tuple), failing=st.lists(COUNTED, max_size=5).map(tuple),
    slowest=st.lists(COUNTED, max_size=5).map(tuple), flaky=st.lists(COUNTED, max_size=5).map(tuple),
    open=st.integers(0, 10**6), oldest=st.none() | MOMENTS, answered=st.none() | MOMENTS, ended=st.none() | MOMENTS,
    narrowed=st.booleans(), back=st.none() | MOMENTS, trouble=TEXTS, request_id=TEXTS,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(BODIES, st.just("") | st.just("No digest in this channel."))
def test_slack_takes_it_with_its_chart_and_without(body: DigestPayload, above: str) -> None:
    kept = json.loads(json.dumps(payloads.dump_payload(body)))
    shown = digest_message.digest_message(body, above)
    again = digest_message.digest_message(DigestPayload.model_validate(kept))
    assert above or again.message_fields() == shown.message_fields(), "what is stored says the same"
    for message in (shown, shown.plain_version()):
        payload = message.message_fields()
        assert blocks.find_problems(payload, "message") == []
        assert "None" not in json.dumps(payload)
    kinds = {block["type"] for block in shown.plain_version().blocks}
    assert "data_visualization" not in kinds


TREND = (
    TrendPoint(label="Mon 1", passed=0, ended=4),
    TrendPoint(label="Tue 2"),
    TrendPoint(label="Wed 3", passed=4, ended=4),
)


def test_the_trend_is_a_line_of_the_days_that_had_runs_or_signs() -> None:
    shown = digest_message.digest_message(DigestPayload(every="weekly", trend=TREND, runs=8, passed=4, failed=4))
    assert shown.instead
    [chart] = [block for block in shown.blocks if block["type"] == "data_visualization"]
    assert chart["chart"]["axis_config"]["categories"] == ["Mon 1", "Wed 3"]
    assert [item["value"] for item in chart["chart"]["series"][0]["data"]] == [0.0, 100.0]
    assert "▁·█" in shown.text
    assert "▁·█" in json.dumps(shown.plain_version().blocks, ensure_ascii=False)
    alone = digest_message.digest_message(DigestPayload(trend=TREND[:2], runs=4, failed=4))
    assert not alone.instead
    assert "▁·" in json.dumps(alone.blocks, ensure_ascii=False)


def test_what_could_not_be_read_is_said() -> None:
    shown = json.dumps(
        digest_message.digest_message(DigestPayload(back=START_TIME, trouble="Zof is busy.", request_id="req_9")).blocks
    )
    assert "Incomplete: only runs" in shown
    assert "Zof is busy. Request ID: `req_9`" in shown


# --- in the poller's turns, with a clock that is set


@pytest.fixture
async def bench() -> AsyncIterator[PollerBench]:
    async with poller_bench() as built:
        yield built


def start_digester(built: PollerBench, **options: Any) -> Any:
    own = DigestJob(TriageService(built.outbox, built.clock, built.events), AuditLog(Keyspace(built.store, "test")))
    return built.start_poller(digester=own, **options)


async def finish_passed_run(built: PollerBench) -> None:
    """The process dies, and the next one makes digests, too."""
    await built.kill_poller()
    built.poller = start_digester(built)


async def set_digest(built: PollerBench, *channels: str, **fields: Any) -> None:
    kept = {channel: digest_setting(channel, **fields).model_dump_json() for channel in channels}
    await built.outbox.commit([], changes={DIGESTS_HASH: kept})


async def promised_digests(built: PollerBench) -> list[str]:
    return sorted(key for key in await built.committed_keys() if key.startswith("digest:"))


async def body_of(built: PollerBench, key: str) -> DigestPayload:
    entry = await built.outbox.get_record(key)
    assert entry
    return DigestPayload.model_validate(entry.body)


async def test_it_is_promised_once_by_whoever_holds_the_lease(bench: PollerBench) -> None:
    bench.finish_run("passed", bad=0, passed=3, ago=600)
    bench.finish_run("failed", bad=1, ago=500)
    bench.clock.at -= 60
    await bench.poll_until_settled()
    await set_digest(bench, "C0QA", "C0B")
    await bench.kill_poller()
    pollers = [start_digester(bench) for _ in range(3)]
    for _ in range(4):
        bench.clock.at += 60
        for poller in pollers:
            await poller.poll_once()
    assert await promised_digests(bench) == ["digest:daily:2026-06-01:C0B", "digest:daily:2026-06-01:C0QA"]
    body = await body_of(bench, "digest:daily:2026-06-01:C0QA")
    assert (body.runs, body.passed, body.failed, body.results, body.bad) == (2, 1, 1, 4, 1)
    bench.clock.at += DAY
    for poller in pollers:
        await poller.poll_once()
    assert len(await promised_digests(bench)) == 4


async def test_wherever_a_process_dies_it_is_promised_once(bench: PollerBench) -> None:
    await bench.poll_until_settled()
    await set_digest(bench, "C0QA", "C0B", "C0C")
    for step in range(1, 14):
        bench.clock.at += DAY
        bench.finish_run("failed", ago=600)
        await bench.store.delete("{test}:lease:poller")
        poller = start_digester(bench)
        bench.store.blows = bench.store.trips + step
        try:
            await poller.poll_once()
        except Exception:
            pass
        bench.store.blows = None
        await bench.store.delete("{test}:lease:poller")
        await start_digester(bench).poll_once()
        day = datetime.fromtimestamp(bench.clock.at, UTC).date()
        found = [key for key in await promised_digests(bench) if f":{day}:" in key]
        assert found == [f"digest:daily:{day}:{channel}" for channel in ("C0B", "C0C", "C0QA")]
        assert (await body_of(bench, found[0])).runs == 1


async def test_a_quiet_cycle_costs_no_more_for_them(bench: PollerBench) -> None:
    await bench.poll_until_settled()
    await bench.kill_poller()
    await set_digest(bench, "C0QA", since=START_TIME + 9 * DAY)
    bench.poller = start_digester(bench)
    await bench.run_cycle()
    asked, trips = len(bench.zof.asked), bench.store.trips
    await bench.run_cycle()
    assert bench.zof.asked[asked:] == ["/runs", "/runs", "/results", "/results", "/runs"]
    assert bench.store.trips - trips == 1


async def test_it_reads_a_share_of_each_cycle_and_says_what_it_left_out() -> None:
    async with poller_bench(page=2, requests=20) as zof:
        await zof.poll_until_settled()
        for number in range(60):
            zof.finish_run("passed", bad=0, passed=1, ago=3600 + number)
        await zof.kill_poller()
        await set_digest(zof, "C0QA")
        zof.poller = start_digester(zof)
        spent = []
        while not await promised_digests(zof):
            spent.append((await zof.run_cycle(60)).requests)
            assert len(spent) < 30
        assert max(spent) <= 20
        assert len(spent) >= 3
        body = await body_of(zof, "digest:daily:2026-06-01:C0QA")
        assert body.back is not None
        assert body.runs == 2 * digest_job.MAX_PAGES_BY_LISTING["runs"]


async def test_an_oldest_first_listing_is_gone_through_from_where_the_last_one_ended() -> None:
    async with poller_bench(page=5, requests=60) as zof:
        zof.world.zof.newest_first = False
        for number in range(90):
            zof.finish_run("passed", bad=0, passed=0, ago=5 * DAY - number * 3000)
        await zof.poll_until_settled()
        await set_digest(zof, "C0QA")
        await finish_passed_run(zof)
        found = []
        for _ in range(4):
            zof.finish_run("failed", bad=0, ago=-DAY / 2)
            zof.clock.at += DAY
            for _ in range(3):
                await zof.run_cycle(60)
            found = await promised_digests(zof)
        assert (await body_of(zof, found[-1])).runs == 1
        assert (await body_of(zof, found[-1])).back is None


async def test_while_zof_is_away_it_waits_and_in_the_end_says_so(bench: PollerBench) -> None:
    await bench.poll_until_settled()
    await set_digest(bench, "C0QA")
    await finish_passed_run(bench)

    def spoil(request: httpx.Request) -> httpx.Response | None:
        away = "status" not in request.url.params
        return httpx.Response(503, headers={"X-Request-Id": "req_8"}) if away else None

    bench.zof.spoil = spoil
    tick = await bench.run_cycle()
    assert tick.has_lease
    assert not tick.refused
    assert await promised_digests(bench) == []
    await bench.run_cycle(digest_job.MAX_READ_SECONDS)
    [key] = await promised_digests(bench)
    body = await body_of(bench, key)
    assert body.trouble
    assert body.request_id == "req_8"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", [{}, {"Retry-After": "600"}], ids=["no time named", "a time named"])
async def test_while_zof_answers_nothing_at_all_it_waits_and_in_the_end_says_so(
    bench: PollerBench, status: int, retry_after: dict[str, str]
) -> None:
    await bench.poll_until_settled()
    await set_digest(bench, "C0QA")
    await finish_passed_run(bench)
    bench.zof.spoil = lambda request: httpx.Response(status, headers={"X-Request-Id": "req_8", **retry_after})
    with pytest.raises(ZofUnavailable):
        await bench.run_cycle()
    assert await promised_digests(bench) == []
    with pytest.raises(ZofUnavailable):
        await bench.run_cycle(digest_job.MAX_READ_SECONDS)
    [key] = await promised_digests(bench)
    body = await body_of(bench, key)
    assert body.trouble
    assert body.request_id == "req_8"
    bench.zof.spoil = answer_well
    await bench.run_cycle()
    assert await promised_digests(bench) == [key]


async def test_that_zof_was_away_is_not_said_once_all_was_read(bench: PollerBench) -> None:
    await bench.poll_until_settled()
    bench.finish_run("passed", bad=0, passed=3, ago=600)
    await set_digest(bench, "C0QA")
    await finish_passed_run(bench)
    bench.zof.spoil = lambda request: None if "status" in request.url.params else httpx.Response(503)
    await bench.run_cycle()
    bench.zof.spoil = answer_well
    for _ in range(3):
        await bench.run_cycle()
    [key] = await promised_digests(bench)
    body = await body_of(bench, key)
    assert (body.runs, body.trouble) == (1, "")


async def test_it_says_what_was_not_read_in_time_though_zof_is_back() -> None:
    async with poller_bench(page=2, requests=8) as zof:
        for number in range(20):
            zof.finish_run("passed", bad=0, passed=1, ago=3600 + number)
        await zof.poll_until_settled()
        await zof.kill_poller()
        await set_digest(zof, "C0QA")
        zof.poller = start_digester(zof)
        zof.zof.spoil = lambda request: None if "status" in request.url.params else httpx.Response(503)
        await zof.run_cycle()
        await zof.run_cycle(digest_job.MAX_READ_SECONDS - 10)
        zof.zof.spoil = answer_well
        while not await promised_digests(zof):
            await zof.run_cycle()
        body = await body_of(zof, "digest:daily:2026-06-01:C0QA")
        assert body.runs < 20
        assert body.trouble == ""
        assert body.back is not None
        assert "Incomplete: only runs" in json.dumps(digest_message.digest_message(body).blocks)


async def test_runs_that_were_all_read_do_not_hide_how_short_the_results_are() -> None:
    async with poller_bench(page=2, requests=40) as zof:
        for number in range(15):
            zof.finish_run("passed", bad=0, passed=4, ago=4500 - 60 * number)
        await zof.poll_until_settled()
        await zof.kill_poller()
        await set_digest(zof, "C0QA")
        zof.poller = start_digester(zof)
        while not await promised_digests(zof):
            await zof.run_cycle()
        body = await body_of(zof, "digest:daily:2026-06-01:C0QA")
        assert (body.runs, body.results) == (15, 2 * digest_job.MAX_PAGES_BY_LISTING["results"])
        ended = sorted(datetime.fromisoformat(run["completed_at"]).timestamp() for run in zof.world.zof.runs.values())
        assert body.back == pytest.approx(ended[5], abs=1), "ten runs with four results each"


async def test_without_a_listing_that_zof_refuses_it_says_so_and_does_not_wait(bench: PollerBench) -> None:
    await bench.poll_until_settled()
    bench.finish_run("passed", bad=0, passed=3, ago=600)
    await set_digest(bench, "C0QA")
    await finish_passed_run(bench)

    def spoil(request: httpx.Request) -> httpx.Response | None:
        refused = request.url.path.endswith("/runs") and "status" not in request.url.params
        return httpx.Response(403, headers={"X-Request-Id": "req_9"}) if refused else None

    bench.zof.spoil = spoil
    for _ in range(3):
        await bench.run_cycle()
    [key] = await promised_digests(bench)
    body = await body_of(bench, key)
    assert body.trouble
    assert body.request_id == "req_9"


# --- through the real door


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=1) as built:
        await wait_for_first_poll(built)
        yield built


async def save_setting(built: RunningBot, one: DigestSetting) -> None:
    await built.app.outbox.commit([], changes={DIGESTS_HASH: {one.channel: one.model_dump_json()}})


def now_due(channel: str = "C0QA", **fields: Any) -> DigestSetting:
    """A digest that was due a minute ago."""
    then = test_clock().now() - timedelta(minutes=1)
    return digest_setting(channel, minute=then.hour * 60 + then.minute, **fields)


async def wait_for_text(built: RunningBot, text: str) -> None:
    await wait_until(lambda: any(text in text_of(message) for message in built.public_messages()))


async def test_it_is_set_shown_and_ended_and_everybody_sees_who_did(bot: RunningBot) -> None:
    assert "No digest in this channel" in await bot.answer_text("/zof digest")
    assert "✅ *Digest scheduled daily 09:00 (Europe/Berlin).*" in await bot.answer_text("/zof digest daily 09:00")
    await wait_for_text(bot, "ana scheduled this channel's digest: daily 09:00 (Europe/Berlin)")
    assert "digest: *daily 09:00* (Europe/Berlin), set by ana" in await bot.answer_text("/zof digest")
    assert "America/New_York" in await bot.answer_text("/zof digest weekly fri 4pm", user="U0BEN")
    assert "Digest stopped" in await bot.answer_text("/zof digest off")
    await wait_for_text(bot, "ana stopped this channel's digest (weekly fri 16:00).")
    assert "Nothing to stop" in await bot.answer_text("/zof digest off")
    acts = [record for record in await AuditLog(bot.app.store.keyspace).read_records() if record.act == "digest"]
    assert [(act.name, act.before, act.after) for act in acts] == [
        ("ana", "", "daily 09:00 Europe/Berlin"),
        ("ben", "daily 09:00 Europe/Berlin", "weekly fri 16:00 America/New_York"),
        ("ana", "weekly fri 16:00 America/New_York", ""),
    ]


async def test_guests_may_look_and_not_set(bot: RunningBot) -> None:
    refused = await bot.answer_text("/zof digest daily 09:00", user="U0GUEST", channel="C0CHECKOUT")
    assert "can't set this channel's digest" in refused
    assert "No digest in this channel" in await bot.answer_text("/zof digest", user="U0GUEST", channel="C0CHECKOUT")


async def test_alone_it_shows_privately_what_it_would_say_now(bot: RunningBot) -> None:
    await bot.type_text("/zof digest")
    await wait_until(lambda: "Daily digest" in text_of(bot.private_messages()[-1]))
    shown = text_of(bot.private_messages()[-1])
    assert "No digest in this channel" in text_of(bot.private_messages()[0])
    assert "Card payment is authorized" in shown
    assert bot.public_messages() == []


async def test_the_preview_without_zof_keeps_the_setting_and_names_the_request(bot: RunningBot) -> None:
    bot.world.zof.faults.set_fault("403")
    await bot.type_text("/zof digest")
    await wait_until(lambda: "Incomplete." in text_of(bot.private_messages()[-1]))
    call = bot.world.zof.calls[-1]
    assert "Request ID: `req_" in text_of(bot.private_messages()[-1])
    assert call.status == 403


async def test_a_preview_without_results_has_all_runs_and_names_the_request(bot: RunningBot) -> None:
    bot.world.zof.forbidden = {"results"}
    await bot.type_text("/zof digest")
    await wait_until(lambda: "Daily digest" in text_of(bot.private_messages()[-1]))
    shown = text_of(bot.private_messages()[-1])
    assert "may not read the list of results" in shown
    assert "counted in full" not in shown


async def test_a_preview_that_cannot_be_made_leaves_the_setting(bot: RunningBot) -> None:
    await save_setting(bot, digest_setting("C0QA", by_name="ana"))
    await bot.app.store.client.set("{zofbot}:audit", "no stream")  # which has to be read for it
    await bot.type_text("/zof digest")
    await wait_until(lambda: "store (Redis) isn't responding" in text_of(bot.private_messages()[-1]))
    assert "This channel's digest" in json.dumps(bot.private_messages()[0].blocks)
    assert len(bot.private_messages()) == 2


async def test_when_it_is_due_the_channel_gets_it_once(bot: RunningBot) -> None:
    await save_setting(bot, now_due())
    await wait_until(lambda: len(bot.public_messages()) == 1)
    [message] = bot.public_messages()
    assert "📊 Daily digest" in text_of(message)
    assert "data_visualization" in {block["type"] for block in message.blocks}
    assert message.idempotency_key == f"digest:daily:{test_clock().now() - timedelta(minutes=1):%Y-%m-%d}:C0QA"
    before = sum(call.path == "/runs" for call in bot.world.zof.calls)
    await wait_until(lambda: sum(call.path == "/runs" for call in bot.world.zof.calls) > before + 4)
    assert len(bot.public_messages()) == 1


async def test_where_charts_are_not_known_yet_it_is_told_in_signs(bot: RunningBot) -> None:
    bot.world.slack.unknown_blocks.add("data_visualization")
    await save_setting(bot, now_due(every="weekly", day=(test_clock().now() - timedelta(minutes=1)).weekday()))
    await wait_until(lambda: len(bot.public_messages()) == 1)
    assert "Weekly digest" in text_of(bot.public_messages()[0])
    assert "low to high" in text_of(bot.public_messages()[0])
    await bot.type_text("/zof digest")
    await wait_until(lambda: "low to high" in text_of(bot.private_messages()[-1]))


async def test_it_speaks_of_what_the_channel_is_subscribed_to(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe project:search env:production")
    await save_setting(bot, now_due())
    await wait_for_text(bot, "Daily digest")
    [message] = [message for message in bot.public_messages() if "Daily digest" in text_of(message)]
    assert "scope: this channel's subscriptions" in text_of(message)
    assert "search, production" in text_of(message)
    assert "checkout" not in text_of(message)


async def was_dropped(built: RunningBot, key: str) -> bool:
    entry = await built.app.outbox.get_record(key)
    return entry is not None and entry.state is NotificationState.DROPPED


@pytest.mark.parametrize("meanwhile", ["ended", "changed", "moved", "overtaken"])
async def test_one_that_nobody_wants_any_more_is_dropped_at_its_claim(bot: RunningBot, meanwhile: str) -> None:
    one = now_due()
    [that] = due_digests([one], {}, test_clock().now().timestamp())
    body = build_digest(that, DigestData(), ShiftReport(0.0), ())
    if meanwhile == "changed":
        await save_setting(bot, digest_setting(minute=(one.rhythm.minute + 60) % 1440, since=2e9))
    elif meanwhile == "moved":
        await save_setting(
            bot, one.model_copy(update={"since": 2e9, "rhythm": one.rhythm.model_copy(update={"zone": BERLIN})})
        )
    elif meanwhile == "overtaken":
        await save_setting(bot, one.model_copy(update={"since": 2e9}))
        body = body.model_copy(update={"until": body.until - DAY})
    note = Notification(
        key=that.key,
        kind=NotificationKind.ROOT,
        channel="C0QA",
        body=payloads.dump_payload(body),
        happened=that.ends_at,
    )
    await bot.app.outbox.commit([note])

    async def is_dropped() -> bool:
        return await was_dropped(bot, that.key)

    await wait_until(is_dropped)
    assert bot.public_messages() == []


async def test_while_the_store_does_not_say_whether_it_is_wanted_it_waits(bot: RunningBot) -> None:
    async def unknown(claimed: Claim) -> Claim:
        raise StoreUnavailable("Redis does not answer.")

    delivery = NotificationSender(
        bot.app.notifier, lambda claimed, now: Message("x"), bot.app.events, bot.world.clock,
        random=lambda: 0.5, prepare=unknown,
    )  # fmt: skip
    note = Notification(
        key="digest:daily:2026-06-01:C0QA", kind=NotificationKind.ROOT, channel="C0QA", happened=START_TIME
    )
    assert isinstance(await delivery.attempt_delivery(Claim(note, 1, START_TIME), lambda: True), Snoozed)


async def test_a_private_channel_and_one_of_strangers_get_names_and_counts_alone(bot: RunningBot) -> None:
    await save_setting(bot, now_due("C0PARTNERS"))
    await wait_until(lambda: bool(bot.public_messages("C0PARTNERS")))
    shown = text_of(bot.public_messages("C0PARTNERS")[0])
    assert "Daily digest" in shown
    assert "order total is wrong" not in shown
    bot.world.slack.channels[INCIDENT_ROOM].members.add("U0ZOFBOT")
    assert "Digest scheduled daily 09:00" in await bot.answer_text("/zof digest daily 09:00", channel=INCIDENT_ROOM)


async def test_records_of_another_version_are_left_aside(bot: RunningBot) -> None:
    await bot.app.outbox.commit([], changes={DIGESTS_HASH: {"C0B": '{"rhythm": "hourly"}'}})
    await save_setting(bot, now_due())
    await wait_until(lambda: len(bot.public_messages()) == 1)
