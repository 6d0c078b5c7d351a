# SPDX-License-Identifier: Apache-2.0
"""Camera poses: at a desk, across a room, or on a low robot."""

from __future__ import annotations

import torch

from magadepth_training.scenes.batch import SceneConfig
from magadepth_training.scenes.draws import Draws
from magadepth_training.scenes.furniture import PARTS
from magadepth_training.scenes.geometry import Camera
from magadepth_training.scenes.layout import Layout


def make_cameras(
    draws: Draws, layout: Layout, height: int, width: int, config: SceneConfig
) -> Camera:
    """Draw a camera per scene."""
    limit = layout.room_half
    kind = draws.rand(1)
    at_desk = kind < config.desk_share
    robot = ~at_desk & (kind < config.desk_share + config.robot_share)

    distance = draws.log_uniform(*config.desk_distance, 1)
    azimuth, elevation = draws.uniform(0, 2 * torch.pi, 1), draws.uniform(0.12, 1.3, 1)
    aim_desk = layout.focus + 0.15 * draws.randn(3)
    direction = torch.cat(
        [
            torch.cos(azimuth) * torch.cos(elevation),
            torch.sin(azimuth) * torch.cos(elevation),
            torch.sin(elevation),
        ],
        -1,
    )
    from_desk = aim_desk + distance * direction

    stand = draws.uniform(-0.95, 0.95, 2) * (limit[:, :2] - 0.3)
    eye = torch.where(robot, draws.uniform(0.12, 0.6, 1), draws.uniform(0.6, 1.9, 1))
    from_room = torch.cat([stand, eye], -1)
    across = -stand * draws.uniform(0.0, 1.0, 1) + draws.randn(2) * 0.5
    furniture = layout.centre[:, PARTS, :2] + draws.randn(2) * 0.4
    across = torch.where(draws.chance(0.65, 1), furniture, across)
    aim_z = torch.where(robot, draws.uniform(0.0, 0.9, 1), draws.uniform(0.1, 1.6, 1))
    aim_room = torch.cat([across, aim_z], -1)

    origin = torch.where(at_desk, from_desk, from_room)
    aim = torch.where(at_desk, aim_desk, aim_room)
    wall = torch.cat([limit[:, :2], 2.0 * limit[:, 2:]], -1) - 0.15
    floor = torch.cat([-wall[:, :2], torch.full_like(wall[:, 2:], 0.1)], -1)
    origin = torch.minimum(torch.maximum(origin, floor), wall)

    # The tiny tilt keeps the cross product defined for a view straight down.
    forward = torch.nn.functional.normalize(aim - origin + 1e-3, dim=-1)
    up = torch.zeros_like(forward)
    up[:, 2] = 1.0
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    down = torch.linalg.cross(forward, right)
    roll = torch.where(
        draws.chance(config.large_roll_share, 1),
        draws.uniform(-1.2, 1.2, 1),
        draws.randn(1) * 0.06,
    )
    c, s = torch.cos(roll), torch.sin(roll)
    right, down = c * right + s * down, c * down - s * right

    fx = draws.log_uniform(*config.focal) * width
    fy = fx * draws.uniform(0.99, 1.01)
    cx = 0.5 * (width - 1) + draws.randn() * 0.01 * width
    cy = 0.5 * (height - 1) + draws.randn() * 0.015 * height
    u = torch.arange(width, device=draws.device, dtype=torch.float32)
    v = torch.arange(height, device=draws.device, dtype=torch.float32)
    x = (u - cx[:, None]) / fx[:, None]
    y = (v - cy[:, None]) / fy[:, None]
    return Camera(origin, right, down, forward, x, y, torch.stack([fx, fy, cx, cy], -1))
