"""Rendered scenes on disk, as SAM and VLM train on them: arrays that one process fills and others read meanwhile."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.mini.asked import QUERY
from training.mini.shown import RECORD, SLOTS

SIDE = 512  # of an image as SAM sees it
VIEW = 96  # of a picture as the VLM sees it
VIEWS = 12  # masks of a scene
QUERIES = 24  # of a scene
COLUMNS: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]] = {  # name -> shape and type of one scene's entry
    "images": ((SIDE, SIDE, 3), np.dtype(np.uint8)),
    "owners": ((SIDE, SIDE), np.dtype(np.uint8)),
    "objects": ((SLOTS,), np.dtype(np.uint8)),
    "classes": ((SLOTS,), np.dtype(np.uint8)),
    "sizes": ((2,), np.dtype(np.int64)),
    "wholes": ((3, VIEW, VIEW), np.dtype(np.uint8)),
    "pictures": ((VIEWS, 2, 3, VIEW, VIEW), np.dtype(np.uint8)),
    "records": ((VIEWS,), RECORD),
    "queries": ((QUERIES,), QUERY),
    "done": ((), np.dtype(np.bool_)),
}


@dataclass(frozen=True)
class Contents:
    """What a store is of. masks: `perturbed` true ones, or those of a SAM, named by its folder."""

    first_seed: int
    scenes: int
    masks: str = "perturbed"


@dataclass(frozen=True)
class Store:
    """N scenes, of which those are there that `done` says. Images are padded with black at the right and the bottom."""

    images: npt.NDArray[np.uint8]  # [N, SIDE, SIDE, 3] RGB
    owners: npt.NDArray[np.uint8]  # [N, SIDE, SIDE] number of the part at a pixel, 0 is the ground
    objects: npt.NDArray[np.uint8]  # [N, SLOTS] number of a part's object, 0 where there is no such part
    classes: npt.NDArray[np.uint8]  # [N, SLOTS] kind and part, see rendering.CLASSES
    sizes: npt.NDArray[np.int64]  # [N, 2] height and width that the scene fills
    wholes: npt.NDArray[np.uint8]  # [N, 3, VIEW, VIEW] the whole image as the VLM sees it
    pictures: npt.NDArray[np.uint8]  # [N, VIEWS, 2, 3, VIEW, VIEW] of each mask the marked image and the crop
    records: npt.NDArray[np.void]  # [N, VIEWS] of shown.RECORD, what each mask shows
    queries: npt.NDArray[np.void]  # [N, QUERIES] of asked.QUERY
    done: npt.NDArray[np.bool_]  # [N] set last

    def there(self) -> npt.NDArray[np.int64]:
        """Indices of the scenes that are there by now."""
        return np.flatnonzero(self.done)

    def wait(self, scenes: int) -> None:
        """Until any `scenes` scenes are there, or all."""
        self._until(lambda: int(self.done.sum()), min(scenes, len(self.done)))

    def wait_for_first(self, scenes: int) -> None:
        """Until the first `scenes` scenes are there, or all."""
        first = self.done[:scenes]
        self._until(lambda: int(first.sum()), len(first))

    def _until(self, count: Callable[[], int], wanted: int) -> None:
        if count() < wanted:
            print(f"waiting for {wanted} scenes, of which {count()} are there", flush=True)
        while count() < wanted:
            time.sleep(0.5)


def create(folder: Path, contents: Contents) -> Store:
    """The store in `folder`, for writing; a new one unless it is there. Raises ValueError where it holds another."""
    about = folder / "contents.json"
    if about.exists():
        if (held := json.loads(about.read_text())) != asdict(contents):
            raise ValueError(f"{folder} holds other scenes: {held}, not {asdict(contents)}; name another folder")
        return open_store(folder, "r+")
    folder.mkdir(parents=True, exist_ok=True)
    for name, (shape, dtype) in COLUMNS.items():
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, (contents.scenes, *shape)).flush()
    about.write_text(json.dumps(asdict(contents)))
    return open_store(folder, "r+")


def open_store(folder: Path, mode: str = "r") -> Store:
    """The store in `folder`, to read, also while it is filled. Raises FileNotFoundError with advice."""
    if not (folder / "contents.json").exists():
        raise FileNotFoundError(f"{folder} holds no scenes; render them: python -m training.mini.render --out {folder}")
    return Store(**{name: np.lib.format.open_memmap(folder / f"{name}.npy", mode) for name in COLUMNS})


def in_memory(scenes: int) -> Store:
    """An empty store of so many scenes."""
    return Store(**{name: np.zeros((scenes, *shape), dtype) for name, (shape, dtype) in COLUMNS.items()})
