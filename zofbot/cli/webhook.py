"""``zofbot webhook``: register and test zofbot's endpoint at Zof, and list all endpoints."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from zofbot.cli.printing import print_json
from zofbot.cli.runner import (
    PUBLIC_URL_RULE,
    exit_with,
    is_public_url,
    prepare_settings,
    run_command,
    run_with_store,
)
from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import BadInput, ZofbotError

if TYPE_CHECKING:  # importing these would slow down --help
    from zofbot.cli.stored_data import StoredData
    from zofbot.domain.model import Endpoint
    from zofbot.store.webhook_trials import TrialArrival, WebhookTrials
    from zofbot.zof.client import ZofClient

app = typer.Typer(help="Register zofbot's webhook endpoint at Zof.", no_args_is_help=True)

WEBHOOK_PATH = "/zof/webhook"
"""Path of zofbot's webhook endpoint."""

MAX_WAIT_SECONDS = 15.0
"""Time limit for the sample delivery; Zof gives an endpoint 10 s to answer."""

CHECK_INTERVAL_SECONDS = 0.2


class SigningSecret(NamedTuple):
    """The secret for Zof to sign with, and the file that contains it, if any."""

    value: str
    file: Path | None = None


@app.command()
def install(
    url: Annotated[str, typer.Option(metavar="URL", help="Public https URL of zofbot.")],
    secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File with the signing secret; created if missing. Default: ZOF_WEBHOOK_SECRET."
        ),
    ] = None,
) -> None:
    """Register zofbot's endpoint at Zof, and test it with a sample.

    Safe to repeat: an endpoint is registered only once.
    """
    settings = prepare_settings("ZOF_API_KEY")
    try:
        address = endpoint_address(url)
        secret = read_secret(settings, secret_file)
    except BadInput as error:
        exit_with(2, f"{error.sentence} {error.next_step}")

    async def install_endpoint(store: StoredData) -> None:
        client = _open_client(settings)
        try:
            await register_endpoint(client, store.trials, address, secret, Clock())
        finally:
            await client.aclose()

    run_with_store(settings, install_endpoint)


