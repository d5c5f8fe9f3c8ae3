"""Slack's chat methods, and the validation of messages."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

from zofbot.simulator.blockkit import automatic_links, blocks, mentions
from zofbot.simulator.quota import BurstLimit
from zofbot.simulator.slack.model import APP_ID, BOT_ID, BOT_USER_ID, TEAM_ID, Channel, PostedMessage
from zofbot.simulator.slack.state import SlackRefusal, Workspace

Arguments = dict[str, Any]
ResponseBody = dict[str, Any]

MAX_TEXT_CHARACTERS = 4000
"""Slack truncates a new message only above 40,000, but recommends this limit and enforces it in updates."""


def parse_parts(value: Any, name: str) -> list[Any]:
    """Parse blocks or attachments to a list, from JSON or a form's string; ``None`` if there are none."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value else []
        except json.JSONDecodeError:
            raise SlackRefusal(f"invalid_{name}_format") from None
    if value is not None and not isinstance(value, list):
        raise SlackRefusal(f"invalid_{name}_format")
    return copy.deepcopy(value) if value else []


def is_truthy(value: Any) -> bool:
    """Interpret a boolean in any form that a client can send."""
    return value in (True, 1, "1", "true", "True")


def validate_content(
    slack: Workspace, given: Arguments, look_for: automatic_links.LinkParsing = automatic_links.DEFAULT_PARSING
) -> Arguments:
    """Return the validated text, blocks and attachments of a message; raises :class:`SlackRefusal`.

    ``look_for`` says what Slack would link in the text automatically.
    """
    text = given.get("text") or ""
    payload = {name: parse_parts(given.get(name), name) for name in ("blocks", "attachments")}
    if "markdown_text" in given:
        if text or payload["blocks"]:
            raise SlackRefusal("markdown_text_conflict")
        text = given["markdown_text"]
    if not isinstance(text, str):
        raise SlackRefusal("invalid_arguments")
    if not (text or payload["blocks"] or payload["attachments"]):
        raise SlackRefusal("no_text")
    if len(text) > (blocks.MAX_MARKDOWN_CHARACTERS if "markdown_text" in given else MAX_TEXT_CHARACTERS):
        raise SlackRefusal("msg_too_long")
    found = [] if slack.takes_blocks or not any(payload.values()) else ["this workspace takes no blocks"]
    newer = blocks.block_types(payload) & slack.unknown_blocks
    found += [f"unsupported type of block in a message: {kind}" for kind in sorted(newer)]
    found = found or blocks.find_problems(payload, "message")
    if found := found or [
        f"downloading image failed: {url}" for url in _image_urls(payload) & slack.unreachable_images
    ]:
        raise SlackRefusal("invalid_blocks", errors=found, response_metadata={"messages": found})
    if found := mentions.find_unescaped({"text": text, **payload}, slack.mentionable_ids()):
        raise SlackRefusal("unescaped_mention", errors=found, response_metadata={"messages": found})
    if found := automatic_links.find_automatic({"text": text, **payload}, look_for):
        raise SlackRefusal("automatic_link", errors=found, response_metadata={"messages": found})
    slack.inspect(payload, "message")
    return {"text": text, **{name: _assign_nested_ids(slack, value) for name, value in payload.items()}}


def _check_length(body: Arguments) -> None:
    """Refuse a message whose blocks have too much text in all; a ``response_url`` accepts it.

    https://github.com/slackapi/bolt-js/issues/2867
    """
    if blocks.count_text(body) > blocks.MAX_TEXT_CHARACTERS:
        raise SlackRefusal("msg_blocks_too_long")


def _image_urls(payload: Arguments) -> set[str]:
    """Return the URLs of image blocks, which Slack fetches before it accepts a message."""
    nested = [inner for attachment in payload["attachments"] for inner in attachment.get("blocks", ())]
    return {block["image_url"] for block in [*payload["blocks"], *nested] if block.get("type") == "image"}


def _assign_nested_ids(slack: Workspace, given: list[Any]) -> list[Any]:
    """Return the blocks (or attachments with blocks) with generated ids where they are missing."""
    for block in given:
        if "blocks" in block:
            _assign_nested_ids(slack, block["blocks"])
        elif "type" in block:
            assign_ids(slack, [block])
    return given


