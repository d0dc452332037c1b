import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.twin import Mask, Step, TwinObject, build_objects, violations
from tests.training.segdt.seeing import Eyes, Seen, eyes
from training.scenes.criteria import Criterion, Edge, Is, IsKind, Missing, Not, Place, Relates
from training.scenes.queries import Query
from training.segdt import SegDTSample, read
from training.segdt.commands import app
from training.segdt.reexpress import ContradictedError, NotFoundError, reexpress
from training.segdt.validate import check
from training.segdt.world import TrueScene, true_scene

SEED, SIZE, QUERIES = 10_000, (256, 256), 6


@pytest.fixture
def sight() -> Iterator[Eyes]:
    with eyes() as seeing:
        yield seeing


@pytest.fixture(scope="module")
def scene() -> TrueScene:
    return true_scene(SEED, SIZE, QUERIES)


def truly(found: TwinObject) -> Seen:
    """The object as perfect services see it."""
    assert found.semantic
    assert found.category
    return Seen(found.mask, api.Semantics(semantic=found.semantic, category=found.category))


def perfectly(sight: Eyes, scene: TrueScene) -> None:
    """Show the scene as it is, its objects and their parts."""
    twins = {asked.query.granularity == "part": asked.objects for asked in scene.queries}
    assert set(twins) == {False, True}
    sight.show(scene.png, *([truly(found) for found in twins[part]] for part in (False, True)))


def build(folder: Path, sight: Eyes, *more: str) -> Result:
    """From the one scene, described without its queries."""
    size = [str(side) for side in SIZE]
    asked = ["--scenes", "1", "--queries", str(QUERIES), "--size", *size]
    asked += ["--options", '{"semantics":{"scope":"image"}}']
    urls = ["--perception", sight.url, "--semantics", sight.url]
    return CliRunner().invoke(app, ["build", "perceived", str(folder), *urls, *asked, *more])


def by_query(folder: Path) -> dict[str, SegDTSample]:
    """The samples of a folder, all of them valid."""
    found = check([folder / "segdt.jsonl"], folder / "images", 10)
    assert found.shown == []
    return {sample.query: sample for sample in read(folder / "segdt.jsonl")}


def test_perfect_services_give_the_true_answers_and_paths(tmp_path: Path, sight: Eyes, scene: TrueScene) -> None:
    perfectly(sight, scene)
    done = build(tmp_path, sight)
    assert done.exit_code == 0, done.output
    samples = by_query(tmp_path)
    assert set(samples) == {asked.query.text for asked in scene.queries}
    for asked in scene.queries:
        sample = samples[asked.query.text]
        assert (sample.path, sample.indices) == (asked.query.path, asked.query.indices)
        assert sample.provenance.generator == f"perceived:{asked.query.kind}"
    assert set(sight.queries) == {None}
    assert len(sight.queries) == len({asked.query.granularity for asked in scene.queries})  # a twin each


