"""Weights by their content: other weights, other results; and whether bundled ones are those of the release."""

import hashlib
import re
from pathlib import Path

HASH_CHARACTERS = 12  # hexadecimal
SUMS = "SHA256SUMS"  # beside the folders whose files it lists, as `sha256sum` writes it
_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64}) [ *](?P<folder>[^/]+)/(?P<name>.+)")


class SumsError(Exception):
    """A file is not the one that SHA256SUMS lists; the message says which, and what to do."""


def weights_hash(folder: Path) -> str | None:
    """Of the safetensors files in `folder`, by their names' order; None where it has none, or is no folder here."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        digest.update(_digest(path).digest())
    return digest.hexdigest()[:HASH_CHARACTERS]


def require_sums(folder: Path) -> None:
    """Compare the files of `folder` with the SHA256SUMS beside it, as far as that lists them. Raises SumsError.

    Weights of one's own, which no such file lists, are not judged.
    """
    folder = folder.absolute()
    sums = folder.parent / SUMS
    for name, sha256 in _listed(sums, folder.name).items():
        file = folder / name
        try:
            found = _digest(file).hexdigest()
        except OSError as error:
            listed = f"{file}, which {sums} lists,"
            raise SumsError(f"{listed} cannot be read ({error.strerror}); {_back(folder)}") from error
        if found != sha256:
            raise SumsError(
                f"{file} is not the file that {sums} lists: its SHA-256 is {found}, not {sha256}; {_back(folder)}, and "
                "where you trained it anew, `make sums` lists what is there"
            )


def _back(folder: Path) -> str:
    return f"`git checkout {folder}` brings what is bundled back"


def _listed(sums: Path, folder: str) -> dict[str, str]:
    """Name below `folder` -> SHA-256. Raises SumsError where the file cannot be read; {} where there is none."""
    try:
        lines = sums.read_text(errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SumsError(f"{sums} cannot be read ({error.strerror})") from error
    found = (_LINE.fullmatch(line) for line in lines)
    return {line["name"]: line["sha256"] for line in found if line and line["folder"] == folder}


def _digest(path: Path) -> "hashlib._Hash":
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")
