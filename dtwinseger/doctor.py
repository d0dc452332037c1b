"""Is everything that an answer needs reachable? What `dtwinseger doctor` finds, and what to do about it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
from pydantic import ValidationError

from dtwinseger.api import ServiceInfo

TIMEOUT_S = 5.0
# Service -> where it listens unless its variable, which the gateway reads too, says otherwise.
SERVICES = {
    "perception": ("GATEWAY_PERCEPTION_URL", "http://127.0.0.1:8081"),
    "semantics": ("GATEWAY_SEMANTICS_URL", "http://127.0.0.1:8082"),
    "reasoner": ("GATEWAY_REASONER_URL", "http://127.0.0.1:8083"),
}
START = "start everything with `make run`"


@dataclass(frozen=True)
class Finding:
    """One thing that is needed. `words` say what it is, or what is wrong and what to do."""

    name: str
    ok: bool
    words: str


def examine(url: str, environment: Mapping[str, str]) -> list[Finding]:
    """Ask the gateway at `url`, and each service that can be asked directly.

    A service is asked where its variable names it or the gateway is on this machine; of others the gateway tells.
    """
    here = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    findings: list[Finding] = []
    with httpx2.Client(timeout=TIMEOUT_S) as http:
        seen = _needs(http, url)
        if isinstance(seen, str):
            findings.append(Finding("gateway", False, f"{url} {seen}: {START}, or name its URL with --url"))
        else:
            findings.append(Finding("gateway", True, url))
        for service, (variable, standard) in SERVICES.items():
            if variable in environment or here:
                findings += _service(http, service, environment.get(variable, standard), variable)
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


def _service(http: httpx2.Client, name: str, url: str, variable: str) -> Iterator[Finding]:
    needs = _needs(http, url)
    if isinstance(needs, str):
        yield Finding(name, False, f"{url} {needs}: {START}, or set {variable} to where it runs")
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
