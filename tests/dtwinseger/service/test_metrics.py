"""The table of metrics in docs/operations.md is what /metrics serves: names, types and labels."""

import re
from pathlib import Path

import httpx2
import pytest
from prometheus_client import REGISTRY

import services.perception.app
import services.reasoner.app
import services.semantics.app  # noqa: F401 - importing the four apps registers all that they measure
from tests.doubles.services import Script
from tests.gateway.conftest import gateway

DOCS = Path(__file__).parents[3] / "docs" / "operations.md"
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \|(?P<labels>[^|]*)\|", re.MULTILINE)
OF_THE_LIBRARY = re.compile(r"(python|process)_|.*_created$")


def documented() -> dict[str, tuple[str, set[str]]]:
    rows = ROW.finditer(DOCS.read_text())
    return {row["name"]: (row["type"], set(re.findall(r"`(\w+)`", row["labels"]))) for row in rows}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Metric -> type, as the gateway serves them after a request."""
    store = f"sqlite:///{tmp_path_factory.mktemp('store')}/twins.sqlite"
    with pytest.MonkeyPatch.context() as patch, gateway(Script(), patch, store) as front:
        assert front.segment().status_code == 200
        response: httpx2.Response = front.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", response.text, re.MULTILINE))
    return {name: kind for name, kind in types.items() if not OF_THE_LIBRARY.match(name)}


def test_every_metric_is_documented_and_every_documented_metric_exists(served: dict[str, str]) -> None:
    assert {name: kind for name, (kind, _) in documented().items()} == served


def test_labels_are_as_documented() -> None:
    collectors = REGISTRY._names_to_collectors
    for name, (_, labels) in documented().items():
        assert set(collectors[name]._labelnames) == labels, name  # type: ignore[attr-defined]
