"""Server-sent events of a twin in the making, as the client reads them."""

from dataclasses import dataclass, field

from pydantic import ValidationError

from dtwinseger.api import SeenObject, SegmentResult, StageProgress
from dtwinseger.problems import Problem, ProblemDetails, in_words

Progress = StageProgress | SeenObject
_KINDS: dict[str, type[StageProgress] | type[SeenObject] | type[SegmentResult] | type[ProblemDetails]] = {
    "stage": StageProgress,
    "object": SeenObject,
    "result": SegmentResult,
    "problem": ProblemDetails,
}


@dataclass
class EventReader:
    """Makes events of lines. `last_id` is what a stream that broke goes on from."""

    last_id: str = ""
    _fields: dict[str, str] = field(default_factory=dict)

    def resume(self) -> str:
        """The id that the next stream goes on from; an event that the last one left unfinished is void."""
        self._fields.clear()
        return self.last_id

    def read(self, line: str) -> Progress | SegmentResult | None:
        """The event that ends with this line, if one does and its name is known.

        Raises Problem: that of the event `problem`, and `upstream_invalid` for one that is not what its name says.
        """
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        self.last_id = fields.get("id", self.last_id)
        kind = _KINDS.get(fields.get("event", ""))
        if kind is None:
            return None
        try:
            found = kind.model_validate_json(fields.get("data", ""))
        except ValidationError as error:
            detail = f"an event is no {kind.__name__} ({in_words(error)[:300]}); are client and gateway of one version?"
            raise Problem("upstream_invalid", detail) from error
        if isinstance(found, ProblemDetails):
            raise Problem(found.code, found.detail, request_id=found.request_id)
        return found
