"""Stored scenes as SAM training data: augmented, prompted at points, and with the masks wanted there, on the device."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from training.mini.course import pinned
from training.mini.scene_store import SIDE, Store
from training.mini.shown import SLOTS

PATCH = 16
GRID = SIDE // 4  # masks are learned at the decoder's low resolution
OUTSIDE = SLOTS - 1  # the owner of pixels that pad the image
OBJECTS = 32  # numbers of objects
CANDIDATES = 4  # pixels of which one near a boundary is chosen
NEAR = 5  # pixels to a boundary
# What a prompt in a part is: a pixel of it, one near a boundary, or a centroid of the part or of its object (Eq. 2).
UNIFORM, BOUNDARY, OF_PART = 0.45, 0.7, 0.85  # cumulated shares
ZOOMED, CLOSEST = 0.3, 0.6  # share of images of which a window is taken, and the least window


@dataclass(frozen=True)
class Raw:
    """B scenes as stored, see Store."""

    images: Tensor
    owners: Tensor
    objects: Tensor
    classes: Tensor
    sizes: Tensor

    def pinned(self, device: torch.device) -> "Raw":
        """The same in memory that the device copies from without a wait."""
        return Raw(*(pinned(getattr(self, field.name), device) for field in fields(self)))

    def to(self, device: torch.device) -> "Raw":
        return Raw(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


@dataclass(frozen=True)
class Batch:
    """B images with P prompts each. `part` and `whole` are soft where a low-resolution pixel holds an edge."""

    images: Tensor  # [B, 3, SIDE, SIDE] float, normalised, 0 where padded: as the service prepares them
    points: Tensor  # [B, P, 2] float, x and y in pixels
    part: Tensor  # [B, P, GRID, GRID] share of the pixel that belongs to the part at the point
    whole: Tensor  # [B, P, GRID, GRID] likewise for the object
    hit: Tensor  # [B, P] bool, false where the point is on the ground
    classes: Tensor  # [B, GRID, GRID] int64, see rendering.CLASSES
    offsets: (
        Tensor  # [B, 4, SIDE / PATCH, SIDE / PATCH] to the centroid of the object, of the part (dx, dy each), / GRID
    )
    inside: Tensor  # [B, SIDE / PATCH, SIDE / PATCH] bool, where offsets are defined


def taken(store: Store, indices: npt.NDArray[np.int64]) -> Raw:
    """The scenes at `indices`, in memory."""
    return Raw(*(torch.from_numpy(np.asarray(getattr(store, field.name)[indices])) for field in fields(Raw)))


def prompted(
    raw: Raw,
    prompts: int,
    generator: torch.Generator,
    mean: Tensor,
    deviation: Tensor,
    *,
    augment: bool = True,
) -> Batch:
    """Each image at `prompts` points; flipped, zoomed and jittered in color at random, or as it is.

    mean, deviation: [3, 1, 1] of SAM's pixels. A quarter of the points lie on the ground; the others in parts drawn by
    the cube root of their area.
    """
    device, count = raw.images.device, len(raw.images)
    step = torch.arange(SIDE, device=device)
    height, width = raw.sizes.unbind(1)
    outside = (step[:, None] >= height[:, None, None]) | (step >= width[:, None, None])  # [B, SIDE, SIDE]
    images = raw.images.permute(0, 3, 1, 2).float()
    owners = raw.owners
    if augment:
        images, owners = _moved(images, owners, raw.sizes, generator)
        images = _jittered(images, generator)
    images = torch.where(outside[:, None], 0.0, (images - mean) / deviation)
    owners = torch.where(outside, OUTSIDE, owners)

    shares = _shares(owners)  # [B, SLOTS, GRID * GRID]
    belongs = F.one_hot(raw.objects.long(), OBJECTS).float()  # [B, SLOTS, OBJECTS]
    belongs[:, OUTSIDE] = 0
    wholes = belongs.transpose(1, 2) @ shares  # [B, OBJECTS, GRID * GRID]
    center_of_part, center_of_object = _centers(shares), _centers(wholes)  # [B, SLOTS or OBJECTS, 2]
    points = _points(owners, shares, raw.objects, center_of_part, center_of_object, prompts, generator)
    x, y = points.round().long().unbind(-1)
    limit = torch.stack([width, height], dim=1)[:, None] - 1
    x, y = torch.minimum(x, limit[..., 0]).clamp(min=0), torch.minimum(y, limit[..., 1]).clamp(min=0)
    numbers = owners.flatten(1).gather(1, y * SIDE + x).long()  # [B, P]
    rows = torch.arange(count, device=device)[:, None]
    numbers_of_objects = raw.objects.long().gather(1, numbers)
    small = owners[:, 2::4, 2::4].long()
    middle = owners[:, PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].long()  # [B, h, w]
    places = torch.stack(
        torch.meshgrid(step[PATCH // 2 :: PATCH], step[PATCH // 2 :: PATCH], indexing="xy")
    )  # [2, h, w]
    object_there = raw.objects.long().gather(1, middle.flatten(1)).view_as(middle)
    image = torch.arange(count, device=device)[:, None, None]
    offsets = [
        center_of_object[image, object_there].permute(0, 3, 1, 2) - places,
        center_of_part[image, middle].permute(0, 3, 1, 2) - places,
    ]
    return Batch(
        images=images,
        points=points,
        part=shares[rows, numbers].unflatten(2, (GRID, GRID)),
        whole=wholes[rows, numbers_of_objects].unflatten(2, (GRID, GRID)),
        hit=(numbers > 0) & (numbers < OUTSIDE),
        classes=raw.classes.long().gather(1, small.flatten(1)).view_as(small),
        offsets=torch.cat(offsets, dim=1) / GRID,
        inside=(middle > 0) & (middle < OUTSIDE),
    )


def _moved(images: Tensor, owners: Tensor, sizes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the images mirrored, and of ZOOMED a window instead of the whole, as large as that."""
    device, count = images.device, len(images)
    chance = torch.rand(5, count, device=device, generator=generator)
    zoom = torch.where(chance[0] < ZOOMED, CLOSEST + (1 - CLOSEST) * chance[1], 1.0)
    step = torch.arange(SIDE, device=device, dtype=torch.float32)
    height, width = sizes.float().unbind(1)
    x, y = step.expand(count, -1), step.expand(count, -1)
    x = torch.where(chance[2][:, None] < 0.5, width[:, None] - 1 - x, x)
    x = x * zoom[:, None] + (chance[3] * (1 - zoom) * (width - 1))[:, None]
    y = y * zoom[:, None] + (chance[4] * (1 - zoom) * (height - 1))[:, None]
    grid = torch.stack([x[:, None].expand(-1, SIDE, -1), y[:, :, None].expand(-1, -1, SIDE)], dim=-1)
    moved = F.grid_sample(images, grid * (2 / (SIDE - 1)) - 1, padding_mode="border", align_corners=True)
    left, top = (axis.round().long().clamp(0, SIDE - 1) for axis in (x, y))
    return moved, owners[torch.arange(count, device=device)[:, None, None], top[:, :, None], left[:, None]]


