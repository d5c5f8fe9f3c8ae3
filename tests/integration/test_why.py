"""The explanation as people get it: typed, from the menu of an alert, and in its thread; with Zof, and without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.bot import RunningBot, running_bot, text_of, until, wait_for_first_poll
from tests.support.failing_runs import SECRET, fail_run, post_webhook, webhook_event
from tests.support.triage import button_of, mention_bot, press_button, private_text
from zofbot.notification import Kind, Notification, State
from zofbot.pipeline.memory import failure_of, seen_in, storms_in
from zofbot.pipeline.storm_record import Storm
from zofbot.simulator.entities import Message
from zofbot.simulator.records import Record
from zofbot.slack import bodies


@pytest.fixture
async def there(valkey: str) -> AsyncIterator[RunningBot]:
    async with running_bot(valkey, works=True, zofbot_poll_interval=3600, zof_webhook_secret=SECRET,
                     zofbot_default_channel="C0SEARCH") as bot:  # fmt: skip
        await wait_for_first_poll(bot)
        yield bot


async def failing(bot: RunningBot, *, told: bool = True, **how: Any) -> tuple[Record, Message | None]:
    """A run with one failed case that was heard of, and its message once it stands in a channel."""
    before = len(bot.world.slack.ledger)
    ended = fail_run(bot, 1, **how)
    assert await post_webhook(bot, webhook_event(ended["id"], f"evt_{ended['id']}")) == 200
    if not told:
        return ended, None
    await until(lambda: any((one.key or "").startswith(("run:", "case:")) for one in bot.world.slack.ledger[before:]))
    new = bot.world.slack.ledger[before:]
    return ended, next(one for one in new if (one.key or "").startswith(("run:", "case:")))


async def menu(bot: RunningBot, root: Message, user: str = "U0ANA") -> str:
    """What *Why am I seeing this?* answers."""
    before = len(bot.private(root.channel, user))
    await press_button(bot, user, root, button_of(root, "zof_triage_more") | {"selected_option": {"value": "why"}})
    await until(lambda: len(bot.private(root.channel, user)) > before)
    return text_of(bot.private(root.channel, user)[-1])


async def settled(bot: RunningBot, key: str, state: State) -> None:
    async def there_() -> bool:
        entry = await bot.app.outbox.show(key)
        return entry is not None and entry.state is state

    await until(there_)


async def test_a_channel_hears_why_it_was_told_and_another_why_it_was_not(there: RunningBot) -> None:
    await there.type("/zof subscribe project:*checkout group:case")
    await there.type("/zof subscribe env:production")
    ended = fail_run(there, 1)
    first = await there.answer(f"/zof why {ended['id']}")
    assert "It will be told" in first, first
    assert await post_webhook(there, webhook_event(ended["id"], "evt_why")) == 200
    await until(lambda: any((one.key or "").startswith("case:") for one in there.world.slack.ledger))
    [root] = [one for one in there.world.slack.ledger if (one.key or "").startswith("case:")]
    await press_button(there, "U0BEN", root, button_of(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in text_of(root))
    [failure] = [one for one in there.world.zof.of_run(ended["id"]) if one["status"] == "failed"]
    told = await there.answer(f"/zof why {failure['id']}")
    assert "(asked for by ana): it matches and was told" in told
    assert "env is staging, wanted production" in told
    assert root.ts.replace(".", "") in told
    assert "Acknowledged by ben" in told
    assert "has no subscription" in await there.answer(f"/zof why {ended['id']}", channel="C0CHECKOUT")
    assert "Request ID" in await there.answer("/zof why run_nowhere")


async def test_menu_and_mention_give_the_same_explanation(there: RunningBot) -> None:
    await there.type("/zof subscribe project:*checkout group:case")
    await there.type("/zof subscribe env:production")
    _, root = await failing(there)
    assert root
    await mention_bot(there, root, "snooze 2h", "U0BEN")
    await until(lambda: "Snoozed" in text_of(root))
    for told in (await menu(there, root), await asked(there, root)):
        assert "Why this channel was told of nightly cart" in told
        assert "✅ `project:*checkout group:case` (asked for by ana): it matches and was told" in told
        assert "env is staging, wanted production" in told
        assert "|Its message> stands in this channel. Snoozed by ben" in told
        assert "It sleeps until" in told


async def asked(bot: RunningBot, root: Message, user: str = "U0ANA") -> str:
    """What ``@zofbot why`` answers in the thread."""
    before = len(bot.private(root.channel, user))
    assert (await mention_bot(bot, root, "why", user)).ok
    await until(lambda: len(bot.private(root.channel, user)) > before)
    return text_of(bot.private(root.channel, user)[-1])


async def test_without_zof_both_say_what_is_remembered_and_the_request_id(there: RunningBot) -> None:
    await there.type("/zof subscribe project:*checkout group:case")
    _, root = await failing(there)
    assert root
    there.world.zof.faults.set("403")
    for told in (await menu(there, root), await asked(there, root)):
        assert "Why you see Case 0" in told
        assert "`project:*checkout group:case` (asked for by ana): it matches and was told" in told
        assert "Its message> stands in this channel" in told
        assert "not allowed to read" in told
        assert "Request ID: `req_" in told
    await there.type("/zof unsubscribe all")
    assert "The subscription that asked for it has ended" in await menu(there, root)
    await there.app.outbox.commit([], changes={failure_of(root.key or ""): {"body": None}})
    assert "does not know this alert any more" in await menu(there, root)


async def test_the_default_channel_hears_that_nobody_else_took_it(there: RunningBot) -> None:
    await there.type("/zof subscribe env:production")
    _, root = await failing(there)
    assert root
    assert root.channel == "C0SEARCH"
    assert "✅ the default channel: it matches and was told" in await menu(there, root)
    taken, _ = await failing(there, environment="production")
    told = await there.answer(f"/zof why {taken['id']}", channel="C0SEARCH")
    assert "⏭️ the default channel: it is told only what failed and no subscription takes" in told


async def test_a_message_that_waits_says_what_for(there: RunningBot) -> None:
    await there.type("/zof subscribe layout:flat")
    there.world.slack.channels["C0QA"].restricted = "restricted_action"
    ended, _ = await failing(there, told=False)

    async def parked() -> bool:
        return bool(await there.app.outbox.parked())

    await until(parked)
    assert "Only some people may post here. Ask an admin" in await there.answer(f"/zof why {ended['id']}")
    there.world.slack.faults.set("invalid_auth", only="chat.")
    await there.type("/zof subscribe layout:flat", channel="C0CHECKOUT")
    await failing(there, told=False)

    async def paused() -> bool:
        return bool((await there.app.outbox.depth()).paused)

    await until(paused)
    assert "nothing is sent, and everything waits. Slack does not accept" in await there.answer(
        f"/zof why {ended['id']}"
    )


async def test_what_quiet_hours_hold_says_until_when_and_what_is_dropped_that_it_was(there: RunningBot) -> None:
    here = there.world.clock.now().astimezone(ZoneInfo("Europe/London"))
    hours = f"{here - timedelta(hours=1):%H:00}-{here + timedelta(hours=3):%H:00}"
    await there.type(f"/zof subscribe group:run layout:flat quiet:{hours}")
    ended, _ = await failing(there, told=False)
    key = f"run:{ended['id']}:failed:C0QA"
    await settled(there, key, State.PENDING)
    assert "Its message waits: quiet hours end <!date" in await there.answer(f"/zof why {ended['id']}")
    await there.app.outbox.drop(key)
    assert "Its message was dropped" in await there.answer(f"/zof why {ended['id']}")


async def test_a_message_that_was_given_up_says_why(there: RunningBot) -> None:
    await there.type("/zof subscribe group:run layout:flat")
    there.world.slack.channels["C0QA"].restricted = "restricted_action_non_threadable_channel"
    ended, _ = await failing(there, told=False)
    await settled(there, f"run:{ended['id']}:failed:C0QA", State.DEAD)
    told = await there.answer(f"/zof why {ended['id']}")
    assert "given up: restricted_action_non_threadable_channel" in told


async def test_what_a_storm_swallowed_leads_to_the_summary(there: RunningBot) -> None:
    await there.type("/zof subscribe group:run layout:flat")
    ended, now = fail_run(there, 1), there.world.clock.time()
    storm = Storm(id="run_first", category="failed", channel="C0QA", since=now, last=now, alerts=2, failures=2)
    changes = {
        storms_in("C0QA"): {f"in:run:{ended['id']}:failed:C0QA": f"0 {storm.key}"},
        seen_in(ended["id"]): {ended["id"]: f"{now:.0f} C0QA=s1"},
    }
    summary = Notification(key="storm:run_first:failed:C0QA", kind=Kind.ROOT, channel="C0QA", happened=now,
                           body=bodies.stored(storm.body()))  # fmt: skip
    await there.app.outbox.commit([summary], changes=changes)
    await until(lambda: any(one.key == summary.key for one in there.world.slack.ledger))
    told = await there.answer(f"/zof why {ended['id']}")
    assert "is counted in the summary of a storm" in told
    [shown] = [one for one in there.world.slack.ledger if one.key == summary.key]
    assert f"{shown.ts.replace('.', '')}|The summary that counts it> stands in this channel" in told


async def test_a_message_that_people_deleted_is_explained_where_it_was_posted_again(there: RunningBot) -> None:
    await there.type("/zof subscribe group:case")
    _, root = await failing(there)
    assert root
    await press_button(there, "U0BEN", root, button_of(root, "zof_triage_acknowledge"))
    await until(lambda: "Acknowledged" in text_of(root) and "You acknowledged" in private_text(there, "U0BEN"))
    root.deleted = True
    [answer] = [one for one in there.private(user="U0BEN") if "You acknowledged" in text_of(one)]
    await there.press(answer, "zof_do_undo", user="U0BEN")

    def fresh() -> list[Message]:
        return [one for one in there.world.slack.ledger if one.key == f"{root.key}:2"]

    await until(lambda: bool(fresh()))
    [again] = fresh()
    for told in (await menu(there, again), await asked(there, again)):
        assert f"{again.ts.replace('.', '')}|Its message> stands in this channel. Undone by ben" in told
    assert (await mention_bot(there, again, "ack", "U0BEN")).ok
    await until(lambda: "Acknowledged" in text_of(again))
    assert again.ts.replace(".", "") in await there.answer("/zof triage"), "the title leads to the one that is there"


async def test_a_result_that_names_no_run_is_explained_by_itself(there: RunningBot) -> None:
    await there.type("/zof subscribe project:*checkout")
    there.world.zof.results["res_alone"] = {"id": "res_alone", "status": "failed", "name": "Alone"}
    told = await there.answer("/zof why res_alone")
    assert "project is not known, wanted \u200b*checkout" in told
    ended = fail_run(there, 1)
    there.world.zof.runs["oddly_named"] = there.world.zof.runs.pop(ended["id"]) | {"id": "oddly_named"}
    assert "Why this channel was told of nightly cart" in await there.answer("/zof why oddly_named")
    there.world.zof.faults.set("403")
    assert "not allowed to read" in await there.answer("/zof why res_alone")


async def test_a_run_that_goes_on_is_looked_at_again_and_a_link_that_slack_keeps_is_left_out(
    there: RunningBot,
) -> None:
    await there.type("/zof subscribe group:run layout:flat")
    ended, _ = await failing(there)
    there.world.slack.faults.set("500", only="chat.getPermalink")
    assert "📌 Its message stands in this channel." in await there.answer(f"/zof why {ended['id']}")
    running = there.world.zof.start_run({"project_id": "proj_checkout", "environment": "staging", "name": "slow one"})
    assert await post_webhook(there, webhook_event(running["id"], "evt_early")) == 200
    await until(lambda: any(call.path == f"/runs/{running['id']}" for call in there.world.zof.calls))
    told = await there.answer(f"/zof why {running['id']}")
    assert "it has not ended" in told
    assert "looks at this run again until it has ended" in told


async def test_what_was_told_and_is_not_open_any_more_is_still_found(there: RunningBot) -> None:
    await there.type("/zof subscribe group:run layout:flat")
    ended, root = await failing(there)
    assert root
    client, prefix = there.app.store.client, f"{{{there.settings.zofbot_namespace}}}:"
    for name in [one async for one in client.scan_iter(f"{prefix}open:C0QA:*")]:
        await client.delete(name)
    assert f"{root.ts.replace('.', '')}|Its message> stands" in await there.answer(f"/zof why {ended['id']}")
    await client.delete(f"{prefix}note:{root.key}", f"{prefix}sent:{root.key}")
    assert "Its message is not known any more" in await there.answer(f"/zof why {ended['id']}")
    assert "Its message is not known any more" in await menu(there, root)
