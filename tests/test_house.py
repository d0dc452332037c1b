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
OURS = {"dtwinseger", "gateway", "services", "training", "embedded", "benchmarks", "deploy", "ops", "tests"}


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
    detector = ROOT / "services/semantics/owlv2.py"  # loaded only where a model is configured
    for path in set((ROOT / package).rglob("*.py")) - {detector}:
        assert not {name.partition(".")[0] for name in imported(path)} & heavy, path.relative_to(ROOT)


def loaded_by(module: str) -> set[str]:
    """Names of all modules that are loaded once `module` is."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_the_client_does_not_load_the_services_libraries() -> None:
    assert not loaded_by("dtwinseger.cli") & {"cv2", "fastapi", "torch", "redis", "openai", "structlog"}


def test_semantics_without_owlv2_does_not_load_torch() -> None:
    assert not loaded_by("services.semantics.app") & {"torch", "transformers"}


def test_the_reasoner_does_not_load_what_only_engines_and_trainers_have() -> None:
    assert not loaded_by("services.reasoner.app") & {"torch", "transformers", "tokenizers", "peft"}