@app.command("list")
def list_endpoints(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the endpoints that Zof sends webhooks to, without secrets."""
    settings = prepare_settings("ZOF_API_KEY")

    async def print_list() -> None:
        client = _open_client(settings)
        try:
            endpoints = await read_endpoints(client)
        finally:
            await client.aclose()
        print_endpoints(endpoints, as_json=as_json)

    run_command(print_list())


def endpoint_address(url: str) -> str:
    """Return the endpoint's address below a public ``url``. Raises BadInput if Zof could not call it."""
    if not is_public_url(url.strip()):
        raise BadInput(PUBLIC_URL_RULE, "Zof calls no others.")
    base = url.strip().rstrip("/")
    return base if base.endswith(WEBHOOK_PATH) else base + WEBHOOK_PATH


def read_secret(settings: Settings, file: Path | None) -> SigningSecret:
    """Return the secret: of ``file``, created if missing, or ZOF_WEBHOOK_SECRET without a file. Raises BadInput."""
    if file is None:
        if secret := settings.zof_webhook_secret.get_secret_value():
            return SigningSecret(secret)
        raise BadInput(
            "There is no secret for Zof to sign with.",
            "Set ZOF_WEBHOOK_SECRET, or use --secret-file FILE to create one.",
        )
    try:
        if file.exists():
            secret = file.read_text(encoding="utf-8-sig").strip()
        else:
            secret = secrets.token_urlsafe(32)
            _write_secret(file, secret)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadInput(f"Cannot use --secret-file {file} ({reason}).", "Use a file that you can read.") from None
    if not secret:
        raise BadInput(f"--secret-file {file} is empty.", "Delete it to create a new secret.")
    return SigningSecret(secret, file)


def _write_secret(file: Path, secret: str) -> None:
    """Write the secret to a file that only its owner may read."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(secret + "\n")


async def read_endpoints(client: ZofClient) -> list[Endpoint]:
    """Fetch all endpoints. Raises ZofError."""
    return [endpoint async for page in client.list_endpoints() for endpoint in page]


async def register_endpoint(
    client: ZofClient, trials: WebhookTrials, url: str, secret: SigningSecret, clock: Clock
) -> None:
    """Register ``url`` unless it is registered, have Zof send a sample delivery, and print what arrived.

    Raises ZofbotError if Zof refuses it, or if no delivery arrives that zofbot accepts.
    """
    from zofbot.zof.webhook_event import PLATFORM_EVENT_TYPES, RUN_END_TYPES  # noqa: PLC0415  (--help must not wait for these)

    events = sorted(RUN_END_TYPES | PLATFORM_EVENT_TYPES)
    endpoint = next((item for item in await read_endpoints(client) if item.url == url), None)
    if endpoint:
        typer.echo(f"{url} is already registered at Zof as {_safe_text(endpoint.id)}.")
        if missing := [event for event in events if endpoint.events and event not in endpoint.events]:
            typer.echo(f"It does not get {', '.join(missing)}. Add them in Zof's console if you want them.")
    else:
        with _reserve_new_file(secret.file):
            endpoint = await client.add_endpoint(url, events, secret.value)
            typer.echo(f"Registered {url} at Zof as {_safe_text(endpoint.id)}, for {', '.join(events)}.")
            _save_secret(endpoint, secret)
    typer.echo(_describe_arrival(await _send_sample(client, trials, endpoint.id, clock)))


@contextmanager
def _reserve_new_file(file: Path | None) -> Iterator[None]:
    """Keep an empty file for a secret that Zof may choose, until the end or until it is renamed. Raises BadInput.

    One that exists is not touched: it may have the only copy of a secret, if zofbot was killed.
    """
    if file is None:
        yield
        return
    new = _new_file(file)
    try:
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise BadInput(
            f"Cannot create {new} ({error.strerror}), which is needed if Zof chooses another secret.",
            "Move it away if it exists, or use --secret-file in a folder that you can write to.",
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # renamed, or the disk has become read-only, which another error says
            new.unlink()


def _new_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.new")


def _save_secret(endpoint: Endpoint, secret: SigningSecret) -> None:
    """Save the secret if Zof chose its own, which it returns only once.

    Raises ZofbotError without a file, or if it cannot be written.
    """
    chosen, file = endpoint.secret.get_secret_value() if endpoint.secret else secret.value, secret.file
    if chosen == secret.value:
        return
    if file is None:
        raise ZofbotError(
            "Zof chose another secret, which it returns only once and zofbot does not print.",
            f"Remove {_safe_text(endpoint.id)} in Zof's console, then run this again with --secret-file FILE.",
        )
    try:
        _write_secret(_new_file(file), chosen)
        file.rename(file.with_name(f"{file.name}.previous"))
        _new_file(file).rename(file)
    except OSError as error:
        raise ZofbotError(
            f"Zof chose another secret, which it returns only once. It cannot be saved in {file}, with the previous "
            f"one in {file}.previous ({error.strerror}).",
            f"Remove {_safe_text(endpoint.id)} in Zof's console, then run this again.",
        ) from error
    typer.echo(f"Zof chose another secret. It is in {file}; the previous one is in {file}.previous.")


async def _send_sample(client: ZofClient, trials: WebhookTrials, endpoint: str, clock: Clock) -> TrialArrival:
    """Have Zof send a sample delivery and wait for it. Raises ZofbotError if none arrives."""
    from zofbot.store import webhook_trials  # noqa: PLC0415  (--help must not wait for it)

    await trials.start_trial(MAX_WAIT_SECONDS + 30)
    await clock.sleep(webhook_trials.TRIAL_CHECK_SECONDS)
    await client.try_endpoint(endpoint)
    arrival, deadline = None, clock.monotonic() + MAX_WAIT_SECONDS
    while clock.monotonic() < deadline:
        arrival = await trials.latest_arrival()
        if arrival and arrival.signed:
            return arrival  # an unsigned one may come from anybody
        await clock.sleep(CHECK_INTERVAL_SECONDS)
    if arrival:
        return arrival
    raise ZofbotError(
        f"Zof's sample delivery did not arrive within {MAX_WAIT_SECONDS:.0f} s.",
        "`zofbot check --url URL` tests whether zofbot can be reached. It must run with ZOF_WEBHOOK_SECRET, and with "
        "the same REDIS_URL and ZOFBOT_NAMESPACE as this command.",
    )


def _describe_arrival(arrival: TrialArrival) -> str:
    """Describe the delivery in a sentence. Raises ZofbotError if its signature was not accepted."""
    if arrival.signed:
        envelope = {"current": "the current envelope", "older": "the older envelope"}
        known = envelope.get(arrival.envelope, "an unknown envelope")
        return (
            f"Zof's sample delivery arrived: `{_safe_text(arrival.type) or 'no type'}`, signed in {arrival.header}, "
            f"in {known}."
        )
    if arrival.header:
        raise ZofbotError(
            f"A delivery arrived, but its signature in {arrival.header} was made with another secret.",
            "Set ZOF_WEBHOOK_SECRET to the secret of this endpoint (files are read every 15 s), then run this again.",
        )
    seen = f". Its headers: {', '.join(map(_safe_text, arrival.headers))}" if arrival.headers else ""
    raise ZofbotError(
        f"A delivery arrived without a signature in the expected header{seen}.",
        "Set ZOF_SIGNATURE_HEADER to the header with Zof's signature, and restart zofbot.",
    )


def print_endpoints(endpoints: Sequence[Endpoint], *, as_json: bool) -> None:
    """Print endpoints as a table or as JSON, without their secrets."""
    if as_json:
        print_json([endpoint.model_dump(mode="json", exclude={"secret"}, exclude_none=True) for endpoint in endpoints])
        return
    from rich.console import Console  # noqa: PLC0415  (only tables need these)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if not endpoints:
        typer.echo("No endpoints. `zofbot webhook install --url URL` registers zofbot's.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("id", "url", "status", "events"):
        table.add_column(name, overflow="fold")
    for endpoint in endpoints:
        cells = (endpoint.id, endpoint.url or "", endpoint.status or "", ", ".join(endpoint.events))
        table.add_row(*(Text(_safe_text(cell)) for cell in cells))
    Console().print(table)


def _open_client(settings: Settings) -> ZofClient:
    from zofbot.clients import make_zof_client  # noqa: PLC0415
    from zofbot.observability.emitter import EventEmitter  # noqa: PLC0415  (--help must not wait for these)

    return make_zof_client(settings, EventEmitter(), Clock())


def _safe_text(value: str) -> str:
    """Make text from Zof harmless on a terminal."""
    from zofbot.notifications import text  # noqa: PLC0415  (--help must not wait for it)

    return text.clean_literal(value, 500)
