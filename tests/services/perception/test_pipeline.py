"""Proposals of whole images: those of segment_anything's generator where it is asked for, and the paper's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam

from dtwinseger import api
from services.perception.candidates import Abandoned
from services.perception.checkpoint import load_checkpoint
from services.perception.decoder import Decoder
from services.perception.device import Taken
from services.perception.encoder import Encoder
from services.perception.pipeline import Proposed
from services.perception.proposer import Job, Proposer
from services.perception.sam import Segmenter
from tests.services.perception.small import BUNDLED, random_vit_b
from training.scenes import render_scene


def bundled() -> Sam:
    return load_checkpoint(BUNDLED, None, torch.device("cpu")).sam


def proposer(sam: Sam, cache_bytes: int = 0) -> Proposer:
    segmenter = Segmenter(sam, Encoder(sam, torch.float32), Decoder(sam))
    return Proposer(segmenter, 0.4, embedding_bytes=cache_bytes, decoded_bytes=cache_bytes)


@pytest.fixture(scope="module")
def ours() -> Proposer:
    """The bundled model without a cache."""
    return proposer(bundled())


def picture(width: int, height: int, seed: int = 3) -> NDArray[np.uint8]:
    return render_scene(seed, width, height).image


def job(image: NDArray[np.uint8], *levels: str, **options: Any) -> Taken[Job]:
    asked = {"levels": levels or ("object",), "options": {"points_per_side": 16} | options}
    return Taken(Job(image, str(hash(image.tobytes())), api.ProposalsRequest.model_validate(asked)), lambda: False)


def proposed(by: Proposer, one: Taken[Job]) -> Proposed:
    (outcome,) = by([one])
    assert isinstance(outcome, Proposed), outcome
    return outcome


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


SETTINGS = [
    {"iou_threshold": 0.4, "stability_threshold": 0.6, "stability_offset": 1.0, "box_overlap_threshold": 0.7},
    {"iou_threshold": 0.3, "stability_threshold": 0.5, "stability_offset": 0.5, "box_overlap_threshold": 0.4},
    {"iou_threshold": 0.6, "stability_threshold": 0.0, "stability_offset": 1.0, "box_overlap_threshold": 0.9},
]
NOISE = {"iou_threshold": 0.0, "stability_threshold": 0.6, "stability_offset": 0.02, "box_overlap_threshold": 1.0}


@pytest.mark.parametrize(
    ("build", "size", "side", "settings"),
    [(bundled, size, 16, settings) for size in ((256, 256), (400, 280), (257, 601)) for settings in SETTINGS]
    + [(random_vit_b, (320, 256), 4, NOISE)],
)
def test_everything_gives_the_masks_of_sams_own_generator(
    build: Callable[[], Sam], size: tuple[int, int], side: int, settings: dict[str, float]
) -> None:
    sam, image = build(), picture(*size)
    generator = SamAutomaticMaskGenerator(
        sam,
        points_per_side=side,
        pred_iou_thresh=settings["iou_threshold"],
        stability_score_thresh=settings["stability_threshold"],
        stability_score_offset=settings["stability_offset"],
        box_nms_thresh=settings["box_overlap_threshold"],
    )
    expected = [mask for mask in generator.generate(image) if mask["area"]]  # an empty mask is no proposal
    options = settings | {"strategy": "everything", "points_per_side": side, "max_masks": 200}
    found = proposed(proposer(sam), job(image, **options)).levels["object"]
    assert len(found) == len(expected) > 3
    unmatched = list(expected)
    for proposal in found:
        mask = proposal.mask.decode()
        match = min(unmatched, key=lambda other: (other["segmentation"] ^ mask).sum())
        rounding = 6e-5 * mask.size  # pixels whose logit is 0 up to the order of a sum: noise has some
        assert (match["segmentation"] ^ mask).sum() <= rounding
        assert abs(match["predicted_iou"] - proposal.predicted_iou) < 1e-5
        assert np.allclose(match["point_coords"][0], proposal.point)
        unmatched = [other for other in unmatched if other is not match]


def test_no_object_lies_inside_another(ours: Proposer) -> None:
    masks = [p.mask.decode() for p in proposed(ours, job(picture(256, 256))).levels["object"]]
    assert len(masks) > 2
    for i, outer in enumerate(masks):
        for inner in masks[i + 1 :]:
            assert (inner & outer).sum() <= 0.8 * inner.sum()


def test_no_part_overlaps_another_by_more_than_the_threshold(ours: Proposer) -> None:
    masks = [
        p.mask.decode() for p in proposed(ours, job(picture(256, 256), "part", overlap_threshold=0.3)).levels["part"]
    ]
    assert len(masks) > 2
    assert all(iou(a, b) <= 0.3 for i, a in enumerate(masks) for b in masks[:i])


def test_group_and_object_have_the_same_proposals(ours: Proposer) -> None:
    levels = proposed(ours, job(picture(256, 256), "group", "object", "part")).levels
    assert levels["group"] == levels["object"] != levels["part"]


def test_a_tuned_level_has_its_own_parameters(ours: Proposer) -> None:
    answer = proposed(ours, job(picture(256, 256), "group", "part", strategy="tuned", stability_threshold=0.5))
    group, part = answer.options["group"], answer.options["part"]
    assert (group.max_area_percent, part.max_area_percent) == (95, 25)
    assert group.min_area == round(0.005 * 256 * 256)
    assert group.stability_threshold == part.stability_threshold == 0.5  # what is asked for goes before
    assert answer.levels["part"]
    assert all(p.mask.area <= 0.25 * 256 * 256 for p in answer.levels["part"])
    assert all(p.mask.area >= group.min_area for p in answer.levels["group"])


def test_the_literal_equation_3_keeps_what_the_largest_mask_does_not_contain(ours: Proposer) -> None:
    literal = proposed(ours, job(picture(256, 256), rounds=1)).levels["object"]
    whole = proposed(ours, job(picture(256, 256))).levels["object"]
    assert {p.mask.counts for p in whole} <= {p.mask.counts for p in literal}


def test_jobs_taken_together_have_the_proposals_that_they_have_alone(ours: Proposer) -> None:
    jobs = [
        job(picture(256, 256)),
        job(picture(400, 280, seed=1), "part"),
        job(picture(256, 256, seed=2), strategy="everything", stability_threshold=0.5),
        job(picture(256, 256, seed=5), points_per_side=8),
    ]
    for one, together in zip(jobs, ours(jobs), strict=True):
        assert isinstance(together, Proposed)
        alone = proposed(ours, one)
        assert together.levels.keys() == alone.levels.keys()
        for level, proposals in alone.levels.items():
            assert len(together.levels[level]) == len(proposals) > 0
            for a, b in zip(together.levels[level], proposals, strict=True):
                assert iou(a.mask.decode(), b.mask.decode()) > 0.999


def test_a_job_that_nobody_waits_for_costs_nothing_and_hurts_nobody(ours: Proposer) -> None:
    asked = job(picture(256, 256))
    left = Taken(asked.job, lambda: True)
    gone, answered = ours([left, asked])
    assert isinstance(gone, Abandoned)
    assert isinstance(answered, Proposed)


def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Counts how often the encoder and the decoder run."""
    counted = {"encode": 0, "decode": 0}
    for name, kind, method in (("encode", Encoder, "forward"), ("decode", Decoder, "trunk")):
        original = getattr(kind, method)

        def counting(*args: Any, _name: str = name, _original: Any = original) -> Any:
            counted[_name] += 1
            return _original(*args)

        monkeypatch.setattr(kind, method, counting)
    return counted


