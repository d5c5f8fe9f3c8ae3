"""A checkup: everything that zofbot needs is tried, and each thing that is not as it should be comes with its mend.

``asking`` goes round and tries things; the rooms beside it judge what it heard and do nothing else.
"""

from __future__ import annotations

from zofbot.diagnostics.finding import Finding, Level, check_unknown_settings
from zofbot.diagnostics.runner import run_checks

__all__ = ["Finding", "Level", "check_unknown_settings", "run_checks"]
