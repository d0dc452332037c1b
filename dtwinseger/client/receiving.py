"""What the client makes of a response: what it asked for, or a Problem."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal, TypeVar

import httpx2
from pydantic import BaseModel, Field, RootModel, ValidationError

from dtwinseger.api import ExportFormat, TwinStatus
from dtwinseger.problems import Problem, ProblemCode, in_words

Model = TypeVar("Model", bound=BaseModel)


class _Ready(BaseModel):
    """A twin, of which no more is looked at."""

    status: Literal["ready"]


class _Found(RootModel[Annotated[_Ready | TwinStatus, Field(discriminator="status")]]):
    """What `GET /dt/<id>` answers."""


def ready(response: httpx2.Response) -> httpx2.Response:
    """The response, which holds a twin. Raises Problem where it is none yet, or could not be built."""
    found = parse(_Found, response).root
    if isinstance(found, _Ready):
        return response
    if found.problem:
        raise Problem(found.problem.code, found.problem.detail, request_id=found.problem.request_id)
    raise Problem("not_found", f"the twin is still being built (stage: {found.stage or 'waiting'}); ask again shortly")


def exported(response: httpx2.Response, kind: ExportFormat) -> bytes:
    """The twin as it came. Raises Problem as `ready` does, for its own JSON may be that of a build."""
    return (ready(response) if kind == "json" else response).content


@contextmanager
def as_problems(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        detail = f"no gateway answers at {url}; is it running, and is this its URL?"
        raise Problem("upstream_unavailable", detail) from error
    except httpx2.TimeoutException as error:
        raise Problem("deadline_exceeded", f"the gateway at {url} did not answer in time; allow more") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise Problem("upstream_unavailable", f"the connection to the gateway at {url} failed: {reason}") from error


def checked(response: httpx2.Response) -> httpx2.Response:
    """The response, or the Problem that it carries."""
    if response.is_success:
        return response
    retry_after = response.headers.get("retry-after", "")
    try:
        body = response.json()
    except ValueError:
        body = None
    problem = Problem.from_body(body, retry_after=float(retry_after) if retry_after.isdigit() else None)
    if problem is None:
        code: ProblemCode = "upstream_unavailable" if response.status_code in (502, 503, 504) else "upstream_invalid"
        detail = f"HTTP {response.status_code} from {response.url}, and not from a gateway; is this its URL?"
        raise Problem(code, detail)
    raise problem


def parse(kind: type[Model], response: httpx2.Response) -> Model:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        detail = f"the answer is no {kind.__name__} ({in_words(error)[:300]}); are client and gateway of one version?"
        raise Problem("upstream_invalid", detail) from error
