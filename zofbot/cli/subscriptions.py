"""``zofbot subscriptions``: export, compare and import the subscriptions of all channels as one file."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.runner import exit_with, prepare_settings, run_with_store, system_user
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import SlackError, ZofbotError

if TYPE_CHECKING:  # importing these would slow down --help
    from zofbot.cli.stored_data import StoredData
    from zofbot.notifications.notification import Notification
    from zofbot.subscriptions import Subscription
    from zofbot.subscriptions.diff import SubscriptionChange, SubscriptionDiff
    from zofbot.subscriptions.yaml_file import FileEntry

app = typer.Typer(help="What all channels are told, as one file to review.", no_args_is_help=True)

MAX_NAMES_SECONDS = 4.0
"""Time limit for looking up names of channels; without them the file has only ids."""

HANDLE_PATTERN = re.compile(rb"[:,>]\"?@")
"""A mention by handle in a file."""

MAX_NAMED_CHANNELS = 40
"""Channels looked up; Slack allows about fifty such calls a minute."""


@app.command()
def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Write the subscriptions of all channels as YAML, to be kept, reviewed and imported."""
    settings = prepare_settings()

    async def write_file(store: StoredData) -> None:
        subscriptions = await store.subscriptions.list_all()
        content = (
            _as_json(subscriptions)
            if as_json
            else _as_yaml(subscriptions, await _read_channel_names(settings, _channel_ids(subscriptions)))
        )
        if output is None:
            sys.stdout.write(content)
            return
        try:
            output.write_text(content, encoding="utf-8")
        except OSError as error:
            raise ZofbotError(f"{output} cannot be written ({error.strerror}).", "Choose another.") from error
        typer.echo(f"{len(subscriptions)} subscriptions are in {output}.", err=True)

    run_with_store(settings, write_file)


def _as_yaml(subscriptions: list[Subscription], names: dict[str, str]) -> str:
    """Render as YAML, and parse it back to verify that nothing is lost. Raises ZofbotError."""
    from zofbot.subscriptions.diff import diff_subscriptions  # noqa: PLC0415  (--help must not wait for YAML)
    from zofbot.subscriptions.yaml_file import parse_yaml, render_yaml  # noqa: PLC0415

    content = render_yaml(subscriptions, names)
    changes = diff_subscriptions(
        subscriptions, parse_yaml(content.encode(), "export"), now=0.0, new_id=str, by_name=""
    ).changes
    if changes:
        raise ZofbotError(f"Subscription {changes[0].id} cannot be written down faithfully.", "Look at it in Slack.")
    return content


def _as_json(subscriptions: list[Subscription]) -> str:
    """Render as ASCII JSON; nothing is redacted, so that it can be imported again."""
    from zofbot.subscriptions.yaml_file import FILE_VERSION, file_entry  # noqa: PLC0415  (--help must not wait for YAML)

    channels = {
        channel: [file_entry(item) for item in subscriptions if item.channel == channel]
        for channel in _channel_ids(subscriptions)
    }
    return json.dumps({"version": FILE_VERSION, "channels": channels}, indent=2) + "\n"


def _channel_ids(subscriptions: list[Subscription]) -> list[str]:
    return sorted({item.channel for item in subscriptions})


async def _read_channel_names(settings: Settings, channels: list[str]) -> dict[str, str]:
    """Return the names of channels, as far as Slack answers in time."""
    from zofbot.clients import open_slack_client  # noqa: PLC0415
    from zofbot.observability.emitter import EventEmitter  # noqa: PLC0415  (--help must not wait for these)

    if not settings.slack_bot_token.get_secret_value():
        return {}
    async with open_slack_client(settings, EventEmitter(), Clock(), deadline=MAX_NAMES_SECONDS) as slack:

        async def read_name(channel: str) -> str:
            try:
                return str((await slack.workspace.fetch_channel(channel)).get("name") or "")
            except SlackError:
                return ""  # the file is written without this name

        looked_up = channels[:MAX_NAMED_CHANNELS]
        return dict(zip(looked_up, await asyncio.gather(*map(read_name, looked_up)), strict=True))


@app.command("import")
def import_file(
    file: Annotated[typer.FileBinaryRead, typer.Argument(metavar="FILE", help="As `export` writes it; - to pipe it.")],
    plan_only: Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, as is needed off a terminal.")] = False,
) -> None:
    """Make the subscriptions of all channels those of FILE: what it lacks is removed."""
    from zofbot.subscriptions.yaml_file import InvalidFile, parse_yaml  # noqa: PLC0415  (--help must not wait for YAML)

    source, settings = file.read(), prepare_settings()
    try:
        rules = parse_yaml(
            source, file.name, asyncio.run(_read_group_ids(settings)) if HANDLE_PATTERN.search(source) else {}
        )
    except InvalidFile as error:
        exit_with(2, *error.problems)

    async def apply_file(store: StoredData) -> None:
        await _import_entries(store, rules, plan_only=plan_only, yes=yes)

    run_with_store(settings, apply_file)


