"""Weights by their content: other weights, other results."""

import hashlib
from pathlib import Path

HASH_CHARACTERS = 12  # hexadecimal


def weights_hash(folder: Path) -> str | None:
    """Of the safetensors files in `folder`, by their names' order; None where it has none, or is no folder here."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:HASH_CHARACTERS]
