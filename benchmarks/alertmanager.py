"""Alertmanager, the rival that goals on telling failures are measured against: one message an alert, the same counter.

It is taken where its program is installed, and left out where it is not; ``INSTALLATION`` says how. Nothing of it is
tuned but what it waits for: no grouping, and no wait before a group's first message. Alerts come to it in the same
pages as notifications come to zofbot's outbox, by its own HTTP API (v2). It keeps nothing on disk before it sends.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or ""
"""Empty where there is none."""

MAX_START_SECONDS = 120.0

INSTALLATION = """Alertmanager is not installed, so its rows are empty. Debian has it:
  apt-get install -y --no-install-recommends prometheus-alertmanager
or only its program and its templates, without a server that starts by itself:
  apt-get download prometheus-alertmanager && dpkg-deb -x prometheus-alertmanager_*.deb rival
  cp -r rival/usr/share/prometheus /usr/share/ && install rival/usr/bin/prometheus-alertmanager /usr/local/bin/"""


@asynccontextmanager
async def alertmanager(slack: str) -> AsyncIterator[tuple[int, str]]:
    """Run it while the context lasts, posting to ``slack``: its pid and address. It remembers nothing of other runs."""
    folder = Path(tempfile.mkdtemp(prefix="rival-"))
    written = _configured(folder, slack)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        PROGRAM, f"--config.file={written}", f"--storage.path={folder}", f"--web.listen-address={address}",
        "--cluster.listen-address=", "--log.level=error",
    )  # fmt: skip
    try:
        await _ready(f"http://{address}")
        yield process.pid, f"http://{address}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        shutil.rmtree(folder)


def _configured(folder: Path, slack: str) -> Path:
    route = {"receiver": "slack", "group_by": ["..."], "group_wait": "0s", "group_interval": "1h"}
    slack_config = {
        "api_url": f"{slack}/api/chat.postMessage", "channel": "{{ .CommonLabels.channel }}",
        "title": "{{ .CommonLabels.alertname }}", "send_resolved": False,
    }  # fmt: skip
    config = {"route": route, "receivers": [{"name": "slack", "slack_configs": [slack_config]}]}
    written = folder / "alertmanager.yml"
    written.write_text(json.dumps(config))  # YAML is a superset of JSON
    return written


async def _ready(url: str) -> None:
    async with asyncio.timeout(MAX_START_SECONDS), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/-/ready") as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientError:
                pass  # it is not listening yet
            await asyncio.sleep(0.05)


async def alert(session: aiohttp.ClientSession, url: str, named: Sequence[tuple[str, str]]) -> None:
    """Tell it of alerts, each by its name and the channel it is for."""
    alerts = [
        {
            "labels": {"alertname": name, "channel": channel, "project": "checkout", "environment": "staging"},
            "annotations": {"summary": "Voucher can be removed again", "description": "expected 1, got 2"},
        }
        for name, channel in named
    ]
    async with session.post(f"{url}/api/v2/alerts", json=alerts) as reply:
        reply.raise_for_status()
