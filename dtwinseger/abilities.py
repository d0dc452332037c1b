"""What an engine can do, found out by asking it: chat, pictures, a JSON schema, log-probabilities."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
from PIL import Image

MAX_TOKENS = 40
SIDE = 64  # pixels of the picture; some models take none under 28
KEY = "umbrella_count"  # nobody answers a greeting with this, unless held to it
SCHEMA = {"type": "object", "properties": {KEY: {"type": "integer"}}, "required": [KEY], "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "Umbrellas", "schema": SCHEMA, "strict": True}}
_SAID = 60  # characters of an answer that are shown


@dataclass(frozen=True)
class Ability:
    """Whether the engine can do it. `words` are "yes", or "no: " and what it answered."""

    able: bool
    words: str


class Unusable(Exception):
    """An engine that cannot be asked at all. Its words go on from the engine's URL; `setting` is what to look at."""

    def __init__(self, words: str, setting: Literal["URL", "MODEL", "API_KEY"]) -> None:
        super().__init__(words)
        self.setting = setting


@dataclass(frozen=True)
class Asked:
    """An engine to be asked, through `http`, as `model` at `url`, which ends in /v1 as a rule."""

    http: httpx2.Client
    url: str
    model: str
    key: str

    def require_chat(self) -> None:
        """Raise Unusable unless it answers a greeting with a chat completion."""
        answer = self._post({})
        if isinstance(answer, str):
            raise Unusable(f"rejects a greeting to {self.model} ({answer})", "MODEL")

    def images(self) -> Ability:
        """Whether it takes a picture."""
        png = io.BytesIO()
        Image.new("RGB", (SIDE, SIDE), (200, 40, 40)).save(png, "PNG")
        url = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
        content = [{"type": "text", "text": "What colour is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        answer = self._post({"messages": [{"role": "user", "content": content}]})
        return Ability(False, f"no: it answered {answer}") if isinstance(answer, str) else Ability(True, "yes")

    def schema(self) -> Ability:
        """Whether it holds to a JSON schema that the question does not hint at."""
        answer = self._post({"response_format": FORMAT})
        if isinstance(answer, str):
            return Ability(False, f"no: it answered {answer}")
        text = str(answer["message"].get("content"))
        try:
            held = set(json.loads(text)) == {KEY}
        except (ValueError, TypeError):
            held = False
        return Ability(True, "yes") if held else Ability(False, f"no: it answered {text[:_SAID]!r}")

    def logprobs(self) -> Ability:
        """Whether it gives the log-probability of each token."""
        answer = self._post({"logprobs": True})
        if isinstance(answer, str):
            return Ability(False, f"no: it answered {answer}")
        given = answer.get("logprobs")
        if isinstance(given, dict) and given.get("content"):
            return Ability(True, "yes")
        return Ability(False, "no: it leaves them out")

    def _post(self, extra: Mapping[str, Any]) -> dict[str, Any] | str:
        """The first choice of a completion, or in words how the request was rejected. Raises Unusable."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Hello, how are you?"}],
            "max_tokens": MAX_TOKENS,
            "temperature": 0,
        } | dict(extra)
        try:
            response = self.http.post(
                f"{self.url.rstrip('/')}/chat/completions", json=body, headers={"Authorization": f"Bearer {self.key}"}
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unusable(f"does not answer ({str(error) or type(error).__name__})", "URL") from error
        if response.status_code in (401, 403):
            raise Unusable(f"refuses the API key ({response.status_code})", "API_KEY")
        if response.status_code == 404:
            raise Unusable(f"does not know the model {self.model}, or is no engine's /v1 (404)", "MODEL")
        if response.status_code == 429 or response.status_code >= 500:
            raise Unusable(f"answers {response.status_code}: {_message(response)}", "URL")
        if not response.is_success:
            return f"{response.status_code}: {_message(response)}"
        try:
            choice = response.json()["choices"][0]
            choice["message"].get("content")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            kind = response.headers.get("content-type", "something").partition(";")[0]
            raise Unusable(f"answers with {kind} that is no chat completion", "URL") from error
        return dict(choice)


def _message(response: httpx2.Response) -> str:
    """What an error response says."""
    try:
        said = response.json()["error"]["message"]
    except (ValueError, LookupError, TypeError):
        said = response.text
    return " ".join(str(said).split())[:_SAID] or "nothing more"
