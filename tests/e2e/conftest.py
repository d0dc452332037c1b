"""The embedded stack, real and whole, started once for all of these tests on free ports with a store of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dtwinseger.api import SegmentResult
from dtwinseger.client import Client
from embedded import example
from embedded.ports import free_ports
from embedded.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    run_dir = tmp_path_factory.mktemp("stack")
    store = {"GATEWAY_STORE_URL": f"sqlite:///{run_dir / 'twins.sqlite'}"}
    with Stack(free_ports(), run_dir=run_dir, environment=store) as stack:
        stack.wait(lambda name, state: None)
        yield stack


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as client:
        yield client


@pytest.fixture(scope="session")
def question() -> example.Question:
    return example.load()


@pytest.fixture(scope="session")
def answered(client: Client, question: example.Question) -> SegmentResult:
    """The first answer to the bundled question: nothing is in the store before."""
    return client.segment(example.IMAGE, question.query)


@pytest.fixture(scope="session")
def photographs() -> list[Path]:
    """The real photographs beside the repository, where there are any."""
    found = sorted((Path(__file__).parents[3] / "shared/data/reason_seg").rglob("*.jpg"))
    if not found:
        pytest.skip("no photographs in ../shared/data/reason_seg")
    return found
