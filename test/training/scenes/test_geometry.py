# SPDX-License-Identifier: Apache-2.0
"""Depth of single primitives against their equations."""

from __future__ import annotations

import pytest
import torch

from magadepth_training.scenes import geometry
from magadepth_training.scenes.draws import Draws
from magadepth_training.scenes.geometry import MISS, Camera, LocalRays, PointRays
from magadepth_training.scenes.placing import random_matrix

H, W, F = 24, 32, 30.0


def camera(batch: int = 1) -> Camera:
    """Look along the world's Y from its origin, Z up."""
    axes = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    x = (torch.arange(W) - (W - 1) / 2) / F
    y = (torch.arange(H) - (H - 1) / 2) / F
    right, down, forward = (a.expand(batch, 3) for a in axes)
    intrinsics = torch.tensor([[F, F, (W - 1) / 2, (H - 1) / 2]]).expand(batch, 4)
    x, y = x.expand(batch, W), y.expand(batch, H)
    return Camera(torch.zeros(batch, 3), right, down, forward, x, y, intrinsics)


def rays(centre: list[float], rotation: torch.Tensor | None = None) -> LocalRays:
    rotation = torch.eye(3) if rotation is None else rotation
    return LocalRays(camera(), torch.tensor([[centre]]), rotation.expand(1, 1, 3, 3))


def points(depth: torch.Tensor) -> torch.Tensor:
    c = camera()
    x, y = torch.meshgrid(c.x[0], c.y[0], indexing='xy')
    return torch.stack([x * depth, depth, -y * depth], -1)  # world: right, forward, up


def test_box_front_face_is_a_plane():
    half = torch.tensor([[[5.0, 0.25, 5.0]]])
    depth = geometry.box(rays([0.0, 2.0, 0.0]), half, 0.1)
    assert torch.allclose(depth, torch.full((1, 1, H, W), 1.75), atol=1e-5)


def test_box_that_holds_the_camera_is_not_seen():
    half = torch.tensor([[[1.0, 1.0, 1.0]]])
    assert (geometry.box(rays([0.0, 0.2, 0.0]), half, 0.1) == MISS).all()


def test_room_is_left_through_its_nearest_face():
    half = torch.tensor([[[0.4, 3.0, 50.0]]])
    depth = geometry.room(rays([0.0, 0.0, 0.0]), half)[0, 0]
    side = 0.4 / camera().x[0].abs()
    assert torch.allclose(depth, torch.minimum(side, torch.tensor(3.0)).expand(H, W), atol=1e-5)


def test_room_is_closed_for_rays_along_its_walls():
    straight = camera()
    straight.x, straight.y = torch.zeros_like(straight.x), torch.zeros_like(straight.y)
    straight.origin = torch.tensor([[0.2, 0.0, 0.3]])
    centre = torch.zeros(1, 1, 3)
    depth = geometry.room(
        LocalRays(straight, centre, torch.eye(3).expand(1, 1, 3, 3)),
        torch.tensor([[[1.0, 3.0, 1.0]]]),
    )
    assert torch.allclose(depth, torch.tensor(3.0))


@pytest.mark.parametrize('distance', [1.0, 8.0])
def test_points_on_an_ellipsoid_satisfy_its_equation(distance):
    turn = random_matrix(Draws(torch.Generator().manual_seed(1), torch.device('cpu'), 1))[0]
    half = torch.tensor([0.2, 0.1, 0.3]) * distance / 1.0
    depth = geometry.ellipsoid(rays([0.0, distance, 0.0], turn), half.view(1, 1, 3), 0.1)[0, 0]
    hit = depth < MISS
    assert 0.02 < hit.float().mean() < 0.9
    local = (points(depth) - torch.tensor([0.0, distance, 0.0])) @ turn
    level = (local / half).square().sum(-1)[hit]
    assert torch.allclose(level, torch.ones_like(level), atol=1e-3)
    assert (depth[hit] < distance).float().mean() > 0.5  # the near side


def test_thin_cable_far_away_is_where_it_is():
    half = torch.tensor([[[0.004, 0.004, 3.0]]])
    centre = [0.5 / F * 6.0, 6.0, 0.0]  # in the middle of a column
    depth = geometry.frustum(rays(centre), half, 0.1)[0, 0]
    hit = depth < MISS
    assert hit[:, W // 2].all() and hit.sum() == H
    assert torch.allclose(depth[:, W // 2], torch.tensor(6.0 - 0.004), atol=1e-4)


def test_cone_radius_grows_along_its_axis():
    half = torch.tensor([[[0.1, 0.4, 0.5]]])
    depth = geometry.frustum(rays([0.0, 3.0, 0.0]), half, 0.1)[0, 0]
    hit = (depth < MISS) & (points(depth)[..., 2].abs() < 0.49)
    p = points(depth)[hit] - torch.tensor([0.0, 3.0, 0.0])
    radius = p[:, :2].norm(dim=1)
    cap = p[:, 2].abs() > 0.49
    assert hit.sum() > 20
    assert torch.allclose(radius[~cap], (0.25 + 0.3 * p[:, 2])[~cap], atol=1e-3)


def test_mirrored_camera_sees_what_a_mirror_shows():
    point, normal = torch.tensor([[0.0, 2.0, 0.0]]), torch.tensor([[0.0, -1.0, 0.0]])
    behind = camera().reflected(point, normal)
    assert torch.allclose(behind.origin, torch.tensor([[0.0, 4.0, 0.0]]))
    assert torch.allclose(behind.forward, torch.tensor([[0.0, -1.0, 0.0]]))
    assert torch.allclose(behind.right, camera().right)


def test_point_rays_reach_their_points_at_one():
    start = torch.tensor([[0.0, 0.0, 5.0]])
    target = points(torch.full((H, W), 2.0))
    ray = [(target[..., i] - start[0, i])[None] for i in range(3)]
    centre = torch.tensor([[[0.0, 2.0, 2.5]]])
    blocked = geometry.box(
        PointRays(start, ray, centre, torch.eye(3).expand(1, 1, 3, 3)),
        torch.tensor([[[0.1, 3.0, 0.01]]]), 1e-3,
    )  # fmt: skip
    assert ((blocked > 0) & (blocked < 1))[0, 0, :, W // 2].all()
    assert (blocked[0, 0, :, 0] == MISS).all()