async def _read_group_ids(settings: Settings) -> dict[str, str]:
    """Return the ids of user groups by handle; empty if Slack does not answer, so that handles are refused."""
    from zofbot.clients import open_slack_client  # noqa: PLC0415
    from zofbot.observability.emitter import EventEmitter  # noqa: PLC0415  (--help must not wait for these)
    from zofbot.subscriptions.filter_people import name_key  # noqa: PLC0415

    if not settings.slack_bot_token.get_secret_value():
        return {}
    async with open_slack_client(settings, EventEmitter(), Clock(), deadline=MAX_NAMES_SECONDS) as slack:
        try:
            handles = await slack.workspace.fetch_group_handles()
        except SlackError as error:
            typer.echo(f"zofbot: Slack did not list its user groups: {error.sentence}", err=True)
            return {}
    return {name_key(handle): identifier for identifier, handle in handles.items()}


async def _import_entries(store: StoredData, rules: list[FileEntry], *, plan_only: bool, yes: bool) -> None:
    from zofbot.store.subscriptions import parse_subscription_records  # noqa: PLC0415
    from zofbot.subscriptions.diff import diff_subscriptions  # noqa: PLC0415

    records, now = await store.subscriptions.read_records(), Clock().time()
    current = parse_subscription_records(records)
    diff = diff_subscriptions(current, rules, now=now, new_id=lambda: secrets.token_hex(6), by_name=system_user())
    _print_diff(diff)
    if plan_only or not diff.changes:
        return
    if not yes:
        _confirm_change()
    await apply_diff(store, diff, records, now)
    typer.echo("Done.")


def _print_diff(diff: SubscriptionDiff) -> None:
    from zofbot.notifications import text  # noqa: PLC0415  (--help must not wait for it)

    channel = ""
    for change in diff.changes:
        if change.channel != channel:
            channel = change.channel
            typer.echo(channel)
        typer.echo("  " + text.clean_literal(" ".join(str(change).split()), 3000))
    typer.echo(str(diff))


def _confirm_change() -> None:
    if not sys.stdin.isatty():
        exit_with(2, "Nothing was changed: off a terminal, say --yes to go ahead.")
    if not typer.confirm("Change this?"):
        exit_with(1, "Nothing was changed.")


async def apply_diff(store: StoredData, diff: SubscriptionDiff, records: dict[str, str], now: float) -> None:
    """Apply the diff in one atomic commit, unless a subscription has changed meanwhile.

    The commit includes the audit records and a message to each channel about its changes.

    ``records`` are those the diff was made from, ``now`` is in Unix seconds. Raises ZofbotError.
    """
    from zofbot.store.outbox import CommitConflict  # noqa: PLC0415  (--help must not wait for it)
    from zofbot.store.subscriptions import SUBSCRIPTIONS_HASH  # noqa: PLC0415

    touched = [*(change.id for change in diff.changes), *(item.id for item in diff.same)]
    after = {
        change.id: change.after.model_dump_json(by_alias=True) if change.after else None for change in diff.changes
    }
    try:
        await store.outbox.commit(
            _channel_notes(diff, now),
            changes={SUBSCRIPTIONS_HASH: after},
            expect={SUBSCRIPTIONS_HASH: {identifier: records.get(identifier) for identifier in touched}},
            acts=[_audit_record(change, now) for change in diff.changes],
        )
    except CommitConflict as error:
        raise ZofbotError(
            "Somebody changed a subscription meanwhile, so nothing was changed.", "Look at the plan again."
        ) from error


def _channel_notes(diff: SubscriptionDiff, now: float) -> list[Notification]:
    from zofbot.notifications.notification import Notification, NotificationKind  # noqa: PLC0415  (--help must not wait for these)
    from zofbot.slack.views import channel_notes  # noqa: PLC0415

    messages: dict[str, list[str]] = {}
    for change in diff.changes:
        for channel, words in change.channel_messages():
            messages.setdefault(channel, []).append(words)
    import_id = secrets.token_hex(6)
    return [
        Notification(
            key=f"imported:{import_id}:{channel}",
            kind=NotificationKind.ROOT,
            channel=channel,
            body=channel_notes.note_payload(f"{system_user()}, an operator, {'; '.join(words)}."),
            happened=now,
        )
        for channel, words in messages.items()
    ]


def _audit_record(change: SubscriptionChange, now: float) -> str:
    from zofbot.store import audit  # noqa: PLC0415
    from zofbot.subscriptions.diff import filters_text  # noqa: PLC0415  (--help must not wait for these)

    user = system_user()
    return audit.AuditRecord(
        at=now,
        act=f"subscription {change.verb}",
        user=user,
        name=user,
        channel=change.channel,
        key=change.id,
        before=filters_text(change.before) if change.before else "",
        after=filters_text(change.after) if change.after else "",
    ).model_dump_json()
