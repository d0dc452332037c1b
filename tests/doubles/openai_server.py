"""A real HTTP server that speaks chat completions and says what a test tells it to; it records what it was asked."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.doubles.serving import serving

Body = dict[str, Any]


@dataclass(frozen=True)
class Says:
    """A completion. `text` may be worked out from the request's body."""

    text: str | Callable[[Body], str] | None = None
    finish_reason: str = "stop"
    refusal: str | None = None


@dataclass(frozen=True)
class Fails:
    """An HTTP error."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hangs:
    """No answer until the client leaves."""


@dataclass(frozen=True)
class Garbage:
    """A 200 that is no chat completion."""


Reply = Says | Fails | Hangs | Garbage


@dataclass
class OpenAIServer:
    """Replies in the order of the script; the last one again and again. Tokens: 100 of prompt, 10 of completion."""

    script: list[Reply]
    url: str = ""
    requests: list[Body] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def complete(self, request: Request) -> Response:
        body = json.loads(await request.body())
        reply = self.script[min(len(self.requests), len(self.script) - 1)]
        self.requests.append(body)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._reply(reply, request, body)
        finally:
            self.at_once -= 1

    async def _reply(self, reply: Reply, request: Request, body: Body) -> Response:
        if isinstance(reply, Hangs):
            while (await request.receive())["type"] != "http.disconnect":
                pass
            return Response(status_code=499)
        await asyncio.sleep(0)
        if isinstance(reply, Fails):
            return JSONResponse({"error": {"message": "as scripted"}}, reply.status, headers=reply.headers)
        if isinstance(reply, Garbage):
            return Response("<html>not a completion</html>", media_type="text/html")
        text = reply.text(body) if callable(reply.text) else reply.text
        message = {"role": "assistant", "content": text, "refusal": reply.refusal}
        return JSONResponse(
            {
                "id": "scripted",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
            }
        )


@contextmanager
def openai_server(*script: Reply) -> Iterator[OpenAIServer]:
    """Serve the script until the block ends; `url` is the base URL that an openai client takes."""
    server = OpenAIServer(list(script))

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": []})

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", server.complete, methods=["POST"]),
            Route("/v1/models", models, methods=["GET"]),
        ]
    )
    with serving(app) as url:
        server.url = f"{url}/v1"
        yield server