def assign_ids(slack: Workspace, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Generate missing ids of blocks and interactive elements, as Slack does."""
    for block in given:
        block.setdefault("block_id", slack.new_id("b")[:6])
        for element in interactive_elements(block):
            element.setdefault("action_id", slack.new_id("a")[:6])
    return given


def interactive_elements(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the interactive elements of a block."""
    alone = [block[name] for name in ("accessory", "element") if name in block]
    several = block["elements"] if block["type"] == "actions" else []
    return (element for element in itertools.chain(alone, several) if element["type"] != "image")


def find_channel(slack: Workspace, channel_id: Any) -> Channel:
    """Find a channel visible to the bot; a user id is not accepted.

    https://docs.slack.dev/reference/methods/conversations.history ; the same for every method but ``chat.postMessage``
    """
    channel = slack.channels.get(str(channel_id))
    if channel is None or (channel.private and BOT_USER_ID not in channel.members):
        raise SlackRefusal("channel_not_found")
    return channel


def find_writable_channel(slack: Workspace, channel_id: Any) -> Channel:
    """Find a channel the bot may post to; raises :class:`SlackRefusal` otherwise."""
    channel = find_channel(slack, channel_id)
    if channel.archived:
        raise SlackRefusal("is_archived")
    if BOT_USER_ID not in channel.members and "chat:write.public" not in slack.scopes:
        raise SlackRefusal("not_in_channel")
    if channel.restricted:
        raise SlackRefusal(channel.restricted)
    return channel


def find_parent(slack: Workspace, channel: Channel, thread_ts: Any) -> str | None:
    """Return the timestamp of an existing thread's parent; ``None`` without ``thread_ts``."""
    if not thread_ts:
        return None
    message = slack.find_message(channel.id, str(thread_ts))
    if message is None or message.only_to:
        raise SlackRefusal("thread_not_found")
    if message.thread_ts and message.thread_ts != message.ts:
        raise SlackRefusal("cannot_reply_to_message")
    return message.ts


def _is_unthreaded(slack: Workspace, channel: Channel, thread_ts: str) -> bool:
    """Return whether a reply is posted in the channel instead: people deleted its parent, which had no replies."""
    parent = slack.messages.get(channel.id, {}).get(thread_ts)
    return slack.unthreads_replies and parent is not None and parent.deleted and not slack.thread_replies(parent)


def _parse_metadata(given: Any) -> tuple[dict[str, Any] | None, ResponseBody]:
    """Return the valid metadata, and Slack's warning if invalid metadata was dropped."""
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


def _check_pace(slack: Workspace, channel: Channel) -> bool:
    """Return whether to hide the message; raises :class:`SlackRefusal` if the channel's rate limit is exceeded."""
    pace = slack.paces.setdefault(channel.id, BurstLimit())
    if not slack.paced or pace.try_spend(slack.now()):
        return False
    if not slack.hides_fast_posts:
        raise SlackRefusal("ratelimited", status=429, headers={"Retry-After": "1"})
    return True


def _app_ids(slack: Workspace, user: str) -> ResponseBody:
    """Return the ids of the app that wrote a message: the bot's, or another app's."""
    if user == BOT_USER_ID:
        return {"bot_id": BOT_ID, "app_id": APP_ID}
    other = slack.users.get(user)
    return {"bot_id": f"B{user[1:]}", "app_id": f"A{user[1:]}"} if other and other.kind == "bot" else {}


def dump_message(slack: Workspace, message: PostedMessage, *, metadata: bool = False) -> ResponseBody:
    """Format a message as in Slack's API."""
    bot = _app_ids(slack, message.user)
    answer: ResponseBody = {
        "type": "message",
        "user": message.user,
        **bot,
        "team": TEAM_ID,
        "ts": message.ts,
        "text": message.text,
    }
    replies = slack.thread_replies(message) if not message.thread_ts else []
    thread = message.thread_ts or (message.ts if replies else None)
    answer |= {name: value for name in ("blocks", "attachments") if (value := getattr(message, name))}
    answer |= {"thread_ts": thread} if thread else {}
    answer |= {"reply_count": len(replies), "latest_reply": replies[-1].ts} if replies else {}
    answer |= {"edited": {"user": message.user, "ts": message.ts}} if message.edited else {}
    answer |= {"metadata": message.metadata} if metadata and message.metadata else {}
    return answer


def post_message(slack: Workspace, given: Arguments) -> ResponseBody:
    """``chat.postMessage``, the only method that accepts a user id for a direct message."""
    dm = slack.find_dm(str(given.get("channel")))
    channel = find_writable_channel(slack, dm.id if dm else given.get("channel"))
    body = validate_content(slack, given, automatic_links.parsing_options(given))
    _check_length(body)
    wanted = given.get("thread_ts")
    thread_ts = None if _is_unthreaded(slack, channel, str(wanted)) else find_parent(slack, channel, wanted)
    kept, warning = _parse_metadata(given.get("metadata"))
    hidden = _check_pace(slack, channel)
    broadcast = bool(thread_ts) and is_truthy(given.get("reply_broadcast"))
    message = PostedMessage(
        channel.id,
        slack.next_timestamp(),
        BOT_USER_ID,
        **body,
        thread_ts=thread_ts,
        metadata=kept,
        broadcast=broadcast,
        hidden=hidden,
    )
    slack.add_message(message)
    message.deleted = slack.removes_alerts and not channel.im_with
    slack.queue_echo(message)
    if not body["text"]:
        warning = {"warning": "missing_text_in_message"} | warning
    return {"channel": channel.id, "ts": message.ts, "message": dump_message(slack, message, metadata=True), **warning}


def post_ephemeral(slack: Workspace, given: Arguments) -> ResponseBody:
    """``chat.postEphemeral``."""
    channel = find_writable_channel(slack, given.get("channel"))
    if given.get("user") not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    body = validate_content(slack, given, automatic_links.parsing_options(given))
    thread_ts = find_parent(slack, channel, given.get("thread_ts"))
    message = PostedMessage(
        channel.id, slack.next_timestamp(), BOT_USER_ID, **body, thread_ts=thread_ts, only_to=given["user"]
    )
    return {"message_ts": slack.add_message(message).ts}


def _find_own_message(slack: Workspace, given: Arguments, error: str) -> PostedMessage:
    channel = find_channel(slack, given.get("channel"))
    message = slack.find_message(channel.id, str(given.get("ts")))
    if message is None or message.only_to:
        raise SlackRefusal("message_not_found")
    if message.user != BOT_USER_ID:
        raise SlackRefusal(error)
    return message


def update_message(slack: Workspace, given: Arguments) -> ResponseBody:
    """``chat.update``: omitted blocks and attachments are removed, omitted metadata is kept."""
    message = _find_own_message(slack, given, "cant_update_message")
    if slack.channels[message.channel].archived:
        raise SlackRefusal("is_archived")
    if slack.edit_window is not None and slack.now() - float(message.ts) > slack.edit_window:
        raise SlackRefusal(slack.edit_refusal)
    body = validate_content(slack, given, automatic_links.parsing_options(given, "client"))
    _check_length(body)
    kept, warning = _parse_metadata(given.get("metadata"))
    message.replace_content(body["text"], body["blocks"], body["attachments"])
    message.metadata, message.edited = kept or message.metadata, True
    slack.queue_echo(message, edited=True)
    slack.changed()
    return {"channel": message.channel, "ts": message.ts, "text": message.text, **warning}


def delete_message(slack: Workspace, given: Arguments) -> ResponseBody:
    """``chat.delete``."""
    message = _find_own_message(slack, given, "cant_delete_message")
    if slack.keeps_everything:
        raise SlackRefusal("compliance_exports_prevent_deletion")
    message.deleted = True
    slack.changed()
    return {"channel": message.channel, "ts": message.ts}


def get_permalink(slack: Workspace, given: Arguments) -> ResponseBody:
    """``chat.getPermalink``."""
    channel = find_channel(slack, given.get("channel"))
    message = slack.find_message(channel.id, str(given.get("message_ts")))
    if message is None:
        raise SlackRefusal("message_not_found")
    address = f"https://acme.slack.example/archives/{channel.id}/p{message.ts.replace('.', '')}"
    thread = f"?thread_ts={message.thread_ts}&cid={channel.id}" if message.thread_ts else ""
    return {"channel": channel.id, "permalink": address + thread}


def add_reaction(slack: Workspace, given: Arguments) -> ResponseBody:
    """``reactions.add``."""
    channel = find_channel(slack, given.get("channel"))
    if channel.archived:
        raise SlackRefusal("is_archived")
    message = slack.find_message(channel.id, str(given.get("timestamp")))
    if message is None:
        raise SlackRefusal("message_not_found")
    if not given.get("name"):
        raise SlackRefusal("invalid_name")
    who = message.reactions.setdefault(given["name"], set())
    if BOT_USER_ID in who:
        raise SlackRefusal("already_reacted")
    who.add(BOT_USER_ID)
    slack.changed()
    return {}
