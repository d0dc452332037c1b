"""Queries about true twins: clear, of every kind, with paths that obey the rules, and the same for the same seed."""

import itertools
import math
import random
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import pytest

from dtwinseger.twin import render_twin, violations
from training.mini.asked import ask
from training.scenes import COLORS, KINDS, SIZES, casting, phrases, render_scene, strange
from training.scenes.asked import faithful
from training.scenes.criteria import SIDES, UpTo
from training.scenes.part_uses import PART_USES
from training.scenes.paths import MOST_STEPS, pairs
from training.scenes.phrases import Phrasings
from training.scenes.queries import QUERY_KINDS, Asker, Query, groups
from training.scenes.things import Thing, place, rows, take_apart
from training.scenes.twins import Level, true_twin
from training.scenes.uses import DOES, FOR
from training.scenes.vocabulary import MATERIALS, PATTERNS, held_out
from training.scenes.words import CLASSES, part_plural, plural
from training.scenes.world import Scene

SIZE = (256, 256)
SEEDS = range(20_000, 20_014)
LEVELS: tuple[Level, ...] = ("object", "part")
EMPTY = ("none", "unknown")
WORD = re.compile(r"[a-z]+")
AT_TOP_OR_BOTTOM = re.compile(r"[a-z] (in|at|on) the (top|bottom)( left| right)?[?.]?$")


@cache
def scene(seed: int) -> Scene:
    return render_scene(seed, SIZE[1], SIZE[0])


@cache
def things(seed: int, level: Level = "object") -> tuple[Thing, ...]:
    return take_apart(true_twin(scene(seed), level))


@cache
def asked(level: Level, kind: str | None, count: int = 6, held_out: bool = False) -> tuple[tuple[int, Query], ...]:
    """(scene seed, query), up to `count` about each scene."""
    found = []
    for seed in SEEDS:
        asker = Asker(things(seed, level), SIZE, random.Random(seed), held_out=held_out)
        if kind is None or kind in asker.makers:
            found += [(seed, query) for _ in range(count) if (query := asker.draw(kind))]
    return tuple(found)


def about(kind: str, count: int = 6) -> Iterable[tuple[Level, int, Query]]:
    """(level, scene seed, query) about both levels."""
    return [(level, seed, query) for level in LEVELS for seed, query in asked(level, kind, count)]


def test_things_render_as_the_twin_that_they_came_from() -> None:
    for seed in SEEDS:
        for level in LEVELS:
            twin = true_twin(scene(seed), level)
            assert render_twin(rows(take_apart(twin), SIZE)) == render_twin(twin)


def test_things_have_the_words_of_the_objects() -> None:
    for seed in SEEDS:
        for thing, found in zip(things(seed), scene(seed).objects, strict=True):
            assert (thing.size, thing.color, thing.kind) == (found.size, found.color, found.kind)
            assert (thing.pattern, thing.material, thing.part) == (found.pattern, found.material, None)
        assert {thing.part for thing in things(seed, "part")} <= {p for kind in KINDS.values() for p in kind.parts}


@pytest.mark.parametrize("kind", QUERY_KINDS)
def test_every_kind_of_query_occurs_and_its_path_leads_to_its_answer(kind: str) -> None:
    queries = list(about(kind))
    assert len(queries) >= len(SEEDS)
    for level, seed, query in queries:
        assert query.kind == kind
        assert query.text
        assert not set("{}") & set(query.text), query.text
        assert "  " not in query.text
        assert len(query.path) <= MOST_STEPS
        assert violations(query.path, query.indices, range(1, len(things(seed, level)) + 1)) == []
        assert bool(query.indices) == (kind not in EMPTY), query.text


def test_granularity_is_that_of_the_twin_and_the_number_of_answers() -> None:
    for kind in QUERY_KINDS:
        for level, _, query in about(kind):
            if level == "part":
                assert query.granularity == "part"
            elif kind not in EMPTY:
                assert (query.granularity == "group") == (len(query.indices) > 1), query.text


def test_about_a_sixth_of_the_queries_have_no_answer() -> None:
    for level in LEVELS:
        queries = [query for _, query in asked(level, None, 60)]
        assert 0.1 < sum(query.kind == "none" for query in queries) / len(queries) < 0.22
        assert not any(query.kind == "unknown" for query in queries)


def test_an_independent_reading_of_the_words_gives_the_same_answer() -> None:
    """Every object with all the words of the query, where it is made of nothing but words of a look."""
    looks = {*COLORS, *SIZES, *KINDS, "striped", "dotted", "checked", "wooden", "metal", "glass"}
    single = {plural(kind): kind for kind in KINDS}
    checked = 0
    for kind in ("name", "description", "color", "size", "number"):
        for seed, query in asked("object", kind):
            said = {single.get(word, word) for word in WORD.findall(query.text.lower())}
            if said & {*CLASSES, *(plural(name) for name in CLASSES), "or"}:
                continue
            words = said & looks
            expected = [
                index
                for index, thing in enumerate(things(seed), start=1)
                if words <= set((thing.semantic or "").split())
            ]
            assert list(query.indices) == expected, query.text
            checked += 1
    assert checked > 200


