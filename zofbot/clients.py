"""The clients of Redis, Zof and Slack, made from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.observability.emitter import EventEmitter
from zofbot.slack.calls import CALL_DEADLINE_SECONDS, SlackCalls
from zofbot.slack.client import SlackClient
from zofbot.slack.links import ZofLinks
from zofbot.store import Store
from zofbot.zof.client import ZofClient


@dataclass(frozen=True)
class Clients:
    """The clients of the three systems that zofbot works with."""

    store: Store
    zof: ZofClient
    slack: SlackClient


def make_zof_client(settings: Settings, events: EventEmitter, clock: Clock, store: Store | None = None) -> ZofClient:
    """Make the client of Zof's API; with a ``store``, processes share their knowledge of the quota."""
    return ZofClient(
        base_url=settings.zof_base_url,
        key=settings.zof_api_key.get_secret_value(),
        status_param=settings.zof_status_param,
        project_param=settings.zof_project_param,
        since_param=settings.zof_since_param,
        bare_duration_unit=settings.zof_duration_unit,
        extra_fields=settings.extra_fields,
        clock=clock,
        shared_quota=store,
        events=events,
    )


def make_links(settings: Settings) -> ZofLinks:
    """Make the builder of links to Zof, from the URL templates and the allowed hosts."""
    return ZofLinks(settings.zof_run_url_template, settings.zof_result_url_template, settings.link_hosts)


@asynccontextmanager
async def open_slack_client(
    settings: Settings, events: EventEmitter, clock: Clock, *, deadline: float = CALL_DEADLINE_SECONDS
) -> AsyncIterator[SlackClient]:
    """Open a Slack client for these settings; one call may take ``deadline`` seconds.

    Raises SettingsError if the environment's proxy is invalid.
    """
    # aiohttp would also read a netrc file, and refuse requests that have an Authorization header as well. Its timeout
    # would count time of suspension; each call has its own.
    async with aiohttp.ClientSession(trust_env=False, timeout=aiohttp.ClientTimeout(total=None)) as session:
        token = settings.slack_bot_token.get_secret_value()
        yield SlackClient(
            SlackCalls(
                session, token=token, api_url=settings.slack_api_url, events=events, clock=clock, deadline=deadline
            )
        )
