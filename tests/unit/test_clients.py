"""How Slack's client reads the environment: its proxies, and never a netrc file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiohttp
import pytest

from tests.support.recording_proxy import PROXY_NAMES, RecordingProxy, recording_proxy, set_proxies
from tests.support.virtual_time import test_clock
from zofbot.clients import open_slack_client
from zofbot.config.settings import Settings
from zofbot.domain.errors import SettingsError, SlackDeferred, SlackError
from zofbot.observability.emitter import EventEmitter
from zofbot.slack.client import SlackClient
from zofbot.slack.views.blocks import Message


@pytest.fixture
async def proxy() -> AsyncIterator[RecordingProxy]:
    async with recording_proxy() as proxy:
        yield proxy


def open_client(api_url: str) -> AbstractAsyncContextManager[SlackClient]:
    settings = Settings.model_validate(
        {
            "slack_bot_token": "xoxb-1-x",
            "slack_signing_secret": "secret",
            "slack_api_url": api_url,
            "zof_api_key": "zof-key",
            "redis_url": "redis://127.0.0.1:1",
        }
    )
    return open_slack_client(settings, EventEmitter(), test_clock(), deadline=5)


async def make_all_calls(slack: SlackClient, host: str) -> None:
    """Call Slack in each way there is: through its SDK, with JSON, at a response_url, and by websocket."""
    with pytest.raises(SlackError):
        await slack.identity.fetch()
    with pytest.raises(SlackError):
        await slack.post_message("C0QA", Message("Hello"), {})
    with pytest.raises(SlackError):
        await slack.respond_in_channel(f"http://{host}/response", Message("Hello"), {})
    for scheme in ("ws", "wss"):
        with pytest.raises(aiohttp.ClientError):
            await slack.connect_socket(f"{scheme}://{host}/link?ticket=1", 10)


@pytest.mark.parametrize("names", [("HTTP_PROXY", "HTTPS_PROXY"), ("ALL_PROXY",)])
async def test_every_call_goes_through_a_proxy_written_without_its_scheme(
    monkeypatch: pytest.MonkeyPatch, proxy: RecordingProxy, names: tuple[str, ...]
) -> None:
    set_proxies(monkeypatch, **dict.fromkeys(names, proxy.address))
    async with open_client("http://slack.invalid/api/") as slack:
        await make_all_calls(slack, "slack.invalid")
    assert list(dict.fromkeys(proxy.lines)) == [
        "POST http://slack.invalid/api/auth.test HTTP/1.1",
        "POST http://slack.invalid/api/chat.postMessage HTTP/1.1",
        "POST http://slack.invalid/response HTTP/1.1",
        "GET http://slack.invalid/link?ticket=1 HTTP/1.1",
        "CONNECT slack.invalid:443 HTTP/1.1",
    ]


@pytest.mark.parametrize(
    ("host", "no_proxy"),
    [
        ("slack.invalid", "slack.invalid"),
        ("slack.invalid", "10.0.0.0/8,.invalid"),
        ("127.0.0.1:9", ""),
        ("localhost:9", ""),
    ],
)
async def test_no_call_to_this_machine_or_to_what_no_proxy_names_goes_through_it(
    monkeypatch: pytest.MonkeyPatch, proxy: RecordingProxy, host: str, no_proxy: str
) -> None:
    set_proxies(monkeypatch, HTTP_PROXY=proxy.address, HTTPS_PROXY=f"http://{proxy.address}", NO_PROXY=no_proxy)
    async with open_client(f"http://{host}/api/") as slack:
        await make_all_calls(slack, host)
    assert proxy.lines == []


@pytest.mark.parametrize("entry", ["default login u password p", "machine slack.invalid login u password p"])
async def test_a_netrc_file_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entry: str) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"{entry}\n")
    netrc.chmod(0o600)
    set_proxies(monkeypatch, NETRC=str(netrc))
    async with open_client("http://slack.invalid/api/") as slack:
        with pytest.raises(SlackDeferred):
            await slack.identity.fetch()
        with pytest.raises(SlackDeferred):
            await slack.post_message("C0QA", Message("Hello"), {})


@pytest.mark.parametrize("name", PROXY_NAMES[:3])
async def test_a_proxy_that_cannot_be_used_ends_the_start_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scheme = "http" if name == "HTTP_PROXY" else "https"
    set_proxies(monkeypatch, **{name: "gopher://user:hunter2@proxy.test"})
    with pytest.raises(SettingsError, match=name) as caught:
        async with open_client(f"{scheme}://slack.invalid/api/"):
            pass
    assert "hunter2" not in str(caught.value)
