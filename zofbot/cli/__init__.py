"""The command line; each command or group of commands is a module."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zofbot import __version__
from zofbot.cli import outbox, subscriptions, webhook
from zofbot.cli.audit import audit
from zofbot.cli.causes import causes
from zofbot.cli.check import check
from zofbot.cli.command import ArgumentCommand
from zofbot.cli.manifest import manifest
from zofbot.cli.result import result
from zofbot.cli.serve import demo, run, web, worker
from zofbot.cli.signature import signature
from zofbot.cli.trace import trace

MAX_HELP_COLUMNS = 110
"""Wider terminals show help in this width, which is still easy to read."""

app = typer.Typer(
    help="Slack bot for Zof AI: posts test failures, answers questions about them, and helps you triage them.",
    epilog="Settings are environment variables: docs/settings.md lists them. `zofbot demo` needs none.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": MAX_HELP_COLUMNS},
)

for command in (demo, run, web, worker, check, result, manifest, audit, trace, causes, signature):
    app.command(cls=ArgumentCommand)(command)
app.add_typer(outbox.app, name="outbox")
app.add_typer(subscriptions.app, name="subscriptions")
app.add_typer(webhook.app, name="webhook")


@app.callback(invoke_without_command=True)
def _print_version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"zofbot {__version__}\n")
        raise typer.Exit
