"""Mentions within what a channel bears: the same people are mentioned by alerts twice a minute at most."""

from __future__ import annotations

import json

from zofbot.pipeline.memory import Draft, storms_in

MAX_PINGS = 2
PINGS_SECONDS = 60.0
"""Within this many seconds the same person, or user group, is mentioned at most so often."""

_FIELD = "pings"


def take_mentions(draft: Draft, channel: str, mention: tuple[str, ...], due: float) -> tuple[str, ...]:
    """Those of ``mention`` (ids) whom a message due then (Unix seconds) may mention; they are counted."""
    name = storms_in(channel)
    kept: dict[str, list[float]] = json.loads(draft.hash(name).get(_FIELD, "{}"))
    near = {who: [at for at in times if abs(due - at) < PINGS_SECONDS] for who, times in kept.items()}
    allowed = tuple(who for who in mention if len(near.get(who, ())) < MAX_PINGS)
    if allowed:
        ahead = {who: [at for at in times if at > draft.now - PINGS_SECONDS] for who, times in kept.items()}
        for who in allowed:
            ahead.setdefault(who, []).append(due)
        latest = {who: times for who, times in ahead.items() if times}
        draft.put(name, _FIELD, json.dumps(latest, separators=(",", ":")))
    return allowed
