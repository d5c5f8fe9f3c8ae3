"""The data folder of the embedded store, which must be owned by and private to the user that runs zofbot.

Otherwise another user could plant a server socket, a lock or a log file there.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from zofbot.domain.errors import SettingsError

LOCK_FILE, SOCKET_FILE, LOG_FILE = "lock", "valkey.sock", "valkey.log"

_RECORDS_FOLDER = "appendonlydir"
"""Folder in which the server keeps its data."""

_OWN_FILES = (LOCK_FILE, SOCKET_FILE, LOG_FILE, _RECORDS_FOLDER, "dump.rdb")
"""Files of the store; others are ignored, because a mounted disk may have more, such as lost+found."""

_MAX_SOCKET_PATH_BYTES = 90
"""The path of a unix socket may have about 104 bytes (unix(7)), and the server appends a suffix."""


def has_store(folder: Path) -> bool:
    """Return whether a server has kept data in the folder. Raises SettingsError if that cannot be read."""
    try:
        return (folder / _RECORDS_FOLDER).exists()
    except OSError as error:
        raise _unusable_error(f"{folder} cannot be used ({error.strerror})") from error


def prepare_folder(folder: Path) -> tuple[Path, Path]:
    """Create the folder if it is missing; returns its real path and the path of its server's socket.

    Raises SettingsError if it cannot be used, or if it is not private to this user.
    """
    try:
        _check_link(folder)
        folder = folder.resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_private(folder)
        for name in _OWN_FILES:
            _check_entry(folder / name)
        return folder, socket_path(folder)
    except OSError as error:
        raise _unusable_error(f"{folder} cannot be used ({error.strerror})") from error


def socket_path(folder: Path) -> Path:
    """Return the socket of ``folder``'s server, in the temporary directory if too long. Raises SettingsError."""
    path = folder / SOCKET_FILE
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"zofbot-{os.getuid()}" / name
    for directory in (private.parent, private):
        directory.mkdir(mode=0o700, exist_ok=True)
        status = directory.lstat()
        if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
            raise SettingsError([f"{directory} belongs to another user: set ZOFBOT_DATA_DIR to a shorter path."])
        _make_private(directory)
    _check_entry(private / SOCKET_FILE)
    return private / SOCKET_FILE


def open_lock(folder: Path) -> int:
    """Open the lock file. Raises SettingsError if it is a link or belongs to another user."""
    try:
        lock = os.open(folder / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable_error(f"{folder} cannot be used ({error.strerror})") from error
    status = os.fstat(lock)
    if status.st_uid != os.getuid() or not stat.S_ISREG(status.st_mode):
        os.close(lock)
        raise _unusable_error(f"{folder / LOCK_FILE} belongs to another user")
    return lock


def _unusable_error(what: str) -> SettingsError:
    remedy = "set it to a directory of its own that belongs to the user that runs zofbot, or set REDIS_URL"
    return SettingsError([f"ZOFBOT_DATA_DIR is wrong: {what}; {remedy}."])


def _check_link(folder: Path) -> None:
    """Allow only links owned by root: systemd makes one for a dynamic user (StateDirectory= in systemd.exec(5))."""
    if folder.is_symlink() and folder.lstat().st_uid != 0:
        raise _unusable_error(f"{folder} is a symbolic link")


def _make_private(folder: Path) -> None:
    """Require mode 0700; an empty folder is changed to it, because nobody can have planted anything there yet."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(0, "Not a directory")
    if status.st_uid != os.getuid():
        raise _unusable_error(f"{folder} belongs to another user")
    if not stat.S_IMODE(status.st_mode) & 0o077:
        return
    if any(folder.iterdir()):
        raise _unusable_error(
            f"{folder} is open to others (mode {stat.S_IMODE(status.st_mode):04o}): `chmod 700` it once it "
            "holds nothing of theirs"
        )
    folder.chmod(0o700)


def _check_entry(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if status.st_uid != os.getuid() or stat.S_ISLNK(status.st_mode):
        raise _unusable_error(f"{path} is a symbolic link or belongs to another user")
