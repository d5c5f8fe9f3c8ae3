"""Error replies with a reference id, and the matching log lines and trace steps."""

from __future__ import annotations

import structlog

from zofbot.domain.errors import BadInput, NotAllowed, SlackError, StoreUnavailable, ZofbotError, ZofError
from zofbot.observability import trace_recorder
from zofbot.slack.views.blocks import Message
from zofbot.slack.views.replies import error_replies
from zofbot.slack.views.subscription_form import form_parser

log = structlog.get_logger()


def error_reply(error: ZofbotError) -> Message:
    """Return the reply for an error, with Zof's request id or a reference id; traces the error."""
    return error_replies.error_reply(error, trace_error(error))


def unexpected_error_reply(error: Exception) -> Message:
    """Return the reply for an unexpected error, with its reference id; logs the error."""
    return error_replies.unexpected_error_reply(log_unexpected(error))


def field_error(error: ZofbotError) -> str:
    """Return the text of an error below a form field; wrong input gets no reference id."""
    reference = trace_error(error)
    return form_parser.field_error_text(error, reference="" if isinstance(error, BadInput) else reference)


def trace_error(error: ZofbotError) -> str:
    """Record an error in the trace; returns the reference id to show, empty if Zof's request id finds the trace."""
    request_id = error.request_id if isinstance(error, ZofError) else None
    reference = "" if request_id and trace_recorder.is_findable(request_id) else trace_recorder.current_reference()
    trace_recorder.record_step(
        "answer",
        type(error).__name__,
        _error_summary(error),
        bad=not isinstance(error, BadInput),
        id=reference or request_id,
    )
    if not isinstance(error, BadInput):
        more = {"reference": reference} if reference else {}
        log.info("request failed", error=type(error).__name__, sentence=error.sentence, **more)
    return reference


def log_unexpected(error: Exception) -> str:
    """Log an unexpected error with its traceback, and return its reference id."""
    reference = trace_recorder.current_reference()
    trace_recorder.record_error(error)
    log.error("unexpected error", reference=reference, exc_info=error)
    return reference


def _error_summary(error: ZofbotError) -> str:
    """Summarize an error without quoting user input or Zof, which its sentence may do."""
    match error:
        case ZofError():
            return f"Zof: {error.kind}, {f'HTTP {error.status}' if error.status else 'no reply'}"
        case SlackError():
            return f"Slack: {trace_recorder.safe_word(error.reason)}"
        case StoreUnavailable():
            return error.sentence
        case NotAllowed():
            return "the person may not do this"
        case BadInput():
            return "what was typed or chosen cannot be used" + (f", in {error.verb}" if error.verb else "")
        case _:
            return ""
