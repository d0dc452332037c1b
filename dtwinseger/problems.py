"""The one error of this system: an RFC 9457 problem with a code from a closed list."""

from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError

ProblemCode = Literal[
    "invalid_image",
    "image_too_large",
    "invalid_query",
    "invalid_options",
    "unauthorized",
    "rate_limited",
    "overloaded",
    "not_found",
    "gone",
    "upstream_unavailable",
    "upstream_invalid",
    "deadline_exceeded",
    "storage_unavailable",
    "internal",
]
PROBLEM_CODES: tuple[ProblemCode, ...] = get_args(ProblemCode)
MEDIA_TYPE = "application/problem+json"

STATUS: dict[ProblemCode, int] = {
    "invalid_image": 400,
    "image_too_large": 413,
    "invalid_query": 400,
    "invalid_options": 400,
    "unauthorized": 401,
    "rate_limited": 429,
    "overloaded": 503,
    "not_found": 404,
    "gone": 410,
    "upstream_unavailable": 502,
    "upstream_invalid": 502,
    "deadline_exceeded": 504,
    "storage_unavailable": 503,
    "internal": 500,
}


class ProblemDetails(BaseModel):
    """The body of an error response, `application/problem+json`."""

    type: str = "about:blank"
    title: str
    status: int
    code: ProblemCode
    detail: str
    request_id: str | None = None


class Problem(Exception):
    """Raised where an error is known; services turn it into a response at one place, the client raises it again.

    `detail` tells the caller, in words, what to change. `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: ProblemCode,
        detail: str,
        *,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code: ProblemCode = code
        self.detail = detail
        self.retry_after = retry_after
        self.request_id = request_id

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return STATUS[self.code]

    def details(self, request_id: str | None = None) -> ProblemDetails:
        """The response body."""
        return ProblemDetails(
            title=self.code.replace("_", " "),
            status=self.status,
            code=self.code,
            detail=self.detail,
            request_id=request_id or self.request_id,
        )

    @classmethod
    def from_body(cls, body: Any, *, retry_after: float | None = None) -> "Problem | None":
        """The problem that a decoded response body describes, or None where it describes none."""
        try:
            details = ProblemDetails.model_validate(body)
        except ValidationError:
            return None
        return cls(details.code, details.detail, retry_after=retry_after, request_id=details.request_id)


def in_words(error: ValidationError) -> str:
    """A pydantic error as one line for the caller: `proposals.points_per_side: Input should be …; …`."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'value'}: {item['msg']}" for item in error.errors()
    )
