"""Notifications on the terminal: listed, shown, sent after all, taken back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.conduct import give_up, settings_with, system_user, with_books
from zofbot.cli.printing import print_json
from zofbot.clock import Clock
from zofbot.errors import ZofbotError

if TYPE_CHECKING:  # the store takes longer to import than --help may take
    from zofbot.books import Books
    from zofbot.store.entry import Entry

app = typer.Typer(help="What waits for Slack, what was given up, and what was sent.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The notification's idempotency key.")]


@app.command("list")
def listed(
    state: Annotated[
        str, typer.Option(help="pending, sending, sent, dead or dropped; without it, all not settled.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List notifications: waiting ones and dead letters, or those of one state."""
    from zofbot.notification import State  # noqa: PLC0415  (--help must not wait for pydantic)

    if state and state not in list(State):
        give_up(2, f"--state {state} is none of {', '.join(State)}.")
    states = [State(state)] if state else [State.PENDING, State.SENDING, State.DEAD]

    async def work(books: Books) -> None:
        entries = [entry for one in states for entry in await books.outbox.list(one, limit)]
        _print(entries[:limit], as_json, state)

    with_books(settings_with(), work)


def _print(entries: list[Entry], as_json: bool, state: str) -> None:
    from rich.console import Console  # noqa: PLC0415  (only drawn tables need these)

    from zofbot.terminal import outbox_table  # noqa: PLC0415

    now = Clock().time()
    if as_json:
        print_json(
            [asdict(entry) | {"age": max(now - entry.committed, 0) if entry.committed else None} for entry in entries]
        )
    elif entries:
        Console().print(outbox_table(entries, now))
    else:
        typer.echo(f"No notification is {state}." if state else "Nothing waits and nothing was given up.")


@app.command()
def show(
    key: Key, as_json: Annotated[bool, typer.Option("--json", help="As JSON, which it is in any case.")] = True
) -> None:
    """Show all that is known of one notification, as JSON."""

    async def work(books: Books) -> None:
        entry = await books.outbox.show(key)
        if entry is None:
            raise ZofbotError(f"There is no notification {key}.", "`zofbot outbox list` shows those there are.")
        print_json(asdict(entry))

    with_books(settings_with(), work)


@app.command()
def retry(key: Key, as_json: AsJson = False) -> None:
    """Send a dead or dropped notification after all, or a waiting one now."""

    async def work(books: Books) -> None:
        before = await books.outbox.show(key)
        if not await books.outbox.retry(key):
            raise ZofbotError(f"Nothing to retry under {key}.", "It was sent, is being sent, or never was.")
        await _note(books, "outbox retry", key, before, "pending")
        _done(key, "pending", f"Retrying {key}. zofbot first checks whether it was already posted.", as_json)

    with_books(settings_with(), work)


@app.command()
def drop(key: Key, as_json: AsJson = False) -> None:
    """Take back a notification that waits or is dead."""

    async def work(books: Books) -> None:
        before = await books.outbox.show(key)
        if not await books.outbox.drop(key):
            raise ZofbotError(f"Nothing to drop under {key}.", "It was sent, is being sent, or never was.")
        await _note(books, "outbox drop", key, before, "dropped")
        _done(key, "dropped", f"{key} is dropped.", as_json)

    with_books(settings_with(), work)


def _done(key: str, state: str, sentence: str, as_json: bool) -> None:
    if as_json:
        print_json({"key": key, "state": state})
    else:
        typer.echo(sentence)


async def _note(books: Books, act: str, key: str, before: Entry | None, after: str) -> None:
    """Write an operator's act into the audit, under the name they have on this system."""
    from zofbot.store import audit as acts  # noqa: PLC0415

    user = system_user()
    channel, state = (before.channel, before.state.value) if before else ("", "")
    await books.audit.append(
        acts.Entry(
            at=Clock().time(), act=act, user=user, name=user, channel=channel, key=key, before=state, after=after
        )
    )
