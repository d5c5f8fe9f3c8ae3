"""Secrets that are replaced while the bot runs: each takes effect without a restart, and nothing is lost in between."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from tests.support.bot import RunningBot, running_bot, text_of, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.metric_values import metric_value
from tests.support.virtual_time import test_clock
from zofbot.clients import Clients, make_zof_client
from zofbot.config.secret_reload import SECRET_FIELDS, SecretReloader
from zofbot.config.settings import Settings, load_settings
from zofbot.container import Services
from zofbot.domain.errors import SettingsError
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.log_config import configure_logging
from zofbot.observability.trace_recorder import record_trace


class SecretFiles:
    """Settings as they stand in files that somebody changes."""

    now: Settings

    def write_files(self, **changed: str) -> None:
        self.now = self.now.model_copy(update={name: SecretStr(value) for name, value in changed.items()})

    def read_settings(self) -> Settings:
        return self.now


@pytest.fixture
async def there(store_url: str) -> AsyncIterator[tuple[RunningBot, SecretFiles]]:
    files = SecretFiles()
    async with running_bot(
        store_url,
        workers=True,
        history=False,
        read_settings=files.read_settings,
        zof_webhook_secret=SECRET,
        zofbot_poll_interval=3600,
    ) as bot:
        files.now = bot.settings
        yield bot, files


async def test_a_new_key_for_zof_is_used_by_the_next_command(there: tuple[RunningBot, SecretFiles]) -> None:
    bot, files = there
    bot.world.zof.key = "another-key-for-zof"
    assert "missing, expired or revoked" in await bot.answer_text("/zof res_4821")
    files.write_files(zof_api_key="another-key-for-zof")
    assert await bot.app.rotation.reload_once() == ["ZOF_API_KEY"]
    assert "Voucher" in await bot.answer_text("/zof res_4821")


async def test_a_new_bot_token_is_used_and_what_waited_for_it_is_sent(there: tuple[RunningBot, SecretFiles]) -> None:
    bot, files = there
    await bot.type_text("/zof subscribe project:*")
    await wait_until(lambda: any("subscribed this channel" in text_of(message) for message in bot.public_messages()))
    bot.world.slack.bot_token = "xoxb-another-token"
    assert await post_webhook(bot, webhook_event(fail_run(bot, 1)["id"], "evt_1")) == 200
    await wait_until(lambda: metric_value(bot.app.metrics, "zofbot_outbox_paused") == 1)
    assert not any("Failed: nightly cart" in text_of(message) for message in bot.public_messages())
    files.write_files(slack_bot_token="xoxb-another-token")
    assert await bot.app.rotation.reload_once() == ["SLACK_BOT_TOKEN"]
    await wait_until(lambda: any("Failed: nightly cart" in text_of(message) for message in bot.public_messages()))


async def test_what_is_signed_with_a_new_secret_counts_and_with_the_old_one_no_more(
    there: tuple[RunningBot, SecretFiles],
) -> None:
    bot, files = there
    run = fail_run(bot, 1)
    files.write_files(slack_signing_secret="another-signing-secret", zof_webhook_secret="another-webhook-secret")
    assert await bot.app.rotation.reload_once() == ["SLACK_SIGNING_SECRET", "ZOF_WEBHOOK_SECRET"]
    assert (await bot.type_text("/zof res_4821")).status == 401
    bot.world.slack.signing_secret = "another-signing-secret"
    assert (await bot.type_text("/zof res_4821")).status == 200
    assert await post_webhook(bot, webhook_event(run["id"], "evt_1")) == 401
    assert await post_webhook(bot, webhook_event(run["id"], "evt_1"), secret="another-webhook-secret") == 200


async def test_a_new_token_for_sockets_is_used_when_slack_wants_another_connection(store_url: str) -> None:
    files = SecretFiles()
    async with running_bot(store_url, socket=True, read_settings=files.read_settings) as bot:
        files.now = bot.settings
        bot.world.slack.app_token = "xapp-another-token"
        files.write_files(slack_app_token="xapp-another-token")
        assert await bot.app.rotation.reload_once() == ["SLACK_APP_TOKEN"]
        await bot.simulator.sockets.refresh_connections()
        await wait_until(lambda: bool(bot.world.slack.lines))
        assert "Voucher" in await bot.answer_text("/zof res_4821")


async def test_a_new_secret_is_kept_out_of_traces(there: tuple[RunningBot, SecretFiles]) -> None:
    bot, files = there
    events = EventEmitter()
    zof = make_zof_client(files.now, events, test_clock())
    rooms = Services(files.now, Clients(bot.app.store, zof, bot.app.notifier), events, test_clock())
    files.write_files(zof_api_key="another-key-for-zof")
    rooms.use_secrets(files.now)
    with record_trace(rooms.traces.add_trace, "request", test_clock(), "req_1") as made:
        made.add_step("zof", "asked", "came", True, (), {"id": "another-key-for-zof"})
    [kept] = await rooms.traces.find_traces("req_1")
    assert "another-key-for-zof" not in kept.model_dump_json()
    assert "[redacted]" in kept.model_dump_json()
    await rooms.zof.aclose()


# --- and by itself


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    before, level, config = root.handlers[:], root.level, structlog.get_config()
    configure_logging("json", "info", (), stream)
    yield stream
    root.handlers[:], root.level = before, level
    structlog.configure(**config)


@dataclass
class TakenSettings:
    keys: list[str] = field(default_factory=list)

    def take_settings(self, fresh: Settings) -> None:
        structlog.get_logger().info("taken", key=fresh.zof_api_key.get_secret_value())
        self.keys.append(fresh.zof_api_key.get_secret_value())


async def test_files_are_looked_at_and_a_new_secret_reaches_no_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: io.StringIO
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ZOFBOT_SECRETS_DIR", str(tmp_path))
    file, taken = tmp_path / "ZOF_API_KEY", TakenSettings()
    file.write_text("the-first-key")
    rotation = SecretReloader(
        load_settings("ZOF_API_KEY"), lambda: load_settings("ZOF_API_KEY"), test_clock(), every=0.01
    )
    rotation.add_callbacks(taken.take_settings)
    watching = asyncio.create_task(rotation.run())
    await asyncio.sleep(0.05)
    assert taken.keys == []
    file.write_text("the-second-key")
    await wait_until(lambda: taken.keys == ["the-second-key"])
    file.write_text("")
    await wait_until(lambda: "the old ones stay" in log.getvalue())
    await asyncio.sleep(0.05)
    watching.cancel()
    assert taken.keys == ["the-second-key"]
    assert log.getvalue().count("the old ones stay") == 1, "said once"
    assert "ZOF_API_KEY is not set" in log.getvalue()
    assert "secrets replaced" in log.getvalue()
    assert "the-second-key" not in log.getvalue()


async def test_a_file_that_cannot_be_read_changes_nothing_until_it_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: io.StringIO
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ZOFBOT_SECRETS_DIR", str(tmp_path))
    file, taken = tmp_path / "ZOF_API_KEY", TakenSettings()
    file.write_text("the-first-key")
    rotation = SecretReloader(load_settings(), load_settings, test_clock(), every=0.01)
    rotation.add_callbacks(taken.take_settings)
    watching = asyncio.create_task(rotation.run())
    file.write_bytes("the-second-key".encode("utf-16"))
    await wait_until(lambda: "ZOF_API_KEY is wrong: the secret file is not UTF-8 text" in log.getvalue())
    assert not watching.done()
    assert taken.keys == []
    file.write_text("the-third-key")
    await wait_until(lambda: taken.keys == ["the-third-key"])
    watching.cancel()


async def test_a_mistake_that_is_mended_and_made_again_is_said_again(log: io.StringIO) -> None:
    plain = Settings.model_validate({})
    answers: list[Any] = [SettingsError(["A is wrong."]), plain, SettingsError(["A is wrong."])]

    def reread() -> Settings:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return plain

    rotation = SecretReloader(plain, reread, test_clock())
    assert [await rotation.reload_once() for _ in range(3)] == [[], [], []]
    assert log.getvalue().count("the old ones stay") == 2


async def test_a_secret_that_was_empty_at_the_start_is_said_to_need_a_restart(store_url: str, log: io.StringIO) -> None:
    files = SecretFiles()
    async with running_bot(store_url, read_settings=files.read_settings) as bot:
        files.now = bot.settings
        for secret in ("a-webhook-secret", "another-webhook-secret"):
            files.write_files(zof_webhook_secret=secret, zof_api_key=f"a-key-beside-{secret}")
            assert await bot.app.rotation.reload_once() == ["ZOF_API_KEY", "ZOF_WEBHOOK_SECRET"]
            assert await post_webhook(bot, webhook_event("run_1", "evt_1"), secret=secret) == 404
    lines = [json.loads(line) for line in log.getvalue().splitlines() if "secret" in line]
    assert [(line["event"], line["names"]) for line in lines] == [
        ("secrets replaced", ["ZOF_API_KEY"]),
        ("secrets were empty at the start, restart zofbot to use them", ["ZOF_WEBHOOK_SECRET"]),
    ] * 2


def test_every_secret_is_watched() -> None:
    assert {name.upper() for name in SECRET_FIELDS} == {
        "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN", "ZOF_API_KEY", "ZOF_WEBHOOK_SECRET",
        "ZOF_WEBHOOK_SECRET_PREVIOUS",
    }  # fmt: skip
