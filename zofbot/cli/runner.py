"""How every command is carried out: settings read, work run to its end, and what goes wrong said in a sentence."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from zofbot.clock import Clock
from zofbot.config.settings import Settings, find_unknown_names, load_settings
from zofbot.domain.errors import BadInput, SettingsError, ZofbotError, ZofError

if TYPE_CHECKING:  # the store takes longer to import than --help may take
    from zofbot.operator_store import OperatorStore


def exit_with(code: int, *sentences: str) -> NoReturn:
    """Say why, one line each, and end with ``code``."""
    for sentence in sentences:
        typer.echo(f"zofbot: {sentence}", err=True)
    raise typer.Exit(code)


def prepare_settings(*required: str, serves: bool = False) -> Settings:
    """Read the settings, insist on ``required`` ones, and have the log written as they say.

    A command that does not serve logs only what went wrong, unless more is asked for: its answer says the rest.
    """
    from zofbot.observability.log_config import configure_logging  # noqa: PLC0415  (--help must not wait for structlog)

    try:
        settings = load_settings(*required)
    except SettingsError as error:
        exit_with(2, *error.problems)
    asked = serves or "zofbot_log_level" in settings.model_fields_set
    configure_logging(
        settings.zofbot_log_format, settings.zofbot_log_level if asked else "error", settings.all_secrets()
    )
    _warn_unknown_names()
    return settings


def _warn_unknown_names() -> None:
    import structlog  # noqa: PLC0415  (--help must not wait for it)

    for name, nearest in find_unknown_names().items():
        structlog.get_logger().warning("setting unknown", name=name, nearest=nearest or "none")


def run_command(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; what goes wrong is said in a sentence, with exit code 2 when settings are to blame."""
    try:
        asyncio.run(work)
    except SettingsError as error:
        exit_with(2, *error.problems)
    except ZofbotError as error:
        exit_with(
            2 if isinstance(error, BadInput) else 1, f"{error.sentence} {error.next_step}{_request_id_note(error)}"
        )


def _request_id_note(error: ZofbotError) -> str:
    """What Zof's support asks for, or that there is none."""
    if not isinstance(error, ZofError):
        return ""
    return f" (Request ID: {error.request_id})" if error.request_id else " (Zof returned no request id.)"


def run_with_store(settings: Settings, work: Callable[[OperatorStore], Coroutine[Any, Any, None]]) -> None:
    """Carry out what needs the books of these settings."""

    async def open_and_run() -> None:
        from zofbot.operator_store import open_operator_store  # noqa: PLC0415  (--help must not wait for it)

        async with open_operator_store(settings, Clock()) as opened:
            await work(opened)

    run_command(open_and_run())


def system_user() -> str:
    """The operating system's name of whoever runs this; its number where it has none, as in many containers."""
    import pwd  # noqa: PLC0415  (only the audit needs it)

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
