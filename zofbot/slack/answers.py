"""What the bot answers one person that is not a card: errors, help, and how a share went."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from zofbot.errors import BadInput, NotAllowed, ShareUsedUp, SlackError, ZofbotError, ZofError, ZofUnavailable
from zofbot.model import utc
from zofbot.routing.spelling import EXAMPLES
from zofbot.slack import text
from zofbot.slack.cards import PAGE, Window, pages
from zofbot.slack.message import Block, Message, actions, button, context, header, plain_text, section
from zofbot.verbs import COMMAND, VERBS, Verb


def failed(error: ZofbotError, reference: str = "") -> Message:
    """What happened, what to do next, and Zof's request id last; a ``reference`` where that leads nowhere."""
    if isinstance(error, NotAllowed):  # its sentence is mrkdwn
        last = request_id(error, reference)
        return Message(f"{error.sentence} {last}", [section(f"🔒 {error.sentence}"), context(last)])
    hint = text.mrkdwn(error.next_step, 600)
    if isinstance(error, BadInput) and error.example:
        hint += f"\nFor example: {text.code(error.example)}"
    said = f"{_sign(error)} *{text.mrkdwn(error.sentence, 900)}*"
    spoken = " ".join(part for part in (text.mrkdwn(error.sentence, 900), hint, request_id(error, reference)) if part)
    return Message(
        spoken.replace("\n", " "),
        [section(f"{said}\n{hint}".strip()), context(request_id(error, reference, code=True))],
    )


def _sign(error: ZofbotError) -> str:
    return "💡" if isinstance(error, BadInput) else "⏳" if isinstance(error, ZofUnavailable) else "⚠️"


def request_id(error: ZofbotError, reference: str = "", *, code: bool = False) -> str:
    """What support, or an admin with ``/zof trace``, can look up."""

    def shown(name: str) -> str:
        return text.code(name) if code else text.mrkdwn(name, 200)

    parts = ["Zof returned no request id for this."]
    if isinstance(error, BadInput | NotAllowed | ShareUsedUp):
        parts = ["Zof was not asked, so there is no request id."]
    elif isinstance(error, ZofError):
        parts = [f"Request ID: {shown(error.request_id)}" if error.request_id else "Zof returned no request id."]
    return " ".join([*parts, *([f"Reference: {shown(reference)}"] if reference else [])])


def broken(reference: str) -> Message:
    """Something nobody foresaw; ``reference`` stands in the log beside the traceback."""
    said = "Something went wrong inside zofbot."
    step = "Try again; if it stays, give an operator this reference."
    return Message(
        f"{said} {step} Reference: {reference}",
        [section(f"⚠️ *{said}*\n{step}"), context(f"Reference: {text.code(reference)}")],
    )


def still_asking(reference: str = "") -> Message:
    """The acknowledgement when Zof takes longer than Slack waits; the ``reference`` is for when no answer comes."""
    said = "Still asking Zof…"
    last = [context(f"Reference: {text.code(reference)}")] if reference else []
    return Message(said, [section(f"⏳ {said} The answer follows."), *last])


@functools.cache
def help_all() -> Message:
    """All verbs, a line each; always the same, so it is drawn once."""
    lines = [f"`{COMMAND} {text.mrkdwn(verb.usage)}`\n{verb.does}" for verb in VERBS.values()]
    return Message(
        f"What {COMMAND} can do: " + ", ".join(VERBS),
        [
            section(f"*What `{COMMAND}` can do*"),
            *(section(line) for line in lines),
            context(f"`{COMMAND} <id>` alone is short for `{COMMAND} result <id>`.".replace("<id>", "&lt;id&gt;")),
        ],
    )


THREAD_ALONE = (
    "`broadcast:never`: that a failure is back after it had recovered stands in the thread alone, where only those who "
    "follow it hear of it. One that somebody had resolved is a new message all the same."
)
"""What it means never to show replies in the channel (mrkdwn)."""


def help_verb(verb: Verb) -> Message:
    """One verb, with an example to copy."""
    usage = text.mrkdwn(verb.usage)
    filters = "\n".join(text.code(example) for example in EXAMPLES.values()) if verb.name == "subscribe" else ""
    return Message(
        f"{COMMAND} {usage}: {verb.does}",
        [
            section(f"`{COMMAND} {usage}`\n{verb.does}\nFor example: `{COMMAND} {verb.example}`"),
            *([section(f"Filters, by example:\n{filters}"), context(THREAD_ALONE)] if filters else []),
        ],
    )


# --- subscriptions


def subscribed(wish: str, identifier: str, caution: str, *, changed: bool = False) -> Message:
    """Told to whoever subscribed a channel or changed that; a ``caution`` (mrkdwn) may be empty."""
    said = "The subscription is changed." if changed else "This channel is subscribed."
    return Message(
        f"{said} {text.mrkdwn(wish)}",
        [
            section(f"✅ *{said}*\n{text.code(wish, 2000)}"),
            *([context(caution)] if caution else []),
            *actions(
                button("Send a test alert", "zof_test_alert", {"id": identifier}),
                button("Edit", "zof_edit", {"id": identifier}, aloud="Edit this subscription"),
            ),
        ],
    )


