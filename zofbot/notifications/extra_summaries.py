"""Extra fields of a run or result as payloads store them: redacted and clipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zofbot.domain.extra_fields import ExtraValue, FieldType
from zofbot.domain.frozen_model import FrozenModel
from zofbot.domain.redaction import redact
from zofbot.notifications import text

MAX_EXTRAS = 20
MAX_SUMMARY_VALUES = 10
MAX_LINK_CHARACTERS = 1000
MAX_TEXT_CHARACTERS = 300


class ExtraSummary(FrozenModel):
    """One label with its values; a ``type`` that this version does not know is shown as text."""

    label: str
    type: str = FieldType.TEXT.value
    values: tuple[str, ...] = ()


def summarize_extras(extras: Iterable[ExtraValue]) -> tuple[ExtraSummary, ...]:
    """Return what may be stored: links without secrets, and texts and addresses in one line each."""
    made = []
    for extra in list(extras)[:MAX_EXTRAS]:
        cleaned = (_clean_value(extra, value) for value in extra.values[:MAX_SUMMARY_VALUES])
        if values := tuple(filter(None, cleaned)):
            made.append(ExtraSummary(label=extra.label, type=extra.type.value, values=values))
    return tuple(made)


def merge_summaries(*sources: Sequence[ExtraSummary]) -> tuple[ExtraSummary, ...]:
    """Join the extra fields of several objects; of those with the same label, the first counts."""
    found: dict[str, ExtraSummary] = {}
    for extra in (extra for source in sources for extra in source):
        found.setdefault(extra.label, extra)
    return tuple(found.values())


def _clean_value(extra: ExtraValue, value: str) -> str:
    if extra.type in (FieldType.LINK, FieldType.IMAGE):
        return value if len(value) <= MAX_LINK_CHARACTERS and redact(value) == value else ""
    return text.clean_literal(" ".join(value.split()), MAX_TEXT_CHARACTERS)
