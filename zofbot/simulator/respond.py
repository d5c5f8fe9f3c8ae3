"""What a slash command's or a click's answer does: at once in the acknowledgement, or later by response_url."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from zofbot.simulator.entities import BOT, Hook, Message
from zofbot.simulator.posting import Arguments, content, parent, truthy
from zofbot.simulator.workspace import Refused, Workspace

MOST_USES = 5
LIFETIME = 30 * 60
"""Seconds: https://docs.slack.dev/interactivity/handling-user-interaction"""


class Reply(NamedTuple):
    """What Slack says to whoever used a response_url."""

    status: int
    body: str
    content_type: str = "text/plain"


def respond(slack: Workspace, token: str, given: Any) -> Reply:
    """Use a response_url once."""
    hook = slack.hooks.get(token)
    if hook is None or slack.now() - hook.at > LIFETIME:
        return _refused(slack, 404, "expired_url")
    if hook.uses >= MOST_USES:
        return _refused(slack, 404, "used_url")
    hook.uses += 1
    if not isinstance(given, dict):
        return _refused(slack, 400, "invalid_payload")
    try:
        speak(slack, hook, given)
    except Refused as no:
        return _refused(slack, 400, no.error)
    return Reply(200, "ok")


def _refused(slack: Workspace, status: int, error: str) -> Reply:
    """A refusal in the form that this workspace gives it; public reports show each of them."""
    said = "Expired url" if error == "expired_url" else error
    match slack.refuses_answers:
        case "text":
            return Reply(status, said)
        case "json":
            return Reply(status, json.dumps({"ok": False, "error": said}), "application/json")
        case _:
            return Reply(200, json.dumps({"ok": False, "error": error}), "application/json")


def speak(slack: Workspace, hook: Hook, given: Arguments) -> None:
    """Show, replace or delete what ``given`` says; raises :class:`Refused` for what Slack would not show.

    Only what somebody clicked on can be replaced or deleted: for a slash command there is no such message.
    """
    if given.get("response_type", "ephemeral") not in ("ephemeral", "in_channel"):
        raise Refused("invalid_response_type")
    if truthy(given.get("delete_original")):
        if hook.message is not None:
            hook.message.deleted = True
        slack.changed()
        return
    body = content(slack, given)
    if truthy(given.get("replace_original")) and hook.message is not None and not hook.message.deleted:
        _replace(slack, hook.message, body)
        return
    thread_ts = parent(slack, slack.channels[hook.channel], given.get("thread_ts"))
    only_to = "" if given.get("response_type") == "in_channel" else hook.user
    slack.keep(Message(hook.channel, slack.stamp(), BOT, **body, thread_ts=thread_ts, only_to=only_to))


def _replace(slack: Workspace, message: Message, body: Arguments) -> None:
    """Change a message where it stands: a private one stays private."""
    if message.user != BOT:
        raise Refused("cant_update_message")
    message.text, message.blocks, message.attachments = body["text"], body["blocks"], body["attachments"]
    message.edited = not message.only_to
    slack.changed()
