"""Mention limit: alerts in a channel mention the same person or user group at most twice a minute."""

from __future__ import annotations

import json

from zofbot.alerting.state import DecisionBuilder, storms_hash
from zofbot.alerting.stored_state import parse_stored
from zofbot.domain.json_encoding import encode_json

MAX_MENTIONS = 2
MENTION_WINDOW_SECONDS = 60.0
"""Seconds in which the same person or user group is mentioned at most ``MAX_MENTIONS`` times."""

_MENTIONS_FIELD = "pings"


def take_mentions(draft: DecisionBuilder, channel: str, mention: tuple[str, ...], due: float) -> tuple[str, ...]:
    """Return, and count, those of ``mention`` (ids) whom a message due at ``due`` (Unix seconds) may mention."""
    name = storms_hash(channel)
    stored = parse_stored("mentions", draft.read_hash(name).get(_MENTIONS_FIELD, "{}"), _parse_mentions, {})
    near = {who: [at for at in times if abs(due - at) < MENTION_WINDOW_SECONDS] for who, times in stored.items()}
    allowed = tuple(who for who in mention if len(near.get(who, ())) < MAX_MENTIONS)
    if allowed:
        ahead = {who: [at for at in times if at > draft.now - MENTION_WINDOW_SECONDS] for who, times in stored.items()}
        for who in allowed:
            ahead.setdefault(who, []).append(due)
        latest = {who: times for who, times in ahead.items() if times}
        draft.set_field(name, _MENTIONS_FIELD, encode_json(latest))
    return allowed


def _parse_mentions(stored: str) -> dict[str, list[float]]:
    return {who: [float(at) for at in times] for who, times in json.loads(stored).items()}
