"""The bytes of one reply, unpacked within a bound: a small packed body cannot grow into a large one unseen."""

from __future__ import annotations

import zlib


class TooLarge(Exception):
    """The body, unpacked, is longer than its limit."""


class Garbled(Exception):
    """The body is packed in a way that was not asked for, or its packing is damaged."""


class Body:
    """Takes a reply's raw chunks and keeps at most ``limit`` bytes of what they unpack to.

    ``encoding`` is the ``Content-Encoding`` header. The HTTP library's own decoder is not used: it unpacks a whole
    chunk at once, so that 64 KiB from the wire can become 64 MiB before anybody may look.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self.limit = limit
        self._held = bytearray()
        self._gzip = None
        match encoding.strip().lower():
            case "" | "identity":
                pass
            case "gzip" | "x-gzip":
                self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
            case _:
                raise Garbled("unknown content encoding")

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk. Raises TooLarge, after which ``so_far`` holds ``limit`` bytes, and Garbled."""
        room = self.limit + 1 - len(self._held)
        self._held += chunk[:room] if self._gzip is None else self._unpacked(chunk, room)
        if len(self._held) > self.limit:
            del self._held[self.limit :]
            raise TooLarge

    def so_far(self) -> bytes:
        """Everything unpacked up to now."""
        return bytes(self._held)

    def whole(self) -> bytes:
        """The body, once all chunks were fed. Raises Garbled when its packing ends too early."""
        if self._gzip is not None and self._held and not self._gzip.eof:
            raise Garbled("cut short")
        return self.so_far()

    def _unpacked(self, chunk: bytes, room: int) -> bytes:
        # After its end a decompressor hoards whatever else it is given, without a bound.
        if self._gzip is None or self._gzip.eof:
            return b""
        try:
            return self._gzip.decompress(chunk, room)
        except zlib.error as error:
            raise Garbled(str(error)) from error
