"""One line per thing that happened: JSON for machines, colours on a terminal, and no secret in either."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from zofbot.domain.redaction import redact


class _SecretRedactor:
    """Takes secrets out of every string of an event, known ones first, however deep it stands."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self.known = known

    def __call__(self, logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {key: self._redact_value(value) for key, value in event.items()}

    def _redact_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return redact(value[:20_000], *self.known)
        if isinstance(value, dict):
            return {key: self._redact_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._redact_value(item) for item in value]
        return value if value is None or isinstance(value, bool | int | float) else self._redact_value(repr(value))


_redactor = _SecretRedactor(())


def add_secrets(*secrets: str) -> None:
    """Keep these out of the log as well, from now on."""
    _redactor.known = (*secrets, *_redactor.known)


def configure_logging(form: str, level: str, secrets: tuple[str, ...] = (), stream: TextIO | None = None) -> None:
    """Send every log line, the libraries' too, through one redacting chain to ``stream`` (standard error)."""
    stream = stream or sys.stderr
    pretty = form == "pretty" or (form == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    _redactor.known = secrets
    clean: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, _redactor]
    last: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if pretty:
        last = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    # Ours go straight to the stream: through the standard library's logging a line costs twice as much.
    structlog.configure(
        processors=[*shared, *clean, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *clean, last],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # httpx logs every address at INFO, ids typed by people included; Bolt logs the whole body of an unsigned request.
    for noisy in ("httpx", "httpcore", "slack_bolt", "slack_sdk", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
