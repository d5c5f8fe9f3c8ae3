"""Listeners for triage by button and form: actions are stored before the acknowledgement, so no click is lost."""

from __future__ import annotations

from typing import Any

from zofbot.domain.errors import BadInput
from zofbot.listeners import lookups, run_commands, why
from zofbot.listeners.context import ListenerContext, ListenerReply, Requester, requester_of
from zofbot.listeners.failure_lookup import (
    check_channel,
    require_reader,
    require_visible,
)
from zofbot.listeners.listener_table import IdempotentListener, Listener, ListenerTable
from zofbot.listeners.triage import snooze_form
from zofbot.listeners.triage.snooze_form import SnoozeInput
from zofbot.listeners.triage.triage_actions import FORM_ACTIONS, current_time, perform_action
from zofbot.listeners.triage.triage_forms import open_triage_form, submit_form
from zofbot.notifications.idempotency import split_key
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.triage import triage_modals, triage_replies
from zofbot.slack.views.triage.pressed_button import FailureRef, RepeatedAction, parse_press, parse_repeated_action
from zofbot.slack.views.triage.triage_controls import MENU_ACTION_ID
from zofbot.triage import Action
from zofbot.triage.state_machine import HUMAN_ACTIONS

_MENU_ITEMS = ("why", "rerun", "run", "open")
"""Menu items of a card that are not triage actions."""


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register the controls of cards, the buttons in replies, and the triage forms."""
    previews = snooze_form.WakePreviews(context)

    async def handle_control(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """Handle a button or the menu of a card."""
        word, about = parse_press(action)
        await _dispatch_press(context, ack, body, word, RepeatedAction(about))

    def handle_reply_button(act: Action) -> Listener:
        async def handle_press(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
            """Handle a button in a reply: *Undo*, *Do it anyway*, *Still on it*."""
            await _dispatch_press(context, ack, body, act, parse_repeated_action(action))

        return handle_press

    async def handle_submission(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack(**await submit_form(context, requester_of(body), view))

    async def handle_snooze_input(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """Handle input in the snooze form."""
        await ack()
        context.background_tasks.start(
            previews.update_preview(
                requester_of(body).user, SnoozeInput(str(action.get("action_ts") or ""), body.get("view") or {})
            )
        )

    for act in HUMAN_ACTIONS:
        table.actions[f"zof_triage_{act}"] = IdempotentListener(handle_control)
        table.actions[f"zof_do_{act}"] = IdempotentListener(handle_reply_button(act))
    for act in FORM_ACTIONS:
        table.views[f"{triage_modals.FORM_CALLBACK_PREFIX}_{act}"] = IdempotentListener(handle_submission)
    table.actions[MENU_ACTION_ID] = IdempotentListener(handle_control)
    table.actions[triage_modals.WAKE_ACTION_ID] = handle_snooze_input


async def _dispatch_press(
    context: ListenerContext, ack: Any, body: dict[str, Any], word: str, press: RepeatedAction
) -> None:
    requester, about = requester_of(body), press.about
    if about is None or word not in (*HUMAN_ACTIONS, *_MENU_ITEMS) or split_key(about.key)[2] != requester.channel:
        await ack()
        context.reply_in_background(requester, _refuse_press(about, requester.channel))
    elif word in HUMAN_ACTIONS and (Action(word) not in FORM_ACTIONS or _is_still_usable(press, current_time(context))):
        reply = await context.run_safely(perform_action(context, requester, about, Action(word), **press.filled))
        await ack()
        context.background_tasks.start(_show_outcome(context, requester, reply))
    else:
        await ack()
        if word in HUMAN_ACTIONS:
            context.reply_in_background(requester, open_triage_form(context, requester, about, Action(word)))
        elif word == "why":
            context.reply_in_background(requester, why.explain_alert(context, requester, about.key))
        elif word == "rerun":
            context.reply_in_background(requester, run_commands.propose_rerun(context, requester, about))
        elif word == "run":
            context.reply_in_background(requester, _show_run(context, requester, about))


async def _show_outcome(context: ListenerContext, requester: Requester, reply: ListenerReply) -> None:
    """Reply to a click; one in a private reply replaces that, or deletes it if the card says everything.

    A private reply that was not clicked stays until Slack forgets it. A ``response_url`` changes only the message that
    was clicked, which for a click on a card is the card, not a reply that it posted itself
    (https://github.com/slackapi/bolt-python/issues/1268, Slack's staff). ``chat.update`` and ``chat.delete`` take no
    private messages (https://docs.slack.dev/messaging/modifying-messages).
    """
    in_reply = bool(requester.response_url) and requester.is_ephemeral and not reply.failed
    if reply.message.text:
        await context.send_reply(requester, reply.message, replace=in_reply)
    elif in_reply:
        await context.delete_reply(requester)


def _is_still_usable(press: RepeatedAction, at: float) -> bool:
    """Return whether a repeated action's form input is still valid; otherwise the form is opened again."""
    return press.again and bool(press.filled) and (press.filled.get("until") or at + 1) > at


async def _refuse_press(about: FailureRef | None, channel: str) -> Message:
    """Refuse a click on an alert from before the channel's id changed, or of a forged request. Raises BadInput."""
    if about is not None:
        check_channel(about.key, channel)
    raise BadInput("This button no longer works.", "Use the buttons on the alert.")


async def _show_run(context: ListenerContext, requester: Requester, about: FailureRef) -> Message:
    tried = "look up this run"
    await require_reader(context, requester, tried)
    failure = await context.failures.get(about.key)
    if failure is None:
        return triage_replies.unknown_alert_reply(about.key)
    await require_visible(context, requester, failure.channel, tried)
    if not failure.body.run.id:  # the card is from before a storm's second run
        raise BadInput("These alerts are from several runs.", "`/zof runs` lists the latest.")
    return await lookups.show_run(context, failure.body.run.id)
