"""Verify the signature of Zof's webhooks."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def is_signed(raw: bytes, given: str, secrets: Iterable[str]) -> bool:
    """True if ``given`` is the hex HMAC-SHA256 of the raw body with one of the ``secrets``.

    Upper case and a ``sha256=`` prefix are accepted (https://zof.ai/docs/examples/webhook-signature-verify).
    """
    received = given.strip().lower().removeprefix("sha256=").encode("utf-8", "surrogateescape")
    expected = [hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest().encode() for secret in secrets if secret]
    # Compare with all, so that the time taken does not reveal which one matched.
    return sum([hmac.compare_digest(item, received) for item in expected]) > 0
