"""Outlines that shapes are made of: polygons, [N, 2] float64 (x, y), in unit coordinates, y down."""

import numpy as np
import numpy.typing as npt

Polygon = npt.NDArray[np.float64]
Point = tuple[float, float]


def poly(*points: Point) -> Polygon:
    return np.array(points, dtype=np.float64)


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return poly((left, top), (right, top), (right, bottom), (left, bottom))


def disc(x: float, y: float, rx: float, ry: float, start: float = 0, stop: float = 360) -> Polygon:
    """An ellipse, or its segment between two angles in degrees (0 right, 90 down), closed by the chord."""
    angles = np.radians(np.linspace(start, stop, 41))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def rounded(left: float, top: float, right: float, bottom: float, r: float) -> Polygon:
    """A box with corners of radius r."""
    centers = ((right - r, bottom - r), (left + r, bottom - r), (left + r, top + r), (right - r, top + r))
    return np.concatenate([disc(x, y, r, r, 90 * i, 90 * i + 90)[::5] for i, (x, y) in enumerate(centers)])


def blob(*points: Point) -> Polygon:
    """The smooth closed curve through points (Catmull-Rom)."""
    return _spline(np.concatenate([points[-1:], points, points[:2]]))[:-1]


def curve(*points: Point) -> Polygon:
    """The smooth open curve through points."""
    return _spline(np.concatenate([points[:1], points, points[-1:]]))


def turned(*points: Point) -> Polygon:
    """An outline that is the same on both sides of x = 0: smooth through its right side, given from top to bottom."""
    side = poly(*points)
    before, after = (side[1] * (-1, 1), side[-2] * (-1, 1))  # smooth across x = 0 too, where the outline meets it
    above = before if side[0, 0] == 0 else side[0]
    below = after if side[-1, 0] == 0 else side[-1]
    right = _spline(np.concatenate([[above], side, [below]]))
    return np.concatenate([right, right[::-1] * (-1, 1)])


def stroke(points: Polygon, width: float, end: float | None = None) -> Polygon:
    """The band along a polyline, of a width that goes over to `end` if that is given."""
    along = np.gradient(points, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    half = np.linspace(width, width if end is None else end, len(points))[:, None] / 2
    return np.concatenate([points + normal * half, (points - normal * half)[::-1]])


def wall(y: float, rx: float, ry: float, *right: Point) -> Polygon:
    """The outside of a round vessel below the near edge of its mouth, an ellipse about (0, y).

    right: points of its right side from the mouth down.
    """
    side = curve(*right)
    return np.concatenate([disc(0, y, rx, ry, 180, 0), side, side[::-1] * (-1, 1)])


def lip(y: float, rx: float, ry: float, width: float) -> Polygon:
    """The near half of a ring about (0, y)."""
    return np.concatenate([disc(0, y, rx, ry, 180, 0), disc(0, y, rx - width, ry - width / 2, 0, 180)])


def wave(x: float, top: float, bottom: float, swing: float, width: float) -> Polygon:
    """A band that swings three times to the sides on its way down."""
    y = np.linspace(top, bottom, 31)
    phase = np.linspace(0, 3 * np.pi, 31)
    return stroke(np.stack([x + swing * np.sin(phase), y], axis=1), width)


def moved(polygon: Polygon, x: float, y: float) -> Polygon:
    offset: Polygon = poly((x, y))
    return np.add(polygon, offset)


def rotated(polygon: Polygon, degrees: float, x: float = 0, y: float = 0) -> Polygon:
    """Turned clockwise, as seen, about a point."""
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    center = poly((x, y))
    around: Polygon = (polygon - center) @ turn + center
    return around


def _spline(p: Polygon) -> Polygon:
    """Through all points but the first and the last, eight steps from each to the next."""
    t = np.linspace(0, 1, 8, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.concatenate([*pieces, p[-2:-1]])
