"""Loads the options of the subscription form's menus."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from slack_bolt.async_app import AsyncApp

from zofbot.listeners.desk import Desk
from zofbot.slack import suggestions
from zofbot.slack.message import Block

SECONDS = 2.0
"""How long options are waited for: Slack gives up after three, and a menu that failed to load looks broken."""


def register(app: AsyncApp, desk: Desk) -> None:
    """Listen to the menus (https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload)."""

    async def projects(ack: Any, body: dict[str, Any]) -> None:
        await ack(options=await _projects(desk, str(body.get("value") or "")))

    async def groups(ack: Any, body: dict[str, Any]) -> None:
        await ack(options=await _groups(desk, str(body.get("value") or "")))

    app.options(suggestions.PROJECTS)(projects)
    app.options(suggestions.GROUPS)(groups)


async def _projects(desk: Desk, typed: str) -> list[Block]:
    """Those that Zof lists, as far as it does so in time; the pattern's field takes the others."""
    listing = desk.catalog.projects
    if listing.stale:
        await _soon(desk, listing.read())
    return suggestions.project_options(listing.items, typed)


async def _groups(desk: Desk, typed: str) -> list[Block]:
    return suggestions.group_options(await handles_soon(desk), typed)


async def handles_soon(desk: Desk, seconds: float = SECONDS) -> dict[str, str]:
    """The handles of user groups by id, as far as Slack says them in time."""
    found: dict[str, str] | None = await _soon(desk, desk.people.handles(), seconds)
    return found or {}


async def _soon(desk: Desk, asking: Coroutine[Any, Any, Any], seconds: float = SECONDS) -> Any:
    """What comes of it in time, else nothing; it goes on, and the next to ask gets it at once."""
    task = desk.errands.start(asking)
    await asyncio.wait({task}, timeout=seconds)
    return task.result() if task.done() else None
