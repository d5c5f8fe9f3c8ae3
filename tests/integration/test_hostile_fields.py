"""Each text of Zof's replies holds a mention, marks and a token in turn: what people read shows them as plain text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial, reduce
from typing import Any

import pytest

from tests.support.bot import RunningBot, running_bot, wait_until
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.odd_values import Path
from tests.support.zof_proxy import ZofProxy, zof_proxy
from zofbot.simulator.seed import ASSERTION_RESULT, LARGE_RUN
from zofbot.simulator.slack.model import PostedMessage

TOKEN = "xoxb-" + "7" * 12 + "-" + "a" * 24
HOSTILE = f"<!channel> <@U0ANA> <https://evil.example|x> *b* `c` & {TOKEN}"
IDENTIFIERS = {"id", "run_id", "test_case_id"}
"""Fields whose texts are asked for and linked as they are, a token or not."""


def text_paths(body: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the paths of the texts in a reply, with ``*`` for any item of a list."""
    if isinstance(body, dict):
        for name, inner in body.items():
            yield from text_paths(inner, (*at, name))
    elif isinstance(body, list):
        for inner in body:
            yield from text_paths(inner, (*at, "*"))
    elif isinstance(body, str):
        yield at


def replace_texts(body: Any, path: Path) -> Any:
    """Return the reply with the hostile text at a path, where it has one."""
    if not path:
        return HOSTILE if isinstance(body, str) else body
    name, *rest = path
    if name == "*" and isinstance(body, list):
        return [replace_texts(inner, tuple(rest)) for inner in body]
    if isinstance(body, dict) and name in body:
        return body | {name: replace_texts(body[name], tuple(rest))}
    return body


def mrkdwn_texts(part: Any) -> Iterator[str]:
    """Yield the texts in which Slack looks for mentions, links and marks."""
    if isinstance(part, dict):
        if part.get("type") == "mrkdwn":
            yield part["text"]
        for inner in part.values():
            yield from mrkdwn_texts(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from mrkdwn_texts(inner)


def find_hostile_texts(message: PostedMessage, path: Path) -> list[tuple[Path, str]]:
    """Return what Slack would make a mention or link of in a message, and a token anywhere in it."""
    parts = [message.blocks, message.attachments]
    raw = [text for text in (message.text, *mrkdwn_texts(parts)) for part in HOSTILE.split()[:3] if part in text]
    told = json.dumps([message.text, parts])
    return [(path, text) for text in (*raw, *([told] if TOKEN in told and path[-1] not in IDENTIFIERS else ()))]


async def find_paths(bot: RunningBot, proxy: ZofProxy, text: str) -> list[Path]:
    """Return the paths of the texts that Zof answers with when ``text`` is typed."""
    seen: set[Path] = set()

    def note_paths(body: Any) -> Any:
        seen.update(text_paths(body))
        return body

    proxy.target, proxy.change = bot.simulator.url, note_paths
    await ask(bot, text)
    return sorted(seen)


async def ask(bot: RunningBot, text: str) -> PostedMessage:
    """Type something; returns the answer once nothing more is read for it."""
    await bot.answer_text(text)
    await asyncio.sleep(5)
    return bot.private_messages("C0QA")[-1]


@pytest.mark.parametrize(
    "text",
    [
        f"result {ASSERTION_RESULT}",
        f"run {LARGE_RUN}",
        "runs",
        f"why {ASSERTION_RESULT}",
        f"why {LARGE_RUN}",
        "subscribe env:moon",
    ],
)
async def test_an_answer_shows_them_as_plain_text(text: str, store_url: str) -> None:
    async with zof_proxy() as proxy, running_bot(store_url, workers=False, zof_base_url=proxy.url) as bot:
        paths = await find_paths(bot, proxy, f"/zof {text}")
        assert len(paths) > 8
        for path in paths:
            proxy.change = partial(replace_texts, path=path)
            assert find_hostile_texts(await ask(bot, f"/zof {text}"), path) == []


async def test_alerts_and_what_is_said_of_them_later_show_them_as_plain_text(store_url: str) -> None:
    async with (
        zof_proxy() as proxy,
        running_bot(store_url, workers=True, zof_base_url=proxy.url, zof_webhook_secret=SECRET) as bot,
    ):
        paths = await find_paths(bot, proxy, f"/zof run {LARGE_RUN}")
        hostile = [path for path in paths if path[-1] not in IDENTIFIERS | {"status", "completed_at"}]
        proxy.change = lambda body: reduce(replace_texts, hostile, body)
        await bot.answer_text("/zof subscribe on:failed,error")
        run = fail_run(bot, 3)
        await post_webhook(bot, webhook_event(run["id"], "evt_1"))
        await wait_until(lambda: len(bot.public_messages()) > 1)
        for text in ("triage", "causes", "digest", "handover", "subscriptions"):
            await ask(bot, f"/zof {text}")
        said = [*bot.world.slack.ledger, *bot.private_messages("C0QA")]
        assert any("channel" in message.text for message in said)
        assert [found for message in said for found in find_hostile_texts(message, ("any",))] == []
