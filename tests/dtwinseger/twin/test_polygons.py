"""Polygons hold exactly the mask: by our own rasteriser, by pycocotools', and as shapely judges their form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco
from scipy import ndimage
from shapely import MultiPolygon, contains_xy

from dtwinseger.api import PolygonMask
from dtwinseger.twin import Mask
from dtwinseger.twin.polygons import Polygon, from_polygons, to_polygons

masks = arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def drawn(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


def shape(polygons: tuple[Polygon, ...]) -> MultiPolygon:
    return MultiPolygon([(rings[0], rings[1:]) for rings in polygons])


@given(masks)
def test_polygons_give_back_the_mask(mask: np.ndarray) -> None:
    assert (from_polygons(to_polygons(Mask.encode(mask)), mask.shape) == mask).all()


@given(masks)
def test_pycocotools_fills_the_rings_to_the_same_mask(mask: np.ndarray) -> None:
    height, width = mask.shape
    filled = np.zeros_like(mask)
    for ring in (ring for rings in to_polygons(Mask.encode(mask)) for ring in rings):
        rles = coco.frPyObjects([[float(number) for vertex in ring[:-1] for number in vertex]], height, width)
        filled ^= coco.decode(rles)[:, :, 0].astype(bool)
    assert (filled == mask).all()


@given(masks)
def test_polygons_are_valid_simple_features_with_the_area_of_the_mask(mask: np.ndarray) -> None:
    polygons = to_polygons(Mask.encode(mask))
    found = shape(polygons)
    assert found.is_valid
    assert found.area == mask.sum()
    assert all(part.exterior.is_ccw and not any(hole.is_ccw for hole in part.interiors) for part in found.geoms)
    rows, columns = np.indices(mask.shape) + 0.5
    assert (contains_xy(found, columns, rows) == mask).all()


@given(masks)
def test_each_part_is_one_polygon_and_each_vertex_a_turn(mask: np.ndarray) -> None:
    polygons = to_polygons(Mask.encode(mask))
    assert len(polygons) == ndimage.label(mask)[1]
    for ring in (ring for rings in polygons for ring in rings):
        assert ring[0] == ring[-1]
        steps = np.diff(np.array([*ring, ring[1]]), axis=0)
        assert (np.count_nonzero(steps, axis=1) == 1).all(), "along rows and columns"
        assert not (steps[1:] * steps[:-1]).any(), "no vertex on a straight line"


def test_a_ring_keeps_its_hole() -> None:
    mask = drawn("####", "#..#", "####")
    [(outer, hole)] = to_polygons(Mask.encode(mask))
    assert outer == ((0, 0), (4, 0), (4, 3), (0, 3), (0, 0))
    assert hole == ((1, 1), (1, 2), (3, 2), (3, 1), (1, 1))


def test_an_island_in_a_hole_is_a_polygon_of_its_own() -> None:
    mask = drawn("#####", "#...#", "#.#.#", "#...#", "#####")
    assert [len(rings) for rings in to_polygons(Mask.encode(mask))] == [2, 1]


def test_pixels_that_meet_at_a_corner_are_two_polygons() -> None:
    assert [len(rings) for rings in to_polygons(Mask.encode(drawn("#.", ".#")))] == [1, 1]


def test_a_hole_that_meets_the_outside_at_a_corner_stays_a_hole() -> None:
    [rings] = to_polygons(Mask.encode(drawn("###", "#.#", "##.")))
    assert len(rings) == 2
    assert shape((rings,)).is_valid


def test_an_empty_mask_has_no_polygons_and_a_full_one_is_the_image() -> None:
    assert to_polygons(Mask.encode(np.zeros((3, 4), dtype=bool))) == ()
    assert to_polygons(Mask.encode(np.ones((3, 4), dtype=bool))) == ((((0, 0), (4, 0), (4, 3), (0, 3), (0, 0)),),)


@given(masks)
def test_a_mask_survives_the_wire_as_polygons(mask: np.ndarray) -> None:
    sent = PolygonMask(size=mask.shape, polygons=to_polygons(Mask.encode(mask))).model_dump_json()
    assert (PolygonMask.model_validate_json(sent).decode() == mask).all()


@pytest.mark.parametrize("corner", [(-1, 0), (5, 0), (0, 4)])
def test_polygons_that_leave_the_image_are_refused(corner: tuple[int, int]) -> None:
    x, y = corner
    ring = ((0, 0), (x, 0), (x, y), (0, y), (0, 0))
    with pytest.raises(ValueError, match="do not lie in an image of 3x4"):
        from_polygons(((ring,),), (3, 4))
