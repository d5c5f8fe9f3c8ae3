"""The operator's verbs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from zofbot import __version__
from zofbot.errors import BadInput, SettingsError, ZofbotError, ZofError
from zofbot.settings import Settings, load

if TYPE_CHECKING:  # the store takes longer to import than --help may take
    from zofbot.app import Books
    from zofbot.store import audit as acts
    from zofbot.store.entry import Entry

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


async def _serve(settings: Settings, *, doors: bool = True, works: bool = True) -> None:
    from zofbot.app import running  # noqa: PLC0415  (Bolt takes longer to import than --help may take)

    async with running(settings, doors=doors, works=works):
        await until_told()


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes any that is free.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Try everything on this machine: a pretend Slack and Zof with the real bot, no account needed."""
    from zofbot.logs import configure  # noqa: PLC0415  (--help must not wait for structlog)

    configure("auto", "error")  # that it polls more often than Zof advises is meant here
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
    """Run what Slack and Zof talk to: commands, buttons, webhooks; any number of these share one Redis."""
    _run(_serve(_settings(*SLACK_AND_ZOF), works=False))


@app.command()
def worker() -> None:
    """Run what works by itself: the poller and the dispatcher; any number of these share one Redis."""
    _run(_serve(_settings("SLACK_BOT_TOKEN", "ZOF_API_KEY"), doors=False))


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


outbox = typer.Typer(help="What waits for Slack, what was given up, and what was sent.", no_args_is_help=True)
app.add_typer(outbox, name="outbox")
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The notification's idempotency key.")]


def _books(work: Callable[[Books], Coroutine[Any, Any, None]]) -> None:
    settings = _settings()

    async def open_and_work() -> None:
        from zofbot.app import books_of  # noqa: PLC0415  (--help must not wait for it)

        async with books_of(settings) as opened:
            await work(opened)

    _run(open_and_work())


@outbox.command("list")
def outbox_list(
    state: Annotated[
        str, typer.Option(help="pending, sending, sent, dead or dropped; without it, all not settled.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List notifications: waiting ones and dead letters, or those of one state."""
    from zofbot.notification import State  # noqa: PLC0415  (--help must not wait for pydantic)

    if state and state not in list(State):
        _give_up(2, f"--state {state} is none of {', '.join(State)}.")
    states = [State(state)] if state else [State.PENDING, State.SENDING, State.DEAD]

    async def work(books: Books) -> None:
        entries = [entry for one in states for entry in await books.outbox.list(one, limit)]
        _print_entries(entries[:limit], as_json)

    _books(work)


@outbox.command("show")
def outbox_show(key: Key) -> None:
    """Show all that is known of one notification, as JSON."""

    async def work(books: Books) -> None:
        entry = await books.outbox.show(key)
        if entry is None:
            raise ZofbotError(f"There is no notification {key}.", "`zofbot outbox list` shows those there are.")
        sys.stdout.write(json.dumps(asdict(entry), indent=2, default=str) + "\n")

    _books(work)


@outbox.command("retry")
def outbox_retry(key: Key) -> None:
    """Send a dead or dropped notification after all, or a waiting one now."""

    async def work(books: Books) -> None:
        before = await books.outbox.show(key)
        if not await books.outbox.retry(key):
            raise ZofbotError(f"Nothing to retry under {key}.", "It was sent, is being sent, or never was.")
        await _note(books, "outbox retry", key, before, "pending")
        typer.echo(f"{key} will be sent.")

    _books(work)


@outbox.command("drop")
def outbox_drop(key: Key) -> None:
    """Take back a notification that waits or is dead."""

    async def work(books: Books) -> None:
        before = await books.outbox.show(key)
        if not await books.outbox.drop(key):
            raise ZofbotError(f"Nothing to drop under {key}.", "It was sent, is being sent, or never was.")
        await _note(books, "outbox drop", key, before, "dropped")
        typer.echo(f"{key} is dropped.")

    _books(work)


async def _note(books: Books, act: str, key: str, before: Entry | None, after: str) -> None:
    """Write an operator's act into the audit, under the name they have on this system."""
    from zofbot.model import utcnow  # noqa: PLC0415  (--help must not wait for pydantic)
    from zofbot.store import audit as acts  # noqa: PLC0415

    user = _system_user()
    channel, state = (before.channel, before.state.value) if before else ("", "")
    await books.audit.append(
        acts.Entry(
            at=utcnow().timestamp(), act=act, user=user, name=user, channel=channel, key=key, before=state, after=after
        )
    )


def _system_user() -> str:
    """The operating system's name of whoever runs this; its number where it has none, as in many containers."""
    import pwd  # noqa: PLC0415  (only the audit needs these)

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _print_entries(entries: list[Entry], as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  (only drawn tables need these)

    from zofbot.model import utcnow  # noqa: PLC0415
    from zofbot.terminal import outbox_table  # noqa: PLC0415

    if as_json:
        sys.stdout.write(json.dumps([asdict(entry) for entry in entries], indent=2, default=str) + "\n")
    elif entries:
        Console().print(outbox_table(entries, utcnow().timestamp()))
    else:
        typer.echo("Nothing waits and nothing was given up.")


@app.command()
def audit(
    since: Annotated[str, typer.Option(help="How far back, such as 90m, 12h or 7d.")] = "7d",
    user: Annotated[str, typer.Option(help="Only this person's acts, by id.")] = "",
    act: Annotated[str, typer.Option(help="Only acts of this name, such as acknowledge.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, as off a terminal.")] = False,
) -> None:
    """Who did what, oldest first."""
    from zofbot.model import utcnow  # noqa: PLC0415  (--help must not wait for pydantic)
    from zofbot.spans import read  # noqa: PLC0415

    span = read(since)
    if span is None:
        _give_up(2, f"--since {since} is no span of time: write 90m, 12h or 7d.")

    async def work(books: Books) -> None:
        found = await books.audit.read(utcnow().timestamp() - span)
        chosen = [one for one in found if user in ("", one.user) and act in ("", one.act)]
        _print_acts(chosen, as_json or not sys.stdout.isatty())

    _books(work)


def _print_acts(entries: list[acts.Entry], as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  (only drawn tables need these)

    from zofbot.terminal import audit_table  # noqa: PLC0415

    if as_json:
        sys.stdout.writelines(entry.model_dump_json() + "\n" for entry in entries)
    elif entries:
        Console().print(audit_table(entries))
    else:
        typer.echo("Nobody did anything in that time.")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        sys.stdout.write(f"zofbot {__version__}\n")
        raise typer.Exit
