"""The semantics and the reasoner of the running stack, asked directly, so that one stage can be made perfect."""

import hashlib
from collections.abc import Sequence
from typing import Literal

import httpx2
from pydantic import TypeAdapter, ValidationError

from dtwinseger.api import (
    DescribedMask,
    ReasoningOptions,
    ReasonRequest,
    ReasonResponse,
    Semantics,
    SemanticsEnd,
    SemanticsLine,
    SemanticsOptions,
    SemanticsRequest,
)
from dtwinseger.problems import ProblemDetails
from dtwinseger.twin import Mask, TwinRow

Mode = Literal["auto", "zero_shot", "sftdt"]
LONGEST_S = 300.0  # of a request

_LINE: TypeAdapter[SemanticsLine | SemanticsEnd] = TypeAdapter(SemanticsLine | SemanticsEnd)


class Services:
    """A context manager. Raises httpx2.HTTPError where nothing answers at the addresses."""

    def __init__(self, semantics: str, reasoner: str) -> None:
        self._semantics, self._reasoner = semantics.rstrip("/"), reasoner.rstrip("/")
        self._http = httpx2.Client(timeout=LONGEST_S)

    def __enter__(self) -> "Services":
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def describe(self, image: bytes, query: str, masks: Sequence[Mask]) -> list[Semantics | None] | None:
        """What the VLM says of each mask, None of one that it failed at; None where the request failed."""
        wanted = tuple(DescribedMask(index=index, mask=mask) for index, mask in enumerate(masks, start=1))
        asked = SemanticsRequest(query=query, masks=wanted, options=SemanticsOptions())
        response = self._http.post(
            f"{self._semantics}/v1/semantics",
            data={"request": asked.model_dump_json()},
            files={"image": ("image.png", image, "image/png")},
        )
        if not response.is_success:
            return None
        lines = [_LINE.validate_json(line) for line in response.text.splitlines()]
        if not lines or not isinstance(lines[-1], SemanticsEnd):
            return None  # cut
        said = {line.index: line.semantics for line in lines if isinstance(line, SemanticsLine)}
        return [said.get(mask.index) for mask in wanted]

    def reason(self, query: str, rows: Sequence[TwinRow], mode: Mode = "auto") -> ReasonResponse | None:
        """The reasoner's answer; None where it has none."""
        response = self._ask(query, rows, mode)
        return ReasonResponse.model_validate_json(response.content) if response.is_success else None

    def resolved(self, query: str, rows: Sequence[TwinRow], mode: Mode) -> tuple[Mode | None, str]:
        """The mode that `mode` comes to ("auto" where no valid answer tells), or None and why it is not served."""
        response = self._ask(query, rows, mode)
        if response.is_success:
            return ReasonResponse.model_validate_json(response.content).mode, ""
        try:
            problem = ProblemDetails.model_validate_json(response.content)
        except ValidationError:
            return None, f"the reasoner answered {response.status_code}"
        if problem.code == "invalid_options":
            return None, problem.detail
        return mode, ""  # served, and without a valid answer to this

    def identity(self) -> str:
        """A hash of what the reasoner says of itself: answers of another one are not these."""
        info = self._http.get(f"{self._reasoner}/v1/info").raise_for_status().content
        return hashlib.sha256(info).hexdigest()[:8]

    def _ask(self, query: str, rows: Sequence[TwinRow], mode: Mode) -> httpx2.Response:
        body = ReasonRequest(query=query, objects=tuple(rows), options=ReasoningOptions(mode=mode))
        return self._http.post(f"{self._reasoner}/v1/reason", json=body.model_dump(mode="json"))
