"""Secret files: those that cannot be read are named, with the reason and without their content."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from zofbot.config.secret_folders import check_still_listed, describe_skipped_folder, find_secret_folders
from zofbot.config.settings import Settings, load_settings
from zofbot.domain.errors import SettingsError

NOBODY = 65534


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a folder of secret files that every user can read."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        monkeypatch.setenv("ZOFBOT_SECRETS_DIR", made)
        yield Path(made)


@pytest.fixture
def plain_user(folder: Path) -> Iterator[None]:
    """Run the test as a user for whom file modes count."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(user)


def find_problems() -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return caught.value.problems


@pytest.mark.parametrize("content", [b"hunter2\xff", "hunter2".encode("utf-16")])
def test_a_file_that_is_no_text_is_named(folder: Path, content: bytes) -> None:
    (folder / "ZOF_API_KEY").write_bytes(content)
    assert find_problems() == ["ZOF_API_KEY is wrong: the secret file is not UTF-8 text."]


@pytest.fixture
def closed_file(folder: Path) -> None:
    (folder / "ZOF_API_KEY").write_text("hunter2")
    (folder / "ZOF_API_KEY").chmod(0)


@pytest.mark.usefixtures("closed_file", "plain_user")
def test_a_file_that_may_not_be_read_is_named() -> None:
    assert find_problems() == ["ZOF_API_KEY is wrong: the secret file cannot be read (Permission denied)."]


def test_all_files_that_cannot_be_read_are_named_at_once(folder: Path) -> None:
    for name in ("SLACK_BOT_TOKEN", "ZOF_API_KEY"):
        (folder / name).write_bytes(b"\xff")
    assert [problem.split(" ")[0] for problem in find_problems()] == ["SLACK_BOT_TOKEN", "ZOF_API_KEY"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nowhere", "No such file or directory"), ("file", "Not a directory"), ("x" * 300, "File name too long")],
)
def test_a_folder_that_cannot_be_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("ZOFBOT_SECRETS_DIR", str(folder / name))
    assert find_problems() == [f"ZOFBOT_SECRETS_DIR is wrong: {folder / name} cannot be read ({reason})."]


@pytest.fixture
def closed_folder(folder: Path) -> None:
    (folder / "ZOF_API_KEY").write_text("hunter2")
    folder.chmod(0)


@pytest.mark.usefixtures("closed_folder", "plain_user")
def test_a_folder_that_may_not_be_listed_is_named(folder: Path) -> None:
    assert find_problems() == [f"ZOFBOT_SECRETS_DIR is wrong: {folder} cannot be read (Permission denied)."]


@pytest.mark.usefixtures("closed_folder", "plain_user")
def test_a_default_folder_that_may_not_be_listed_is_skipped_and_named(folder: Path) -> None:
    assert find_secret_folders("", folder) == ()
    reason = "cannot be read (Permission denied) and is skipped"
    assert describe_skipped_folder(folder) == f"{folder} {reason}: if it has zofbot's secrets, let this user list it."


@pytest.mark.usefixtures("closed_folder", "plain_user")
def test_a_default_folder_that_could_be_listed_at_the_start_is_not_skipped_later(folder: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        check_still_listed("", folder)
    assert caught.value.problems == [f"This user may no longer list {folder}."]
    check_still_listed(describe_skipped_folder(folder), folder)


def test_a_default_folder_that_cannot_be_read_for_want_of_file_descriptors_is_not_skipped(folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(SettingsError) as caught:
            find_secret_folders("", folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.problems == [f"{folder} cannot be read (Too many open files)."]


def test_a_default_folder_counts_less_than_the_named_one(folder: Path, tmp_path: Path) -> None:
    assert find_secret_folders(str(folder), tmp_path) == (tmp_path, folder)
    assert find_secret_folders(str(folder), folder) == (folder,)
    assert find_secret_folders(str(folder), tmp_path / "nowhere") == (folder,)
    assert [describe_skipped_folder(place) for place in (folder, tmp_path / "nowhere")] == ["", ""]


def test_a_folder_need_not_be_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOFBOT_SECRETS_DIR", "")
    assert load_settings().port == 3000
