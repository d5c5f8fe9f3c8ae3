"""What people type and press: every listener is registered here, behind one claim and one error handler."""

from __future__ import annotations

import hashlib
import json
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
    error_replies,
    mentions,
    menu_options,
    run_commands,
    triage,
    triage_shortcut,
    unfurl,
)
from zofbot.listeners.context import ListenerContext, requester_of
from zofbot.listeners.home_tab import events
from zofbot.listeners.home_tab.updater import HomeUpdater
from zofbot.listeners.subscription import form
from zofbot.observability import tracing
from zofbot.zof.personal_quota import charge_to_person

log = structlog.get_logger()

IDEMPOTENT_ID_PREFIXES = ("zof_triage_", "zof_do_", "zof_act_", "zof_choose", "zof_rerun", "zof_cancel")
"""What the controls and the forms of acts on failures are called, and the buttons that order something at Zof."""


class SlackApp(AsyncApp):
    """The Bolt app that HTTP and Socket Mode both hand their requests to; each request gets in once.

    Client and authorization are given, because Bolt would read ``SLACK_*`` variables and ask ``auth.test`` by itself;
    requests over HTTP are verified at the web door, and Socket Mode has no signature.
    """

    def __init__(self, desk: ListenerContext, client: AsyncWebClient) -> None:
        async def authorize() -> AuthorizeResult:
            return AuthorizeResult(enterprise_id=None, team_id=None, bot_token=client.token)

        quiet = logging.getLogger("zofbot.bolt")
        quiet.setLevel(logging.ERROR)  # else it warns at each start that the client's token is not the one it relies on
        super().__init__(
            name="zofbot",  # else Bolt reads the source of all its callers to find one
            logger=quiet,
            client=client,
            authorize=authorize,
            # Bolt's usual runner looks every 10 ms whether ack() was called; this way the answer goes out when it is.
            process_before_response=True,
            request_verification_enabled=False,
            ssl_check_enabled=False,
            ignoring_self_events_enabled=False,
            ignoring_self_assistant_message_events_enabled=False,
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        self._desk = desk
        self.lobby = HomeUpdater(desk)
        for room in (
            commands,
            form,
            menu_options,
            triage,
            mentions,
            unfurl,
            triage_shortcut,
            run_commands,
        ):
            room.register_listeners(self, desk)
        channel_events.register_listeners(self, desk, self.lobby)
        events.register_listeners(self, desk, self.lobby)
        buttons.register_listeners(self, desk)
        self.error(_build_error_handler(desk))

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Answer one request: for all processes together once, timed, its name bound to every log line.

        Not a Bolt middleware, for those have returned before the listener runs.
        """
        sort, name = request_kind(req.body), request_name(req.body)
        began = req.context["arrived"] = self._desk.clock.monotonic()
        answer = "failed"
        with (
            structlog.contextvars.bound_contextvars(slack_request=name, kind=sort),
            charge_to_person(requesting_user(req.body)),
            tracing.record_trace(self._desk.traces.add_trace, "request", self._desk.clock, name) as made,
        ):
            try:
                made.about = trace_labels(req.body, sort)
                if not is_idempotent(req.body) and not await self._claim_request(name):
                    answer = "repeated"
                    log.info("repeated request ignored")
                    return BoltResponse(status=200, body="")
                response = await super().async_dispatch(req)
                answer = "acted"
                return response
            finally:
                tracing.record_step("request", "acknowledged", answer, bad=answer == "failed")
                self._desk.metrics.slack_requests.labels(sort, answer).inc()
                self._desk.metrics.ack_seconds.labels(sort).observe(self._desk.clock.monotonic() - began)

    async def _claim_request(self, name: str) -> bool:
        try:
            return await self._desk.store.claim_request(name)
        except StoreUnavailable:
            # Looking things up must go on without Redis; what must not happen twice claims for itself.
            log.warning("request not claimed: the store does not answer")
            return True


def request_kind(body: Mapping[str, Any]) -> str:
    """What sort of request this is, for metrics and logs."""
    if "command" in body:
        return "command"
    if "event" in body:
        return "event"
    sort = str(body.get("type") or "")
    if sort == "block_suggestion":
        return "options"
    return "action" if sort == "block_actions" else "view" if sort.startswith("view_") else "other"


def requesting_user(body: Mapping[str, Any]) -> str:
    """For whom Zof is asked; nobody where a Home is opened, whose figures are everybody's."""
    event = body.get("event") or {}
    who = requester_of(body).user or event.get("user")
    return who if isinstance(who, str) and event.get("type") != "app_home_opened" else ""


def trace_labels(body: Mapping[str, Any], sort: str) -> dict[str, str]:
    """What the trace of a request says of it: who asked where, by which verb, button, form or event."""
    who, event = requester_of(body), body.get("event") or {}
    action: Mapping[str, Any] = next(iter(body.get("actions") or ()), {})
    view = body.get("view") or {}
    names = (action.get("action_id"), body.get("action_id"), event.get("type"), body.get("callback_id"))
    name = next(filter(None, names), None) or view.get("callback_id")
    if sort == "command":
        typed = str(body.get("text") or "help").split(maxsplit=1)[:1]
        name = next((item for item in typed if item in VERBS), "without_a_verb")
    what = (
        f"{sort} {tracing.safe_word(str(name)).removeprefix('zof_')}" if name else sort
    )  # what begins so looks like a key
    places = {"user": who.user or event.get("user"), "channel": who.channel or event.get("channel")}
    return {"what": what} | {
        place: each_place
        for place, each_place in places.items()
        if isinstance(each_place, str) and each_place.isalnum()
    }


def is_idempotent(body: Mapping[str, Any]) -> bool:
    """Whether a repeat needs no claim: Slack's challenge and menus are answered alike, and acts know their request.

    What is asked of a menu has no id of its own, so two who type the same look like one who asks twice.

    An act that was claimed first would be lost where the process dies between the claim and the act.
    """
    names = [action.get("action_id") for action in body.get("actions") or ()]
    names.append((body.get("view") or {}).get("callback_id") if body.get("type") == "view_submission" else None)
    acts = any(isinstance(name, str) and name.startswith(IDEMPOTENT_ID_PREFIXES) for name in names)
    return acts or body.get("type") in ("url_verification", "block_suggestion") or mentions.requests_action(body)


def request_name(body: Mapping[str, Any]) -> str:
    """Name one request of Slack's so that a repeat has the same name, whatever the transport and its retry headers."""
    name = body.get("event_id") or body.get("trigger_id")
    if isinstance(name, str) and name:
        return name[:256]
    text = json.dumps(body, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _build_error_handler(desk: ListenerContext) -> Callable[..., Awaitable[BoltResponse]]:
    async def handle_error(error: Exception, body: dict[str, Any]) -> BoltResponse:
        """Tell the person, with a reference; a 500 would only make Slack repeat what was claimed already."""
        message = error_replies.unexpected_error_reply(error)
        if request_kind(body) == "command":
            return BoltResponse(status=200, body=message.message_fields() | {"response_type": "ephemeral"})
        who = requester_of(body)
        if who.response_url:
            desk.errands.start(desk.send_reply(who, message))
        return BoltResponse(status=200, body="")

    return handle_error
