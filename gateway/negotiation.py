"""Which of the media types on offer a caller prefers (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The offered type that `accept` weighs highest; the first one offered where it names none of them."""
    weights = {kind: _weight(accept, kind) for kind in offered}
    return max(offered, key=lambda kind: weights[kind])  # max keeps the first of equals


def _weight(accept: str, kind: str) -> float:
    """The weight of `kind`, by the most specific range that matches it."""
    found = (0, 0.0)  # specificity, weight
    family = kind.partition("/")[0]
    for item in accept.split(","):
        media_range, *parameters = (part.strip() for part in item.split(";"))
        specificity = {kind: 3, f"{family}/*": 2, "*/*": 1}.get(media_range.lower(), 0)
        if specificity > found[0]:
            found = (specificity, _quality(parameters))
    return found[1]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
