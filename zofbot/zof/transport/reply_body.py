"""Bodies of Zof's replies, decompressed within limits."""

from __future__ import annotations

import httpx

from zofbot.domain.errors import ZofUnreadable
from zofbot.zof.protocol import TRY_AGAIN_HINT
from zofbot.zof.transport.decompression import BadEncoding, BodyTooLarge, Decompressor

MAX_BODY_BYTES = 5 * 1024 * 1024
MAX_ERROR_BODY_BYTES = 16 * 1024


async def read_body(reply: httpx.Response) -> bytes:
    """Return the whole body. Raises ZofUnreadable if it is too large or damaged."""
    try:
        body = Decompressor(reply.headers.get("content-encoding", ""), MAX_BODY_BYTES)
        async for chunk in reply.stream:  # type: ignore[union-attr]  # an AsyncClient's stream is async
            body.add_chunk(chunk)
        return body.read_whole()
    except BodyTooLarge:
        raise ZofUnreadable(
            "Zof's response is larger than 5 MiB.", "Contact an admin: this can't be fixed in Slack."
        ) from None
    except BadEncoding as error:
        raise ZofUnreadable("Zof's response couldn't be decompressed.", TRY_AGAIN_HINT) from error


async def read_error_body(reply: httpx.Response) -> bytes:
    """Return the beginning of an error's body; what could be decoded if it is damaged or breaks off."""
    body = Decompressor("", MAX_ERROR_BODY_BYTES)
    try:
        body = Decompressor(reply.headers.get("content-encoding", ""), MAX_ERROR_BODY_BYTES)
        async for chunk in reply.stream:  # type: ignore[union-attr]  # an AsyncClient's stream is async
            body.add_chunk(chunk)
    except (BodyTooLarge, BadEncoding, httpx.TransportError):
        return body.so_far()
    return body.so_far()
