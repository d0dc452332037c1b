"""The API keys that the gateway accepts, from its settings and from a file that may change while it runs."""

import os
from pathlib import Path

import structlog

from dtwinseger.credentials import Credential, owner, parse

log = structlog.get_logger()


class Keyring:
    """Credentials of `text` (GATEWAY_API_KEYS) and of the file at `path` (GATEWAY_API_KEYS_FILE).

    The file is read again when it changes, so that keys are rotated without a restart; while what is in it is broken,
    the keys of before stand. Raises ValueError or OSError where it is broken, empty or missing at the start: a
    gateway that should ask for keys must not come up without.
    """

    def __init__(self, text: str = "", path: Path | None = None) -> None:
        self._fixed = parse(text)
        self._path = path
        self._seen = None if path is None else _version(path)
        self._filed = () if path is None else _read(path)

    @property
    def required(self) -> bool:
        """Whether callers need a key. Without any key in the settings everyone is welcome."""
        return self._path is not None or bool(self._fixed)

    def tenant(self, key: str) -> str | None:
        """The tenant whose key this is, or None."""
        self._refresh()
        return owner(key, (*self._fixed, *self._filed))

    def _refresh(self) -> None:
        if self._path is None:
            return
        try:
            version = _version(self._path)
            if version == self._seen:
                return
            self._seen = version
            self._filed = _read(self._path)
        except (OSError, ValueError) as error:
            log.error("keys.unreadable", reason=str(error))
        else:
            log.info("keys.read", keys=len(self._filed))


def _read(path: Path) -> tuple[Credential, ...]:
    found = parse(path.read_text("utf-8"))
    if not found:
        raise ValueError(f"there is no API key in {path}; `dtwinseger key TENANT` makes one")
    return found


def _version(path: Path) -> tuple[int, int, int]:
    """What changes when the file does, be it written anew or replaced behind a link."""
    state = os.stat(path)
    return state.st_ino, state.st_mtime_ns, state.st_size
