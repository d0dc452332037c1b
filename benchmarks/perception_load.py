"""How long do proposals take under load? Requests to a perception service at several concurrencies.

`python -m benchmarks.perception_load --help`
"""

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx2
import numpy as np
import typer
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.target import machine
from dtwinseger import api
from training.scenes import render_scene

PORT = 8391  # of the service


@contextmanager
def service(model: Path) -> Iterator[str]:
    """A perception service with the weights in `model`, for as long as the block runs."""
    command = ["uvicorn", "--factory", "services.perception.app:create", "--port", str(PORT), "--no-access-log"]
    environment = os.environ | {"PERCEPTION_CHECKPOINT": str(model), "PERCEPTION_LOG_LEVEL": "warning"}
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", *command], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None  # noqa: S101
        said = ""
        for line in process.stderr:
            said += line
            if "running on" in line:
                break
        else:
            raise RuntimeError(f"the perception service did not start:\n{said}")
        try:
            yield f"http://127.0.0.1:{PORT}"
        finally:
            process.terminate()


def _png(seed: int, width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(render_scene(seed, width, height).image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def main(
    checkpoint: Annotated[Path, typer.Option(help="Weights, as PERCEPTION_CHECKPOINT has them.")] = Path(
        "models/dtwin-mini-sam"
    ),
    width: Annotated[int, typer.Option()] = 512,
    height: Annotated[int, typer.Option()] = 512,
    requests: Annotated[int, typer.Option(help="At each concurrency; images are not repeated.")] = 16,
) -> None:
    """Print p50, p95 and images a second of `POST /v1/proposals` with its defaults, at concurrency 1, 4 and 16."""
    console = Console(width=120)
    images = iter([_png(seed, width, height) for seed in range(3 * requests + 1)])
    table = Table("concurrency", "n", "p50", "p95", "images a second", "stages of the median request", box=box.MARKDOWN)
    with service(checkpoint) as url, httpx2.Client(base_url=url, timeout=600) as client:

        def ask(image: bytes) -> tuple[float, api.ProposalsResponse]:
            started = time.perf_counter()
            files = {"image": ("image", image, "image/png")}
            response = client.post("/v1/proposals", files=files).raise_for_status()
            took = (time.perf_counter() - started) * 1000
            return took, api.ProposalsResponse.model_validate_json(response.content)

        _, answer = ask(next(images))
        for concurrency in (1, 4, 16):
            batch = [next(images) for _ in range(requests)]
            started = time.perf_counter()
            with ThreadPoolExecutor(concurrency) as pool:
                taken = sorted(pool.map(ask, batch), key=lambda one: one[0])
            seconds = time.perf_counter() - started
            p50, p95 = np.percentile([took for took, _ in taken], [50, 95])
            stages = taken[len(taken) // 2][1].timings_ms
            told = ", ".join(f"{stage} {ms:,.0f}" for stage, ms in stages.items())
            table.add_row(
                str(concurrency), str(requests), f"{p50:,.0f} ms", f"{p95:,.0f} ms", f"{requests / seconds:.1f}", told
            )
    console.print(f"{answer.model}, 1024 prompts, {width}x{height}, {machine()}", highlight=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
