"""``zofbot manifest``: print the Slack app manifest."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zofbot.cli.runner import check_public_url, prepare_settings

_SWITCHES_TO_SOCKET_MODE = (
    "This manifest switches the app to Socket Mode, but SLACK_APP_TOKEN is not set. "
    "To stay with HTTP, use `zofbot manifest --url https://your.host`."
)


def manifest(
    url: Annotated[
        str, typer.Option(metavar="URL", help="Use HTTP with this public URL of zofbot; without it, Socket Mode.")
    ] = "",
) -> None:
    """Print the Slack app manifest for this version.

    Adds scopes for links if ZOF_RUN_URL_TEMPLATE or ZOF_RESULT_URL_TEMPLATE is set.

    Adds one for e-mail addresses if ZOF_EXTRA_FIELDS or ZOFBOT_OWNERS_FILE is set.
    """
    from zofbot.config.manifest import render_manifest  # noqa: PLC0415  (only this command needs it)

    if url:
        check_public_url(url)
    settings = prepare_settings()
    if not url and settings.signing_secrets and not settings.uses_socket_mode:
        typer.echo(f"zofbot: {_SWITCHES_TO_SOCKET_MODE}", err=True)
    sys.stdout.write(render_manifest(url, settings.unfurl_domains, emails=settings.finds_people_by_email))
