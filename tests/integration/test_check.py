"""The checkup: with all well it finds nothing wrong, and with one thing broken exactly that, with its mend."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redis.asyncio as redis
from pydantic import SecretStr

from tests.support.bot import RunningBot, running_bot
from tests.support.cli import run_command
from tests.support.slow_proxy import slow_proxy
from tests.support.subscriptions import remove_subscription, store_subscription
from tests.support.virtual_time import machine_clock, silent_redis
from zofbot.clock import Clock, MovableClock
from zofbot.config.manifest import LINK_SCOPES, OPTIONAL_SCOPES, SCOPES
from zofbot.config.settings import Settings
from zofbot.diagnostics import Finding, Level, run_checks
from zofbot.diagnostics import clock as clock_judgement
from zofbot.diagnostics import people as people_judgement
from zofbot.diagnostics import slack as slack_judgement
from zofbot.diagnostics import store as store_judgement
from zofbot.diagnostics import zof as zof_judgement
from zofbot.diagnostics.runner import MAX_CHECK_SECONDS
from zofbot.domain.errors import SlackDeferred, ZofRejected, ZofUnavailable
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.simulator.slack.model import BOT_USER_ID, User
from zofbot.slack.identity import BotIdentity
from zofbot.store.keyspace import MAX_REDIS_SECONDS, Keyspace
from zofbot.store.outbox import Outbox
from zofbot.store.pending_runs import PendingRuns
from zofbot.store.schema import claim_schema
from zofbot.subscriptions import parse_filters

SIGNING = "0123456789abcdef" * 2
WEBHOOK = "webhook-secret-of-zof"

Wrong = list[tuple[str, str]]


@dataclass
class CheckEnvironment:
    """A bot that is up and well, until a test breaks something."""

    bot: RunningBot
    client: redis.Redis

    def __post_init__(self) -> None:
        self.slack, self.zof = self.bot.world.slack, self.bot.world.zof
        self.settings, self.url, self.ahead, self.seconds = self.bot.settings, self.bot.app.url, 0.0, MAX_CHECK_SECONDS

    def set_settings(self, **settings: Any) -> None:
        self.settings = Settings.model_validate({**dict(self.settings), **settings})

    async def add_subscription(self, channel: str, identifier: str = "s1") -> None:
        own = {"id": identifier, "channel": channel, "by": "U0ANA", "created": 1.0}
        subscription = parse_filters("project:*").model_copy(update=own)
        await store_subscription(Keyspace(self.client, "zofbot"), subscription)

    async def run_checks(self) -> list[Finding]:
        return await run_checks(
            self.settings, MovableClock(lambda: self.bot.world.unix_time() + self.ahead), self.url, self.seconds
        )

    async def wrong_findings(self) -> Wrong:
        found = [check for check in await self.run_checks() if check.level is not Level.OK]
        assert all(item.fix for item in found)
        return [(item.level.value, item.about) for item in found]


@pytest.fixture
async def place(store_url: str) -> AsyncIterator[CheckEnvironment]:
    secrets: dict[str, Any] = {"slack_signing_secret": SIGNING, "zof_webhook_secret": WEBHOOK}
    async with running_bot(store_url, clock=machine_clock(), **secrets) as bot, redis.from_url(store_url) as client:
        made = CheckEnvironment(bot, client)
        await made.add_subscription("C0QA")
        await PendingRuns(Keyspace(client, "zofbot"), bot.world.clock).note_delivery()
        yield made


async def test_when_all_is_well_nothing_is_wrong(place: CheckEnvironment) -> None:
    place.set_settings(slack_app_token="xapp-simulated")
    found = await place.run_checks()
    assert {item.level for item in found} == {Level.OK}
    abouts = " ".join(item.about for item in found)
    for name in (
        *("SLACK_BOT_TOKEN", "scopes", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "clock and Slack's", "C0QA"),
        *("ZOF_API_KEY", "clock and Zof's", "redis", "redis latency", "schema", "endpoint /zof/webhook"),
    ):
        assert name in abouts
    [key] = [item.what for item in found if item.about == "ZOF_API_KEY"]
    lists = ", ".join(f"the list of {each}" for each in ("runs", "results", "projects", "schedules", "webhooks"))
    assert key == f"Can read {lists}, a run, a result."


async def test_each_missing_scope_is_named_with_what_lacks_it(place: CheckEnvironment) -> None:
    for scope, lacking in (SCOPES | LINK_SCOPES).items():
        place.slack.scopes.discard(scope)
        [found] = [check for check in await place.run_checks() if check.level is not Level.OK]
        is_optional = scope in LINK_SCOPES or scope in OPTIONAL_SCOPES
        assert (found.level, found.about) == (Level.WARNING if is_optional else Level.ERROR, f"scope {scope}")
        assert lacking in found.what
        place.slack.scopes.add(scope)


@pytest.mark.parametrize(
    ("app_token", "command"),
    [("", "`zofbot manifest --url https://your.host`"), ("xapp-simulated", "`zofbot manifest`")],
    ids=["HTTP", "Socket Mode"],
)
async def test_the_manifest_for_a_missing_scope_keeps_the_transport(
    place: CheckEnvironment, app_token: str, command: str
) -> None:
    place.set_settings(slack_app_token=app_token)
    place.slack.scopes.discard("groups:history")
    [found] = [check for check in await place.run_checks() if check.about == "scope groups:history"]
    assert found.fix == f"Update the Slack app with the output of {command}, then reinstall it."


async def test_the_scope_for_mentions_by_email_is_added_by_hand_because_no_manifest_may_have_it(
    place: CheckEnvironment,
) -> None:
    place.slack.scopes.discard("users:read.email")
    own = {"id": "s1", "channel": "C0QA", "by": "U0ANA", "created": 1.0}
    subscription = parse_filters("project:* mention:author").model_copy(update=own)
    await store_subscription(Keyspace(place.client, "zofbot"), subscription)
    [found] = [check for check in await place.run_checks() if check.level is not Level.OK]
    assert (found.level, found.about) == (Level.WARNING, "scope users:read.email")
    assert found.fix == "Add it to the bot's scopes under OAuth & Permissions of your app, then reinstall the app."


async def test_where_no_link_can_unfurl_no_scope_for_that_is_missed(place: CheckEnvironment) -> None:
    place.slack.scopes -= set(LINK_SCOPES)
    place.set_settings(zof_result_url_template="", zof_run_url_template="")
    assert await place.wrong_findings() == []


def other_token(place: CheckEnvironment) -> None:
    place.slack.bot_token = "xoxb-renewed"


def no_token(place: CheckEnvironment) -> None:
    place.set_settings(slack_bot_token="")


def app_token_for_bot(place: CheckEnvironment) -> None:
    place.set_settings(slack_bot_token=place.slack.app_token)


def wrong_app_token(place: CheckEnvironment) -> None:
    place.set_settings(slack_app_token="xapp-revoked")


def bot_token_for_app(place: CheckEnvironment) -> None:
    place.set_settings(slack_app_token=place.slack.bot_token)


def app_token_may_nothing(place: CheckEnvironment) -> None:
    place.set_settings(slack_app_token=place.slack.app_token)
    place.slack.app_scopes.clear()


def no_signing_secret(place: CheckEnvironment) -> None:
    place.set_settings(slack_signing_secret="")


def odd_signing_secret(place: CheckEnvironment) -> None:
    place.set_settings(slack_signing_secret="copied-the-wrong-thing")


def token_for_signing_secret(place: CheckEnvironment) -> None:
    place.set_settings(slack_signing_secret="xoxb-copied-the-wrong-thing")


def slack_says(fault: str, only: str = "") -> Callable[[CheckEnvironment], None]:
    def broken(place: CheckEnvironment) -> None:
        place.set_settings(slack_app_token=place.slack.app_token)
        place.slack.faults.set_fault(fault, only=only)

    return broken


def set_unreachable(**settings: str) -> Callable[[CheckEnvironment], None]:
    return lambda place: place.set_settings(**settings)


def archive_channel(place: CheckEnvironment) -> None:
    place.slack.channels["C0QA"].archived = True


def make_external(place: CheckEnvironment) -> None:
    place.slack.channels["C0QA"].external = True


def remove_bot(place: CheckEnvironment) -> None:
    place.slack.channels["C0QA"].pending = True


def remove_subscriber(place: CheckEnvironment) -> None:
    place.slack.channels["C0QA"].members.discard(BOT_USER_ID)


def make_private(place: CheckEnvironment) -> None:
    place.slack.channels["C0QA"].private = True
    remove_subscriber(place)


def no_default_channel(place: CheckEnvironment) -> None:
    place.set_settings(zofbot_default_channel="C0NOWHERE")


def no_cage(place: CheckEnvironment) -> None:
    place.set_settings(zofbot_canary_channel="C0NOWHERE")


def no_key(place: CheckEnvironment) -> None:
    place.set_settings(zof_api_key="")


def old_key(place: CheckEnvironment) -> None:
    place.zof.key = "renewed-key-of-zof"


def zof_says(fault: str, only: str = "") -> Callable[[CheckEnvironment], None]:
    return lambda place: place.zof.faults.set_fault(fault, only=only)


def make_fast(place: CheckEnvironment) -> None:
    place.ahead = 60


def far_off(place: CheckEnvironment) -> None:
    place.ahead = -400


def far_off_in_socket_mode(place: CheckEnvironment) -> None:
    place.ahead = -400
    place.set_settings(slack_app_token=place.slack.app_token)


def door_elsewhere(place: CheckEnvironment) -> None:
    place.url = place.bot.simulator.url


def door_closed(place: CheckEnvironment) -> None:
    place.url = "http://127.0.0.1:9"


QA = "channel C0QA (#qa-alerts)"
BREAKS: list[tuple[Callable[[CheckEnvironment], None], Wrong]] = [
    (other_token, [("error", "SLACK_BOT_TOKEN")]),
    (no_token, [("error", "SLACK_BOT_TOKEN")]),
    (app_token_for_bot, [("error", "SLACK_BOT_TOKEN")]),
    (wrong_app_token, [("error", "SLACK_APP_TOKEN")]),
    (bot_token_for_app, [("error", "SLACK_APP_TOKEN")]),
    (app_token_may_nothing, [("error", "SLACK_APP_TOKEN")]),
    (no_signing_secret, [("error", "SLACK_SIGNING_SECRET")]),
    (odd_signing_secret, [("warning", "SLACK_SIGNING_SECRET")]),
    (token_for_signing_secret, [("error", "SLACK_SIGNING_SECRET")]),
    (slack_says("cut"), [("error", "slack")]),
    (slack_says("502"), [("error", "slack")]),
    (slack_says("429"), [("warning", "slack")]),
    (slack_says("429", "conversations.info"), [("warning", "slack")]),
    (set_unreachable(slack_api_url="http://127.0.0.1:9/api/"), [("error", "slack")]),
    (archive_channel, [("error", QA)]),
    (make_external, [("warning", QA)]),
    (remove_bot, [("warning", QA)]),
    (remove_subscriber, [("warning", QA)]),
    (make_private, [("error", "channel C0QA")]),
    (no_default_channel, [("error", "channel C0NOWHERE")]),
    (no_cage, [("error", "channel C0NOWHERE")]),
    (no_key, [("error", "ZOF_API_KEY")]),
    (old_key, [("error", "ZOF_API_KEY")]),
    (zof_says("403", "/runs"), [("error", "zof: the list of runs")]),
    (zof_says("403", "/results/"), [("error", "zof: a result")]),
    (zof_says("html"), [("error", "ZOF_BASE_URL")]),
    (set_unreachable(zof_base_url="http://127.0.0.1:9/v1"), [("error", "zof")]),
    (set_unreachable(zof_base_url="https://api.zof.ai/v1?key=1"), [("error", "zof")]),
    (make_fast, [("warning", "clock and Slack's"), ("warning", "clock and Zof's")]),
    (far_off, [("error", "clock and Slack's"), ("warning", "clock and Zof's")]),
    (far_off_in_socket_mode, [("warning", "clock and Slack's"), ("warning", "clock and Zof's")]),
    (set_unreachable(redis_url="redis://127.0.0.1:9"), [("error", "redis")]),
    (set_unreachable(redis_url="unix:///nowhere/valkey.sock"), [("error", "redis")]),
    (door_elsewhere, [("error", "endpoint /slack/events"), ("error", "endpoint /zof/webhook")]),
    (door_closed, [("error", "endpoint /slack/events"), ("error", "endpoint /zof/webhook")]),
]


@pytest.mark.parametrize(("broken", "found"), BREAKS, ids=lambda item: getattr(item, "__name__", ""))
async def test_what_is_broken_is_found_and_nothing_else(
    place: CheckEnvironment, broken: Callable[[CheckEnvironment], None], found: Wrong
) -> None:
    place.seconds = 10.0  # no test is timed: machines that test are busy
    broken(place)
    assert await place.wrong_findings() == found


@pytest.mark.parametrize(
    ("setting", "bad", "found"),
    [("maxmemory-policy", "allkeys-lru", [("warning", "redis eviction")]),
     ("appendonly", "no", [("warning", "redis persistence")]),
     ("maxmemory", "1mb", [("warning", "redis memory"), ("error", "redis writes")])],
)  # fmt: skip
async def test_a_redis_that_would_lose_keys_is_found(
    place: CheckEnvironment, setting: str, bad: str, found: Wrong
) -> None:
    good = str((await place.client.config_get(setting))[setting])
    await place.client.config_set(setting, bad)
    try:
        assert await place.wrong_findings() == found
    finally:
        await place.client.config_set(setting, good)


@pytest.mark.parametrize("late", [0.06, 0.18])
async def test_a_far_away_redis_is_found(place: CheckEnvironment, store_url: str, late: float) -> None:
    async with slow_proxy(store_url.removeprefix("unix://"), late) as url:
        place.set_settings(redis_url=url)
        assert await place.wrong_findings() == [("warning", "redis latency")]


async def test_a_redis_that_was_late_once_is_asked_once_more(place: CheckEnvironment, store_url: str) -> None:
    async with slow_proxy(store_url.removeprefix("unix://"), 2 * MAX_REDIS_SECONDS, 0.0) as url:
        place.set_settings(redis_url=url)
        assert "redis" not in [about for _, about in await place.wrong_findings()]


async def test_a_record_that_cannot_be_read_is_found(place: CheckEnvironment) -> None:
    await place.client.hset("{zofbot}:subscriptions", "odd", "{")
    assert await place.wrong_findings() == [("error", "subscription odd")]


async def test_what_a_newer_version_wrote_is_found(place: CheckEnvironment) -> None:
    newer = {"id": "s9", "channel": "C0QA", "schema": 99}
    await place.client.hset("{zofbot}:subscriptions", "s9", json.dumps(newer))
    assert await place.wrong_findings() == [("error", "subscription s9")]


async def test_a_notification_for_newer_workers_is_found(place: CheckEnvironment) -> None:
    note = Notification(key="k", kind=NotificationKind.ROOT, channel="C0QA", body={}, happened=1.0, schema=99)
    await Outbox(Keyspace(place.client, "zofbot"), Clock()).commit([note])
    assert await place.wrong_findings() == [("error", "schema")]


async def test_a_store_that_a_newer_version_has_taken_over_is_found(place: CheckEnvironment) -> None:
    await claim_schema(Keyspace(place.client, "zofbot"), 99)
    assert await place.wrong_findings() == [("error", "schema")]


async def test_where_nothing_is_subscribed_nothing_is_asked_of_channels(place: CheckEnvironment) -> None:
    await remove_subscription(Keyspace(place.client, "zofbot"), "s1")
    assert await place.wrong_findings() == []
    assert not [call for call in place.slack.calls if call.method == "conversations.info"]


async def test_of_many_channels_no_more_are_asked_about_than_slack_answers(place: CheckEnvironment) -> None:
    for number in range(60):
        await place.add_subscription(f"C0MANY{number}", f"m{number}")
    found = await place.run_checks()
    assert len([call for call in place.slack.calls if call.method == "conversations.info"]) == 40
    assert [item.what for item in found if item.about == "channels"] == [
        "21 more not checked, because of Slack's rate limits."
    ]


async def test_of_many_people_no_more_are_asked_about_than_slack_answers_and_the_rest_are_counted(
    place: CheckEnvironment,
) -> None:
    people = [f"U0MANY{number}" for number in range(99)]
    for person in people:
        place.slack.users[person] = User(person, person.lower(), person, "Europe/Berlin")
    place.set_settings(zofbot_responders=",".join(people))
    omitted = "40 more not checked, because of Slack's rate limits."
    [known, rest] = [item.what for item in await place.run_checks() if item.about == "people"]
    assert known == "Slack knows the 60 IDs of people and groups checked."
    assert rest == omitted
    del place.slack.users[people[0]]
    found = [item for item in await place.run_checks() if item.about.startswith(("people", "ZOFBOT_RESPONDERS"))]
    assert [item.about for item in found] == [f"ZOFBOT_RESPONDERS: {people[0]}", "people"]
    assert found[-1].what == omitted


async def test_without_an_address_the_doors_are_not_tried_and_why_is_said(place: CheckEnvironment) -> None:
    place.url = ""
    [doors] = [check for check in await place.run_checks() if check.about == "endpoints"]
    assert doors.level is Level.OK
    assert "--url" in doors.what


async def test_an_endpoint_of_a_bot_that_was_started_without_its_secret_is_told_apart(store_url: str) -> None:
    async with running_bot(store_url, slack_signing_secret=SIGNING) as bot, redis.from_url(store_url) as client:
        place = CheckEnvironment(bot, client)
        place.set_settings(zof_webhook_secret=WEBHOOK)
        [found] = [item for item in await place.run_checks() if item.about == "endpoint /zof/webhook"]
    assert found.what.endswith(" (HTTP 404), or zofbot was started without ZOF_WEBHOOK_SECRET.")
    assert found.fix.startswith("Have the proxy forward /zof/webhook ")
    assert found.fix.endswith(", or restart zofbot with ZOF_WEBHOOK_SECRET.")


async def test_with_no_secret_for_webhooks_and_socket_mode_no_door_is_needed(place: CheckEnvironment) -> None:
    place.set_settings(slack_app_token=place.slack.app_token, zof_webhook_secret="")
    [doors] = [check for check in await place.run_checks() if check.about == "endpoints"]
    assert "None needed" in doors.what


async def test_nothing_answers_at_all_and_it_still_ends_within_seconds(place: CheckEnvironment) -> None:
    async with silent_server() as port:
        place.set_settings(
            slack_api_url=f"http://127.0.0.1:{port}/api/",
            slack_app_token=place.slack.app_token,
            zof_base_url=f"http://127.0.0.1:{port}/v1",
            redis_url=f"redis://127.0.0.1:{port}",
        )
        place.url = f"http://127.0.0.1:{port}"
        place.seconds = 0.5
        clock = place.bot.world.clock
        began = clock.monotonic()
        with silent_redis():
            wrong = await place.wrong_findings()
        assert clock.monotonic() - began < 4
    assert wrong == [("error", "slack"), ("error", "zof"), ("error", "redis"), ("error", "endpoint /zof/webhook")]


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """A port where connections are taken and nothing is ever said."""

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass
        writer.close()

    server = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


async def test_no_finding_shows_a_secret(place: CheckEnvironment) -> None:
    planted = {
        "slack_bot_token": "xoxb-planted-secret",
        "slack_app_token": "xapp-planted-secret",
        "slack_signing_secret": "planted-signing",
        "zof_api_key": "planted-zof-key",
        "zof_webhook_secret": "planted-webhook",
        "redis_url": "redis://user:planted-password@127.0.0.1:9",
    }
    place.set_settings(**{name: SecretStr(value) if name != "redis_url" else value for name, value in planted.items()})
    found = await place.run_checks()
    assert [item for item in found if item.level is Level.ERROR]
    assert not [item for item in found if "planted" in item.about + item.what + item.fix]


def test_where_slack_does_not_say_its_scopes_that_is_said() -> None:
    fine, scopes = slack_judgement.check_bot_token(BotIdentity("Acme", "zofbot", BOT_USER_ID, scopes=None))
    assert (fine.level, scopes.level, scopes.about) == (Level.OK, Level.WARNING, "scopes")
    assert "OAuth & Permissions" in scopes.fix


@pytest.mark.parametrize("date", ["", "soon"])
def test_a_reply_without_a_time_says_nothing_of_clocks(date: str) -> None:
    assert clock_judgement.check_clock("Slack", date, 1.0, signs=True) == []


async def test_that_a_run_may_be_started_is_said_and_never_tried(place: CheckEnvironment) -> None:
    place.set_settings(zofbot_allow_runs=True)
    [found] = [check for check in await place.run_checks() if check.about == "zof: runs by zofbot"]
    assert found.level is Level.OK
    assert found.what.startswith("Not tested")
    assert {call.method for call in place.zof.calls} == {"GET"}


def test_zofs_own_words_and_request_id_stand_in_a_finding() -> None:
    said = ZofRejected("Zof did not accept it.", "Change it.", status=400, request_id="req_1")
    [found] = zof_judgement.check_permissions({"the list of runs": said})
    assert found.what == "Zof did not accept it. (Request ID: req_1)"


def test_a_list_that_zof_does_not_return_is_a_warning_with_its_consequence() -> None:
    busy = ZofUnavailable("Zof is busy.", "Try again later.", status=503, request_id="req_1")
    fine, found = zof_judgement.check_permissions({"the list of runs": None, "the list of schedules": busy})
    assert fine.level is Level.OK
    assert (found.level, found.about) == (Level.WARNING, "zof: the list of schedules")
    assert found.what == "Zof is busy. (Request ID: req_1)"
    assert found.fix.startswith("App Home shows no scheduled runs")
    assert found.fix.endswith("Try again later.")


def test_people_are_not_called_unknown_where_slack_cannot_be_asked() -> None:
    silent = SlackDeferred("unreachable", "Slack cannot be reached.")
    person = people_judgement.check_person("U0ANA", "ZOFBOT_ADMINS", silent)
    assert people_judgement.check_groups({"S0ONCALL": "ZOFBOT_ADMINS"}, silent) == [person]
    assert person == slack_judgement.slack_unreachable(silent)


@pytest.mark.parametrize("seconds", [[0.001, 0.002, 9.0], [0.05]])
def test_one_slow_answer_is_no_slow_redis(seconds: list[float]) -> None:
    assert store_judgement.check_latency(seconds).level is Level.OK


def check_environment(place: CheckEnvironment, **more: str) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": place.slack.bot_token,
        "SLACK_SIGNING_SECRET": SIGNING,
        "SLACK_API_URL": place.settings.slack_api_url,
        "ZOF_API_KEY": place.zof.key,
        "ZOF_BASE_URL": place.settings.zof_base_url,
        "REDIS_URL": place.settings.redis_url,
    } | more


async def test_on_a_terminal_it_is_a_table_and_ends_with_nought(place: CheckEnvironment) -> None:
    ended = await run_command("check", **check_environment(place))
    assert (ended.code, ended.err) == (0, "")
    assert "0 errors, 0 warnings." in ended.out
    assert "channel C0QA (#qa-alerts)" in ended.out


async def test_an_error_is_shown_with_its_mend_as_json_and_ends_with_one(place: CheckEnvironment) -> None:
    ended = await run_command(
        "check", "--json", **check_environment(place, ZOF_API_KEY="wrong-key-of-zof", SLACK_BOT_TOKEN="")
    )
    told = json.loads(ended.out)
    assert (ended.code, ended.err, told["ok"]) == (1, "", False)
    wrong = {item["about"]: item["mend"] for item in told["findings"] if item["level"] == "error"}
    assert set(wrong) == {"SLACK_BOT_TOKEN", "ZOF_API_KEY"}
    assert "OAuth & Permissions" in wrong["SLACK_BOT_TOKEN"]
    assert "wrong-key" not in ended.out


async def test_an_address_that_slack_would_not_call_is_refused() -> None:
    assert (await run_command("check", "--url", "http://bot.example")).code == 2


@pytest.mark.parametrize(
    ("given", "level"), [("0" * 32, "ok"), (f"{'0' * 32},{'a' * 32}", "ok"), (f"{'0' * 32},odd", "warning")]
)
def test_each_of_two_signing_secrets_has_to_look_like_one(given: str, level: str) -> None:
    assert slack_judgement.check_signing_secret(Settings.model_validate({"slack_signing_secret": given})).level == level


async def test_what_others_say_of_themselves_shows_no_secret_of_ours(place: CheckEnvironment) -> None:
    place.slack.channels["C0QA"].name = f"qa {place.settings.zof_api_key.get_secret_value()}"
    assert "channel C0QA (#qa [redacted])" in [check.about for check in await place.run_checks()]