def _jittered(images: Tensor, generator: torch.Generator) -> Tensor:
    chance = torch.rand(len(images), 5, 1, 1, device=images.device, generator=generator)
    gain = (0.92 + 0.16 * chance[:, :3]) * (0.92 + 0.16 * chance[:, 3:4])
    return (images * gain + 16 * chance[:, 4:] - 8).clamp(0, 255)


def _shares(owners: Tensor) -> Tensor:
    """[B, SIDE, SIDE] to [B, SLOTS, GRID * GRID]: the share of each low-resolution pixel that each owner has."""
    shares = torch.zeros(len(owners), SLOTS, GRID * GRID, device=owners.device)
    each = torch.full((1, 1, 1), 1 / 16, device=owners.device).expand(len(owners), 1, GRID * GRID)
    for i in range(4):
        for j in range(4):
            shares.scatter_add_(1, owners[:, i::4, j::4].long().flatten(1)[:, None], each)
    return shares


def _centers(shares: Tensor) -> Tensor:
    """[B, N, GRID * GRID] to [B, N, 2]: x and y of the centroids in pixels, 0 where there is nothing."""
    middle = torch.arange(GRID, device=shares.device) * 4 + 1.5
    places = torch.stack([middle.repeat(GRID), middle.repeat_interleave(GRID)], dim=1)  # [GRID * GRID, 2]
    return (shares @ places) / shares.sum(dim=2, keepdim=True).clamp(min=1e-6)


