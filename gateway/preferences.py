"""What a caller prefers of how the answer comes (RFC 7240): `respond-async`, `wait=N`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PREFERENCE = re.compile(rf'\s*({_WORD})\s*(?:=\s*(?:({_WORD})|"([^"]*)")\s*)?(?:;.*)?')


@dataclass(frozen=True)
class Preferences:
    """What is understood of `Prefer`; anything else is left aside, as the RFC wants it."""

    respond_async: bool = False
    wait_s: int | None = None

    @classmethod
    def of(cls, headers: Sequence[str]) -> "Preferences":
        """From the values of all `Prefer` headers; of a preference given twice the first counts."""
        found: dict[str, str] = {}
        for item in ",".join(headers).split(","):
            if matched := _PREFERENCE.fullmatch(item):
                found.setdefault(matched[1].lower(), matched[2] or matched[3] or "")
        wait = found.get("wait", "")
        return cls("respond-async" in found, int(wait) if re.fullmatch(r"[0-9]{1,9}", wait) else None)

    def patience_s(self, most_s: float) -> float | None:
        """Seconds after which the caller wants a 202 instead of the answer, at most `most_s`; None: it waits."""
        if self.wait_s is not None:
            return min(self.wait_s, most_s)
        return 0.0 if self.respond_async else None

    def applied(self, most_s: float) -> dict[str, str]:
        """The header that says what was done."""
        told = ["respond-async"] if self.respond_async else []
        if self.wait_s is not None:
            told.append(f"wait={min(self.wait_s, int(most_s))}")
        return {"Preference-Applied": ", ".join(told)} if told else {}
