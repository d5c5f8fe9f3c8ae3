"""The one place where the code says what happened: an event goes to the log, the metrics and the trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from zofbot.observability.log_lines import LOG_LINES
from zofbot.observability.metric_updates import MetricUpdates
from zofbot.observability.metrics import Metrics
from zofbot.observability.trace_steps import TRACE_STEPS

EventT = TypeVar("EventT")


class EventEmitter:
    """Calls the hooks of an event's type: those that write its metrics, trace step and log line, and added ones.

    Without ``metrics`` nothing is counted. Hooks must not wait, because they are called in the middle of other work.
    A finished trace (``TraceRecorder``) is emitted, too, so that ``emit`` is what ``record_trace`` takes.
    """

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._hooks: dict[type, tuple[Callable[[Any], None], ...]] = {}
        updates = MetricUpdates(metrics).by_event if metrics else {}
        for table in (updates, TRACE_STEPS, LOG_LINES):
            for kind, hook in table.items():
                self.add_hook(kind, hook)

    def add_hook(self, kind: type[EventT], hook: Callable[[EventT], None]) -> None:
        """Call ``hook`` for events of exactly this type, after the hooks already there."""
        self._hooks[kind] = (*self._hooks.get(kind, ()), hook)

    def emit(self, event: object) -> None:
        """Pass one event to the hooks of its type."""
        for hook in self._hooks.get(type(event), ()):
            hook(event)
