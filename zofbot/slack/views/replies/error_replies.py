"""Private replies about errors, each with its request id or reference."""

from __future__ import annotations

from zofbot.domain.errors import (
    BadInput,
    NotAllowed,
    PersonalQuotaExceeded,
    ZofbotError,
    ZofError,
    ZofUnavailable,
)
from zofbot.notifications import text
from zofbot.slack.views.blocks import (
    Message,
    context_block,
    section_block,
)


def error_reply(error: ZofbotError, reference: str = "") -> Message:
    """Render an error: what happened, what to do next, Zof's request id, and zofbot's ``reference``, if any."""
    if isinstance(error, NotAllowed):  # its sentence is mrkdwn
        last = request_id_line(error, reference)
        return Message(f"{error.sentence} {last}", [section_block(f"🔒 {error.sentence}"), context_block(last)])
    hint = text.escape_mrkdwn(error.next_step, 600)
    if isinstance(error, BadInput) and error.example:
        hint += f"\nFor example: {text.inline_code(error.example)}"
    sentence = f"{_error_emoji(error)} *{text.escape_mrkdwn(error.sentence, 900)}*"
    spoken = " ".join(
        part for part in (text.escape_mrkdwn(error.sentence, 900), hint, request_id_line(error, reference)) if part
    )
    return Message(
        spoken.replace("\n", " "),
        [section_block(f"{sentence}\n{hint}".strip()), context_block(request_id_line(error, reference, code=True))],
    )


def _error_emoji(error: ZofbotError) -> str:
    return "💡" if isinstance(error, BadInput) else "⏳" if isinstance(error, ZofUnavailable) else "⚠️"


def request_id_line(error: ZofbotError, reference: str = "", *, code: bool = False) -> str:
    """Return the ids for Zof's support, and for an admin's ``/zof trace``."""

    def format_id(name: str) -> str:
        return text.inline_code(name) if code else text.escape_mrkdwn(name, 200)

    parts = ["Zof returned no request id for this."]
    if isinstance(error, BadInput | NotAllowed | PersonalQuotaExceeded):
        parts = ["Zof was not asked, so there is no request id."]
    elif isinstance(error, ZofError):
        parts = [f"Request ID: {format_id(error.request_id)}" if error.request_id else "Zof returned no request id."]
    return " ".join([*parts, *([f"Reference: {format_id(reference)}"] if reference else [])])


def unexpected_error_reply(reference: str) -> Message:
    """Render an unexpected error; the log has ``reference`` with the traceback."""
    sentence = "Something went wrong inside zofbot."
    step = "Try again; if it stays, give an operator this reference."
    return Message(
        f"{sentence} {step} Reference: {reference}",
        [section_block(f"⚠️ *{sentence}*\n{step}"), context_block(f"Reference: {text.inline_code(reference)}")],
    )
