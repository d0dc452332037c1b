"""Which model answers a request: the base, or one of the LoRA adapters that the engine serves beside it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import Field, TypeAdapter, ValidationError

from dtwinseger import api
from dtwinseger.problems import Problem, in_words
from dtwinseger.service.engine import Engine, EngineSettings
from dtwinseger.service.engine.listing import Listing
from dtwinseger.sftdt import TunedRecord
from services.reasoner.settings import ReasonerSettings

POLL_S = 1.0  # between two looks at the file of adapters

_Name = Annotated[str, Field(min_length=1, max_length=100)]
_MAPPING: TypeAdapter[dict[str, str]] = TypeAdapter(dict[_Name, Annotated[str, Field(min_length=1, max_length=500)]])
Stamp = tuple[int, int, int]

log = structlog.get_logger()


class AdaptersError(ValueError):
    """Adapters that cannot be used, in words."""


@dataclass(frozen=True)
class Chosen:
    """The model that answers. `name` is what the engine knows it by, `identity` what provenance does."""

    mode: Literal["zero_shot", "sftdt"]
    name: str
    identity: str


class Models:
    """The base and its adapters. Raises AdaptersError for settings that contradict each other.

    Where the adapters are in a file, `follow` reads it again when it changes. What it newly names is used once the
    engine lists it; until then, and where the file is wrong, the adapters from before stay.
    """

    def __init__(self, engine: Engine, settings: ReasonerSettings) -> None:
        self._engine = engine
        self._wanted = settings.adapter
        self._file = _file(settings.adapters)
        self._stamp = _stamp(self._file) if self._file else None
        self._trouble = ""
        self.served = _parsed(settings.adapters, self._wanted)
        base = settings.engine
        try:
            record = TunedRecord.of(Path(base.model))
        except ValueError as error:
            raise AdaptersError(str(error)) from error
        tuned = record is not None if settings.tuned is None else settings.tuned
        self.base = Chosen("sftdt" if tuned else "zero_shot", base.model, base.identity)

    @property
    def default(self) -> str | None:
        """The name of the adapter that `auto` and `sftdt` ask where a request names none."""
        return self._wanted or next(iter(self.served), None)

    @property
    def auto(self) -> Literal["zero_shot", "sftdt"]:
        """What `auto` means for a request that names no adapter."""
        return "sftdt" if self.default else self.base.mode

    def chosen(self, options: api.ReasoningOptions) -> Chosen:
        """The model that answers under these options. Raises Problem `invalid_options`."""
        if options.mode == "zero_shot":
            if options.adapter:
                detail = "mode zero_shot asks the base model, without an adapter: leave out one of the two"
                raise Problem("invalid_options", detail)
            if self.base.mode == "sftdt":
                detail = f"mode zero_shot is not served: {self.base.name} is a tuned model, and its base is not here"
                raise Problem("invalid_options", detail)
            return self.base
        name = options.adapter or self.default
        if name in self.served:
            return Chosen("sftdt", self.served[name], self.served[name])
        if name is not None:
            told = ", ".join(self.served) or "none: set REASONER_ADAPTERS"
            raise Problem("invalid_options", f"adapter {name!r} is not configured; there are {told}")
        if options.mode == "sftdt" and self.base.mode != "sftdt":
            detail = f"mode sftdt needs an adapter, and {self.base.name} is no tuned model: set REASONER_ADAPTERS"
            raise Problem("invalid_options", detail)
        return self.base

    def require_served(self) -> None:
        """Ask the engine once, at the start. Raises AdaptersError where it lists models, and not every adapter.

        An engine that does not answer may still be loading: `states` says so until it does. What is missing later is
        for `states` to say as well: an engine that was restarted may get its adapters back without us.
        """
        if not self.served:
            return
        with ThreadPoolExecutor(1) as thread:  # a loop runs in this one
            listing = thread.submit(asyncio.run, _listing(self._engine.settings)).result()
        if isinstance(listing, str) or not listing.names:
            return
        if missing := sorted(set(self.served.values()) - listing.names):
            modules = " ".join(f"{served}=FOLDER" for served in missing)
            remedy = f"start vLLM with --lora-modules {modules}, or name adapters that it lists"
            raise AdaptersError(f"REASONER_ADAPTERS: {listing.lacks(', '.join(missing))}; {remedy}")

    async def states(self) -> dict[str, str]:
        """For readiness: the engine with its base model, and each adapter."""
        listing = await self._engine.listing()
        if isinstance(listing, str):
            return {"engine": listing}
        states = {"engine": listing.state(self.base.name)}
        for name, served in self.served.items():
            grade = "" if name == self.default else "degraded: "
            states[f"adapter {name}"] = "ok" if served in listing.names else grade + listing.lacks(served)
        if self._trouble:
            states["adapters"] = f"degraded: {self._trouble}; those from before are used"
        return states

    async def follow(self) -> None:
        """Look at the file of adapters now and then, without end."""
        while self._file:
            await asyncio.sleep(POLL_S)
            await self._look(self._file)

    async def _look(self, file: Path) -> None:
        """Take over what the file says, if that is new and the engine lists it."""
        trouble = ""
        stamp = _stamp(file)
        if stamp != self._stamp:
            try:
                adapters = await asyncio.to_thread(_parsed, str(file), self._wanted)
                await self._require_listed(adapters)
            except AdaptersError as error:
                trouble = str(error)
            else:
                self.served, self._stamp = adapters, stamp
                log.info("adapters.swapped", adapters=adapters)
        if trouble and trouble != self._trouble:
            log.warning("adapters.kept", reason=trouble)
        self._trouble = trouble

    async def _require_listed(self, adapters: dict[str, str]) -> None:
        """Raise AdaptersError unless the engine lists every one that is not in use already."""
        if new := sorted(set(adapters.values()) - set(self.served.values())):
            listing = await self._engine.listing()
            if isinstance(listing, str):
                raise AdaptersError(f"new adapters wait for the engine: {listing}")
            for served in new:
                if served not in listing.names:
                    raise AdaptersError(f"new adapters wait for the engine: {listing.lacks(served)}")


async def _listing(settings: EngineSettings) -> Listing | str:
    """What the engine lists, by a client of its own: connections belong to the loop that made them."""
    async with Engine(settings, "llm") as engine:
        return await engine.listing()


def _file(adapters: str | None) -> Path | None:
    return None if adapters is None or adapters.lstrip().startswith("{") else Path(adapters)


def _stamp(file: Path) -> Stamp | None:
    """What differs once the file is another; None where there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _parsed(adapters: str | None, wanted: str | None) -> dict[str, str]:
    """Name -> the engine's name. Raises AdaptersError."""
    file = _file(adapters)
    try:
        found = _MAPPING.validate_json(file.read_bytes() if file else adapters or "{}")
    except OSError as error:
        raise AdaptersError(f"REASONER_ADAPTERS: {file} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        where = f"the file {file}" if file else "REASONER_ADAPTERS"
        raise AdaptersError(f"{where} is no JSON object of names and names: {in_words(error)[:300]}") from error
    if wanted is not None and wanted not in found:
        raise AdaptersError(f"REASONER_ADAPTER is {wanted!r}, which is not among the adapters ({', '.join(found)})")
    return found
