"""Find the folders of secret files."""

from __future__ import annotations

import os
from pathlib import Path

from zofbot.domain.errors import SettingsError

DEFAULT_FOLDER = Path("/run/secrets")
"""Where Docker, Compose and Podman mount secrets (https://docs.docker.com/compose/how-tos/use-secrets/)."""


def find_secret_folders(named: str, default: Path = DEFAULT_FOLDER) -> tuple[Path, ...]:
    """Return the folders of secret files, the one that counts most last; ``default`` only if it can be read.

    ``named`` is the value of ZOFBOT_SECRETS_DIR, possibly empty. Raises SettingsError if that cannot be read.
    """
    folders = [] if _why_unreadable(default) else [default]
    if named:
        if reason := _why_unreadable(Path(named)):
            raise SettingsError([f"ZOFBOT_SECRETS_DIR is wrong: {named} cannot be read ({reason})."])
        folders.append(Path(named))
    return tuple(dict.fromkeys(folders))


def describe_skipped_folder(default: Path = DEFAULT_FOLDER) -> str:
    """Return a sentence if ``default`` exists but cannot be read, otherwise an empty string.

    Hosts have such a folder for other programs, so this alone ends no start.
    """
    if not os.path.isdir(default) or not (reason := _why_unreadable(default)):
        return ""
    return f"{default} cannot be read ({reason}) and is skipped: if it has zofbot's secrets, let this user list it."


def _why_unreadable(folder: Path) -> str:
    try:
        os.scandir(folder).close()
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""
