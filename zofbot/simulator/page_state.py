"""State of the demo's page for one user, as one JSON document."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from zofbot.simulator.faults import FaultInjector
from zofbot.simulator.scenarios import SCENARIOS
from zofbot.simulator.slack.directory_api import tz_offset
from zofbot.simulator.slack.model import BOT_USER_ID, Channel, PostedMessage, SlackCall, User, View
from zofbot.simulator.slack.views_api import view_state as view_state  # noqa: PLC0414  (exported)
from zofbot.simulator.world import World
from zofbot.simulator.zof.state import RecordedZofCall
from zofbot.simulator.zof.webhooks import Webhooks

MAX_MESSAGES = 500
MAX_CALLS = 100
_PROJECT_FIELDS = ("id", "name", "environments")


def build_page_state(world: World, user: str) -> dict[str, Any]:
    """Return everything the page shows to ``user``."""
    slack, zof = world.slack, world.zof
    seen = [channel for channel in slack.channels.values() if user in channel.members]
    home = slack.homes.get(user)
    return {
        "version": world.version,
        "clock": world.unix_time(),
        "team": slack.team,
        "you": user,
        "users": [_dump_user(each, world.unix_time()) for each in slack.users.values()],
        "groups": [{"id": group.id, "handle": group.handle} for group in slack.groups.values()],
        "channels": [_dump_channel(channel) for channel in seen],
        "messages": {channel.id: _dump_messages(world, channel, user) for channel in seen},
        "home": _dump_view(home) if home else None,
        "modals": [_dump_view(view) for view in slack.modals.get(user, [])],
        "commands": slack.commands,
        "shortcuts": slack.shortcuts,
        "zof_calls": [_dump_zof_call(call) for call in islice(reversed(zof.calls), MAX_CALLS)][::-1],
        "slack_calls": [_dump_slack_call(call) for call in islice(reversed(slack.calls), MAX_CALLS)][::-1],
        "faults": {**_dump_faults("zof", zof.faults), **_dump_faults("slack", slack.faults)},
        "fault_choices": {"zof": _list_faults(zof.faults), "slack": _list_faults(slack.faults)},
        "projects": [{name: project[name] for name in _PROJECT_FIELDS} for project in zof.projects.values()],
        "scenarios": [{"id": what, "label": label} for what, label in SCENARIOS.items()],
        "webhook": _dump_webhooks(zof.webhooks),
        "notice": slack.notices.get(user),
    }


def _dump_user(user: User, now: float) -> dict[str, Any]:
    names = {"id": user.id, "name": user.name, "real_name": user.real_name}
    kind = "admin" if user.admin else user.kind
    return {**names, "tz": user.tz, "tz_offset": tz_offset(user, now), "kind": kind, "color": user.color}


def _dump_channel(channel: Channel) -> dict[str, Any]:
    if channel.im_with:
        return {"id": channel.id, "im": True, "name": "zofbot"}
    return {
        "id": channel.id,
        "name": channel.name,
        "private": channel.private,
        "archived": channel.archived,
        "external": channel.external,
        "bot_is_member": BOT_USER_ID in channel.members,
        "topic": channel.topic,
    }


def _dump_messages(world: World, channel: Channel, user: str) -> list[dict[str, Any]]:
    kept = world.slack.messages.get(channel.id, {})
    threads = Counter(message.thread_ts for message in kept.values() if message.is_visible and message.thread_ts)
    seen = [
        message
        for message in islice(reversed(kept.values()), MAX_MESSAGES)
        if not message.hidden and message.only_to in ("", user) and _is_worth_showing(message, threads)
    ]
    return [_dump_message(world, message, threads[message.ts]) for message in reversed(seen)]


def _is_worth_showing(message: PostedMessage, threads: Counter[str]) -> bool:
    """True if the message is shown; a deleted one only if it has a thread."""
    return not message.deleted or threads[message.ts] > 0


def _dump_message(world: World, message: PostedMessage, replies: int) -> dict[str, Any]:
    author = world.slack.users.get(message.user)
    shown = {} if message.deleted else {"blocks": message.blocks, "attachments": message.attachments}
    return {
        "ts": message.ts,
        "channel": message.channel,
        "user": message.user,
        "username": author.name if author else "zofbot",
        "text": "" if message.deleted else message.text,
        **{name: value for name, value in shown.items() if value},
        "thread_ts": message.thread_ts,
        "reply_count": replies,
        "ephemeral": bool(message.only_to),
        "edited": message.edited,
        "broadcast": message.broadcast,
        "bot": message.user == BOT_USER_ID,
        "deleted": message.deleted,
    }


def _dump_view(view: View) -> dict[str, Any]:
    return {
        "id": view.id,
        "type": view.payload["type"],
        "title": view.payload.get("title"),
        "submit": view.payload.get("submit"),
        "close": view.payload.get("close"),
        "blocks": view.payload["blocks"],
        "state": {"values": view_state(view)},
        "errors": view.errors,
    }


def _dump_zof_call(call: RecordedZofCall) -> dict[str, Any]:
    about = {"n": call.n, "at": call.at, "method": call.method, "path": call.path, "status": call.status}
    return {**about, "ms": call.ms, "request_id": call.request_id, "fault": call.fault}


def _dump_slack_call(call: SlackCall) -> dict[str, Any]:
    return {
        "n": call.n,
        "at": call.at,
        "method": call.method,
        "ok": call.ok,
        "error": call.error,
        "channel": call.channel,
    }


def _dump_faults(name: str, faults: FaultInjector) -> dict[str, Any]:
    return {name: faults.current, f"{name}_left": faults.left}


def _dump_webhooks(hooks: Webhooks) -> dict[str, Any]:
    last = hooks.sent[-1] if hooks.sent else None
    last_delivery = {"type": last.type, "status": last.status} if last else None
    return {"on": hooks.on, "generation": hooks.generation, "last": last_delivery}


def _list_faults(faults: FaultInjector) -> list[dict[str, str]]:
    return [{"id": fault, "label": label} for fault, label in faults.choices.items()]
