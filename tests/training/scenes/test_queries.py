"""Queries about true twins: clear, of every kind, with paths that obey the rules, and the same for the same seed."""

import random
import re
from collections import Counter
from functools import cache

import pytest

from dtwinseger.twin import render_twin, violations
from training.scenes import COLORS, KINDS, SIZES, render_scene, strange
from training.scenes.paths import pairs
from training.scenes.queries import Asker, Query
from training.scenes.things import Thing, place, rows, take_apart
from training.scenes.twins import true_twin

SIZE = (256, 256)
SEEDS = range(12)
QUERY_KINDS = (
    "name",
    "description",
    "color",
    "size",
    "place",
    "relation",
    "superlative",
    "affordance",
    "group",
    "none",
    "unknown",
)


@cache
def things(seed: int) -> tuple[Thing, ...]:
    return take_apart(true_twin(render_scene(seed)))


@cache
def asked(kind: str | None, count: int = 6) -> tuple[tuple[int, Query], ...]:
    """(scene seed, query), `count` about each scene."""
    found = []
    for seed in SEEDS:
        asker = Asker(things(seed), SIZE, random.Random(seed))
        found += [(seed, query) for _ in range(count) if (query := asker.draw(kind))]
    return tuple(found)


def test_things_render_as_the_twin_that_they_came_from() -> None:
    for seed in SEEDS:
        twin = true_twin(render_scene(seed))
        assert render_twin(rows(take_apart(twin), SIZE)) == render_twin(twin)


@pytest.mark.parametrize("kind", QUERY_KINDS)
def test_every_kind_of_query_occurs_and_its_path_leads_to_its_answer(kind: str) -> None:
    queries = asked(kind)
    assert len(queries) > len(SEEDS)
    for seed, query in queries:
        assert query.kind == kind
        assert query.text
        assert violations(query.path, query.indices, range(1, len(things(seed)) + 1)) == []


def test_only_queries_for_nothing_have_no_answer() -> None:
    for kind in QUERY_KINDS:
        assert all(bool(query.indices) == (kind not in ("none", "unknown")) for _, query in asked(kind))


def test_about_a_seventh_of_the_queries_have_no_answer() -> None:
    kinds = Counter(query.kind for _, query in asked(None, 60))
    assert 0.1 < kinds["none"] / kinds.total() < 0.2
    assert set(kinds) == set(QUERY_KINDS) - {"unknown"}


def test_a_query_for_one_object_has_one_answer_and_a_query_for_several_has_several() -> None:
    for kind in QUERY_KINDS[:-2]:
        for _, query in asked(kind):
            assert (query.granularity == "group") == (len(query.indices) > 1), query.text


def test_an_unknown_query_has_a_word_that_the_world_does_not_have() -> None:
    spoken = " ".join(query.text for kind in QUERY_KINDS[:-1] for _, query in asked(kind, 30)).lower()
    known = set(re.findall(r"[a-z]+", spoken)) | set(KINDS) | set(COLORS) | set(SIZES)
    for _, query in asked("unknown", 30):
        assert set(re.findall(r"[a-z]+", query.text.lower())) - known, query.text
    assert not set(strange.WORDS) & known


def test_a_kind_that_is_named_once_is_the_only_one_in_its_scene() -> None:
    for seed, query in asked("name"):
        (kind,) = {things(seed)[index - 1].kind for index in query.indices}
        assert len(query.indices) == sum(thing.kind == kind for thing in things(seed))


def test_what_is_asked_for_by_place_lies_there() -> None:
    for seed, query in asked("place"):
        where = query.path[-1].criterion.removeprefix("is ")
        for index in query.indices:
            assert set(where.split()) <= set(place(things(seed)[index - 1], SIZE).split())


def test_what_is_asked_for_by_relation_is_listed_in_the_twin() -> None:
    for seed, query in asked("relation"):
        said = query.path[-1].criterion.removeprefix("is ")
        listed = {
            (subject, f"{predicate.replace('_', ' ')} {target} ({things(seed)[target - 1].kind})")
            for subject, predicate, target in pairs(things(seed))
        }
        assert all((index, said) in listed for index in query.indices)


def test_relations_are_found_at_either_object() -> None:
    reasons = [d.reasoning for _, q in asked("relation", 20) for d in q.path[-1].decisions if d.keep]
    assert any(reason.endswith(" it") for reason in reasons)
    assert any(not reason.endswith(" it") for reason in reasons)


def test_the_largest_of_its_like_has_the_largest_area() -> None:
    for seed, query in asked("superlative"):
        judged = [things(seed)[d.index - 1].area_percent for d in query.path[-1].decisions]
        best = max(judged) if "largest" in query.path[-1].criterion else min(judged)
        assert things(seed)[query.indices[0] - 1].area_percent == best
        assert judged.count(best) == 1


def test_part_queries_name_a_part_and_carry_no_answer() -> None:
    for seed in SEEDS:
        query = Asker(things(seed), SIZE, random.Random(seed)).part()
        assert query is not None
        assert query.granularity == "part"
        assert any(part in query.text for parts in KINDS.values() for part in parts)
        assert query.path == ()


def test_the_same_seed_asks_the_same() -> None:
    askers = [Asker(things(3), SIZE, random.Random(8)) for _ in range(2)]
    first, second = ([asker.draw() for _ in range(20)] for asker in askers)
    assert first == second