def _points(
    owners: Tensor,
    shares: Tensor,
    objects: Tensor,
    center_of_part: Tensor,
    center_of_object: Tensor,
    prompts: int,
    generator: torch.Generator,
) -> Tensor:
    """[B, prompts, 2] x and y; of the first quarter of them on the ground."""
    count, device = len(owners), owners.device
    ground = prompts // 4
    weights = shares.sum(dim=2) ** (1 / 3)
    weights[:, OUTSIDE] = 0
    weights[:, 0] = 1e-6  # where a window holds nothing else
    drawn = torch.multinomial(weights, prompts - ground, replacement=True, generator=generator)
    chosen = torch.cat([torch.zeros(count, ground, dtype=torch.int64, device=device), drawn], dim=1)  # [B, P]
    image = torch.arange(count, device=device)[:, None]
    cells = torch.multinomial(
        (shares[image, chosen] + 1e-9).flatten(0, 1), CANDIDATES, replacement=True, generator=generator
    ).view(count, prompts, CANDIDATES)
    # Of each cell of 4 x 4 pixels one that belongs to the part.
    blocks = owners.view(count, GRID, 4, GRID, 4).transpose(2, 3).reshape(count, GRID * GRID, 16)
    own = blocks[image[..., None], cells] == chosen[..., None, None]
    among = torch.rand(own.shape, device=device, generator=generator)
    pixel = torch.where(own, among, among - 1).argmax(dim=-1)
    x, y = cells % GRID * 4 + pixel % 4, cells // GRID * 4 + pixel // 4  # [B, P, CANDIDATES]
    best = _nearness(owners, objects, x, y, chosen).argmax(dim=-1, keepdim=True)
    chance = torch.rand(count, prompts, device=device, generator=generator)
    near = (chance >= UNIFORM) & (chance < BOUNDARY)
    pick = torch.where(near[..., None], best, 0)
    points = torch.cat([x.gather(2, pick), y.gather(2, pick)], dim=2).float()
    whole = objects.long().gather(1, chosen)
    center = torch.where((chance < OF_PART)[..., None], center_of_part[image, chosen], center_of_object[image, whole])
    center = center + 1.5 * torch.randn(center.shape, device=device, generator=generator)
    central = (chance >= BOUNDARY) & (chosen > 0)
    return torch.where(central[..., None], center.clamp(0, SIDE - 1), points)


def _nearness(owners: Tensor, objects: Tensor, x: Tensor, y: Tensor, chosen: Tensor) -> Tensor:
    """[B, P, K]: 2 where another object is near the pixel, 1 where another part or the ground is, else 0."""
    flat, table = owners.flatten(1), objects.long()
    mine = table.gather(1, chosen)[..., None]
    score = torch.zeros_like(x)
    for dx, dy in ((NEAR, 0), (-NEAR, 0), (0, NEAR), (0, -NEAR)):
        at = (y + dy).clamp(0, SIDE - 1) * SIDE + (x + dx).clamp(0, SIDE - 1)
        there = flat.gather(1, at.flatten(1)).view_as(at).long()
        other = table.gather(1, there.flatten(1)).view_as(at)
        known = there != OUTSIDE
        score = torch.maximum(score, ((there != chosen[..., None]) & known).long())
        score = torch.maximum(score, 2 * ((other != mine) & (other > 0) & known).long())
    return score
