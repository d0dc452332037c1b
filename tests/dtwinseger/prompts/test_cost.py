"""Tokens of pictures, against the examples that the engines' own documents give."""

import pytest

from dtwinseger.api import SemanticsOptions
from dtwinseger.prompts.cost import image_tokens, mask_tokens, table


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(1024, 1024, 765), (2048, 4096, 1105), (512, 512, 255), (513, 512, 425), (96, 96, 255), (8192, 1024, 765)],
)
def test_tiles_of_512_are_counted_after_scaling_down(width: int, height: int, tokens: int) -> None:
    assert image_tokens(width, height, "openai") == tokens


@pytest.mark.parametrize(("width", "height", "tokens"), [(56, 56, 6), (280, 280, 102), (768, 576, 27 * 21 + 2)])
def test_squares_of_28_are_counted(width: int, height: int, tokens: int) -> None:
    assert image_tokens(width, height, "qwen") == tokens


def test_masks_that_share_a_call_share_the_picture_of_the_whole() -> None:
    one, eight = (
        mask_tokens(SemanticsOptions(context="numbered", batch=batch), 1024, 768, 768, "openai") for batch in (1, 8)
    )
    assert one == 765 + 765
    assert eight == 765 / 8 + 765


def test_each_vote_is_paid_for() -> None:
    one, three = (mask_tokens(SemanticsOptions(votes=votes), 640, 480, 512, "qwen") for votes in (1, 3))
    assert three == 3 * one


def test_the_table_has_a_row_for_each_choice() -> None:
    heading, *rows = table().splitlines()
    assert heading.split() == ["side", "context", "crop", "batch", "openai", "qwen"]
    assert len({tuple(row.split()[:4]) for row in rows}) == len(rows) == 18
