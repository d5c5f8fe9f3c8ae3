"""The registry of metrics: it makes them, and creates every expected series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import RestrictedRegistry

MetricT = TypeVar("MetricT", bound=MetricWrapperBase)


class MetricRegistry(CollectorRegistry):
    """A registry in which every expected series exists when it is read, so that rates start from zero.

    They are created on the first read, because creating 700 series takes longer than starting the web server.
    """

    def __init__(self) -> None:
        super().__init__()
        self._expected: list[tuple[MetricWrapperBase, Iterable[Sequence[str]]]] = []

    def expect(self, metric: MetricWrapperBase, combinations: Iterable[Sequence[str]]) -> None:
        """Create these combinations of label values when the registry is first read."""
        self._expected.append((metric, combinations))

    def collect(self) -> Iterable[Metric]:
        self._create_expected()
        return super().collect()

    def restricted_registry(self, names: Iterable[str]) -> RestrictedRegistry:
        self._create_expected()
        return super().restricted_registry(names)

    def _create_expected(self) -> None:
        expected, self._expected = self._expected, []
        for metric, combinations in expected:
            for combination in combinations:
                metric.labels(*combination)

    def make_counter(self, name: str, description: str, **labels: Sequence[str]) -> Counter:
        """Make a counter; ``labels`` are the names of its labels and their expected values."""
        return self._with_series(Counter(name, description, tuple(labels), registry=self), labels)

    def make_gauge(self, name: str, description: str, **labels: Sequence[str]) -> Gauge:
        """Make a gauge; ``labels`` are the names of its labels and their expected values."""
        return self._with_series(Gauge(name, description, tuple(labels), registry=self), labels)

    def make_histogram(
        self, name: str, description: str, buckets: Sequence[float], **labels: Sequence[str]
    ) -> Histogram:
        """Make a histogram with these upper bounds; ``labels`` likewise."""
        return self._with_series(Histogram(name, description, tuple(labels), buckets=buckets, registry=self), labels)

    def _with_series(self, metric: MetricT, labels: Mapping[str, Sequence[str]]) -> MetricT:
        if labels:
            self.expect(metric, product(*labels.values()))
        return metric
