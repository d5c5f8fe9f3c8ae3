"""Call Zof to check what the key may read, and the clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

from zofbot.clients import make_zof_client
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.diagnostics import slack, zof
from zofbot.diagnostics.clock import check_clock
from zofbot.diagnostics.finding import Finding, error_finding
from zofbot.domain.errors import SettingsError, ZofError
from zofbot.observability.emitter import EventEmitter
from zofbot.observability.events.calls import ZofCall
from zofbot.zof.client import ZofClient
from zofbot.zof.request import TimeBudget

T = TypeVar("T")


async def probe_zof(settings: Settings, clock: Clock, time_budget: TimeBudget) -> list[Finding]:
    """Check the key's permissions, and Zof's clock."""
    if not settings.zof_api_key.get_secret_value():
        return [slack.missing_setting(zof.KEY_SETTING)]
    dates: list[tuple[str, float]] = []

    def note_date(call: ZofCall) -> None:
        dates.append((call.date, clock.time()))

    events = EventEmitter()
    events.add_hook(ZofCall, note_date)
    try:
        client = make_zof_client(settings, events, clock)
    except SettingsError as error:
        return [error_finding("zof", problem, "Correct this setting.") for problem in error.problems]
    try:
        errors_by_read = await _try_permissions(client, time_budget)
    finally:
        await client.aclose()
    skews = [item for date, at in [date for date in dates if date[0]][:1] for item in check_clock("Zof", date, at)]
    return [*zof.check_permissions(errors_by_read), zof.runs_not_checked(settings.zofbot_allow_runs), *skews]


async def _try_permissions(client: ZofClient, time_budget: TimeBudget) -> dict[str, ZofError | None]:
    """Read a page of each list, then the first run and result if any; returns the error of each, None if fine."""
    lists: dict[str, AsyncGenerator[Any, None]] = {
        "runs": client.list_runs(time_budget=time_budget, pages=1),
        "results": client.list_results(time_budget=time_budget, pages=1),
        "projects": client.list_projects(time_budget=time_budget, pages=1),
        "schedules": client.list_schedules(time_budget=time_budget, pages=1),
        "webhooks": client.list_endpoints(time_budget=time_budget, pages=1),
    }
    replies = dict(zip(lists, await asyncio.gather(*map(_first_id, lists.values())), strict=True))
    errors_by_read = {f"the list of {name}": error for name, (_, error) in replies.items()}
    (run, _), (result, _) = replies["runs"], replies["results"]
    if run:
        errors_by_read["a run"] = await _catch_zof_error(client.get_run(run, time_budget=time_budget))
    if result:
        errors_by_read["a result"] = await _catch_zof_error(client.get_result(result, time_budget=time_budget))
    return errors_by_read


async def _first_id(pages: AsyncGenerator[Any, None]) -> tuple[str, ZofError | None]:
    """Return the id of a list's first item, possibly empty, and the error if the list could not be read."""
    try:
        page = await anext(pages, ())
    except ZofError as error:
        return "", error
    finally:
        await pages.aclose()
    return next((item.id for item in page if item.id), ""), None


async def _catch_zof_error(call: Any) -> ZofError | None:
    try:
        await call
    except ZofError as error:
        return error
    return None
