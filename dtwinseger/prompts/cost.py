"""What pictures cost in tokens, by the two published rules: `python -m dtwinseger.prompts.cost` prints a table."""

from math import ceil
from typing import Literal

from dtwinseger.api import SemanticsOptions
from dtwinseger.prompts.showing import legible

Family = Literal["openai", "qwen"]


def image_tokens(width: int, height: int, family: Family) -> int:
    """Tokens that a picture of `width` x `height` pixels costs.

    openai: the rule of GPT-4o in high detail. The picture is scaled down to fit 2048x2048, then to a shorter side of
    768; each tile of 512x512 that it touches costs 170 tokens, and 85 come on top. (Its newer models have others.)
    qwen: the rule of Qwen2-VL and Qwen2.5-VL. Each side is rounded to a multiple of 28, and each 28x28 is a token; two
    more enclose the picture. It holds from 56x56 to 3584x3584 pixels, beyond which their processor scales.
    """
    if family == "qwen":
        return max(1, round(width / 28)) * max(1, round(height / 28)) + 2
    factor = min(1.0, 2048 / max(width, height))
    factor *= min(1.0, 768 / (factor * min(width, height)))
    return 85 + 170 * ceil(round(width * factor) / 512) * ceil(round(height * factor) / 512)


def mask_tokens(options: SemanticsOptions, width: int, height: int, side: int, family: Family) -> float:
    """Tokens of the pictures of one mask, of an image of `width` x `height`, where views have `side` pixels.

    A share of them where several masks are asked about in a call; examples and text come on top.
    """
    longest = legible(side) if options.context == "numbered" or options.batch > 1 else side
    factor = longest / max(width, height)
    whole = image_tokens(round(width * factor), round(height * factor), family) if options.context != "none" else 0
    crop = image_tokens(side, side, family) if options.crop != "none" else 0
    return options.votes * (whole / options.batch + crop)


def table(width: int = 1024, height: int = 768) -> str:
    """Tokens a mask of an image of that size: rows of side, what is shown and masks a call, a column a family."""
    lines = [f"{'side':>5}{'context':>10}{'crop':>8}{'batch':>7}{'openai':>8}{'qwen':>7}"]
    for side in (256, 512, 768):
        for context, crop, batch in (
            ("outlined", "dimmed", 1),
            ("outlined", "none", 1),
            ("none", "dimmed", 1),
            ("numbered", "dimmed", 4),
            ("numbered", "dimmed", 8),
            ("numbered", "none", 8),
        ):
            options = SemanticsOptions.model_validate({"context": context, "crop": crop, "batch": batch})
            openai, qwen = (mask_tokens(options, width, height, side, family) for family in ("openai", "qwen"))
            lines.append(f"{side:>5}{context:>10}{crop:>8}{batch:>7}{openai:>8.0f}{qwen:>7.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
