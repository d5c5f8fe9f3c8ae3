"""How fast messages may be sent to one channel. ``lua/channel_pace.lua`` computes from it when a queue is free."""

from __future__ import annotations

MESSAGE_INTERVAL_SECONDS, MAX_BURST = 1.0, 2
"""Interval between messages to a channel, and how many may be sent at once.

Slack accepts about one per second and a short burst (https://docs.slack.dev/apis/web-api/rate-limits). The burst is
believed to be three; the third is kept in reserve, so that a message delayed by a second does not exceed the limit.
"""

EDIT_INTERVAL_SECONDS = 3.0
"""Minimum interval between edits of one message."""
