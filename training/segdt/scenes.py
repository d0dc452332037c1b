"""Seg-DT from rendered scenes with their true twins: what a perfect perception would hand to the reasoner."""

from training.segdt.output import Made
from training.segdt.samples import image_of, sample
from training.segdt.schema import SegDTProvenance
from training.segdt.world import ANNOTATOR, TrueScene

GENERATOR = "scenes"


def make(scene: TrueScene, split: str) -> Made:
    """A sample for each query about the scene."""
    image = image_of(scene.file, scene.png, scene.size)
    samples = tuple(
        sample(
            f"{GENERATOR}-{scene.name}-{number}",
            image,
            asked.query.text,
            asked.query.granularity,
            asked.objects,
            (asked.query.path, asked.query.indices),
            SegDTProvenance(annotator=ANNOTATOR, split=split, generator=f"{GENERATOR}:{asked.query.kind}"),
        )
        for number, asked in enumerate(scene.queries)
    )
    return Made(samples, {scene.file: scene.png} if samples else {})
