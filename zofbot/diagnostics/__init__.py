"""Checks of everything that zofbot needs, for ``zofbot check``; each problem comes with its fix.

``runner`` makes the calls; the other modules are pure and turn the replies into findings.
"""

from __future__ import annotations

from zofbot.diagnostics.finding import Finding, Level, check_unknown_settings
from zofbot.diagnostics.runner import run_checks

__all__ = ["Finding", "Level", "check_unknown_settings", "run_checks"]