def test_a_part_is_asked_for_by_its_name_and_its_object() -> None:
    for seed, query in asked("part", "part"):
        for index in query.indices:
            thing = things(seed, "part")[index - 1]
            assert thing.part
            assert {thing.part, part_plural(thing.part)} & set(WORD.findall(query.text.lower()))


def test_what_is_not_so_is_left_out() -> None:
    for seed, query in asked("object", "negation"):
        (denied,) = (step.criterion[len("is not ") :] for step in query.path if step.criterion.startswith("is not "))
        for index in query.indices:
            thing = things(seed)[index - 1]
            words = f"{thing.semantic} {place(thing, SIZE)}".split()
            assert all(
                not set(one.removeprefix("a ").removeprefix("an ").split()) <= set(words)
                for one in denied.split(" or ")
            )


def test_what_is_asked_for_by_place_lies_there() -> None:
    for seed, query in asked("object", "place"):
        where = query.path[0].criterion.removeprefix("is ")
        for index in query.indices:
            assert set(where.split()) <= set(place(things(seed)[index - 1], SIZE).split())


def test_what_is_asked_for_by_relation_is_listed_in_the_twin() -> None:
    reasons = []
    for seed, query in asked("object", "relation"):
        said = query.path[-1].criterion.removeprefix("is ")
        listed = {
            (subject, f"{predicate.replace('_', ' ')} {target} ({things(seed)[target - 1].kind})")
            for subject, predicate, target in pairs(things(seed))
        }
        assert all((index, said) in listed for index in query.indices)
        reasons += [decision.reasoning for decision in query.path[-1].decisions if decision.keep]
    assert {reason.endswith(" it") for reason in reasons} == {True, False}  # found at either object


def test_the_one_at_the_end_of_an_order_is_there_by_its_numbers() -> None:
    for seed, query in asked("object", "superlative"):
        last = query.path[-1]
        word = last.criterion.removeprefix("is the ").split(",")[0]
        among = query.path[-2 if word in SIDES else -1].decisions
        judged = {d.index: things(seed)[d.index - 1] for d in among}
        if word in SIDES:
            corner, greatest = SIDES[word]
            values = {index: thing.bbox[corner] * (1 if greatest else -1) for index, thing in judged.items()}
        else:
            values = {index: thing.area_percent * (1 if word == "largest" else -1) for index, thing in judged.items()}
        assert [index for index, value in values.items() if value == max(values.values())] == list(query.indices)


def test_what_could_be_what_is_asked_for_is_so_wherever_it_is() -> None:
    checked = 0
    for seed in SEEDS:
        for record in ask(scene(seed), random.Random(seed), 60):
            text = record["text"].decode().lower()
            said = set(WORD.findall(text))
            named, looks = said & KINDS.keys(), said & {*COLORS, *SIZES, *PATTERNS, *MATERIALS}
            if len(named) == 1 and not looks and AT_TOP_OR_BOTTOM.search(text):
                like = [thing.kind in named for thing in things(seed)]
                assert [bool(int(record["fits"]) >> i & 1) for i in range(len(like))] == like, text
                checked += 1
    assert checked > 5


def test_the_furthest_to_a_side_is_the_last_that_is_further_than_all_before_it() -> None:
    several = 0
    for seed, query in asked("object", "superlative"):
        side = query.path[-1].criterion.removeprefix("is the ").split(",")[0]
        if side not in SIDES:
            continue
        *_, scan, end = query.path
        assert scan.criterion == f"is the {side} up to it"
        corner, greatest = SIDES[side]
        reached = [(1 if greatest else -1) * things(seed)[d.index - 1].centroid[corner % 2] for d in scan.decisions]
        before = [-math.inf, *itertools.accumulate(reached, max)]
        assert [d.keep for d in scan.decisions] == [far > best for far, best in zip(reached, before, strict=False)]
        assert scan.kept[-1:] == end.kept == list(query.indices)
        several += len(scan.kept) > 1
    assert several > 5


def test_a_decision_up_to_a_side_compares_with_the_furthest_before() -> None:
    mugs = [replace(things(0)[0], centroid=(x, 128.0), kind="mug") for x in (128.0, 128.0, 200.0, 20.0)]
    assert [UpTo("leftmost").judge(mugs, index, (1, 2, 3, 4), SIZE) for index in (1, 2, 3, 4)] == [
        ("in the center", True),
        ("in the center; 1 (mug) is as far", False),
        ("at the right; 1 (mug) is left of it", False),
        ("at the left; 1 (mug) is right of it", True),
    ]


def test_groups_are_rendered_and_asked_for_under_the_same_names() -> None:
    assert casting.GROUPS.keys() == phrases.GROUPED.keys()
    for kind, (name, _) in casting.GROUPS.items():
        assert name in {f"a {word} of {plural(kind)}" for word in phrases.GROUPED[kind]}
    assert casting.CONTENTS.keys() == set(groups.CONTAINERS)
    assert {kind for held in casting.CONTENTS.values() for kind in held} == set(groups.CONTENTS)
    assert all(name == plural(kind) for held in casting.CONTENTS.values() for kind, name in held.items())


