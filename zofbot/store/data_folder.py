"""The folder of the embedded store: ours alone, or the store does not start.

Whoever else could write there, or had put something there before, could hand us a server, a lock or a log of theirs.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from zofbot.domain.errors import SettingsError

LOCK_FILE, SOCKET_FILE, LOG_FILE = "lock", "valkey.sock", "valkey.log"

_OWN_FILES = (LOCK_FILE, SOCKET_FILE, LOG_FILE, "appendonlydir", "dump.rdb")
"""What stands in the folder; a mounted disk may have more, such as lost+found."""

_MAX_SOCKET_PATH_BYTES = 90
"""A path of a unix socket may have about 104 bytes (unix(7)), and the server writes some of its own behind it."""


def prepare_folder(folder: Path) -> tuple[Path, Path]:
    """Make the folder where it is missing; gives its real path and where its server listens.

    Raises SettingsError where it cannot be used, or is not ours alone.
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
    """Where the server of ``folder`` listens: a long path moves below the temporary directory. Raises SettingsError."""
    path = folder / SOCKET_FILE
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"zofbot-{os.getuid()}" / name
    for each in (private.parent, private):
        each.mkdir(mode=0o700, exist_ok=True)
        found = each.lstat()
        if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
            raise SettingsError([f"{each} belongs to somebody else: set ZOFBOT_DATA_DIR to a shorter path."])
        _make_private(each)
    _check_entry(private / SOCKET_FILE)
    return private / SOCKET_FILE


def open_lock(folder: Path) -> int:
    """Open the lock's file, which has to be ours, and no link to another. Raises SettingsError."""
    try:
        lock = os.open(folder / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable_error(f"{folder} cannot be used ({error.strerror})") from error
    found = os.fstat(lock)
    if found.st_uid != os.getuid() or not stat.S_ISREG(found.st_mode):
        os.close(lock)
        raise _unusable_error(f"{folder / LOCK_FILE} is not ours")
    return lock


def _unusable_error(what: str) -> SettingsError:
    mend = "set it to a folder of its own that belongs to whoever runs zofbot, or set REDIS_URL"
    return SettingsError([f"ZOFBOT_DATA_DIR is wrong: {what}; {mend}."])


def _check_link(folder: Path) -> None:
    """Follow no link but root's: systemd makes one where the user is dynamic (StateDirectory= in systemd.exec(5))."""
    if folder.is_symlink() and folder.lstat().st_uid != 0:
        raise _unusable_error(f"{folder} is a symbolic link")


def _make_private(folder: Path) -> None:
    """Insist on mode 0700; an empty folder is given it, for nobody has put anything there yet."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(0, "Not a directory")
    if found.st_uid != os.getuid():
        raise _unusable_error(f"{folder} belongs to somebody else")
    if not stat.S_IMODE(found.st_mode) & 0o077:
        return
    if any(folder.iterdir()):
        raise _unusable_error(
            f"{folder} is open to others (mode {stat.S_IMODE(found.st_mode):04o}): `chmod 700` it once it "
            "holds nothing of theirs"
        )
    folder.chmod(0o700)


def _check_entry(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if found.st_uid != os.getuid() or stat.S_ISLNK(found.st_mode):
        raise _unusable_error(f"{path} is a symbolic link or belongs to somebody else")
