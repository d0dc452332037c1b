"""The start of a service: what it cannot start with is one line that says what to change, and exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import SettingsError

from dtwinseger.service.settings import ServiceSettings

Settings = TypeVar("Settings", bound=ServiceSettings)


class UnusableError(Exception):
    """The service cannot work with what it is given; the message says why and what to set."""


@contextmanager
def starting(service: str, *known: type[Exception]) -> Iterator[None]:
    """Exit with `SERVICE cannot start: …` where the body raises UnusableError or one of `known`."""
    expected: tuple[type[Exception], ...] = (UnusableError, *known)
    try:
        yield
    except expected as error:
        raise SystemExit(f"{service} cannot start: {error}") from None


def read_settings(kind: type[Settings]) -> Settings:
    """The settings that the environment holds. Raises UnusableError, which names the variables."""
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config["env_prefix"]
        wrong = (f"{prefix}{'_'.join(map(str, item['loc']))}".upper() + f": {item['msg']}" for item in error.errors())
        raise UnusableError("; ".join(wrong)) from error
    except SettingsError as error:
        raise UnusableError(str(error)) from error
