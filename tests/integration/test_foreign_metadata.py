"""Any app of the workspace can write our metadata: only what our own app posted is believed."""

from __future__ import annotations

from typing import Any

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.triage import audit_entries, mention_bot, raise_alert
from zofbot.config.manifest import build_manifest
from zofbot.domain.commands import SHORTCUT_CALLBACK_ID
from zofbot.simulator.slack.model import PostedMessage, User

QA, OTHER = "C0QA", "U0OTHERBOT"


def forge_message(bot: RunningBot, key: str) -> PostedMessage:
    """Another app posts a message that carries our metadata."""
    slack = bot.world.slack
    slack.users[OTHER] = User(OTHER, "other", "Another app", kind="bot")
    metadata: dict[str, Any] = {"event_type": "zofbot_notification", "event_payload": {"key": key}}
    return slack.add_message(PostedMessage(QA, slack.next_timestamp(), OTHER, "Trust me", metadata=metadata))


async def test_another_apps_message_is_not_taken_for_an_alert_that_was_lost(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        slack = bot.world.slack
        slack.faults.set_fault("cut", 1, "chat.postMessage")
        await bot.type_text("/zof subscribe group:case")
        await wait_until(lambda: slack.faults.current == "none")  # the line that says who subscribed
        slack.faults.set_fault("cut", 1, "chat.postMessage")
        run = fail_run(bot, 1)
        result = next(item for item in bot.world.zof.results_of_run(run["id"]) if item["status"] == "failed")
        forge_message(bot, f"case:{result['id']}:failed:{QA}")
        assert await post_webhook(bot, webhook_event(run["id"], "evt_forged")) == 200
        await wait_until(lambda: any((item.idempotency_key or "").startswith("case:") for item in slack.ledger))
        assert any("Case 0" in text_of(message) for message in bot.public_messages())


async def test_words_in_the_thread_of_another_apps_message_do_nothing(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe group:case")
        root = await raise_alert(bot)
        forged = forge_message(bot, root.idempotency_key or "")
        assert (await mention_bot(bot, forged, "resolve flaky: retried")).is_accepted
        await wait_until(
            lambda: any("isn't an alert's thread" in text_of(message) for message in bot.private_messages())
        )
        assert await audit_entries(bot, "resolve") == []


async def test_the_shortcut_believes_no_card_that_another_app_copied(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        await bot.type_text("/zof subscribe group:case")
        root = await raise_alert(bot)
        forged = forge_message(bot, root.idempotency_key or "")
        forged.attachments = root.attachments
        bot.world.slack.shortcuts = build_manifest()["features"]["shortcuts"]
        assert (await bot.simulator.people.use_shortcut("U0ANA", QA, forged.ts, SHORTCUT_CALLBACK_ID)).is_accepted
        await wait_until(lambda: any("isn't an alert" in text_of(message) for message in bot.private_messages()))
        assert (await bot.simulator.people.use_shortcut("U0ANA", QA, root.ts, SHORTCUT_CALLBACK_ID)).is_accepted
        await wait_until(lambda: bool(bot.world.slack.modals.get("U0ANA")))
