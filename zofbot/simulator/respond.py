"""What a slash command's or a click's answer does: at once in the acknowledgement, or later by response_url."""

from __future__ import annotations

from typing import Any

from zofbot.simulator.entities import BOT, Hook, Message
from zofbot.simulator.posting import Arguments, content, parent, truthy
from zofbot.simulator.workspace import Refused, Workspace

MOST_USES = 5
LIFETIME = 30 * 60
"""Seconds: https://docs.slack.dev/interactivity/handling-user-interaction"""


def respond(slack: Workspace, token: str, given: Any) -> tuple[int, str]:
    """Use a response_url once; returns the HTTP status and text of the reply."""
    hook = slack.hooks.get(token)
    if hook is None or slack.now() - hook.at > LIFETIME:
        return 404, "expired_url"
    if hook.uses >= MOST_USES:
        return 404, "used_url"
    hook.uses += 1
    if not isinstance(given, dict):
        return 400, "invalid_payload"
    try:
        speak(slack, hook, given)
    except Refused as no:
        return 400, no.error
    return 200, "ok"


def speak(slack: Workspace, hook: Hook, given: Arguments) -> None:
    """Show, replace or delete what ``given`` says; raises :class:`Refused` for what Slack would not show."""
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
    message = Message(hook.channel, slack.stamp(), BOT, **body, thread_ts=thread_ts, only_to=only_to)
    slack.keep(message)
    hook.message = hook.message or message


def _replace(slack: Workspace, message: Message, body: Arguments) -> None:
    """Change a message where it stands: a private one stays private."""
    if message.user != BOT:
        raise Refused("cant_update_message")
    message.text, message.blocks, message.attachments = body["text"], body["blocks"], body["attachments"]
    message.edited = not message.only_to
    slack.changed()
