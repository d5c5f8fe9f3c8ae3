"""Takes secrets out of text before anybody, person or machine, can read it, and leaves words as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from zofbot.domain.redaction import shapes
from zofbot.domain.redaction.named import is_secret_name, mask_named_values
from zofbot.domain.redaction.shapes import MASK

__all__ = ["MASK", "SECRET_RULES", "SecretRule", "is_secret_name", "redact"]


class SecretRule(NamedTuple):
    """One kind of secret: ``mask`` takes it out of a text, which holds one of the ``hints`` if there is one."""

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


def redact(text: str, *known: str) -> str:
    """Replace what looks like a secret, and each of the ``known`` ones, by ``[redacted]``.

    Bearer tokens, common vendors' keys, JSON web tokens, cookies, private keys, passwords in URLs, and values behind a
    name such as ``password=`` or ``api_key:``. Words stay, whatever they stand behind: names of tests and services, and
    sentences about passwords. Takes time in proportion to the text.
    """
    for secret in known:
        if secret:
            text = text.replace(secret, MASK)
    # Most texts are titles and names: what a rule cannot match without is looked for first, at a tenth of the cost.
    folded = text.casefold()
    for rule in SECRET_RULES:
        if any(hint in folded for hint in rule.hints):
            text = rule.mask(text)
    return text
