"""The images, and the embedded profile in containers: `make test-images` builds what this runs."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import yaml

from deploy.docker import DockerError, compose, docker, unavailable
from deploy.images import ROOT, TARGETS, image
from deploy.stack import SERVICES, Containers, containers
from dtwinseger.client import Client
from embedded import example

COMPOSE = ROOT / "docker-compose.yml"
PROJECT = "dtwinseger-test"
OURS = ("gateway", "semantics", "reasoner", "perception", "engine")
TIGHT = ("--rm", "--read-only", "--tmpfs", "/tmp", "--network", "none", "--cap-drop", "ALL")  # noqa: S108


if not os.environ.get("TEST_IMAGES"):
    pytest.skip("`make test-images` builds the images and runs this", allow_module_level=True)
if reason := unavailable():
    pytest.fail(reason, pytrace=False)


@pytest.fixture(scope="module")
def stack() -> Iterator[Containers]:
    with containers(PROJECT, REDIS_PASSWORD="of this test") as running:
        yield running


def asked(profiles: list[str]) -> list[str]:
    return [part for profile in profiles for part in ("--profile", profile)]


def inside(target: str, *command: str) -> str:
    """What a command prints in a container of the image that has no rights, no network and nothing to write to."""
    return docker("run", *TIGHT, image(target), *command)


@pytest.mark.parametrize("profiles", ["embedded", "gpu,vlm"])
def test_compose_reads_the_file(profiles: str) -> None:
    told = yaml.safe_load(compose("--file", str(COMPOSE), *asked(profiles.split(",")), "config"))["services"]
    assert {"gateway", "redis", "nginx", "engine" if profiles == "embedded" else "vllm"} <= set(told)


def test_a_question_through_nginx_is_answered(stack: Containers) -> None:
    question = example.load()
    with Client(stack.url) as client:
        result = client.segment(example.IMAGE, question.query)
        verdict = example.judge(question, result)
        assert verdict.right, verdict
        assert client.segment(example.IMAGE, question.query).cached  # by Redis, with its password
        assert len(client.overlay(result.twin_id)) > 1000


def test_the_image_of_the_evaluation_asks_the_gateway_on_the_private_network(stack: Containers) -> None:
    where = inside("eval", "python", "-c", "from embedded import example; print(example.IMAGE)")
    ask = ["dtwinseger", "segment", where, example.load().query, "--json", "--url", "http://gateway:8080"]
    tight = [*TIGHT[:4], "--network", stack.network]
    assert json.loads(docker("run", *tight, image("eval"), *ask))["indices"]
    assert "merge" in inside("eval", "dtwinseger", "eval", "--help")


def test_events_come_one_by_one_through_nginx(stack: Containers) -> None:
    with httpx2.stream(
        "POST",
        f"{stack.url}/segment",
        data={"query": "what could I drink from?"},
        files={"image": example.IMAGE.read_bytes()},
        headers={"Accept": "text/event-stream"},
        timeout=60,
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        chunks = response.iter_bytes()
        assert b"event: result" not in next(chunk for chunk in chunks if b"event:" in chunk)
        assert b"event: result" in b"".join(chunks)


def test_four_at_once_are_answered(stack: Containers) -> None:
    with Client(stack.url) as client, ThreadPoolExecutor(4) as pool:
        queries = [
            "what would keep me dry?",
            "What would keep me dry?",
            "what would keep me dry",
            "What would keep me dry.",
        ]
        results = list(pool.map(lambda query: client.segment(example.IMAGE, query), queries))
    assert len({result.twin_id for result in results}) == 4


def test_nginx_refuses_in_the_shape_of_the_gateway(stack: Containers) -> None:
    answer = httpx2.post(f"{stack.url}/segment", content=b"x" * 21_500_000, timeout=30)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert answer.json()["code"] == "image_too_large"
    assert httpx2.get(f"{stack.url}/metrics").status_code == 404


def test_every_container_is_held_to_little(stack: Containers) -> None:
    for service in SERVICES:
        told = json.loads(docker("inspect", stack.container(service)))[0]
        host = told["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["Memory"] > 0, service
        assert host["NanoCpus"] > 0, service
        assert host["PidsLimit"] > 0, service
        assert told["Config"]["User"].split(":")[0] not in ("", "0", "root"), service
        assert told["Config"].get("StopTimeout") == 40, service
        ports = told["NetworkSettings"]["Ports"] or {}
        assert bool([port for port in ports.values() if port]) == (service == "nginx"), service
    for service in OURS:
        told_inside = "id -u; touch /x /app/x /app/models/x /usr/local/lib/x 2>&1 | grep -c 'Read-only file system'"
        assert docker("exec", stack.container(service), "sh", "-c", told_inside).split() == ["10001", "4"], service


def test_the_doctor_finds_all_well_where_the_gateway_is(stack: Containers) -> None:
    told = docker("exec", stack.container("gateway"), "dtwinseger", "doctor")
    assert "✗" not in told
    assert "perception: device" in told


def test_a_container_ends_in_order_on_sigterm(stack: Containers) -> None:
    identity = stack.container("reasoner")
    docker("stop", identity)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", identity) == "0"
    docker("start", identity)


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_what_it_needs_and_no_more(target: str) -> None:
    told = json.loads(docker("inspect", image(target)))[0]["Config"]
    assert told["User"] == "10001:10001"
    assert told["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert told["Labels"]["org.opencontainers.image.revision"] != ""
    assert target == "eval" or told["Healthcheck"]["Test"][1] == "python3"
    assert inside(target, "sh", "-c", "command -v gcc cc make pip uv curl git || true") == ""
    look = "ls -A /app/models /var/cache/uv /installer /wheel /root/.cache 2>/dev/null | grep -v -e : -e '^$' || true"
    assert inside(target, "sh", "-c", look) == ""


@pytest.mark.parametrize("target", ["gateway", "semantics", "reasoner", "eval"])
def test_images_without_a_network_have_no_torch(target: str) -> None:
    look = "import importlib.util as i; print([n for n in ('torch', 'transformers', 'triton') if i.find_spec(n)])"
    assert inside(target, "python", "-c", look) == "[]"


def test_perception_has_cudas_torch_and_says_that_there_is_no_gpu() -> None:
    assert inside("perception", "python", "-c", "import torch; print(bool(torch.version.cuda))") == "True"
    start = ["sh", "-c", "PERCEPTION_DEVICE=cuda uvicorn --factory services.perception.app:create 2>&1"]
    with pytest.raises(DockerError, match="exit code 1: perception cannot start: PERCEPTION_DEVICE is cuda"):
        inside("perception", *start)


def test_perception_without_its_volume_of_weights_says_so() -> None:
    with pytest.raises(DockerError, match="exit code 1: perception cannot start: there is no checkpoint at models/"):
        inside("perception")


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ("/data:ro", "exit code 1: gateway cannot start: the store /data/twins.sqlite cannot be used"),
        ("/data:size=1m,uid=10001", "exit code 1: gateway cannot start: the volume of the store .* is full: 1 MB"),
    ],
)
def test_the_gateway_on_a_volume_that_takes_nothing_says_so(volume: str, words: str) -> None:
    with pytest.raises(DockerError, match=words):
        docker("run", *TIGHT, "--tmpfs", volume, image("gateway"))


def test_the_gateway_with_a_wrong_password_of_redis_says_so(stack: Containers) -> None:
    wrong = ["--network", stack.network, "--env", "GATEWAY_STORE_URL=redis://:wrong@redis:6379/0"]
    with pytest.raises(DockerError, match="exit code 1: gateway cannot start: Redis refuses the gateway"):
        docker("run", *TIGHT[:4], *wrong, image("gateway"))
