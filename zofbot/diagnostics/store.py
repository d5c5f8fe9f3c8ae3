"""Check Redis by its info, its latency, and the schemas of the stored records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from zofbot.diagnostics.finding import Finding, Level, error_finding, ok_finding, warning_finding
from zofbot.domain.text import count_noun
from zofbot.notifications import notification
from zofbot.store.health import HealthProblem, RedisInfo, find_problems
from zofbot.store.schema import STORE_SCHEMA
from zofbot.subscriptions import model

MAX_LATENCY_SECONDS = 0.05
"""Latency per call that people notice: a click needs several calls, and Slack waits three seconds in total."""


def problem_finding(found: HealthProblem) -> Finding:
    """Convert a health problem to a finding."""
    return Finding(Level.ERROR if found.grave else Level.WARNING, found.about, found.what, found.fix)


def check_health(server: RedisInfo) -> list[Finding]:
    """Check a server's version, persistence, eviction and memory."""
    found = [problem_finding(problem) for problem in find_problems(server)]
    if found:
        return found
    name = (
        f"Valkey {server.info['valkey_version']}"
        if "valkey_version" in server.info
        else f"Redis {server.info.get('redis_version')}"
    )
    return [
        ok_finding("redis", f"{name} persists its data; {int(server.info.get('used_memory', 0)) >> 20} MiB in use.")
    ]


def check_latency(seconds: Sequence[float], name: str = "Redis") -> Finding:
    """Judge the median of several latencies, in seconds, of the store called ``name``."""
    median = sorted(seconds)[len(seconds) // 2]
    what = f"{name} answers within {median * 1000:.1f} ms."
    if median <= MAX_LATENCY_SECONDS:
        return ok_finding("redis latency", what)
    return warning_finding("redis latency", what, "Move zofbot closer to Redis, or find out what keeps Redis busy.")


def check_records(records: Mapping[str, str], waiting: Sequence[int], stored_schema: int) -> list[Finding]:
    """Check the schemas of the store, of subscriptions (id to JSON), and of pending notifications."""
    found = [item for identifier, record in records.items() for item in _check_record(identifier, record)]
    if stored_schema > STORE_SCHEMA:
        what = (
            f"A newer zofbot uses this store with schema {stored_schema}. This version knows {STORE_SCHEMA}, and does "
            "not write to it."
        )
        found.append(error_finding("schema", what, "Upgrade this zofbot, or restore an older backup."))
    newer = sum(schema > notification.NOTIFICATION_SCHEMA for schema in waiting)
    if newer:
        what = f"{count_noun(newer, 'queued message')} from a newer zofbot can only be sent by its workers."
        found.append(error_finding("schema", what, "Upgrade this zofbot."))
    return found or [
        ok_finding("schema", f"{count_noun(len(records), 'subscription')} and all queued messages are readable.")
    ]


def _check_record(identifier: str, record: str) -> list[Finding]:
    about = f"subscription {identifier}"
    try:
        data = json.loads(record)
        model.Subscription.model_validate(data)
    except ValueError:
        fix = f"Delete field {identifier} of the subscriptions hash with HDEL, and subscribe again."
        return [error_finding(about, "Its record is not readable.", fix)]
    if int(data.get("schema", 0)) > model.SUBSCRIPTION_SCHEMA:
        return [
            error_finding(
                about, "A newer zofbot wrote it, and it may have filters that this one ignores.", "Upgrade this zofbot."
            )
        ]
    return []
