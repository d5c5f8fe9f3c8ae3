"""``zofbot webhook``: our endpoint is registered once, tried, and what arrived is said; no secret is shown."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.support.bot import RunningBot, running_bot, wait_until
from tests.support.cli import run_command
from tests.support.failing_runs import SECRET, fail_run
from zofbot.cli.webhook import (
    SigningSecret,
    endpoint_address,
    print_endpoints,
    read_endpoints,
    read_secret,
    register_endpoint,
)
from zofbot.clients import make_zof_client
from zofbot.config.settings import Settings
from zofbot.domain.errors import BadInput, ZofbotError, ZofRejected
from zofbot.domain.model import Endpoint
from zofbot.observability.emitter import EventEmitter
from zofbot.store.webhook_trials import TRIAL_KEY, WebhookTrials
from zofbot.zof.client import ZofClient

URL = "https://bot.example/zof/webhook"
OURS = SigningSecret(SECRET)


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    """A bot that takes webhooks, at a public address."""
    async with running_bot(store_url, zof_webhook_secret=SECRET) as bot:
        bot.world.zof.webhooks.hosts["bot.example"] = bot.app.url
        yield bot


@pytest.fixture
async def client(bot: RunningBot) -> AsyncIterator[ZofClient]:
    made = make_zof_client(bot.settings, EventEmitter(), bot.world.clock)
    yield made
    await made.aclose()


async def install_webhook(bot: RunningBot, client: ZofClient, secret: SigningSecret = OURS) -> None:
    trials = WebhookTrials(bot.app.store.keyspace, bot.world.clock)
    await register_endpoint(client, trials, URL, secret, bot.world.clock)


@pytest.mark.parametrize(("generation", "envelope"), [("current", "the current"), ("older", "the older")])
async def test_the_endpoint_is_registered_and_the_sample_that_arrived_is_described(
    bot: RunningBot, client: ZofClient, capsys: pytest.CaptureFixture[str], generation: str, envelope: str
) -> None:
    bot.world.zof.webhooks.set_options(generation=generation)
    await install_webhook(bot, client)
    [endpoint] = bot.world.zof.webhooks.endpoints.values()
    assert (endpoint.url, endpoint.secret) == (URL, SECRET)
    assert {"run.completed", "run.failed", "release.gate_blocked"} <= set(endpoint.events)
    printed = capsys.readouterr().out
    assert f"Registered {URL} at Zof as {endpoint.id}" in printed
    assert f"arrived: `run.completed`, signed in X-Zof-Signature, in {envelope} envelope." in printed
    assert SECRET not in printed


async def test_a_sample_of_a_type_that_zofbot_ignores_has_arrived_as_well(
    bot: RunningBot, client: ZofClient, capsys: pytest.CaptureFixture[str]
) -> None:
    bot.world.zof.webhooks.sample = "webhook.test"
    await install_webhook(bot, client)
    assert "arrived: `webhook.test`, signed in X-Zof-Signature" in capsys.readouterr().out


async def test_what_is_registered_is_sent_what_happens(bot: RunningBot, client: ZofClient) -> None:
    await install_webhook(bot, client)
    run = fail_run(bot)
    sent = bot.world.zof.webhooks.sent
    await wait_until(lambda: [each.type for each in sent] == ["run.completed", "run.completed", "run.failed"])
    assert {each.status for each in sent} == {200}
    assert await bot.app.store.client.hexists("{zofbot}:hints", run["id"])


async def test_a_second_install_registers_nothing_twice_and_tries_again(
    bot: RunningBot, client: ZofClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await install_webhook(bot, client)
    await install_webhook(bot, client)
    assert len(bot.world.zof.webhooks.endpoints) == 1
    printed = capsys.readouterr().out
    assert printed.count("sample delivery arrived") == 2
    assert "is already registered at Zof" in printed


async def test_another_header_is_found_by_its_name(bot: RunningBot, client: ZofClient) -> None:
    bot.world.zof.webhooks.header = "X-Zof-Signature-256"
    with pytest.raises(ZofbotError, match="Its headers: X-Zof-Signature-256") as failed:
        await install_webhook(bot, client)
    assert "ZOF_SIGNATURE_HEADER" in failed.value.next_step


async def test_another_secret_is_said_and_not_shown(bot: RunningBot, client: ZofClient) -> None:
    with pytest.raises(ZofbotError, match="made with another secret") as failed:
        await install_webhook(bot, client, SigningSecret("quite-another-secret"))
    assert "quite-another" not in f"{failed.value.sentence} {failed.value.next_step}"


async def test_where_nothing_arrives_it_ends_with_what_to_look_at(bot: RunningBot, client: ZofClient) -> None:
    bot.world.zof.webhooks.hosts["bot.example"] = "http://127.0.0.1:9"
    before = bot.world.clock.monotonic()
    with pytest.raises(ZofbotError, match="did not arrive within 15 s") as failed:
        await install_webhook(bot, client)
    assert bot.world.clock.monotonic() - before < 30
    assert "ZOF_WEBHOOK_SECRET" in failed.value.next_step


async def test_a_secret_that_zof_chooses_goes_into_the_file_and_nowhere_else(
    bot: RunningBot, client: ZofClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bot.world.zof.webhooks.chooses_secrets = True
    with pytest.raises(ZofbotError, match="returns only once"):
        await install_webhook(bot, client)
    bot.world.zof.webhooks.endpoints.clear()
    file = tmp_path / "ZOF_WEBHOOK_SECRET"
    with pytest.raises(ZofbotError, match="made with another secret"):
        await install_webhook(bot, client, read_secret(bot.settings, file))
    [endpoint] = bot.world.zof.webhooks.endpoints.values()
    assert file.read_text().strip() == endpoint.secret
    assert file.stat().st_mode & 0o777 == 0o600
    assert endpoint.secret not in capsys.readouterr().out


async def test_a_secret_that_cannot_be_saved_ends_with_the_endpoint_to_remove(
    bot: RunningBot, client: ZofClient, tmp_path: Path
) -> None:
    bot.world.zof.webhooks.chooses_secrets = True
    file = tmp_path / "F"
    secret = read_secret(bot.settings, file)
    (tmp_path / "F.previous").mkdir()
    with pytest.raises(ZofbotError, match="cannot be saved") as failed:
        await install_webhook(bot, client, secret)
    [endpoint] = bot.world.zof.webhooks.endpoints.values()
    assert failed.value.next_step == f"Remove {endpoint.id} in Zof's console, then run this again."
    assert read_secret(bot.settings, file) == secret
    assert sorted(os.listdir(tmp_path)) == ["F", "F.previous"]
    (tmp_path / "F.previous").rmdir()
    bot.world.zof.webhooks.endpoints.clear()
    with pytest.raises(ZofbotError, match="made with another secret"):
        await install_webhook(bot, client, secret)
    [endpoint] = bot.world.zof.webhooks.endpoints.values()
    assert file.read_text().strip() == endpoint.secret


async def test_nothing_is_registered_where_no_secret_could_be_saved(
    bot: RunningBot, client: ZofClient, tmp_path: Path
) -> None:
    secret = read_secret(bot.settings, tmp_path / "F")
    left = tmp_path / "F.new"
    left.write_text("the secret of an install that was killed")
    with pytest.raises(BadInput, match=r"Cannot create \S+/F\.new \(File exists\)"):
        await install_webhook(bot, client, secret)
    assert not bot.world.zof.webhooks.endpoints
    assert left.read_text() == "the secret of an install that was killed"


async def test_a_file_whose_secret_zof_accepts_stays_alone(bot: RunningBot, client: ZofClient, tmp_path: Path) -> None:
    file = tmp_path / "F"
    file.write_text(f"{SECRET}\n")
    await install_webhook(bot, client, read_secret(bot.settings, file))
    assert os.listdir(tmp_path) == ["F"]
    assert file.read_text().strip() == SECRET


async def test_a_key_that_may_not_manage_webhooks_is_told_which_permission_it_lacks(
    bot: RunningBot, client: ZofClient
) -> None:
    bot.world.zof.forbidden = {"webhooks"}
    with pytest.raises(ZofRejected, match="lacks the permission `webhooks:manage`") as refused:
        await install_webhook(bot, client)
    assert refused.value.request_id


async def test_without_a_trial_nothing_of_a_delivery_is_kept(bot: RunningBot, client: ZofClient) -> None:
    await install_webhook(bot, client)
    store = bot.app.store.client
    await store.delete("{zofbot}:webhook_arrived", f"{{zofbot}}:{TRIAL_KEY}")
    await bot.world.clock.sleep(2)
    fail_run(bot)
    await wait_until(lambda: len(bot.world.zof.webhooks.sent) == 3)
    assert not await store.exists("{zofbot}:webhook_arrived")


async def test_endpoints_are_listed_without_their_secrets(bot: RunningBot, client: ZofClient) -> None:
    await install_webhook(bot, client)
    [endpoint] = await read_endpoints(client)
    assert (endpoint.url, endpoint.status, endpoint.secret) == (URL, "enabled", None)
    assert "run.failed" in endpoint.events


async def test_the_commands_do_it_from_the_terminal(bot: RunningBot) -> None:
    zof, settings = bot.world.zof, bot.settings
    env = {"ZOF_API_KEY": zof.key, "ZOF_BASE_URL": settings.zof_base_url, "REDIS_URL": settings.redis_url}
    ended = await run_command("webhook", "install", "--url", "https://bot.example", ZOF_WEBHOOK_SECRET=SECRET, **env)
    assert (ended.code, ended.err) == (0, "")
    assert "sample delivery arrived" in ended.out
    listed = await run_command("webhook", "list", "--json", **env)
    assert [each["url"] for each in json.loads(listed.out)] == [URL]
    zof.forbidden = {"webhooks"}
    refused = await run_command("webhook", "list", **env)
    assert refused.code == 1
    assert "lacks the permission `webhooks:manage`" in refused.err
    assert "Request ID: req_" in refused.err


# --- wrong use


@pytest.mark.parametrize(
    "url",
    ["http://bot.example", "bot.example", "https://", "https://me:pw@bot.example", "https://bot.example?x=1",
     "https://bot.example/#x", "https://bot.example:0", "https://[::1", "ftp://bot.example"],
)  # fmt: skip
def test_an_address_that_zof_could_not_call_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="--url must be a public https URL"):
        endpoint_address(url)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://bot.example", URL),
        (" https://bot.example/ ", URL),
        (URL, URL),
        ("https://bot.example/zofbot", "https://bot.example/zofbot/zof/webhook"),
    ],
)
def test_the_path_of_the_endpoint_is_added(url: str, address: str) -> None:
    assert endpoint_address(url) == address


def test_a_secret_file_is_read_or_made_and_an_unusable_one_is_refused(tmp_path: Path) -> None:
    settings = Settings.model_validate({})
    file = tmp_path / "secret"
    made = read_secret(settings, file)
    assert read_secret(settings, file) == made
    assert len(made.value) >= 32
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(made.value, encoding="utf-8-sig")
    assert read_secret(settings, file) == made
    file.write_text("\n")
    with pytest.raises(BadInput, match="is empty"):
        read_secret(settings, file)
    for wrong in (tmp_path, tmp_path / "nowhere" / "secret"):
        with pytest.raises(BadInput, match="Cannot use --secret-file"):
            read_secret(settings, wrong)
    with pytest.raises(BadInput, match="no secret"):
        read_secret(settings, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["webhook", "install", "--url", "http://bot.example"], "zofbot: --url must be a public https URL"),
        (["webhook", "install", "--url", "https://bot.example"], "zofbot: There is no secret for Zof to sign with."),
        (["webhook", "install"], "Missing option '--url'"),
        (["webhook", "lits"], "No such command 'lits'"),
    ],
)
async def test_wrong_use_is_a_sentence_and_exit_2(arguments: list[str], said: str) -> None:
    ended = await run_command(*arguments, ZOF_API_KEY="key-of-zof")
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


async def test_without_a_key_the_variable_is_named() -> None:
    ended = await run_command("webhook", "list")
    assert ended.code == 2
    assert "ZOF_API_KEY" in ended.err


def test_what_zof_calls_its_endpoints_is_made_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = Endpoint(id="wh_1", url="https://x/\x1b[31m\u202e", events=("a\x07",), secret=SecretStr("s3cret"))
    print_endpoints([hostile], as_json=False)
    print_endpoints([hostile], as_json=True)
    print_endpoints([], as_json=False)
    printed = capsys.readouterr().out
    assert not {"\x1b", "\u202e", "\x07"} & set(printed)
    assert "s3cret" not in printed
    assert '"id": "wh_1"' in printed
    assert "No endpoints." in printed