def test_another_level_of_an_image_skips_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    caching, image = proposer(bundled(), cache_bytes=1 << 28), picture(256, 256)
    counted = calls(monkeypatch)
    proposed(caching, job(image, "part"))
    assert counted["encode"] == 1
    proposed(caching, job(image, "object"))
    assert counted["encode"] == 1


def test_thresholds_alone_skip_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    caching, image = proposer(bundled(), cache_bytes=1 << 28), picture(256, 256)
    counted = calls(monkeypatch)
    proposed(caching, job(image, "part", "object"))
    once = dict(counted)
    for options in ({"overlap_threshold": 0.2}, {"containment_threshold": 0.3}, {"max_masks": 3}, {"rounds": 1}):
        proposed(caching, job(image, "part", "object", **options))
    assert counted == once
    stricter = proposed(caching, job(image, "part", iou_threshold=0.6))
    assert counted == once
    assert stricter.levels == proposed(proposer(bundled()), job(image, "part", iou_threshold=0.6)).levels


def test_masks_that_were_never_upscaled_are_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    caching, image = proposer(bundled(), cache_bytes=1 << 28), picture(256, 256)
    proposed(caching, job(image, "part"))
    counted = calls(monkeypatch)
    looser = proposed(caching, job(image, "part", iou_threshold=0.1))
    assert counted["encode"] == 0
    assert counted["decode"] > 0
    assert looser.levels == proposed(proposer(bundled()), job(image, "part", iou_threshold=0.1)).levels


def test_a_close_call_is_decided_at_full_size() -> None:
    """The IoU of the masks that stay, as they are answered, never exceeds the threshold by rounding of resolution."""
    ours = proposer(bundled())
    image = picture(512, 512, seed=7)
    for threshold in (0.05, 0.1, 0.2, 0.4):
        answer = proposed(ours, job(image, "part", overlap_threshold=threshold, points_per_side=24))
        masks = [p.mask.decode() for p in answer.levels["part"]]
        assert all(iou(a, b) <= threshold for i, a in enumerate(masks) for b in masks[:i])
