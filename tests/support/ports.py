"""Ports for servers that are started later."""

from __future__ import annotations

import random
import socket

FIRST_PORT, LAST_PORT = 20_000, 32_000
"""Below the ports that Linux gives to whoever asks for any, so that nobody else gets one meanwhile."""

_system_random = random.SystemRandom()


def free_port() -> int:
    """Return a port that nobody listens at; the choice does not depend on a seed, which tests running beside share."""
    while True:
        port = _system_random.randint(FIRST_PORT, LAST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
