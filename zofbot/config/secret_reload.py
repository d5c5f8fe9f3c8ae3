"""Reload secret files while the bot runs, so that new secrets take effect without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from pydantic import SecretStr

from zofbot.clock import Clock
from zofbot.config.settings import Settings
from zofbot.domain.errors import SettingsError
from zofbot.observability.log_config import add_secrets

log = structlog.get_logger()

RELOAD_INTERVAL_SECONDS = 15.0
"""Seconds between two reads. Kubernetes takes up to a minute to update a file (kubelet's sync period)."""

ReadSettings = Callable[[], Settings]
"""Reads all settings again. Raises SettingsError."""

SECRET_FIELDS = tuple(name for name, field in Settings.model_fields.items() if isinstance(field.default, SecretStr))

SECRETS_USED_FROM_START = ("SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN", "ZOF_WEBHOOK_SECRET")
"""Without one of these, its endpoint or connection is not opened at the start."""


class SecretReloader:
    """Calls callbacks when secret files change; ``every`` is in seconds. The environment of a process never changes."""

    def __init__(
        self, settings: Settings, read_settings: ReadSettings, clock: Clock, every: float = RELOAD_INTERVAL_SECONDS
    ) -> None:
        self._settings = settings
        self._unused = {name for name in SECRETS_USED_FROM_START if not getattr(settings, name.lower())}
        self._read_settings = read_settings
        self._clock = clock
        self._every = every
        self._callbacks: list[Callable[[Settings], None]] = []
        self._problems: list[str] = []

    def add_callbacks(self, *callbacks: Callable[[Settings], None]) -> None:
        """Add callbacks that get all settings after a secret was replaced."""
        self._callbacks += callbacks

    async def run(self) -> None:
        """Reload periodically until cancelled."""
        while True:
            await self._clock.sleep(self._every)
            await self.reload_once()

    async def reload_once(self) -> list[str]:
        """Reload once and return the names of changed secrets. Invalid settings are logged and change nothing."""
        try:
            fresh = await asyncio.to_thread(self._read_settings)
        except SettingsError as error:
            if error.problems != self._problems:
                log.error("secrets not read again, the old ones stay", problems=error.problems)
            self._problems = error.problems
            return []
        self._problems = []
        changed = [name.upper() for name in SECRET_FIELDS if getattr(fresh, name) != getattr(self._settings, name)]
        if changed:
            add_secrets(*fresh.all_secrets())  # before anything can log them
            for callback in self._callbacks:
                callback(fresh)
            self._settings = fresh
            if replaced := [name for name in changed if name not in self._unused]:
                log.info("secrets replaced", names=replaced)
            if unused := [name for name in changed if name in self._unused]:
                log.warning("secrets were empty at the start, restart zofbot to use them", names=unused)
        return changed
