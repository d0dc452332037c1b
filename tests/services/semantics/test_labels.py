"""Which labels a query gives, and which detection each mask takes."""

from collections.abc import Sequence

import numpy as np
import pytest

from dtwinseger import api
from dtwinseger.problems import Problem
from services.semantics.labels import MAX_OF_QUERY, assigned, box_iou, candidates, query_labels


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("mug", ("mug",)),
        ("The red mug!", ("red mug", "red", "mug")),
        ("the mug on the table", ("mug on the table", "mug", "table")),
        ("Which animal isn't a dog's puppy?", ("animal is a dog puppy", "animal", "dog", "dog puppy", "puppy")),
        ("a T-shirt, blue", ("t-shirt blue", "t-shirt", "blue")),
        ("player 7", ("player 7", "player")),
        ("une tasse bleue foncée", ("une tasse bleue foncée", "une", "une tasse", "tasse", "tasse bleue", "bleue")),
    ],
)
def test_a_short_query_gives_itself_its_words_and_their_pairs(query: str, labels: tuple[str, ...]) -> None:
    assert query_labels(query)[: len(labels)] == labels


def test_a_long_query_gives_no_label_of_its_whole() -> None:
    labels = query_labels("something in the picture that lets the tall driver of a vehicle see what is behind")
    assert labels[:5] == ("something", "lets", "tall", "tall driver", "driver")
    assert "vehicle" in labels
    assert max(len(label.split()) for label in labels) == 2


def test_a_very_long_query_gives_its_first_labels() -> None:
    query = " ".join(f"thing{n}" for n in range(200))
    assert query_labels(query) == query_labels(query[:200])[:MAX_OF_QUERY]
    assert len(query_labels(query)) == MAX_OF_QUERY


def test_a_query_in_another_script_is_kept_whole() -> None:
    assert query_labels(" 红色的杯子 ") == ("红色的杯子",)
    assert query_labels("красная кружка на столе у окна рядом с книгой") == (
        "красная кружка на столе у окна рядом с книгой",
    )
    assert query_labels("杯子 mug") == ("杯子 mug", "mug")


def test_a_query_of_stop_words_is_kept_whole() -> None:
    assert query_labels("Which one is it?") == ("which one is it?",)


def test_control_characters_are_spaces() -> None:
    assert query_labels("red\x00mug\n\u202e") == ("red mug", "red", "mug")
    assert query_labels("\x00\x01") == ()


@pytest.mark.parametrize("query", ["x" * 2000, "杯" * 2000, "<|endoftext|>" * 20])
def test_a_label_is_no_longer_than_a_category(query: str) -> None:
    for label in query_labels(query):
        api.Semantics(semantic=label, category=label)


def test_the_vocabulary_follows_the_querys_labels_and_repeats_none() -> None:
    assert candidates("red mug", ("Mug", "plate ", "plate", "Golden  Retriever")) == (
        "red mug",
        "red",
        "mug",
        "plate",
        "Golden Retriever",
    )


def test_without_a_query_the_vocabulary_is_all() -> None:
    assert candidates(None, ("mug", "plate")) == ("mug", "plate")


@pytest.mark.parametrize(("query", "vocabulary"), [(None, ()), (None, (" ",)), ("\x00", ())])
def test_nothing_to_look_for_says_what_to_set(query: str | None, vocabulary: Sequence[str]) -> None:
    with pytest.raises(Problem, match=r"set semantics\.vocabulary") as raised:
        candidates(query, vocabulary)
    assert raised.value.code == "invalid_options"


# --- labels to masks ---


def boxes(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, dtype=np.float32).reshape(-1, 4)


def take(
    detections: np.ndarray, scores: Sequence[float], masks: np.ndarray, labels: Sequence[int] | None = None
) -> list[int]:
    wanted = np.arange(len(scores)) if labels is None else np.array(labels)
    return assigned(detections, np.array(scores, dtype=np.float32), wanted, masks, 0.5).tolist()


def test_iou_of_boxes() -> None:
    found = box_iou(boxes((0, 0, 4, 4), (3, 3, 3, 3)), boxes((0, 0, 4, 4), (2, 0, 6, 4), (4, 0, 8, 4), (3, 3, 3, 3)))
    assert found == pytest.approx(np.array([[1, 8 / 24, 0, 0], [0, 0, 0, 0]]))


def test_each_mask_takes_the_detection_that_lies_on_it() -> None:
    detections = boxes((0, 0, 10, 10), (20, 0, 30, 10))
    assert take(detections, [0.3, 0.9], boxes((21, 0, 30, 10), (0, 0, 10, 9), (50, 50, 60, 60))) == [1, 0, -1]


def test_an_overlap_below_the_threshold_is_none_and_at_it_is_one() -> None:
    detections = boxes((0, 0, 10, 10))
    assert take(detections, [0.9], boxes((0, 0, 10, 20), (0, 0, 10, 21))) == [0, -1]


def test_overlap_and_score_weigh_together() -> None:
    detections = boxes((0, 0, 10, 10), (0, 0, 10, 6))
    mask = boxes((0, 0, 10, 10))
    assert take(detections, [0.5, 0.8], mask) == [0]  # 1.0 × 0.5 against 0.6 × 0.8
    assert take(detections, [0.5, 0.9], mask) == [1]


def test_a_higher_score_does_not_lift_a_box_over_the_threshold() -> None:
    assert take(boxes((0, 0, 10, 10), (0, 0, 10, 40)), [0.1, 1.0], boxes((0, 0, 10, 10))) == [0]


def test_equal_detections_are_decided_by_label_and_not_by_their_order() -> None:
    detections = boxes((0, 0, 10, 10), (0, 0, 10, 10))
    assert take(detections, [0.5, 0.5], boxes((0, 0, 10, 10)), labels=[3, 1]) == [1]
    assert take(detections, [0.5, 0.5], boxes((0, 0, 10, 10)), labels=[1, 3]) == [0]


def test_no_detections_and_no_masks_are_answers_too() -> None:
    assert take(boxes(), [], boxes((0, 0, 10, 10), (0, 0, 5, 5))) == [-1, -1]
    assert take(boxes((0, 0, 10, 10)), [0.5], boxes()) == []
