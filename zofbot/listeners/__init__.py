"""Slack listeners: registers all of them, with one duplicate check and one error handler for every request."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from zofbot.domain.commands import VERBS
from zofbot.domain.errors import StoreUnavailable
from zofbot.listeners import (
    buttons,
    channel_events,
    commands,
    error_handling,
    mentions,
    menu_options,
    run_commands,
    unfurl,
)
from zofbot.listeners.context import ListenerContext, request_name, requester_of, user_and_channel
from zofbot.listeners.home_tab import events
from zofbot.listeners.home_tab.updater import HomeUpdater
from zofbot.listeners.listener_table import ListenerTable
from zofbot.listeners.subscription import form
from zofbot.listeners.triage import several_failures, triage_buttons, triage_shortcut
from zofbot.observability import trace_recorder
from zofbot.observability.events.requests import SlackRequestAnswered
from zofbot.zof.personal_quota import charge_to_person

log = structlog.get_logger()


class SlackApp(AsyncApp):
    """Bolt app for requests from HTTP and Socket Mode; handles each request once.

    Client and authorization are passed in, because Bolt would otherwise read ``SLACK_*`` variables and call
    ``auth.test``. HTTP requests are verified before they get here, and Socket Mode has no signatures.
    """

    def __init__(self, context: ListenerContext, client: AsyncWebClient) -> None:
        async def authorize() -> AuthorizeResult:
            return AuthorizeResult(enterprise_id=None, team_id=None, bot_token=client.token)

        quiet = logging.getLogger("zofbot.bolt")
        quiet.setLevel(logging.ERROR)  # else Bolt warns at each start that its token differs from the client's
        super().__init__(
            name="zofbot",  # else Bolt inspects the source of its callers to find a name
            logger=quiet,
            client=client,
            authorize=authorize,
            # Bolt's default runner polls every 10 ms whether ack() was called; this way the answer is sent at once.
            process_before_response=True,
            request_verification_enabled=False,
            ssl_check_enabled=False,
            ignoring_self_events_enabled=False,
            ignoring_self_assistant_message_events_enabled=False,
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        self._context = context
        self.home_updater = HomeUpdater(context)
        commands.register_listeners(self, context)
        self._table = build_table(context, self.home_updater)
        self._table.add_to(self)
        self.error(_build_error_handler(context))

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Handle one request, once among all processes, with metrics, a trace and its name in every log line.

        Not a Bolt middleware, because middlewares return before the listener runs.
        """
        sort, name = request_kind(req.body), request_name(req.body)
        began = req.context["arrived"] = self._context.clock.monotonic()
        answer = "failed"
        with (
            structlog.contextvars.bound_contextvars(slack_request=name, kind=sort),
            charge_to_person(requesting_user(req.body)),
            trace_recorder.record_trace(self._context.events.emit, "request", self._context.clock, name) as made,
        ):
            try:
                made.about = trace_labels(req.body, sort)
                if not self._is_idempotent(req.body) and not await self._claim_request(name):
                    answer = "repeated"
                    return BoltResponse(status=200, body="")
                response = await super().async_dispatch(req)
                answer = "acted"
                return response
            finally:
                seconds = self._context.clock.monotonic() - began
                self._context.events.emit(SlackRequestAnswered(sort, answer, seconds))

    def _is_idempotent(self, body: Mapping[str, Any]) -> bool:
        """Return whether handling a duplicate is harmless, as for Slack's challenge."""
        return body.get("type") == "url_verification" or self._table.is_idempotent(body)

    async def _claim_request(self, name: str) -> bool:
        try:
            return await self._context.store.claim_request(name)
        except StoreUnavailable:
            # Lookups must work without Redis; actions that must not happen twice have their own duplicate check.
            log.warning("request not claimed: the store does not answer")
            return True


def build_table(context: ListenerContext, home_updater: HomeUpdater) -> ListenerTable:
    """Build the table of all listeners but that of the slash command."""
    table = ListenerTable()
    for listener_module in (
        form,
        menu_options,
        triage_buttons,
        mentions,
        unfurl,
        triage_shortcut,
        several_failures,
        run_commands,
        buttons,
    ):
        listener_module.register_listeners(table, context)
    channel_events.register_listeners(table, context, home_updater)
    events.register_listeners(table, context, home_updater)
    return table


def request_kind(body: Mapping[str, Any]) -> str:
    """Return the kind of a request, for metrics and logs."""
    if "command" in body:
        return "command"
    if "event" in body:
        return "event"
    sort = str(body.get("type") or "")
    if sort == "block_suggestion":
        return "options"
    return "action" if sort == "block_actions" else "view" if sort.startswith("view_") else "other"


def requesting_user(body: Mapping[str, Any]) -> str:
    """Return the user whose Zof quota the request counts against; empty if Slack names none."""
    user = user_and_channel(body)[0] or (body.get("event") or {}).get("user")
    return user if isinstance(user, str) else ""


def trace_labels(body: Mapping[str, Any], sort: str) -> dict[str, str]:
    """Return a request's trace labels: the user, the channel, and the verb, button, form or event."""
    (user, channel), event = user_and_channel(body), body.get("event") or {}
    action: Mapping[str, Any] = next(iter(body.get("actions") or ()), {})
    view = body.get("view") or {}
    names = (action.get("action_id"), body.get("action_id"), event.get("type"), body.get("callback_id"))
    name = next(filter(None, names), None) or view.get("callback_id")
    if sort == "command":
        typed = str(body.get("text") or "help").split(maxsplit=1)[:1]
        name = next((item for item in typed if item in VERBS), "without_a_verb")
    what = (
        f"{sort} {trace_recorder.safe_word(str(name)).removeprefix('zof_')}" if name else sort
    )  # redaction takes text with this prefix for an API key
    places = {"user": user or event.get("user"), "channel": channel or event.get("channel")}
    return {"what": what} | {
        place: each_place
        for place, each_place in places.items()
        if isinstance(each_place, str) and each_place.isalnum()
    }


def _first_field(body: Mapping[str, Any]) -> str:
    """Return the block id of the first field of a submitted form; empty for other requests."""
    blocks = body["view"].get("blocks") or () if body.get("type") == "view_submission" else ()
    return next((str(block.get("block_id") or "") for block in blocks if block.get("type") == "input"), "")


def _build_error_handler(context: ListenerContext) -> Callable[..., Awaitable[BoltResponse]]:
    async def handle_error(error: Exception, body: dict[str, Any]) -> BoltResponse:
        """Reply with a reference id; a 500 would only make Slack retry a request that is claimed already."""
        message = error_handling.unexpected_error_reply(error)
        if request_kind(body) == "command":
            return BoltResponse(status=200, body=message.message_fields() | {"response_type": "ephemeral"})
        if field := _first_field(body):  # an empty answer would close the form as if its input was accepted
            return BoltResponse(status=200, body={"response_action": "errors", "errors": {field: message.text}})
        requester = requester_of(body)
        if requester.response_url:
            context.background_tasks.start(context.send_reply(requester, message))
        return BoltResponse(status=200, body="")

    return handle_error
