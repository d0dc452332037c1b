"""A path as the page tells it."""

import numpy as np

from dtwinseger.twin import Decision, DigitalTwin, Step
from gateway.pages.inspection import Fate, fates, steps_of
from tests.dtwinseger.twin.twins import twin_of


def _twin() -> DigitalTwin:
    """Four objects; the first step names two of them and drops the others, the second keeps one."""
    masks = [np.zeros((20, 20), dtype=np.bool_) for _ in range(4)]
    for number, mask in enumerate(masks):
        mask[5 * number : 5 * number + 4, : 12 - number] = True
    first = Step(
        step=1,
        criterion="holds a drink",
        decisions=(
            Decision(index=1, reasoning="a mug", keep=True),
            Decision(index=3, reasoning="a glass", keep=True, semantic="a tall glass"),
        ),
        otherwise="no vessel",
    )
    last = Step(
        step=2,
        criterion="is glass",
        decisions=(
            Decision(index=1, reasoning="clay", keep=False),
            Decision(index=3, reasoning="glass", keep=True),
        ),
    )
    twin = twin_of(masks, answer=(3,))
    return twin.model_copy(update={"answer": twin.answer.model_copy(update={"path": (first, last)})})


def test_a_step_tells_whom_it_met_kept_rejected_and_dropped_unnamed() -> None:
    first, last = steps_of(_twin())
    assert (first.before, [d.index for d in first.kept], first.rejected) == (4, [1, 3], ())
    assert (first.unlisted, first.otherwise) == ((2, 4), "no vessel")
    assert (last.before, [d.index for d in last.rejected], last.unlisted) == (2, [1], ())


def test_the_fate_of_an_object_is_what_the_last_step_about_it_decided() -> None:
    assert fates(_twin()) == {
        1: Fate(2, False, "clay"),
        2: Fate(1, False, "no vessel"),
        3: Fate(2, True, "glass"),
        4: Fate(1, False, "no vessel"),
    }
