"""The event loop of the commands that serve."""

from __future__ import annotations

import sys

import pytest

from zofbot.cli.serve import find_fast_loop


def test_uvloop_is_used_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not available for this platform")
    make_loop = find_fast_loop()
    assert make_loop is not None
    loop = make_loop()
    assert isinstance(loop, uvloop.Loop)
    loop.close()


def test_without_uvloop_the_loop_is_asyncios(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)  # importing it fails, as where it is not installed
    assert find_fast_loop() is None
