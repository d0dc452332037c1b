"""Every sample is scored once, whatever the file holds; what cannot be scored is refused with its line."""

from pathlib import Path

import numpy as np
import pytest

from dtwinseger.evaluation.datasets import load
from dtwinseger.evaluation.metrics import ciou, giou
from dtwinseger.evaluation.predictions import PredictionError
from dtwinseger.evaluation.samples import DatasetError
from dtwinseger.evaluation.scoring import score
from dtwinseger.evaluation.summary import summarise
from dtwinseger.evaluation.variants import LISA, Definition, Variant
from dtwinseger.twin import Mask
from tests.dtwinseger.evaluation.folders import reasonseg
from tests.dtwinseger.evaluation.samples import predicted, rows, sample, truth

NOTHING = rows(0, 0)


def _giou(samples: list, path: Path, *variants: Variant) -> float:  # type: ignore[type-arg]
    definition = Definition(frozenset(variants))
    return summarise(score(samples, path, definition), definition).giou


def _ciou(samples: list, path: Path, *variants: Variant) -> float:  # type: ignore[type-arg]
    definition = Definition(frozenset(variants))
    return summarise(score(samples, path, definition), definition).ciou


def test_the_order_of_the_file_does_not_matter(tmp_path: Path) -> None:
    samples = [sample("a", truth(rows(0, 4))), sample("b", truth(rows(0, 2)))]
    scores = score(samples, predicted(tmp_path / "p", {"b": rows(0, 2), "a": rows(2, 6)}))
    assert scores.intersections.tolist() == [20, 20]
    assert scores.unions.tolist() == [60, 20]
    assert (scores.targets.tolist(), scores.answers.tolist()) == ([40, 20], [40, 20])
    assert scores.sizes.tolist() == [100, 100]


def test_a_missing_prediction_counts_as_empty_and_is_told(tmp_path: Path) -> None:
    samples = [sample("a", truth(rows(0, 4))), sample("b", truth(rows(0, 4))), sample("c", truth(NOTHING))]
    found = summarise(score(samples, predicted(tmp_path / "p", {"a": rows(0, 4)})), LISA)
    assert (found.samples, found.missing) == (3, 2)
    assert found.giou == pytest.approx(2 / 3, abs=1e-6)
    assert found.ciou == pytest.approx(40 / 80)


def test_a_file_without_a_line_is_all_missing(tmp_path: Path) -> None:
    (tmp_path / "p").touch()
    found = summarise(score([sample("a", truth(rows(0, 4)))], tmp_path / "p"), LISA)
    assert (found.giou, found.ciou, found.missing) == (0, 0, 1)


def test_an_unknown_sample_is_refused(tmp_path: Path) -> None:
    path = predicted(tmp_path / "p", {"a": NOTHING, "z": NOTHING})
    with pytest.raises(PredictionError, match="p:2: no sample z in this split"):
        score([sample("a", truth(NOTHING))], path)


def test_a_mask_of_another_size_is_refused_and_not_resized(tmp_path: Path) -> None:
    path = predicted(tmp_path / "p", {"a": NOTHING, "b": rows(0, 1, (20, 20))})
    with pytest.raises(PredictionError, match=r"p:2: the mask of b is 20x20, its image 10x10 .*not resized"):
        score([sample("a", truth(NOTHING)), sample("b", truth(NOTHING))], path)


def test_an_rle_that_does_not_decode_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text('{"sample_id": "a", "mask": {"size": [10, 10], "counts": "xx"}}\n')
    with pytest.raises(PredictionError, match=r"p:1: mask\.counts: "):
        score([sample("a", truth(NOTHING))], path)


def test_the_only_query_of_an_image_may_be_named_by_the_image_alone(tmp_path: Path) -> None:
    samples = [sample("a", truth(NOTHING)), sample("b#0", truth(NOTHING))]
    scores = score(samples, predicted(tmp_path / "p", {"a#0": rows(0, 1), "b": rows(0, 2)}))
    assert scores.answers.tolist() == [10, 20]
    with pytest.raises(PredictionError, match="p:2: sample b was predicted in line 1 already"):
        score(samples, predicted(tmp_path / "p", {"b#0": NOTHING, "b": NOTHING}))
    two = [sample("c#0", truth(NOTHING)), sample("c#1", truth(NOTHING))]
    with pytest.raises(PredictionError, match="no sample c in"):
        score(two, predicted(tmp_path / "p", {"c": NOTHING}))


def test_several_processes_give_what_one_gives(tmp_path: Path) -> None:
    for k in range(70):
        reasonseg(tmp_path, f"s{k:02d}")
    samples = load("reasonseg", tmp_path, "val")
    masks = {s.sample_id: rows(0, k % 20, (20, 30)) for k, s in enumerate(samples)}
    path = predicted(tmp_path / "p", masks)
    told: list[int] = []
    one, two = score(samples, path, workers=1), score(samples, path, workers=2, progress=told.append)
    assert one.intersections.tolist() == two.intersections.tolist()
    assert one.unions.tolist() == two.unions.tolist()
    assert sum(told) == 70
    (tmp_path / "reason_seg" / "ReasonSeg" / "val" / "s69.jpg").write_bytes(b"none")
    with pytest.raises(DatasetError, match=r"s69\.jpg: not an image"):
        score(samples, path, workers=2)


