"""The bundled models are those of models/SHA256SUMS, and a service that is given another file says so at its start."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

import services.perception.app
import services.reasoner.app
import services.semantics.app
from dtwinseger.weights import SUMS, SumsError, require_sums
from embedded.stack import MODELS, ROOT


def bundle(folder: Path, **files: bytes) -> Path:
    """A folder of files, which SHA256SUMS beside it lists."""
    folder.mkdir(parents=True)
    lines = []
    for name, content in files.items():
        (folder / name).write_bytes(content)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {folder.name}/{name}\n")
    (folder.parent / SUMS).write_text("".join(lines))
    return folder


def test_every_bundled_file_is_listed_and_is_the_one_that_is_listed() -> None:
    """After a training: `make sums`."""
    files = {file for model in MODELS for file in (ROOT / model).rglob("*") if file.is_file()}
    lines = (ROOT / "models" / SUMS).read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == {
        str(file.relative_to(ROOT / "models")) for file in files if file.name != "README.md"
    }
    for model in MODELS:
        require_sums(ROOT / model)


def test_weights_that_no_list_names_are_not_judged(tmp_path: Path) -> None:
    bundled = bundle(tmp_path / "models" / "bundled", weights=b"ours")
    own = tmp_path / "models" / "bundled-2"
    own.mkdir()
    (own / "weights").write_bytes(b"mine")
    (bundled / "notes").write_bytes(b"beside it")
    with (tmp_path / "models" / SUMS).open("a") as sums:
        sums.write("SHA256 (bundled-2/weights) = a list of another form\n\n")
    for folder in (bundled, own, tmp_path / "nowhere" / "model", Path("a-hub/name")):
        require_sums(folder)


def test_a_listed_file_that_is_gone_is_named(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "model", weights=b"ours", tokenizer=b"too")
    (folder / "tokenizer").unlink()
    with pytest.raises(
        SumsError, match=r"model/tokenizer, which .* cannot be read \(No such file or directory\)"
    ) as refused:
        require_sums(folder)
    assert f"`git checkout {folder}`" in str(refused.value)


@pytest.mark.parametrize(
    ("create", "variable"),
    [
        (services.perception.app.create, "PERCEPTION_CHECKPOINT"),
        (services.semantics.app.create, "SEMANTICS_ENGINE_MODEL"),
        (services.reasoner.app.create, "REASONER_ENGINE_MODEL"),
    ],
)
def test_a_service_does_not_start_with_a_file_of_another_checksum(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, create: Callable[[], FastAPI], variable: str
) -> None:
    folder = bundle(tmp_path / "dtwin-mini", **{"model.safetensors": b"as released"})
    (folder / "model.safetensors").write_bytes(b"as a disk lost it")
    monkeypatch.setenv(variable, str(folder))
    with pytest.raises(SystemExit) as stopped:
        create()
    line = str(stopped.value)
    assert line.startswith(f"{variable.partition('_')[0].lower()} cannot start: {folder / 'model.safetensors'} is not ")
    assert hashlib.sha256(b"as released").hexdigest() in line
    assert "`git checkout" in line
    assert "`make sums`" in line
    assert "\n" not in line
