"""Splits hold the samples that their names promise, and each data set gets the figures that are its own."""

from pathlib import Path

import numpy as np
import pytest

from dtwinseger.evaluation.comparison import compare
from dtwinseger.evaluation.samples import Sample
from dtwinseger.evaluation.scoring import Scores, score
from dtwinseger.evaluation.summary import Summary, splits, summarise
from dtwinseger.evaluation.variants import LISA, Definition, Variant
from tests.dtwinseger.evaluation.samples import predicted, rows, sample, truth

NOTHING, HALF = rows(0, 0), rows(0, 5)


def _names(samples: list[Sample], tmp_path: Path) -> dict[str, list[str]]:
    scores = score(samples, predicted(tmp_path / "none", {}))
    return {
        name: [s.sample_id for s, chosen in zip(samples, members, strict=True) if chosen]
        for name, members in splits(scores)
    }


def test_queries_are_long_where_the_data_set_says_so_else_by_their_words(tmp_path: Path) -> None:
    samples = [
        sample("said", truth(HALF), query="dog", is_sentence=True),
        sample("unsaid", truth(HALF), query="what would keep me dry today?"),
        sample("brief", truth(HALF), query="what would keep me dry?"),
    ]
    found = _names(samples, tmp_path)
    assert (found["long"], found["short"]) == (["said", "unsaid"], ["brief"])


def test_targets_are_told_apart_by_number_size_and_granularity(tmp_path: Path) -> None:
    samples = [
        sample("none", truth(NOTHING), targets=0, granularity="object", kind="none"),
        sample("one", truth(rows(0, 1, (200, 10))), targets=1, granularity="part", kind="name"),
        sample("some", truth(rows(0, 9, (100, 10))), targets=3, granularity="group", kind="name"),
        sample("much", truth(rows(0, 10, (100, 10))), targets=1, granularity="object", kind="place"),
    ]
    found = _names(samples, tmp_path)
    assert (found["empty"], found["one"], found["several"]) == (["none"], ["one", "much"], ["some"])
    assert (found["small"], found["medium"], found["large"]) == (["one"], ["some"], ["much"])
    assert (found["part"], found["object"], found["group"]) == (["one"], ["none", "much"], ["some"])
    assert (found["kind:none"], found["kind:name"], found["kind:place"]) == (["none"], ["one", "some"], ["much"])


def test_a_target_under_what_is_ignored_is_empty_whatever_was_annotated(tmp_path: Path) -> None:
    found = _names([sample("a", truth(NOTHING), targets=2)], tmp_path)
    assert found["empty"] == ["a"]
    assert "several" not in found


def _summary(dataset: str, tmp_path: Path, definition: Definition = LISA) -> Summary:
    samples = [
        sample("a", truth(HALF), dataset=dataset),
        sample("b", truth(HALF), dataset=dataset),
        sample("c", truth(NOTHING), dataset=dataset),
        sample("d", truth(NOTHING), dataset=dataset),
    ]
    path = predicted(tmp_path / "p", {"a": rows(0, 3), "b": NOTHING, "c": rows(0, 1)})
    return summarise(score(samples, path), definition)


def test_the_object_printed_has_the_keys_that_were_promised(tmp_path: Path) -> None:
    found = _summary("reasonseg", tmp_path).model_dump(exclude_none=True)
    assert set(found) == {"samples", "giou", "ciou", "giou_ci95", "ciou_ci95", "missing", "splits"}
    assert set(found["splits"]["empty"]) == {"samples", "giou", "ciou", "giou_ci95", "ciou_ci95", "missing"}
    assert found["giou_ci95"][0] <= found["giou"] <= found["giou_ci95"][1]
    assert found["missing"] == 1


def test_variants_are_named_in_the_order_of_their_list(tmp_path: Path) -> None:
    definition = Definition(frozenset({Variant.MISSING_SKIPPED, Variant.EMPTY_ZERO}))
    assert _summary("reasonseg", tmp_path, definition).metric_variants == ("empty-zero", "missing-skipped")


def test_refcoco_has_precision_at_thresholds(tmp_path: Path) -> None:
    found = _summary("refcoco", tmp_path)
    assert found.precision == {"0.5": 0.5, "0.6": 0.25, "0.7": 0.25, "0.8": 0.25, "0.9": 0.25}
    assert found.n_acc is None


def test_grefcoco_judges_rejections(tmp_path: Path) -> None:
    found = _summary("grefcoco", tmp_path)
    assert (found.n_acc, found.t_acc) == (0.5, 0.5)
    # A right rejection adds 1 to gIoU; a false positive adds its pixels to the union alone.
    assert found.giou == pytest.approx((0.6 + 0 + 0 + 1) / 4, abs=1e-6)
    assert found.ciou == pytest.approx(30 / (50 + 50 + 10))


def _two(tmp_path: Path) -> tuple[Scores, Scores]:
    samples = [sample(f"s{k}", truth(HALF), is_sentence=k % 2 == 0) for k in range(20)]
    worse = predicted(tmp_path / "a", {s.sample_id: rows(0, 1 + k % 4) for k, s in enumerate(samples)})
    better = predicted(tmp_path / "b", {s.sample_id: rows(0, 2 + k % 4) for k, s in enumerate(samples)})
    return score(samples, worse), score(samples, better)


def test_a_comparison_tells_the_difference_of_the_second_by_split(tmp_path: Path) -> None:
    found = compare(*_two(tmp_path), LISA)
    assert found.giou == pytest.approx(0.2, abs=1e-6)
    assert found.giou_ci95 == (pytest.approx(0.2, abs=1e-6), pytest.approx(0.2, abs=1e-6))
    assert found.ciou == pytest.approx(0.2)
    assert (found.samples, found.splits["long"].samples, found.splits["short"].samples) == (20, 10, 10)


def test_what_one_of_two_leaves_out_is_no_pair(tmp_path: Path) -> None:
    samples = [sample(f"s{k}", truth(HALF)) for k in range(3)]
    first = score(samples, predicted(tmp_path / "a", {"s0": HALF, "s1": HALF}))
    second = score(samples, predicted(tmp_path / "b", {"s1": HALF, "s2": HALF}))
    assert compare(first, second, LISA).samples == 3
    assert compare(first, second, Definition(frozenset({Variant.MISSING_SKIPPED}))).samples == 1


def test_scores_of_other_samples_are_not_compared(tmp_path: Path) -> None:
    first, second = _two(tmp_path)
    with pytest.raises(ValueError, match="same samples"):
        compare(first, second.at(np.arange(3)), LISA)