def test_pieces_and_background_are_dropped_and_what_is_missing_is_counted(
    tmp_path: Path, sight: Eyes, scene: TrueScene
) -> None:
    whole = [each for each in scene.queries if each.query.granularity != "part"]
    objects = whole[0].objects
    asked = next(each.query for each in whole if each.query.indices)
    gone = next(found for found in objects if found.index in asked.indices)
    piece = objects[0].mask.decode()
    piece[:, (objects[0].bbox[0] + objects[0].bbox[2]) // 2 :] = False
    corner = np.zeros(SIZE, dtype=np.bool_)
    corner[:6, :6] = True
    seen = [truly(found) for found in objects if found is not gone]
    seen += [
        Seen(Mask.encode(piece), None),
        Seen(Mask.encode(corner), api.Semantics(semantic="the background", category="background")),
    ]
    sight.show(scene.png, seen)
    assert build(tmp_path, sight).exit_code == 0
    samples = by_query(tmp_path)
    assert asked.text not in samples
    record = json.loads((tmp_path / "done.jsonl").read_text())
    assert sum(record["left_out"].values()) + record["samples"] == len(scene.queries)
    assert record["left_out"]["not all targets were found"] >= 1
    for sample in samples.values():
        nothing = {row.index for row in sample.dt0 if row.semantic in (None, "the background")}
        assert len(nothing) == 2
        assert not nothing & set(sample.indices)


def test_a_service_that_fails_ends_the_build_and_the_same_command_goes_on(
    tmp_path: Path, sight: Eyes, scene: TrueScene
) -> None:
    perfectly(sight, scene)
    sight.failing = Problem("overloaded", "too many requests")
    failed = build(tmp_path, sight)
    assert failed.exit_code == 1
    assert "perception: too many requests; the same command goes on from here" in failed.output
    assert not (tmp_path / "done.jsonl").exists()
    sight.failing = None
    assert build(tmp_path, sight).exit_code == 0
    assert len(by_query(tmp_path)) == len(scene.queries)


def test_a_url_where_no_service_is_is_told(tmp_path: Path, sight: Eyes) -> None:
    nowhere = build(tmp_path, sight, "--perception", "http://127.0.0.1:9")
    assert nowhere.exit_code == 1
    assert "perception at http://127.0.0.1:9 cannot be reached" in nowhere.output


@pytest.mark.parametrize("options", ['{"proposals":{"points":3}}', '{"granularity":"part"}', "fast"])
def test_options_are_those_of_a_request_that_matter_here(tmp_path: Path, sight: Eyes, options: str) -> None:
    wrong = build(tmp_path, sight, "--options", options)
    assert wrong.exit_code == 1
    assert "--options: " in wrong.output
    assert not list(tmp_path.iterdir())


def objects_called(*names: str) -> tuple[TwinObject, ...]:
    """Objects in a row from the left, each smaller than the one before."""
    masks = []
    for number in range(len(names)):
        pixels = np.zeros((40, 100), dtype=np.bool_)
        pixels[: 20 - number, 10 * number : 10 * number + 8] = True
        masks.append(Mask.encode(pixels))
    said = [api.Semantics(semantic=f"a {name}", category=name.split()[-1]) for name in names]
    return build_objects(masks, [0.9] * len(names), said)


def retold(
    names: tuple[str, ...], indices: tuple[int, ...], same: dict[int, int], *criteria: Criterion
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """The path of a query for what meets the criteria, whose true answer is `indices`, where these are perceived."""
    query = Query("it", "name", "object", indices, (), "seen", criteria)
    objects = objects_called(*names)
    path, found = reexpress(query, objects, (40, 100), same)
    assert violations(path, found, [found.index for found in objects]) == []
    return path, found


MUGS = IsKind(("mug", "bottle"))


def test_a_path_speaks_of_the_perceived_objects_under_their_numbers_and_names() -> None:
    names = ("background", "mug", "pan", "mug")  # the pan is a tree
    path, indices = retold(names, (3,), {1: 3, 2: 2, 3: 4}, MUGS, Relates("right_of", 1, "tree"))
    assert indices == (4,)
    assert [d.reasoning for d in path[0].decisions] == ["a background", "a mug", "a pan", "a mug"]
    assert path[0].decisions[1].semantic == "a mug"
    assert path[1].criterion == "is right of 3 (pan)"
    assert [d.reasoning for d in path[1].decisions] == ["3 (pan) is right of it", "right of 3 (pan)"]


def test_the_one_furthest_to_a_side_is_found_among_the_perceived() -> None:
    order = (MUGS, Edge("rightmost", 3, "mug"))
    path, indices = retold(("tree", "mug", "pan", "mug"), (3,), {1: 1, 2: 2, 3: 4}, *order)
    assert indices == (4,)
    assert path[1].criterion == "is the rightmost, 4 (mug)"
    assert [d.reasoning for d in path[1].decisions] == ["left of 4", "the rightmost"]
    for names in (("tree", "mug", "pan", "mug"), ("tree", "hat")):  # another one lies further right; none is a mug
        with pytest.raises(ContradictedError):
            retold(names, (2,), {1: 1, 2: 2}, *order)


def test_a_path_that_needs_what_was_not_perceived_cannot_be_spoken() -> None:
    with pytest.raises(NotFoundError):
        retold(("mug",), (1,), {1: 1}, Relates("left_of", 2, "tree"))


@pytest.mark.parametrize(
    "names",
    [("hat", "tree"), ("mug", "mug"), ("mug", "tree", "mug")],
    ids=["a target under another name", "another thing under its name", "what is none of them under its name"],
)
def test_no_path_says_what_the_twin_denies(names: tuple[str, ...]) -> None:
    with pytest.raises(ContradictedError):
        retold(names, (1,), {1: 1, 2: 2}, MUGS)


def test_what_is_none_of_the_objects_is_kept_while_its_words_fit_and_dropped_then() -> None:
    path, indices = retold(("mug", "hat", "tree"), (1,), {1: 1, 2: 3}, Place("top left"), MUGS)
    assert path[0].kept == [1, 2, 3]
    assert indices == (1,)
    assert path[1].decisions[1].reasoning == "a hat"


@pytest.mark.parametrize("stray", ["red hat", "background"])
def test_what_a_path_denies_is_read_in_the_perceived_words(stray: str) -> None:
    path, indices = retold(("red mug", "blue mug", stray), (2,), {1: 1, 2: 2}, Not(Is("color", ("red",))))
    assert indices == (2,)
    assert not path[0].decisions[2].keep


@pytest.mark.parametrize(
    "names", [("blue mug", "blue mug"), ("red mug", "red mug"), ("red mug", "blue mug", "pink hat")]
)
def test_no_path_denies_what_the_twin_says(names: tuple[str, ...]) -> None:
    with pytest.raises(ContradictedError):
        retold(names, (2,), {1: 1, 2: 2}, Not(Is("color", ("red",))))


def test_nothing_is_missing_that_was_perceived_though_it_is_not_there() -> None:
    absent = Missing("left_of", "red hat")
    assert retold(("mug", "blue hat"), (), {1: 1}, MUGS, absent)[1] == ()
    with pytest.raises(ContradictedError):
        retold(("mug", "red hat"), (), {1: 1}, MUGS, absent)


def test_a_query_for_what_the_world_does_not_know_keeps_its_reason() -> None:
    path = (Step(step=1, criterion="is a unicorn", decisions=(), otherwise="nothing here is called that"),)
    query = Query("the unicorn", "unknown", "object", (), path, "seen")
    assert reexpress(query, objects_called("mug", "hat"), (40, 100), {1: 1}) == (path, ())
