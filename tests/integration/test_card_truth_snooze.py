"""A snooze ends when its form said that it would, may last until it passes, and says how much it hid."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from tests.support.bot import RunningBot, text_of, wait_until
from tests.support.failing_runs import fail_run, post_webhook, webhook_event
from tests.support.triage import mention_bot, open_form, private_text, raise_alert, thread_of
from zofbot.simulator.slack import payloads
from zofbot.simulator.slack.model import PostedMessage

ANA = "U0ANA"


async def type_in(bot: RunningBot, view: str, words: str) -> None:
    """Type into the form: Slack sends what stands there with each character, if the field asks for that."""
    field = next(block for block in bot.world.slack.modals[ANA][-1].payload["blocks"] if block["block_id"] == "words")
    assert field["dispatch_action"]
    assert field["element"]["dispatch_action_config"] == {"trigger_actions_on": ["on_character_entered"]}
    typed = {"action_id": "zof_wakes", "block_id": "words", "value": words}
    assert (await bot.simulator.people.press_element(ANA, typed, view_id=view)).is_accepted


def preview_text(bot: RunningBot) -> str:
    blocks = bot.world.slack.modals[ANA][-1].payload["blocks"]
    return str(next(block for block in blocks if block["block_id"] == "foreseen"))


async def fails_again(bot: RunningBot, cases: int = 1) -> None:
    """End another run of the same case, badly or, with none, well."""
    run = fail_run(bot, cases)
    kind = "run.failed" if cases else "run.completed"
    assert await post_webhook(bot, webhook_event(run["id"], f"evt_{run['id']}", kind)) == 200


async def snoozed_through_two_failures(bot: RunningBot, words: str) -> PostedMessage:
    root = await raise_alert(bot)
    assert (await mention_bot(bot, root, f"snooze {words}")).is_accepted
    await wait_until(lambda: "*Snoozed*" in text_of(root))
    for count in (2, 3):
        await fails_again(bot)
        await wait_until(lambda count=count: f"{count} failures" in text_of(root))
    return root


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("90m", "(in 1 h 30 min), in your time zone"),
        ("until it passes", "Ends when it passes"),
        ("Until it passes again", "Ends when it passes"),
        ("until it fails 3 more times", "Ends when it fails 3 more times"),
        ("rubbish", "That isn't a time"),
        ("", "(in 1 h), in your time zone"),
    ],
)
async def test_the_preview_follows_what_is_typed(triage_bot: RunningBot, words: str, shown: str) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, ANA, root, "snooze")
    await type_in(triage_bot, view, "4h")
    await wait_until(lambda: "in 4 h" in preview_text(triage_bot))
    await type_in(triage_bot, view, words)
    await wait_until(lambda: shown in preview_text(triage_bot))


async def test_of_characters_that_come_together_the_last_ones_are_shown(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, ANA, root, "snooze")
    await asyncio.gather(*(type_in(triage_bot, view, typed) for typed in ("9", "90", "90m")))
    await wait_until(lambda: "in 1 h 30 min" in preview_text(triage_bot))
    await asyncio.sleep(5)
    assert "in 1 h 30 min" in preview_text(triage_bot)


async def test_characters_that_arrive_after_later_ones_are_passed_over(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, ANA, root, "snooze")
    slack, shown = triage_bot.world.slack, copy.deepcopy(triage_bot.world.slack.modals[ANA][-1])
    shown.values = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "9"}}}
    typed: dict[str, Any] = {"type": "plain_text_input", "action_id": "zof_wakes", "block_id": "words", "value": "9"}
    early = payloads.view_action_payload(slack, slack.users[ANA], shown, typed | {"action_ts": slack.next_timestamp()})
    await type_in(triage_bot, view, "90m")
    await wait_until(lambda: "in 1 h 30 min" in preview_text(triage_bot))
    assert (await triage_bot.simulator.people.deliver_payload("interactive", early)).is_accepted
    await asyncio.sleep(5)
    assert "in 1 h 30 min" in preview_text(triage_bot)


async def test_characters_typed_before_slack_showed_the_last_preview_are_not_lost(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, ANA, root, "snooze")
    shown = copy.deepcopy(triage_bot.world.slack.modals[ANA][-1])
    await type_in(triage_bot, view, "9")
    await wait_until(lambda: "That isn't a time" in preview_text(triage_bot))
    shown.values = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "90m"}}}
    typed: dict[str, Any] = {"type": "plain_text_input", "action_id": "zof_wakes", "block_id": "words", "value": "90m"}
    slack = triage_bot.world.slack
    late = payloads.view_action_payload(slack, slack.users[ANA], shown, typed | {"action_ts": slack.next_timestamp()})
    assert (await triage_bot.simulator.people.deliver_payload("interactive", late)).is_accepted
    await wait_until(lambda: "in 1 h 30 min" in preview_text(triage_bot))


async def test_the_form_snoozes_until_it_passes_by_choice_and_in_words(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    view = await open_form(triage_bot, ANA, root, "snooze")
    assert "until it passes" in str(triage_bot.world.slack.modals[ANA][-1].payload)
    words = {"words": {"zof_wakes": {"type": "plain_text_input", "value": "Until it passes"}}}
    await triage_bot.simulator.people.submit_view(ANA, view, words)
    await wait_until(lambda: "*Snoozed* by ana until it passes" in text_of(root))
    await wait_until(lambda: any("snoozed this until it passes" in line for line in thread_of(triage_bot, root)))


async def test_what_passes_says_how_much_its_snooze_hid(triage_bot: RunningBot) -> None:
    root = await snoozed_through_two_failures(triage_bot, "until it passes")
    assert "*Snoozed* by ana until it passes" in text_of(root)
    await fails_again(triage_bot, 0)
    await wait_until(lambda: "Recovered: Case 0" in text_of(root))
    assert "2 failures since it was snoozed" in text_of(root)


async def test_a_snooze_that_ends_by_the_clock_says_how_much_it_hid(triage_bot: RunningBot) -> None:
    root = await snoozed_through_two_failures(triage_bot, "2h")
    triage_bot.world.clock.advance(7201)
    await wait_until(
        lambda: any(
            "Snooze ended: Case 0 (proj_checkout, staging) · 2 failures since it was snoozed" in line
            for line in thread_of(triage_bot, root)
        )
    )
    await wait_until(lambda: "*Snooze ended*" in text_of(root))
    assert "· 2 failures since it was snoozed" in text_of(root)


async def test_so_does_one_that_somebody_ends(triage_bot: RunningBot) -> None:
    root = await snoozed_through_two_failures(triage_bot, "2h")
    assert (await mention_bot(triage_bot, root, "wake")).is_accepted
    hid = "2 failures since it was snoozed"
    await wait_until(lambda: any(f"ana unsnoozed this · {hid}" in line for line in thread_of(triage_bot, root)))
    assert f"You unsnoozed Case 0 (proj_checkout, staging): {hid}" in private_text(triage_bot, ANA)
    await wait_until(lambda: f"· {hid}" in text_of(root))


async def test_one_that_hid_nothing_says_nothing_of_it(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    assert (await mention_bot(triage_bot, root, "snooze 2h")).is_accepted
    await wait_until(lambda: "*Snoozed*" in text_of(root))
    assert (await mention_bot(triage_bot, root, "wake")).is_accepted
    await wait_until(lambda: "*Snooze ended*" in text_of(root))
    assert "since it was snoozed" not in text_of(root) + " ".join(thread_of(triage_bot, root))


async def test_one_that_ends_after_so_many_failures_says_how_many_it_hid(triage_bot: RunningBot) -> None:
    root = await raise_alert(triage_bot)
    assert (await mention_bot(triage_bot, root, "snooze until it fails 2 more times")).is_accepted
    await wait_until(lambda: "*Snoozed*" in text_of(root))
    for count in (2, 3):
        await fails_again(triage_bot)
        await wait_until(lambda count=count: f"{count} failures" in text_of(root))
    said = "Snooze ended: Case 0 (proj_checkout, staging) · 2 failures since it was snoozed"
    await wait_until(lambda: any(said in line for line in thread_of(triage_bot, root)))
    await wait_until(lambda: "*Snooze ended*" in text_of(root))
