"""Watching: what is counted can be seen everywhere, in few series, and from the start."""

from __future__ import annotations

from functools import partial
from typing import get_args

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.bot import RunningBot, running_bot, text_of, wait_until
from tests.support.metric_values import metric_value
from tests.support.ports import free_port
from zofbot.app import run_bot
from zofbot.clock import Clock
from zofbot.config.manifest import SCOPES_BY_METHOD
from zofbot.delivery.outcome_labels import CAUSES_BY_OUTCOME, OTHER_CAUSE, classify_cause, known_causes
from zofbot.domain.errors import SettingsError
from zofbot.observability.metric_labels import FEED_NAMES, SLACK_METHODS, ZOF_CALLS, status_label
from zofbot.observability.metrics import Metrics
from zofbot.polling import cursor
from zofbot.simulator.quota import MinuteQuota
from zofbot.slack.errors import DEFERRED_REASONS, REASONS_BY_HANDLING, RefusalHandling
from zofbot.store.attempt_results import Adopted, AttemptResult
from zofbot.triage.state_machine import AUTOMATIC_ACTIONS, Action
from zofbot.zof.webhook_event import parse_hint


def parse_series(text: str) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Samples by name and labels."""
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


async def scrape_metrics(url: str) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as reply:
        assert reply.status == 200
        return parse_series(await reply.text())


async def test_a_worker_shows_its_metrics_and_health_on_a_port_of_its_own(bot: RunningBot) -> None:
    port = free_port()
    settings = bot.settings.model_copy(update={"zofbot_metrics_port": port, "zofbot_namespace": "worker"})
    async with (
        run_bot(settings, bot.world.clock, endpoints=False) as worker,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        assert worker.url == f"http://127.0.0.1:{port}"
        await wait_until(lambda: worker.identity is not None)
        for path in ("/healthz", "/readyz"):
            async with session.get(path) as reply:
                assert reply.status == 200
        async with session.post("/slack/events") as reply:
            assert reply.status == 404, "it listens to nobody"
        seen = await scrape_metrics(worker.url)
        assert seen["zofbot_slack_up"] == {frozenset(): 1.0}
        taken = SettingsError
        with pytest.raises(taken, match=f"HOST 127.0.0.1, ZOFBOT_METRICS_PORT {port}"):
            async with run_bot(settings, bot.world.clock, endpoints=False):
                pass


async def test_without_that_port_a_worker_opens_none(bot: RunningBot) -> None:
    async with run_bot(bot.settings, bot.world.clock, endpoints=False) as worker:
        assert not worker.url


async def test_calls_quota_intake_and_delivery_are_counted(store_url: str) -> None:
    async with running_bot(store_url, workers=True, zofbot_poll_interval=1, zofbot_lookback=600) as bot:
        bot.world.zof.quota = MinuteQuota(600)
        await bot.type_text("/zof subscribe project:*")
        await wait_until(lambda: any("subscribed" in text_of(message) for message in bot.public_messages()))
        sample = partial(metric_value, bot.app.metrics)
        await wait_until(lambda: (sample("zofbot_delivery_seconds_count", {"since": "commit"}) or 0) > 0)
        await wait_until(lambda: (sample("zofbot_poll_duration_seconds_count") or 0) > 0)
        await wait_until(lambda: (sample("zofbot_zof_quota_remaining") or 0) > 0)  # unknown just after a reset
        seen = await scrape_metrics(bot.app.url)
        assert seen["zofbot_zof_quota_limit"] == {frozenset(): 600}
        assert 0 < seen["zofbot_zof_quota_remaining"][frozenset()] < 600
        assert seen["zofbot_slack_calls_total"][
            frozenset({("method", "auth.test"), ("outcome", "ok"), ("status", "200")})
        ]
        assert seen["zofbot_lease_held"][frozenset({("lease", "poller")})] == 1
        assert seen["zofbot_lease_takeovers_total"][frozenset({("lease", "poller")})] == 1
        assert seen["zofbot_poll_duration_seconds_count"][frozenset()] >= 1
        assert sum(seen["zofbot_notifications_total"].values()) >= 1
        assert seen["zofbot_delivery_seconds_count"][frozenset({("since", "commit")})] >= 1


# --- labels are few


def test_each_result_of_an_attempt_has_an_outcome_that_is_counted() -> None:
    outcomes = {result.outcome for result in (*get_args(AttemptResult), Adopted)}
    assert outcomes | {"parked"} == {*CAUSES_BY_OUTCOME, "unreadable"}  # what is unreadable is not attempted


@pytest.mark.parametrize("outcome", CAUSES_BY_OUTCOME)
@pytest.mark.parametrize("reason", ["", "x" * 500, "is_archived", "crashed: Odd", "http_599", "restricted_action_new"])
def test_no_reason_however_odd_makes_a_new_series(outcome: str, reason: str) -> None:
    assert ("root", outcome, classify_cause(outcome, reason)) in set(known_causes())


def test_slacks_own_word_is_the_cause_where_we_know_it() -> None:
    for remedy, outcome in (
        (RefusalHandling.PARK, "parked"),
        (RefusalHandling.PAUSE, "halted"),
        (RefusalHandling.REPOST, "gone"),
    ):
        assert all(classify_cause(outcome, reason) == reason for reason in REASONS_BY_HANDLING[remedy])
    assert all(classify_cause("deferred", reason) == reason for reason in DEFERRED_REASONS)
    assert (
        classify_cause("unknown", "ServerDisconnectedError") == classify_cause("unknown", "http_502") == "unconfirmed"
    )
    assert classify_cause("unknown", "cannot look: missing_scope") == "cannot_look"
    assert classify_cause("refused", "cannot be rendered: KeyError") == "cannot_be_drawn"
    assert classify_cause("refused", "cannot be drawn: KeyError") == "cannot_be_drawn", "an earlier version's reason"
    assert classify_cause("dropped", "its root is dead") == "root_lost"
    assert classify_cause("dropped", "anything") == OTHER_CAUSE


@pytest.mark.parametrize(
    ("code", "label"),
    [
        (None, "none"),
        (200, "200"),
        (429, "429"),
        (418, "4xx"),
        (599, "5xx"),
        (302, "3xx"),
        (9999, "other"),
        (-1, "other"),
    ],
)
def test_a_status_is_one_that_is_foreseen_or_its_hundred(code: int | None, label: str) -> None:
    assert status_label(code) == label


# --- and there from the start


def test_every_word_that_is_counted_is_there_before_it_happens() -> None:
    seen = parse_series(Metrics(Clock()).render_text().decode())
    assert set(SLACK_METHODS) == {*SCOPES_BY_METHOD, "response_url"}
    assert set(FEED_NAMES) == {feed.name for feed in cursor.FEEDS}
    assert {dict(labels)["act"] for labels in seen["zofbot_triage_total"]} >= {
        act.value for act in Action
    } - AUTOMATIC_ACTIONS
    for method, template in ZOF_CALLS:
        wanted = {("method", method), ("template", template), ("outcome", "ok"), ("status", "200")}
        assert frozenset(wanted) in seen["zofbot_zof_calls_total"]
    assert {dict(labels)["type"] for labels in seen["zofbot_zof_events_total"]} >= {
        parse_hint(b'{"type": "odd"}').type_label
    }


async def test_nothing_that_happens_makes_a_series_that_was_not_there(bot: RunningBot) -> None:
    before = {name: set(found) for name, found in (await scrape_metrics(bot.app.url)).items()}
    bot.world.zof.faults.set_fault("500", 1)
    for typed in ("res_4821", "res_nope", "run run_2038", "runs status:failed", "subscribe project:*", "gibberish"):
        await bot.type_text(f"/zof {typed}")
    after = await scrape_metrics(bot.app.url)
    assert sum(after["zofbot_zof_calls_total"].values()) > 5
    assert {
        name: set(found) - before.get(name, set()) for name, found in after.items() if set(found) - before[name]
    } == {}


def test_names_follow_the_conventions() -> None:
    for family in text_string_to_metric_families(Metrics(Clock()).render_text().decode()):
        if not family.name.startswith("zofbot_"):
            continue
        assert family.documentation
        assert not family.name.endswith(("_milliseconds", "_ms", "_count", "_sum"))
        if family.type == "histogram":
            assert family.name.endswith("_seconds"), family.name
