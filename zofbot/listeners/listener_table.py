"""Which listener handles which button, menu, form, shortcut or event: one look-up in a table for each request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse

Listener = Callable[[Any, dict[str, Any], dict[str, Any]], Awaitable[Any]]
"""Takes ``ack``, the request's body, and the action, view, event, menu or shortcut in it."""

_ANY = re.compile("")


async def refuse_request(ack: Any, body: dict[str, Any], payload: dict[str, Any]) -> Any:
    """Answer as Bolt answers what nobody listens to."""
    return BoltResponse(status=404, body={"error": "unhandled request"})


def _always(body: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class IdempotentListener:
    """A listener for which handling a duplicate is harmless, so that its requests need no claim.

    A request that was claimed first would be lost if the process died between the claim and what it requests.
    ``applies_to`` tells the requests for which that is so from the others.
    """

    listener: Listener
    applies_to: Callable[[Mapping[str, Any]], bool] = _always

    async def __call__(self, ack: Any, body: dict[str, Any], payload: dict[str, Any]) -> Any:
        """Handle a request."""
        return await self.listener(ack, body, payload)


class ListenerTable:
    """Listeners by action id, callback id or type of event.

    Bolt itself would match its listeners in turn, a third of a millisecond for thirty, and inspect each at every start.
    ``unknown_action`` and ``unknown_event`` handle the rest of actions and events.
    """

    def __init__(self) -> None:
        self.actions: dict[str, Listener] = {}
        self.views: dict[str, Listener] = {}
        self.options: dict[str, Listener] = {}
        self.shortcuts: dict[str, Listener] = {}
        self.events: dict[str, Listener] = {}
        self.unknown_action: Listener = refuse_request
        self.unknown_event: Listener = refuse_request

    def add_to(self, app: AsyncApp) -> None:
        """Register one Bolt listener for each kind of request."""

        async def handle_action(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> Any:
            return await _find(self.actions, action.get("action_id"), self.unknown_action)(ack, body, action)

        async def handle_view(ack: Any, body: dict[str, Any], view: dict[str, Any]) -> Any:
            return await _find(self.views, view.get("callback_id"))(ack, body, view)

        async def handle_options(ack: Any, body: dict[str, Any], options: dict[str, Any]) -> Any:
            return await _find(self.options, options.get("action_id"))(ack, body, options)

        async def handle_shortcut(ack: Any, body: dict[str, Any], shortcut: dict[str, Any]) -> Any:
            return await _find(self.shortcuts, shortcut.get("callback_id"))(ack, body, shortcut)

        async def handle_event(ack: Any, body: dict[str, Any], event: dict[str, Any]) -> Any:
            return await _find(self.events, event.get("type"), self.unknown_event)(ack, body, event)

        app.action(_ANY)(handle_action)
        app.view(_ANY)(handle_view)
        app.options(_ANY)(handle_options)
        app.shortcut(_ANY)(handle_shortcut)
        app.event(_ANY)(handle_event)

    def is_idempotent(self, body: Mapping[str, Any]) -> bool:
        """Return whether handling a duplicate of the request is harmless, as its listener was registered."""
        listener = self._find_listener(body)
        return isinstance(listener, IdempotentListener) and listener.applies_to(body)

    def _find_listener(self, body: Mapping[str, Any]) -> Listener | None:
        """Return the listener that handles the request; None for commands, shortcuts and what is in no table."""
        if event := body.get("event"):
            return self.events.get(str(event.get("type")))
        if body.get("type") == "block_actions":
            action: Mapping[str, Any] = next(iter(body.get("actions") or ()), {})
            return self.actions.get(str(action.get("action_id")))
        if body.get("type") == "view_submission":
            return self.views.get(str((body.get("view") or {}).get("callback_id")))
        return self.options.get(str(body.get("action_id"))) if body.get("type") == "block_suggestion" else None


def _find(listeners: dict[str, Listener], name: object, otherwise: Listener = refuse_request) -> Listener:
    return listeners.get(str(name), otherwise)
