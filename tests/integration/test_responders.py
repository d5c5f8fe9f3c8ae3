"""Where only some may triage: people who lose the role while a form is open, and people without it as assignees."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot
from tests.support.triage import mention_bot, open_form, private_text, raise_alert
from zofbot.simulator.seed import ON_CALL_GROUP
from zofbot.slack.cache import FRESH_SECONDS

BEN, CHIOMA = "U0BEN", "U0CHIOMA"


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    """A bot that lets Chioma and a user group triage; Ben is in the group."""
    async with alerting_bot(store_url, zofbot_responders=f"{ON_CALL_GROUP}, {CHIOMA}") as bot:
        yield bot


def leave_group(bot: RunningBot, user: str) -> None:
    """Remove somebody from the group, and let what Slack answered before become too old."""
    bot.world.slack.groups[ON_CALL_GROUP].users.remove(user)
    bot.world.clock.advance(FRESH_SECONDS)


async def test_a_triage_form_names_whom_to_ask(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case", user=CHIOMA)
    root = await raise_alert(bot)
    view = await open_form(bot, BEN, root, "assign")
    leave_group(bot, BEN)
    themselves = {"owner": {"owner": {"type": "users_select", "selected_user": BEN}}}
    await bot.simulator.people.submit_view(BEN, view, themselves)
    [form] = bot.world.slack.modals[BEN]
    told = (form.errors or {})["owner"]
    assert told.startswith("You can't assign this failure here. Ask @oncall-checkout, @chioma.")
    assert "Acknowledged" not in text_of(root)


async def test_a_subscription_form_names_whom_to_ask(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe", user=BEN)
    await wait_until(lambda: bool(bot.world.slack.modals.get(BEN)))
    [form] = bot.world.slack.modals[BEN]
    leave_group(bot, BEN)
    await bot.simulator.people.submit_view(BEN, form.id)
    told = (form.errors or {})["project"]
    assert told.startswith("You can't subscribe this channel here. Ask @oncall-checkout, @chioma.")
    assert "No subscriptions in this channel" in await bot.answer_text("/zof subscriptions", user=BEN)


async def test_a_form_says_in_time_that_somebody_lost_their_role_while_slack_is_slow(bot: RunningBot) -> None:
    """Slack waits three seconds for the answer to a form; without names, the ids stay."""
    await bot.type_text("/zof subscribe", user=BEN)
    await wait_until(lambda: bool(bot.world.slack.modals.get(BEN)))
    [form] = bot.world.slack.modals[BEN]
    leave_group(bot, BEN)
    bot.world.slack.faults.delays["slow"] = 5.0
    bot.world.slack.faults.set_fault("slow", only="usergroups.list")
    await bot.simulator.people.submit_view(BEN, form.id)
    assert (form.errors or {})["project"].startswith("You can't subscribe this channel here. Ask <")


async def test_a_full_member_without_the_role_is_not_replaced_by_any_full_member(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case", user=CHIOMA)
    root = await raise_alert(bot)
    leave_group(bot, BEN)
    await mention_bot(bot, root, f"assign <@{BEN}>", CHIOMA)
    await wait_until(lambda: "ben isn't allowed to work on failures here." in private_text(bot, CHIOMA))
    assert "Choose someone who can triage (`ZOFBOT_RESPONDERS`)." in private_text(bot, CHIOMA)
    await mention_bot(bot, root, "assign <@U0GUEST>", CHIOMA)
    await wait_until(lambda: "Choose a full member of this workspace." in private_text(bot, CHIOMA))


@pytest.mark.parametrize("way", ["mention", "form"])
async def test_nobody_whom_slack_does_not_know_is_assigned(bot: RunningBot, way: str) -> None:
    await bot.type_text("/zof subscribe group:case", user=CHIOMA)
    root = await raise_alert(bot)
    shown = text_of(root)
    if way == "mention":
        await mention_bot(bot, root, "assign <@U0NOBODY>", CHIOMA)
        await wait_until(lambda: "Slack knows nobody with the id `U0NOBODY`." in private_text(bot, CHIOMA))
        assert "Choose someone else." in private_text(bot, CHIOMA)
    else:
        view = await open_form(bot, CHIOMA, root, "assign")
        [form] = bot.world.slack.modals[CHIOMA]
        nobody = {"owner": {"owner": {"type": "users_select", "selected_user": "U0NOBODY"}}}
        await bot.simulator.people.submit_view(CHIOMA, view, nobody)
        told = (form.errors or {})["owner"]
        assert told.startswith("Slack knows nobody with the id U0NOBODY. Choose someone else.")
    assert text_of(root) == shown


async def test_while_slack_does_not_answer_somebody_can_be_assigned(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case", user=CHIOMA)
    root = await raise_alert(bot)
    await bot.type_text("/zof triage", user=CHIOMA)
    bot.world.slack.faults.set_fault("500", only="users.info")
    await mention_bot(bot, root, "assign <@U0GUEST>", CHIOMA)
    await wait_until(lambda: "You assigned" in private_text(bot, CHIOMA))
