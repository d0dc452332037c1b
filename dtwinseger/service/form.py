"""Forms that strangers send: what is in them is bounded, and what is wrong with them is said."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from dtwinseger.problems import Problem, ProblemCode

# One image and a few fields; the largest of those are the masks that semantics is asked about.
MAX_FILES, MAX_FIELDS = 4, 16
_FORMS = (b"multipart/form-data", b"application/x-www-form-urlencoded")


class CheckedRequest(Request):
    """A request whose form is one, in UTF-8, with each of the `fields` that it may have once."""

    fields: frozenset[str] = frozenset()

    async def _get_form(self, **limits: Any) -> FormData:
        kind, parameters = parse_options_header(self.headers.get("content-type"))
        if kind not in _FORMS:
            raise _refused(Problem("invalid_image", "the body must be a form: multipart/form-data"))
        if parameters.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
            # Some of Python's other codecs make text that cannot be encoded again.
            raise _refused(Problem("invalid_options", "the form must be in UTF-8"))
        form = await super()._get_form(**limits)
        twice = [name for name, count in Counter(name for name, _ in form.multi_items()).items() if count > 1]
        if twice:
            await form.close()
            codes: dict[str, ProblemCode] = {"image": "invalid_image", "query": "invalid_query"}
            raise _refused(
                Problem(codes.get(twice[0], "invalid_options"), f"the form has {twice[0][:40]!r} more than once")
            )
        if unknown := sorted(set(form) - self.fields):
            await form.close()
            takes = ", ".join(sorted(self.fields))
            raise _refused(Problem("invalid_options", f"the form has no field {unknown[0][:40]!r}: it takes {takes}"))
        if isinstance(form.get("image"), str):
            await form.close()
            raise _refused(Problem("invalid_image", "`image` came as text: send it as a file, with a filename"))
        return form


class FormRoute(APIRoute):
    """A route whose handler is given a CheckedRequest; the `route_class` of every router that takes a form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        fields = frozenset(field.alias for field in self.dependant.body_params)

        async def checked(request: Request) -> Response:
            inner = CheckedRequest(request.scope, request.receive)
            inner.fields = fields
            return await handler(inner)

        return checked


def _refused(problem: Problem) -> HTTPException:
    """FastAPI lets only an HTTPException pass through its form parsing; `as_problem` takes its cause."""
    refused = HTTPException(problem.status, problem.detail)
    refused.__cause__ = problem
    return refused
