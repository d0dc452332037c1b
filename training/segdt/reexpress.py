"""A query about the true objects of a scene as one about the objects that were perceived in it (Eqs. 7-8).

What the query asks for, its criteria, is applied to the perceived twin as it reads, wrong descriptions and all. Where
that leads to other objects than the true ones there is no path: a model that learned from such a sample would learn to
see what it does not read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dtwinseger.twin import Step, TwinObject
from training.scenes.criteria import Criterion, Edge, Missing, Relates
from training.scenes.paths import furthest, kept, solve
from training.scenes.queries import Query
from training.scenes.things import Thing, take_apart


class NotFoundError(Exception):
    """The query refers to an object that was not perceived."""


class ContradictedError(Exception):
    """The perceived twin leads to another answer than the true one."""


def reexpress(
    query: Query, objects: Sequence[TwinObject], size: tuple[int, int], same: Mapping[int, int]
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """The path over the perceived twin, and the indices that it keeps: those of the objects that truly answer.

    objects: the perceived twin. size: (height, width) of the image. same: index of a true object -> index of the
    perceived one. Raises NotFoundError where a criterion names an object that is missing, or ContradictedError.
    """
    if not query.criteria:  # it asks for nothing that the world has
        return query.path, query.indices
    things = take_apart(objects)
    names = {found.index: found.category or found.semantic or "object" for found in objects}
    criteria: list[Criterion] = []
    for criterion in query.criteria:
        criteria.append(_perceived(criterion, things, kept(things, size, criteria), names, same))
    indices, path = solve(things, size, criteria)
    if set(indices) != {same.get(index) for index in query.indices}:
        raise ContradictedError(f"{list(indices)} answer")
    return path, indices


def _perceived(
    criterion: Criterion,
    things: Sequence[Thing],
    left: Sequence[int],
    names: Mapping[int, str],
    same: Mapping[int, int],
) -> Criterion:
    """The criterion with the numbers and names of the perceived twin, of which `left` are still to be judged."""
    if isinstance(criterion, Relates):
        if criterion.target not in same:
            raise NotFoundError(f"object {criterion.target}")
        target = same[criterion.target]
        return replace(criterion, target=target, name=names[target])
    if isinstance(criterion, Edge):
        best = furthest(things, left, criterion.side, 0) if len(left) > 1 else next(iter(left), None)
        if best is None:
            raise ContradictedError(f"nothing is the {criterion.side}")
        return replace(criterion, best=best, name=names[best])
    if isinstance(criterion, Missing):
        said = set(criterion.noun.split())
        if any(said <= set((thing.semantic or "").split()) for thing in things):
            raise ContradictedError(f"there is a {criterion.noun}")
    return criterion
