"""Acknowledging from the list of open failures, one or several, while others act on them, too."""

from __future__ import annotations

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.triage import audit_entries, button_of, forget_alert, mention_bot, press_button, private_text
from zofbot.simulator.slack.model import PostedMessage
from zofbot.slack.views.oncall import ACKNOWLEDGE_ACTION_ID
from zofbot.slack.views.triage.several_failures import SELECT_ACTION_ID
from zofbot.store.audit import REFUSED_ACTION

ANA, BEN, CHIOMA = "U0ANA", "U0BEN", "U0CHIOMA"


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


async def select_all(bot: RunningBot, listed: PostedMessage, user: str = ANA) -> tuple[str, dict[str, object]]:
    """Open the form of *Select several*; returns its id, and the values with every failure selected."""
    await bot.press_button(listed, SELECT_ACTION_ID, user=user)
    await wait_until(lambda: bool(bot.world.slack.modals.get(user)))
    [view] = bot.world.slack.modals[user]
    options = view.payload["blocks"][0]["element"]["options"]
    return view.id, {"rows": {"rows": {"type": "checkboxes", "selected_options": options}}}


async def test_several_are_not_taken_from_whoever_was_faster(triage_bot: RunningBot) -> None:
    listed = await list_failures(triage_bot, 3)
    view, chosen = await select_all(triage_bot, listed)
    taken, resolved, left = list_alerts(triage_bot)
    await press_button(triage_bot, BEN, taken, button_of(taken, "zof_triage_acknowledge"))
    await mention_bot(triage_bot, resolved, "resolve flaky: retried", BEN)
    await wait_until(lambda: "*Acknowledged* by ben" in text_of(taken) and "*Resolved* by ben" in text_of(resolved))
    await triage_bot.simulator.people.submit_view(ANA, view, chosen)
    await wait_until(lambda: "✅ Acknowledged 1 failure." in text_of(listed))
    await wait_until(lambda: "*Acknowledged* by ana" in text_of(left))
    shown = text_of(listed)
    assert shown.count("Nothing changed.") == 4, "of two failures, in the text and in the blocks"
    assert "⚡ *Case 0 (proj_checkout, staging)*: Acknowledged by ben" in shown
    assert "⚡ *Case 1 (proj_checkout, staging)*: Resolved by ben" in shown
    assert shown.count("Nothing changed. Use its card to act anyway.") == 2, (
        "where the single button says *Do it anyway*"
    )
    assert shown.count("Nothing changed. Reopen it first.") == 2
    assert "2 failures in this channel" in shown, "and what is open now"
    assert "*Acknowledged* by ben" in text_of(taken)
    assert len(await audit_entries(triage_bot, REFUSED_ACTION)) == 2


async def test_several_are_offered_with_the_people_they_are_assigned_to(triage_bot: RunningBot) -> None:
    listed = await list_failures(triage_bot, 2)
    assigned, _ = list_alerts(triage_bot)
    await mention_bot(triage_bot, assigned, f"assign <@{BEN}>", CHIOMA)
    await wait_until(lambda: "assigned to ben" in text_of(assigned))
    _, chosen = await select_all(triage_bot, listed)
    options = chosen["rows"]["rows"]["selected_options"]  # type: ignore[index]  # Slack's values
    # Alerts of one run were opened at the same time, so that their ids, which are random, decide on the order.
    own, other = sorted(options, key=lambda option: option["description"]["text"])
    assert own["description"]["text"].startswith("assigned to ben · staging run_")
    assert own["text"]["text"].split(" (")[0] in assigned.text
    assert other["description"]["text"].startswith("staging run_")


async def test_one_of_several_that_has_expired_is_named_by_its_result(triage_bot: RunningBot) -> None:
    listed = await list_failures(triage_bot, 2)
    view, chosen = await select_all(triage_bot, listed)
    gone, left = list_alerts(triage_bot)
    await forget_alert(triage_bot, gone)
    result = (gone.idempotency_key or "").split(":")[1]
    del triage_bot.world.zof.results[result]
    await triage_bot.simulator.people.submit_view(ANA, view, chosen)
    await wait_until(lambda: "*Acknowledged* by ana" in text_of(left))
    await wait_until(lambda: f"⚡ *{result}*: This alert has expired" in text_of(listed))
    assert "✅ Acknowledged 1 failure." in text_of(listed)


async def test_several_cannot_be_selected_by_people_who_may_not_act(store_url: str) -> None:
    async with alerting_bot(store_url, zofbot_responders=CHIOMA) as bot:
        await bot.type_text("/zof subscribe group:case", user=CHIOMA)
        listed = await list_failures(bot, 2, BEN)
        await bot.press_button(listed, SELECT_ACTION_ID, user=BEN)
        refusal = f"You can't acknowledge these failures here. Ask <@{CHIOMA}>."
        await wait_until(lambda: refusal in private_text(bot, BEN))
        assert not bot.world.slack.modals.get(BEN)
        [entry] = await audit_entries(bot, REFUSED_ACTION)
        assert entry.details["tried"] == "acknowledge these failures"
