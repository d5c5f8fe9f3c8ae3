"""Listeners for the buttons on cards."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import structlog

from zofbot.domain.errors import BadInput
from zofbot.domain.model import is_valid_id
from zofbot.listeners import causes, lookups, oncall, share
from zofbot.listeners import mutes as muting
from zofbot.listeners.context import ListenerContext, Requester, requester_of
from zofbot.listeners.failure_lookup import require_reader
from zofbot.listeners.listener_table import IdempotentListener, ListenerTable
from zofbot.listeners.subscription import commands
from zofbot.slack.views import mutes
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.oncall import ACKNOWLEDGE_ACTION_ID

log = structlog.get_logger()

ButtonHandler = Callable[[ListenerContext, Requester, dict[str, Any]], Coroutine[Any, Any, Message]]


async def show_result(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle *View details* beside a case of a run."""
    return await lookups.show_result(context, _require_id(value))


async def show_run(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle *View run* on a result and in a list, and a run's paging buttons."""
    return await lookups.show_run(context, _require_id(value), _page_start(value))


async def show_runs_page(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle the paging buttons of the latest runs."""
    return await lookups.show_runs(context, str(value.get("filters") or ""), _page_start(value))


async def share_result(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle *Share to channel*."""
    return await share.share_by_button(context, requester, _require_id(value))


async def share_run(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle *Share to channel* on a run."""
    return await share.share_by_button(context, requester, _require_id(value), is_run=True)


async def show_subscriptions_page(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle the paging buttons of the channel's subscriptions."""
    return await commands.list_subscriptions(context, requester, _page_start(value))


async def show_failures_page(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle the paging buttons of open failures."""
    return await oncall.list_open_failures(context, requester, oncall.page_scope(value), _page_start(value))


async def show_causes_page(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle the paging buttons of the channel's causes."""
    return await causes.list_causes(context, requester, str(value.get("period") or ""), _page_start(value))


async def show_cause(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle *Details* beside a cause."""
    return await causes.show_cause(context, requester, _require_id(value))


async def acknowledge_row(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle *Acknowledge* beside a failure in a list."""
    return await oncall.acknowledge_row(context, requester, value)


async def remove_subscription(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle *Remove* beside a subscription."""
    return await commands.remove_subscription(context, requester, _require_id(value))


async def unmute(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle *Unmute* beside a mute."""
    return await muting.end_mute(context, requester, _require_id(value))


async def send_test_alert(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
    """Handle *Send a test alert*."""
    return await commands.send_test_alert(context, requester, _require_id(value))


class Button(NamedTuple):
    """What a button does; ``attempt`` describes it, to follow "You can't".

    ``replaces``: whether the reply replaces the button's message. ``is_idempotent``: a repeated click does no harm.
    """

    handler: ButtonHandler
    attempt: str
    replaces: bool = False
    is_idempotent: bool = False


BUTTONS = {
    "zof_result": Button(show_result, "look up this result"),
    "zof_run": Button(show_run, "look up this run"),
    "zof_run_page": Button(show_run, "look up this run", replaces=True),
    "zof_run_page_back": Button(show_run, "look up this run", replaces=True),
    "zof_runs_page": Button(show_runs_page, "list runs", replaces=True),
    "zof_runs_page_back": Button(show_runs_page, "list runs", replaces=True),
    "zof_share": Button(share_result, "share this result"),
    "zof_share_run": Button(share_run, "share this run"),
    "zof_subscriptions_page": Button(show_subscriptions_page, "list subscriptions", replaces=True),
    "zof_subscriptions_page_back": Button(show_subscriptions_page, "list subscriptions", replaces=True),
    "zof_open_page": Button(show_failures_page, "list failures", replaces=True),
    "zof_open_page_back": Button(show_failures_page, "list failures", replaces=True),
    "zof_causes_page": Button(show_causes_page, "list causes", replaces=True),
    "zof_causes_page_back": Button(show_causes_page, "list causes", replaces=True),
    "zof_cause": Button(show_cause, "look up this cause"),
    ACKNOWLEDGE_ACTION_ID: Button(acknowledge_row, "acknowledge this failure", replaces=True, is_idempotent=True),
    "zof_remove": Button(remove_subscription, "remove this subscription", replaces=True),
    "zof_test_alert": Button(send_test_alert, "send a test alert"),
    mutes.UNMUTE_ACTION_ID: Button(unmute, muting.UNMUTE, replaces=True),
}
"""Buttons by ``action_id``."""


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register handlers for known buttons, for link buttons (acknowledged only), and for unknown ones (refused)."""

    def build_listener(button: Button) -> Callable[..., Coroutine[Any, Any, None]]:
        async def handle_press(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
            await ack()
            requester = requester_of(body)
            work = _run_handler(context, button, requester, parse_button_value(action))
            context.reply_in_background(requester, work, replace=button.replaces)

        return handle_press

    async def acknowledge_link(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        """Acknowledge a link button: Slack opens the link itself."""
        await ack()

    async def refuse_unknown_button(context: ListenerContext, requester: Requester, value: dict[str, Any]) -> Message:
        raise BadInput("This button is from another version of zofbot.", "Type the command again.")

    for name, button in BUTTONS.items():
        listener = build_listener(button)
        table.actions[name] = IdempotentListener(listener) if button.is_idempotent else listener
    table.actions["zof_open"] = table.actions["zof_logs"] = acknowledge_link
    table.unknown_action = build_listener(Button(refuse_unknown_button, "use this button"))


async def _run_handler(
    context: ListenerContext, button: Button, requester: Requester, value: dict[str, Any]
) -> Message:
    """Run a button's handler, if the person may read more than the channel. Raises ZofbotError."""
    await require_reader(context, requester, button.attempt)
    return await button.handler(context, requester, value)


def parse_button_value(action: dict[str, Any]) -> dict[str, Any]:
    """Parse the JSON value of a button, or of the option selected in a menu; empty if it is malformed."""
    option = action.get("selected_option")
    try:
        value = json.loads(action.get("value") or (option.get("value") if isinstance(option, dict) else "") or "{}")
    except (TypeError, ValueError):
        log.warning("unreadable button", action=action.get("action_id"))
        return {}
    return value if isinstance(value, dict) else {}


def _require_id(value: dict[str, Any]) -> str:
    identifier = value.get("id")
    if not isinstance(identifier, str) or not is_valid_id(identifier):
        raise BadInput("This button no longer works.", "Type the command again.")
    return identifier


def _page_start(value: dict[str, Any]) -> int:
    start = value.get("from")
    return start if isinstance(start, int) and 0 <= start < 100_000 else 0
