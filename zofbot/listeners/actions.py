"""The buttons on cards."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from zofbot.errors import BadInput
from zofbot.listeners import lookups, rounds, sharing, subscribing
from zofbot.listeners.desk import Asked, Desk, asked
from zofbot.listeners.known import require_reader
from zofbot.model import is_id
from zofbot.slack.message import Message

log = structlog.get_logger()

Press = Callable[[Desk, Asked, dict[str, Any]], Coroutine[Any, Any, Message]]


async def show_result(desk: Desk, who: Asked, value: dict[str, Any]) -> Message:
    """*Details* beside a case of a run."""
    return await lookups.result(desk, _id(value))


async def show_run(desk: Desk, who: Asked, value: dict[str, Any]) -> Message:
    """*Show run* on a result, *Open* in a list, and turning a run's pages."""
    return await lookups.run(desk, _id(value), _start(value))


async def turn_runs(desk: Desk, who: Asked, value: dict[str, Any]) -> Message:
    """Turning the pages of the latest runs."""
    return await lookups.runs(desk, str(value.get("filters") or ""), _start(value))


async def share(desk: Desk, who: Asked, value: dict[str, Any]) -> Message:
    """*Share to channel*."""
    return await sharing.by_button(desk, who, _id(value))


async def turn_subscriptions(desk: Desk, who: Asked, value: dict[str, Any]) -> Message:
    """Turning the pages of the channel's subscriptions."""
    return await subscribing.listed(desk, who, _start(value))


async def turn_failures(desk: Desk, who: Asked, value: dict[str, Any]) -> Message:
    """Turning the pages of what is open."""
    return await rounds.open_failures(desk, who, rounds.page(value), _start(value))


async def remove(desk: Desk, who: Asked, value: dict[str, Any]) -> Message:
    """*Remove* beside a subscription."""
    return await subscribing.remove(desk, who, _id(value))


async def try_out(desk: Desk, who: Asked, value: dict[str, Any]) -> Message:
    """*Send a test alert*."""
    return await subscribing.try_out(desk, who, _id(value))


PRESSES: dict[str, tuple[Press, bool]] = {
    "zof_result": (show_result, False),
    "zof_run": (show_run, False),
    "zof_run_page": (show_run, True),
    "zof_run_page_back": (show_run, True),
    "zof_runs_page": (turn_runs, True),
    "zof_runs_page_back": (turn_runs, True),
    "zof_share": (share, False),
    "zof_subscriptions_page": (turn_subscriptions, True),
    "zof_subscriptions_page_back": (turn_subscriptions, True),
    "zof_open_page": (turn_failures, True),
    "zof_open_page_back": (turn_failures, True),
    "zof_remove": (remove, True),
    "zof_test_alert": (try_out, False),
}
"""What each button does, and whether its answer takes the place of the message it stands on."""

_TRIED: dict[Press, str] = {
    show_result: "look up this result",
    show_run: "look up this run",
    turn_runs: "list runs",
    share: "share this result",
    turn_subscriptions: "list subscriptions",
    turn_failures: "list failures",
    remove: "end this subscription",
    try_out: "send a test alert",
}
"""What each of them is for, as it follows "You cannot"."""


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to every button: to ours by name, to link buttons not at all, and to what a later version left behind."""

    def pressed(press: Press, replace: bool) -> Callable[..., Coroutine[Any, Any, None]]:
        async def act(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
            await ack()
            who = asked(body)
            desk.answer_later(who, _pressed(desk, press, who, value_of(action)), replace=replace)

        return act

    async def followed(ack: Any) -> None:
        """A link button: Slack opened the link by itself and only wants to be heard."""
        await ack()

    async def unknown(desk_: Desk, who: Asked, value: dict[str, Any]) -> Message:
        raise BadInput("This button is from another version of zofbot.", "Type the command again.")

    for name, (press, replace) in PRESSES.items():
        app.action(name)(pressed(press, replace))
    app.action(re.compile("^zof_(open|logs)$"))(followed)
    app.action(re.compile(""))(pressed(unknown, False))


async def _pressed(desk: Desk, press: Press, who: Asked, value: dict[str, Any]) -> Message:
    """Do what a button does, but for people who may see no more than what stands there. Raises ZofbotError."""
    await require_reader(desk, who, _TRIED.get(press, "use this button"))
    return await press(desk, who, value)


def value_of(action: dict[str, Any]) -> dict[str, Any]:
    """Read a button's value back; what cannot be read is an empty one."""
    try:
        value = json.loads(action.get("value") or "{}")
    except ValueError:
        log.warning("unreadable button", action=action.get("action_id"))
        return {}
    return value if isinstance(value, dict) else {}


def _id(value: dict[str, Any]) -> str:
    identifier = value.get("id")
    if not isinstance(identifier, str) or not is_id(identifier):
        raise BadInput("This button does not say what it is about.", "Type the command again.")
    return identifier


def _start(value: dict[str, Any]) -> int:
    start = value.get("from")
    return start if isinstance(start, int) and 0 <= start < 100_000 else 0
