"""Private lines and lists: a line after an action goes when it is used; lists can be acted on; runs can be shared."""

from __future__ import annotations

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import fail_run, post_webhook, webhook_event
from tests.support.triage import button_of, press_button, press_with_changed_payload, private_text, raise_alert
from zofbot.simulator.slack.model import PostedMessage

BEN = "U0BEN"


async def test_the_line_after_an_action_goes_with_its_undo(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    before = len(triage_bot.private_messages(user=BEN))
    await press_button(triage_bot, BEN, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "You acknowledged" in private_text(triage_bot, BEN))
    [line] = triage_bot.private_messages(user=BEN)[before:]
    await triage_bot.press_button(line, "zof_do_undo", user=BEN)
    await wait_until(lambda: len(triage_bot.private_messages(user=BEN)) == before)
    assert not root.deleted


async def test_a_click_whose_payload_lacks_the_message_leaves_the_alert_where_it_is(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    before = len(triage_bot.private_messages(user=BEN))
    await press_with_changed_payload(triage_bot, BEN, root, button_of(root, "zof_triage_acknowledge"), message=None)
    await wait_until(lambda: len(triage_bot.private_messages(user=BEN)) > before)
    assert "You acknowledged" in private_text(triage_bot, BEN)
    await wait_until(lambda: text_of(root).startswith('["Acknowledged: '))


async def test_an_undo_that_comes_too_late_replaces_its_own_line(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    before = len(triage_bot.private_messages(user=BEN))
    await press_button(triage_bot, BEN, root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "You acknowledged" in private_text(triage_bot, BEN))
    triage_bot.world.clock.advance(61)
    [line] = triage_bot.private_messages(user=BEN)[before:]
    await triage_bot.press_button(line, "zof_do_undo", user=BEN)
    await wait_until(lambda: "too late to undo" in text_of(line))
    assert triage_bot.private_messages(user=BEN)[before:] == [line]


async def test_a_listed_failure_is_acknowledged_where_it_is_listed(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await triage_bot.type_text("/zof triage", user=BEN)
    listed = triage_bot.private_messages(user=BEN)[-1]
    await triage_bot.press_button(listed, "zof_do_acknowledge_row", user=BEN)
    await wait_until(lambda: "ben · acknowledged" in text_of(listed))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    assert "zof_do_acknowledge_row" not in text_of(listed)
    assert triage_bot.private_messages(user=BEN)[-1] is listed


async def test_a_run_is_shared_once_in_the_name_of_who_asked(triage_bot: RunningBot) -> None:
    run = next(iter(triage_bot.world.zof.runs))
    await triage_bot.type_text(f"/zof run {run}")
    card = triage_bot.private_messages()[-1]
    await triage_bot.press_button(card, "zof_share_run")
    await wait_until(lambda: any("Shared by ana" in text_of(message) for message in triage_bot.public_messages()))
    await triage_bot.press_button(card, "zof_share_run")
    await wait_until(lambda: "already shared this" in text_of(triage_bot.private_messages()[-1]))
    [shared] = [message for message in triage_bot.public_messages() if "Shared by ana" in text_of(message)]
    assert "zof_share_run" not in text_of(shared)
    assert "zof_run_page" not in text_of(shared)


async def test_several_listed_failures_are_acknowledged_at_once(triage_bot: RunningBot) -> None:
    ended = fail_run(triage_bot, 3)
    assert await post_webhook(triage_bot, webhook_event(ended["id"], "evt_several")) == 200

    def alerts() -> list[PostedMessage]:
        return [item for item in triage_bot.world.slack.ledger if (item.idempotency_key or "").startswith("case:")]

    await wait_until(lambda: len(alerts()) == 3)
    roots = alerts()
    await triage_bot.type_text("/zof triage", user=BEN)
    listed = triage_bot.private_messages(user=BEN)[-1]
    await triage_bot.press_button(listed, "zof_do_select_rows", user=BEN)
    await wait_until(lambda: bool(triage_bot.world.slack.modals.get(BEN)))
    [view] = triage_bot.world.slack.modals[BEN]
    options = view.payload["blocks"][0]["element"]["options"]
    assert len(options) == len(roots)
    assert len({option["text"]["text"] for option in options}) == len(roots), "they can be told apart"
    chosen = {"rows": {"rows": {"type": "checkboxes", "selected_options": options}}}
    await triage_bot.simulator.people.submit_view(BEN, view.id, chosen)
    for root in roots:
        await wait_until(lambda root=root: "Acknowledged" in text_of(root))
    await wait_until(lambda: text_of(listed).count("ben · acknowledged") == len(roots))
