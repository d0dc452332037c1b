"""`.env.example` names every setting of every deployable, with the default that it has."""

import re

import pytest
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from dtwinseger.service.settings import ServiceSettings
from embedded.ports import STANDARD, variable
from embedded.stack import ROOT
from gateway.settings import GatewaySettings
from services.perception.settings import PerceptionSettings
from services.reasoner.settings import ReasonerSettings
from services.semantics.settings import SemanticsSettings

SETTINGS: list[type[BaseSettings]] = [GatewaySettings, PerceptionSettings, SemanticsSettings, ReasonerSettings]
EXAMPLE = dict(re.findall(r"^# ([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def _variables(settings: type[BaseSettings]) -> set[str]:
    """The variables of a deployable's own fields; what all share is shown once, for the gateway."""
    prefix = settings.model_config["env_prefix"]
    names = set()
    for name, field in settings.model_fields.items():
        if name in ServiceSettings.model_fields and settings is not GatewaySettings:
            continue
        if isinstance(field.default, BaseModel):
            names |= {f"{prefix}{name}_{inner}".upper() for inner in type(field.default).model_fields}
        else:
            names.add(f"{prefix}{name}".upper())
    return names


def test_every_setting_is_named() -> None:
    named = {name for settings in SETTINGS for name in _variables(settings)}
    assert named | {variable(name) for name in STANDARD} <= set(EXAMPLE)


def test_the_ports_shown_are_the_standard_ones() -> None:
    assert {name: EXAMPLE[variable(name)] for name in STANDARD} == {name: str(port) for name, port in STANDARD.items()}


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_values_shown_are_the_defaults(settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = settings()
    for name, value in EXAMPLE.items():
        if value:  # shown without a value: unset
            monkeypatch.setenv(name, value)
    assert settings() == plain
