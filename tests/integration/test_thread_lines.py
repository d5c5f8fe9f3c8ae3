"""Thread lines: one for each action; an undo and a soon repeated action change the line that is there."""

from __future__ import annotations

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.triage import mention_bot, raise_alert
from zofbot.simulator.slack.model import PostedMessage

BEN = "U0BEN"


def thread_lines(bot: RunningBot, root: PostedMessage) -> list[PostedMessage]:
    """The lines about actions in an alert's thread, also deleted ones."""
    return [item for item in bot.world.slack.ledger
            if item.thread_ts == root.ts and (item.idempotency_key or "").startswith("act:")]  # fmt: skip


async def test_an_undo_changes_the_line_of_its_action(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await mention_bot(triage_bot, root, "ack")
    await wait_until(lambda: len(thread_lines(triage_bot, root)) == 1)
    await mention_bot(triage_bot, root, "undo")
    [line] = thread_lines(triage_bot, root)
    await wait_until(lambda: "undid this" in text_of(line))
    assert "ana acknowledged this · ↩️ ana<!date^" in text_of(line)
    assert ": open again" in text_of(line)
    await mention_bot(triage_bot, root, "ack", BEN)
    await wait_until(lambda: len(thread_lines(triage_bot, root)) == 2)


async def test_an_undo_whose_line_people_deleted_posts_nothing(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await mention_bot(triage_bot, root, "ack")
    await wait_until(lambda: len(thread_lines(triage_bot, root)) == 1)
    [line] = thread_lines(triage_bot, root)
    line.deleted = True
    await mention_bot(triage_bot, root, "undo")

    async def is_dropped() -> bool:
        record = await triage_bot.app.outbox.get_record(f"act-edit:{(line.idempotency_key or '').partition(':')[2]}")
        return record is not None and record.state == "dropped"

    await wait_until(is_dropped)
    await wait_until(lambda: "Acknowledged" not in text_of(root))
    assert thread_lines(triage_bot, root) == [line], "it is not posted again, in the thread or in the channel"
    assert not [item for item in triage_bot.public_messages() if item.ts > line.ts and not item.thread_ts]


async def test_an_undo_before_its_line_was_posted_changes_it_afterwards(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    triage_bot.world.slack.faults.set_fault("500", only="chat.postMessage")
    await mention_bot(triage_bot, root, "ack")
    await wait_until(lambda: "Acknowledged" in text_of(root))
    await mention_bot(triage_bot, root, "undo")
    await wait_until(lambda: "Acknowledged" not in text_of(root))
    assert thread_lines(triage_bot, root) == []
    triage_bot.world.slack.faults.set_fault("none")
    await wait_until(lambda: ["undid this" in text_of(item) for item in thread_lines(triage_bot, root)] == [True])


async def test_an_assignees_message_says_that_it_was_undone(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await mention_bot(triage_bot, root, f"assign <@{BEN}>")

    def messages() -> list[str]:
        return [text_of(item) for item in triage_bot.world.slack.ledger
                if (item.idempotency_key or "").startswith("assigned:")]  # fmt: skip

    await wait_until(lambda: len(messages()) == 1)
    await mention_bot(triage_bot, root, "undo")
    await wait_until(lambda: ["undid this" in each for each in messages()] == [True])


async def test_a_snooze_that_is_soon_changed_changes_its_line(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    await mention_bot(triage_bot, root, "snooze 1h")
    await wait_until(lambda: len(thread_lines(triage_bot, root)) == 1)
    [line] = thread_lines(triage_bot, root)
    await mention_bot(triage_bot, root, "snooze until it passes")
    await wait_until(lambda: "until it passes" in text_of(line))
    triage_bot.world.clock.advance(61)
    await mention_bot(triage_bot, root, "snooze 3h")
    await wait_until(lambda: len(thread_lines(triage_bot, root)) == 2)
