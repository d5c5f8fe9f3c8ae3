"""Complete payloads that Slack sends when people type, press and submit, as dicts."""

from __future__ import annotations

import re
from typing import Any

from zofbot.simulator.slack import chat_api, unfurl_api, views_api
from zofbot.simulator.slack.model import APP_ID, BOT_ID, BOT_USER_ID, TEAM_ID, Channel, PostedMessage, User, View
from zofbot.simulator.slack.state import Workspace

VERIFICATION_TOKEN = "simulated-verification-token"  # noqa: S105 - deprecated by Slack, never checked

_TYPED_MARKUP = re.compile(r"<(?:@[UW][A-Z0-9]+|#C[A-Z0-9]+|!subteam\^S[A-Z0-9]+)(?:\|[^<>]*)?>")
_TOP_LEVEL_DOMAINS = (
    "ai app be ch cloud co com de dev es eu example fr id in info io it jp me md net nl org pl py rs ru sh so uk us"
)
"""Some of the top-level domains with which Slack links bare names."""

_URL_REST = r"(?:(?!&[lg]t;)[^\s<>|])*(?<![.,;:!?'\")\]])"
"""The rest of a URL: up to a space or a bracket, without trailing punctuation."""

_TYPED_ENTITY = re.compile(
    rf"(?P<url>https?://(?!&[lg]t;)[^\s<>|]{_URL_REST})"
    r"|(?P<mail>[\w.+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})"
    rf"|(?<![\w@./&])(?P<bare>(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:{_TOP_LEVEL_DOMAINS.replace(' ', '|')})"
    rf"(?![\w-]|\.\w)(?::\d+)?(?:/{_URL_REST})?)"
    r"|(?<![\w&])(?P<sign>[@#])(?P<name>[a-z0-9][a-z0-9._-]*)",
    re.IGNORECASE,
)
"""Text that Slack turns into links and mentions; linking bare names in slash commands is believed."""


def escape_typed(slack: Workspace, text: str, *, labels: bool = False) -> str:
    """Convert typed text as Slack's client does: escape entities, link URLs, replace people and channels by ids.

    ``labels`` adds the name behind the id, as in a slash command.
    https://docs.slack.dev/messaging/formatting-message-text
    """
    kept: list[str] = []
    at = 0
    for found in _TYPED_MARKUP.finditer(text):
        kept += [_escape_plain(slack, text[at : found.start()], labels), found[0]]
        at = found.end()
    return "".join([*kept, _escape_plain(slack, text[at:], labels)])


def _escape_plain(slack: Workspace, text: str, labels: bool) -> str:
    return _TYPED_ENTITY.sub(lambda found: _format_entity(slack, found, labels), escape_entities(text))


def escape_entities(text: str) -> str:
    """Escape the three characters that Slack escapes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _format_entity(slack: Workspace, found: re.Match[str], labels: bool) -> str:
    name = found["name"]
    if found["url"]:
        return f"<{found['url']}>"
    if found["mail"]:
        return f"<mailto:{found['mail']}|{found['mail']}>"
    if found["bare"]:
        return f"<http://{found['bare']}|{found['bare']}>"
    label = f"|{name}" if labels else ""
    if found["sign"] == "#":
        channel = next((each for each in slack.channels.values() if each.name == name and not each.im_with), None)
        return f"<#{channel.id}|{name}>" if channel else found[0]
    user = next((each for each in slack.users.values() if each.name == name), None)
    group = next((each for each in slack.groups.values() if each.handle == name), None)
    if user:
        return f"<@{user.id}{label}>"
    return f"<!subteam^{group.id}|@{name}>" if group else found[0]


def command_payload(slack: Workspace, user: User, channel: Channel, text: str, response_url: str) -> dict[str, str]:
    """A slash command: https://docs.slack.dev/interactivity/implementing-slash-commands ."""
    name, _, rest = text.strip().partition(" ")
    said = rest.strip()
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "team_domain": slack.team.lower(),
        "channel_id": channel.id,
        "channel_name": _command_channel_name(channel),
        "user_id": user.id,
        "user_name": user.name,
        "command": name,
        "text": escape_typed(slack, said, labels=True) if slack.should_escape else escape_entities(said),
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": slack.new_trigger(user.id),
    }


def _command_channel_name(channel: Channel) -> str:
    """Return a channel's name as in slash commands; all that are not public share one name.

    ``privategroup`` for group direct messages is believed.
    """
    if channel.im_with or channel.id.startswith("D"):
        return "directmessage"
    return "privategroup" if channel.private else channel.name


def _common_fields(slack: Workspace, user: User) -> dict[str, Any]:
    return {
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "api_app_id": APP_ID,
        "token": VERIFICATION_TOKEN,
        "team": {"id": TEAM_ID, "domain": slack.team.lower()},
        "enterprise": None,
        "is_enterprise_install": False,
        "trigger_id": slack.new_trigger(user.id),
    }


def action_entry(
    slack: Workspace, block: dict[str, Any], element: dict[str, Any], done: dict[str, Any]
) -> dict[str, Any]:
    """Build the action of a press or choice; raises ``ValueError`` for a choice that is not offered."""
    ids = {"block_id": block["block_id"], "action_id": element["action_id"], "type": element["type"]}
    own: dict[str, Any] = {name: element[name] for name in ("text", "value", "style", "placeholder") if name in element}
    chosen = {name: value for name, value in done.items() if name.startswith("selected") or name == "value"}
    offered = [*element.get("options", []), *(o for g in element.get("option_groups", []) for o in g["options"])]
    picked = [done["selected_option"]] if done.get("selected_option") else done.get("selected_options") or []
    if offered and any(option.get("value") not in [each.get("value") for each in offered] for option in picked):
        raise ValueError("That choice is not offered.")
    return {**chosen, **own, **ids, "action_ts": slack.next_timestamp()}


