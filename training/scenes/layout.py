# SPDX-License-Identifier: Apache-2.0
"""What stands where: rooms, furniture, clutter, thin things, glass and mirrors, batched."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from magadepth_training.scenes.batch import SceneConfig
from magadepth_training.scenes.dice import Dice
from magadepth_training.scenes.furniture import (
    FURNITURE,
    PARTS,
    SIZES,
    TABLETOP,
    TABLETOP_SIZES,
    templates,
)

PIECES, TOPS, CLUTTER, WALLS = 5, 2, 8, 4
BOXES = (PIECES + TOPS) * PARTS + CLUTTER + WALLS
FIRST_TOP = PIECES * PARTS
FIRST_CLUTTER = FIRST_TOP + TOPS * PARTS
FIRST_WALL = FIRST_CLUTTER + CLUTTER
"""First of the things on walls; this one is the window, or the mirror."""
ELLIPSOIDS, FRUSTA = 8, 12
GLASS_BOXES, GLASS_ELLIPSOIDS, GLASS_FRUSTA = 3, 1, 2
OPAQUE = BOXES + ELLIPSOIDS + FRUSTA
COUNT = OPAQUE + GLASS_BOXES + GLASS_ELLIPSOIDS + GLASS_FRUSTA
"""Number of primitives; the room itself comes after them, as six faces."""

# Kind, first, last + 1: which primitives are of which kind is the same in every scene, so that no
# branch depends on data.
OPAQUE_GROUPS = (
    ('box', 0, BOXES),
    ('ellipsoid', BOXES, BOXES + ELLIPSOIDS),
    ('frustum', BOXES + ELLIPSOIDS, OPAQUE),
)
GLASS_GROUPS = (
    ('box', OPAQUE, OPAQUE + GLASS_BOXES),
    ('ellipsoid', OPAQUE + GLASS_BOXES, COUNT - GLASS_FRUSTA),
    ('frustum', COUNT - GLASS_FRUSTA, COUNT),
)


@dataclass
class Layout:
    """Primitives of a batch of scenes in the world: Z up, floor at z = 0, room about x = y = 0."""

    centre: torch.Tensor
    """(B, COUNT, 3) metres."""
    rotation: torch.Tensor
    """(B, COUNT, 3, 3), columns = local axes."""
    half: torch.Tensor
    """(B, COUNT, 3) half sizes; of a frustum: both radii and half its height."""
    room_half: torch.Tensor
    """(B, 3) half sizes of the room; its centre is at half its height."""
    desk: torch.Tensor
    """(B, 3) middle of the desk's top."""
    desk_size: torch.Tensor
    """(B, 3) the desk's width, depth and height."""
    desk_yaw: torch.Tensor
    """(B,) radians."""

    def __getitem__(self, samples: slice) -> Layout:
        """Take some of the scenes."""
        return Layout(*(getattr(self, n)[samples] for n in self.__dataclass_fields__))


def yaw_matrix(yaw: torch.Tensor) -> torch.Tensor:
    """Rotation about Z by (...) radians, (..., 3, 3)."""
    c, s, zero = torch.cos(yaw), torch.sin(yaw), torch.zeros_like(yaw)
    rows = torch.stack([c, -s, zero, s, c, zero, zero, zero, zero + 1.0], -1)
    return rows.reshape(*yaw.shape, 3, 3)


def random_matrix(dice: Dice, *shape: int) -> torch.Tensor:
    """Uniform random rotations (B, *shape, 3, 3), from quaternions."""
    q = torch.nn.functional.normalize(dice.randn(*shape, 4), dim=-1)
    w, x, y, z = q.unbind(-1)
    return torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
            2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
            2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
        ],
        -1,
    ).reshape(*w.shape, 3, 3)  # fmt: skip


def _assemble(dice, kind, parts, sizes, count):
    """Part centres and halves (B, count, PARTS, 3) in the pieces' frames, and their sizes."""
    part, limit = parts[kind], sizes[kind]
    size = limit[..., :3] + dice.rand(count, 3) * (limit[..., 3:] - limit[..., :3])
    jitter = 1.0 + 0.25 * (dice.rand(count, PARTS, 3) - 0.5)
    return part[..., :3] * size[..., None, :], part[..., 3:] * size[..., None, :] * jitter, size


