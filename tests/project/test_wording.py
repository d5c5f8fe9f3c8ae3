"""Texts that people read use plain words: those of the field, and the same word for the same thing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.wording import EXCEPTIONS, OLD_WORDS, user_texts

PLACES = (
    "alerting", "app.py", "cli", "concurrency.py", "config", "delivery", "demo.py", "diagnostics", "domain", "http",
    "listeners", "notifications", "observability", "polling", "retries.py", "services", "slack", "store",
    "subscriptions", "triage", "zof",
)  # fmt: skip
"""Where texts for people are: Slack's surfaces, errors, the command line, traces and log events."""


@pytest.mark.parametrize("place", PLACES)
def test_texts_use_plain_words(place: str) -> None:
    root = ROOT / "zofbot" / place
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in ([root] if root.is_file() else sorted(root.rglob("*.py")))
        for line, text in user_texts(path)
        if OLD_WORDS.search(text) and text not in EXCEPTIONS.get(path.relative_to(ROOT).as_posix(), ())
    ]
    assert not found, "\n".join(found)


def test_an_old_word_is_noticed(tmp_path: object) -> None:
    source = ROOT / "tests/project/test_wording.py"
    texts = ["The channel was told.", f"It {source.name} stands here."]
    assert texts
    assert sum(bool(OLD_WORDS.search(text)) for _, text in user_texts(source)) == 2


def test_an_old_word_in_a_log_event_is_noticed_but_not_in_its_fields(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    word = "told"
    source.write_text(f'log.error("nobody was {word}", reason="who was {word}")\n')
    assert [text for _, text in user_texts(source)] == [f"nobody was {word}"]


_TIME_IN_A_SENTENCE = re.compile(r"[a-z] \{(?:text\.)?format_(?:moment|local_time)\((?!.*, *[\"'])")


def test_a_time_in_the_middle_of_a_sentence_begins_with_a_small_letter() -> None:
    """Slack writes "Today" where a date token has no words before it, so those belong into the token."""
    views = sorted((ROOT / "zofbot/slack/views").rglob("*.py"))
    lines = [f"{path.name}: {line.strip()}" for path in views for line in path.read_text().splitlines()]
    assert [line for line in lines if _TIME_IN_A_SENTENCE.search(line)] == []
    assert _TIME_IN_A_SENTENCE.search('f"since {format_moment(body.since)}."')
