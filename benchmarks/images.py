"""What the containers cost: sizes of the images, time from `up` to the first answer, memory at rest and at work."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image, ImageChops
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.target import machine
from deploy.docker import DockerError, docker
from deploy.images import TARGETS, image
from deploy.stack import Containers, containers
from dtwinseger.client import Client
from dtwinseger.problems import Problem
from embedded import example

AT_ONCE = 4
REQUESTS = 12  # on as many images, so that the store answers none
PROJECT = "dtwinseger-bench"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.parse_args()
    console = Console(width=120)  # markdown tables must not wrap
    console.print(machine())
    console.print(_table(("image", "size", "of it shared with others"), [_size(target) for target in TARGETS]))
    with containers(PROJECT):  # once before, so that what counts has its files in memory
        pass
    started = time.perf_counter()
    with containers(PROJECT) as stack, Client(stack.url, timeout=300) as client:
        ready = time.perf_counter() - started
        client.segment(example.IMAGE, example.QUERY)
        answered = time.perf_counter() - started
        console.print(f"up to ready: {ready:.1f} s; to the first answer: {answered:.1f} s")
        rest = stack.memory_mb()
        most, took, right = _most(stack, lambda: _crowd(client))
    rows = [(service, f"{rest[service]:,.0f} MB", f"{most[service]:,.0f} MB") for service in rest]
    rows.append(("all", f"{sum(rest.values()):,.0f} MB", f"{sum(most.values()):,.0f} MB"))
    console.print(_table(("container", "at rest, after an answer", f"most under {AT_ONCE} requests at once"), rows))
    console.print(f"{REQUESTS} requests, {AT_ONCE} at once: {took:.1f} s, {right} of them with a valid answer")


def _size(target: str) -> tuple[str, str, str]:
    """Name, size of all its layers, and of those that are torch's: two images have them in common."""
    told = json.loads(docker("inspect", image(target)))[0]
    shared = ""
    if target in ("perception", "embedded-engine"):
        layers = docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image(target))
        torch = sum(int(line.split(" ", 1)[0]) for line in layers.splitlines() if "install torch" in line)
        shared = f"{torch / 1e9:.2f} GB"
    return target, f"{told['Size'] / 1e9:.2f} GB", shared


def _crowd(client: Client) -> int:
    """How many of the answers were valid: of scenes that are cut in two the bundled reasoner may give others."""
    with Image.open(example.IMAGE) as scene:
        images = [ImageChops.offset(scene, 16 * number) for number in range(1, REQUESTS + 1)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(lambda image: _valid(client, image), images))


def _valid(client: Client, image: Image.Image) -> bool:
    try:
        client.segment(image, example.QUERY)
    except Problem as problem:
        if problem.code != "upstream_invalid":
            raise
        return False
    return True


def _most(stack: Containers, work: Callable[[], int]) -> tuple[Mapping[str, float], float, int]:
    """The most memory that each container was seen with during `work`, the seconds that it took, and what it gave."""
    most = stack.memory_mb()
    started = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        while not future.done():
            most = {service: max(most[service], now) for service, now in stack.memory_mb().items()}
        took = time.perf_counter() - started
    return most, took, future.result()


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(*columns, box=box.MARKDOWN)
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    try:
        main()
    except DockerError as error:
        sys.exit(f"error: {error}")
