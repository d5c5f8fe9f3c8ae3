"""All subscriptions of all channels as one file: written, compared, put into force."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zofbot.cli.conduct import give_up, settings_with, system_user, with_books
from zofbot.clock import Clock
from zofbot.errors import SlackError, ZofbotError
from zofbot.settings import Settings

if TYPE_CHECKING:  # these take longer to import than --help may take
    from zofbot.books import Books
    from zofbot.notification import Notification
    from zofbot.routing import Subscription
    from zofbot.routing.plan import Change, Plan
    from zofbot.routing.rulebook import Rule

app = typer.Typer(help="What all channels are told, as one file to review.", no_args_is_help=True)

NAMES_SECONDS = 4.0
"""How long Slack may take to say what channels are called; the file is written without, if need be."""

HANDLE = re.compile(rb"[:,>]\"?@")
"""Where a file mentions somebody by name."""

MOST_NAMED = 40
"""Channels asked about: Slack answers about fifty such questions a minute."""


@app.command()
def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Write the subscriptions of all channels as YAML, to be kept, reviewed and imported."""
    settings = settings_with()

    async def work(books: Books) -> None:
        found = await books.subscriptions.all()
        written = _as_json(found) if as_json else _as_yaml(found, await _names(settings, _channels(found)))
        if output is None:
            sys.stdout.write(written)
            return
        try:
            output.write_text(written, encoding="utf-8")
        except OSError as error:
            raise ZofbotError(f"{output} cannot be written ({error.strerror}).", "Choose another.") from error
        typer.echo(f"{len(found)} subscriptions are in {output}.", err=True)

    with_books(settings, work)


def _as_yaml(found: list[Subscription], names: dict[str, str]) -> str:
    """The file, which was read back to see that nothing got lost."""
    from zofbot.routing.plan import plan  # noqa: PLC0415  (--help must not wait for YAML)
    from zofbot.routing.rulebook import read, render  # noqa: PLC0415

    written = render(found, names)
    changes = plan(found, read(written.encode(), "export"), now=0.0, new_id=str, by_name="").changes
    if changes:
        raise ZofbotError(f"Subscription {changes[0].id} cannot be written down faithfully.", "Look at it in Slack.")
    return written


def _as_json(found: list[Subscription]) -> str:
    """The same as JSON, in ASCII: to be imported again it has to be whole, so nothing is taken out, only escaped."""
    from zofbot.routing.rulebook import VERSION, entry  # noqa: PLC0415  (--help must not wait for YAML)

    channels = {channel: [entry(one) for one in found if one.channel == channel] for channel in _channels(found)}
    return json.dumps({"version": VERSION, "channels": channels}, indent=2) + "\n"


def _channels(found: list[Subscription]) -> list[str]:
    return sorted({one.channel for one in found})


async def _names(settings: Settings, channels: list[str]) -> dict[str, str]:
    """What channels are called, as far as Slack says so in time."""
    from zofbot.metrics import Metrics  # noqa: PLC0415  (--help must not wait for these)
    from zofbot.rooms import slack_of  # noqa: PLC0415

    if not settings.slack_bot_token.get_secret_value():
        return {}
    async with slack_of(settings, Metrics(), Clock(), deadline=NAMES_SECONDS) as slack:

        async def name(channel: str) -> str:
            try:
                return str((await slack.channel(channel)).get("name") or "")
            except SlackError:
                return ""  # a comment less

        asked = channels[:MOST_NAMED]
        return dict(zip(asked, await asyncio.gather(*map(name, asked)), strict=True))


@app.command("import")
def import_(
    file: Annotated[typer.FileBinaryRead, typer.Argument(metavar="FILE", help="As `export` writes it; - to pipe it.")],
    plan_only: Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, as is needed off a terminal.")] = False,
) -> None:
    """Make the subscriptions of all channels those of FILE: what it lacks is removed."""
    from zofbot.routing.rulebook import Misread, read  # noqa: PLC0415  (--help must not wait for YAML)

    source, settings = file.read(), settings_with()
    try:
        rules = read(source, file.name, asyncio.run(_group_ids(settings)) if HANDLE.search(source) else {})
    except Misread as error:
        give_up(2, *error.problems)

    async def work(books: Books) -> None:
        await _import(books, rules, plan_only=plan_only, yes=yes)

    with_books(settings, work)


