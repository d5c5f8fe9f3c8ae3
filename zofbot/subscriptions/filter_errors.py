"""What is wrong with a filter as it was typed, with an example that can be copied."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.errors import BadInput

FILTER_EXAMPLES = {
    "project": "project:checkout",
    "env": "env:production,-staging",
    "case": 'case:"cart total*"',
    "branch": "branch:main,release-*",
    "tag": "tag:smoke",
    "owner": "owner:checkout-team",
    "on": "on:failed,error,recovered",
    "group": "group:case",
    "layout": "layout:flat",
    "broadcast": "broadcast:relapse,recovered",
    "after": "after:3/1h",
    "mention": "mention:@ana",
    "quiet": "quiet:22:00-07:00,critical",
    "escalate": "escalate:15m->@oncall,45m->@leads",
    "reack": "reack:4h",
}
"""Every filter with an example that can be copied."""


def filter_error(name: str, sentence: str, step: str, instead: str = "") -> BadInput:
    """Build the error about a filter; ``instead`` is a better example than the general one."""
    return BadInput(sentence, step, example=_example_command(name, instead), verb="subscribe")


def _example_command(name: str, instead: str = "") -> str:
    return f"{SLASH_COMMAND} subscribe {instead or FILTER_EXAMPLES[name]}"


def closest_word(word: str, known: Sequence[str] | dict[str, str]) -> str:
    """Return the known word that resembles ``word`` most, or an empty string."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def join_choices(choices: Iterable[str]) -> str:
    """Return all choices, as code, joined by *or*."""
    return " or ".join(f"`{word}`" for word in map(str, choices))


def clip_input(value: str) -> str:
    """Shorten what was typed, so that it can be quoted as code."""
    return re.sub(r"[`\s]+", " ", value)[:60].strip()
