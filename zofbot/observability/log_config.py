"""Logging setup: one line per event, JSON or colored for a terminal, with secrets redacted."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from functools import lru_cache
from typing import Any, TextIO, cast

import structlog

from zofbot.domain.redaction import redact

MAX_TEXT_CHARACTERS = 20_000
"""A longer text is cut."""

MAX_CACHED_TEXTS, MAX_CACHED_CHARACTERS = 1024, 64
"""Redacted texts that are remembered, and how long they may be: names, ids and outcomes come again and again."""


class _SecretRedactor:
    """Structlog processor that redacts secrets in every string of an event, at any depth."""

    def __init__(self) -> None:
        self.use_secrets(())

    def use_secrets(self, known: tuple[str, ...]) -> None:
        """Redact these secrets, and what looks like one, from now on."""
        self.known = known
        self._redact_short = lru_cache(MAX_CACHED_TEXTS)(lambda text: redact(text, *known))

    def __call__(self, logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        # The time is our own: TimeStamper replaces what else is logged under that name.
        return {key: value if key == "timestamp" else self._redact_value(value) for key, value in event.items()}

    def _redact_value(self, value: Any) -> Any:
        if isinstance(value, str):
            if len(value) <= MAX_CACHED_CHARACTERS:
                return self._redact_short(value)
            return redact(value[:MAX_TEXT_CHARACTERS], *self.known)
        if isinstance(value, dict):
            return {key: self._redact_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._redact_value(item) for item in value]
        return value if value is None or isinstance(value, bool | int | float) else self._redact_value(repr(value))


class _LossyStream:
    """A text stream that loses what it cannot write (full disk, closed pipe), so that no log line ends any work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a closed file raises ValueError
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


_redactor = _SecretRedactor()
_encode_json = json.JSONEncoder().encode


def add_secrets(*secrets: str) -> None:
    """Redact these secrets as well from now on."""
    _redactor.use_secrets((*secrets, *_redactor.known))


def configure_logging(form: str, level: str, secrets: tuple[str, ...] = (), stream: TextIO | None = None) -> None:
    """Send every log line, including libraries', through one redacting chain to ``stream`` (default: stderr)."""
    stream = stream or sys.stderr
    output = cast("TextIO", _LossyStream(stream))
    pretty = form == "pretty" or (form == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    _redactor.use_secrets(secrets)
    clean: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, _redactor]
    # The redactor leaves nothing that JSON lacks; json.dumps would make an encoder for each line.
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(lambda event, **_: _encode_json(event))
    if pretty:
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    # zofbot's own lines bypass the standard library's logging, which would double their cost.
    structlog.configure(
        processors=[*shared, *clean, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *clean, renderer],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # httpx logs every URL at INFO, including ids typed by people; Bolt logs the whole body of an unsigned request.
    for noisy in ("httpx", "httpcore", "slack_bolt", "slack_sdk", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
