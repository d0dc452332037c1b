"""docker-compose.yml: it hands every setting on, keeps every container to little, and both profiles are whole."""

import re
import shlex
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from embedded.stack import ROOT
from gateway.settings import GatewaySettings
from services.perception.settings import PerceptionSettings
from services.reasoner.settings import ReasonerSettings
from services.semantics.settings import SemanticsSettings

TEXT = (ROOT / "docker-compose.yml").read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
NOT_HERE = {"SEMANTICS_OWLV2_MODEL", "SEMANTICS_OWLV2_THRESHOLD", "SEMANTICS_OWLV2_IOU"}  # need torch


def variables(settings: type[BaseSettings]) -> set[str]:
    prefix = settings.model_config["env_prefix"]
    names: set[str] = set()
    for name, field in settings.model_fields.items():
        inner = type(field.default).model_fields if isinstance(field.default, BaseModel) else [""]
        names |= {f"{prefix}{name}_{one}".rstrip("_").upper() for one in inner}
    return names


@pytest.mark.parametrize(
    ("settings", "services"),
    [
        (GatewaySettings, ["gateway"]),
        (PerceptionSettings, ["perception", "perception-gpu"]),
        (SemanticsSettings, ["semantics", "semantics-gpu"]),
        (ReasonerSettings, ["reasoner", "reasoner-gpu"]),
    ],
)
def test_every_setting_is_handed_on(settings: type[BaseSettings], services: list[str]) -> None:
    for service in services:
        assert set(SERVICES[service]["environment"]) >= variables(settings) - NOT_HERE, service


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_limits_and_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["stop_grace_period"] == "40s"
    assert service["profiles"]
    if not name.startswith("vllm"):  # it compiles kernels into its home
        assert service["read_only"]
        assert service["cpus"]
    if name != "nginx":
        assert "ports" not in service
    assert all(volume.get("read_only") for volume in service.get("volumes", []) if isinstance(volume, dict))


def test_a_container_has_longer_to_end_than_the_service_takes() -> None:
    example = (ROOT / ".env.example").read_text()
    (grace,) = re.findall(r"GRACE_S: \$\{GRACE_S:-(\d+)\}", TEXT)
    (drain,) = re.findall(r"^# GATEWAY_DRAIN_S=(\d+)$", example, re.MULTILINE)
    assert int(drain) + int(grace) + 2 < 40


def test_every_variable_is_explained_and_none_holds_a_secret() -> None:
    example = (ROOT / ".env.example").read_text()
    for name, otherwise in re.findall(r"(?<!\$)\$\{([A-Z_]+)(?::-([^}]*))?\}", TEXT):
        assert re.search(rf"^# {name}=", example, re.MULTILINE), f"{name} is not in .env.example"
        assert not otherwise or not re.search("PASSWORD|KEY|TOKEN", name) or name == "REASONER_TWIN_TOKENS"


def test_vllm_is_started_as_its_page_says() -> None:
    page = (ROOT / "docs" / "vllm.md").read_text()
    (documented,) = re.findall(r"Two cards of 80 GB:\n\n```sh\nvllm serve (.*?)\n```", page, re.DOTALL)
    command = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", SERVICES["vllm"]["command"])
    given, told = _options(command), _options(documented)
    assert given.pop("--served-model-name") == documented.split()[0]
    assert given.pop("--lora-modules")
    assert told.pop("--lora-modules")
    assert given == told


def _options(command: str) -> dict[str, str]:
    """Flag -> what stands behind it, up to the next one."""
    options: dict[str, str] = {}
    name = ""
    for word in shlex.split(command.replace("\\\n", " ")):
        if word.startswith("--"):
            name, options[word] = word, ""
        elif name:
            options[name] = f"{options[name]} {word}".strip()
    return options
