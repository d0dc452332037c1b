"""The rendered world keeps its promises: seeded, exact at every level, visible, and in its own vocabulary."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from training.scenes import COLORS, KINDS, MATERIALS, PATTERNS, SIZES, Scene, SceneObject, render_scene
from training.scenes.layout import FEWEST, MIN_PART_PIXELS, MOST, MOST_PARTS
from training.scenes.light import draw_light
from training.scenes.sprite import JITTER, Look, Pose, draw_sprite
from training.scenes.twins import true_masks, true_twin
from training.scenes.vocabulary import held_out

PALETTE = np.array(list(COLORS.values()))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """As many of both sorts: for evaluation and for training."""
    return [render_scene(seed) for seed in (*range(35), *range(10_000, 10_035))]


def box(found: SceneObject) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(found.mask)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_the_same_arguments_give_the_same_bytes_whatever_the_global_random_state() -> None:
    np.random.seed(1)
    one = render_scene(12, 320, 256)
    np.random.seed(2)
    other = render_scene(12, 320, 256)
    assert np.array_equal(one.image, other.image)
    assert [found.semantic for found in one.objects] == [found.semantic for found in other.objects]
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(one.objects, other.objects, strict=True))
    assert np.random.random() == np.random.RandomState(2).random()
    assert not np.array_equal(one.image, render_scene(13, 320, 256).image)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (256, 300), (1024, 1024)])
def test_a_scene_has_the_size_that_is_asked_for(width: int, height: int) -> None:
    scene = render_scene(5, width, height)
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    assert all(found.mask.shape == (height, width) and found.mask.dtype == np.bool_ for found in scene.objects)


def test_a_smaller_image_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 256"):
        render_scene(0, 200, 256)


def test_masks_are_exact_at_the_levels_of_part_object_and_group(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert np.sum([found.mask for found in scene.objects], axis=0).max() == 1
        for found in scene.objects:
            assert np.array_equal(np.sum([part.mask for part in found.parts], axis=0), found.mask.astype(int))
            assert all(part.mask.sum() >= MIN_PART_PIXELS for part in found.parts)
        for group in scene.groups:
            members = [scene.objects[index - 1].mask for index in group.members]
            assert np.array_equal(np.logical_or.reduce(members), group.mask)


def test_an_object_is_painted_where_its_mask_is(scenes: list[Scene]) -> None:
    right = total = 0
    for scene in scenes:
        for found in scene.objects:
            if found.pattern or found.material or found.mask.sum() < 400:
                continue
            distances = np.linalg.norm(scene.image[found.mask][:, None] - PALETTE.astype(float), axis=2)
            shares = np.bincount(distances.argmin(axis=1), minlength=len(COLORS))
            right += list(COLORS).index(found.color) in np.argsort(shares)[-3:]
            total += 1
    assert right > 0.9 * total


def test_objects_come_largest_first_in_stated_numbers_with_words_of_the_vocabulary(scenes: list[Scene]) -> None:
    for scene in scenes:
        areas = [int(found.mask.sum()) for found in scene.objects]
        assert areas == sorted(areas, reverse=True)
        assert FEWEST <= len(scene.objects) <= MOST
        assert sum(len(found.parts) for found in scene.objects) <= MOST_PARTS
        for found in scene.objects:
            kind = KINDS[found.kind]
            assert {part.name for part in found.parts} <= set(kind.parts)
            assert found.pattern is None or (found.pattern in PATTERNS and kind.patterned and not found.material)
            assert found.material is None or found.material in kind.materials
    every = [found for scene in scenes for found in scene.objects]
    assert {found.color for found in every} == set(COLORS)
    assert {found.size for found in every} == set(SIZES)
    assert {found.pattern or found.material for found in every} == {None, *PATTERNS, *MATERIALS}
    assert len({found.kind for found in every}) > 45
    assert 5.5 < len(every) / len(scenes) < 8.5


def test_only_members_of_one_group_are_alike_in_all_words(scenes: list[Scene]) -> None:
    for scene in scenes:
        group_of = {index: name for name, group in enumerate(scene.groups) for index in group.members}
        first: dict[str, int] = {}
        for index, found in enumerate(scene.objects, start=1):
            other = first.setdefault(found.semantic, index)
            assert other == index or group_of[other] == group_of[index]


def test_scenes_for_training_never_show_a_held_out_pair(scenes: list[Scene]) -> None:
    shown = Counter(
        (scene.seed >= 10_000, held_out(found.color, found.kind)) for scene in scenes for found in scene.objects
    )
    assert shown[True, True] == 0
    assert shown[False, True] > 5


def test_groups_are_of_one_kind_but_for_their_container(scenes: list[Scene]) -> None:
    groups = [(scene, group) for scene in scenes for group in scene.groups]
    assert len(groups) > 15
    for scene, group in groups:
        outer = {outer for inner, outer in scene.containments if inner in group.members}
        assert len({scene.objects[index - 1].kind for index in set(group.members) - outer}) == 1
        assert len(set(group.members) - outer) > 1
        assert all(scene.objects[index - 1].kind in group.name for index in outer)


def test_what_stands_on_another_ends_above_its_foot_and_over_it(scenes: list[Scene]) -> None:
    supports = [(scene, pair) for scene in scenes for pair in scene.supports]
    assert len(supports) > 5
    for scene, (above, below) in supports:
        left, _, right, bottom = box(scene.objects[above - 1])
        base_left, _, base_right, base_bottom = box(scene.objects[below - 1])
        assert base_left <= (left + right) / 2 <= base_right
        assert bottom <= base_bottom


def test_contents_lie_within_the_breadth_of_their_container_and_above_its_foot(scenes: list[Scene]) -> None:
    containments = [(scene, pair) for scene in scenes for pair in scene.containments]
    assert len(containments) > 10
    for scene, (inner, outer) in containments:
        left, _, right, bottom = box(scene.objects[inner - 1])
        outer_left, _, outer_right, outer_bottom = box(scene.objects[outer - 1])
        assert outer_left <= (left + right) / 2 <= outer_right
        assert bottom < outer_bottom


def test_the_true_twin_of_each_level_follows_the_masks(scenes: list[Scene]) -> None:
    scene = scenes[0]
    for level in ("object", "part"):
        twin = true_twin(scene, level)
        masks = true_masks(scene, level)
        assert [found.index for found in twin] == list(range(1, len(masks) + 1))
        assert all(np.array_equal(found.mask.decode(), mask) for found, mask in zip(twin, masks, strict=True))
    assert true_twin(scene, "part")[0].semantic == f"the {true_twin(scene, 'part')[0].category} of " + next(
        found.semantic
        for found in scene.objects
        if any(np.array_equal(part.mask, true_masks(scene, "part")[0]) for part in found.parts)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_unoccluded_object_shows_all_parts_in_its_size_and_color(kind: str) -> None:
    rng = np.random.default_rng(3)
    for size, color in zip(SIZES, ("purple", "green", "red"), strict=True):
        sprite = draw_sprite(rng, Look(kind, color, size), 256, draw_light(rng), Pose(10))
        layer = sprite.layers[0]
        rows, columns = np.nonzero(layer.labels >= 0)
        longest = 1 + max(np.ptp(rows), np.ptp(columns))
        assert (1 - JITTER) * SIZES[size] * 256 - 3 <= longest <= (1 + JITTER) * SIZES[size] * 256 + 2
        assert sprite.areas.min() >= MIN_PART_PIXELS // 2
        pixels = layer.paint[:, layer.alpha == 1].T
        nearest = np.linalg.norm(pixels[:, None] - PALETTE, axis=2).argmin(axis=1)
        assert np.bincount(nearest, minlength=len(COLORS))[list(COLORS).index(color)] > 0.08 * len(pixels)


@pytest.mark.parametrize("finish", [*PATTERNS, *MATERIALS])
def test_a_pattern_or_a_material_is_seen_even_on_a_small_object(finish: str) -> None:
    for kind in [
        name for name, kind in KINDS.items() if finish in (*(PATTERNS if kind.patterned else ()), *kind.materials)
    ]:
        light = draw_light(np.random.default_rng(1))
        pattern, material = (finish, None) if finish in PATTERNS else (None, finish)
        plain = draw_sprite(np.random.default_rng(5), Look(kind, "green", "small"), 256, light, Pose())
        other = draw_sprite(
            np.random.default_rng(5), Look(kind, "green", "small", pattern, material), 256, light, Pose()
        )
        change = np.abs(plain.layers[0].paint - other.layers[0].paint).max(axis=0)
        assert np.percentile(change[plain.layers[0].labels >= 0], 90) > 18


def test_the_ranges_of_the_sizes_do_not_meet() -> None:
    for smaller, larger in pairwise(sorted(SIZES.values())):
        assert smaller * (1 + JITTER) * 256 + 4 < larger * (1 - JITTER) * 256
