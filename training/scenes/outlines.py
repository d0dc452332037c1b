"""Outlines that shapes are made of: polygons, [N, 2] float64 (x, y), in unit coordinates, y down."""

import numpy as np
import numpy.typing as npt

Polygon = npt.NDArray[np.float64]


def poly(*points: tuple[float, float]) -> Polygon:
    return np.array(points, dtype=np.float64)


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return poly((left, top), (right, top), (right, bottom), (left, bottom))


def disc(x: float, y: float, rx: float, ry: float, start: float = 0, stop: float = 360) -> Polygon:
    """An ellipse, or its segment between two angles in degrees (0 right, 90 down), closed by the chord."""
    angles = np.radians(np.linspace(start, stop, 33))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def rounded(left: float, top: float, right: float, bottom: float, r: float) -> Polygon:
    centers = ((right - r, bottom - r), (left + r, bottom - r), (left + r, top + r), (right - r, top + r))
    return np.concatenate([disc(x, y, r, r, 90 * i, 90 * i + 90)[::8] for i, (x, y) in enumerate(centers)])


def stroke(points: Polygon, width: float) -> Polygon:
    """The band of a width along a polyline."""
    along = np.gradient(points, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    return np.concatenate([points + normal * width / 2, (points - normal * width / 2)[::-1]])


def wave(x: float, top: float, bottom: float, swing: float, width: float) -> Polygon:
    y = np.linspace(top, bottom, 25)
    phase = np.linspace(0, 3 * np.pi, 25)
    return stroke(np.stack([x + swing * np.sin(phase), y], axis=1), width)
