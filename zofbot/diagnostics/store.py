"""How Redis stands, judged by its account of itself, its haste, and the versions of what is kept there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from zofbot.diagnostics.finding import Finding, Level, error_finding, ok_finding, warning_finding
from zofbot.notifications import notification
from zofbot.store.health import HealthProblem, RedisInfo, find_problems
from zofbot.store.schema import STORE_SCHEMA
from zofbot.subscriptions import model

MAX_LATENCY_SECONDS = 0.05
"""Seconds one question may take before people notice: a click needs several, and Slack waits three in all."""


def problem_finding(found: HealthProblem) -> Finding:
    """A danger as a finding."""
    return Finding(Level.ERROR if found.grave else Level.WARNING, found.about, found.what, found.mend)


def check_health(told: RedisInfo) -> list[Finding]:
    """Version, persistence, eviction, memory."""
    found = [problem_finding(problem) for problem in find_problems(told)]
    if found:
        return found
    name = (
        f"Valkey {told.info['valkey_version']}"
        if "valkey_version" in told.info
        else f"Redis {told.info.get('redis_version')}"
    )
    return [
        ok_finding("redis", f"{name} keeps what it is given; {int(told.info.get('used_memory', 0)) >> 20} MiB in use.")
    ]


def check_latency(seconds: Sequence[float]) -> Finding:
    """How long it takes to answer; the middle one of several counts."""
    middle = sorted(seconds)[len(seconds) // 2]
    what = f"Redis answers within {middle * 1000:.1f} ms."
    if middle <= MAX_LATENCY_SECONDS:
        return ok_finding("redis latency", what)
    return warning_finding(
        "redis latency", what, "Bring zofbot and Redis nearer to each other, or look what keeps Redis busy."
    )


def check_records(kept: Mapping[str, str], waiting: Sequence[int], written: int) -> list[Finding]:
    """Versions of the store, of subscriptions (id to JSON), and of notifications that wait."""
    found = [item for identifier, record in kept.items() for item in _check_record(identifier, record)]
    if written > STORE_SCHEMA:
        what = (
            f"A newer zofbot has written to this store under schema {written}; "
            f"this one knows {STORE_SCHEMA} and keeps off."
        )
        found.append(error_finding("schema", what, "Upgrade this zofbot too, or restore a backup of before."))
    newer = sum(schema > notification.NOTIFICATION_SCHEMA for schema in waiting)
    if newer:
        what = f"{newer} notifications were written by a newer zofbot, and wait for its workers."
        found.append(error_finding("schema", what, "Upgrade this zofbot too."))
    return found or [ok_finding("schema", f"{len(kept)} subscriptions and all that waits can be read.")]


def _check_record(identifier: str, record: str) -> list[Finding]:
    about = f"subscription {identifier}"
    try:
        read = json.loads(record)
        model.Subscription.model_validate(read)
    except ValueError:
        mend = f"Remove it with HDEL from the hash of subscriptions, field {identifier}, and subscribe again."
        return [error_finding(about, "Its record cannot be read.", mend)]
    if int(read.get("schema", 0)) > model.SUBSCRIPTION_SCHEMA:
        return [
            error_finding(about, "It was written by a newer zofbot, and may mean more.", "Upgrade this zofbot too.")
        ]
    return []
