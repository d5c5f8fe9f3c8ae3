"""The bytes of one reply, unpacked within a bound: a small packed body cannot grow into a large one unseen."""

from __future__ import annotations

import zlib


class BodyTooLarge(Exception):
    """The body, unpacked, is longer than its limit."""


class BadEncoding(Exception):
    """The body is packed in a way that was not asked for, or its packing is damaged."""


_IDENTITY_ENCODINGS = frozenset(("", "identity", "none", "binary", "utf-8", "utf8"))
"""No coding at all; the last four are no names of one either, but some servers and proxies write them."""

_GZIP_MAGIC = b"\x1f\x8b"
MAX_MEMBERS = 1000
"""Members of one packed body; each may be empty, so that their number has to be bounded by itself."""


class Decompressor:
    """Takes a reply's raw chunks and keeps at most ``limit`` bytes of what they unpack to.

    ``encoding`` is the ``Content-Encoding`` header. The HTTP library's own decoder is not used: it unpacks a whole
    chunk at once, so that 64 KiB from the wire can become 64 MiB before anybody may look, and it stops after the first
    of several members (RFC 1952, section 2.2).
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self.limit = limit
        self._held = bytearray()
        self._gzip = None
        self._between = b""
        """What was read behind a member and does not say yet whether another one follows."""
        self._members = 0
        self._over = False
        codings = [
            coding for each in encoding.split(",") if (coding := each.strip().lower()) not in _IDENTITY_ENCODINGS
        ]
        if codings in (["gzip"], ["x-gzip"]):
            self._gzip = self._new_member()
        elif codings:
            raise BadEncoding("unknown content encoding")

    def add_chunk(self, chunk: bytes) -> None:
        """Take the next chunk. Raises BodyTooLarge, after which ``so_far`` holds ``limit`` bytes, and BadEncoding."""
        if self._gzip is None:
            self._append_bytes(chunk[: self._remaining_bytes()])
            return
        while chunk and not self._over:
            chunk = self._decompress_chunk(chunk)

    def so_far(self) -> bytes:
        """Everything unpacked up to now."""
        return bytes(self._held)

    def read_whole(self) -> bytes:
        """The body, once all chunks were fed. Raises BadEncoding when its packing ends too early."""
        if self._gzip is not None and not self._gzip.eof and (self._held or self._members > 1):
            raise BadEncoding("cut short")
        return self.so_far()

    def _remaining_bytes(self) -> int:
        return self.limit + 1 - len(self._held)

    def _append_bytes(self, unpacked: bytes) -> None:
        self._held += unpacked
        if len(self._held) > self.limit:
            del self._held[self.limit :]
            raise BodyTooLarge

    def _decompress_chunk(self, chunk: bytes) -> bytes:
        """Unpack a chunk as far as the end of its member, and give what stands behind."""
        assert self._gzip is not None
        if self._gzip.eof:
            return self._start_next_member(chunk)
        try:
            self._append_bytes(self._gzip.decompress(chunk, self._remaining_bytes()))
        except zlib.error as error:
            raise BadEncoding(str(error)) from error
        return self._gzip.unused_data

    def _start_next_member(self, chunk: bytes) -> bytes:
        """Begin another member where one follows; zeros between them are padding, and anything else is the end."""
        behind = (self._between + chunk).lstrip(b"\0")
        self._between = behind if behind == _GZIP_MAGIC[:1] else b""
        if not behind or self._between:
            return b""
        self._over = not behind.startswith(_GZIP_MAGIC)
        if self._over:
            return b""
        self._gzip = self._new_member()
        return behind

    def _new_member(self) -> zlib._Decompress:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise BadEncoding("too many members")
        return zlib.decompressobj(zlib.MAX_WBITS | 16)
