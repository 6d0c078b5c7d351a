# SPDX-License-Identifier: Apache-2.0
"""Properties that every generated scene must have."""

from __future__ import annotations

import pytest
import torch

from magadepth_ros.errors import DataError
from magadepth_training.scenes import SceneConfig, generate_scenes

H, W = 60, 80


def make(seed: int = 3, batch: int = 8, **settings):
    return generate_scenes(
        batch, H, W, generator=torch.Generator().manual_seed(seed), device='cpu',
        config=SceneConfig(**settings),
    )  # fmt: skip


@pytest.fixture(scope='module')
def scene():
    return make(batch=16, glass_share=0.8)


def test_shapes_ranges_and_no_missing_value(scene):
    for name, channels, low, high in (
        ('rgb', 3, 0, 1), ('depth', 1, 0.1, 15), ('behind', 1, 0.1, 40),
        ('normal', 3, -1.01, 1.01), ('albedo_ir', 1, 0, 1), ('luminance', 1, 0, 1),
        ('shininess', 1, 0, 1), ('transparency', 1, 0, 1), ('mirror', 1, 0, 1),
        ('texture', 1, 0, 1), ('sunlight', 1, 0, 1),
    ):  # fmt: skip
        value = getattr(scene, name)
        assert value.shape == (16, channels, H, W) and value.dtype == torch.float32, name
        assert torch.isfinite(value).all(), name
        assert value.min() >= low and value.max() <= high, name
    assert scene.intrinsics.shape == (16, 4)


def test_same_seed_same_scenes_and_another_seed_others():
    a, b, c = make(5, 2), make(5, 2), make(6, 2)
    assert torch.equal(a.rgb, b.rgb) and torch.equal(a.depth, b.depth)
    assert not torch.equal(a.depth, c.depth)


def test_layout_does_not_depend_on_the_chunk():
    one = make(7, 6, mirror_every=2, rays_per_chunk=1 << 30)
    two = make(7, 6, mirror_every=2, rays_per_chunk=8 * H * W)
    assert torch.allclose(one.depth, two.depth)
    assert torch.allclose(one.behind, two.behind, atol=1e-4)
    assert torch.equal(one.mirror, two.mirror)


def test_normals_agree_with_depth(scene):
    """The normal is across the surface that neighbouring points span."""
    fx, fy, cx, cy = (scene.intrinsics[:, i, None, None] for i in range(4))
    u, v = torch.arange(W), torch.arange(H)[:, None]
    z = scene.depth[:, 0]
    p = torch.stack([(u - cx) / fx * z, (v - cy) / fy * z, z], 1)
    across = p[:, :, 1:-1, 2:] - p[:, :, 1:-1, :-2]
    along = p[:, :, 2:, 1:-1] - p[:, :, :-2, 1:-1]
    spanned = torch.nn.functional.normalize(torch.linalg.cross(along, across, dim=1), dim=1)
    n = scene.normal[:, :, 1:-1, 1:-1]
    # Where all nine normals agree the surface is flat, and there the two must be the same.
    flat = torch.nn.functional.max_pool2d(scene.normal, 3, 1) - n < 1e-3
    flat &= -torch.nn.functional.max_pool2d(-scene.normal, 3, 1) - n > -1e-3
    step = (z[:, 1:-1, 2:] - 2 * z[:, 1:-1, 1:-1] + z[:, 1:-1, :-2]).abs() < 0.01
    flat = flat.all(1) & step
    cosine = (spanned * n).sum(1)[flat]
    assert flat.float().mean() > 0.4
    assert (cosine > 0.99).float().mean() > 0.96


def test_normals_face_the_camera(scene):
    assert torch.allclose(scene.normal.norm(dim=1), torch.ones(16, H, W), atol=1e-3)
    fx, fy, cx, cy = (scene.intrinsics[:, i, None, None] for i in range(4))
    u, v = torch.arange(W), torch.arange(H)[:, None]
    dot = scene.normal[:, 0] * (u - cx) / fx + scene.normal[:, 1] * (v - cy) / fy
    assert ((dot + scene.normal[:, 2]) < 1e-3).float().mean() > 0.999


def test_glass_has_something_behind_it_and_nothing_else_has(scene):
    glass, mirror = scene.transparency > 0.5, scene.mirror > 0.5
    assert glass.any()
    assert (scene.behind[glass] >= scene.depth[glass] - 1e-4).all()
    plain = ~glass & ~mirror
    assert torch.equal(scene.behind[plain], scene.depth[plain])
    assert glass.float().mean() < 0.3


def test_a_mirror_shows_a_room_behind_the_wall():
    scene = make(1, 24, mirror_every=1, glass_share=0.0)
    mirror = scene.mirror > 0.5
    assert mirror.any()
    deeper = scene.behind[mirror] - scene.depth[mirror]
    assert (deeper >= 0).all() and deeper.mean() > 0.5


def test_edges_of_depth_mostly_show_in_the_picture(scene):
    z, grey = scene.depth, scene.luminance
    step = (z[..., 1:] - z[..., :-1]).abs() > 0.05 * z[..., 1:]
    change = (grey[..., 1:] - grey[..., :-1]).abs()
    assert change[step].mean() > 3 * change[~step].mean()


def test_bad_size_says_what_to_do():
    with pytest.raises(DataError, match='at least 1'):
        make(batch=0)
