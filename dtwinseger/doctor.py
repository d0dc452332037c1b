"""Is everything that an answer needs reachable? What `dtwinseger doctor` finds, and what to do about it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from pydantic import ValidationError

from dtwinseger.abilities import Asked, Unusable
from dtwinseger.api import ServiceInfo

TIMEOUT_S = 5.0
ENGINE_TIMEOUT_S = 60.0  # an engine may load the model first
# Service -> where it listens unless its variable, which the gateway reads too, says otherwise.
SERVICES = {
    "perception": ("GATEWAY_PERCEPTION_URL", "http://127.0.0.1:8081"),
    "semantics": ("GATEWAY_SEMANTICS_URL", "http://127.0.0.1:8082"),
    "reasoner": ("GATEWAY_REASONER_URL", "http://127.0.0.1:8083"),
}
# Service -> the role of its model.
ENGINES = {"semantics": "vlm", "reasoner": "llm"}
ENGINE_URL = "http://127.0.0.1:8090/v1"
START = "start everything with `make run`"
LOGS = (
    "one that stopped at its start says why in the last line of its log (`docker compose logs`, `kubectl describe pod`)"
)
LAUNCHER_LOG = Path(".run/launcher.log")  # where `make run` leaves why it ended


@dataclass(frozen=True)
class Finding:
    """One thing that is needed. `words` say what it is, or what is wrong and what to do."""

    name: str
    ok: bool
    words: str


def examine(url: str, environment: Mapping[str, str]) -> list[Finding]:
    """Ask the gateway at `url`, and each service and engine that can be asked directly.

    A service is asked where its variable names it or the gateway is on this machine; of others the gateway tells. Its
    engine is asked what it can do, with the variables that the service reads. Where `make run` ended by itself in this
    folder, its reason is told.
    """
    here = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    findings: list[Finding] = []
    with httpx2.Client(timeout=TIMEOUT_S) as http:
        seen = _needs(http, url)
        if isinstance(seen, str):
            findings.append(Finding("gateway", False, f"{url} {seen}: {START}, or name its URL with --url; {LOGS}"))
            if here and LAUNCHER_LOG.exists():
                findings.append(Finding("make run", False, f"ended at {LAUNCHER_LOG.read_text().strip()}"))
        else:
            findings.append(Finding("gateway", True, url))
        for service, (variable, standard) in SERVICES.items():
            if variable in environment or here:
                findings += _service(http, service, environment.get(variable, standard), variable, environment)
            elif not isinstance(seen, str) and service in seen:
                findings.append(Finding(service, seen[service] == "ok", f"says the gateway: {seen[service]}"))
        if not isinstance(seen, str):
            findings += _as_the_gateway_sees(seen, {finding.name for finding in findings if finding.ok})
    return findings


def _as_the_gateway_sees(needs: Mapping[str, str], reached: set[str]) -> Iterator[Finding]:
    """Its store, and a service that answers here but not there."""
    for name, state in needs.items():
        if name not in SERVICES:
            yield Finding(name, state == "ok", state)
        elif state != "ok" and name in reached:
            yield Finding(f"gateway to {name}", False, f"{state}; set {SERVICES[name][0]} where the gateway runs")


def _service(
    http: httpx2.Client, name: str, url: str, variable: str, environment: Mapping[str, str]
) -> Iterator[Finding]:
    needs = _needs(http, url)
    if isinstance(needs, str):
        yield Finding(name, False, f"{url} {needs}: {START}, or set {variable} to where it runs; {LOGS}")
        return
    yield Finding(name, True, url)
    for need, state in needs.items():
        yield Finding(f"{name}: {need}", state == "ok", state)
    try:
        info = ServiceInfo.model_validate_json(http.get(f"{url}/v1/info").content)
    except (httpx2.HTTPError, ValidationError):
        yield Finding(f"{name}: info", False, f"{url}/v1/info tells no {ServiceInfo.__name__}: is it of this version?")
        return
    for role, model in info.models.items():
        yield Finding(f"{name}: {role}", True, model)
    if name in ENGINES:
        model = info.models.get(ENGINES[name], "").partition("@")[0]  # without the hash of its weights
        yield from _engine(http, name, model, needs.get("engine") == "ok", environment)


def _engine(
    http: httpx2.Client, service: str, model: str, serves: bool, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """What the engine of `service` can do, or why it cannot be asked. serves: whether the service says it is well."""
    prefix = f"{service.upper()}_ENGINE_"
    url = environment.get(f"{prefix}URL", ENGINE_URL)
    model = environment.get(f"{prefix}MODEL", model)
    told = environment.get(f"{prefix}STRUCTURED_OUTPUT", "false").lower() in ("1", "true", "yes", "on")
    with httpx2.Client(timeout=httpx2.Timeout(ENGINE_TIMEOUT_S, connect=TIMEOUT_S)) as patient:
        engine = Asked(patient, url, model, environment.get(f"{prefix}API_KEY", "none"))
        try:
            engine.require_chat()
            if ENGINES[service] == "vlm":
                images = engine.images()
                hint = "" if images.able else f"; it needs to: set {prefix}URL and {prefix}MODEL to a vision model"
                yield Finding(f"{service}: takes images", images.able, images.words + hint)
            schema = engine.schema()
            hint = f"; set {prefix}STRUCTURED_OUTPUT={str(schema.able).lower()}" if schema.able != told else ""
            yield Finding(f"{service}: holds to a JSON schema", schema.able or not told, schema.words + hint)
            yield Finding(f"{service}: gives log-probabilities", True, engine.logprobs().words)
        except Unusable as error:
            name, setting = f"{service}: engine's abilities", prefix + error.setting
            if serves and f"{prefix}URL" not in environment:  # it is elsewhere
                yield Finding(name, True, f"not asked: {url} {error}; set {prefix}URL to where it is")
            else:
                yield Finding(name, False, f"{url} {error}: look at {setting}")


def _needs(http: httpx2.Client, url: str) -> dict[str, str] | str:
    """What the service at `url` needs and how that is, or why it cannot be asked."""
    try:
        response = http.get(f"{url.rstrip('/')}/readyz")
        needs = response.json()["needs"]
        return {str(need): str(state) for need, state in needs.items()}
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"does not answer ({str(error) or type(error).__name__})"
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        return "answers, but is no service of ours"
