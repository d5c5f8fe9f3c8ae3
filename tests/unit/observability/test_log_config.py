"""Redaction of log lines: texts that were logged before a secret was known are redacted from then on."""

from __future__ import annotations

import io
import json

import structlog

from zofbot.observability.log_config import add_secrets, configure_logging


def test_a_text_that_is_remembered_as_harmless_is_redacted_once_it_is_a_secret() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", (), stream)
    log = structlog.get_logger()
    log.info("said", text="correct horse")
    log.info("said", text="correct horse")
    add_secrets("correct horse")
    log.info(
        "said", text="correct horse", many=["correct horse"], long="correct horse " * 10, timestamp="correct horse"
    )
    before, again, after = map(json.loads, stream.getvalue().splitlines())
    assert before["text"] == again["text"] == "correct horse"
    assert "correct horse" not in json.dumps(after)
    assert list(after) == ["text", "many", "long", "timestamp", "event", "level"]
