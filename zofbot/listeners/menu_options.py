"""Listeners that load the options of the subscription form's menus."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from zofbot.concurrency import wait_for_tasks
from zofbot.listeners.context import ListenerContext
from zofbot.listeners.listener_table import IdempotentListener, ListenerTable
from zofbot.slack.views import menu_options
from zofbot.slack.views.blocks import Block
from zofbot.subscriptions.filter_people import MAX_ESCALATION_STEPS

OPTIONS_TIMEOUT_SECONDS = 2.0
"""Seconds to wait for options: Slack gives up after three, and then the menu looks broken."""


def register_listeners(table: ListenerTable, context: ListenerContext) -> None:
    """Register the menus (https://docs.slack.dev/reference/interaction-payloads/block_suggestion-payload)."""

    async def load_project_options(ack: Any, body: dict[str, Any], options: dict[str, Any]) -> None:
        await ack(options=await _project_options(context, str(body.get("value") or "")))

    async def load_group_options(ack: Any, body: dict[str, Any], options: dict[str, Any]) -> None:
        await ack(options=await _group_options(context, str(body.get("value") or "")))

    table.options[menu_options.PROJECTS_ACTION_ID] = IdempotentListener(load_project_options)
    table.options[menu_options.GROUPS_ACTION_ID] = IdempotentListener(load_group_options)
    for number in range(1, MAX_ESCALATION_STEPS + 2):  # the form offers one more than there are
        table.options[f"{menu_options.STEP_GROUPS_ACTION_PREFIX}{number}"] = IdempotentListener(load_group_options)


async def _project_options(context: ListenerContext, typed: str) -> list[Block]:
    """Return the projects that Zof lists in time; others can be typed in the pattern field."""
    listing = context.catalog.projects
    if listing.is_stale:
        await _wait_in_time(context, listing.refresh())
    return menu_options.project_options(listing.items, typed)


async def _group_options(context: ListenerContext, typed: str) -> list[Block]:
    return menu_options.group_options(await handles_in_time(context), typed)


async def handles_in_time(context: ListenerContext, seconds: float = OPTIONS_TIMEOUT_SECONDS) -> dict[str, str]:
    """Return the handles of user groups by id; empty if Slack does not answer in time."""
    found: dict[str, str] | None = await _wait_in_time(context, context.people.group_handles(), seconds)
    return found or {}


async def _wait_in_time(
    context: ListenerContext, asking: Coroutine[Any, Any, Any], seconds: float = OPTIONS_TIMEOUT_SECONDS
) -> Any:
    """Return the result if it is ready in time, else None; the task continues and fills the cache."""
    task = context.background_tasks.start(asking)
    await wait_for_tasks({task}, seconds)
    return task.result() if task.done() else None
