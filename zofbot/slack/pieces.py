"""Pieces that several alerts are made of: mentions, buttons, places, times and lists."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from zofbot.model import Result, Run, is_id
from zofbot.slack import text
from zofbot.slack.bodies import Case, Owner, Place
from zofbot.slack.cards import LOOKS
from zofbot.slack.links import Links
from zofbot.slack.message import Block, Message, actions, button, link_button, preformatted, section


@dataclass(frozen=True)
class Paging(Message):
    """A message that mentions people: in its text and blocks, where that notifies them, never beside the bar."""

    mention: str = ""

    def payload(self) -> dict[str, Any]:
        """Return the fields of a message, the mention in front of its text."""
        fields = super().payload()
        return fields | {"text": text.clip(f"{self.mention} {fields['text']}".strip(), 3000)}

    def plain(self, reference: str = "") -> Message:
        """Return the last resort, which mentions the same people."""
        return Paging(super().plain(reference).text, mention=self.mention)


def paging(said: str, top: list[Block], colour: str, below: list[Block], mention: tuple[str, ...]) -> Message:
    """A message that mentions people and user groups, given by their ids, on top of everything else."""
    named = mentions(mention)
    return Paging(said, [*top, *([section(named)] if named else [])], colour, below, named)


def owner_line(owner: Owner, mention: Collection[str]) -> str:
    """A subscription's line: whom of ``mention`` it mentions, by which filters, and for which cases."""
    named = mentions(identifier for identifier in owner.mention if identifier in mention)
    more = [f"{owner.more} more"] if owner.more else []
    cases = ", ".join([*(text.line(title, 100) for title in owner.cases), *more])
    return " · ".join(filter(None, (named, text.code(owner.wish), cases)))


def mentions(identifiers: Iterable[str]) -> str:
    """People and user groups as Slack's own mentions."""
    return " ".join(filter(None, map(_mentioned, identifiers)))


def _mentioned(identifier: str) -> str:
    """An id as Slack's own mention; one that could be none is left out."""
    if not identifier.isalnum() or not identifier.isascii():
        return ""
    return f"<!subteam^{identifier}>" if identifier.startswith("S") else f"<@{identifier}>"


def ending(message: Message, block: Block) -> Message:
    """The same message with one more block at its end."""
    if message.body:
        return replace(message, body=[*message.body, block])
    return replace(message, blocks=[*message.blocks, block])


def case_row(case: Case) -> Block:
    """A failed case in two lines with a button for its details."""
    title = f"{LOOKS[case.outcome].emoji} *{text.line(case.title or case.id, 150)}*{tries(case.attempts)}"
    why = text.line(case.why.partition("\n")[0], 200)
    return section(f"{title}\n{why}" if why else title, look_up("Details", "zof_result", case.id, "Show this result"))


def tries(attempts: int) -> str:
    """How often a case was tried, behind its title; nothing where it was once."""
    return f" · {count(attempts, 'attempt')}" if attempts > 1 else ""


def failure(case: Case) -> list[Block]:
    """What the failure says, as it came; nothing when it says nothing that can be seen."""
    why = text.literal(case.why, 1500)
    return [preformatted(why)] if why else []


def case_buttons(case: Case, run_id: str, links: Links) -> list[Block]:
    """*Details*, *Show run* and *Open in Zof*, as far as there is something behind them."""
    result = Result(id=case.id, run_id=run_id or None, url=case.url or None)
    return actions(
        look_up("Details", "zof_result", case.id, "Show this result"),
        look_up("Show run", "zof_run", run_id, "Show the run of this result"),
        link_button("Open in Zof", "zof_open", links.result(result)),
    )


def run_buttons(place: Place, links: Links) -> list[Block]:
    """*Show run* and *Open in Zof*, as far as there is something behind them."""
    return actions(
        look_up("Show run", "zof_run", place.id, "Show this run"),
        link_button("Open in Zof", "zof_open", links.run(as_run(place))),
    )


def look_up(label: str, action: str, identifier: str, aloud: str) -> Block | None:
    """A button about one id; none for what could never be looked up."""
    return button(label, action, {"id": identifier}, aloud=aloud) if is_id(identifier) else None


def as_run(place: Place) -> Run:
    """The run that a body keeps in short."""
    return Run(
        id=place.id,
        title=place.title or None,
        outcome=place.outcome,
        project_name=place.project or None,
        environment=place.environment or None,
        duration=place.duration,
        url=place.url or None,
        counts=place.counts,
    )


def where(place: Place) -> list[tuple[str, str]]:
    """Project and environment, for fields."""
    return [("Project", text.line(place.project, 300)), ("Environment", text.line(place.environment, 300))]


def moment(at: float) -> str:
    """Unix seconds as a time in the reader's own zone."""
    return text.moment(datetime.fromtimestamp(at, UTC))


def planned(at: float) -> str:
    """Unix seconds as a time to come, which nobody needs to the second."""
    return text.moment(datetime.fromtimestamp(at, UTC), "time")


def count(number: int, noun: str) -> str:
    """``1 failure``, ``2 failures``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def paragraphs(lines: Iterable[str], most: int = 2900) -> list[Block]:
    """Lines in as few sections as Slack's limit allows."""
    made: list[str] = []
    for line in lines:
        if made and len(made[-1]) + len(line) < most:
            made[-1] += f"\n{line}"
        else:
            made.append(line)
    return [section(part) for part in made]