def message_action_payload(
    slack: Workspace, user: User, message: PostedMessage, done: dict[str, Any], response_url: str
) -> dict[str, Any]:
    """A press in a message; for an ephemeral one the payload omits the message, as Slack does."""
    channel = slack.channels[message.channel]
    private = bool(message.only_to)
    container = {"type": "message", "message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": private}
    container |= {"thread_ts": message.thread_ts} if message.thread_ts else {}
    shown = {} if private else {"message": chat_api.dump_message(slack, message, metadata=True)}
    return {
        "type": "block_actions",
        **_common_fields(slack, user),
        "container": container,
        "channel": {"id": channel.id, "name": "directmessage" if channel.im_with else channel.name},
        **shown,
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [done],
    }


def view_action_payload(slack: Workspace, user: User, view: View, done: dict[str, Any]) -> dict[str, Any]:
    """A press in a modal or in App Home."""
    container = {"type": "view", "view_id": view.id}
    return {
        "type": "block_actions",
        **_common_fields(slack, user),
        "container": container,
        "view": views_api.dump_view(view),
        "actions": [done],
    }


def suggestion_payload(slack: Workspace, user: User, view: View, place: dict[str, str], typed: str) -> dict[str, Any]:
    """Typing into a menu whose options the app loads; ``place`` has its ``block_id`` and ``action_id``.

    https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload . It has no trigger.
    """
    about = _common_fields(slack, user)
    del about["trigger_id"]
    container = {"type": "view", "view_id": view.id}
    return {
        "type": "block_suggestion",
        **about,
        "container": container,
        **place,
        "value": typed,
        "view": views_api.dump_view(view),
    }


def submission_payload(slack: Workspace, user: User, view: View) -> dict[str, Any]:
    """A modal's submission."""
    return {
        "type": "view_submission",
        **_common_fields(slack, user),
        "view": views_api.dump_view(view),
        "response_urls": [],
    }


def view_closed_payload(slack: Workspace, user: User, view: View, *, cleared: bool = False) -> dict[str, Any]:
    """A modal was closed without submitting it."""
    about = _common_fields(slack, user)
    del about["trigger_id"]
    return {"type": "view_closed", **about, "view": views_api.dump_view(view), "is_cleared": cleared}


def shortcut_payload(
    slack: Workspace, user: User, message: PostedMessage, callback_id: str, response_url: str
) -> dict[str, Any]:
    """A message shortcut."""
    return {
        "type": "message_action",
        **_common_fields(slack, user),
        "callback_id": callback_id,
        "action_ts": slack.next_timestamp(),
        "message_ts": message.ts,
        "channel": {"id": message.channel, "name": slack.channels[message.channel].name},
        "message": chat_api.dump_message(slack, message, metadata=True),
        "response_url": response_url,
    }


def event_payload(slack: Workspace, body: dict[str, Any], channel: Channel | None = None) -> dict[str, Any]:
    """An event in Slack's envelope."""
    installed = {
        "enterprise_id": None,
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "api_app_id": APP_ID,
        "event": body,
        "type": "event_callback",
        "event_id": slack.new_id("Ev"),
        "event_time": int(slack.now()),
        "authorizations": [installed],
        "is_ext_shared_channel": bool(channel and channel.external),
    }


def links_event(slack: Workspace, user: str, identifier: str) -> dict[str, Any]:
    """The event of links in a message or a draft: https://docs.slack.dev/reference/events/link_shared .

    Its URLs are escaped (https://github.com/slackapi/python-slack-events-api/issues/49).
    """
    shared = slack.links[identifier]
    channel = slack.channels.get(shared.channel)
    message = slack.find_message(shared.channel, shared.ts)
    return {
        "type": "link_shared",
        "user": user,
        "channel": shared.channel,
        "message_ts": shared.ts,
        **({"thread_ts": message.thread_ts} if message and message.thread_ts else {}),
        "unfurl_id": identifier,
        "source": shared.source,
        "is_bot_user_member": channel is None or BOT_USER_ID in channel.members,
        "links": [{"url": escape_entities(link), "domain": unfurl_api.link_host(link)} for link in shared.links],
        "event_ts": slack.next_timestamp(),
    }


def message_event(message: PostedMessage, kind: str, channel: Channel) -> dict[str, Any]:
    """The event of a message: ``app_mention``, or ``message`` in direct messages; only that one has a type of channel.

    https://docs.slack.dev/reference/events/app_mention , https://docs.slack.dev/reference/events/message.im
    """
    thread = {"thread_ts": message.thread_ts} if message.thread_ts else {}
    place = {"channel": channel.id, **({"channel_type": "im"} if kind == "message" else {})}
    ids = {"ts": message.ts, "event_ts": message.ts, "client_msg_id": f"client-{message.ts}"}
    bot = {"bot_id": BOT_ID, "app_id": APP_ID} if message.user == BOT_USER_ID else {}
    return {"type": kind, "user": message.user, "text": message.text, "team": TEAM_ID, **bot, **place, **ids, **thread}


def edit_event(message: PostedMessage, channel: Channel) -> dict[str, Any]:
    """The event of an edit: https://docs.slack.dev/reference/events/message/message_changed ."""
    now = message_event(message, "message", channel)
    return {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "channel": channel.id,
        "channel_type": now["channel_type"],
        "message": now | {"edited": {"user": message.user, "ts": message.ts}},
        "previous_message": now,
        "ts": message.ts,
        "event_ts": message.ts,
    }
