"""``zofbot manifest``: print the Slack app manifest."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zofbot.cli.runner import exit_with, prepare_settings


def manifest(
    url: Annotated[str, typer.Option(help="Public address of the web door; without it, Socket Mode.")] = "",
) -> None:
    """Print the Slack app manifest of this version; links unfurl where a URL template is set."""
    from zofbot.config.manifest import render_manifest  # noqa: PLC0415  (only this command needs it)

    if url and not url.startswith("https://"):
        exit_with(2, "--url must start with https://, because Slack calls nothing else.")
    settings = prepare_settings()
    sys.stdout.write(render_manifest(url, settings.unfurl_domains, emails=settings.finds_people_by_email))
