"""Every process of a pool is restarted under load, and nobody is let down."""

import shutil
from collections import Counter
from concurrent import futures

import pytest

from benchmarks.fleet import fleet, preload
from benchmarks.rolling import under_load
from tests.doubles.services import Script, services_app
from tests.doubles.serving import serving

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None,
    reason="needs nginx: apt-get install nginx-light",
)


@needs_nginx
def test_no_request_is_lost_while_gateways_and_perceptions_are_restarted() -> None:
    preload("gateway.app", "gateway.store.redis", "tests.doubles.perception", "uvicorn")
    with (
        serving(services_app(Script(keep={1}))) as behind,
        fleet("tests.doubles.perception:create", behind, behind) as up,
        futures.ThreadPoolExecutor(2) as pool,
    ):

        def restart_all() -> None:
            for pair in zip(up.gateways, up.perceptions, strict=True):
                list(pool.map(lambda instance: instance.restart(), pair))

        outcomes = under_load(up.url, clients=4, work=restart_all)
    counts = Counter(outcome.kind for outcome in outcomes)
    assert counts["lost"] == 0, {outcome.detail for outcome in outcomes if outcome.kind == "lost"}
    assert counts["ok"] > 10
    assert counts["ok"] > 4 * counts["shed"]
