"""Find the folders of secret files."""

from __future__ import annotations

import os
from pathlib import Path

from zofbot.domain.errors import SettingsError

DEFAULT_FOLDER = Path("/run/secrets")
"""Where Docker, Compose and Podman mount secrets (https://docs.docker.com/compose/how-tos/use-secrets/)."""


def find_secret_folders(named: str, default: Path = DEFAULT_FOLDER) -> tuple[Path, ...]:
    """Return the folders of secret files, the one that counts most last.

    ``named`` is the value of ZOFBOT_SECRETS_DIR, possibly empty. ``default`` is skipped if it does not exist or this
    user may not list it. Raises SettingsError if a folder cannot be read otherwise.
    """
    folders = [default] if os.path.isdir(default) and not describe_skipped_folder(default) else []
    if named:
        if error := _find_listing_error(Path(named)):
            raise SettingsError([f"ZOFBOT_SECRETS_DIR is wrong: {named} cannot be read ({error.strerror})."])
        folders.append(Path(named))
    return tuple(dict.fromkeys(folders))


def describe_skipped_folder(default: Path = DEFAULT_FOLDER) -> str:
    """Return a sentence if ``default`` exists but this user may not list it, otherwise an empty string.

    Hosts have such a folder for other programs, so this alone ends no start. Raises SettingsError if it cannot be read
    for another reason.
    """
    error = _find_listing_error(default) if os.path.isdir(default) else None
    if error is None:
        return ""
    reason = f"{default} cannot be read ({error.strerror})"
    if not isinstance(error, PermissionError):
        raise SettingsError([f"{reason}."])
    return f"{reason} and is skipped: if it has zofbot's secrets, let this user list it."


def check_still_listed(skipped: str, default: Path = DEFAULT_FOLDER) -> None:
    """Raise SettingsError if ``default`` can be listed no more: its secrets would count as removed.

    ``skipped`` is what ``describe_skipped_folder`` returned at the start.
    """
    if describe_skipped_folder(default) and not skipped:
        raise SettingsError([f"This user may no longer list {default}."])


def _find_listing_error(folder: Path) -> OSError | None:
    try:
        os.scandir(folder).close()
    except OSError as error:
        return error
    return None