def _place(centre, half, origin, yaw):
    """Parts (B, n, PARTS, 3) of pieces at (B, n, 3), turned by (B, n), as flat primitives."""
    rotation = yaw_matrix(yaw)[:, :, None]
    world = (rotation * centre[..., None, :]).sum(-1) + origin[:, :, None]
    rotation = rotation.expand(*centre.shape[:3], 3, 3)
    return world.flatten(1, 2), rotation.flatten(1, 2), half.flatten(1, 2)


class _OnDesk:
    """Positions on, and a little beyond, the desk's top."""

    def __init__(self, dice: Dice, desk: torch.Tensor, size: torch.Tensor, yaw: torch.Tensor):
        self.dice, self.desk, self.size, self.rotation = dice, desk, size, yaw_matrix(yaw)

    def __call__(self, count: int, spread: float = 0.5) -> torch.Tensor:
        local = self.dice.uniform(-spread, spread, count, 3) * self.size[:, None]
        local[..., 2] = 0.0
        return (self.rotation[:, None] * local[..., None, :]).sum(-1) + self.desk[:, None]


def _furniture(dice: Dice, room_half: torch.Tensor):
    parts, sizes = templates(FURNITURE, SIZES, dice.device)
    kind = dice.integers(len(FURNITURE), PIECES)
    kind[:, 0] = torch.where(dice.chance(0.9), 0, 6)  # the desk: a table, sometimes a bench
    centre, half, size = _assemble(dice, kind, parts, sizes, PIECES)
    free = room_half[:, None, :2] - 0.5 * size[..., :2].amax(-1, keepdim=True)
    place = dice.uniform(-1.0, 1.0, PIECES, 2)
    wall = dice.chance(0.6, PIECES, 1) & (
        torch.arange(2, device=dice.device) == dice.integers(2, PIECES, 1)
    )
    place = torch.where(wall, torch.sign(place), place) * free.clamp(min=0.1)
    quarter = dice.integers(4, PIECES) * (torch.pi / 2)
    yaw = quarter + torch.where(dice.chance(0.35, PIECES), dice.uniform(-0.8, 0.8, PIECES), 0.0)
    origin = torch.cat([place, torch.zeros_like(place[..., :1])], -1)
    desk = origin[:, 0] + size[:, 0] * torch.tensor([0.0, 0.0, 1.0]).to(dice.device)
    return _place(centre, half, origin, yaw), desk, size[:, 0], yaw[:, 0]


def _tops(dice: Dice, on_desk: _OnDesk, desk_yaw: torch.Tensor):
    parts, sizes = templates(TABLETOP, TABLETOP_SIZES, dice.device)
    kind = dice.integers(len(TABLETOP), TOPS)
    centre, half, _ = _assemble(dice, kind, parts, sizes, TOPS)
    flip = torch.where(dice.chance(0.5, TOPS), torch.pi, 0.0)
    yaw = desk_yaw[:, None] + dice.randn(TOPS) * 0.5 + flip
    return _place(centre, half, on_desk(TOPS, 0.42), yaw)


def _clutter(dice: Dice, on_desk: _OnDesk, room_half: torch.Tensor):
    half = dice.log_uniform(0.012, 0.16, CLUTTER, 3)
    half[..., 2] = torch.where(dice.chance(0.35, CLUTTER), 0.008, half[..., 2])  # books, papers
    half[:, -2:] *= 2.5
    tilted = dice.chance(0.25, CLUTTER)
    rotation = torch.where(
        tilted[..., None, None],
        random_matrix(dice, CLUTTER),
        yaw_matrix(dice.uniform(0, 2 * torch.pi, CLUTTER)),
    )
    centre = on_desk(CLUTTER)
    floor = dice.uniform(-0.9, 0.9, CLUTTER, 3) * room_half[:, None]
    floor[..., 2] = 0.0
    low = dice.chance(0.15, CLUTTER)
    low[:, -2:] = True
    centre = torch.where(low[..., None], floor, centre)
    reach = (rotation[..., 2, :].abs() * half).sum(-1)  # half the height once turned
    lift = torch.where(dice.chance(0.15, CLUTTER), dice.uniform(0.0, 0.3, CLUTTER), 0.0)
    centre[..., 2] += reach + lift
    return centre, rotation, half


