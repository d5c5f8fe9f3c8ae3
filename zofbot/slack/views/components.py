"""Components shared by several messages: mentions, buttons, locations, times and lists."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from zofbot.domain.model import Result, Run, is_valid_id
from zofbot.domain.text import count_noun, format_mention
from zofbot.notifications import text
from zofbot.notifications.payload_parts import MAX_LINK_LENGTH, CaseSummary, Owner, RunSummary
from zofbot.slack.links import ZofLinks
from zofbot.slack.views.blocks import (
    Block,
    Message,
    build_button,
    button_row,
    context_block,
    link_button,
    preformatted_block,
    section_block,
)
from zofbot.slack.views.case_history import case_past_text
from zofbot.slack.views.outcomes import OUTCOME_STYLES


@dataclass(frozen=True)
class MentioningMessage(Message):
    """A message that mentions people in its text and blocks: a mention in an attachment would not notify them."""

    mention: str = ""

    def message_fields(self) -> dict[str, Any]:
        """Return the fields of a message, with the mention before its text."""
        fields = super().message_fields()
        return fields | {"text": text.clip_text(f"{self.mention} {fields['text']}".strip(), 3000)}

    def plain_version(self, reference: str = "") -> Message:
        """Return the fallback without blocks, with the same mentions."""
        return MentioningMessage(super().plain_version(reference).text, mention=self.mention)


def with_mentions(sentence: str, top: list[Block], color: str, below: list[Block], mention: tuple[str, ...]) -> Message:
    """Build a message that mentions people and user groups (ids) above the color bar."""
    named = format_mentions(mention)
    return MentioningMessage(sentence, [*top, *([section_block(named)] if named else [])], color, below, mention=named)


def owner_line(owner: Owner, mention: Collection[str]) -> str:
    """Return a subscription's line: which of ``mention`` it mentions, its filters, and its cases."""
    named = format_mentions(identifier for identifier in owner.mention if identifier in mention)
    more = [f"{owner.more} more"] if owner.more else []
    cases = ", ".join([*(text.escape_line(title, 100) for title in owner.cases), *more])
    return " · ".join(filter(None, (named, text.inline_code(owner.wish), cases)))


def format_mentions(identifiers: Iterable[str]) -> str:
    """Format the ids of people and user groups as Slack mentions."""
    return " ".join(filter(None, map(_format_mention, identifiers)))


def _format_mention(identifier: str) -> str:
    """Format an id as a Slack mention; empty if the id is invalid."""
    if not identifier.isalnum() or not identifier.isascii():
        return ""
    return format_mention(identifier)


def with_footer(message: Message, block: Block) -> Message:
    """Return the message with one more block at its end."""
    if message.body:
        return replace(message, body=[*message.body, block])
    return replace(message, blocks=[*message.blocks, block])


def case_line(case: CaseSummary) -> str:
    """Return a failed case in one line: title, the first line of its failure text, attempts, and its past."""
    title = f"{OUTCOME_STYLES[case.outcome].emoji} *{text.escape_line(case.title or case.id, 80)}*"
    why = first_line(case.why)
    past = case_past_text(case)
    return f"{title}{f': {why}' if why else ''}{attempts_suffix(case.attempts)}{f' · {past}' if past else ''}"


def first_line(why: str) -> str:
    """Return the first line of a failure text, escaped, and short enough for a line of a card."""
    return text.escape_line(why.strip().partition("\n")[0], 80)


def attempts_suffix(attempts: int) -> str:
    """Return the number of attempts, to follow a title; empty for a single one."""
    return f" · {count_noun(attempts, 'attempt')}" if attempts > 1 else ""


def failure_blocks(case: CaseSummary) -> list[Block]:
    """Return the failure text, preformatted; empty if there is no visible text."""
    why = text.clean_literal(case.why, 1500)
    return [preformatted_block(why)] if why else []


def case_buttons(case: CaseSummary, run_id: str, links: ZofLinks) -> list[Block]:
    """Return the buttons *View details*, *View run* and *Open in Zof*, those that have a target."""
    result = Result(id=case.id, run_id=run_id or None, url=case.url or None)
    return button_row(
        lookup_button("View details", "zof_result", case.id, "View this result"),
        lookup_button("View run", "zof_run", run_id, "View the run of this result"),
        link_button("Open in Zof", "zof_open", links.result_url(result)),
    )


def run_buttons(place: RunSummary, links: ZofLinks) -> list[Block]:
    """Return the buttons *View run* and *Open in Zof*, those that have a target."""
    return button_row(
        lookup_button("View run", "zof_run", place.id, "View this run"),
        link_button("Open in Zof", "zof_open", links.run_url(as_run(place))),
    )


def lookup_button(label: str, action: str, identifier: str | None, aloud: str) -> Block | None:
    """Return a button that looks up an id; None if there is none, or it is invalid."""
    if not identifier or not is_valid_id(identifier):
        return None
    return build_button(label, action, {"id": identifier}, aloud=aloud)


def as_run(place: RunSummary) -> Run:
    """Convert a payload's run summary to a run."""
    return Run(
        id=place.id,
        title=place.title or None,
        outcome=place.outcome,
        project_name=place.project or None,
        environment=place.environment or None,
        duration=place.duration,
        url=place.url or None,
        counts=place.case_counts,
    )


def format_moment(at: float, before: str = "") -> str:
    """Format Unix seconds as a time in the reader's own zone, after the words ``before``."""
    return text.format_local_time(datetime.fromtimestamp(at, UTC), before)


def meta_block(*facts: str) -> Block:
    """Return the facts that are known (mrkdwn) in one line of small print."""
    return context_block(" · ".join(filter(None, facts)))


def page_link(url: str) -> str:
    """Return a link to a page in Zof (mrkdwn); empty if there is none."""
    shown = 0 < len(url) <= MAX_LINK_LENGTH and "|" not in url and ">" not in url
    return f"<{url.replace('&', '&amp;')}|Open in Zof>" if shown else ""


def paragraph_blocks(lines: Iterable[str], accessory: Block | None = None, most: int = 2900) -> list[Block]:
    """Return the lines that are not empty in as few sections as Slack allows, the first with an element beside it."""
    made: list[str] = []
    for line in filter(None, lines):
        if made and len(made[-1]) + len(line) < most:
            made[-1] += f"\n{line}"
        else:
            made.append(line)
    return [section_block(part, None if index else accessory) for index, part in enumerate(made)]
