# SPDX-License-Identifier: Apache-2.0
"""Single objects: clutter, objects on walls, round and thin objects, glass."""

from __future__ import annotations

import torch

from magadepth_training.scenes.draws import Draws
from magadepth_training.scenes.placing import OnDesk, on_floor, random_matrix, yaw_matrix
from magadepth_training.scenes.primitives import CLUTTER, CUPS, ELLIPSOIDS, FRUSTA, WALLS

Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Centres (B, n, 3), rotations (B, n, 3, 3) and half sizes (B, n, 3), in metres; ``room_half``
below is the room's half size (B, 3)."""


def clutter(draws: Draws, on_desk: OnDesk, room_half: torch.Tensor) -> Parts:
    """Make boxes large and small, books and papers, on the desk and the floor."""
    half = draws.log_uniform(0.012, 0.16, CLUTTER, 3)
    half[..., 2] = torch.where(draws.chance(0.35, CLUTTER), 0.008, half[..., 2])  # books, papers
    half[:, -2:] *= 2.5
    tilted = draws.chance(0.25, CLUTTER)
    rotation = torch.where(
        tilted[..., None, None],
        random_matrix(draws, CLUTTER),
        yaw_matrix(draws.uniform(0, 2 * torch.pi, CLUTTER)),
    )
    centre = on_desk(CLUTTER)
    floor = on_floor(draws, room_half, CLUTTER, 0.9)
    low = draws.chance(0.15, CLUTTER)
    low[:, -2:] = True
    centre = torch.where(low[..., None], floor, centre)
    reach = (rotation[..., 2, :].abs() * half).sum(-1)  # half the height once turned
    lift = torch.where(draws.chance(0.15, CLUTTER), draws.uniform(0.0, 0.3, CLUTTER), 0.0)
    centre[..., 2] += reach + lift
    return centre, rotation, half


def walls(draws: Draws, room_half: torch.Tensor) -> Parts:
    """Make flat objects on walls: pictures, boards, a window, a door."""
    half = torch.stack(
        [
            draws.log_uniform(0.12, 0.9, WALLS),
            draws.log_uniform(0.006, 0.05, WALLS),
            draws.log_uniform(0.12, 1.0, WALLS),
        ],
        -1,
    )
    half[..., 2] = torch.minimum(half[..., 2], room_half[:, None, 2] * 0.95)
    side = draws.integers(4, WALLS)
    along_x = side < 2  # on a wall of constant y
    sign = torch.where(side % 2 == 0, -1.0, 1.0)
    offset = draws.uniform(-0.85, 0.85, WALLS)
    rx, ry = room_half[:, None, 0], room_half[:, None, 1]
    x = torch.where(along_x, offset * rx, sign * (rx - half[..., 1]))
    y = torch.where(along_x, sign * (ry - half[..., 1]), offset * ry)
    room_z = 2.0 * room_half[:, None, 2]
    z = half[..., 2] + draws.rand(WALLS) * (room_z - 2.0 * half[..., 2]).clamp(min=0.0)
    return torch.stack([x, y, z], -1), yaw_matrix(torch.where(along_x, 0.0, torch.pi / 2)), half


def ellipsoids(draws: Draws, on_desk: OnDesk, room_half: torch.Tensor) -> Parts:
    """Make balls on the desk and the floor, and a person in every third room."""
    half = draws.log_uniform(0.015, 0.12, ELLIPSOIDS, 1) * draws.uniform(0.6, 1.4, ELLIPSOIDS, 3)
    half[:, 4:6] *= 2.5
    centre = on_desk(ELLIPSOIDS)
    centre[:, 4:] = on_floor(draws, room_half, 4, 0.9)
    centre[..., 2] += half[..., 2]
    # The last two are somebody's head and body in every third scene.
    person = draws.chance(0.33)
    tall = draws.uniform(1.1, 1.8)
    body = torch.stack([draws.uniform(0.16, 0.28), draws.uniform(0.12, 0.2), tall * 0.35], -1)
    head = torch.stack([draws.uniform(0.07, 0.09), draws.uniform(0.08, 0.1), tall * 0 + 0.12], -1)
    half[:, 7] = torch.where(person[:, None], body, half[:, 7])
    half[:, 6] = torch.where(person[:, None], head, half[:, 6])
    centre[:, 6, :2] = torch.where(person[:, None], centre[:, 7, :2], centre[:, 6, :2])
    centre[:, 7, 2] = torch.where(person, tall * 0.5, centre[:, 7, 2])
    centre[:, 6, 2] = torch.where(person, tall * 0.85 + 0.1, centre[:, 6, 2])
    return centre, yaw_matrix(draws.uniform(0, 2 * torch.pi, ELLIPSOIDS)), half


