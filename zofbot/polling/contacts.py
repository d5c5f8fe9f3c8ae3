"""Find the people in Slack who made a change, or whom a case belongs to, so that alerts can mention them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import structlog

from zofbot.clock import timeout
from zofbot.domain.extra_fields import values_of
from zofbot.domain.model import Result
from zofbot.subscriptions import PlatformEvent, RunFinding, Subscription

log = structlog.get_logger()

FindContacts = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""Finds the ids of people and user groups in Slack by e-mail address or handle; leaves out whom Slack does not know."""

MAX_CONTACTS = 30
"""People looked up for one batch of findings; Slack allows about fifty such calls a minute."""

MAX_LOOKUP_SECONDS = 5.0
"""Seconds after which alerts are sent without these mentions."""

Finding = RunFinding | PlatformEvent


async def find_nobody(names: Collection[str]) -> Mapping[str, str]:
    """Find nobody, where there is no Slack to ask."""
    return {}


async def add_contacts(
    findings: Sequence[Finding], subscriptions: Iterable[Subscription], find_contacts: FindContacts
) -> Sequence[Finding]:
    """Return the findings with the ids of authors and owners, if a subscription mentions any."""
    if not any(subscription.mention_roles for subscription in subscriptions):
        return findings
    runs = [finding for finding in findings if isinstance(finding, RunFinding)]
    wanted = dict.fromkeys(name for run in runs for result in run.failures for name in _names_of(run, result))
    if not wanted:
        return findings
    try:
        async with timeout(MAX_LOOKUP_SECONDS):
            ids = await find_contacts(list(wanted)[:MAX_CONTACTS])
    except TimeoutError:
        log.warning("authors and owners not found in time", wanted=len(wanted))
        return findings
    return [_with_ids(finding, ids) if isinstance(finding, RunFinding) else finding for finding in findings]


def _names_of(finding: RunFinding, result: Result) -> tuple[str, ...]:
    return (*_authors(finding, result), *values_of(result.extras, "owner"))


def _authors(finding: RunFinding, result: Result) -> tuple[str, ...]:
    return values_of(result.extras, "author_email") or values_of(finding.run.extras, "author_email")


def _with_ids(finding: RunFinding, ids: Mapping[str, str]) -> RunFinding:
    def find_ids(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(ids[name] for name in names if name in ids))

    return replace(
        finding,
        failures=tuple(
            result.model_copy(
                update={
                    "author_ids": find_ids(_authors(finding, result)),
                    "owner_ids": find_ids(values_of(result.extras, "owner")),
                }
            )
            for result in finding.failures
        ),
    )
