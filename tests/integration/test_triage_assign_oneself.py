"""Assigning a failure to oneself: an acknowledgement, except where that would end a snooze."""

from __future__ import annotations

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.triage import audit_entries, mention_bot, open_form, private_text, raise_alert, thread_of

ANA, BEN = "U0ANA", "U0BEN"


@pytest.mark.parametrize("by_form", [False, True], ids=["by words", "by form"])
async def test_a_snooze_outlasts_that_somebody_assigns_it_to_themselves(triage_bot: RunningBot, by_form: bool) -> None:
    root = await raise_alert(triage_bot)
    await mention_bot(triage_bot, root, "snooze 2d", BEN)
    await wait_until(lambda: "*Snoozed* by ben" in text_of(root))
    if by_form:
        view = await open_form(triage_bot, ANA, root, "assign")
        themselves = {"owner": {"owner": {"type": "users_select", "selected_user": ANA}}}
        await triage_bot.simulator.people.submit_view(ANA, view, themselves)
    else:
        await mention_bot(triage_bot, root, "assign me")
    await wait_until(lambda: "assigned to ana" in text_of(root))
    assert "*Snoozed* by ben" in text_of(root)
    await wait_until(lambda: "👤 ana assigned this to themselves" in thread_of(triage_bot, root))
    await wait_until(lambda: "You assigned Case 0 (proj_checkout, staging) to ana." in private_text(triage_bot, ANA))


@pytest.mark.parametrize("before", ["", "ack"])
async def test_whoever_assigns_an_open_failure_to_themselves_acknowledges_it(
    triage_bot: RunningBot, before: str
) -> None:
    root = await raise_alert(triage_bot)
    if before:
        await mention_bot(triage_bot, root, before, BEN)
        await wait_until(lambda: "*Acknowledged* by ben" in text_of(root))
    await mention_bot(triage_bot, root, "assign me")
    await wait_until(lambda: "*Acknowledged* by ana" in text_of(root))


async def test_a_resolved_failure_cannot_be_assigned_to_oneself(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await mention_bot(triage_bot, root, "resolve flaky: retried", BEN)
    await wait_until(lambda: "*Resolved* by ben" in text_of(root))
    await mention_bot(triage_bot, root, "assign me")
    await wait_until(lambda: "Assign isn't possible: Resolved by ben" in private_text(triage_bot, ANA))
    assert not await audit_entries(triage_bot, "acknowledge")


async def test_without_redis_the_form_stays_open_and_says_so(triage_bot: RunningBot) -> None:
    view = await open_form(triage_bot, ANA, await raise_alert(triage_bot), "assign")
    client, name = triage_bot.app.store.client, "{zofbot}:triage:C0QA"
    await client.set(name, "no hash")  # so that it refuses at once
    themselves = {"owner": {"owner": {"type": "users_select", "selected_user": ANA}}}
    await triage_bot.simulator.people.submit_view(ANA, view, themselves)
    await client.delete(name)
    [form] = triage_bot.world.slack.modals[ANA]
    assert "store (Redis) isn't responding" in (form.errors or {})["owner"]
