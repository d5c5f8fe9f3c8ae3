"""Redaction of log lines: texts that were logged before a secret was known are redacted from then on."""

from __future__ import annotations

import errno
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from zofbot.observability.log_config import add_secrets, configure_logging


@pytest.fixture(autouse=True)
def _keep_configuration() -> Iterator[None]:
    kept, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield
    structlog.configure(**kept)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


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


class FullDisk(io.StringIO):
    """A file on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("closed", [False, True])
def test_a_line_that_cannot_be_written_ends_no_work_and_the_next_ones_are_written(closed: bool) -> None:
    full = FullDisk()
    configure_logging("json", "info", (), full)
    if closed:
        full.close()
    structlog.get_logger().info("a line for which the disk has no room")
    logging.getLogger("library").warning("another one")
    stream = io.StringIO()
    configure_logging("json", "info", (), stream)
    structlog.get_logger().info("there is room again")
    assert "there is room again" in stream.getvalue()
