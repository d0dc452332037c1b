import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.twin import Decision, Mask, Step, TwinObject, build_objects, violations
from tests.training.segdt.seeing import Eyes, Seen, eyes
from training.segdt import SegDTSample, read
from training.segdt.commands import app
from training.segdt.reexpress import ContradictedError, NotFoundError, Perception, reexpress
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
        first = {decision.index: decision for decision in sample.path[0].decisions}
        for row in sample.dt0:
            if row.semantic == "the background":
                assert not first[row.index].keep
                assert first[row.index].reasoning == "the background"
            if row.semantic is None and gone is not objects[0]:
                assert first[row.index].reasoning.startswith("only a piece of ")


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
    """Objects in a row, each smaller than the one before."""
    masks = []
    for number in range(len(names)):
        pixels = np.zeros((40, 100), dtype=np.bool_)
        pixels[: 20 - number, 10 * number : 10 * number + 8] = True
        masks.append(Mask.encode(pixels))
    said = [api.Semantics(semantic=f"a {name}", category=name) for name in names]
    return build_objects(masks, [0.9] * len(names), said)


def step(number: int, criterion: str, *decisions: tuple[int, str, bool], otherwise: str | None = None) -> Step:
    """A step with decisions as (index, reasoning, keep)."""
    made = tuple(
        Decision(index=index, reasoning=said, keep=keep, semantic="true" if keep else None)
        for index, said, keep in decisions
    )
    return Step(step=number, criterion=criterion, decisions=made, otherwise=otherwise)


def seen(objects: tuple[TwinObject, ...], true: tuple[TwinObject, ...], same: dict[int, int]) -> Perception:
    """The objects as perceived and as they are."""
    return Perception({o.index: o for o in objects}, {o.index: o for o in true}, same)


def test_a_path_speaks_of_the_perceived_objects_under_their_numbers_and_names() -> None:
    true = [
        step(1, "is a mug", (1, "a tree", False), (2, "a mug", True), (3, "a mug", True)),
        step(2, "is left of 1 (tree)", (2, "right of 1 (tree)", False), (3, "smaller than 2", True)),
    ]
    perceived = seen(
        objects_called("background", "mug", "bush", "mug"), objects_called("tree", "mug", "mug"), {1: 3, 2: 2, 3: 4}
    )
    path, indices = reexpress(true, perceived)
    assert violations(path, indices, [1, 2, 3, 4]) == []
    assert indices == (4,)
    assert [d.reasoning for d in path[0].decisions] == ["a background", "a mug", "a bush", "a mug"]
    assert path[0].decisions[1].semantic == "a mug"
    assert path[1].criterion == "is left of 3 (bush)"
    assert [d.reasoning for d in path[1].decisions] == ["right of 3 (bush)", "smaller than 2"]


def test_a_path_that_needs_what_was_not_perceived_cannot_be_spoken() -> None:
    true = [step(1, "is left of 2 (tree)", (1, "left of 2 (tree)", True), (2, "2 (tree) itself", False))]
    with pytest.raises(NotFoundError):
        reexpress(true, seen(objects_called("mug"), objects_called("mug", "tree"), {1: 1}))


@pytest.mark.parametrize(
    "names",
    [("hat", "tree"), ("mug", "mug"), ("mug", "tree", "mug")],
    ids=["a target under another name", "another thing under its name", "what is none of them under its name"],
)
def test_no_path_says_what_the_twin_denies(names: tuple[str, ...]) -> None:
    true = [step(1, "is a mug or a bottle", (1, "a mug", True), (2, "a tree", False))]
    with pytest.raises(ContradictedError):
        reexpress(true, seen(objects_called(*names), objects_called("mug", "tree"), {1: 1, 2: 2}))


@pytest.mark.parametrize(
    ("criterion", "contradicted"),
    [
        *(("is at the left", True), ("is at the bottom", False), ("is right of 1 (mug)", True)),
        *(("is left of 1 (mug)", False), ("is left of 2 (tree)", True), ("is 1 (mug) or right of 1 (mug)", True)),
    ],
)
def test_what_is_none_of_the_objects_is_nowhere_that_a_step_asks_for(criterion: str, contradicted: bool) -> None:
    true = [step(1, criterion, (1, "1 (mug) itself", False), (2, "right of 1 (mug)", False))]
    # The hat lies right of the mug and left of the tree, which is smaller and tells so.
    perceived = seen(objects_called("mug", "hat", "tree"), objects_called("mug", "tree"), {1: 1, 2: 3})
    if contradicted:
        with pytest.raises(ContradictedError):
            reexpress(true, perceived)
    else:
        path, indices = reexpress(true, perceived)
        assert indices == ()
        assert path[0].decisions[1].reasoning == "a hat"


@pytest.mark.parametrize("stray", ["red hat", "background"])
def test_what_a_path_denies_is_read_in_the_perceived_words(stray: str) -> None:
    true = [step(1, "is not red", (1, "is red", False), (2, "is blue", True))]
    objects = objects_called("red mug", "blue mug", stray)
    path, indices = reexpress(true, seen(objects, objects[:2], {1: 1, 2: 2}))
    assert indices == (2,)
    assert path[0].decisions[2].reasoning == f"a {stray}"


@pytest.mark.parametrize(
    "names", [("blue mug", "blue mug"), ("red mug", "red mug"), ("red mug", "blue mug", "pink hat")]
)
def test_no_path_denies_what_the_twin_says(names: tuple[str, ...]) -> None:
    true = [step(1, "is not red", (1, "is red", False), (2, "is blue", True))]
    with pytest.raises(ContradictedError):
        reexpress(true, seen(objects_called(*names), objects_called("red mug", "blue mug"), {1: 1, 2: 2}))


def test_one_reason_for_dropping_the_others_drops_what_is_none_of_them_too() -> None:
    true = [step(1, "is a unicorn", otherwise="nothing here is called that")]
    path, indices = reexpress(true, seen(objects_called("mug", "shadow"), objects_called("mug"), {1: 1}))
    assert violations(path, indices, [1, 2]) == []
    assert path[0].decisions == ()
