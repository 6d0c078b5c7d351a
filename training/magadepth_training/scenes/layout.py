# SPDX-License-Identifier: Apache-2.0
"""The layout of scenes: rooms, furniture, clutter, thin objects, glass and mirrors, batched."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from magadepth_training.scenes import objects
from magadepth_training.scenes.batch import SceneConfig
from magadepth_training.scenes.draws import Draws
from magadepth_training.scenes.furniture import (
    FURNITURE,
    PARTS,
    SIZES,
    TABLETOP,
    TABLETOP_SIZES,
    templates,
)
from magadepth_training.scenes.geometry import Batched
from magadepth_training.scenes.placing import OnDesk, yaw_matrix
from magadepth_training.scenes.primitives import (
    COUNT,
    FIRST_CLUTTER,
    FIRST_POLE,
    FIRST_TOP,
    FIRST_WALL,
    OPAQUE,
    PIECES,
    TOPS,
)


@dataclass
class Layout(Batched):
    """Primitives of a batch of scenes in the world: Z up, floor at z = 0, room about x = y = 0."""

    centre: torch.Tensor
    """(B, COUNT, 3) metres."""
    rotation: torch.Tensor
    """(B, COUNT, 3, 3), columns = local axes."""
    half: torch.Tensor
    """(B, COUNT, 3) half sizes; of a frustum: both radii and half its height."""
    room_half: torch.Tensor
    """(B, 3) half sizes of the room."""
    focus: torch.Tensor
    """(B, 3) where on the desk most things lie."""

    @property
    def room_centre(self) -> torch.Tensor:
        """(B, 3) metres."""
        return self.room_half * torch.tensor([0.0, 0.0, 1.0]).to(self.room_half.device)


def _assemble(draws, kind, parts, sizes, count):
    """Part centres and halves (B, count, PARTS, 3) in the pieces' frames, and their sizes."""
    part, limit = parts[kind], sizes[kind]
    size = limit[..., :3] + draws.rand(count, 3) * (limit[..., 3:] - limit[..., :3])
    jitter = 1.0 + 0.25 * (draws.rand(count, PARTS, 3) - 0.5)
    return part[..., :3] * size[..., None, :], part[..., 3:] * size[..., None, :] * jitter, size


def _place(centre, half, origin, yaw):
    """Parts (B, n, PARTS, 3) of pieces at (B, n, 3), turned by (B, n), as flat primitives."""
    rotation = yaw_matrix(yaw)[:, :, None]
    world = (rotation * centre[..., None, :]).sum(-1) + origin[:, :, None]
    rotation = rotation.expand(*centre.shape[:3], 3, 3)
    return world.flatten(1, 2), rotation.flatten(1, 2), half.flatten(1, 2)


def _furniture(draws: Draws, room_half: torch.Tensor):
    parts, sizes = templates(FURNITURE, SIZES, draws.device)
    kind = draws.integers(len(FURNITURE), PIECES)
    kind[:, 0] = torch.where(draws.chance(0.9), 0, 6)  # the desk: a table, sometimes a bench
    centre, half, size = _assemble(draws, kind, parts, sizes, PIECES)
    free = room_half[:, None, :2] - 0.5 * size[..., :2].amax(-1, keepdim=True)
    place = draws.uniform(-1.0, 1.0, PIECES, 2)
    wall = draws.chance(0.6, PIECES, 1) & (
        torch.arange(2, device=draws.device) == draws.integers(2, PIECES, 1)
    )
    place = torch.where(wall, torch.sign(place), place) * free.clamp(min=0.1)
    quarter = draws.integers(4, PIECES) * (torch.pi / 2)
    yaw = quarter + torch.where(draws.chance(0.35, PIECES), draws.uniform(-0.8, 0.8, PIECES), 0.0)
    origin = torch.cat([place, torch.zeros_like(place[..., :1])], -1)
    desk = origin[:, 0] + size[:, 0] * torch.tensor([0.0, 0.0, 1.0]).to(draws.device)
    return _place(centre, half, origin, yaw), desk, size[:, 0], yaw[:, 0]


def _tops(draws: Draws, on_desk: OnDesk, desk_yaw: torch.Tensor):
    parts, sizes = templates(TABLETOP, TABLETOP_SIZES, draws.device)
    kind = draws.integers(len(TABLETOP), TOPS)
    centre, half, _ = _assemble(draws, kind, parts, sizes, TOPS)
    flip = torch.where(draws.chance(0.5, TOPS), torch.pi, 0.0)
    yaw = desk_yaw[:, None] + draws.randn(TOPS) * 0.5 + flip
    return _place(centre, half, on_desk(TOPS, 0.42, 0.3), yaw)


def _frame_pane(centre: torch.Tensor, rotation: torch.Tensor, half: torch.Tensor) -> None:
    """Place two poles at the ends of the first pane, as it would be invisible without them."""
    pane, upright = OPAQUE, torch.tensor([0.0, 0.0, 1.0]).to(centre.device)
    for pole, side in ((FIRST_POLE + 1, -1.0), (FIRST_POLE + 2, 1.0)):
        end = centre[:, pane] + side * rotation[:, pane, :, 0] * half[:, pane, :1]
        there = centre[:, pane, 2:] > -1.0
        centre[:, pole] = torch.where(there, end, centre[:, pole])
        framing = half[:, pole] * (1.0 - upright) + half[:, pane] * upright
        half[:, pole] = torch.where(there, framing, half[:, pole])


def make_layout(draws: Draws, config: SceneConfig) -> Layout:
    """Draw the contents of a batch of rooms."""
    half_xy = draws.log_uniform(*config.room_half, 2)
    room_half = torch.cat([half_xy, 0.5 * draws.uniform(*config.room_height, 1)], -1)
    furniture, desk, size, yaw = _furniture(draws, room_half)
    on_desk = OnDesk(draws, desk, size, yaw)
    parts = [
        furniture,
        _tops(draws, on_desk, yaw),
        objects.clutter(draws, on_desk, room_half),
        objects.walls(draws, room_half),
        objects.ellipsoids(draws, on_desk, room_half),
        objects.frusta(draws, on_desk, room_half),
        objects.glass(draws, on_desk, room_half, config.glass_share),
    ]
    centre, rotation, half = (torch.cat([p[i] for p in parts], 1) for i in range(3))
    _frame_pane(centre, rotation, half)
    # At most three quarters of the movable objects are used, so that scenes are crowded or sparse.
    keep = draws.rand(COUNT) < draws.uniform(0.4, 1.3, 1)
    movable = torch.ones(COUNT, dtype=torch.bool, device=draws.device)
    movable[: PIECES * PARTS] = False
    movable[FIRST_TOP:FIRST_CLUTTER] = False
    movable[FIRST_WALL] = False
    movable[FIRST_POLE + 1 : FIRST_POLE + 3] = False
    movable[OPAQUE] = False
    centre[..., 2] = torch.where(movable & ~keep, -100.0, centre[..., 2])
    return Layout(centre, rotation, half.clamp(min=1e-3), room_half, on_desk.focus)
