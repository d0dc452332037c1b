"""A real HTTP server that speaks chat completions and says what a test tells it to; it records what it was asked."""

import asyncio
import json
import random
import time
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
    """A completion. `text` may be worked out from the request's body; `as_asked` obeys its response_format."""

    text: str | Callable[[Body], str] | None = None
    finish_reason: str = "stop"
    refusal: str | None = None
    cached_tokens: int | None = None  # of the prompt's 100
    counts_tokens: bool = True
    gives_logprobs: bool = False  # where they are asked for


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
    """A 200 that holds `text`, no chat completion."""

    text: str = "<html>not a completion</html>"
    media_type: str = "text/html"


Reply = Says | Fails | Hangs | Garbage
NO_MODELS = Garbage('{"object": "list", "data": []}', "application/json")


def lists(*names: str, owned_by: str = "vllm") -> Garbage:
    """What an engine that serves these models lists."""
    models = [{"id": name, "object": "model", "owned_by": owned_by} for name in names]
    return Garbage(json.dumps({"object": "list", "data": models}), "application/json")


# Number of a call from 0, and seconds since the first -> Retry-After, seconds, in a 429, or None to let it through.
Limit = Callable[[int, float], float | None]


@dataclass
class OpenAIServer:
    """Replies in the order of the script; the last one again and again. Tokens: 100 of prompt, 10 of completion.

    A call that `limit` refuses takes no turn in the script. What a reply takes beside the wire is `latency_s`.
    """

    script: list[Reply]
    latency_s: float = 0.0
    limit: Limit | None = None
    models: "Fails | Garbage" = NO_MODELS  # what it lists
    url: str = ""
    requests: list[Body] = field(default_factory=list)  # each call, those answered 429 by `limit` included
    limited: int = 0  # calls answered 429 by `limit`
    retries: int = 0  # calls that their client marked as made again
    left: int = 0  # calls whose client left before the answer
    at_once: int = 0
    most_at_once: int = 0
    _started: float = 0.0

    async def complete(self, request: Request) -> Response:
        body = json.loads(await request.body())
        number = len(self.requests)
        self.requests.append(body)
        self._started = self._started or time.monotonic()
        self.retries += request.headers.get("x-stainless-retry-count", "0") != "0"
        wait = self.limit(number, time.monotonic() - self._started) if self.limit else None
        if wait is not None:
            self.limited += 1
            return _error(429, {"Retry-After": f"{wait:g}"})
        reply = self.script[min(number - self.limited, len(self.script) - 1)]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if await _leaves(request, within=None if isinstance(reply, Hangs) else self.latency_s):
                self.left += 1
                return Response(status_code=499)
            return _answer(reply, body)
        finally:
            self.at_once -= 1


async def _leaves(request: Request, within: float | None) -> bool:
    """Whether the client leaves within so many seconds; None waits until it does."""
    try:
        async with asyncio.timeout(within):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


def _answer(reply: Reply, body: Body) -> Response:
    if isinstance(reply, Fails):
        return _error(reply.status, reply.headers)
    if isinstance(reply, Garbage):
        return Response(reply.text, media_type=reply.media_type)
    assert isinstance(reply, Says)
    text = reply.text(body) if callable(reply.text) else reply.text
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": reply.refusal},
        "finish_reason": reply.finish_reason,
    }
    if reply.gives_logprobs and body.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": text, "bytes": None, "logprob": -0.1, "top_logprobs": []}]}
    completion: Body = {
        "id": "scripted",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [choice],
    }
    if reply.counts_tokens:
        completion["usage"] = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        if reply.cached_tokens is not None:
            completion["usage"]["prompt_tokens_details"] = {"cached_tokens": reply.cached_tokens}
    return JSONResponse(completion)


def _error(status: int, headers: dict[str, str]) -> Response:
    return JSONResponse({"error": {"message": "as scripted"}}, status, headers=headers)


def as_asked(body: Body) -> str:
    """For `Says`: an object with the string properties that response_format asks for, or else small talk."""
    if "response_format" not in body:
        return "Hello."
    properties = body["response_format"]["json_schema"]["schema"]["properties"]
    return json.dumps(dict.fromkeys(properties, "said"))


def share(part: float, retry_after_s: float, seed: int = 0) -> Limit:
    """A limit that refuses this part of all calls, whatever their rate."""
    dice = random.Random(seed)
    return lambda number, seconds: retry_after_s if dice.random() < part else None


def window(start_s: float, end_s: float) -> Limit:
    """A limit that refuses every call between two times after the first call, and says how long that still is."""
    return lambda number, seconds: end_s - seconds if start_s <= seconds < end_s else None


def rate(calls_a_second: float, burst: int) -> Limit:
    """A limit as hosted engines have it: a token bucket of `burst` calls, which says when the next is to be had."""
    tokens, at = float(burst), 0.0

    def refused(number: int, seconds: float) -> float | None:
        nonlocal tokens, at
        tokens, at = min(float(burst), tokens + (seconds - at) * calls_a_second), seconds
        if tokens < 1:
            return (1 - tokens) / calls_a_second
        tokens -= 1
        return None

    return refused


@contextmanager
def openai_server(
    *script: Reply, latency_s: float = 0.0, limit: Limit | None = None, models: Fails | Garbage = NO_MODELS
) -> Iterator[OpenAIServer]:
    """Serve the script until the block ends; `url` is the base URL that an openai client takes."""
    server = OpenAIServer(list(script), latency_s, limit, models)

    async def list_models(request: Request) -> Response:
        return _answer(server.models, {})

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", server.complete, methods=["POST"]),
            Route("/v1/models", list_models, methods=["GET"]),
        ]
    )
    with serving(app) as url:
        server.url = f"{url}/v1"
        yield server
