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

from zofbot import tracing
from zofbot.errors import StoreUnavailable
from zofbot.listeners import (
    actions,
    channel_events,
    choosing,
    commands,
    endings,
    forms,
    home,
    mentions,
    ordering,
    pasting,
    suggesting,
    triage,
)
from zofbot.listeners.desk import Desk, asked
from zofbot.listeners.lobby import Lobby
from zofbot.verbs import VERBS
from zofbot.zof.share import asking_for

log = structlog.get_logger()

ACTS = ("zof_triage_", "zof_do_", "zof_act_", "zof_choose", "zof_rerun", "zof_cancel")
"""What the controls and the forms of acts on failures are called, and the buttons that order something at Zof."""


class Reception(AsyncApp):
    """The Bolt app that HTTP and Socket Mode both hand their requests to; each request gets in once.

    Client and authorization are given, because Bolt would read ``SLACK_*`` variables and ask ``auth.test`` by itself;
    requests over HTTP are verified at the web door, and Socket Mode has no signature.
    """

    def __init__(self, desk: Desk, client: AsyncWebClient) -> None:
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
        self.lobby = Lobby(desk)
        for room in (commands, forms, suggesting, triage, mentions, pasting, choosing, ordering):
            room.register(self, desk)
        channel_events.register(self, desk, self.lobby)
        home.register(self, desk, self.lobby)
        actions.register(self, desk)
        self.error(_broken(desk))

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Answer one request: for all processes together once, timed, its name bound to every log line.

        Not a Bolt middleware, for those have returned before the listener runs.
        """
        sort, name = kind(req.body), request_name(req.body)
        began = req.context["arrived"] = self._desk.clock.monotonic()
        answer = "failed"
        with (
            structlog.contextvars.bound_contextvars(slack_request=name, kind=sort),
            asking_for(asker(req.body)),
            tracing.traced(self._desk.traces.keep, "request", self._desk.clock, name) as made,
        ):
            try:
                made.about = described(req.body, sort)
                if not twice_is_once(req.body) and not await self._fresh(name):
                    answer = "repeated"
                    log.info("repeated request ignored")
                    return BoltResponse(status=200, body="")
                response = await super().async_dispatch(req)
                answer = "acted"
                return response
            finally:
                tracing.step("request", "acknowledged", answer, bad=answer == "failed")
                self._desk.metrics.slack_requests.labels(sort, answer).inc()
                self._desk.metrics.ack_seconds.labels(sort).observe(self._desk.clock.monotonic() - began)

    async def _fresh(self, name: str) -> bool:
        try:
            return await self._desk.store.claim(name)
        except StoreUnavailable:
            # Looking things up must go on without Redis; what must not happen twice claims for itself.
            log.warning("request not claimed: the store does not answer")
            return True


def kind(body: Mapping[str, Any]) -> str:
    """What sort of request this is, for metrics and logs."""
    if "command" in body:
        return "command"
    if "event" in body:
        return "event"
    sort = str(body.get("type") or "")
    if sort == "block_suggestion":
        return "options"
    return "action" if sort == "block_actions" else "view" if sort.startswith("view_") else "other"


def asker(body: Mapping[str, Any]) -> str:
    """For whom Zof is asked; nobody where a Home is opened, whose figures are everybody's."""
    event = body.get("event") or {}
    who = asked(body).user or event.get("user")
    return who if isinstance(who, str) and event.get("type") != "app_home_opened" else ""


def described(body: Mapping[str, Any], sort: str) -> dict[str, str]:
    """What the trace of a request says of it: who asked where, by which verb, button, form or event."""
    who, event = asked(body), body.get("event") or {}
    action: Mapping[str, Any] = next(iter(body.get("actions") or ()), {})
    view = body.get("view") or {}
    names = (action.get("action_id"), body.get("action_id"), event.get("type"), body.get("callback_id"))
    name = next(filter(None, names), None) or view.get("callback_id")
    if sort == "command":
        typed = str(body.get("text") or "help").split(maxsplit=1)[:1]
        name = next((one for one in typed if one in VERBS), "without_a_verb")
    what = f"{sort} {tracing.word(str(name)).removeprefix('zof_')}" if name else sort  # what begins so looks like a key
    places = {"user": who.user or event.get("user"), "channel": who.channel or event.get("channel")}
    return {"what": what} | {place: one for place, one in places.items() if isinstance(one, str) and one.isalnum()}


def twice_is_once(body: Mapping[str, Any]) -> bool:
    """Whether a repeat needs no claim: Slack's challenge and menus are answered alike, and acts know their request.

    What is asked of a menu has no id of its own, so two who type the same look like one who asks twice.

    An act that was claimed first would be lost where the process dies between the claim and the act.
    """
    names = [action.get("action_id") for action in body.get("actions") or ()]
    names.append((body.get("view") or {}).get("callback_id") if body.get("type") == "view_submission" else None)
    acts = any(isinstance(name, str) and name.startswith(ACTS) for name in names)
    return acts or body.get("type") in ("url_verification", "block_suggestion") or mentions.acts_on(body)


def request_name(body: Mapping[str, Any]) -> str:
    """Name one request of Slack's so that a repeat has the same name, whatever the transport and its retry headers."""
    name = body.get("event_id") or body.get("trigger_id")
    if isinstance(name, str) and name:
        return name[:256]
    text = json.dumps(body, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _broken(desk: Desk) -> Callable[..., Awaitable[BoltResponse]]:
    async def broken(error: Exception, body: dict[str, Any]) -> BoltResponse:
        """Tell the person, with a reference; a 500 would only make Slack repeat what was claimed already."""
        message = endings.broken(error)
        if kind(body) == "command":
            return BoltResponse(status=200, body=message.payload() | {"response_type": "ephemeral"})
        who = asked(body)
        if who.response_url:
            desk.errands.start(desk.respond(who, message))
        return BoltResponse(status=200, body="")

    return broken
