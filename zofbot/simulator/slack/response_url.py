"""Responses to slash commands and clicks, in the acknowledgement or by response_url."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from zofbot.simulator.slack.chat_api import Arguments, find_parent, is_truthy, validate_content
from zofbot.simulator.slack.model import BOT_USER_ID, PostedMessage, ResponseUrl
from zofbot.simulator.slack.state import SlackRefusal, Workspace

MAX_USES = 5
LIFETIME_SECONDS = 30 * 60
"""https://docs.slack.dev/interactivity/handling-user-interaction"""


class ResponseUrlReply(NamedTuple):
    """Slack's reply to the use of a response_url."""

    status: int
    body: str
    content_type: str = "text/plain"


def use_response_url(slack: Workspace, token: str, given: Any) -> ResponseUrlReply:
    """Use a response_url once."""
    hook = slack.hooks.get(token)
    if hook is None or slack.now() - hook.at > LIFETIME_SECONDS:
        return _refusal_reply(slack, 404, "expired_url")
    if hook.uses >= MAX_USES:
        return _refusal_reply(slack, 404, "used_url")
    hook.uses += 1
    if not isinstance(given, dict):
        return _refusal_reply(slack, 400, "invalid_payload")
    try:
        apply_response(slack, hook, given)
    except SlackRefusal as no:
        return _refusal_reply(slack, 400, no.error)
    return ResponseUrlReply(200, "ok")


def _refusal_reply(slack: Workspace, status: int, error: str) -> ResponseUrlReply:
    """Build a refusal in the configured form; each form is known from public reports."""
    said = "Expired url" if error == "expired_url" else error
    match slack.refuses_answers:
        case "text":
            return ResponseUrlReply(status, said)
        case "json":
            return ResponseUrlReply(status, json.dumps({"ok": False, "error": said}), "application/json")
        case _:
            return ResponseUrlReply(200, json.dumps({"ok": False, "error": error}), "application/json")


def apply_response(slack: Workspace, hook: ResponseUrl, given: Arguments) -> None:
    """Show, replace or delete a message as ``given`` says; raises :class:`SlackRefusal` if it is invalid.

    Only a clicked message can be replaced or deleted; a slash command has none.
    """
    if given.get("response_type", "ephemeral") not in ("ephemeral", "in_channel"):
        raise SlackRefusal("invalid_response_type")
    if is_truthy(given.get("delete_original")):
        if hook.message is not None:
            hook.message.deleted = True
        slack.changed()
        return
    body = validate_content(slack, given)
    if is_truthy(given.get("replace_original")) and hook.message is not None and not hook.message.deleted:
        _replace_message(slack, hook.message, body)
        return
    thread_ts = find_parent(slack, slack.channels[hook.channel], given.get("thread_ts"))
    only_to = "" if given.get("response_type") == "in_channel" else hook.user
    slack.add_message(
        PostedMessage(hook.channel, slack.next_timestamp(), BOT_USER_ID, **body, thread_ts=thread_ts, only_to=only_to)
    )


def _replace_message(slack: Workspace, message: PostedMessage, body: Arguments) -> None:
    """Replace a message in place; an ephemeral one stays ephemeral."""
    if message.user != BOT_USER_ID:
        raise SlackRefusal("cant_update_message")
    message.replace_content(body["text"], body["blocks"], body["attachments"])
    message.edited = not message.only_to
    slack.changed()
