"""Messages about the causes of a channel's failures: the list by cost, and one with its history and buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zofbot.domain.commands import SLASH_COMMAND
from zofbot.domain.durations import format_duration
from zofbot.domain.text import count_noun
from zofbot.notifications import text
from zofbot.notifications.past_causes import PastCause
from zofbot.notifications.payload_parts import CaseSummary
from zofbot.slack.views.alerts.past_causes import past_cause_text
from zofbot.slack.views.blocks import Block, Message, build_button, context_block, section_block
from zofbot.slack.views.case_history import case_past_text
from zofbot.slack.views.components import failure_blocks, lookup_button
from zofbot.slack.views.oncall import FailureRow, failure_row_text
from zofbot.slack.views.run_list import PageWindow, page_controls
from zofbot.slack.views.triage.pressed_button import FailureRef
from zofbot.slack.views.triage.triage_controls import CardOptions, control_blocks

NO_OFFERS = CardOptions()

CAUSE_ACTION_ID, PAGE_ACTION_ID = "zof_cause", "zof_causes_page"

MAX_ALERTS_SHOWN = 5
"""Alerts of a cause that are listed below it."""


@dataclass(frozen=True)
class CauseRow:
    """A cause in a list: its failures, the alerts with it and how many are open, and ``seconds`` of open alerts."""

    signature: str
    example: CaseSummary
    failures: int
    alerts: int
    open: int
    seconds: float
    projects: Sequence[str] = ()
    channel: str = ""
    """The channel's id, in a list over several channels."""


@dataclass(frozen=True)
class CauseHistory:
    """A cause with what is remembered of it, by project, and its latest alerts.

    ``about`` is the latest alert that is open, with what its controls offer.
    """

    row: CauseRow
    past: Sequence[tuple[str, PastCause]] = ()
    alerts: Sequence[FailureRow] = ()
    about: FailureRef | None = None
    offers: CardOptions = NO_OFFERS


def cause_list(rows: Sequence[CauseRow], window: tuple[int, int], period: int) -> Message:
    """Render one page of a channel's causes; ``window`` is (index of the first, total number), ``period`` seconds."""
    start, total = window
    days, rest = divmod(period, 86400)
    typed = format_duration(period)
    span = typed if rest else count_noun(days, "day")
    if not rows:
        sentence = f"No failures with a known cause in this channel in the last {span}."
        return Message(sentence, [section_block(f"🌤️ {sentence}")])
    title = f"{count_noun(total, 'cause')} in the last {span}"
    listed = [section_block(cause_text(row), _details_button(row)) for row in rows]
    more = page_controls(PageWindow(start, len(rows), total, "causes"), PAGE_ACTION_ID, {"period": typed})
    note = (
        "Most failures first, then longest open. Every alert that was open in this time counts, with all of its "
        "failures; open times of several alerts are added."
    )
    return Message(title, [section_block(f"*{title}*"), *listed, *more, context_block(note)])


def cause_text(row: CauseRow) -> str:
    """Describe a cause in two lines: the failure text, and what it costs."""
    why = text.escape_line(row.example.why.partition("\n")[0], 150) or text.escape_line(row.example.title, 150)
    opened = f"open {text.describe_duration(round(max(row.seconds, 1)))} in total"
    state = f"{count_noun(row.alerts, 'alert')}, {row.open} open" if row.open else count_noun(row.alerts, "alert")
    projects = text.escape_line(", ".join(row.projects), 100)
    place = f"<#{row.channel}>" if row.channel.isalnum() else ""
    facts = (count_noun(row.failures, "failure"), opened, state, projects, place)
    return f"{'🔥' if row.open else '☑️'} *{why or 'Without a failure text'}*\n{' · '.join(filter(None, facts))}"


def _details_button(row: CauseRow) -> Block | None:
    return build_button("Details", CAUSE_ACTION_ID, {"id": row.signature}, aloud="Show this cause")


def cause_card(history: CauseHistory, now: float) -> Message:
    """Render one cause: its failure text and cost, its history by project, its alerts, the latest one's controls."""
    row = history.row
    past = [f"🗂️ *{text.escape_line(name, 60)}*: {past_cause_text(item)}" for name, item in history.past]
    example = text.escape_line(row.example.title or row.example.id, 150)
    facts = [f"For example *{example}*", case_past_text(row.example)]
    controls = control_blocks(history.about, history.alerts[0].present, history.offers) if history.about else []
    return Message(
        f"Cause {row.signature}",
        [
            section_block(cause_text(row)),
            *(failure_blocks(row.example) if "\n" in row.example.why.strip() else ()),
            section_block(
                " · ".join(filter(None, facts)),
                lookup_button("View details", "zof_result", row.example.id, "View one of these results"),
            ),
            *(section_block(line) for line in past),
            *(section_block(failure_row_text(alert, now)) for alert in history.alerts[:MAX_ALERTS_SHOWN]),
            *([context_block("The buttons act on the first alert above.")] if controls else []),
            *controls,
            context_block(f"Cause {text.inline_code(row.signature)}"),
        ],
    )


def cause_unknown_reply(typed: str) -> Message:
    """Reply that no cause of this channel has that id, or several begin so."""
    sentence = f"No cause of this channel has the ID {text.inline_code(typed)}, or several match it."
    step = f"`{SLASH_COMMAND} causes` lists them; *Details* shows one."
    return Message(f"{sentence} {step}", [section_block(f"{sentence}\n{step}")])
