# SPDX-License-Identifier: Apache-2.0
"""Textures repeat without a seam, blur with distance, and stick to the surface."""

from __future__ import annotations

import torch

from magadepth_training.scenes import trace
from magadepth_training.scenes.batch import SceneConfig
from magadepth_training.scenes.draws import Draws
from magadepth_training.scenes.geometry import Camera
from magadepth_training.scenes.layout import make_layout
from magadepth_training.scenes.primitives import COUNT
from magadepth_training.scenes.textures import TILES, atlas, look_up

CPU = torch.device('cpu')


def at(tile: int, u: torch.Tensor, v: torch.Tensor, texels: float) -> torch.Tensor:
    shape = (1, *u.shape)
    full = torch.full(shape, float(tile))
    return look_up(atlas(CPU), full, u[None], v[None], torch.full(shape, texels))[0]


def test_look_up_repeats_and_has_no_seam():
    u = torch.linspace(0, 1, 64).expand(4, 64)
    v = torch.linspace(0, 0.9, 4)[:, None].expand(4, 64)
    for tile in (3, 16, TILES - 1):
        assert torch.allclose(at(tile, u, v, 1.0), at(tile, u + 2, v - 3, 1.0), atol=0.02)
        for texels in (1.0, 8.0):
            left, right = at(tile, u * 0, v, texels), at(tile, u * 0 + 0.9999, v, texels)
            assert (left - right).abs().max() < 0.1


def test_far_texture_is_its_mean_instead_of_noise():
    u, v = torch.rand(2, 64, 64, generator=torch.Generator().manual_seed(0))
    near, far = at(11, u, v, 1.0), at(11, u, v, 200.0)
    assert near.std() > 0.4
    assert far.std() < 0.1
    assert torch.allclose(far.mean(), near.mean(), atol=0.05)


def test_coordinates_stay_on_the_surface_when_the_camera_moves():
    """The same point of a box has the same coordinates from two places."""
    layout = make_layout(Draws(torch.Generator().manual_seed(0), CPU, 1), SceneConfig())
    half = layout.room_half[0]
    point = torch.tensor([0.3, 0.9999 * half[1], half[2]])  # on the far wall
    seen = []
    for origin in ([0.0, 0.0, 1.0], [-0.5, 0.4, 1.4]):
        start = torch.tensor([origin])
        ray = point - start[0]
        camera = Camera(
            start, torch.tensor([[1.0, 0, 0]]), torch.tensor([[0, 0, -1.0]]),
            torch.tensor([[0, 1.0, 0]]), (ray[0] / ray[1]).view(1, 1),
            (-ray[2] / ray[1]).view(1, 1), torch.tensor([[1.0, 1.0, 0, 0]]),
        )  # fmt: skip
        depth = trace.room_depth(camera, layout)
        seen.append(trace.surface(camera, layout, depth, torch.full((1, 1, 1), COUNT)))
    assert torch.equal(seen[0].surface, seen[1].surface)
    assert torch.allclose(seen[0].u, seen[1].u, atol=1e-3)
    assert torch.allclose(seen[0].v, seen[1].v, atol=1e-3)
    assert torch.allclose(seen[0].u, torch.tensor(0.3), atol=1e-3)
