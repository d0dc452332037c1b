"""Stored values: pydantic models as JSON, compressed with zstd, versioned and checksummed. Nothing is pickled."""

from typing import TypeVar

import zstandard
from pydantic import BaseModel, ValidationError

VERSION = b"dt1:"  # a change of what is stored changes this, and old values become misses
MAX_BYTES = 256_000_000  # decompressed

Model = TypeVar("Model", bound=BaseModel)


def pack(value: bytes) -> bytes:
    """Compress `value` under a version and a checksum."""
    return VERSION + zstandard.ZstdCompressor(level=3, write_checksum=True).compress(value)


def unpack(stored: bytes) -> bytes | None:
    """What `pack` was given, or None for a value that is corrupt or of another version."""
    if not stored.startswith(VERSION):
        return None
    frame = stored[len(VERSION) :]
    try:
        if not 0 <= zstandard.frame_content_size(frame) <= MAX_BYTES:
            return None
        return zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError:
        return None


def pack_model(value: BaseModel) -> bytes:
    """A model as a stored value."""
    return pack(value.model_dump_json().encode())


def unpack_model(kind: type[Model], stored: bytes) -> Model | None:
    """The model in a stored value, or None where it is corrupt, old, or no valid `kind`."""
    value = unpack(stored)
    if value is None:
        return None
    try:
        return kind.model_validate_json(value)
    except ValidationError:
        return None
