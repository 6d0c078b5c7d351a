# SPDX-License-Identifier: Apache-2.0
"""The fill by diffusion: a naive loop, planes, edges of colour, and frames without depth."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from support.networks import HEIGHT, WIDTH, frames

from magadepth_training.networks.diffusion import (
    GuidedDiffusion,
    colour_affinity,
    diffuse,
    neighbours,
)
from magadepth_training.networks.residual import relative_to_fill

CHANNELS = (4, 3, 2)


def fill(rgb, depth, training=False):
    """Fill by an untrained module, whose network says nothing."""
    module = GuidedDiffusion(CHANNELS).train(training)
    batch, _, height, width = depth.shape
    features = [
        torch.randn(batch, c, height // s, width // s) for c, s in zip(CHANNELS, (8, 4, 2))
    ]
    affinity = torch.zeros(batch, 4, height, width)
    return module(relative_to_fill(depth), rgb, features, affinity)


def plane(height=HEIGHT, width=WIDTH):
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    return (1 + 0.02 * u + 0.01 * v)[None, None]


def test_one_step_is_the_weighted_mean_of_the_neighbours():
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(1, 1, 5, 6, generator=generator)
    missing = (torch.rand(x.shape, generator=generator) < 0.5).float()
    weights = torch.softmax(torch.randn(1, 4, 5, 6, generator=generator), dim=1)

    got = diffuse(x, weights, missing, steps=1)

    for y in range(5):
        for z in range(6):
            around = ((y - 1, z), (y + 1, z), (y, z - 1), (y, z + 1))
            expected = x[0, 0, y, z]
            if missing[0, 0, y, z]:
                # Beyond the border lies the border's own value.
                expected = sum(
                    weights[0, i, y, z] * x[0, 0, min(max(a, 0), 4), min(max(b, 0), 5)]
                    for i, (a, b) in enumerate(around)
                )
            torch.testing.assert_close(got[0, 0, y, z], expected)


def test_neighbours_are_above_below_left_and_right():
    x = torch.arange(9.0).reshape(1, 1, 3, 3)

    assert [float(n[0, 0, 1, 1]) for n in neighbours(x)] == [1, 7, 3, 5]


def test_a_plane_is_closed_exactly():
    missing = torch.zeros(1, 1, 12, 14)
    missing[..., 3:9, 4:10] = 1
    depth = plane(12, 14)

    got = diffuse(depth * (1 - missing), torch.full((1, 4, 12, 14), 0.25), missing, steps=400)

    torch.testing.assert_close(got, depth, atol=1e-4, rtol=0)


def test_neighbours_of_one_colour_are_open_and_others_shut():
    rgb = torch.zeros(1, 3, 4, 6)
    rgb[..., 3:] = 0.8

    affinity = colour_affinity(rgb)

    left, right = affinity[0, 2], affinity[0, 3]
    assert not affinity[0, :2].any()
    assert (left[:, 3] < -100).all()
    assert (right[:, 2] < -100).all()
    assert not left[:, [0, 1, 2, 4, 5]].any()


def test_depth_does_not_cross_an_edge_of_colour():
    """A hole over two things: as far as the few steps reach, each takes its own depth."""
    depth, rgb = torch.ones(1, 1, HEIGHT, WIDTH), torch.zeros(1, 3, HEIGHT, WIDTH)
    depth[..., 24:] = 3
    rgb[..., 24:] = 0.8
    holey = depth.clone()
    holey[..., 8:24, 16:32] = 0

    filled, _ = fill(rgb, holey)
    plain, _ = fill(torch.zeros_like(rgb), holey)

    assert (filled - depth).abs().max() < 0.5 < (plain - depth).abs().max()
    assert (filled - depth).abs().mean() < 0.5 * (plain - depth).abs().mean()


def test_measured_pixels_stay_and_others_lie_between_them():
    rgb, depth = frames()

    filled, _ = fill(rgb, depth)

    measured = depth > 0
    torch.testing.assert_close(filled[measured], depth[measured])
    for frame, given in zip(filled, depth):
        assert frame.min() >= 0.999 * given[given > 0].min()
        assert frame.max() <= 1.001 * given.max()


def test_a_lone_measurement_fills_the_frame():
    depth = torch.zeros(1, 1, HEIGHT, WIDTH)
    depth[..., 5, 7] = 2.5

    filled, _ = fill(torch.rand(1, 3, HEIGHT, WIDTH), depth)

    torch.testing.assert_close(filled, torch.full_like(depth, 2.5), atol=1e-3, rtol=0)


def test_without_any_measurement_it_is_finite():
    filled, _ = fill(torch.rand(1, 3, HEIGHT, WIDTH), torch.zeros(1, 1, HEIGHT, WIDTH))

    assert torch.isfinite(filled).all()


@pytest.mark.parametrize('training', [False, True])
def test_coarser_levels_are_given_to_the_loss_in_training_only(training):
    rgb, depth = frames()

    _, stages = fill(rgb, depth, training)

    assert [s.shape for s in stages] == ([depth.shape] * 3 if training else [])
