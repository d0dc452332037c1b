"""A twin is built once, however many ask for it and through whichever gateway, and whoever dies meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from dtwinseger.twin import DigitalTwin
from tests.doubles.redis_server import redis_server
from tests.doubles.services import Script, services_app
from tests.doubles.serving import serving
from tests.gateway.conftest import Gateway, png
from tests.gateway.processes import gateway_process
from tests.gateway.test_failure import until
from tests.gateway.test_waiting import told


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=60) as http:
        yield http


def post(http: httpx2.Client, url: str, query: str = "the mug", timeout: float = 60, **headers: str) -> httpx2.Response:
    form = {"data": {"query": query}, "files": {"image": png()}}
    return http.post(f"{url}/segment", headers=headers, timeout=timeout, **form)


def test_a_hundred_at_once_are_one_build_though_they_are_more_than_the_places(
    front: Gateway, http: httpx2.Client
) -> None:
    front.script.holding = {"granularity"}
    with ThreadPoolExecutor(100) as pool:
        waiting = [pool.submit(post, http, str(front.http.base_url)) for _ in range(100)]
        until(lambda: front.script.calls["granularity"] == 1)
        front.script.holding = set()
        answers = [answer.result() for answer in waiting]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["twin_id"] for answer in answers}) == 1
    assert front.script.calls["proposals"] == front.script.calls["reason"] == 1
    assert sum(answer.json()["usage"]["vlm"]["calls"] for answer in answers) == 2, "told once, to who began"


def test_the_work_stops_when_the_last_one_who_waits_has_left(front: Gateway, http: httpx2.Client) -> None:
    front.script.holding = {"reason"}
    url = str(front.http.base_url)
    with ThreadPoolExecutor() as pool:
        short, longer = pool.submit(post, http, url, timeout=1.5), pool.submit(post, http, url, timeout=3)
        with pytest.raises(httpx2.ReadTimeout):
            short.result()
        assert front.script.cancelled["reason"] == 0
        with pytest.raises(httpx2.ReadTimeout):
            longer.result()
    until(lambda: front.script.cancelled["reason"] == 1)
    assert front.script.calls["reason"] == 1


@pytest.fixture(scope="module")
def shared_script() -> Script:
    return Script()


@pytest.fixture(scope="module")
def pair(shared_script: Script) -> Iterator[tuple[str, str]]:
    """Two gateways with one Redis."""
    with (
        redis_server() as redis,
        serving(services_app(shared_script)) as services,
        gateway_process(services, redis.url) as (one, _),
        gateway_process(services, redis.url) as (two, _),
    ):
        yield one, two


@pytest.fixture
def script(shared_script: Script) -> Script:
    shared_script.holding = set()
    shared_script.failing = {}
    shared_script.calls.clear()
    shared_script.cancelled.clear()
    return shared_script


def test_two_gateways_build_a_twin_once(http: httpx2.Client, pair: tuple[str, str], script: Script) -> None:
    script.holding = {"reason"}
    with ThreadPoolExecutor(100) as pool:
        waiting = [pool.submit(post, http, pair[number % 2], "once") for number in range(100)]
        until(lambda: script.calls["reason"] == 1)
        script.holding = set()
        answers = [answer.result() for answer in waiting]
    assert {answer.status_code for answer in answers} == {200}
    assert script.calls["proposals"] == script.calls["granularity"] == script.calls["reason"] == 1


def test_the_other_gateway_shows_a_build_and_its_events(
    http: httpx2.Client, pair: tuple[str, str], script: Script
) -> None:
    script.holding = {"reason"}
    address = post(http, pair[0], "shown", prefer="respond-async").headers["location"]
    until(lambda: httpx2.get(pair[1] + address).json().get("stage") == "reasoning")
    with httpx2.stream("GET", f"{pair[1]}{address}/events", timeout=30) as response:
        events = told(response.iter_lines())
        heard = [next(events)]
        script.holding = set()
        heard += events
    assert [name for name, _, _ in heard].count("object") == 3
    assert heard[-1][0] == "result"
    assert script.calls["reason"] == 1


def test_the_other_gateway_can_stop_a_build(http: httpx2.Client, pair: tuple[str, str], script: Script) -> None:
    script.holding = {"semantics"}
    address = post(http, pair[0], "stopped", prefer="respond-async").headers["location"]
    until(lambda: script.calls["semantics"] == 1)
    assert httpx2.delete(pair[1] + address).status_code == 204
    until(lambda: script.cancelled["semantics"] == 1)


@pytest.mark.parametrize("where", [0, 1], ids=["where it is led", "where it is followed"])
def test_a_build_that_is_stopped_is_not_taken_over_by_who_follows(
    http: httpx2.Client, pair: tuple[str, str], script: Script, where: int
) -> None:
    query = f"stopped for all {where}"
    script.holding = {"semantics"}
    address = post(http, pair[0], query, prefer="respond-async").headers["location"]
    until(lambda: script.calls["semantics"] == 1)
    with ThreadPoolExecutor() as pool:
        following = pool.submit(post, http, pair[1], query, 15)
        until(lambda: "admission_waiting 1.0" in httpx2.get(f"{pair[1]}/metrics").text)
        until(lambda: httpx2.get(pair[1] + address).json()["stage"] == "semantics")
        assert httpx2.delete(pair[where] + address).status_code == 204
        assert following.result().status_code == 410
    until(lambda: script.cancelled["semantics"] == 1)
    until(lambda: {httpx2.get(gateway + address).status_code for gateway in pair} == {410})
    script.holding = set()
    assert post(http, pair[1], query).status_code == 200, "it may be built anew"
    assert script.calls["semantics"] == 2


def test_who_follows_takes_over_when_the_one_who_leads_gives_up(
    http: httpx2.Client, pair: tuple[str, str], script: Script
) -> None:
    script.holding = {"reason"}
    with ThreadPoolExecutor() as pool:
        leaving = pool.submit(post, http, pair[0], "handed over", timeout=4)
        until(lambda: script.calls["reason"] == 1)
        staying = pool.submit(post, http, pair[1], "handed over")
        with pytest.raises(httpx2.ReadTimeout):
            leaving.result()
        until(lambda: script.calls["reason"] == 2)
        script.holding = set()
        answer = staying.result()
    assert answer.status_code == 200
    assert script.calls["semantics"] == 1, "only what is missing"


def test_a_gateway_that_died_is_noticed_and_its_work_taken_up(http: httpx2.Client, tmp_path: Path) -> None:
    script = Script(holding={"reason"})
    store_url = f"sqlite:///{tmp_path}/twins.sqlite"
    with serving(services_app(script)) as services, gateway_process(services, store_url) as (survivor, _):
        with gateway_process(services, store_url) as (url, process):
            address = post(http, url, prefer="respond-async").headers["location"]
            until(lambda: script.calls["reason"] == 1)
            process.kill()
        until(lambda: httpx2.get(survivor + address).json()["status"] == "failed")
        assert "stopped" in httpx2.get(survivor + address).json()["problem"]["detail"]
        script.holding = set()
        script.calls.clear()
        assert post(http, survivor).status_code == 200
        assert set(script.calls) == {"reason"}
        assert DigitalTwin.model_validate_json(httpx2.get(survivor + address).content).answer.indices == (2,)
