"""The alert rules and dashboards, and the metrics that they may speak of. Run: `make rules` prints the rules alone."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from ops.manifests import ROOT

FOLDER = ROOT / "k8s/components/monitoring"
KINDS = ("Counter", "Gauge", "Histogram")
PACKAGES = ("dtwinseger", "gateway", "services")
# Of vLLM and of Prometheus itself: https://docs.vllm.ai/en/latest/usage/metrics.html
FOREIGN = {
    "up": frozenset[str](),
    "vllm:num_requests_running": frozenset({"model_name", "engine"}),
    "vllm:num_requests_waiting": frozenset({"model_name", "engine"}),
    "vllm:kv_cache_usage_perc": frozenset({"model_name", "engine"}),
}
TARGET = frozenset({"job", "instance", "namespace"})  # labels that a scrape adds
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTED = re.compile(r"(?<![\w:])([a-zA-Z_:][\w:]*)(?![\w:])(?!\s*\()(?:\s*\{([^}]*)\})?")  # no function
_NUMBER_OR_RANGE = re.compile(r"\[[^\]]*\]|\b\d[\w.]*|\$__\w+")
_WORDS = {"and", "or", "unless", "offset", "bool"}


@dataclass(frozen=True)
class Use:
    """A metric as an expression speaks of it. labels: that it selects by, and that the expression groups by."""

    metric: str
    labels: frozenset[str]


def exported() -> dict[str, frozenset[str]]:
    """Each series that our services serve, as Prometheus names it, with its labels; read from the source."""
    found: dict[str, frozenset[str]] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for kind, name, labels in _declared(ast.parse(path.read_text())):
                if kind == "Histogram":
                    found[f"{name}_bucket"] = labels | {"le"}
                    found[f"{name}_count"] = found[f"{name}_sum"] = labels
                else:
                    found[f"{name}_total" if kind == "Counter" else name] = labels
    return found


def _declared(module: ast.Module) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Kind, name and labels of each metric that a module makes."""
    for call in ast.walk(module):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in KINDS):
            continue
        match call.args:
            case [ast.Constant(value=str(name)), ast.Constant(value=str()), *more]:
                listed = more[0].elts if more and isinstance(more[0], ast.List) else []
                yield call.func.id, name, frozenset(str(e.value) for e in listed if isinstance(e, ast.Constant))


def rules() -> dict[str, Any]:
    """The rule file, as Prometheus reads it."""
    spec: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["spec"]
    return spec


def alerts() -> list[dict[str, Any]]:
    """Every alert, in order."""
    return [rule for group in rules()["groups"] for rule in group["rules"]]


def expressions() -> dict[str, str]:
    """Every expression in PromQL by where it stands: alerts, panels, and what scales."""
    found = {f"alert {alert['alert']}": str(alert["expr"]) for alert in alerts()}
    for path in sorted(FOLDER.glob("dashboards/*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                found[f"{path.stem}: {panel['title']} {target['refId']}"] = target["expr"]
    for scaled in yaml.safe_load_all((ROOT / "k8s/overlays/autoscale/scaling.yaml").read_text()):
        for trigger in scaled["spec"].get("triggers", []):
            found[f"scaling {scaled['metadata']['name']}"] = trigger["metadata"]["query"]
    return found


def uses(expression: str) -> list[Use]:
    """The metrics of an expression."""
    grouped = {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")}
    bare = _NUMBER_OR_RANGE.sub(" ", _GROUPING.sub(" ", expression))
    found = []
    for name, selectors in _SELECTED.findall(bare):
        if name in _WORDS:
            continue
        selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selectors)
        found.append(Use(name, frozenset(selected) | grouped))
    return found


if __name__ == "__main__":
    print(yaml.safe_dump(rules(), sort_keys=False, width=160), end="")
