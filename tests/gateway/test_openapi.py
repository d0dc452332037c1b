"""The gateway answers as its own schema says, whatever is sent: fuzzed by it with data that fits and that does not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtwinseger.credentials import credential, new_key
from tests.doubles.services import Script
from tests.gateway.conftest import Gateway, gateway

KEY = new_key()
ROOT = Path(__file__).parents[2]
# A twin that is there, for all that only looks at one.
CONFIG = """
continue-on-failure = true
[[operations]]
include-method = "GET"
parameters = {{ identity = "{identity}" }}
[[operations]]
include-path = "/dt/{{identity}}/segment"
parameters = {{ identity = "{identity}" }}
"""


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch, store_url: str) -> Iterator[Gateway]:
    """A gateway that asks for keys, so that doing without is tried as well."""
    with gateway(Script(), monkeypatch, store_url, api_keys=str(credential("fuzz", KEY))) as running:
        yield running


def test_no_answer_is_a_crash_or_unknown_to_the_schema(keyed: Gateway, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    key = {"Authorization": f"Bearer {KEY}"}
    config.write_text(CONFIG.format(identity=keyed.segment(**key).json()["twin_id"]))
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", str(config), "run", f"{keyed.http.base_url}/openapi.json"),
            *("--header", f"Authorization: Bearer {KEY}"),
            *("--max-examples", "15", "--seed", "1", "--mode", "all", "--generation-database", "none"),
            *("--suppress-health-check", "all", "--no-color"),
        ],
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.gateway.fuzz_hooks", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    paths = keyed.http.get("/openapi.json").json()["paths"]
    assert f"Tested: {sum(len(operations) for operations in paths.values())}\n" in done.stdout, (
        "every operation was tried"
    )
