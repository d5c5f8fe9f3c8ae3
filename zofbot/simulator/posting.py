"""Putting messages into channels: what Slack takes, what it refuses, and the chat methods that do it."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

from zofbot.simulator import blocks, linking, mentions
from zofbot.simulator.entities import APP, BOT, BOT_ID, TEAM, Channel, Message
from zofbot.simulator.quota import Pace
from zofbot.simulator.workspace import Refused, Workspace

Arguments = dict[str, Any]
Answer = dict[str, Any]

MOST_TEXT = 4000
"""Slack cuts a new message only above 40,000, but advises this and refuses more in an update."""


def parts(value: Any, name: str) -> list[Any]:
    """Blocks or attachments as a list, from JSON or a form's string; ``None`` means none."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value else []
        except json.JSONDecodeError:
            raise Refused(f"invalid_{name}_format") from None
    if value is not None and not isinstance(value, list):
        raise Refused(f"invalid_{name}_format")
    return copy.deepcopy(value) if value else []


def truthy(value: Any) -> bool:
    """A flag as any of the ways a client can send it."""
    return value in (True, 1, "1", "true", "True")


def content(slack: Workspace, given: Arguments, look_for: linking.Parsing = linking.BY_DEFAULT) -> Arguments:
    """The checked text, blocks and attachments of a message; raises :class:`Refused` as Slack would.

    ``look_for`` says what Slack links in the text by itself.
    """
    text = given.get("text") or ""
    payload = {name: parts(given.get(name), name) for name in ("blocks", "attachments")}
    if "markdown_text" in given:
        if text or payload["blocks"]:
            raise Refused("markdown_text_conflict")
        text = given["markdown_text"]
    if not isinstance(text, str):
        raise Refused("invalid_arguments")
    if not (text or payload["blocks"] or payload["attachments"]):
        raise Refused("no_text")
    if len(text) > (blocks.MARKDOWN_IN_ALL if "markdown_text" in given else MOST_TEXT):
        raise Refused("msg_too_long")
    found = [] if slack.takes_blocks or not any(payload.values()) else ["this workspace takes no blocks"]
    if not slack.draws_charts and "data_visualization" in blocks.kinds(payload):
        found = ["unsupported type of block in a message: data_visualization"]
    if found := found or blocks.problems(payload, "message"):
        raise Refused("invalid_blocks", errors=found, response_metadata={"messages": found})
    if found := mentions.unescaped({"text": text, **payload}, slack.known_ids()):
        raise Refused("unescaped_mention", errors=found, response_metadata={"messages": found})
    if found := linking.automatic({"text": text, **payload}, look_for):
        raise Refused("automatic_link", errors=found, response_metadata={"messages": found})
    slack.inspect(payload, "message")
    return {"text": text, **{name: _identified(slack, value) for name, value in payload.items()}}


def _identified(slack: Workspace, given: list[Any]) -> list[Any]:
    """The same blocks (or attachments with blocks), each with the ids that Slack makes up for missing ones."""
    for block in given:
        if "blocks" in block:
            _identified(slack, block["blocks"])
        elif "type" in block:
            identify(slack, [block])
    return given


