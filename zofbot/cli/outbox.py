"""``zofbot outbox``: list, show, retry and drop notifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.channel_names import read_channel_names
from zofbot.cli.command import ArgumentCommand
from zofbot.cli.printing import print_json
from zofbot.cli.runner import exit_with, prepare_settings, run_with_store, system_user
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import ZofbotError

if TYPE_CHECKING:  # importing the store would slow down --help
    from zofbot.cli.stored_data import StoredData
    from zofbot.notifications.notification import NotificationState
    from zofbot.store.records import OutboxRecord

app = typer.Typer(help="List, inspect, retry or drop messages to Slack.", no_args_is_help=True)

MAX_LISTED = 1000
"""Largest limit, and the number of sent and of dropped messages that the outbox keeps."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Key of the message, from `zofbot outbox list`.")]


def complete_state(typed: str) -> list[str]:
    """Return the states that begin with what was typed, for the shell's completion."""
    from zofbot.notifications.notification import NotificationState  # noqa: PLC0415  (--help must not wait for pydantic)

    return [state for state in NotificationState if state.startswith(typed)]


@app.command("list")
def list_notifications(
    state: Annotated[
        str,
        typer.Option(
            metavar="STATE",
            help="pending, sending, sent, dead or dropped. Default: dead, sending and pending.",
            autocompletion=complete_state,
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, metavar="N", help="At most this many.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List queued and failed messages, or those in one state."""
    from zofbot.notifications.notification import NotificationState  # noqa: PLC0415  (--help must not wait for pydantic)

    if state and state not in list(NotificationState):
        exit_with(2, f"--state {state} does not exist. Use {', '.join(NotificationState)}.")
    dead_first = [NotificationState.DEAD, NotificationState.SENDING, NotificationState.PENDING]
    states = [NotificationState(state)] if state else dead_first

    async def print_list(store: StoredData) -> None:
        entries = [entry for state in states for entry in await store.outbox.list_records(state, limit)][:limit]
        await _print_records(settings, entries, as_json, state)
        omitted = await _count_messages(store, states) - len(entries)
        if omitted > 0:
            words = "1 more is" if omitted == 1 else f"{omitted} more are"
            typer.echo(f"zofbot: {words} not listed. Use --limit (at most {MAX_LISTED}) or --state.", err=True)

    settings = prepare_settings()
    run_with_store(settings, print_list)


async def _count_messages(store: StoredData, states: Sequence[NotificationState]) -> int:
    """Count the messages in these states; sent and dropped ones only as far as they can be listed."""
    stats = asdict(await store.outbox.read_stats())
    return sum(
        [
            stats[state] if state in stats else len(await store.outbox.list_records(state, MAX_LISTED))
            for state in states
        ]
    )


async def _print_records(settings: Settings, entries: list[OutboxRecord], as_json: bool, state: str) -> None:
    from rich.console import Console  # noqa: PLC0415  (only tables need these)

    from zofbot.cli.render import outbox_table  # noqa: PLC0415

    now = Clock().time()
    if as_json:
        print_json(
            [asdict(entry) | {"age": max(now - entry.committed, 0) if entry.committed else None} for entry in entries]
        )
    elif entries:
        names = await read_channel_names(settings, [entry.channel for entry in entries])
        Console().print(outbox_table(entries, now, names))
    else:
        typer.echo(f"No {state} messages." if state else "No queued or failed messages.")


@app.command(cls=ArgumentCommand)
def show(
    key: KeyArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="Accepted, as the other commands have it; the output is always JSON.")
    ] = True,
) -> None:
    """Show everything about one message, as JSON."""

    async def print_record(store: StoredData) -> None:
        entry = await store.outbox.get_record(key)
        if entry is None:
            raise ZofbotError(f"There is no message {key}.", "`zofbot outbox list` shows the existing ones.")
        print_json(asdict(entry))

    run_with_store(prepare_settings(), print_record)


@app.command(cls=ArgumentCommand)
def retry(key: KeyArgument, as_json: JsonOption = False) -> None:
    """Send a dead or dropped message again, or a pending one now."""

    async def retry_record(store: StoredData) -> None:
        before = await store.outbox.get_record(key)
        if not await store.outbox.retry(key):
            raise ZofbotError(f"Cannot retry {key}.", "It was sent, is being sent, or does not exist.")
        await _append_audit(store, "outbox retry", key, before, "pending")
        _print_outcome(key, "pending", f"Retrying {key}. zofbot first checks whether it was already posted.", as_json)

    run_with_store(prepare_settings(), retry_record)


@app.command(cls=ArgumentCommand)
def drop(key: KeyArgument, as_json: JsonOption = False) -> None:
    """Drop a pending or dead message."""

    async def drop_record(store: StoredData) -> None:
        before = await store.outbox.get_record(key)
        if not await store.outbox.drop(key):
            raise ZofbotError(f"Cannot drop {key}.", "It was sent, is being sent, or does not exist.")
        await _append_audit(store, "outbox drop", key, before, "dropped")
        _print_outcome(key, "dropped", f"Dropped {key}.", as_json)

    run_with_store(prepare_settings(), drop_record)


def _print_outcome(key: str, state: str, sentence: str, as_json: bool) -> None:
    if as_json:
        print_json({"key": key, "state": state})
    else:
        typer.echo(sentence)


async def _append_audit(store: StoredData, act: str, key: str, before: OutboxRecord | None, after: str) -> None:
    """Append an operator's action to the audit log, under the system's user name."""
    from zofbot.store.audit import AuditRecord  # noqa: PLC0415  (--help must not wait for it)

    user = system_user()
    channel, state = (before.channel, before.state.value) if before else ("", "")
    await store.audit.append(
        AuditRecord(
            at=Clock().time(), act=act, user=user, name=user, channel=channel, key=key, before=state, after=after
        )
    )