def test_lisa_calls_an_empty_answer_to_an_empty_truth_right_and_others_do_not(tmp_path: Path) -> None:
    samples = [sample("a", truth(NOTHING)), sample("b", truth(rows(0, 4)))]
    path = predicted(tmp_path / "p", {"a": NOTHING, "b": rows(0, 2)})
    assert _giou(samples, path) == pytest.approx(0.75, abs=1e-6)
    assert _giou(samples, path, Variant.EMPTY_ZERO) == pytest.approx(0.25, abs=1e-6)
    assert _giou(samples, path, Variant.EMPTY_DROPPED) == pytest.approx(0.5, abs=1e-6)
    assert _ciou(samples, path) == _ciou(samples, path, Variant.EMPTY_ZERO) == pytest.approx(0.5)


def test_a_false_positive_adds_its_pixels_to_the_union_only(tmp_path: Path) -> None:
    samples = [sample("a", truth(NOTHING)), sample("b", truth(rows(0, 4)))]
    path = predicted(tmp_path / "p", {"a": rows(0, 4), "b": rows(0, 4)})
    assert _giou(samples, path) == pytest.approx(0.5, abs=1e-6)
    assert _ciou(samples, path) == pytest.approx(40 / 80)


def test_ignored_pixels_leave_everything_unless_they_are_made_a_target(tmp_path: Path) -> None:
    samples = [sample("a", truth(rows(0, 2), ignore=rows(2, 6)))]
    path = predicted(tmp_path / "p", {"a": rows(0, 4)})
    scores = score(samples, path)
    assert (scores.intersections.item(), scores.unions.item(), scores.answers.item()) == (20, 20, 20)
    assert _giou(samples, path, Variant.IGNORED_AS_TARGET) == pytest.approx(4 / 6, abs=1e-6)


def test_where_parts_overlap_is_target_unless_it_is_lost(tmp_path: Path) -> None:
    samples = [sample("a", truth(rows(0, 4), twice=rows(1, 2)))]
    path = predicted(tmp_path / "p", {"a": rows(0, 4)})
    assert _giou(samples, path) == pytest.approx(1, abs=1e-6)
    # LISA's sum of the parts is 2 there, which is neither class: a predicted pixel counts in the union alone.
    assert _giou(samples, path, Variant.OVERLAPS_LOST) == pytest.approx(3 / 4, abs=1e-6)


def test_skipping_what_is_missing_inflates(tmp_path: Path) -> None:
    samples = [sample("a", truth(rows(0, 4))), sample("b", truth(rows(0, 4)))]
    path = predicted(tmp_path / "p", {"a": rows(0, 2)})
    assert _ciou(samples, path) == pytest.approx(20 / 80)
    assert _ciou(samples, path, Variant.MISSING_SKIPPED) == pytest.approx(20 / 40)
    with pytest.raises(DatasetError, match="no sample is left"):
        _ciou(samples[1:], predicted(tmp_path / "q", {}), Variant.MISSING_SKIPPED)


def test_a_padded_sampler_counts_the_first_samples_again(tmp_path: Path) -> None:
    samples = [sample(f"s{k}", truth(rows(0, 4))) for k in range(11)]
    path = predicted(tmp_path / "p", {f"s{k}": rows(0, 4) if k < 5 else rows(6, 9) for k in range(11)})
    assert _giou(samples, path) == pytest.approx(5 / 11, abs=1e-6)
    assert _giou(samples, path, Variant.SAMPLER_PADDED) == pytest.approx(10 / 16, abs=1e-6)


def test_a_capped_loader_counts_the_first_hundred(tmp_path: Path) -> None:
    samples = [sample(f"s{k}", truth(rows(0, 4))) for k in range(105)]
    path = predicted(tmp_path / "p", {f"s{k}": rows(0, 4) for k in range(50)})
    assert _giou(samples, path, Variant.FIRST_100) == pytest.approx(0.5, abs=1e-6)


def test_one_expression_of_each_reference_may_count_alone(tmp_path: Path) -> None:
    samples = [sample(f"s#{k}", truth(rows(0, 4)), instance=str(k // 2)) for k in range(4)]
    path = predicted(tmp_path / "p", {"s#0": rows(0, 4)})
    assert _giou(samples, path) == pytest.approx(1 / 4, abs=1e-6)
    assert _giou(samples, path, Variant.ONE_PER_INSTANCE) == pytest.approx(1 / 2, abs=1e-6)


def test_variants_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        Definition(frozenset({Variant.EMPTY_ZERO, Variant.EMPTY_DROPPED}))


def test_the_counts_are_those_of_lisas_loop_over_classes(tmp_path: Path) -> None:
    """LISA's intersectionAndUnionGPU and validate, written out with NumPy over random samples."""
    rng = np.random.default_rng(11)
    samples, masks, each, total = [], {}, [], np.zeros(2)
    for k in range(40):
        target, ignore = rng.random((2, *(10, 10))) > (0.6 if k % 4 else 2)
        answer = rng.random((10, 10)) > (0.6 if k % 3 else 2)
        samples.append(sample(f"s{k}", truth(target & ~ignore, ignore=ignore)))
        masks[f"s{k}"] = answer
        labels = np.where(ignore, 255, target.astype(int))
        output = np.where(labels == 255, 255, answer.astype(int))
        agreed = output[output == labels]
        areas = [np.histogram(values, bins=2, range=(0, 1))[0][1] for values in (agreed, output, labels)]
        intersection, union = areas[0], areas[1] + areas[2] - areas[0]
        each.append(intersection / (union + 1e-5) + (1.0 if union == 0 else 0.0))
        total += intersection, union
    scores = score(samples, predicted(tmp_path / "p", masks))
    assert float(giou(scores.intersections, scores.unions)) == pytest.approx(np.mean(each), abs=1e-12)
    assert float(ciou(scores.intersections, scores.unions)) == pytest.approx(total[0] / (total[1] + 1e-10), abs=1e-12)
    assert any(Mask.encode(mask).area == 0 for mask in masks.values())
