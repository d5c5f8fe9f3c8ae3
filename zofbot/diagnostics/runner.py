"""Run all checks, each with its own time limit; the other modules judge the replies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import aiohttp

from zofbot.clients import open_slack_client
from zofbot.clock import Clock, timeout
from zofbot.config.proxy import proxy_for
from zofbot.config.settings import Settings
from zofbot.diagnostics import endpoints, people
from zofbot.diagnostics.finding import Finding
from zofbot.diagnostics.slack_probe import probe_channels, probe_people, probe_tokens
from zofbot.diagnostics.store_probe import probe_store
from zofbot.diagnostics.zof_probe import probe_zof
from zofbot.domain.redaction import redact
from zofbot.observability.emitter import EventEmitter
from zofbot.subscriptions import Subscription
from zofbot.zof.request import TimeBudget

MAX_CHECK_SECONDS = 4.0
"""Time limit of each call; at most three depend on each other."""


async def run_checks(
    settings: Settings, clock: Clock, url: str = "", seconds: float = MAX_CHECK_SECONDS
) -> list[Finding]:
    """Run all checks; ``url`` is zofbot's public address. Failures are returned as findings, not raised."""
    async with open_slack_client(settings, EventEmitter(), clock, deadline=seconds) as notifier:
        store_findings, subscriptions = await probe_store(
            settings, clock, seconds
        )  # alone, so that other checks do not distort the latency
        (token_findings, token_works), zof_findings, endpoint_findings = await asyncio.gather(
            probe_tokens(notifier, settings, clock, emails=_finds_by_email(settings, subscriptions)),
            probe_zof(settings, clock, TimeBudget(seconds)),
            _probe_endpoints(settings, url, seconds),
        )
        slack_findings = await probe_channels(
            notifier, settings, [subscription.channel for subscription in subscriptions], token_works
        )
        if token_works:
            slack_findings += await probe_people(notifier, people.named_people(settings, subscriptions))
    secrets = settings.all_secrets()
    found = dict.fromkeys([*token_findings, *slack_findings, *zof_findings, *store_findings, *endpoint_findings])

    def redact_known(text: str) -> str:
        return redact(text, *secrets)

    return [
        replace(item, about=redact_known(item.about), what=redact_known(item.what), fix=redact_known(item.fix))
        for item in found
    ]


def _finds_by_email(settings: Settings, subscriptions: Sequence[Subscription]) -> bool:
    return settings.finds_people_by_email or any(subscription.mention_roles for subscription in subscriptions)


async def _probe_endpoints(settings: Settings, url: str, seconds: float) -> list[Finding]:
    if not url or not endpoints.public_paths(settings):
        return [endpoints.endpoints_not_checked(settings)]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:

        async def read_status(path: str) -> int | None:
            address = url.rstrip("/") + path
            try:
                async with (
                    timeout(seconds),
                    session.get(address, allow_redirects=False, proxy=proxy_for(address)) as reply,
                ):
                    return reply.status
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                return None

        paths = endpoints.public_paths(settings)
        return [
            endpoints.check_endpoint(path, status)
            for path, status in zip(paths, await asyncio.gather(*map(read_status, paths)), strict=True)
        ]
