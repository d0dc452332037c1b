"""The house's rules that a machine can check: which way imports point, and that the library stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Package -> the packages of ours that it may import, itself aside.
ARROWS = {
    "dtwinseger/twin": set(),
    "dtwinseger": {"dtwinseger"},
    "gateway": {"dtwinseger"},
    "services/perception": {"dtwinseger"},
    "services/semantics": {"dtwinseger"},
    "services/reasoner": {"dtwinseger"},
    "training": {"dtwinseger"},
}
OURS = {"dtwinseger", "gateway", "services", "training", "embedded", "benchmarks", "tests"}


def imported(path: Path) -> set[str]:
    """Dotted names that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("package", ARROWS)
def test_imports_point_one_way(package: str) -> None:
    own = package.replace("/", ".")
    for path in (ROOT / package).rglob("*.py"):
        for name in imported(path):
            if name.partition(".")[0] in OURS and name != own and not name.startswith(f"{own}."):
                assert name.partition(".")[0] in ARROWS[package], f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("package", ["dtwinseger", "gateway", "services/semantics", "services/reasoner"])
def test_only_perception_training_and_engines_know_torch(package: str) -> None:
    heavy = {"torch", "torchvision", "transformers", "segment_anything"}
    for path in (ROOT / package).rglob("*.py"):
        assert not {name.partition(".")[0] for name in imported(path)} & heavy, path.relative_to(ROOT)


def test_the_client_does_not_load_the_services_libraries() -> None:
    code = "import sys, dtwinseger.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(loaded.stdout.split()) & {"fastapi", "torch", "redis", "openai", "structlog"}
