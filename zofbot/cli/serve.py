"""Commands that run until stopped: ``run``, ``web``, ``worker`` and ``demo``."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import typer

from zofbot.cli.runner import exit_with, prepare_settings, run_command
from zofbot.clock import Clock
from zofbot.config.secret_folders import check_still_listed, describe_skipped_folder
from zofbot.config.setting_values import is_host_name
from zofbot.config.settings import Settings, load_settings

if TYPE_CHECKING:  # importing Bolt would slow down --help
    from zofbot.app import Zofbot

T = TypeVar("T")


class HasUrl(Protocol):
    """Something with a URL to open in a browser."""

    url: str


MAX_PORT = 65535

MAX_EXIT_SECONDS = 0.5
"""Time for the process to end once its work is done; the whole shutdown must fit into ten seconds."""

BOT_SETTINGS = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "ZOF_API_KEY")


async def run_until_signal(
    context: Callable[[], AbstractAsyncContextManager[T]], up: Callable[[T, Callable[[], None]], None]
) -> None:
    """Hold a context until SIGTERM, SIGHUP or Ctrl-C, also while it is entered; ``up`` is called once it is entered.

    ``up`` gets what was entered, and a function that ends it as a signal does.

    From then on garbage is collected. Signals are handled before ``context`` is called, because its imports take long.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = {signal.SIGTERM, signal.SIGINT}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # it is ignored under nohup
        signals.add(signal.SIGHUP)
    for name in signals:
        loop.add_signal_handler(name, stop.set)
    entered = False

    async def hold_context() -> None:
        nonlocal entered
        async with context() as entered_context:
            entered = True
            tune_garbage_collector()
            up(entered_context, stop.set)
            await stop.wait()

    hold_task, stop_task = asyncio.create_task(hold_context()), asyncio.create_task(stop.wait())
    await asyncio.wait({hold_task, stop_task}, return_when=asyncio.FIRST_COMPLETED)
    if not entered and not hold_task.done():
        from zofbot.concurrency import cancel_tasks  # noqa: PLC0415  (--help must not wait for structlog)

        await cancel_tasks(hold_task)
        return
    stop_task.cancel()
    await hold_task


def limit_exit_time() -> None:
    """End this process with exit code 0 unless it ends by itself within ``MAX_EXIT_SECONDS``.

    For when all work is done and all is written. A thread that looks up a name cannot be canceled, and both asyncio and
    uvloop wait for theirs: more than ten seconds if no name server answers.
    """
    timer = threading.Timer(MAX_EXIT_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def tune_garbage_collector() -> None:
    """Collect cyclic garbage only every 5,000 objects, and never among those present at the start.

    Few objects are cyclic here, and with the defaults a tenth of the CPU time of a burst went into collections. A
    larger number makes each collection, during which nothing else happens, longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)
    gc.enable()


def find_fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's event loop where the extra ``fast`` is installed: calls cost a fifth less CPU time with it."""
    try:
        import uvloop  # noqa: PLC0415  (optional)
    except ImportError:
        return None
    return uvloop.new_event_loop


def _start_serving(*required: str, endpoints: bool = True, workers: bool = True) -> None:
    settings, skipped = prepare_settings(*required, serves=True), describe_skipped_folder()

    def read_again() -> Settings:
        check_still_listed(skipped)
        return load_settings(*required)

    work = _serve_until_signal(settings, read_again, endpoints=endpoints, workers=workers)
    run_command(work, find_fast_loop())


async def _serve_until_signal(
    settings: Settings, read_settings: Callable[[], Settings], *, endpoints: bool, workers: bool
) -> None:
    def open_bot() -> AbstractAsyncContextManager[Zofbot]:
        from zofbot.app import run_bot  # noqa: PLC0415  (importing Bolt would slow down --help)

        return run_bot(settings, Clock(), endpoints=endpoints, workers=workers, read_settings=read_settings)

    await run_until_signal(open_bot, lambda bot, stop: bot.tasks.call_on_failure(stop))
    limit_exit_time()


def demo(
    port: Annotated[int, typer.Option(metavar="PORT", help="Port of the page; 0 for any free port.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    host: Annotated[
        str,
        typer.Option(
            envvar="DEMO_HOST", show_envvar=False, metavar="ADDRESS", help="Listen here; 0.0.0.0 in a container."
        ),
    ] = "127.0.0.1",
) -> None:
    """Run a demo on this machine, no account needed.

    The real bot runs with a simulated Slack and Zof, and a page to try them.
    """
    from zofbot.observability.log_config import configure_logging  # noqa: PLC0415  (--help must not wait for structlog)

    if not 0 <= port <= MAX_PORT:
        exit_with(2, f"--port {port} is not a port. Use 1 to {MAX_PORT}, or 0 for any free port.")
    if not is_host_name(host):
        exit_with(2, f"--host {host} is not an IP address or a host name. Use one such as 127.0.0.1, or 0.0.0.0.")
    configure_logging("auto", "error")  # hides the warning that it polls more often than Zof advises
    run_command(_serve_demo(host, port, browser))


async def _serve_demo(host: str, port: int, browser: bool) -> None:
    def open_demo() -> AbstractAsyncContextManager[HasUrl]:
        from zofbot.demo import run_demo  # noqa: PLC0415  (importing Bolt would slow down --help)

        return run_demo(port, host=host)

    def announce_demo(simulator: HasUrl, stop: Callable[[], None]) -> None:
        typer.echo(f"Demo running at {simulator.url} (Ctrl-C stops it and leaves nothing behind)")
        typer.echo("Try: /zof result res_4821")
        if browser and (sys.platform == "darwin" or shutil.which("xdg-open")):  # a text browser would block the demo
            typer.launch(simulator.url)

    await run_until_signal(open_demo, announce_demo)


def run() -> None:
    """Run the whole bot in one process."""
    _start_serving(*BOT_SETTINGS)


def web() -> None:
    """Run the half that serves Slack and Zof's webhooks.

    Any number of web and worker processes can share one Redis.
    """
    _start_serving(*BOT_SETTINGS, workers=False)


def worker() -> None:
    """Run the half that polls Zof and sends alerts.

    Any number of web and worker processes can share one Redis.
    """
    _start_serving("SLACK_BOT_TOKEN", "ZOF_API_KEY", endpoints=False)
