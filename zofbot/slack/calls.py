"""One call to Slack's Web API: bounded, emitted, and each error one of SlackDeferred, SlackRefused and SlackUnknown."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, TypeVar, overload
from urllib.parse import urljoin

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from zofbot import __version__
from zofbot.clock import Clock, timeout
from zofbot.config.proxy import proxy_for
from zofbot.domain.errors import SlackDeferred, SlackError
from zofbot.domain.json_encoding import encode_json
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import SlackCall
from zofbot.slack import http_replies, responses
from zofbot.slack.errors import classify_error
from zofbot.slack.responses import ReplyT
from zofbot.slack.web_client import BoundedWebClient, send_request

log = structlog.get_logger()

CALL_DEADLINE_SECONDS = 8.0
"""Timeout of one call to Slack, in seconds."""

_JSON_HEADERS = {"Content-Type": "application/json;charset=utf-8", "User-Agent": f"zofbot/{__version__}"}

SdkCall = Callable[[], Awaitable[AsyncSlackResponse]]
T = TypeVar("T")


class SlackCalls:
    """Makes the calls of one workspace, all through ``session``; without one, the SDK opens a connection per call.

    ``deadline`` is the timeout of one call, in seconds. Raises SettingsError if the environment's proxy is invalid.
    """

    def __init__(  # noqa: PLR0913  (each from outside)
        self,
        session: aiohttp.ClientSession,
        *,
        token: str,
        api_url: str,
        events: EventEmitter,
        clock: Clock,
        deadline: float = CALL_DEADLINE_SECONDS,
    ) -> None:
        self.deadline = deadline
        # No retry handlers: the SDK resends after a lost connection, which could post a message twice.
        self.client = BoundedWebClient(
            token=token, base_url=api_url, session=session, retry_handlers=[], logger=_quiet_logger()
        )
        self.client.proxy = proxy_for(api_url)  # the SDK reads HTTPS_PROXY itself, but neither NO_PROXY nor ALL_PROXY
        self.session = session
        self._events = events
        self.clock = clock

    @overload
    async def call_method(self, method: str, send: SdkCall) -> responses.SlackReply: ...

    @overload
    async def call_method(self, method: str, send: SdkCall, kind: type[ReplyT]) -> ReplyT: ...

    async def call_method(
        self, method: str, send: SdkCall, kind: type[responses.SlackReply] = responses.SlackReply
    ) -> responses.SlackReply:
        """Run ``send``, a call of the SDK, and parse its reply as ``kind``. Raises SlackError."""

        async def call() -> responses.SlackReply:
            try:
                reply = await send()
            except SlackApiError as error:
                response = error.response
                data = response.data if isinstance(response.data, dict) else {}
                raise _refusal_error(response.status_code, data, response.headers) from error
            except SlackRequestError as error:  # rejected by the SDK before sending
                raise classify_error(200, "invalid_arguments", {}) from error
            data = reply.data if isinstance(reply.data, dict) else {}
            _log_warning(method, data)
            return responses.parse_reply(kind, data)

        return await self.run_call(method, call)

    @overload
    async def post_json(self, method: str, body: Mapping[str, Any]) -> responses.SlackReply: ...

    @overload
    async def post_json(self, method: str, body: Mapping[str, Any], kind: type[ReplyT]) -> ReplyT: ...

    async def post_json(
        self, method: str, body: Mapping[str, Any], kind: type[responses.SlackReply] = responses.SlackReply
    ) -> responses.SlackReply:
        """Post ``body`` to a method and parse its reply as ``kind``, for half of the CPU time of the SDK's call.

        For the methods that deliver alerts. Raises SlackError.
        """

        async def call() -> responses.SlackReply:
            reply = await send_request(
                self.session,
                "POST",
                _method_url(self.client.base_url, method),
                data=encode_json(body).encode(),
                headers={"Authorization": f"Bearer {self.client.token}"} | _JSON_HEADERS,
                proxy=self.client.proxy,
            )
            data = http_replies.parse_http_reply(reply)
            if data["ok"] is not True:
                raise _refusal_error(reply.status, data, reply.headers)
            _log_warning(method, data)
            return responses.parse_reply(kind, data)

        return await self.run_call(method, call)

    async def run_call(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Run one call within the deadline, emit it once, and convert errors to the three SlackError types."""
        status: int | None
        outcome, status, reason = "unknown", None, "canceled"
        began = self.clock.monotonic()
        try:
            async with timeout(self.deadline):
                result = await call()
            outcome, status, reason = "ok", 200, ""
            return result
        except aiohttp.ClientConnectorError as error:
            outcome, status, reason = "deferred", None, "unreachable"
            raise SlackDeferred("unreachable", "Slack couldn't be reached.", "Try again in a moment.") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            outcome, status, reason = "unknown", None, type(error).__name__
            raise classify_error(None, type(error).__name__, {}) from error
        except SlackError as error:
            outcome, status, reason = error.outcome, error.status, error.reason
            raise
        except Exception as error:
            reason = type(error).__name__
            raise
        finally:
            self._events.emit(SlackCall(method, outcome, status, reason, self.clock.monotonic() - began))

    async def post_to_url(self, url: str, body: dict[str, Any]) -> None:
        """Post to a ``response_url``. Raises SlackError."""

        async def post_once() -> None:
            reply = await send_request(self.session, "POST", url, json=body, proxy=proxy_for(url))
            http_replies.check_response_url_reply(reply)

        await self.run_call("response_url", post_once)


@cache
def _method_url(base: str, method: str) -> str:
    """Return the URL of a method of the Web API."""
    return urljoin(base, method)


def _quiet_logger() -> logging.Logger:
    """Return a logger at WARNING level, which spares the SDK from formatting debug lines for each request."""
    quiet = logging.getLogger("zofbot.slack_sdk")
    quiet.setLevel(logging.WARNING)
    return quiet


def _refusal_error(status: int, data: Mapping[str, Any], headers: Mapping[str, str]) -> SlackError:
    """Return the error for a refusal; its reason was validated when the reply was parsed."""
    reason, needed = str(data.get("error") or ""), http_replies.parse_scope(data.get("needed"))
    log.info("slack refused", reason=reason, needed=needed, details=http_replies.parse_details(data))
    return classify_error(status, reason, headers, needed)


def _log_warning(method: str, data: Mapping[str, Any]) -> None:
    """Log Slack's warning, such as that it ignored the metadata (https://docs.slack.dev/messaging/message-metadata)."""
    if kept := data.get("warning"):
        warning, details = http_replies.printable_text(kept, 100), http_replies.parse_details(data)
        log.warning("slack warned", method=method, warning=warning, details=details)
