"""The manifests as they are applied: what a cluster needs of them, and what our own settings and docs say."""

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from dtwinseger.service.settings import ServiceSettings
from gateway.settings import GatewaySettings
from ops.manifests import OVERLAYS, ROOT, WORKLOADS, Manifest, pod_of, rendered, renderer
from services.perception.settings import PerceptionSettings
from services.perception.weights import RELEASES
from services.reasoner.settings import ReasonerSettings
from services.semantics.settings import SemanticsSettings

COMMAND = renderer()
SERVICES = ("gateway", "perception", "semantics", "reasoner")
SETTINGS: tuple[type[ServiceSettings], ...] = (
    GatewaySettings,
    PerceptionSettings,
    SemanticsSettings,
    ReasonerSettings,
)
FLUSH_S = 2  # of traces, after the requests in flight
# What is set and read by somebody else's program.
FOREIGN = {"FORWARDED_ALLOW_IPS", "REDIS_PASSWORD", "REDISCLI_AUTH", "MODEL", "REVISION", "HOME", "USER"}
FOREIGN_PREFIXES = ("DTWINSEGER_", "HF_", "VLLM_", "OTEL_")


@cache
def manifests() -> dict[str, list[Manifest]]:
    if COMMAND is None:
        pytest.skip("needs kubectl or kustomize to render the overlays")
    return rendered(COMMAND)


def of_kind(overlay: str, *kinds: str) -> dict[str, Manifest]:
    return {m["metadata"]["name"]: m for m in manifests()[overlay] if m["kind"] in kinds}


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def every_pod() -> Iterator[tuple[str, Manifest, Manifest]]:
    """Overlay, workload and its pod's spec."""
    for overlay in manifests():
        for workload in of_kind(overlay, *WORKLOADS).values():
            yield overlay, workload, pod_of(workload)


def known_variables() -> set[str]:
    """Every variable that a settings class of ours reads."""
    known = {"GRACE_S"}
    for settings in SETTINGS:
        prefix = str(settings.model_config["env_prefix"])
        for name, field in settings.model_fields.items():
            known.add(f"{prefix}{name}".upper())
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                known |= {f"{prefix}{name}_{inner}".upper() for inner in field.annotation.model_fields}
    return known


def given_variables() -> set[str]:
    """Every variable that some manifest sets, by a list, a map or a secret."""
    given: set[str] = set()
    for overlay in manifests():
        sources: dict[str, Any] = of_kind(overlay, "ConfigMap", "Secret")
        for _, _, pod in [(o, w, p) for o, w, p in every_pod() if o == overlay]:
            for container in containers(pod):
                given |= {variable["name"] for variable in container.get("env", [])}
                for source in container.get("envFrom", []):
                    named = (source.get("configMapRef") or source.get("secretRef"))["name"]
                    given |= set(sources[named]["data"])
    return given


def test_every_variable_in_a_manifest_is_a_setting() -> None:
    ours = {name for name in given_variables() - FOREIGN if not name.startswith(FOREIGN_PREFIXES)}
    assert len(ours) > 25
    assert ours <= known_variables()


def test_every_variable_in_the_compose_file_is_a_setting() -> None:
    compose = ROOT / "docker-compose.yml"
    if not compose.exists():
        pytest.skip("no docker-compose.yml")
    services = yaml.safe_load(compose.read_text())["services"]
    named = {name for service in services.values() for name in service.get("environment", {})}
    ours = {name for name in named if name.startswith(tuple(f"{service.upper()}_" for service in SERVICES))}
    assert ours
    assert ours <= known_variables()


def test_no_pod_has_more_rights_than_it_needs() -> None:
    for overlay, workload, pod in every_pod():
        where = f"{overlay}: {workload['metadata']['name']}"
        assert pod["securityContext"]["runAsNonRoot"] is True, where
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert pod["automountServiceAccountToken"] is False, where
        for container in containers(pod):
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False, where
            assert rights["readOnlyRootFilesystem"] is True, where
            assert rights["capabilities"] == {"drop": ["ALL"]}, where
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), where
            assert "memory" in container["resources"]["limits"], where