def foreseen(preview: str, caution: str) -> Message:
    """What a new or changed subscription would have posted; both are mrkdwn, and the ``caution`` may be empty."""
    notes = [note for note in (preview, caution) if note]
    return Message(" ".join(notes), [context(note) for note in notes])


def subscribed_already(number: int, wish: str) -> Message:
    """Told to whoever asks for what the channel has already."""
    said = f"This channel has that subscription already: number {number}."
    return Message(said, [section(f"✅ {said}\n{text.code(wish or 'all failures', 2000)}")])


class Listed(NamedTuple):
    """A subscription in the channel's list; ``created`` in Unix seconds."""

    id: str
    wish: str
    by: str
    created: float


def subscriptions(found: Sequence[Listed], start: int = 0, *, note: str = "") -> Message:
    """The channel's subscriptions from ``start`` on, numbered, beneath what just happened to them, if anything."""
    top = [section(note)] if note else []
    if not found:
        said = "This channel is told of no failures."
        example = f"`{COMMAND} subscribe` opens a form. Or type it: `{COMMAND} {VERBS['subscribe'].example}`"
        return Message(f"{note} {said}".strip(), [*top, section(f"{said}\n{example}")])
    start = start if start < len(found) else 0
    shown = found[start : start + PAGE]
    rows = [block for number, one in enumerate(shown, start=start + 1) for block in _row(number, one)]
    said = f"{len(found)} subscription{'s' if len(found) > 1 else ''} in this channel"
    more = pages(Window(start, len(shown), len(found), "subscriptions"), "zof_subscriptions_page", {})
    last = context(f"`{COMMAND} unsubscribe 1` ends the first.")
    return Message(f"{note} {said}".strip(), [*top, header(said), *rows, *more, last])


def _row(number: int, one: Listed) -> list[Block]:
    remove = button("Remove", "zof_remove", {"id": one.id}, aloud=f"Remove subscription {number}")
    sure = {
        "title": plain_text("Remove this subscription?"),
        "text": plain_text("The channel is told of its failures no more."),
        "confirm": plain_text("Remove"),
        "deny": plain_text("Keep"),
    }
    return [
        section(f"*{number}.* {text.code(one.wish, 1500)}\n{text.line(one.by, 80)}, {text.moment(utc(one.created))}"),
        *actions(
            button("Edit", "zof_edit", {"id": one.id}, aloud=f"Edit subscription {number}"),
            remove and remove | {"confirm": sure, "style": "danger"},
        ),
    ]


def unsubscribed(count: int) -> Message:
    """Told to whoever ended subscriptions."""
    said = "The subscription has ended." if count == 1 else f"{count} subscriptions have ended."
    return Message(said, [section(f"✅ {said}")])


def tested() -> Message:
    """Told to whoever asks for a test alert."""
    said = "The test alert is on its way to the channel."
    return Message(said, [section(f"🧪 {said}")])


def retried() -> Message:
    """Told to whoever has a dead letter sent after all."""
    said = "It is sent after all, once it was looked for."
    return Message(said, [section(f"✅ {said}")])


def form_failed(error: SlackError, reference: str) -> Message:
    """Told to whoever should have got a form; what can be typed instead needs none."""
    late = error.reason in ("expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id")
    why = "Slack's three seconds for it were over." if late else text.mrkdwn(error.sentence, 300)
    step = "Try again, or type the filters instead:"
    return Message(
        f"The form did not open. {why} {step}",
        [
            section(f"⚠️ *The form did not open.* {why}\n{step} `{COMMAND} {VERBS['subscribe'].example}`"),
            context(
                f"`{COMMAND} help subscribe` lists all filters. Slack's reason: {text.code(error.reason)}. "
                f"Reference: {text.code(reference)}"
            ),
        ],
    )


# --- sharing


def shared(link: str) -> Message:
    """Told to whoever shared a card."""
    said = "Shared to the channel."
    return Message(said, [section(f"✅ {said}{_linked(link)}")])


def shared_already(name: str, ago: float, link: str) -> Message:
    """Told to whoever shares what stands in the channel already; ``ago`` in seconds, ``name`` as Slack gave it."""
    said = f"{text.line(name, 80) or 'Somebody'} shared this already, {text.duration(max(ago, 1))} ago."
    return Message(f"{said}{_linked(link)}", [section(f"✅ {said}{_linked(link)}")])


def being_shared(name: str) -> Message:
    """Told to whoever clicks while another click is still posting."""
    said = f"{text.line(name, 80) or 'Somebody'} is sharing this right now."
    return Message(said, [section(f"⏳ {said}")])


def _linked(link: str) -> str:
    return f" <{link}|View message>" if link.startswith(("https://", "http://")) else ""
