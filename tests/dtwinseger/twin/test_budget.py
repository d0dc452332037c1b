"""A twin cut to a budget: what goes first, what is said of it, and how often it is counted."""

import random
from collections.abc import Sequence

import pytest

from dtwinseger.twin import TwinRow, render_twin
from dtwinseger.twin.budget import Render, estimated_tokens, fit
from dtwinseger.twin.text import render_rows


def row(index: int, area: float, spatial: str = "at the left", x: int = 0) -> TwinRow:
    return TwinRow(index=index, semantic=f"mug {index}", bbox=(x, 0, x + 10, 10), area_percent=area, spatial=spatial)


TWIN = (
    row(1, 9.0),
    row(2, 5.0, "at the left; inside 1 (desk), above 9 (cup, blue)", x=20),
    row(9, 1.0, "in the center; left of 2 (mug), next to 1 (desk), below 2 (mug; red)", x=300),
)


class Counter:
    """Characters as tokens, and how often they were counted."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, text: str) -> int:
        self.asked += 1
        return len(text)


def many(count: int) -> list[TwinRow]:
    told = "at the left; " + ", ".join(f"left of {target} (mug)" for target in (1, 2, 3, 4))
    return [row(index, 50 / index, told, x=index) for index in range(1, count + 1)]


def spatials(rows: Sequence[TwinRow]) -> list[str]:
    return [one.spatial for one in rows]


def test_a_twin_within_its_budget_is_left_as_it_is() -> None:
    count = Counter()
    assert fit(TWIN, len(render_twin(TWIN)), count, render_twin) == (TWIN, ())
    assert count.asked == 1


def test_the_relation_told_last_goes_first() -> None:
    full = len(render_twin(TWIN))
    rows, warnings = fit(TWIN, full - 1, len, render_twin)
    assert spatials(rows) == [*spatials(TWIN[:2]), "in the center; left of 2 (mug), next to 1 (desk)"]
    assert warnings == (
        f"1 of 5 relations, the furthest, was left out of the reasoning: "
        f"the twin has {full} tokens, the budget is {full - 1}",
    )


def test_of_relations_told_equally_late_the_furthest_goes_first() -> None:
    near, far = row(2, 5.0, "at the left; above 1 (mug)", x=20), row(3, 4.0, "at the left; above 1 (mug)", x=90)
    lost = row(4, 3.0, "at the left; above 7 (mug)", x=10)  # its target is not in the twin
    twin = (row(1, 9.0), near, far, lost)
    one_relation = len("; above 1 (mug)")
    for dropped, bare in ((1, {4}), (2, {3, 4}), (3, {2, 3, 4})):
        rows, _ = fit(twin, len(render_twin(twin)) - dropped * one_relation, len, render_twin)
        assert {one.index for one in rows if one.spatial == "at the left"} == bare | {1}


@pytest.mark.parametrize("render", [render_twin, render_rows])
def test_when_no_relation_is_left_the_smallest_objects_go(render: Render) -> None:
    places = [TWIN[0], row(2, 5.0, "at the left", x=20), row(9, 1.0, "in the center", x=300)]
    rows, warnings = fit(TWIN, len(render(places)), len, render)
    assert (list(rows), len(warnings)) == (places, 1)
    rows, warnings = fit(TWIN, len(render(places)) - 1, len, render)
    assert list(rows) == places[:2]
    assert "all 5 relations were left out" in warnings[0]
    assert "1 of 3 objects, the smallest, was left out" in warnings[1]


def test_every_budget_is_kept_and_more_of_it_never_says_less() -> None:
    sizes = []
    for budget in range(len(render_twin([])), len(render_twin(TWIN)) + 1, 7):
        rows, _ = fit(TWIN, budget, len, render_twin)
        sizes.append(len(render_twin(rows)))
        assert sizes[-1] <= budget
    assert sizes == sorted(sizes)


def test_the_rows_do_not_depend_on_the_order_of_the_objects() -> None:
    twin = many(60)
    shuffled = random.Random(0).sample(twin, len(twin))
    for budget in (12_000, 6_000, 2_000):
        expected, warnings = fit(twin, budget, len, render_twin)
        rows, same = fit(shuffled, budget, len, render_twin)
        assert (sorted(rows, key=lambda one: one.index), same) == (list(expected), warnings)
        assert [one.index for one in rows] == [one.index for one in shuffled if one.index in {r.index for r in rows}]


@pytest.mark.parametrize("budget", [100_000, 20_000, 0])
def test_a_thousand_objects_are_counted_a_few_times(budget: int) -> None:
    count = Counter()
    rows, warnings = fit(many(1000), budget, count, render_twin)
    assert count.asked <= 14
    assert warnings
    assert budget == 0 or 0.99 * budget < len(render_twin(rows)) <= budget


def test_a_budget_that_holds_no_object_says_that_all_are_left_out() -> None:
    rows, warnings = fit(TWIN, 3, len, render_twin)
    assert rows == ()
    assert "all 3 objects were left out" in warnings[1]
    assert "the only object was left out" in fit(TWIN[:1], 3, len, render_twin)[1][0]


def test_no_objects_fit_and_nothing_is_left_out_of_them() -> None:
    assert fit([], 100, len, render_twin) == ((), ())
    assert fit([], 0, len, render_twin) == ((), ())


def test_a_place_that_is_told_otherwise_is_kept_whole() -> None:
    strange = row(1, 9.0, "somewhere; left of the tree, inside 99999999999999999999 (all), near 3")
    rows, warnings = fit([strange, row(2, 1.0)], len(render_twin([strange])), len, render_twin)
    assert rows == (strange,)
    assert len(warnings) == 1


def test_the_estimate_counts_bytes_so_that_other_scripts_are_not_cheaper() -> None:
    assert [estimated_tokens(text) for text in ("", "a", "four", "кружка", "杯子")] == [0, 1, 2, 6, 3]
