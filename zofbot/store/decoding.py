"""Decoding of what Redis returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def decode_text(value: bytes | str, errors: str = "strict") -> str:
    """Return text from a client with or without ``decode_responses``; ``errors`` is as for ``bytes.decode``."""
    return value.decode(errors=errors) if isinstance(value, bytes) else value


def decode_texts(values: Iterable[bytes | str]) -> list[str]:
    """Decode several texts."""
    return [decode_text(value) for value in values]


def decode_hash(fields: Mapping[bytes, bytes], errors: str = "strict") -> dict[str, str]:
    """Decode a hash; ``errors`` is as for ``bytes.decode``."""
    return {decode_text(name): decode_text(value, errors) for name, value in fields.items()}


def decode_pairs(flat: Iterable[bytes | str]) -> dict[str, str]:
    """Decode a hash as scripts return it: fields and values in turn."""
    parts = map(decode_text, flat)
    return dict(zip(parts, parts, strict=True))