def _walls(dice: Dice, room_half: torch.Tensor):
    half = torch.stack(
        [
            dice.log_uniform(0.12, 0.9, WALLS),
            dice.log_uniform(0.006, 0.05, WALLS),
            dice.log_uniform(0.12, 1.0, WALLS),
        ],
        -1,
    )
    half[..., 2] = torch.minimum(half[..., 2], room_half[:, None, 2] * 0.95)
    side = dice.integers(4, WALLS)
    along_x = side < 2  # on a wall of constant y
    sign = torch.where(side % 2 == 0, -1.0, 1.0)
    offset = dice.uniform(-0.85, 0.85, WALLS)
    rx, ry = room_half[:, None, 0], room_half[:, None, 1]
    x = torch.where(along_x, offset * rx, sign * (rx - half[..., 1]))
    y = torch.where(along_x, sign * (ry - half[..., 1]), offset * ry)
    room_z = 2.0 * room_half[:, None, 2]
    z = half[..., 2] + dice.rand(WALLS) * (room_z - 2.0 * half[..., 2]).clamp(min=0.0)
    return torch.stack([x, y, z], -1), yaw_matrix(torch.where(along_x, 0.0, torch.pi / 2)), half


def _ellipsoids(dice: Dice, on_desk: _OnDesk, room_half: torch.Tensor):
    half = dice.log_uniform(0.015, 0.12, ELLIPSOIDS, 1) * dice.uniform(0.6, 1.4, ELLIPSOIDS, 3)
    half[:, 4:6] *= 2.5
    centre = on_desk(ELLIPSOIDS)
    floor = dice.uniform(-0.9, 0.9, 4, 3) * room_half[:, None]
    centre[:, 4:] = torch.cat([floor[..., :2], torch.zeros_like(floor[..., :1])], -1)
    centre[..., 2] += half[..., 2]
    # The last two are somebody's head and body in every third scene.
    person = dice.chance(0.33)
    tall = dice.uniform(1.1, 1.8)
    body = torch.stack([dice.uniform(0.16, 0.28), dice.uniform(0.12, 0.2), tall * 0.35], -1)
    head = torch.stack([dice.uniform(0.07, 0.09), dice.uniform(0.08, 0.1), tall * 0 + 0.12], -1)
    half[:, 7] = torch.where(person[:, None], body, half[:, 7])
    half[:, 6] = torch.where(person[:, None], head, half[:, 6])
    centre[:, 6, :2] = torch.where(person[:, None], centre[:, 7, :2], centre[:, 6, :2])
    centre[:, 7, 2] = torch.where(person, tall * 0.5, centre[:, 7, 2])
    centre[:, 6, 2] = torch.where(person, tall * 0.85 + 0.1, centre[:, 6, 2])
    return centre, yaw_matrix(dice.uniform(0, 2 * torch.pi, ELLIPSOIDS)), half


def _frusta(dice: Dice, on_desk: _OnDesk, room_half: torch.Tensor):
    """Make 4 cups or pens, 3 cables, 3 poles, a bin or column, and a lamp shade on a pole."""
    room_z = 2.0 * room_half[:, 2:3]
    radius = torch.cat(
        [
            dice.log_uniform(0.006, 0.06, 4),
            dice.log_uniform(0.002, 0.008, 3),
            dice.log_uniform(0.006, 0.05, 3),
            dice.log_uniform(0.08, 0.35, 2),
        ],
        -1,
    )
    tall = torch.cat(
        [
            dice.log_uniform(0.02, 0.16, 4),
            dice.log_uniform(0.1, 0.6, 3),
            dice.uniform(0.15, 0.5, 3) * room_z,
            dice.uniform(0.08, 0.5, 1) * room_z,
            dice.uniform(0.06, 0.2, 1),
        ],
        -1,
    )
    taper = 1.0 + dice.uniform(-0.35, 0.5, FRUSTA)
    taper[:, 4:10] = 1.0
    taper[:, 11] = dice.uniform(0.2, 0.8)
    centre = on_desk(FRUSTA)
    floor = dice.uniform(-0.95, 0.95, 4, 3) * room_half[:, None]
    centre[:, 7:11] = torch.cat([floor[..., :2], torch.zeros_like(floor[..., :1])], -1)
    centre[..., 2] += tall
    centre[:, 11] = centre[:, 7]
    centre[:, 11, 2] += tall[:, 7]
    rotation = yaw_matrix(dice.uniform(0, 2 * torch.pi, FRUSTA))
    lying = torch.zeros(FRUSTA, dtype=torch.bool, device=dice.device)
    lying[4:7] = True
    tumbled = random_matrix(dice, FRUSTA)
    turned = (dice.chance(0.25, FRUSTA) & (torch.arange(FRUSTA, device=dice.device) < 4)) | lying
    # A cable on the desk: its axis is the desk's plane, a quarter turn about local X.
    flat = torch.stack([rotation[..., 0], rotation[..., 2], -rotation[..., 1]], -1)
    loose = dice.chance(0.4, FRUSTA)
    rotation = torch.where((turned & loose)[..., None, None], tumbled, rotation)
    laid = turned & ~loose
    rotation = torch.where(laid[..., None, None], flat, rotation)
    centre[..., 2] = torch.where(laid, centre[..., 2] - tall + radius, centre[..., 2])
    return centre, rotation, torch.stack([radius, radius * taper, tall], -1)


