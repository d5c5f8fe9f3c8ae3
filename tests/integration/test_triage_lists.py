"""Acknowledging from the list of open failures, one or several, while others act on them, too."""

from __future__ import annotations

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import fail_run, post_webhook, webhook_event
from tests.support.triage import audit_entries, button_of, mention_bot, press_button, private_text
from zofbot.simulator.slack.model import PostedMessage
from zofbot.slack.views.oncall import ACKNOWLEDGE_ACTION_ID
from zofbot.store.audit import REFUSED_ACTION

ANA, BEN = "U0ANA", "U0BEN"


def list_alerts(bot: RunningBot) -> list[PostedMessage]:
    return [item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("case:")]


async def list_failures(bot: RunningBot, cases: int, user: str = ANA) -> PostedMessage:
    """Fail some cases, wait for their alerts, and return the list of them that ``user`` gets."""
    ended = fail_run(bot, cases)
    assert await post_webhook(bot, webhook_event(ended["id"], "evt_listed")) == 200
    await wait_until(lambda: len(list_alerts(bot)) == cases)
    assert f"{cases} failure" in await bot.answer_text("/zof triage", user=user)
    return bot.private_messages(user=user)[-1]


async def test_a_listed_failure_that_was_assigned_to_whoever_acknowledges_it_is_refused_aloud(
    triage_bot: RunningBot,
) -> None:
    listed = await list_failures(triage_bot, 1)
    [root] = list_alerts(triage_bot)
    await mention_bot(triage_bot, root, f"assign <@{ANA}>", BEN)
    await wait_until(lambda: "assigned to ana" in text_of(root))
    await triage_bot.press_button(listed, ACKNOWLEDGE_ACTION_ID, user=ANA)
    await wait_until(lambda: "Assigned to ana by ben" in private_text(triage_bot, ANA))
    assert "Nothing changed" in private_text(triage_bot, ANA)
    assert [entry.key for entry in await audit_entries(triage_bot, REFUSED_ACTION)] == [root.idempotency_key]


async def test_a_listed_failure_that_whoever_acknowledges_it_has_acknowledged_elsewhere_is_listed_as_theirs(
    triage_bot: RunningBot,
) -> None:
    listed = await list_failures(triage_bot, 1)
    [root] = list_alerts(triage_bot)
    await press_button(triage_bot, ANA, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "*Acknowledged* by ana" in text_of(root))
    await triage_bot.press_button(listed, ACKNOWLEDGE_ACTION_ID, user=ANA)
    await wait_until(lambda: "ana · acknowledged" in text_of(listed))
