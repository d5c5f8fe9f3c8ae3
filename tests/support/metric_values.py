"""Values of single metrics."""

from __future__ import annotations

from zofbot.observability.metrics import Metrics


def metric_value(metrics: Metrics, name: str, labels: dict[str, str] | None = None) -> float | None:
    """Return one sample, or None; only this metric is collected, as reading all of them takes milliseconds."""
    found = metrics.registry.restricted_registry([name]).collect()
    samples = (sample for metric in found for sample in metric.samples)
    return next((each.value for each in samples if (each.name, each.labels) == (name, labels or {})), None)