def frusta(draws: Draws, on_desk: OnDesk, room_half: torch.Tensor) -> Parts:
    """Make cups or pens, 3 cables, 3 poles, a bin or column, and a lamp shade on a pole."""
    room_z = 2.0 * room_half[:, 2:3]
    radius = torch.cat(
        [
            draws.log_uniform(0.006, 0.06, CUPS),
            draws.log_uniform(0.002, 0.008, 3),
            draws.log_uniform(0.006, 0.05, 3),
            draws.log_uniform(0.08, 0.35, 2),
        ],
        -1,
    )
    tall = torch.cat(
        [
            draws.log_uniform(0.02, 0.16, CUPS),
            draws.log_uniform(0.1, 0.6, 3),
            draws.uniform(0.15, 0.5, 3) * room_z,
            draws.uniform(0.08, 0.5, 1) * room_z,
            draws.uniform(0.06, 0.2, 1),
        ],
        -1,
    )
    taper = 1.0 + draws.uniform(-0.35, 0.5, FRUSTA)
    taper[:, CUPS : CUPS + 6] = 1.0
    taper[:, -1] = draws.uniform(0.2, 0.8)
    centre = on_desk(FRUSTA)
    centre[:, CUPS + 3 : CUPS + 7] = on_floor(draws, room_half, 4, 0.95)
    centre[..., 2] += tall
    centre[:, -1] = centre[:, CUPS + 3]
    centre[:, -1, 2] += tall[:, CUPS + 3]
    rotation = yaw_matrix(draws.uniform(0, 2 * torch.pi, FRUSTA))
    lying = torch.zeros(FRUSTA, dtype=torch.bool, device=draws.device)
    lying[CUPS : CUPS + 3] = True
    tumbled = random_matrix(draws, FRUSTA)
    turned = (
        draws.chance(0.25, FRUSTA) & (torch.arange(FRUSTA, device=draws.device) < CUPS)
    ) | lying
    # A cable on the desk: its axis is the desk's plane, a quarter turn about local X.
    flat = torch.stack([rotation[..., 0], rotation[..., 2], -rotation[..., 1]], -1)
    loose = draws.chance(0.4, FRUSTA)
    rotation = torch.where((turned & loose)[..., None, None], tumbled, rotation)
    laid = turned & ~loose
    rotation = torch.where(laid[..., None, None], flat, rotation)
    centre[..., 2] = torch.where(laid, centre[..., 2] - tall + radius, centre[..., 2])
    return centre, rotation, torch.stack([radius, radius * taper, tall], -1)


def glass(draws: Draws, on_desk: OnDesk, room_half: torch.Tensor, share: float) -> Parts:
    """Make three panes (door, screen, a box on the desk), a bowl and two drinking glasses."""
    pane = torch.stack(
        [
            draws.uniform(0.3, 1.0, 3), draws.uniform(0.003, 0.006, 3), draws.uniform(0.3, 1.1, 3)
        ], -1
    )  # fmt: skip
    pane[:, 2] = draws.log_uniform(0.03, 0.15, 3)
    round_half = draws.log_uniform(0.025, 0.09, 3, 1) * draws.uniform(0.7, 1.3, 3, 3)
    tall = draws.log_uniform(0.04, 0.15, 2)
    radius = draws.log_uniform(0.02, 0.05, 2)
    cups = torch.stack([radius, radius * draws.uniform(0.6, 1.6, 2), tall], -1)
    half = torch.cat([pane, round_half[:, :1], cups], 1)
    centre = on_desk(6)
    centre[:, :2] = on_floor(draws, room_half, 2, 0.8)
    centre[:, :2, 2] = draws.uniform(0.0, 0.6, 2)
    centre[..., 2] += half[..., 2]
    rotation = yaw_matrix(draws.uniform(0, 2 * torch.pi, 6))
    often = torch.tensor([0.5, 0.2, 0.6, 0.7, 0.7, 0.7]).to(draws.device)
    present = draws.chance(share, 1) & (draws.rand(6) < often)
    centre[..., 2] = torch.where(present, centre[..., 2], -100.0)  # out of sight, below the floor
    return centre, rotation, half
