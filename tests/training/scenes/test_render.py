"""The rendered world keeps its promises: seeded, exact, visible, and in its own vocabulary."""

from itertools import pairwise

import numpy as np
import pytest

from training.scenes import COLORS, KINDS, SIZES, Scene, render_scene
from training.scenes.kinds import SHAPES
from training.scenes.layout import FEWEST, MIN_PART_VISIBLE, MIN_VISIBLE, MOST, arrange
from training.scenes.sprite import JITTER, draw_sprite


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render_scene(seed) for seed in range(100)]


def test_the_same_seed_gives_the_same_scene() -> None:
    one, other = render_scene(7), render_scene(7)
    assert np.array_equal(one.image, other.image)
    assert [found.semantic for found in one.objects] == [found.semantic for found in other.objects]
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(one.objects, other.objects, strict=True))


def test_seed_seven_is_the_scene_that_the_models_were_trained_on() -> None:
    found = [(each.semantic, int(each.mask.sum())) for each in render_scene(7).objects]
    assert found == [
        ("a large orange book", 7370),
        ("a large purple house", 5800),
        ("a medium purple book", 2739),
        ("a medium white mug", 2535),
        ("a small green ball", 1279),
        ("a medium green fish", 1208),
        ("a small blue ball", 1044),
        ("a small purple bottle", 396),
    ]


def test_the_global_random_state_changes_nothing_and_is_left_alone() -> None:
    np.random.seed(1)
    before = render_scene(7).image
    np.random.seed(2)
    expected = np.random.RandomState(2).random()
    assert np.array_equal(before, render_scene(7).image)
    assert np.random.random() == expected


def test_other_seeds_give_other_scenes(scenes: list[Scene]) -> None:
    assert not np.array_equal(scenes[0].image, scenes[1].image)


def test_arrays_have_the_stated_shapes_and_types(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.image.shape == (256, 256, 3)
        assert scene.image.dtype == np.uint8
        for found in scene.objects:
            for mask in (found.mask, *(part.mask for part in found.parts)):
                assert mask.shape == (256, 256)
                assert mask.dtype == np.bool_


def test_no_pixel_belongs_to_two_objects(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert np.sum([found.mask for found in scene.objects], axis=0).max() == 1


def test_an_object_is_the_disjoint_union_of_its_parts(scenes: list[Scene]) -> None:
    for scene in scenes:
        for found in scene.objects:
            assert np.array_equal(np.sum([part.mask for part in found.parts], axis=0), found.mask.astype(int))


def test_no_mask_is_empty(scenes: list[Scene]) -> None:
    for scene in scenes:
        for found in scene.objects:
            assert found.mask.any()
            assert all(part.mask.any() for part in found.parts)


def test_objects_come_largest_first(scenes: list[Scene]) -> None:
    for scene in scenes:
        areas = [int(found.mask.sum()) for found in scene.objects]
        assert areas == sorted(areas, reverse=True)


def test_a_scene_holds_three_to_eight_objects_that_words_tell_apart(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert FEWEST <= len(scene.objects) <= MOST
        assert len({found.semantic for found in scene.objects}) == len(scene.objects)


def test_every_kind_color_and_size_occurs_and_no_other(scenes: list[Scene]) -> None:
    found = [each for scene in scenes for each in scene.objects]
    assert {each.kind for each in found} == set(KINDS) == set(SHAPES)
    assert {each.color for each in found} == set(COLORS)
    assert {each.size for each in found} == set(SIZES)


def test_parts_carry_the_names_of_their_kind(scenes: list[Scene]) -> None:
    for scene in scenes:
        for found in scene.objects:
            assert {part.name for part in found.parts} <= set(KINDS[found.kind])


def test_about_half_of_the_scenes_repeat_a_kind(scenes: list[Scene]) -> None:
    repeated = sum(len({found.kind for found in scene.objects}) < len(scene.objects) for scene in scenes)
    assert 40 <= repeated <= 90


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_an_unoccluded_object_shows_all_parts_and_measures_its_size(kind: str, size: str) -> None:
    for seed in range(4):
        sprite = draw_sprite(np.random.default_rng(seed), kind, "red", size, side=256)
        rows, columns = np.nonzero(sprite.labels >= 0)
        longest = 1 + max(np.ptp(rows), np.ptp(columns))
        assert (1 - JITTER) * SIZES[size] * 256 - 2 <= longest <= (1 + JITTER) * SIZES[size] * 256 + 2
        assert set(np.unique(sprite.labels)) - {-1} == set(range(len(KINDS[kind])))


def test_the_ranges_of_the_sizes_do_not_meet() -> None:
    extents = sorted(SIZES.values())
    for smaller, larger in pairwise(extents):
        assert smaller * (1 + JITTER) * 256 + 4 < larger * (1 - JITTER) * 256


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("color", COLORS)
def test_most_pixels_of_an_object_are_nearest_to_its_color(kind: str, color: str) -> None:
    sprite = draw_sprite(np.random.default_rng(3), kind, color, "large", side=256)
    pixels = sprite.paint[:, sprite.alpha == 1].T
    palette = np.array(list(COLORS.values()))
    nearest = np.linalg.norm(pixels[:, None] - palette, axis=2).argmin(axis=1)
    assert list(COLORS)[np.bincount(nearest).argmax()] == color


def test_occlusion_leaves_every_object_and_part_visible_enough() -> None:
    occluded = 0
    for seed in range(100):
        layout = arrange(np.random.default_rng(seed), 256, 256)
        for index, place in enumerate(layout.placed):
            whole = np.bincount(place.sprite.labels[place.sprite.labels >= 0], minlength=4)
            visible = np.array([(layout.owners == 4 * index + part).sum() for part in range(4)])
            assert visible.sum() >= MIN_VISIBLE * whole.sum()
            assert (visible >= MIN_PART_VISIBLE * whole).all()
            occluded += visible.sum() < whole.sum()
    assert occluded > 20


@pytest.mark.parametrize(("width", "height"), [(640, 480), (256, 300), (512, 512)])
def test_a_scene_has_the_size_that_is_asked_for(width: int, height: int) -> None:
    scene = render_scene(5, width, height)
    assert scene.image.shape == (height, width, 3)
    assert all(found.mask.shape == (height, width) for found in scene.objects)


def test_a_smaller_image_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 256"):
        render_scene(0, 200, 256)
