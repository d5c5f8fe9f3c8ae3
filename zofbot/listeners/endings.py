"""Endings: what people are told whose request came to nothing, with an id to ask for, and what its trace says of it."""

from __future__ import annotations

import structlog

from zofbot import tracing
from zofbot.errors import BadInput, NotAllowed, SlackError, StoreUnavailable, ZofbotError, ZofError
from zofbot.slack import answers, modals
from zofbot.slack.message import Message

log = structlog.get_logger()


def failed(error: ZofbotError) -> Message:
    """What went wrong, and Zof's request id, or where that leads nowhere a reference of ours."""
    return answers.failed(error, noted(error))


def broken(error: Exception) -> Message:
    """That something went wrong which nobody foresaw, and its reference."""
    return answers.broken(unforeseen(error))


def beneath(error: ZofbotError) -> str:
    """An error as it stands beneath a field of a form; what was filled in wrong needs no reference."""
    reference = noted(error)
    return modals.complaint(error, reference="" if isinstance(error, BadInput) else reference)


def noted(error: ZofbotError) -> str:
    """Have the trace say how it ended; gives the reference to show, empty where Zof's request id says it all."""
    asked = error.request_id if isinstance(error, ZofError) else None
    reference = "" if asked and tracing.findable(asked) else tracing.reference()
    tracing.step(
        "answer", type(error).__name__, _why(error), bad=not isinstance(error, BadInput), id=reference or asked
    )
    if not isinstance(error, BadInput):
        more = {"reference": reference} if reference else {}
        log.info("asked in vain", error=type(error).__name__, sentence=error.sentence, **more)
    return reference


def unforeseen(error: Exception) -> str:
    """Log an error nobody foresaw with its traceback, and give the reference that stands beside it."""
    reference = tracing.reference()
    tracing.fault(error)
    log.error("unforeseen error", reference=reference, exc_info=error)
    return reference


def _why(error: ZofbotError) -> str:
    """The same in words that are certainly ours: sentences may quote what was typed, or Zof."""
    match error:
        case ZofError():
            return f"Zof: {error.kind}, {f'HTTP {error.status}' if error.status else 'no reply'}"
        case SlackError():
            return f"Slack: {tracing.word(error.reason)}"
        case StoreUnavailable():
            return error.sentence
        case NotAllowed():
            return "the person may not do this"
        case BadInput():
            return "what was typed or chosen cannot be used" + (f", in {error.verb}" if error.verb else "")
        case _:
            return ""
