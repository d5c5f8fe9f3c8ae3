"""The operator's verbs."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, NoReturn

import typer

from zofbot import __version__
from zofbot.errors import BadInput, SettingsError, ZofbotError, ZofError
from zofbot.settings import Settings, load

app = typer.Typer(
    help="Zof's runs and results in Slack.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SLACK_AND_ZOF = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "ZOF_API_KEY")


def _give_up(code: int, *sentences: str) -> NoReturn:
    for sentence in sentences:
        typer.echo(f"zofbot: {sentence}", err=True)
    raise typer.Exit(code)


def _settings(*required: str) -> Settings:
    from zofbot.logs import configure  # noqa: PLC0415  (--help must not wait for structlog)

    try:
        settings = load(*required)
    except SettingsError as error:
        _give_up(2, *error.problems)
    configure(settings.zofbot_log_format, settings.zofbot_log_level, settings.secrets())
    return settings


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; what goes wrong is said in a sentence, with exit code 2 when settings are to blame."""
    try:
        asyncio.run(work)
    except SettingsError as error:
        _give_up(2, *error.problems)
    except ZofbotError as error:
        request = f" (Request ID: {error.request_id})" if isinstance(error, ZofError) and error.request_id else ""
        _give_up(2 if isinstance(error, BadInput) else 1, f"{error.sentence} {error.next_step}{request}")


async def until_told(ready: Callable[[], None] = lambda: None) -> None:
    """Wait for SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    ready()
    await stop.wait()


async def _serve(settings: Settings) -> None:
    from zofbot.app import running  # noqa: PLC0415  (Bolt takes longer to import than --help may take)

    async with running(settings):
        await until_told()


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes any that is free.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Try everything on this machine: a pretend Slack and Zof with the real bot, no account needed."""
    from zofbot.logs import configure  # noqa: PLC0415  (--help must not wait for structlog)

    configure("auto", "warning")
    _run(_demo(port, browser))


async def _demo(port: int, browser: bool) -> None:
    from zofbot.demo import playing  # noqa: PLC0415  (Bolt takes longer to import than --help may take)

    async with playing(port) as stage:

        def ready() -> None:
            typer.echo(f"The demo is at {stage.url}  (Ctrl-C ends it and leaves nothing behind)")
            typer.echo("Type there: /zof result res_4821")
            if browser:
                typer.launch(stage.url)

        await until_told(ready)


@app.command()
def run() -> None:
    """Run the whole bot in one process."""
    _run(_serve(_settings(*SLACK_AND_ZOF)))


@app.command()
def web() -> None:
    """Run what Slack talks to: commands and buttons; any number of these share one Redis."""
    _run(_serve(_settings(*SLACK_AND_ZOF)))


@app.command()
def result(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The result's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, the fields as zofbot reads them.")] = False,
) -> None:
    """Look one result up and print its card: tries a new key before Slack is set up."""
    _run(_print_result(_settings("ZOF_API_KEY"), identifier, as_json))


async def _print_result(settings: Settings, identifier: str, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  (only drawn cards need these)

    from zofbot.app import links, zof_client  # noqa: PLC0415
    from zofbot.metrics import Metrics  # noqa: PLC0415
    from zofbot.terminal import result_panel  # noqa: PLC0415

    client = zof_client(settings, Metrics())
    try:
        found = await client.result(identifier)
    finally:
        await client.aclose()
    if as_json:
        sys.stdout.write(found.model_dump_json(indent=2, exclude_none=True) + "\n")
    else:
        Console().print(result_panel(found, links(settings)))


@app.command()
def manifest(
    url: Annotated[str, typer.Option(help="Public address of the web door; without it, Socket Mode.")] = "",
) -> None:
    """Print the Slack app manifest of this version."""
    from zofbot.manifest import as_yaml  # noqa: PLC0415  (only this command needs it)

    if url and not url.startswith("https://"):
        _give_up(2, "--url must start with https://, because Slack calls nothing else.")
    sys.stdout.write(as_yaml(url))


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        sys.stdout.write(f"zofbot {__version__}\n")
        raise typer.Exit
