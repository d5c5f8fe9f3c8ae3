"""A private message whose answer was lost: looked for in the person's direct messages, and there once."""

from __future__ import annotations

import pytest

from tests.support.bot import RunningBot, running_bot, wait_until
from zofbot.config.manifest import SCOPES
from zofbot.notifications.notification import Notification, NotificationKind
from zofbot.simulator.slack import web_api
from zofbot.slack.views import channel_notes

pytestmark = pytest.mark.anyio


def private_notification(bot: RunningBot, key: str) -> Notification:
    now = bot.world.clock.time()
    return Notification(
        key=f"parked:{key}:U0ANA",
        kind=NotificationKind.ROOT,
        channel="U0ANA",
        body=channel_notes.note_payload(key),
        happened=now,
    )


def direct_messages(bot: RunningBot) -> list[str]:
    return [message.text for message in bot.public_messages("D0ANA")]


@pytest.mark.parametrize("fault", ["store_then_cut", "store_then_500"])
async def test_a_private_message_whose_answer_was_lost_is_found_in_the_direct_messages(
    store_url: str, fault: str
) -> None:
    async with running_bot(store_url, workers=True, history=False, zofbot_poll_interval=3600) as bot:
        bot.world.slack.scopes = set(SCOPES)
        bot.world.slack.faults.set_fault(fault, 1, "chat.postMessage")
        await bot.app.outbox.commit([private_notification(bot, "first")])
        await wait_until(lambda: bool(direct_messages(bot)))

        async def is_settled() -> bool:
            depth = await bot.app.outbox.read_stats()
            return depth.pending == depth.sending == 0

        await wait_until(is_settled)
        assert (await bot.app.outbox.read_stats()).parked == 0
        await bot.app.outbox.commit([private_notification(bot, "second")])
        await wait_until(lambda: "second" in direct_messages(bot))
        assert direct_messages(bot) == ["first", "second"]


async def test_direct_messages_are_opened_once_for_each_person(store_url: str) -> None:
    async with running_bot(store_url) as bot:
        notifier, since = bot.app.notifier, bot.world.clock.time() - 60
        assert await notifier.find_message("U0ANA", "absent", since) is None
        assert await notifier.find_message("U0ANA", "absent", since) is None
        asked = [call.channel for call in bot.world.slack.calls if call.method == "conversations.history"]
        opened = [call for call in bot.world.slack.calls if call.method == "conversations.open"]
        assert asked == ["D0ANA", "D0ANA"]
        assert len(opened) == 1


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("conversations.history", {}),
        ("conversations.replies", {"ts": "1.000001"}),
        ("conversations.info", {}),
        ("chat.update", {"ts": "1.000001", "text": "x"}),
        ("chat.delete", {"ts": "1.000001"}),
        ("chat.postEphemeral", {"user": "U0ANA", "text": "x"}),
        ("chat.getPermalink", {"message_ts": "1.000001"}),
    ],
)
async def test_the_simulated_slack_takes_a_persons_id_for_posting_only(
    bot: RunningBot, method: str, more: dict[str, str]
) -> None:
    workspace = bot.world.slack
    token = workspace.bot_token
    assert web_api.answer_call(workspace, "chat.postMessage", token, {"channel": "U0ANA", "text": "x"}).body["ok"]
    refused = web_api.answer_call(workspace, method, token, {"channel": "U0ANA", **more})
    assert refused.body == {"ok": False, "error": "channel_not_found"}