def identify(slack: Workspace, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every block and every element that can be pressed an id if it has none, as Slack does."""
    for block in given:
        block.setdefault("block_id", slack.new_id("b")[:6])
        for element in pressable(block):
            element.setdefault("action_id", slack.new_id("a")[:6])
    return given


def pressable(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The elements of a block that people can press, choose or fill in."""
    alone = [block[name] for name in ("accessory", "element") if name in block]
    several = block["elements"] if block["type"] == "actions" else []
    return (element for element in itertools.chain(alone, several) if element["type"] != "image")


def seen_channel(slack: Workspace, channel_id: Any) -> Channel:
    """A channel the bot may know of, by its own id: a person's id is none.

    https://docs.slack.dev/reference/methods/conversations.history , and so for every method but ``chat.postMessage``
    """
    channel = slack.channels.get(str(channel_id))
    if channel is None or (channel.private and BOT not in channel.members):
        raise Refused("channel_not_found")
    return channel


def open_channel(slack: Workspace, channel_id: Any) -> Channel:
    """A channel the bot may write to now."""
    channel = seen_channel(slack, channel_id)
    if channel.archived:
        raise Refused("is_archived")
    if BOT not in channel.members and "chat:write.public" not in slack.scopes:
        raise Refused("not_in_channel")
    if channel.restricted:
        raise Refused(channel.restricted)
    return channel


def parent(slack: Workspace, channel: Channel, thread_ts: Any) -> str | None:
    """The time stamp of an existing thread's first message, ``None`` when none is asked for."""
    if not thread_ts:
        return None
    message = slack.find(channel.id, str(thread_ts))
    if message is None or message.only_to:
        raise Refused("thread_not_found")
    if message.thread_ts and message.thread_ts != message.ts:
        raise Refused("cannot_reply_to_message")
    return message.ts


def _metadata(given: Any) -> tuple[dict[str, Any] | None, Answer]:
    """The metadata to keep, and the warning Slack adds when it dropped what it could not read."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except json.JSONDecodeError:
            given = {}
    payload = given.get("event_payload") if isinstance(given, dict) else None
    flat = isinstance(payload, dict) and not any(isinstance(value, dict | list) for value in payload.values())
    if given is None or (flat and isinstance(given.get("event_type"), str) and given["event_type"]):
        return given, {}
    found = ["[ERROR] metadata needs an event_type and a flat event_payload [json-pointer:/metadata]"]
    return None, {"warning": "invalid_metadata_format", "response_metadata": {"messages": found}}


def _pace(slack: Workspace, channel: Channel) -> bool:
    """Whether the message is to be hidden; raises :class:`Refused` when it comes too fast to be taken."""
    pace = slack.paces.setdefault(channel.id, Pace())
    if not slack.paced or pace.take(slack.now()):
        return False
    if not slack.hides_fast_posts:
        raise Refused("ratelimited", status=429, headers={"Retry-After": "1"})
    return True


def _app_of(slack: Workspace, user: str) -> Answer:
    """The ids of the app that wrote a message: ours, or that of another bot in the workspace."""
    if user == BOT:
        return {"bot_id": BOT_ID, "app_id": APP}
    other = slack.users.get(user)
    return {"bot_id": f"B{user[1:]}", "app_id": f"A{user[1:]}"} if other and other.kind == "bot" else {}


def shown(slack: Workspace, message: Message, *, metadata: bool = False) -> Answer:
    """A message as Slack's API shows it."""
    bot = _app_of(slack, message.user)
    answer: Answer = {
        "type": "message",
        "user": message.user,
        **bot,
        "team": TEAM,
        "ts": message.ts,
        "text": message.text,
    }
    replies = slack.replies(message) if not message.thread_ts else []
    thread = message.thread_ts or (message.ts if replies else None)
    answer |= {name: value for name in ("blocks", "attachments") if (value := getattr(message, name))}
    answer |= {"thread_ts": thread} if thread else {}
    answer |= {"reply_count": len(replies), "latest_reply": replies[-1].ts} if replies else {}
    answer |= {"edited": {"user": message.user, "ts": message.ts}} if message.edited else {}
    answer |= {"metadata": message.metadata} if metadata and message.metadata else {}
    return answer


def post_message(slack: Workspace, given: Arguments) -> Answer:
    """``chat.postMessage``, the one method that takes a person's id for their direct messages with the bot."""
    dm = slack.dm(str(given.get("channel")))
    channel = open_channel(slack, dm.id if dm else given.get("channel"))
    body = content(slack, given, linking.parsing(given))
    thread_ts = parent(slack, channel, given.get("thread_ts"))
    kept, warning = _metadata(given.get("metadata"))
    hidden = _pace(slack, channel)
    broadcast = bool(thread_ts) and truthy(given.get("reply_broadcast"))
    message = Message(
        channel.id, slack.stamp(), BOT, **body, thread_ts=thread_ts, metadata=kept, broadcast=broadcast, hidden=hidden
    )
    slack.keep(message)
    message.deleted = slack.removes_alerts and not channel.im_with
    slack.echo(message)
    if not body["text"]:
        warning = {"warning": "missing_text_in_message"} | warning
    return {"channel": channel.id, "ts": message.ts, "message": shown(slack, message, metadata=True), **warning}


def post_ephemeral(slack: Workspace, given: Arguments) -> Answer:
    """``chat.postEphemeral``."""
    channel = open_channel(slack, given.get("channel"))
    if given.get("user") not in channel.members:
        raise Refused("user_not_in_channel")
    body = content(slack, given, linking.parsing(given))
    thread_ts = parent(slack, channel, given.get("thread_ts"))
    message = Message(channel.id, slack.stamp(), BOT, **body, thread_ts=thread_ts, only_to=given["user"])
    return {"message_ts": slack.keep(message).ts}


def _own(slack: Workspace, given: Arguments, error: str) -> Message:
    channel = seen_channel(slack, given.get("channel"))
    message = slack.find(channel.id, str(given.get("ts")))
    if message is None or message.only_to:
        raise Refused("message_not_found")
    if message.user != BOT:
        raise Refused(error)
    return message


def update(slack: Workspace, given: Arguments) -> Answer:
    """``chat.update``: blocks and attachments that are not sent again are dropped, metadata is kept."""
    message = _own(slack, given, "cant_update_message")
    if slack.channels[message.channel].archived:
        raise Refused("is_archived")
    if slack.edit_window is not None and slack.now() - float(message.ts) > slack.edit_window:
        raise Refused(slack.edit_refusal)
    body = content(slack, given, linking.parsing(given, "client"))
    kept, warning = _metadata(given.get("metadata"))
    message.text, message.blocks, message.attachments = body["text"], body["blocks"], body["attachments"]
    message.metadata, message.edited = kept or message.metadata, True
    slack.echo(message, edited=True)
    slack.changed()
    return {"channel": message.channel, "ts": message.ts, "text": message.text, **warning}


def delete(slack: Workspace, given: Arguments) -> Answer:
    """``chat.delete``."""
    message = _own(slack, given, "cant_delete_message")
    if slack.keeps_everything:
        raise Refused("compliance_exports_prevent_deletion")
    message.deleted = True
    slack.changed()
    return {"channel": message.channel, "ts": message.ts}


def permalink(slack: Workspace, given: Arguments) -> Answer:
    """``chat.getPermalink``."""
    channel = seen_channel(slack, given.get("channel"))
    message = slack.find(channel.id, str(given.get("message_ts")))
    if message is None:
        raise Refused("message_not_found")
    address = f"https://acme.slack.example/archives/{channel.id}/p{message.ts.replace('.', '')}"
    thread = f"?thread_ts={message.thread_ts}&cid={channel.id}" if message.thread_ts else ""
    return {"channel": channel.id, "permalink": address + thread}


def add_reaction(slack: Workspace, given: Arguments) -> Answer:
    """``reactions.add``."""
    channel = seen_channel(slack, given.get("channel"))
    if channel.archived:
        raise Refused("is_archived")
    message = slack.find(channel.id, str(given.get("timestamp")))
    if message is None:
        raise Refused("message_not_found")
    if not given.get("name"):
        raise Refused("invalid_name")
    who = message.reactions.setdefault(given["name"], set())
    if BOT in who:
        raise Refused("already_reacted")
    who.add(BOT)
    slack.changed()
    return {}
