"""Decompress a reply within a size limit, so that a small compressed body cannot exhaust memory."""

from __future__ import annotations

import zlib


class BodyTooLarge(Exception):
    """The decompressed body is longer than its limit."""


class BadEncoding(Exception):
    """The content encoding was not requested, or the compressed data is damaged."""


_IDENTITY_ENCODINGS = frozenset(("", "identity", "none", "binary", "utf-8", "utf8"))
"""No compression; the last four are not registered names, but some servers and proxies send them."""

_GZIP_MAGIC = b"\x1f\x8b"
MAX_MEMBERS = 1000
"""Limit of gzip members per body; needed because members may be empty."""


class Decompressor:
    """Decompress a reply's chunks, keeping at most ``limit`` bytes.

    ``encoding`` is the ``Content-Encoding`` header. httpx's own decoder is not used: it decompresses a whole chunk at
    once, so that 64 KiB can become 64 MiB before the size is checked, and it stops after the first of several members
    (RFC 1952, section 2.2).
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self.limit = limit
        self._decoded = bytearray()
        self._gzip = None
        self._between = b""
        """Bytes after a member that do not show yet whether another member follows."""
        self._members = 0
        self._at_end = False
        codings = [
            coding for name in encoding.split(",") if (coding := name.strip().lower()) not in _IDENTITY_ENCODINGS
        ]
        if codings in (["gzip"], ["x-gzip"]):
            self._gzip = self._new_member()
        elif codings:
            raise BadEncoding("unknown content encoding")

    def add_chunk(self, chunk: bytes) -> None:
        """Decompress the next chunk. Raises BadEncoding, or BodyTooLarge once ``limit`` bytes are decoded."""
        if self._gzip is None:
            self._append_bytes(chunk[: self._remaining_bytes()])
            return
        while chunk and not self._at_end:
            chunk = self._decompress_chunk(chunk)

    def so_far(self) -> bytes:
        """Return everything decompressed so far."""
        return bytes(self._decoded)

    def read_whole(self) -> bytes:
        """Return the whole body after the last chunk. Raises BadEncoding if the compressed data is incomplete."""
        if self._gzip is not None and not self._gzip.eof and (self._decoded or self._members > 1):
            raise BadEncoding("cut short")
        return self.so_far()

    def _remaining_bytes(self) -> int:
        return self.limit + 1 - len(self._decoded)

    def _append_bytes(self, data: bytes) -> None:
        self._decoded += data
        if len(self._decoded) > self.limit:
            del self._decoded[self.limit :]
            raise BodyTooLarge

    def _decompress_chunk(self, chunk: bytes) -> bytes:
        """Decompress a chunk to the end of its member and return the bytes after it."""
        assert self._gzip is not None
        if self._gzip.eof:
            return self._start_next_member(chunk)
        try:
            self._append_bytes(self._gzip.decompress(chunk, self._remaining_bytes()))
        except zlib.error as error:
            raise BadEncoding(str(error)) from error
        return self._gzip.unused_data

    def _start_next_member(self, chunk: bytes) -> bytes:
        """Start the next member, if any, and return its bytes; zeros are padding, anything else ends the body."""
        rest = (self._between + chunk).lstrip(b"\0")
        self._between = rest if rest == _GZIP_MAGIC[:1] else b""
        if not rest or self._between:
            return b""
        self._at_end = not rest.startswith(_GZIP_MAGIC)
        if self._at_end:
            return b""
        self._gzip = self._new_member()
        return rest

    def _new_member(self) -> zlib._Decompress:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise BadEncoding("too many members")
        return zlib.decompressobj(zlib.MAX_WBITS | 16)
