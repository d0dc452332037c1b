import hashlib
import json
import socket
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from dtwinseger.twin import Mask
from tests.training.annotate.conftest import Job, said, step
from training.annotate.__main__ import main
from training.annotate.app import create
from training.annotate.session import Session

HOME = "http://127.0.0.1:8085"
GOOD = step(said(1, False), said(2, True), said(3, False))


@pytest.fixture
def client(job: Job) -> Iterator[TestClient]:
    session = Session(job.file, job.images, job.out, "Ada")
    with TestClient(create(session), base_url=HOME) as client:
        yield client
    session.output.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:9000"}, 200),
        ({"host": "[::1]:8085"}, 200),
        ({"origin": HOME, "sec-fetch-site": "same-origin"}, 200),
        ({"host": "evil.example:8085"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "10.0.0.7:8085"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_only_its_own_page_on_this_machine_is_answered(
    client: TestClient, job: Job, headers: dict[str, str], status: int
) -> None:
    assert client.get("/progress", headers=headers).status_code == status
    body = {"content": GOOD, "headers": {"content-type": "application/json"} | headers}
    answer = client.put("/samples/1?of=a", **body)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert bool(job.out.read_bytes()) == (status == 200)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_body_that_is_no_json_is_refused(client: TestClient, job: Job) -> None:
    """What a form of another site could send without being asked first."""
    answer = client.put("/samples/1?of=a", content=GOOD, headers={"content-type": "text/plain"})
    assert answer.status_code == 422
    assert job.out.read_bytes() == b""


def test_a_page_of_another_file_saves_nothing(client: TestClient, job: Job) -> None:
    answer = client.put("/samples/1?of=b", content=GOOD, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (409, "sample 1 is another one now; reload the page")
    assert job.out.read_bytes() == b""


def test_the_image_is_shown_upright_and_objects_by_their_masks_where_there_are_any(
    client: TestClient, job: Job
) -> None:
    with Image.open(BytesIO(client.get("/samples/1/image").content)) as image:
        assert (image.format, image.size) == ("JPEG", (64, 48))
    assert client.get("/samples/1").json()["objects"][1]["drawn"]["outline"] == "M10,10H20V20H10Z"
    ring = np.zeros((48, 64), np.bool_)
    ring[10:20, 10:20] = True
    ring[13:17, 13:17] = False
    (job.file.parent / "masks").mkdir()
    (job.file.parent / "masks" / "a.json").write_text(json.dumps({2: Mask.encode(ring).model_dump()}))
    first, second, _ = client.get("/samples/1").json()["objects"]
    assert first["drawn"]["is_box"]
    assert second["drawn"]["outline"].count("M") == 2
    x, y = second["drawn"]["label"]
    assert ring[int(y), int(x)]


def _spoil_the_line(job: Job) -> None:
    job.file.write_text(job.file.read_text().replace('"b"', '"b', 1))


def _shrink_the_image(job: Job) -> None:
    Image.new("RGB", (32, 24)).save(job.images / "golden.png")
    digest = hashlib.sha256((job.images / "golden.png").read_bytes()).hexdigest()
    lines = [json.loads(line) for line in job.file.read_text().splitlines()]
    for line in lines:
        line["image"]["sha256"] = digest
    job.file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda job: job.file.unlink(), "segdt.jsonl: No such file"),
        (_spoil_the_line, "segdt.jsonl:2: not JSON"),
        (lambda job: (job.images / "golden.png").unlink(), "segdt.jsonl:1: image: "),
        (_shrink_the_image, "segdt.jsonl:1: image: golden.png is 32x24, not 64x48"),
        (lambda job: job.file.rename(job.out), "segdt.jsonl: No such file"),
        (lambda job: job.out.mkdir(), "done.jsonl cannot be written: Is a directory"),
        (lambda job: job.out.symlink_to(job.file), "done.jsonl is what is to be annotated"),
    ],
)
def test_what_cannot_be_annotated_is_told_in_a_line(
    job: Job, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Job], None], told: str
) -> None:
    spoil(job)
    line = _refused(monkeypatch, job.arguments)
    assert told in line
    assert "\n" not in line


def test_a_port_in_use_and_a_name_of_no_person_are_told(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert f"port {port} cannot be used (Address already in use)" in _refused(
            monkeypatch, [*job.arguments, "--port", port]
        )
    assert "no person's name" in _refused(monkeypatch, [*job.arguments, "--annotator", "draft:me"])
    assert "cannot be written: No such file" in _refused(
        monkeypatch, [*job.arguments, "--out", str(Path(job.out.parent, "no", "where.jsonl"))]
    )


def _refused(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["annotate", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return str(left.value.code)
