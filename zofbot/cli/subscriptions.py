"""``zofbot subscriptions``: export, compare and import the subscriptions of all channels as one file."""

from __future__ import annotations

import json
import re
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.channel_names import MAX_NAMES_SECONDS, describe_channel, read_channel_names
from zofbot.cli.command import ArgumentCommand
from zofbot.cli.input_file import read_lines
from zofbot.cli.runner import exit_with, prepare_settings, run_command, run_with_store, system_user
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import SlackError, ZofbotError

if TYPE_CHECKING:  # importing these would slow down --help
    from zofbot.cli.stored_data import StoredData
    from zofbot.notifications.notification import Notification
    from zofbot.store.audit import AuditRecord
    from zofbot.store.subscriptions import StoredSubscriptions
    from zofbot.subscriptions import Subscription
    from zofbot.subscriptions.diff import SubscriptionChange, SubscriptionDiff
    from zofbot.subscriptions.yaml_entries import FileEntry

app = typer.Typer(help="Export and import the subscriptions of all channels.", no_args_is_help=True)

HANDLE_PATTERN = re.compile(rb"[:,>]\"?@")
"""A mention by handle in a file."""


@app.command()
def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
) -> None:
    """Write the subscriptions of all channels as YAML."""
    settings = prepare_settings()

    async def write_file(store: StoredData) -> None:
        subscriptions = await store.subscriptions.list_all()
        content = (
            _as_json(subscriptions)
            if as_json
            else _as_yaml(subscriptions, await read_channel_names(settings, _channel_ids(subscriptions)))
        )
        if output is None:
            sys.stdout.write(content)
            return
        try:
            output.write_text(content, encoding="utf-8")
        except OSError as error:
            raise ZofbotError(f"Cannot write {output} ({error.strerror}).", "Choose another file.") from error
        from zofbot.domain.text import count_noun  # noqa: PLC0415  (--help must not wait for it)

        typer.echo(f"Wrote {count_noun(len(subscriptions), 'subscription')} to {output}.", err=True)

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
        raise ZofbotError(f"Subscription {changes[0].id} cannot be exported without loss.", "Edit it in Slack.")
    return content


def _as_json(subscriptions: list[Subscription]) -> str:
    """Render as ASCII JSON; nothing is redacted, so that it can be imported again."""
    from zofbot.subscriptions.yaml_entries import FILE_VERSION  # noqa: PLC0415  (--help must not wait for YAML)
    from zofbot.subscriptions.yaml_file import file_entry  # noqa: PLC0415  (--help must not wait for YAML)

    channels = {
        channel: [file_entry(item) for item in subscriptions if item.channel == channel]
        for channel in _channel_ids(subscriptions)
    }
    return json.dumps({"version": FILE_VERSION, "channels": channels}, indent=2) + "\n"


def _channel_ids(subscriptions: list[Subscription]) -> list[str]:
    return sorted({item.channel for item in subscriptions})


@app.command("import", cls=ArgumentCommand)
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File from `export`; - for standard input.")],
    plan_only: Annotated[bool, typer.Option("--plan", help="Only show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Required without a terminal.")] = False,
) -> None:
    """Replace the subscriptions of all channels with those in a file.

    Shows the changes and asks first. Subscriptions that are not in the file are removed.
    """
    from zofbot.subscriptions.yaml_entries import InvalidFile  # noqa: PLC0415  (--help must not wait for YAML)
    from zofbot.subscriptions.yaml_file import parse_yaml  # noqa: PLC0415  (--help must not wait for YAML)

    source, settings = b"".join(read_lines(file)), prepare_settings()
    name = "standard input" if str(file) == "-" else str(file)
    groups = run_command(_read_group_ids(settings)) if HANDLE_PATTERN.search(source) else {}
    try:
        rules = parse_yaml(source, name, groups)
    except InvalidFile as error:
        exit_with(2, *error.problems)

    async def apply_file(store: StoredData) -> None:
        if store.is_new:  # right before the first start, and wrong if the bot's settings are missing here
            typer.echo(f"zofbot: There was no store in {settings.zofbot_data_dir}. It was created.", err=True)
        await _import_entries(store, settings, rules, plan_only=plan_only, yes=yes)

    run_with_store(settings, apply_file, may_create=not plan_only)


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
            typer.echo(f"zofbot: Could not read Slack's user groups: {error.sentence}", err=True)
            return {}
    return {name_key(handle): identifier for identifier, handle in handles.items()}


async def _import_entries(
    store: StoredData, settings: Settings, rules: list[FileEntry], *, plan_only: bool, yes: bool
) -> None:
    from zofbot.subscriptions.diff import diff_subscriptions  # noqa: PLC0415

    stored, now = await store.subscriptions.read(), Clock().time()
    diff = diff_subscriptions(
        stored.list_all(), rules, now=now, new_id=lambda: secrets.token_hex(6), by_name=system_user()
    )
    _print_diff(diff, await read_channel_names(settings, [change.channel for change in diff.changes]))
    if plan_only or not diff.changes:
        return
    if not yes:
        _confirm_change()
    await apply_diff(store, diff, stored, now)
    typer.echo("Done.")


def _print_diff(diff: SubscriptionDiff, names: dict[str, str]) -> None:
    from zofbot.notifications import text  # noqa: PLC0415  (--help must not wait for it)

    channel = ""
    for change in diff.changes:
        if change.channel != channel:
            channel = change.channel
            typer.echo(text.clean_literal(describe_channel(channel, names), 300))
        typer.echo("  " + text.clean_literal(" ".join(str(change).split()), 3000))
    typer.echo(str(diff))


def _confirm_change() -> None:
    if not sys.stdin.isatty():
        exit_with(2, "Nothing was changed. Without a terminal, add --yes to confirm.")
    if not typer.confirm("Apply these changes?"):
        exit_with(1, "Nothing was changed.")


async def apply_diff(store: StoredData, diff: SubscriptionDiff, stored: StoredSubscriptions, now: float) -> None:
    """Apply the diff in one atomic commit, unless a subscription has changed meanwhile.

    The commit includes the audit records and a message to each channel about its changes.

    ``stored`` is what the diff was made from, ``now`` is in Unix seconds. Raises ZofbotError.
    """
    from zofbot.services.subscription_changes import commit_changes  # noqa: PLC0415  (--help must not wait for it)
    from zofbot.store.outbox import CommitConflict  # noqa: PLC0415

    acts = [_audit_record(change, now) for change in diff.changes]
    try:
        await commit_changes(store.outbox, stored, diff.changes, _channel_notes(diff, now), acts)
    except CommitConflict as error:
        raise ZofbotError(
            "Someone changed a subscription in the meantime, so nothing was changed.", "Try again."
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


def _audit_record(change: SubscriptionChange, now: float) -> AuditRecord:
    from zofbot.store.audit import AuditRecord  # noqa: PLC0415
    from zofbot.subscriptions.filters import filters_text  # noqa: PLC0415  (--help must not wait for these)

    user = system_user()
    return AuditRecord(
        at=now,
        act=f"subscription {change.verb}",
        user=user,
        name=user,
        channel=change.channel,
        key=change.id,
        before=filters_text(change.before) if change.before else "",
        after=filters_text(change.after) if change.after else "",
    )
