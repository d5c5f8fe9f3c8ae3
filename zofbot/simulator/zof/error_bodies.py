"""Faulty replies of the simulated Zof: refusals, HTML pages, truncated JSON, floods."""

from __future__ import annotations

import functools
import gzip
import json

from zofbot.simulator.zof.state import HttpReply

_HTML_PAGE = "<!doctype html><html><head><title>Zof</title></head><body><h1>We will be right back</h1></body></html>"
_MEBIBYTE = 1024 * 1024


def _error_reply(status: int, code: str, message: str, **headers: str) -> HttpReply:
    return HttpReply(status, {"error": {"code": code, "message": message}}, dict(headers))


_RATE_LIMIT_MESSAGE = "Too many requests for this organization."
ERROR_REPLIES = {
    "429": _error_reply(429, "rate_limit_exceeded", _RATE_LIMIT_MESSAGE, **{"Retry-After": "2"}),
    "429_long": _error_reply(429, "rate_limit_exceeded", _RATE_LIMIT_MESSAGE, **{"Retry-After": "90"}),
    "500": _error_reply(500, "internal_error", "Something went wrong on our side."),
    "503": _error_reply(503, "unavailable", "Planned maintenance."),
    "401": _error_reply(401, "unauthorized", "The API key has been revoked."),
    "403": _error_reply(403, "forbidden", "The role of this key does not allow the operation."),
    "html": HttpReply(200, _HTML_PAGE, {"Content-Type": "text/html; charset=utf-8"}),
}
"""Faulty replies that do not depend on the request."""


@functools.cache
def flood_reply(*, compressed: bool) -> HttpReply:
    """Return a reply of 6 MiB; compressed, a few KiB that decompress to 16 MiB."""
    text = json.dumps({"id": "res_huge", "failure_summary": "x" * (_MEBIBYTE * (16 if compressed else 6))}).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip" if compressed else None}
    return HttpReply(200, gzip.compress(text, 1) if compressed else text, headers)


def cut_in_half(body: bytes) -> bytes:
    """Return the first half of a body, which is no longer valid JSON."""
    return body[: max(1, len(body) // 2)]
