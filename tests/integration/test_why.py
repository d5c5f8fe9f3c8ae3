"""The explanation as people get it: typed, from the menu of an alert, and in its thread; with Zof, and without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import alerting_bot, fail_run, post_webhook, webhook_event
from tests.support.triage import button_of, mention_bot, press_button, private_text
from zofbot.alerting.state import decisions_hash, failure_hash, storms_hash
from zofbot.alerting.storms.storm_record import Storm
from zofbot.notifications import payloads
from zofbot.notifications.notification import Notification, NotificationKind, NotificationState
from zofbot.polling.checkpoint import HANDLED_HASH
from zofbot.simulator.slack.model import PostedMessage
from zofbot.simulator.zof.state import HttpReply, ZofRecord
from zofbot.store.pending_runs import PENDING_RUNS_HASH


@pytest.fixture
async def bot(store_url: str) -> AsyncIterator[RunningBot]:
    async with alerting_bot(store_url, zofbot_default_channel="C0SEARCH") as bot:
        yield bot


async def fail_run_with_alert(
    bot: RunningBot, *, told: bool = True, **how: Any
) -> tuple[ZofRecord, PostedMessage | None]:
    """A run with one failed case that was heard of, and its message once it stands in a channel."""
    before = len(bot.world.slack.ledger)
    ended = fail_run(bot, 1, **how)
    assert await post_webhook(bot, webhook_event(ended["id"], f"evt_{ended['id']}")) == 200
    if not told:
        return ended, None
    await wait_until(
        lambda: any(
            (item.idempotency_key or "").startswith(("run:", "case:")) for item in bot.world.slack.ledger[before:]
        )
    )
    new = bot.world.slack.ledger[before:]
    return ended, next(item for item in new if (item.idempotency_key or "").startswith(("run:", "case:")))


async def open_why_menu(bot: RunningBot, root: PostedMessage, user: str = "U0ANA") -> str:
    """What *Why was this posted?* answers."""
    before = len(bot.private_messages(root.channel, user))
    await press_button(bot, user, root, button_of(root, "zof_triage_more") | {"selected_option": {"value": "why"}})
    await wait_until(lambda: len(bot.private_messages(root.channel, user)) > before)
    return text_of(bot.private_messages(root.channel, user)[-1])


async def wait_for_state(bot: RunningBot, key: str, state: NotificationState) -> None:
    async def has_state() -> bool:
        entry = await bot.app.outbox.get_record(key)
        return entry is not None and entry.state is state

    await wait_until(has_state)


async def test_a_channel_hears_why_it_was_told_and_another_why_it_was_not(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe project:*checkout group:case")
    await bot.type_text("/zof subscribe env:production")
    ended = fail_run(bot, 1)
    first = await bot.answer_text(f"/zof why {ended['id']}")
    assert "It will be posted" in first, first
    assert await post_webhook(bot, webhook_event(ended["id"], "evt_why")) == 200
    await wait_until(lambda: any((item.idempotency_key or "").startswith("case:") for item in bot.world.slack.ledger))
    [root] = [item for item in bot.world.slack.ledger if (item.idempotency_key or "").startswith("case:")]
    await press_button(bot, "U0BEN", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root))
    [failure] = [item for item in bot.world.zof.results_of_run(ended["id"]) if item["status"] == "failed"]
    told = await bot.answer_text(f"/zof why {failure['id']}")
    assert "(by ana): matched, posted" in told
    assert "env is staging, wanted production" in told
    assert root.ts.replace(".", "") in told
    assert "Acknowledged by ben" in told
    assert "No subscriptions" in await bot.answer_text(f"/zof why {ended['id']}", channel="C0CHECKOUT")
    assert "Request ID" in await bot.answer_text("/zof why run_nowhere")


async def test_menu_and_mention_give_the_same_explanation(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe project:*checkout group:case")
    await bot.type_text("/zof subscribe env:production")
    _, root = await fail_run_with_alert(bot)
    assert root
    await mention_bot(bot, root, "snooze 2h", "U0BEN")
    await wait_until(lambda: "Snoozed" in text_of(root))
    for told in (await open_why_menu(bot, root), await ask_why(bot, root)):
        assert "Why nightly cart" in told
        assert "✅ `project:*checkout group:case` (by ana): matched, posted" in told
        assert "env is staging, wanted production" in told
        assert "|View message> Snoozed by ben" in told
        assert "Snoozed by ben" in told
        assert "^until " in told


async def ask_why(bot: RunningBot, root: PostedMessage, user: str = "U0ANA") -> str:
    """What ``@zofbot why`` answers in the thread."""
    before = len(bot.private_messages(root.channel, user))
    assert (await mention_bot(bot, root, "why", user)).is_accepted
    await wait_until(lambda: len(bot.private_messages(root.channel, user)) > before)
    return text_of(bot.private_messages(root.channel, user)[-1])


async def test_without_zof_both_say_what_is_remembered_and_the_request_id(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe project:*checkout group:case")
    _, root = await fail_run_with_alert(bot)
    assert root
    bot.world.zof.faults.set_fault("403")
    for told in (await open_why_menu(bot, root), await ask_why(bot, root)):
        assert "Why Case 0" in told
        assert "`project:*checkout group:case` (by ana): matched, posted" in told
        assert "View message>" in told
        assert "may not read" in told
        assert "did not answer" not in told
        assert "Request ID: `req_" in told
    await bot.type_text("/zof unsubscribe all")
    assert "Its subscription was removed" in await open_why_menu(bot, root)
    await bot.app.outbox.commit([], changes={failure_hash(root.idempotency_key or ""): {"body": None}})
    assert "This alert has expired" in await open_why_menu(bot, root)


async def test_the_default_channel_hears_that_nobody_else_took_it(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe env:production")
    _, root = await fail_run_with_alert(bot)
    assert root
    assert root.channel == "C0SEARCH"
    assert "✅ the default channel: matched, posted" in await open_why_menu(bot, root)
    taken, _ = await fail_run_with_alert(bot, environment="production")
    told = await bot.answer_text(f"/zof why {taken['id']}", channel="C0SEARCH")
    assert "⏭️ the default channel: gets only failures that match no subscription" in told


async def test_a_message_that_waits_says_what_for(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe layout:flat")
    await wait_until(lambda: bool(bot.public_messages()))  # that it was subscribed; the alert alone is to wait
    bot.world.slack.channels["C0QA"].restricted = "restricted_action"
    ended, _ = await fail_run_with_alert(bot, told=False)

    async def is_parked() -> bool:
        return bool(await bot.app.outbox.parked_channels())

    await wait_until(is_parked)
    assert "Only some people may post here. Ask a workspace admin" in await bot.answer_text(f"/zof why {ended['id']}")
    bot.world.slack.faults.set_fault("invalid_auth", only="chat.")
    await bot.type_text("/zof subscribe layout:flat", channel="C0CHECKOUT")
    await fail_run_with_alert(bot, told=False)

    async def is_paused() -> bool:
        return bool((await bot.app.outbox.read_stats()).paused)

    await wait_until(is_paused)
    assert "all messages are on hold. Slack does not accept" in await bot.answer_text(f"/zof why {ended['id']}")


async def test_what_quiet_hours_hold_says_until_when_and_what_is_dropped_that_it_was(bot: RunningBot) -> None:
    here = bot.world.clock.now().astimezone(ZoneInfo("Europe/London"))
    hours = f"{here - timedelta(hours=1):%H:00}-{here + timedelta(hours=3):%H:00}"
    await bot.type_text(f"/zof subscribe group:run layout:flat quiet:{hours}")
    ended, _ = await fail_run_with_alert(bot, told=False)
    key = f"run:{ended['id']}:failed:C0QA"
    await wait_for_state(bot, key, NotificationState.PENDING)
    assert "Its alert is queued: quiet hours<!date" in await bot.answer_text(f"/zof why {ended['id']}")
    await bot.app.outbox.drop(key)
    assert "Its alert was dropped" in await bot.answer_text(f"/zof why {ended['id']}")


async def test_a_message_that_was_given_up_says_why(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:run layout:flat")
    bot.world.slack.channels["C0QA"].restricted = "restricted_action_non_threadable_channel"
    ended, _ = await fail_run_with_alert(bot, told=False)
    await wait_for_state(bot, f"run:{ended['id']}:failed:C0QA", NotificationState.DEAD)
    told = await bot.answer_text(f"/zof why {ended['id']}")
    assert "delivered: restricted_action_non_threadable_channel" in told


async def test_what_a_storm_swallowed_leads_to_the_summary(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:run layout:flat")
    ended, now = fail_run(bot, 1), bot.world.clock.time()
    storm = Storm(id="run_first", category="failed", channel="C0QA", since=now, last=now, alerts=2, failures=2)
    changes = {
        storms_hash("C0QA"): {f"in:run:{ended['id']}:failed:C0QA": f"0 {storm.storm_key}"},
        decisions_hash(ended["id"]): {ended["id"]: f"{now:.0f} C0QA=s1"},
    }
    summary = Notification(key="storm:run_first:failed:C0QA", kind=NotificationKind.ROOT, channel="C0QA", happened=now,
                           body=payloads.dump_payload(storm.summary_body()))  # fmt: skip
    await bot.app.outbox.commit([summary], changes=changes)
    await wait_until(lambda: any(item.idempotency_key == summary.key for item in bot.world.slack.ledger))
    told = await bot.answer_text(f"/zof why {ended['id']}")
    assert "counted in a storm's summary" in told
    [shown] = [item for item in bot.world.slack.ledger if item.idempotency_key == summary.key]
    assert f"{shown.ts.replace('.', '')}|View message>" in told


async def test_a_message_that_people_deleted_is_explained_where_it_was_posted_again(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:case")
    _, root = await fail_run_with_alert(bot)
    assert root
    await press_button(bot, "U0BEN", root, button_of(root, "zof_triage_acknowledge"))
    await wait_until(lambda: "Acknowledged" in text_of(root) and "You acknowledged" in private_text(bot, "U0BEN"))
    root.deleted = True
    [answer] = [message for message in bot.private_messages(user="U0BEN") if "You acknowledged" in text_of(message)]
    await bot.press_button(answer, "zof_do_undo", user="U0BEN")

    def fresh() -> list[PostedMessage]:
        return [item for item in bot.world.slack.ledger if item.idempotency_key == f"{root.idempotency_key}:2"]

    await wait_until(lambda: bool(fresh()))
    [again] = fresh()
    for told in (await open_why_menu(bot, again), await ask_why(bot, again)):
        assert f"{again.ts.replace('.', '')}|View message> Undone by ben" in told
    assert (await mention_bot(bot, again, "ack", "U0BEN")).is_accepted
    await wait_until(lambda: "Acknowledged" in text_of(again))
    assert again.ts.replace(".", "") in await bot.answer_text("/zof triage"), "the title leads to the one that is there"


async def test_a_result_that_names_no_run_is_explained_by_itself(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe project:*checkout")
    bot.world.zof.results["res_alone"] = {"id": "res_alone", "status": "failed", "name": "Alone"}
    told = await bot.answer_text("/zof why res_alone")
    assert "project is unknown, wanted \u200b*checkout" in told
    ended = fail_run(bot, 1)
    bot.world.zof.runs["oddly_named"] = bot.world.zof.runs.pop(ended["id"]) | {"id": "oddly_named"}
    assert "Why nightly cart" in await bot.answer_text("/zof why oddly_named")
    bot.world.zof.faults.set_fault("403")
    assert "may not read" in await bot.answer_text("/zof why res_alone")


async def test_a_run_that_goes_on_is_looked_at_again_and_a_link_that_slack_keeps_is_left_out(
    bot: RunningBot,
) -> None:
    await bot.type_text("/zof subscribe group:run layout:flat")
    ended, _ = await fail_run_with_alert(bot)
    bot.world.slack.faults.set_fault("500", only="chat.getPermalink")
    assert "📌 Its alert was posted in this channel." in await bot.answer_text(f"/zof why {ended['id']}")
    running = bot.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "slow one"})
    assert await post_webhook(bot, webhook_event(running["id"], "evt_early")) == 200
    await wait_until(lambda: any(call.path == f"/runs/{running['id']}" for call in bot.world.zof.calls))
    told = await bot.answer_text(f"/zof why {running['id']}")
    assert "not finished yet" in told
    assert "is watching this run until it finishes" in told


async def test_a_run_posted_elsewhere_before_the_channel_subscribed_was_not_posted_there(bot: RunningBot) -> None:
    ended, root = await fail_run_with_alert(bot)
    assert root
    assert root.channel == "C0SEARCH"
    await bot.type_text("/zof subscribe project:*")
    told = await bot.answer_text(f"/zof why {ended['id']}")
    assert "wasn't posted here" in told
    assert "didn't match yet when zofbot read this run" in told
    assert "will be posted" not in told


async def test_a_run_read_before_anybody_subscribed_was_not_posted(store_url: str) -> None:
    async with alerting_bot(store_url) as bot:
        ended, _ = await fail_run_with_alert(bot, told=False)

        async def is_handled() -> bool:
            handled, pending = await bot.app.outbox.read_fields(
                (HANDLED_HASH, f"runs:failed:{ended['id']}"), (PENDING_RUNS_HASH, ended["id"])
            )
            return handled is not None and pending is None

        await wait_until(is_handled)
        await bot.type_text("/zof subscribe project:*")
        told = await bot.answer_text(f"/zof why {ended['id']}")
        assert "wasn't posted here" in told
        assert "didn't match yet when zofbot read this run" in told
        assert "will be posted" not in told


@pytest.mark.parametrize("status", [403, 500])
async def test_a_run_whose_failures_cannot_be_read_is_explained_with_the_reason(bot: RunningBot, status: int) -> None:
    await bot.type_text("/zof subscribe project:*checkout group:case")
    await bot.type_text("/zof subscribe env:production")
    ended, root = await fail_run_with_alert(bot)
    assert root
    bot.world.zof.raw[f"/runs/{ended['id']}"] = dict(ended)  # without its results
    bot.world.zof.raw["/results"] = HttpReply(status, {"error": {"code": "x", "message": "no"}}, {})
    await bot.type_text(f"/zof why {ended['id']}")
    await wait_until(lambda: "couldn't be read" in text_of(bot.private_messages()[-1]), 20)
    told = text_of(bot.private_messages()[-1])
    assert "✅ `project:*checkout group:case` (by ana): matched, posted" in told
    assert "env is staging, wanted production" in told
    assert f"{root.ts.replace('.', '')}|View message>" in told
    assert ("higher role" if status == 403 else "status.zof.ai") in told
    assert bot.world.zof.calls[-1].request_id in told


async def test_what_was_told_and_is_not_open_any_more_is_still_found(bot: RunningBot) -> None:
    await bot.type_text("/zof subscribe group:run layout:flat")
    ended, root = await fail_run_with_alert(bot)
    assert root
    client, prefix = bot.app.store.client, f"{{{bot.settings.zofbot_namespace}}}:"
    for name in [item async for item in client.scan_iter(f"{prefix}open:C0QA:*")]:
        await client.delete(name)
    assert f"{root.ts.replace('.', '')}|View message>" in await bot.answer_text(f"/zof why {ended['id']}")
    await client.delete(f"{prefix}note:{root.idempotency_key}", f"{prefix}sent:{root.idempotency_key}")
    assert "Its alert has expired" in await bot.answer_text(f"/zof why {ended['id']}")
    assert "Its alert has expired" in await open_why_menu(bot, root)
