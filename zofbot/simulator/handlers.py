"""HTTP handlers of the simulated Slack and Zof: answer a request, or inject a fault, and record the call."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

from aiohttp import web

from zofbot.clock import Clock
from zofbot.simulator.faults import ERROR_PREFIX, RESPONSE_URL_TARGET
from zofbot.simulator.slack import broken_replies, web_api
from zofbot.simulator.slack.model import SlackCall
from zofbot.simulator.slack.response_url import use_response_url
from zofbot.simulator.slack.state import Workspace
from zofbot.simulator.zof import error_bodies, rest_api
from zofbot.simulator.zof.pagination import ApiRequest
from zofbot.simulator.zof.state import HttpReply, Organization, RecordedZofCall


def hang_up(request: web.Request) -> web.Response:
    """Close the connection without a reply; the returned response is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _read_body(request: web.Request) -> Any:
    """Parse the body as JSON or a form; ``None`` if it is missing or invalid."""
    if request.content_type == "application/json":
        try:
            return await request.json()
        except ValueError:
            return None
    return dict(await request.post())


class ZofHandler:
    """Zof below ``/zof/v1``."""

    def __init__(self, records: Organization, clock: Clock) -> None:
        self.zof = records
        self._clock = clock

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer one request to Zof, or inject a fault."""
        path = "/" + request.match_info["path"]
        call = self._record_call(request, path, await _read_body(request))
        started = self._clock.monotonic()
        fault = self.zof.faults.take_fault(path)
        call.fault = None if fault == "none" else fault
        self.zof.changed()
        if fault == "cut":
            return hang_up(request)
        reply = self._choose_reply(fault, ApiRequest(call.method, path, call.query, request.headers, call.body))
        await self._clock.sleep(self.zof.faults.delays.get(fault, 0))
        call.status, call.ms = reply.status, round((self._clock.monotonic() - started) * 1000)
        self.zof.changed()
        return _build_zof_response(reply, call.request_id, self._clock.time(), truncated=fault == "truncated")

    def _record_call(self, request: web.Request, path: str, body: Any) -> RecordedZofCall:
        self.zof.asked += 1
        headers = {name: value for name, value in request.headers.items() if name != "Authorization"}
        call = RecordedZofCall(
            n=self.zof.asked,
            at=self.zof.now(),
            method=request.method,
            path=path,
            request_id=self.zof.new_id("req"),
            query=dict(request.query),
            headers=headers,
            body=body or None,
        )
        self.zof.calls.append(call)
        return call

    def _choose_reply(self, fault: str, ask: ApiRequest) -> HttpReply:
        if fault in ("huge", "bomb"):
            return error_bodies.flood_reply(compressed=fault == "bomb")
        return error_bodies.ERROR_REPLIES.get(fault) or rest_api.answer_request(self.zof, ask)


def _build_zof_response(reply: HttpReply, request_id: str, now: float, *, truncated: bool) -> web.Response:
    kind, body = _encode_body(reply.body)
    headers = {"Content-Type": kind, "Date": formatdate(now, usegmt=True), "X-Request-Id": request_id, **reply.headers}
    kept = {name: value for name, value in headers.items() if value is not None}
    return web.Response(status=reply.status, body=error_bodies.cut_in_half(body) if truncated else body, headers=kept)


def _encode_body(body: Any) -> tuple[str, bytes]:
    if isinstance(body, bytes):
        return "application/octet-stream", body
    if isinstance(body, str):
        return "text/plain; charset=utf-8", body.encode()
    return "application/json", json.dumps(body).encode()


_SLACK_ERROR_REPLIES = {
    "429": (429, {"Retry-After": "1"}, {"ok": False, "error": "ratelimited"}),
    "429_fraction": (429, {"Retry-After": "0.5"}, {"ok": False, "error": "ratelimited"}),
    "500": (500, {}, {"ok": False, "error": "internal_error"}),
    "invalid_auth": (200, {}, {"ok": False, "error": "invalid_auth"}),
    "view_too_large": (200, {}, {"ok": False, "error": "view_too_large"}),
    "invalid_blocks": (200, {}, {"ok": False, "error": "invalid_blocks"}),
    "ratelimited_200": (200, {}, {"ok": False, "error": "ratelimited"}),
}
_UNRECORDED_ARGUMENTS = ("token",)


class SlackHandler:
    """Slack's Web API below ``/api`` and its response URLs below ``/respond``."""

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self.slack = workspace
        self._clock = clock

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer one Web API call, or inject a fault."""
        name = request.match_info["method"]
        body = await _read_body(request)
        given = {**request.query, **(body if isinstance(body, dict) else {})}
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer").strip()
        token = bearer or str(given.get("token", ""))
        call = self._record_call(name, {key: value for key, value in given.items() if key not in _UNRECORDED_ARGUMENTS})
        fault = self.slack.faults.take_fault(name)
        call.fault = None if fault == "none" else fault
        try:
            return await self._answer_call(request, call, token, fault)
        finally:
            self.slack.changed()

    def _record_call(self, name: str, given: dict[str, Any]) -> SlackCall:
        self.slack.asked += 1
        call = SlackCall(self.slack.asked, self.slack.now(), name, given, channel=given.get("channel"))
        self.slack.calls.append(call)
        return call

    async def _answer_call(self, request: web.Request, call: SlackCall, token: str, fault: str) -> web.StreamResponse:
        if fault == "cut":
            call.error = "cut"
            return hang_up(request)
        if fault in broken_replies.BROKEN_REPLIES:
            return _broken_response(call, fault)
        if fault.startswith(ERROR_PREFIX):
            return self._build_response(
                call, web_api.ApiReply({"ok": False, "error": fault.removeprefix(ERROR_PREFIX)})
            )
        if fault == "502":
            call.status, call.error = 502, "502"
            return web.Response(status=502, text="<html><body>Bad Gateway</body></html>", content_type="text/html")
        if fault in _SLACK_ERROR_REPLIES:
            status, headers, body = _SLACK_ERROR_REPLIES[fault]
            return self._build_response(call, web_api.ApiReply(body, status, headers))
        answered = web_api.answer_call(self.slack, call.method, token, call.arguments)
        if fault == "store_then_cut":
            call.error = "cut"
            return hang_up(request)
        if fault == "store_then_500":
            return self._build_response(call, web_api.ApiReply({"ok": False, "error": "internal_error"}, 500))
        if (stored := fault.removeprefix("store_then_")) in broken_replies.BROKEN_REPLIES:
            return _broken_response(call, stored)
        if stored.startswith(ERROR_PREFIX):
            return self._build_response(
                call, web_api.ApiReply({"ok": False, "error": stored.removeprefix(ERROR_PREFIX)})
            )
        response = self._build_response(call, answered)
        self.slack.changed()
        await self._clock.sleep(self.slack.faults.delays.get(fault, 0))
        return response

    async def handle_response_url(self, request: web.Request) -> web.StreamResponse:
        """Use a response_url, or inject a fault."""
        fault = (
            self.slack.faults.take_fault(RESPONSE_URL_TARGET)
            if self.slack.faults.only == RESPONSE_URL_TARGET
            else "none"
        )
        if fault in broken_replies.BROKEN_REPLIES:
            return broken_replies.broken_response(fault)
        try:
            given = await request.json()
        except ValueError:
            given = None
        said = use_response_url(self.slack, request.match_info["token"], given)
        if (stored := fault.removeprefix("store_then_")) in broken_replies.BROKEN_REPLIES:
            return broken_replies.broken_response(stored)
        return web.Response(status=said.status, text=said.body, content_type=said.content_type)

    def _build_response(self, call: SlackCall, answered: web_api.ApiReply) -> web.Response:
        call.status, call.ok, call.error = answered.status, bool(answered.body["ok"]), answered.body.get("error")
        headers = {"Date": formatdate(self._clock.time(), usegmt=True), **answered.headers}
        return web.json_response(answered.body, status=answered.status, headers=headers)


def _broken_response(call: SlackCall, fault: str) -> web.Response:
    response = broken_replies.broken_response(fault)
    call.status, call.error = response.status, fault
    return response
