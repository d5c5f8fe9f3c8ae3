"""The world as one person sees it on the demo's page: one JSON document."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from zofbot.simulator.entities import BOT, Channel, Message, SlackCall, User, View
from zofbot.simulator.faults import Faults
from zofbot.simulator.happenings import HAPPENINGS
from zofbot.simulator.lookups import tz_offset
from zofbot.simulator.records import ZofCall
from zofbot.simulator.views import state as view_state
from zofbot.simulator.webhooks import Webhooks
from zofbot.simulator.world import World

MOST_MESSAGES = 500
MOST_CALLS = 100
_SHOWN = ("id", "name", "environments")


def snapshot(world: World, user: str) -> dict[str, Any]:
    """Everything the page shows to ``user``."""
    slack, zof = world.slack, world.zof
    seen = [channel for channel in slack.channels.values() if user in channel.members]
    home = slack.homes.get(user)
    return {
        "version": world.version,
        "clock": world.now(),
        "team": slack.team,
        "you": user,
        "users": [_user(each, world.now()) for each in slack.users.values()],
        "groups": [{"id": group.id, "handle": group.handle} for group in slack.groups.values()],
        "channels": [_channel(channel) for channel in seen],
        "messages": {channel.id: _messages(world, channel, user) for channel in seen},
        "home": _view(home) if home else None,
        "modals": [_view(view) for view in slack.modals.get(user, [])],
        "commands": slack.commands,
        "shortcuts": slack.shortcuts,
        "zof_calls": [_zof_call(call) for call in islice(reversed(zof.calls), MOST_CALLS)][::-1],
        "slack_calls": [_slack_call(call) for call in islice(reversed(slack.calls), MOST_CALLS)][::-1],
        "faults": {**_faults("zof", zof.faults), **_faults("slack", slack.faults)},
        "fault_choices": {"zof": _choices(zof.faults), "slack": _choices(slack.faults)},
        "projects": [{name: project[name] for name in _SHOWN} for project in zof.projects.values()],
        "happenings": [{"id": what, "label": label} for what, label in HAPPENINGS.items()],
        "webhook": _webhook(zof.webhooks),
        "notice": slack.notices.get(user),
    }


def _user(user: User, now: float) -> dict[str, Any]:
    names = {"id": user.id, "name": user.name, "real_name": user.real_name}
    return {**names, "tz": user.tz, "tz_offset": tz_offset(user, now), "kind": user.kind, "color": user.color}


def _channel(channel: Channel) -> dict[str, Any]:
    if channel.im_with:
        return {"id": channel.id, "im": True, "name": "zofbot"}
    return {
        "id": channel.id,
        "name": channel.name,
        "private": channel.private,
        "archived": channel.archived,
        "external": channel.external,
        "bot_is_member": BOT in channel.members,
        "topic": channel.topic,
    }


def _messages(world: World, channel: Channel, user: str) -> list[dict[str, Any]]:
    kept = world.slack.messages.get(channel.id, {})
    threads = Counter(message.thread_ts for message in kept.values() if message.standing and message.thread_ts)
    seen = [
        message
        for message in islice(reversed(kept.values()), MOST_MESSAGES)
        if not message.hidden and message.only_to in ("", user) and _worth_showing(message, threads)
    ]
    return [_message(world, message, threads[message.ts]) for message in reversed(seen)]


def _worth_showing(message: Message, threads: Counter[str]) -> bool:
    """A deleted message leaves a trace only where a thread hangs on it."""
    return not message.deleted or threads[message.ts] > 0


def _message(world: World, message: Message, replies: int) -> dict[str, Any]:
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
        "bot": message.user == BOT,
        "deleted": message.deleted,
    }


def _view(view: View) -> dict[str, Any]:
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


def _zof_call(call: ZofCall) -> dict[str, Any]:
    about = {"n": call.n, "at": call.at, "method": call.method, "path": call.path, "status": call.status}
    return {**about, "ms": call.ms, "request_id": call.request_id, "fault": call.fault}


def _slack_call(call: SlackCall) -> dict[str, Any]:
    return {
        "n": call.n,
        "at": call.at,
        "method": call.method,
        "ok": call.ok,
        "error": call.error,
        "channel": call.channel,
    }


def _faults(name: str, faults: Faults) -> dict[str, Any]:
    return {name: faults.current, f"{name}_left": faults.left}


def _webhook(hooks: Webhooks) -> dict[str, Any]:
    last = hooks.sent[-1] if hooks.sent else None
    told = {"type": last.type, "status": last.status} if last else None
    return {"on": hooks.on, "generation": hooks.generation, "last": told}


def _choices(faults: Faults) -> list[dict[str, str]]:
    return [{"id": fault, "label": label} for fault, label in faults.choices.items()]
