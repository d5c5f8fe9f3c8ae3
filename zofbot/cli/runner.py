"""Shared by all commands: read the settings, run the work, and print errors as sentences."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import typer

from zofbot.clock import Clock
from zofbot.config.secret_folders import describe_skipped_folder
from zofbot.config.settings import Settings, find_unknown_names, load_settings
from zofbot.domain.errors import BadInput, SettingsError, ZofbotError, ZofError

if TYPE_CHECKING:  # importing the store would slow down --help
    from zofbot.cli.stored_data import StoredData

T = TypeVar("T")

PUBLIC_URL_RULE = "--url must be a public https URL such as https://zofbot.example.com, without user name or query."


def exit_with(code: int, *sentences: str) -> NoReturn:
    """Print each sentence to standard error and exit with ``code``."""
    for sentence in sentences:
        typer.echo(f"zofbot: {sentence}", err=True)
    raise typer.Exit(code)


def prepare_settings(*required: str, serves: bool = False) -> Settings:
    """Load the settings, check ``required`` ones, and configure logging.

    A command that does not serve logs only errors, unless a log level is set.
    """
    from zofbot.observability.log_config import configure_logging  # noqa: PLC0415  (--help must not wait for structlog)

    try:
        settings = load_settings(*required)
    except SettingsError as error:
        exit_with(2, *error.problems)
    use_log_level = serves or "zofbot_log_level" in settings.model_fields_set
    configure_logging(
        settings.zofbot_log_format, settings.zofbot_log_level if use_log_level else "error", settings.all_secrets()
    )
    _log_warnings()
    return settings


def _log_warnings() -> None:
    """Log what has no effect: a secret folder that cannot be read, and unknown names."""
    import structlog  # noqa: PLC0415  (--help must not wait for it)

    if skipped := describe_skipped_folder():
        structlog.get_logger().warning("secret folder skipped", reason=skipped)
    for name, nearest in find_unknown_names().items():
        structlog.get_logger().warning("setting unknown", name=name, nearest=nearest or "none")


def check_public_url(url: str) -> None:
    """Exit with 2 unless Slack and Zof can call ``url``."""
    if not is_public_url(url):
        exit_with(2, PUBLIC_URL_RULE)


def is_public_url(url: str) -> bool:
    """Return whether Slack and Zof can call ``url``: https, without user name, query or fragment."""
    try:
        parts = urlsplit(url)
        has_address = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return has_address and "@" not in url and not parts.query and not parts.fragment


def run_command(work: Coroutine[Any, Any, T], make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """Run the work and return its result; print errors as sentences.

    Exits with 2 for bad settings or input, with 1 for other errors. ``make_loop`` makes the event loop, by default
    asyncio's own.
    """
    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(work)
    except SettingsError as error:
        exit_with(2, *error.problems)
    except ZofbotError as error:
        exit_with(
            2 if isinstance(error, BadInput) else 1, f"{error.sentence} {error.next_step}{_request_id_note(error)}"
        )


def _request_id_note(error: ZofbotError) -> str:
    """Return the request id that Zof's support asks for, or say that there is none."""
    if not isinstance(error, ZofError):
        return ""
    return f" (Request ID: {error.request_id})" if error.request_id else " (Zof returned no request ID.)"


def run_with_store(
    settings: Settings, work: Callable[[StoredData], Coroutine[Any, Any, None]], *, may_create: bool = False
) -> None:
    """Run ``work`` with the store of these settings, which must exist unless ``may_create``."""

    async def open_and_run() -> None:
        from zofbot.cli.stored_data import open_stored_data  # noqa: PLC0415  (--help must not wait for it)

        async with open_stored_data(settings, Clock(), may_create=may_create) as store:
            await work(store)

    run_command(open_and_run())


def system_user() -> str:
    """Return the operating system's user name; ``uid N`` if there is none, as in many containers."""
    import pwd  # noqa: PLC0415  (only the audit needs it)

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
