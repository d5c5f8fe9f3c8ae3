"""The folder of the embedded store, on a real file system: ours alone, or the store does not start."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import redis.asyncio as redis

from zofbot.clock import Clock
from zofbot.domain.errors import SettingsError
from zofbot.store.redis_server.data_folder import socket_path
from zofbot.store.redis_server.embedded import start_embedded

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to somebody else")

SOMEBODY = 4242


async def refusal_text(folder: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        async with start_embedded(folder, Clock()):
            raise AssertionError("it cannot have started")
    [problem] = caught.value.problems
    assert "ZOFBOT_DATA_DIR" in problem
    return problem


async def test_nobody_else_may_read_what_the_store_writes(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with start_embedded(tmp_path / "data", Clock()) as url, redis.from_url(url) as client:
            await client.set("a", "b")
            every = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
            open_ = {path.name: oct(path.lstat().st_mode) for path in every if path.lstat().st_mode & 0o077}
            assert open_ == {}
            assert len(every) > 4
    finally:
        os.umask(before)


async def test_an_empty_folder_that_is_open_to_others_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    async with start_embedded(folder, Clock()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o750, 0o707, 0o777, 0o1777, 0o711])
async def test_a_folder_in_use_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "appendonlydir").mkdir()
    folder.chmod(mode)
    assert "chmod 700" in await refusal_text(folder)


@needs_root
async def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    os.chown(folder, SOMEBODY, SOMEBODY)
    assert "belongs to another user" in await refusal_text(folder)


@needs_root
async def test_a_link_that_somebody_made_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "data").symlink_to(tmp_path / "elsewhere")
    os.lchown(tmp_path / "data", SOMEBODY, SOMEBODY)
    assert "symbolic link" in await refusal_text(tmp_path / "data")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@needs_root
async def test_a_link_that_root_made_is_followed_as_systemd_needs(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "data").symlink_to(tmp_path / "private")
    async with start_embedded(tmp_path / "data", Clock()):
        assert (tmp_path / "private" / "valkey.log").is_file()


def make_symlink(path: Path) -> None:
    target = path.parent.parent / "target"
    target.write_text("kept")
    path.symlink_to(target)


def give_away(path: Path) -> None:
    path.write_text("")
    os.chown(path, SOMEBODY, SOMEBODY)


def listen_at(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFSOCK)
    os.chown(path, SOMEBODY, SOMEBODY)


@pytest.mark.parametrize("name", ["lock", "valkey.sock", "valkey.log", "appendonlydir"])
@pytest.mark.parametrize(
    "planted",
    [make_symlink, pytest.param(give_away, marks=needs_root), pytest.param(listen_at, marks=needs_root)],
)
async def test_what_others_put_there_is_neither_used_nor_followed(
    tmp_path: Path, name: str, planted: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    planted(folder / name)
    problem = await refusal_text(folder)
    assert name in problem
    assert (folder / name).lstat()
    if planted is make_symlink:
        assert (tmp_path / "target").read_text() == "kept"


@needs_root
@pytest.mark.parametrize("part", ["parent", "folder", "socket"])
async def test_a_socket_below_the_temporary_directory_is_ours_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    deep = tmp_path / ("d" * 120)
    path = socket_path(deep)
    if part == "socket":
        listen_at(path)
    else:
        os.chown(path.parent if part == "folder" else path.parent.parent, SOMEBODY, SOMEBODY)
    assert "another user" in await refusal_text(deep)
