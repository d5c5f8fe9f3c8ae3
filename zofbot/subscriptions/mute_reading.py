"""Parse a mute as typed: filters, a duration, and a reason: ``project:checkout 2h release week``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zofbot.domain import durations
from zofbot.domain.commands import SLASH_COMMAND, VERBS
from zofbot.domain.errors import BadInput
from zofbot.subscriptions.filters import canonical_filter, parse_filters
from zofbot.subscriptions.model import Subscription
from zofbot.subscriptions.mute import FILTERS
from zofbot.subscriptions.tokenizer import split_words

MAX_MUTE_SECONDS = 30 * 86400
MIN_MUTE_SECONDS = 60

MAX_DURATION_WORDS = 6
"""Words in a duration: ``1 day 2 hours 30 minutes``."""


class MuteRequest(NamedTuple):
    """What to mute, for how many seconds, and why."""

    filters: Subscription
    seconds: int
    reason: str = ""


def read_mute(text: str) -> MuteRequest:
    """Parse the text after ``mute``; the duration may also come before the filters. Raises BadInput."""
    before, rest = _split_filters(split_words(text), every=True)
    seconds, rest = _split_duration(rest)
    after, rest = _split_filters(rest, every=False) if seconds is not None else ([], rest)
    typed = [*before, *after]
    if rest and seconds is None and ":" not in rest[0] and not typed:
        raise _mute_error(f"`{_clip_input(rest[0])}` has no filter name.",
                          f"Did you mean `project:{_clip_input(rest[0])}`?",
                          f"project:{_clip_input(rest[0])} 2h")  # fmt: skip
    if not typed:
        raise _mute_error("Nothing to mute.", "Give a project, an environment or a case; `project:*` mutes everything.")
    if not seconds:
        missing = f"`{_clip_input(rest[0])}` isn't a duration." if rest else "The duration is missing."
        raise _mute_error(missing, "Put it after the filters: `90m`, `2h`, `1d`.", f"{' '.join(typed)} 2h")
    if not MIN_MUTE_SECONDS <= seconds <= MAX_MUTE_SECONDS:
        raise _mute_error("A mute lasts from one minute to 30 days.", "Choose a duration in between.")
    return MuteRequest(read_filters(typed), seconds, " ".join(rest))


def read_filters(typed: Sequence[str]) -> Subscription:
    """Parse the filters of a mute. Raises BadInput, also for a filter that a mute cannot have."""
    for word in typed:
        name = canonical_filter(word.partition(":")[0])
        if name and name not in FILTERS:
            raise _mute_error(f"Mutes have no filter `{name}:`.", "Use `project:`, `env:` or `case:`.")
    try:
        return parse_filters(" ".join(typed))
    except BadInput as error:
        example = error.example.removeprefix(f"{SLASH_COMMAND} subscribe ")
        raise _mute_error(error.sentence, error.next_step, f"{example} 2h") from error


def _split_filters(typed: Sequence[str], *, every: bool) -> tuple[list[str], list[str]]:
    """Split off the leading filters: with ``every`` all words with a colon, else only known filters."""
    end = 0
    for word in typed:
        name, colon, _ = word.partition(":")
        if not colon or not (every or canonical_filter(name)):
            break
        end += 1
    return list(typed[:end]), list(typed[end:])


def _split_duration(typed: Sequence[str]) -> tuple[int | None, list[str]]:
    """Split off the longest leading duration in seconds, with an optional ``for`` before it."""
    rest = list(typed[1:] if typed[:1] == ["for"] else typed)
    for end in range(min(MAX_DURATION_WORDS, len(rest)), 0, -1):
        seconds = durations.try_parse_duration(" ".join(rest[:end]).rstrip(".,:;!"))
        if seconds is not None:
            return seconds, rest[end:]
    return None, list(typed)


def _clip_input(word: str) -> str:
    return word.replace("`", "")[:60]


def _mute_error(sentence: str, step: str, example: str = "") -> BadInput:
    shown = f"mute {example}" if example else VERBS["mute"].example
    return BadInput(sentence, step, example=f"{SLASH_COMMAND} {shown}", verb="mute")