def test_the_last_lines_of_what_ends_in_an_error_are_kept_for_kubectl_describe() -> None:
    for overlay, workload, pod in every_pod():
        for container in containers(pod):
            where = f"{overlay}: {workload['metadata']['name']}"
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError", where


def test_what_is_written_is_written_to_a_volume() -> None:
    """The root is read-only: /tmp is where uploads are spooled."""
    for overlay in OVERLAYS:
        for service in SERVICES:
            [container] = pod_of(of_kind(overlay, "Deployment")[service])["containers"]
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_time_to_drain(service: str) -> None:
    for overlay in OVERLAYS:
        pod = pod_of(of_kind(overlay, "Deployment")[service])
        [container] = pod["containers"]
        [settings] = [container["envFrom"][0]["configMapRef"]["name"]]
        drain = float(of_kind(overlay, "ConfigMap")[settings]["data"][f"{service.upper()}_DRAIN_S"])
        [grace] = [float(a.partition("=")[2]) for a in container["args"] if a.startswith("--timeout-graceful-shutdown")]
        assert grace >= ServiceSettings.model_fields["timeout_s"].default
        assert pod["terminationGracePeriodSeconds"] > drain + grace + FLUSH_S


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_that_serves_is_probed_and_waited_for(overlay: str) -> None:
    for name, workload in of_kind(overlay, "Deployment", "StatefulSet").items():
        [container] = pod_of(workload)["containers"]
        startup = container["startupProbe"]
        assert {"readinessProbe", "livenessProbe"} <= set(container), name
        patience_s = startup["periodSeconds"] * startup["failureThreshold"]
        assert patience_s >= {"perception": 900, "llm": 1800, "vlm": 1800, "engine": 300}.get(name, 60), name
        if name in SERVICES:
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            assert container["livenessProbe"]["httpGet"]["path"] == "/livez"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_reached_that_is_not_listed(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    outside = {
        name
        for name, policy in policies.items()
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        if "ipBlock" in peer
    }
    expected = {
        "embedded": set(),
        "gpu": {"weights"},
        "hosted": {"weights", "ask-hosted-vlm"},
        "autoscale": {"weights"},
    }
    assert outside == expected[overlay]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_policies_and_services_find_pods_and_open_their_ports(overlay: str) -> None:
    ports: dict[str, set[int]] = {"eval": set(), "models": set(), "weights": set()}
    for name, workload in of_kind(overlay, "Deployment", "StatefulSet").items():
        [container] = pod_of(workload)["containers"]
        ports[name] = {port["containerPort"] for port in container["ports"]}
        assert workload["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] == name
    label = "app.kubernetes.io/name"
    for name, service in of_kind(overlay, "Service").items():
        assert service["spec"]["selector"] == {label: name}
        assert {port["port"] for port in service["spec"]["ports"]} == ports[name]
    for policy in of_kind(overlay, "NetworkPolicy").values():
        for rule in policy["spec"].get("egress", []):
            for peer in rule["to"]:
                target = peer.get("podSelector", {}).get("matchLabels", {}).get(label)
                if target:
                    assert {port["port"] for port in rule["ports"]} <= ports[target], policy["metadata"]["name"]


def test_gpus_are_asked_for_where_they_are() -> None:
    for name, cards in {"perception": 1, "llm": 2, "vlm": 2}.items():
        pod = pod_of(of_kind("gpu", "Deployment")[name])
        assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
        resources = pod["containers"][0]["resources"]
        assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == cards
    shared = {v["name"]: v for v in pod_of(of_kind("gpu", "Deployment")["llm"])["volumes"]}
    assert shared["shm"]["emptyDir"]["medium"] == "Memory"
    assert not any("nvidia.com/gpu" in str(pod) for overlay, _, pod in every_pod() if overlay == "embedded")


def test_vllm_runs_with_the_command_line_of_the_docs() -> None:
    """That one is put through vLLM's own parser: `make check-vllm`."""
    blocks = re.findall(r"^vllm serve .*?(?=^```)", (ROOT / "docs/vllm.md").read_text(), re.MULTILINE | re.DOTALL)
    [told] = [block for block in blocks if "--tensor-parallel-size 2" in block]
    [vllm] = pod_of(of_kind("gpu", "Deployment")["llm"])["containers"]
    words = shlex.split(told.replace("\\\n", " "))[2:]
    served = [
        word for argument in vllm["args"] for word in (argument.split("=", 1) if argument[:2] == "--" else [argument])
    ]
    assert served[:2] == ["--served-model-name", words[0]]
    assert sorted(served[2:]) == sorted(words[1:])
    adapters = {argument.partition("=")[0] for argument in vllm["args"] if "@" in argument}
    assert set(json.loads(of_kind("gpu", "ConfigMap")["adapters"]["data"]["adapters.json"]).values()) == adapters


def test_perception_reads_the_checkpoint_that_the_job_fetches() -> None:
    [job] = pod_of(of_kind("gpu", "Job")["sam-weights"])["containers"]
    settings = next(m["data"] for name, m in of_kind("gpu", "ConfigMap").items() if name.startswith("perception"))
    [perception] = pod_of(of_kind("gpu", "Deployment")["perception"])["containers"]
    release = RELEASES[settings["PERCEPTION_ARCHITECTURE"]]
    assert job["args"] == [settings["PERCEPTION_ARCHITECTURE"], "--folder", "/app/models"]
    assert settings["PERCEPTION_CHECKPOINT"] == f"models/{release.file}"
    assert {"name": "models", "mountPath": "/app/models", "readOnly": True} in perception["volumeMounts"]


def test_whoever_scales_is_alone_in_saying_how_many() -> None:
    deployments = of_kind("autoscale", "Deployment")
    targets = {m["spec"]["scaleTargetRef"]["name"] for m in of_kind("autoscale", "HorizontalPodAutoscaler").values()}
    targets |= {m["spec"]["scaleTargetRef"]["name"] for m in of_kind("autoscale", "ScaledObject").values()}
    assert targets == {"gateway", "perception", "llm", "vlm"}
    assert {name for name, m in deployments.items() if "replicas" not in m["spec"]} == targets


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_disruption_leaves_somebody_to_answer(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    assert set(SERVICES) | {"redis"} <= set(budgets)
    assert all(budget["spec"]["maxUnavailable"] == 1 for budget in budgets.values())


def test_no_secret_is_committed() -> None:
    written = [p for p in (ROOT / "k8s").rglob("*") if p.is_file() and "kind: Secret" in p.read_text()]
    assert written == []
    ignored = (ROOT / ".gitignore").read_text()
    for example in (ROOT / "k8s").rglob("*.example"):
        assert f"/k8s/**/{example.stem}\n" in ignored


def test_the_ingress_is_as_patient_as_the_gateway_and_takes_what_it_takes() -> None:
    [ingress] = of_kind("gpu", "Ingress").values()
    told = {name.rpartition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()}
    assert int(told["proxy-read-timeout"]) > GatewaySettings.model_fields["async_timeout_s"].default
    assert told["proxy-body-size"] == "21m"
    paths = {path["path"] for path in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert not paths & {"/metrics", "/readyz", "/livez"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_gateway_believes_the_ingress_that_a_caller_came_by_https(overlay: str) -> None:
    """Or the cookie of the sign-in would not be marked as secure."""
    [settings] = [m["data"] for name, m in of_kind(overlay, "ConfigMap").items() if name.startswith("gateway")]
    assert settings["FORWARDED_ALLOW_IPS"] == "*"
    assert of_kind(overlay, "Ingress")["gateway"]["spec"]["tls"]


def test_the_evaluations_pods_are_let_in() -> None:
    labels = {"app.kubernetes.io/name": "eval", "app.kubernetes.io/part-of": "dtwinseger"}
    assert all(m["spec"]["template"]["metadata"]["labels"] == labels for m in of_kind("eval", "Job").values())
    [run] = pod_of(of_kind("eval", "Job")["dtwinseger-eval"])["containers"]
    assert {"DTWINSEGER_URL", "DTWINSEGER_API_KEY"} <= {variable["name"] for variable in run["env"]}
