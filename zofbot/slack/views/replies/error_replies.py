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
    Block,
    Message,
    context_block,
    section_block,
)


def error_reply(error: ZofbotError, reference: str = "") -> Message:
    """Render an error: what happened, what to do next, Zof's request id, and zofbot's ``reference``, if any.

    Wrong input gets neither id, because nothing was asked of Zof.
    """
    if isinstance(error, BadInput):
        return _input_error_reply(error)
    if isinstance(error, NotAllowed):  # its sentence is mrkdwn
        return Message(
            f"{error.sentence} {request_id_line(error, reference)}".strip(),
            [section_block(f"🔒 {error.sentence}"), *_request_id_block(error, reference)],
        )
    hint = text.escape_mrkdwn(error.next_step, 600)
    sentence = f"{_error_emoji(error)} *{text.escape_mrkdwn(error.sentence, 900)}*"
    spoken = " ".join(
        part for part in (text.escape_mrkdwn(error.sentence, 900), hint, request_id_line(error, reference)) if part
    )
    return Message(
        spoken.replace("\n", " "),
        [section_block(f"{sentence}\n{hint}".strip()), *_request_id_block(error, reference)],
    )


def _request_id_block(error: ZofbotError, reference: str) -> list[Block]:
    line = request_id_line(error, reference, code=True)
    return [context_block(line)] if line else []


def _input_error_reply(error: BadInput) -> Message:
    """Render what is wrong with the input in one line, with an example in a second one unless that is in the first."""
    line = text.escape_mrkdwn(f"{error.sentence} {error.next_step}".strip(), 1500)
    if error.example and f"`{error.example}`" not in error.next_step:
        line += f"\nFor example: {text.inline_code(error.example)}"
    return Message(line.replace("\n", " "), [section_block(f"💡 {line}")])


def _error_emoji(error: ZofbotError) -> str:
    return "⏳" if isinstance(error, ZofUnavailable) else "⚠️"


def request_id_line(error: ZofbotError, reference: str = "", *, code: bool = False) -> str:
    """Return the ids for Zof's support, and for an admin's ``/zof trace``."""

    def format_id(name: str) -> str:
        return text.inline_code(name) if code else text.escape_mrkdwn(name, 200)

    parts = ["Zof returned no request id."]
    if isinstance(error, BadInput | NotAllowed | PersonalQuotaExceeded):
        parts = []
    elif isinstance(error, ZofError):
        parts = [f"Request ID: {format_id(error.request_id)}" if error.request_id else "Zof returned no request id."]
    return " ".join([*parts, *([f"Reference: {format_id(reference)}"] if reference else [])])


def unread_failures_text(error: ZofError, reference: str = "") -> str:
    """Say why a run is shown without its failures, and what to do next (mrkdwn)."""
    said = (text.escape_mrkdwn(part, 600) for part in (error.sentence, error.next_step) if part)
    return " ".join(["Its failures couldn't be read:", *said, request_id_line(error, reference, code=True)]).strip()


def unexpected_error_reply(reference: str) -> Message:
    """Render an unexpected error; the log has ``reference`` with the traceback."""
    sentence = "Something went wrong in zofbot."
    step = "Try again. If it persists, give an operator this reference."
    return Message(
        f"{sentence} {step} Reference: {reference}",
        [section_block(f"⚠️ *{sentence}*\n{step}"), context_block(f"Reference: {text.inline_code(reference)}")],
    )
