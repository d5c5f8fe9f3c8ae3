"""The only limit in real time: it ends a test that hangs, and judges nobody's speed."""

from __future__ import annotations

HANG_SECONDS = 120.0
"""A process, page or server that has not done in this time what a test waits for never will."""
