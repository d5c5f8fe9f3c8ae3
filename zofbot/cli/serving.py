"""Commands that last: the bot, its halves, and the demo."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from zofbot.cli.conduct import carry_out, settings_with
from zofbot.settings import Settings, load

SLACK_AND_ZOF = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "ZOF_API_KEY")


async def until_told(ready: Callable[[], None] = lambda: None) -> None:
    """Wait for SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    ready()
    await stop.wait()


def collect_seldom() -> None:
    """Have Python look for cyclic garbage every 50,000 objects, and never among those that it started with.

    Each look costs more, the more there is; here hardly anything is cyclic, and a tenth of a burst's work was looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _serve(*required: str, doors: bool = True, works: bool = True) -> None:
    settings = settings_with(*required, serves=True)
    carry_out(_serving(settings, partial(load, *required), doors=doors, works=works))


async def _serving(settings: Settings, reread: Callable[[], Settings], *, doors: bool, works: bool) -> None:
    from zofbot.app import running  # noqa: PLC0415  (Bolt takes longer to import than --help may take)

    async with running(settings, doors=doors, works=works, reread=reread):
        collect_seldom()
        await until_told()


def demo(
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes any that is free.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Try everything on this machine: a pretend Slack and Zof with the real bot, no account needed."""
    from zofbot.logs import configure  # noqa: PLC0415  (--help must not wait for structlog)

    configure("auto", "error")  # that it polls more often than Zof advises is meant here
    carry_out(_demo(port, browser))


async def _demo(port: int, browser: bool) -> None:
    from zofbot.demo import playing  # noqa: PLC0415  (Bolt takes longer to import than --help may take)

    async with playing(port) as stage:

        def ready() -> None:
            typer.echo(f"The demo is at {stage.url}  (Ctrl-C ends it and leaves nothing behind)")
            typer.echo("Type there: /zof result res_4821")
            if browser:
                typer.launch(stage.url)

        await until_told(ready)


def run() -> None:
    """Run the whole bot in one process."""
    _serve(*SLACK_AND_ZOF)


def web() -> None:
    """Run what Slack and Zof talk to: commands, buttons, webhooks; any number of these share one Redis."""
    _serve(*SLACK_AND_ZOF, works=False)


def worker() -> None:
    """Run what works by itself: the poller and the dispatcher; any number of these share one Redis."""
    _serve("SLACK_BOT_TOKEN", "ZOF_API_KEY", doors=False)
