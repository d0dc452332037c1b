"""API keys: what a caller holds, and the fingerprint by which the gateway knows it.

A key is 256 random bits, so nobody can guess one from its hash: plain SHA-256 is enough, where a password would need
salt and a slow hash.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

PREFIX = "dts_"  # lets scanners of leaked secrets know one
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Credential:
    """A key as the gateway knows it. A tenant may have several, so that one can replace another."""

    tenant: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.tenant}:{self.fingerprint}"


def new_key() -> str:
    """A key that nobody has had before: 256 random bits in URL-safe characters."""
    return PREFIX + secrets.token_urlsafe(32)


def fingerprint(key: str) -> str:
    """SHA-256 of a key, in 64 hexadecimal digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def credential(tenant: str, key: str) -> Credential:
    """What the gateway is told of `key`. Raises ValueError for a name that cannot be a tenant's."""
    if not _TENANT.fullmatch(tenant):
        raise ValueError(f"{tenant!r} is no tenant: use 1 to 64 of a-z, 0-9, - and _, not - or _ first")
    return Credential(tenant, fingerprint(key))


def parse(text: str) -> tuple[Credential, ...]:
    """The credentials in `text`: `tenant:fingerprint`, separated by commas or new lines; # begins a comment.

    Raises ValueError that names the entry by its place, not its content: it may be a key that was put there by mistake.
    """
    entries = [entry.strip() for line in text.splitlines() for entry in line.partition("#")[0].split(",")]
    found = []
    for number, entry in enumerate(filter(None, entries), start=1):
        tenant, _, digest = entry.partition(":")
        if not _TENANT.fullmatch(tenant) or not _FINGERPRINT.fullmatch(digest):
            raise ValueError(f"entry {number} of the API keys is not tenant:sha256; `dtwinseger key TENANT` makes one")
        found.append(Credential(tenant, digest))
    return tuple(found)


def owner(key: str, credentials: Iterable[Credential]) -> str | None:
    """The tenant whose key this is, or None. Every credential is compared, each in constant time."""
    given, tenant = fingerprint(key), None
    for known in credentials:
        if hmac.compare_digest(given, known.fingerprint):
            tenant = known.tenant
    return tenant
