"""Here things take the time that they take: processes are killed, and servers take over from one another."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"
