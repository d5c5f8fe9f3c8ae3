"""Endings: what people are told whose request came to nothing, with an id to ask for, and what its trace says of it."""

from __future__ import annotations

import structlog

from zofbot.domain.errors import BadInput, NotAllowed, SlackError, StoreUnavailable, ZofbotError, ZofError
from zofbot.observability import tracing
from zofbot.slack.views import replies, subscription_modal
from zofbot.slack.views.blocks import Message

log = structlog.get_logger()


def error_reply(error: ZofbotError) -> Message:
    """What went wrong, and Zof's request id, or where that leads nowhere a reference of ours."""
    return replies.error_reply(error, trace_error(error))


def unexpected_error_reply(error: Exception) -> Message:
    """That something went wrong which nobody foresaw, and its reference."""
    return replies.unexpected_error_reply(log_unexpected(error))


def field_error(error: ZofbotError) -> str:
    """An error as it stands beneath a field of a form; what was filled in wrong needs no reference."""
    reference = trace_error(error)
    return subscription_modal.field_error_text(error, reference="" if isinstance(error, BadInput) else reference)


def trace_error(error: ZofbotError) -> str:
    """Have the trace say how it ended; gives the reference to show, empty where Zof's request id says it all."""
    asked = error.request_id if isinstance(error, ZofError) else None
    reference = "" if asked and tracing.is_findable(asked) else tracing.current_reference()
    tracing.record_step(
        "answer",
        type(error).__name__,
        _error_summary(error),
        bad=not isinstance(error, BadInput),
        id=reference or asked,
    )
    if not isinstance(error, BadInput):
        more = {"reference": reference} if reference else {}
        log.info("asked in vain", error=type(error).__name__, sentence=error.sentence, **more)
    return reference


def log_unexpected(error: Exception) -> str:
    """Log an error nobody foresaw with its traceback, and give the reference that stands beside it."""
    reference = tracing.current_reference()
    tracing.record_error(error)
    log.error("unforeseen error", reference=reference, exc_info=error)
    return reference


def _error_summary(error: ZofbotError) -> str:
    """The same in words that are certainly ours: sentences may quote what was typed, or Zof."""
    match error:
        case ZofError():
            return f"Zof: {error.kind}, {f'HTTP {error.status}' if error.status else 'no reply'}"
        case SlackError():
            return f"Slack: {tracing.safe_word(error.reason)}"
        case StoreUnavailable():
            return error.sentence
        case NotAllowed():
            return "the person may not do this"
        case BadInput():
            return "what was typed or chosen cannot be used" + (f", in {error.verb}" if error.verb else "")
        case _:
            return ""
