"""Download of segment-anything's official checkpoints. Run: `python -m services.perception.weights vit_h`."""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import httpx2
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from services.perception.settings import Architecture

OFFICIAL_URL = "https://dl.fbaipublicfiles.com/segment_anything"
STALL_S = 30.0  # a server that sends nothing for so long is given up
BLOCK = 1 << 20

Stage = Literal["checking", "downloading"]
Report = Callable[[Stage, int], None]  # what is under way, and at which byte of the checkpoint


class WeightsError(Exception):
    """The checkpoint is not there; the message says why, and what is kept for the next attempt."""


@dataclass(frozen=True)
class Release:
    """A checkpoint as it was published."""

    file: str
    size: int  # bytes
    sha256: str


RELEASES: dict[Architecture, Release] = {
    "vit_h": Release(
        "sam_vit_h_4b8939.pth", 2_564_550_879, "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"
    ),
    "vit_l": Release(
        "sam_vit_l_0b3195.pth", 1_249_524_607, "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"
    ),
    "vit_b": Release(
        "sam_vit_b_01ec64.pth", 375_042_383, "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
    ),
}


def fetch(
    release: Release,
    base_url: str,
    folder: Path,
    report: Report = lambda stage, done: None,
    stall_s: float = STALL_S,
) -> bool:
    """Have `release` in `folder`, whole: download it, or go on with a download that was cut off.

    Returns False where it was there already. What has come so far stays in a .part file; the checkpoint's own name
    appears only once the hash is right. Raises WeightsError; a file of that name with another hash is left alone.
    """
    target = folder / release.file
    partial = folder / f"{release.file}.part"
    url = f"{base_url.rstrip('/')}/{release.file}"
    try:
        if target.exists():
            _check(target, release, report)
            return False
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # two writers would mix their bytes
            try:
                _download(release, url, _Partial(file), report, stall_s)
                partial.replace(target)
            finally:
                if not os.fstat(file.fileno()).st_size:
                    partial.unlink()
    except BlockingIOError as error:
        raise WeightsError(f"another download is writing {partial}") from error
    except (WeightsError, httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        words = _words(error, url, folder, stall_s) + _kept(target, partial, release)
        raise WeightsError(re.sub(r"//[^/\s]*@", "//", words)) from error  # a mirror's password is not told
    return True


class _Partial:
    """The .part file, with the size and the SHA-256 of what it holds."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = os.fstat(file.fileno()).st_size
        self.folder = Path(file.name).parent

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def reread(self, report: Report) -> None:
        """Hash what an earlier attempt left."""
        self._file.seek(0)
        _hash(self._digest, self._file, report)

    def append(self, block: bytes) -> None:
        self._file.write(block)
        self._digest.update(block)
        self.size += len(block)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.size = 0

    def sync(self) -> None:
        """Bring it to the disk itself: after a power cut the checkpoint's name must not stand for a file with holes."""
        self._file.flush()
        os.fsync(self._file.fileno())


def _check(target: Path, release: Release, report: Report) -> None:
    digest = hashlib.sha256()
    with target.open("rb") as file:
        _hash(digest, file, report)
    if digest.hexdigest() != release.sha256:
        raise WeightsError(
            f"{target} is there but is not that checkpoint: its SHA-256 is {digest.hexdigest()}, not {release.sha256}; "
            "move it away first"
        )


def _hash(digest: "hashlib._Hash", file: BinaryIO, report: Report) -> None:
    """Feed the rest of `file` to `digest`."""
    while block := file.read(BLOCK):
        digest.update(block)
        report("checking", file.tell())


def _download(release: Release, url: str, partial: _Partial, report: Report, stall_s: float) -> None:
    """Complete `partial`; where it turns out corrupt it is emptied and WeightsError raised."""
    if partial.size > release.size:
        partial.restart()
    partial.reread(report)
    room, missing = shutil.disk_usage(partial.folder).free, release.size - partial.size
    if room < missing:
        raise WeightsError(f"{partial.folder} has room for {room:,} bytes, and {missing:,} are still to come")
    while partial.size < release.size:
        _receive(release, url, partial, report, stall_s)
    if partial.sha256 != release.sha256:
        found = partial.sha256
        partial.restart()
        raise WeightsError(
            f"what came from {url} is corrupt and was removed: its SHA-256 is {found}, not {release.sha256}"
        )
    partial.sync()


def _receive(release: Release, url: str, partial: _Partial, report: Report, stall_s: float) -> None:
    """One request for what is missing; leaves `partial` full, or empty where the server cannot go on from its end."""
    start = partial.size
    headers = {"Accept-Encoding": "identity"}  # bytes as in the file, so that they can be counted
    if start:
        headers["Range"] = f"bytes={start}-"
    with httpx2.stream("GET", url, headers=headers, timeout=stall_s, follow_redirects=True) as response:
        status, content_range = response.status_code, response.headers.get("Content-Range", "")
        if start and (status == 416 or (status == 206 and not content_range.startswith(f"bytes {start}-"))):
            partial.restart()
            return
        if not response.is_success:
            raise WeightsError(f"{url} answers {status} {response.reason_phrase}")
        told = content_range.rpartition("/")[2] if status == 206 else response.headers.get("Content-Length", "")
        if told.isdecimal() and int(told) != release.size:
            raise WeightsError(f"{url} is another file: it has {int(told):,} bytes, not {release.size:,}")
        if status != 206:
            partial.restart()
        report("downloading", partial.size)
        for block in response.iter_raw():
            partial.append(block)
            report("downloading", partial.size)
            if partial.size > release.size:
                return  # no use in the rest; the hash will be wrong
    if partial.size < release.size:
        raise WeightsError(f"{url} ended early")


def _words(error: Exception, url: str, folder: Path, stall_s: float) -> str:
    match error:
        case WeightsError():
            return str(error)
        case OSError():
            return f"{error.filename or folder}: {error.strerror}"
        case httpx2.TimeoutException():
            return f"{url} sent nothing for {stall_s:g} s"
        case _:
            return f"{url} cannot be read: {str(error) or type(error).__name__}"


def _kept(target: Path, partial: Path, release: Release) -> str:
    """How an error ends: what the next attempt can go on from."""
    if os.path.exists(target) or not os.path.isfile(partial):
        return ""
    return f"; {partial.stat().st_size:,} of {release.size:,} bytes are kept, run this again to go on"


def main(
    model: Annotated[Architecture, typer.Argument(help="SAM's image encoder: huge, large or base.")],
    base_url: Annotated[
        str,
        typer.Option(envvar="SAM_WEIGHTS_URL", help="The folder to download from; a mirror has the same file names."),
    ] = OFFICIAL_URL,
    folder: Annotated[Path, typer.Option(help="Where the checkpoint goes.")] = Path("models"),
) -> None:
    """Download segment-anything's checkpoint of MODEL, or go on with a download that was cut off."""
    release = RELEASES[model]
    console, errors = Console(), Console(stderr=True)
    try:
        with _progress(errors, release) as report:
            downloaded = fetch(release, base_url, folder, report)
    except WeightsError as error:
        errors.print(f"[red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        errors.print("stopped; what has come is kept, run this again to go on", highlight=False, soft_wrap=True)
        raise typer.Exit(130) from error
    path = escape(str(folder / release.file))
    state = "downloaded" if downloaded else "was there already"
    console.print(f"{path} {state}, its SHA-256 is right; to serve it, set", highlight=False, soft_wrap=True)
    console.print(f"PERCEPTION_CHECKPOINT={path} PERCEPTION_ARCHITECTURE={model}", highlight=False, soft_wrap=True)


@contextmanager
def _progress(console: Console, release: Release) -> Iterator[Report]:
    """A bar for each stage, in a terminal; nothing elsewhere."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[Stage, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def report(stage: Stage, done: int) -> None:
            if stage not in tasks:  # begun where an earlier attempt ended, so that the speed is this one's
                tasks[stage] = bars.add_task(f"{stage} {release.file}", total=release.size, completed=done)
            bars.update(tasks[stage], completed=done)

        yield report


if __name__ == "__main__":
    typer.run(main)