def _glass(dice: Dice, on_desk: _OnDesk, room_half: torch.Tensor, share: float):
    """Make three panes (door, screen, a box on the desk), a bowl and two drinking glasses."""
    pane = torch.stack(
        [
            dice.uniform(0.3, 1.0, 3), dice.uniform(0.003, 0.006, 3), dice.uniform(0.3, 1.1, 3)
        ], -1
    )  # fmt: skip
    pane[:, 2] = dice.log_uniform(0.03, 0.15, 3)
    round_half = dice.log_uniform(0.025, 0.09, 3, 1) * dice.uniform(0.7, 1.3, 3, 3)
    tall = dice.log_uniform(0.04, 0.15, 2)
    radius = dice.log_uniform(0.02, 0.05, 2)
    cups = torch.stack([radius, radius * dice.uniform(0.6, 1.6, 2), tall], -1)
    half = torch.cat([pane, round_half[:, :1], cups], 1)
    centre = on_desk(6)
    floor = dice.uniform(-0.8, 0.8, 2, 3) * room_half[:, None]
    floor[..., 2] = dice.uniform(0.0, 0.6, 2)
    centre[:, :2] = floor
    centre[..., 2] += half[..., 2]
    rotation = yaw_matrix(dice.uniform(0, 2 * torch.pi, 6))
    present = dice.chance(share, 1) & dice.chance(0.6, 6)
    centre[..., 2] = torch.where(present, centre[..., 2], -100.0)  # out of sight, below the floor
    return centre, rotation, half


def make_layout(dice: Dice, config: SceneConfig) -> Layout:
    """Draw the contents of a batch of rooms."""
    half_xy = dice.log_uniform(*config.room_half, 2)
    room_half = torch.cat([half_xy, 0.5 * dice.uniform(*config.room_height, 1)], -1)
    furniture, desk, size, yaw = _furniture(dice, room_half)
    on_desk = _OnDesk(dice, desk, size, yaw)
    parts = [
        furniture,
        _tops(dice, on_desk, yaw),
        _clutter(dice, on_desk, room_half),
        _walls(dice, room_half),
        _ellipsoids(dice, on_desk, room_half),
        _frusta(dice, on_desk, room_half),
        _glass(dice, on_desk, room_half, config.glass_share),
    ]
    centre, rotation, half = (torch.cat([p[i] for p in parts], 1) for i in range(3))
    # Three quarters of the movable things at most: crowded and sparse scenes alike.
    keep = dice.rand(COUNT) < dice.uniform(0.35, 1.1, 1)
    movable = torch.ones(COUNT, dtype=torch.bool, device=dice.device)
    movable[: PIECES * PARTS] = False
    movable[FIRST_TOP:FIRST_CLUTTER] = False
    movable[FIRST_WALL] = False
    centre[..., 2] = torch.where(movable & ~keep, -100.0, centre[..., 2])
    return Layout(centre, rotation, half.clamp(min=1e-3), room_half, desk, size, yaw)