async def _group_ids(settings: Settings) -> dict[str, str]:
    """The ids of user groups by handle; none where Slack does not say, so that handles are refused."""
    from zofbot.metrics import Metrics  # noqa: PLC0415  (--help must not wait for these)
    from zofbot.rooms import slack_of  # noqa: PLC0415
    from zofbot.routing.spelling import name_key  # noqa: PLC0415

    if not settings.slack_bot_token.get_secret_value():
        return {}
    async with slack_of(settings, Metrics(), Clock(), deadline=NAMES_SECONDS) as slack:
        try:
            handles = await slack.handles()
        except SlackError as error:
            typer.echo(f"zofbot: Slack did not list its user groups: {error.sentence}", err=True)
            return {}
    return {name_key(handle): identifier for identifier, handle in handles.items()}


async def _import(books: Books, rules: list[Rule], *, plan_only: bool, yes: bool) -> None:
    from zofbot.routing.plan import plan  # noqa: PLC0415
    from zofbot.store.subscriptions import readable  # noqa: PLC0415

    records, now = await books.subscriptions.records(), Clock().time()
    standing = readable(records)
    made = plan(standing, rules, now=now, new_id=lambda: secrets.token_hex(6), by_name=system_user())
    _show(made)
    if plan_only or not made.changes:
        return
    if not yes:
        _confirm()
    await put_into_force(books, made, records, now)
    typer.echo("Done.")


def _show(made: Plan) -> None:
    from zofbot.slack import text  # noqa: PLC0415  (--help must not wait for it)

    channel = ""
    for change in made.changes:
        if change.channel != channel:
            channel = change.channel
            typer.echo(channel)
        typer.echo("  " + text.literal(" ".join(str(change).split()), 3000))
    typer.echo(str(made))


def _confirm() -> None:
    if not sys.stdin.isatty():
        give_up(2, "Nothing was changed: off a terminal, say --yes to go ahead.")
    if not typer.confirm("Change this?"):
        give_up(1, "Nothing was changed.")


async def put_into_force(books: Books, made: Plan, records: dict[str, str], now: float) -> None:
    """Carry out all of the plan in one step, unless what it was made for has changed since.

    The same step writes the audit, and promises each channel a line that says what changed for it.

    ``records`` are those it was made for, ``now`` is in Unix seconds. Raises ZofbotError.
    """
    from zofbot.store.outbox import Changed  # noqa: PLC0415  (--help must not wait for it)
    from zofbot.store.subscriptions import NAME  # noqa: PLC0415

    touched = [*(change.id for change in made.changes), *(one.id for one in made.same)]
    after = {one.id: one.after.model_dump_json(by_alias=True) if one.after else None for one in made.changes}
    try:
        await books.outbox.commit(
            _lines(made, now),
            changes={NAME: after},
            expect={NAME: {identifier: records.get(identifier) for identifier in touched}},
            acts=[_act(change, now) for change in made.changes],
        )
    except Changed as error:
        raise ZofbotError(
            "Somebody changed a subscription meanwhile, so nothing was changed.", "Look at the plan again."
        ) from error


def _lines(made: Plan, now: float) -> list[Notification]:
    from zofbot.notification import Kind, Notification  # noqa: PLC0415  (--help must not wait for these)
    from zofbot.slack import lines  # noqa: PLC0415

    told: dict[str, list[str]] = {}
    for change in made.changes:
        for channel, words in change.told():
            told.setdefault(channel, []).append(words)
    once = secrets.token_hex(6)
    return [
        Notification(
            key=f"imported:{once}:{channel}",
            kind=Kind.ROOT,
            channel=channel,
            body=lines.body(f"{system_user()}, an operator, {'; '.join(words)}."),
            happened=now,
        )
        for channel, words in told.items()
    ]


def _act(change: Change, now: float) -> str:
    from zofbot.routing.plan import wish  # noqa: PLC0415  (--help must not wait for these)
    from zofbot.store import audit  # noqa: PLC0415

    user = system_user()
    return audit.Entry(
        at=now,
        act=f"subscription {change.verb}",
        user=user,
        name=user,
        channel=change.channel,
        key=change.id,
        before=wish(change.before) if change.before else "",
        after=wish(change.after) if change.after else "",
    ).model_dump_json()
