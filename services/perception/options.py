"""What the options of a request come to, for each level, image and checkpoint."""

from typing import Any

from dtwinseger.api import Level, ProposalOptions

SPECK = 0.0002  # of the image: a smaller mask is noise
# Strategy -> what its nulls stand for; `min_area` as a share of the image. `everything` has the defaults of
# segment-anything's generator. `tuned` has ours: larger things may overlap less and be less stable, and each level has
# its range of sizes. They were chosen by hand and are fitted to no data set.
_EVERYTHING = {"max_area_percent": 100.0, "min_area": 0.0, "stability_threshold": 0.95, "box_overlap_threshold": 0.7}
_HIERARCHICAL = {"max_area_percent": 95.0, "min_area": SPECK, "stability_threshold": 0.0, "box_overlap_threshold": 1.0}
_TUNED_GROUP = {"max_area_percent": 95.0, "min_area": 0.005, "stability_threshold": 0.85, "box_overlap_threshold": 0.5}
_TUNED_OBJECT = {"max_area_percent": 80.0, "min_area": 0.001, "stability_threshold": 0.9, "box_overlap_threshold": 0.6}
_TUNED_PART = {"max_area_percent": 25.0, "min_area": SPECK, "stability_threshold": 0.92, "box_overlap_threshold": 0.7}
_DEFAULTS: dict[str, dict[Level, dict[str, Any]]] = {
    "hierarchical": {"group": _HIERARCHICAL, "object": _HIERARCHICAL, "part": _HIERARCHICAL},
    "everything": {"group": _EVERYTHING, "object": _EVERYTHING, "part": _EVERYTHING},
    "tuned": {"group": _TUNED_GROUP, "object": _TUNED_OBJECT, "part": _TUNED_PART},
}


def resolve(options: ProposalOptions, level: Level, recommended_iou: float, pixels: int) -> ProposalOptions:
    """`options` for `level` of an image of so many pixels, without a null but `rounds`.

    recommended_iou: the threshold on the predicted IoU that the checkpoint recommends.
    """
    defaults = _DEFAULTS[options.strategy][level] | {"iou_threshold": recommended_iou}
    defaults["min_area"] = round(defaults["min_area"] * pixels)
    return options.model_copy(update={name: v for name, v in defaults.items() if getattr(options, name) is None})
