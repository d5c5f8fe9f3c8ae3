"""Redis over TLS: one server, and a cluster."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.support.bot import wait_until
from tests.support.limits import HANG_SECONDS
from tests.support.ports import free_port
from tests.support.valkey_servers import SLOT_COUNT, ValkeyServer, running_servers
from zofbot.clock import Clock, timeout
from zofbot.domain.errors import StoreUnavailable
from zofbot.store import open_store

# --- over TLS, for real: the server that comes along has none, so something stands before it that has


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl makes the certificate, and is not there")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "ca.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


@asynccontextmanager
async def tls_proxy(certificate: Path, port: int, behind: int) -> AsyncIterator[None]:
    """Speak TLS on ``port`` for the server on ``behind``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "ca.pem", certificate / "key.pem")

    async def copy_bytes(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                into.write(data)
                await into.drain()
        except OSError:
            pass
        finally:
            into.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source, into = await asyncio.open_connection("127.0.0.1", behind)
        await asyncio.gather(copy_bytes(reader, into), copy_bytes(source, writer))

    async with await asyncio.start_server(pass_on, "127.0.0.1", port, ssl=context):
        yield


async def repeat_until_available(call: Callable[[], Awaitable[bool]]) -> bool:
    """Repeat a call as a bot does: a handshake may take longer than a node has to say who is primary."""
    async with timeout(HANG_SECONDS):
        while True:
            with suppress(StoreUnavailable):
                return await call()


async def test_one_server_and_a_cluster_are_spoken_to_over_tls(certificate: Path, tmp_path: Path) -> None:
    server, port, bus = ValkeyServer(free_port(), tmp_path / "node"), free_port(), free_port()
    server.options = (
        "--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-announce-port", str(port),
        "--save", "", "--user", "default", "on", "nopass", "~*", "&*", "+@all",
        "--user", "zofbot", "on", ">hunter2hunter2", "~{zofbot}:*", "&{zofbot}:*", "+@all",
    )  # fmt: skip
    async with running_servers(server), tls_proxy(certificate, port, server.port):
        await server.run_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOT_COUNT - 1)
        await wait_until(server.is_serving)
        place = f"zofbot:hunter2hunter2@127.0.0.1:{port}/0"
        for number, scheme in enumerate(("rediss", "rediss+cluster")):
            async with open_store(
                f"{scheme}://{place}?ssl_ca_certs={certificate / 'ca.pem'}", "zofbot", Clock()
            ) as store:
                claim = partial(store.claim_request, f"Ev{number}")
                assert await repeat_until_available(claim)
                assert not await repeat_until_available(claim)
            async with open_store(f"{scheme}://{place}", "zofbot", Clock()) as store:
                with pytest.raises(StoreUnavailable):  # nobody whom we know signed that certificate
                    await store.ping()
