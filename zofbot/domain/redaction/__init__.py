"""Redact secrets in text, and leave ordinary words unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from zofbot.domain.redaction import shapes
from zofbot.domain.redaction.named import is_secret_name, mask_named_values
from zofbot.domain.redaction.shapes import MASK

__all__ = ["MASK", "SECRET_RULES", "SecretRule", "is_secret_name", "redact"]


class SecretRule(NamedTuple):
    """A kind of secret: ``mask`` redacts it; every text with such a secret contains one of the ``hints``."""

    hints: tuple[str, ...]
    mask: Callable[[str], str]


SECRET_RULES = (
    SecretRule(("-----begin",), partial(shapes.PRIVATE_KEY_PATTERN.sub, MASK)),
    SecretRule(("@",), partial(shapes.URL_PASSWORD_PATTERN.sub, shapes.mask_url_password)),
    SecretRule(("cookie",), partial(shapes.COOKIE_PATTERN.sub, shapes.mask_cookie)),
    SecretRule(("authorization",), partial(shapes.HEADER_PATTERN.sub, shapes.mask_header)),
    SecretRule(
        ("bearer", "basic", "digest", "apikey", "token"), partial(shapes.SCHEME_PATTERN.sub, shapes.mask_scheme)
    ),
    SecretRule(("-u", "--proxy-u"), partial(shapes.LOGIN_PATTERN.sub, shapes.mask_login)),
    SecretRule(("",), partial(shapes.TOKEN_PATTERN.sub, shapes.mask_token)),
    SecretRule(("k-", "k_", "f-", "f_"), partial(shapes.PREFIXED_KEY_PATTERN.sub, shapes.mask_prefixed_key)),
    SecretRule(("eyj",), partial(shapes.WEB_TOKEN_PATTERN.sub, shapes.mask_web_token)),
    SecretRule(
        ("pass", "pwd", "secret", "cred", "key", "token", "sess", "sig", "cookie", "auth", "otp", "jwt"),
        mask_named_values,
    ),
)

_RULES_WITHOUT_HINT = tuple(rule for rule in SECRET_RULES if "" in rule.hints)
_HINT_PATTERN = re.compile("|".join(sorted({re.escape(hint) for rule in SECRET_RULES for hint in rule.hints if hint})))


def redact(text: str, *known: str) -> str:
    """Replace what looks like a secret, and each of the ``known`` ones, by ``[redacted]``.

    Bearer tokens, common vendors' keys, JSON web tokens, cookies, private keys, passwords in URLs, and values after a
    name such as ``password=`` or ``api_key:``. Words are kept, even after such a name: names of tests and services, and
    sentences about passwords. Takes time linear in the text.
    """
    for secret in known:
        if secret:
            text = text.replace(secret, MASK)
    # Most texts are titles and names, so check the hints first, at a tenth of the cost.
    folded = text.casefold()
    for rule in SECRET_RULES if _HINT_PATTERN.search(folded) else _RULES_WITHOUT_HINT:
        for hint in rule.hints:
            if hint in folded:
                text = rule.mask(text)
                break
    return text