def test_most_of_what_is_asked_for_as_one_is_so_in_the_scene() -> None:
    found = {(seed, query.indices): faithful(query, scene(seed)) for seed, query in asked("object", "group")}
    assert sum(found.values()) >= 0.7 * len(found)


def test_a_query_in_a_held_out_phrasing_is_never_drawn_for_training() -> None:
    frames = [one for one in vars(phrases).values() if isinstance(one, Phrasings)]
    for one in frames:
        assert len(one.held_out) >= 1
        assert not set(one.seen) & set(one.held_out)
    for level in LEVELS:
        seen, held_out = asked(level, None, 40), asked(level, None, 40, held_out=True)
        assert {query.phrasing for _, query in seen} == {"seen"}
        assert {query.phrasing for _, query in held_out} == {"held_out"}
        texts = {re.sub(r"[?.]$", "", query.text.lower()) for _, query in seen}
        assert not texts & {re.sub(r"[?.]$", "", query.text.lower()) for _, query in held_out}


def test_what_training_says_never_names_a_color_of_a_kind_that_is_held_out() -> None:
    pairs = [f"{color} ({kind}|{plural(kind)})" for kind in KINDS for color in COLORS if held_out(color, kind)]
    named = re.compile(rf"\b({'|'.join(pairs)})\b")
    for level in LEVELS:
        assert not [query.text for _, query in asked(level, "none", 40) if named.search(query.text.lower())]
    assert [query.text for _, query in asked("object", "none", 40, held_out=True) if named.search(query.text)]


def test_a_held_out_phrasing_has_no_word_that_training_never_sees() -> None:
    frames = [one for one in vars(phrases).values() if isinstance(one, Phrasings)]
    known = {word for one in frames for text in one.seen for word in WORD.findall(text.lower())}
    for one in frames:
        for text in one.held_out:
            assert set(WORD.findall(text.lower())) <= known, text


def test_every_kind_has_two_uses_and_every_use_is_of_parts_and_kinds_that_there_are() -> None:
    for kind in KINDS:
        assert sum(kind in kinds for table in (DOES, FOR) for kinds in table.values()) >= 2, kind
    assert not {kind for table in (DOES, FOR) for kinds in table.values() for kind in kinds} - set(KINDS)
    assert not set(DOES) & set(FOR)
    for use in PART_USES:
        assert all(part in KINDS[kind].parts for kind, part in use.parts.items()), use
        assert all("{np}" in one for one in use.asked)


def test_an_unknown_query_has_a_word_that_the_world_does_not_have() -> None:
    spoken = " ".join(query.text for level in LEVELS for _, query in asked(level, None, 60)).lower()
    used = " ".join((*DOES, *FOR, *(one for use in PART_USES for one in use.asked)))
    known = set(WORD.findall(f"{spoken} {used}")) | set(KINDS) | set(COLORS) | set(SIZES) | set(CLASSES)
    for _, _, query in about("unknown", 30):
        assert set(WORD.findall(query.text.lower())) - known, query.text
    assert not set(strange.WORDS) & known


def test_a_twin_of_what_the_world_does_not_know_has_only_queries_for_nothing() -> None:
    blank = {"size": None, "color": None, "pattern": None, "material": None, "part": None, "relations": ()}
    shadow = Thing(**blank, kind="shadow", semantic="a shadow", bbox=(0, 0, 9, 9), area_percent=1, centroid=(4, 4))
    for twin in ((shadow,), ()):
        asker = Asker(twin, SIZE, random.Random(1))
        drawn = [query for _ in range(20) if (query := asker.draw())]
        assert drawn
        assert all(query.indices == () or query.kind in ("place", "negation") for query in drawn)


def test_a_part_among_objects_makes_no_twin_of_parts() -> None:
    objects, parts = things(SEEDS[0]), things(SEEDS[0], "part")
    assert "name" in Asker((*objects, parts[0]), SIZE, random.Random(1)).makers
    assert "part" in Asker((*parts, objects[0]), SIZE, random.Random(1)).makers


def test_a_part_among_objects_is_not_taken_for_its_object() -> None:
    for seed in SEEDS[:6]:
        objects = things(seed)
        part = next(thing for thing in things(seed, "part") if thing.kind == objects[0].kind)
        asker = Asker((*objects, part), SIZE, random.Random(seed))
        found = [query for kind in ("number", "several", "relation") for _ in range(6) if (query := asker.draw(kind))]
        assert found
        for query in found:
            if part.kind and part.kind in query.text:
                assert len(objects) + 1 not in query.indices, query.text
            assert (query.granularity == "object") == (len(query.indices) == 1), query.text
            if query.text.startswith("both "):
                assert len(query.indices) == 2, query.text


def test_the_same_seed_asks_the_same() -> None:
    askers = [Asker(things(SEEDS[3]), SIZE, random.Random(8)) for _ in range(2)]
    first, second = ([asker.draw() for _ in range(20)] for asker in askers)
    assert first == second
