"""Whether the store can be used at all, asked once at the start: a wrong setting does not pass by itself."""

import shutil
import sqlite3
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError, ResponseError
from redis.retry import Retry

from dtwinseger.service.start import UnusableError
from gateway.store import sqlite_path

ROOM = 32 << 20  # bytes: some twins with their images
_PATIENCE_S = 2.0


def require_usable(url: str) -> None:
    """Write to the store that `url` names. Raises UnusableError where it refuses.

    A Redis that does not answer is no reason to stop: it may come, and requests are answered without it.
    """
    if (path := sqlite_path(url)) is not None:
        _require_file(Path(path))
    else:
        _require_redis(url)


def _require_redis(url: str) -> None:
    redis = Redis.from_url(
        url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S, retry=Retry(NoBackoff(), 0), protocol=2
    )
    try:
        redis.set("dtwinseger:start", b"", px=1000)
    except (AuthenticationError, AuthorizationError) as error:
        told = "GATEWAY_STORE_URL must hold its password: redis://:PASSWORD@HOST:PORT/0"
        raise UnusableError(f"Redis refuses the gateway ({error}); {told}") from error
    except ResponseError as error:
        raise UnusableError(f"Redis takes no twins ({error}); mend it, or set GATEWAY_STORE_URL to another") from error
    except (RedisError, OSError):
        return
    finally:
        redis.close()


def _require_file(path: Path) -> None:
    remedy = "GATEWAY_STORE_URL must name a file on a volume that the gateway may write to"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _require_room(path)
        connection = sqlite3.connect(path, timeout=_PATIENCE_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA user_version = 0")  # a write that changes nothing
        finally:
            connection.close()
    except OSError as error:
        raise UnusableError(f"the store's folder {path.parent} cannot be used ({error.strerror}); {remedy}") from error
    except sqlite3.Error as error:
        if "locked" in str(error):  # another gateway is writing, so one can
            return
        raise UnusableError(f"the store {path} cannot be used ({error}); {remedy}") from error


def _require_room(path: Path) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < ROOM:
        raise UnusableError(
            f"the volume of the store {path} is full: {free >> 20} MB are free, {ROOM >> 20} are needed; make room, or "
            "set GATEWAY_STORE_URL to a file on another"
        )
