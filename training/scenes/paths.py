"""The reasoning path that applying criteria in turn gives (Eqs. 7-8), and what a twin tells of relations."""

from collections.abc import Iterable, Sequence

from dtwinseger.twin import Decision, Step
from dtwinseger.twin.relations import RELATIONS_PER_OBJECT
from training.scenes.criteria import SIDES, Criterion, Not, Place, Size
from training.scenes.things import INVERSE, Thing

MOST_STEPS = 5


def solve(
    things: Sequence[Thing], size: Size, criteria: Sequence[Criterion]
) -> tuple[tuple[int, ...], tuple[Step, ...]]:
    """Apply the criteria in turn until nothing is left: the indices kept, and the path. size: (height, width)."""
    left = list(range(1, len(things) + 1))
    path: list[Step] = []
    for number, criterion in enumerate(criteria, start=1):
        decisions = []
        for index in left:
            reasoning, keep = criterion.judge(things, index, left, size)
            semantic = things[index - 1].semantic if keep else None
            decisions.append(Decision(index=index, reasoning=reasoning, keep=keep, semantic=semantic))
        path.append(Step(step=number, criterion=criterion.criterion(), decisions=tuple(decisions)))
        left = path[-1].kept
        if not left:
            break
    return tuple(left), tuple(path)


def kept(things: Sequence[Thing], size: Size, criteria: Sequence[Criterion]) -> list[int]:
    """The indices that `solve` keeps, without its path."""
    left = list(range(1, len(things) + 1))
    for criterion in criteria:
        left = [index for index in left if criterion.judge(things, index, left, size)[1]]
    return left


def pairs(things: Sequence[Thing]) -> list[tuple[int, str, int]]:
    """Every relation that the twin lists, both ways: (subject, predicate, target)."""
    listed = [(i, r.predicate, r.target) for i, thing in enumerate(things, start=1) for r in thing.relations]
    return [*listed, *((target, INVERSE[predicate], subject) for subject, predicate, target in listed)]


def complete(things: Sequence[Thing], candidates: Iterable[int], target: int) -> bool:
    """Whether the text tells how each candidate relates to the target: none of it was cut off by the limit."""
    for index in candidates:
        if index == target:
            continue
        later, earlier = max(index, target), min(index, target)
        listed = things[later - 1].relations
        if len(listed) >= RELATIONS_PER_OBJECT and all(r.target != earlier for r in listed):
            return False
    return True


THIRDS = {
    "leftmost": ("left", "right"),
    "rightmost": ("right", "left"),
    "topmost": ("top", "bottom"),
    "lowest": ("bottom", "top"),
}  # side -> the places nearest to it and furthest from it


def nearing(things: Sequence[Thing], size: Size, among: Sequence[int], side: str, best: int) -> Criterion | None:
    """A place that some of `among` are not in and the one furthest to the side is: that they are told apart by first.

    None where all are in the same.
    """
    near, far = THIRDS[side]
    for criterion in (Place(f"at the {near}"), Not(Place(f"at the {far}"))):
        left = [index for index in among if criterion.judge(things, index, among, size)[1]]
        if best in left and len(left) < len(among):
            return criterion
    return None


def furthest(things: Sequence[Thing], among: Sequence[int], side: str, margin: float) -> int | None:
    """The one of `among` that reaches furthest to the side by its box and by its centroid, by more than `margin` pixels
    before the next; None where none does."""
    corner, greatest = SIDES[side]
    sign = -1 if greatest else 1
    by_box = sorted(among, key=lambda i: sign * things[i - 1].bbox[corner])
    by_center = min(among, key=lambda i: sign * things[i - 1].centroid[corner % 2])
    first, second = (things[i - 1].bbox[corner] for i in by_box[:2])
    return by_box[0] if abs(first - second) > margin and by_center == by_box[0] else None
