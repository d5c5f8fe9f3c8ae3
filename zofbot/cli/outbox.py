"""``zofbot outbox``: list, show, retry and drop notifications."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.printing import print_json
from zofbot.cli.runner import exit_with, prepare_settings, run_with_store, system_user
from zofbot.clock import Clock
from zofbot.domain.errors import ZofbotError

if TYPE_CHECKING:  # importing the store would slow down --help
    from zofbot.cli.stored_data import StoredData
    from zofbot.store.records import OutboxRecord

app = typer.Typer(help="What waits for Slack, what was given up, and what was sent.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The notification's idempotency key.")]


@app.command("list")
def list_notifications(
    state: Annotated[
        str, typer.Option(help="pending, sending, sent, dead or dropped; without it, all not settled.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: JsonOption = False,
) -> None:
    """List notifications: waiting ones and dead letters, or those of one state."""
    from zofbot.notifications.notification import NotificationState  # noqa: PLC0415  (--help must not wait for pydantic)

    if state and state not in list(NotificationState):
        exit_with(2, f"--state {state} is none of {', '.join(NotificationState)}.")
    states = (
        [NotificationState(state)]
        if state
        else [NotificationState.PENDING, NotificationState.SENDING, NotificationState.DEAD]
    )

    async def print_list(store: StoredData) -> None:
        entries = [entry for state in states for entry in await store.outbox.list_records(state, limit)]
        _print_records(entries[:limit], as_json, state)

    run_with_store(prepare_settings(), print_list)


def _print_records(entries: list[OutboxRecord], as_json: bool, state: str) -> None:
    from rich.console import Console  # noqa: PLC0415  (only tables need these)

    from zofbot.cli.render import outbox_table  # noqa: PLC0415

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
    key: KeyArgument, as_json: Annotated[bool, typer.Option("--json", help="As JSON, which it is in any case.")] = True
) -> None:
    """Show all that is known of one notification, as JSON."""

    async def print_record(store: StoredData) -> None:
        entry = await store.outbox.get_record(key)
        if entry is None:
            raise ZofbotError(f"There is no notification {key}.", "`zofbot outbox list` shows those there are.")
        print_json(asdict(entry))

    run_with_store(prepare_settings(), print_record)


@app.command()
def retry(key: KeyArgument, as_json: JsonOption = False) -> None:
    """Send a dead or dropped notification after all, or a waiting one now."""

    async def retry_record(store: StoredData) -> None:
        before = await store.outbox.get_record(key)
        if not await store.outbox.retry(key):
            raise ZofbotError(f"Nothing to retry under {key}.", "It was sent, is being sent, or never was.")
        await _append_audit(store, "outbox retry", key, before, "pending")
        _print_outcome(key, "pending", f"Retrying {key}. zofbot first checks whether it was already posted.", as_json)

    run_with_store(prepare_settings(), retry_record)


@app.command()
def drop(key: KeyArgument, as_json: JsonOption = False) -> None:
    """Take back a notification that waits or is dead."""

    async def drop_record(store: StoredData) -> None:
        before = await store.outbox.get_record(key)
        if not await store.outbox.drop(key):
            raise ZofbotError(f"Nothing to drop under {key}.", "It was sent, is being sent, or never was.")
        await _append_audit(store, "outbox drop", key, before, "dropped")
        _print_outcome(key, "dropped", f"{key} is dropped.", as_json)

    run_with_store(prepare_settings(), drop_record)


def _print_outcome(key: str, state: str, sentence: str, as_json: bool) -> None:
    if as_json:
        print_json({"key": key, "state": state})
    else:
        typer.echo(sentence)


async def _append_audit(store: StoredData, act: str, key: str, before: OutboxRecord | None, after: str) -> None:
    """Append an operator's action to the audit log, under the system's user name."""
    from zofbot.store import audit as acts  # noqa: PLC0415

    user = system_user()
    channel, state = (before.channel, before.state.value) if before else ("", "")
    await store.audit.append(
        acts.AuditRecord(
            at=Clock().time(), act=act, user=user, name=user, channel=channel, key=key, before=state, after=after
        )
    )
