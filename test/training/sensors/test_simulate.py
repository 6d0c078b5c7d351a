# SPDX-License-Identifier: Apache-2.0
"""Every sensor keeps a plausible share and errs within bounds where it measures."""

from __future__ import annotations

import pytest
import torch

from magadepth_ros.errors import DataError
from magadepth_training.scenes import SceneConfig, generate_scenes
from magadepth_training.sensors import KINDS, SensorConfig, StructuredLightConfig, simulate
from magadepth_training.sensors.simulate import mixed_sizes

H, W = 90, 120


def scenes(**settings):
    return generate_scenes(
        16, H, W, generator=torch.Generator().manual_seed(2), device='cpu',
        config=SceneConfig(**settings),
    )  # fmt: skip


@pytest.fixture(scope='module')
def scene():
    return scenes(glass_share=0.0, mirror_every=0)


def measure(scene, kind, seed=0, config=None):
    return simulate(scene, generator=torch.Generator().manual_seed(seed), kind=kind, config=config)


# Relative error that half, and 95 %, of the measured pixels must stay below: quantisation and
# noise for the first; wrong matches and smeared edges are allowed for in the second.
@pytest.mark.parametrize(
    ('kind', 'holes', 'half', 'most'),
    [
        ('structured_light', (0.1, 0.6), 0.006, 0.04),
        ('active_stereo', (0.05, 0.6), 0.02, 0.25),
        ('tof', (0.03, 0.6), 0.01, 0.06),
        ('sparse', (0.9, 0.995), 0.01, 0.03),
    ],
)
def test_share_and_error(scene, kind, holes, half, most):
    depth = measure(scene, kind)
    assert depth.shape == scene.depth.shape and depth.dtype == torch.float32
    assert torch.isfinite(depth).all() and (depth >= 0).all()
    known = depth > 0
    assert holes[0] < (~known).float().mean() < holes[1]
    error = ((depth - scene.depth).abs() / scene.depth)[known]
    assert error.quantile(0.5) < half
    assert error.quantile(0.95) < most


@pytest.mark.parametrize('kind', KINDS)
def test_deterministic_for_a_seed(scene, kind):
    assert torch.equal(measure(scene, kind, 4), measure(scene, kind, 4))
    assert not torch.equal(measure(scene, kind, 4), measure(scene, kind, 5))


def test_projector_on_the_right_shadows_the_left(scene):
    """Mean over missing pixels next to a near edge: more of them on the shadow's side."""
    only = StructuredLightConfig(right_share=1.0, signal=(1e-6, 2e-6), border=(0.0, 1e-3), sun=0.0)
    missing = measure(scene, 'structured_light', config=SensorConfig(structured_light=only)) == 0
    z = scene.depth
    nearer_right = (z[..., :-1] - z[..., 1:]) > 0.1 * z[..., 1:]  # far | near
    nearer_left = (z[..., 1:] - z[..., :-1]) > 0.1 * z[..., :-1]  # near | far
    left_of_near = missing[..., :-1][nearer_right].float().mean()
    right_of_near = missing[..., 1:][nearer_left].float().mean()
    assert left_of_near > 1.5 * right_of_near


def test_noise_grows_with_distance(scene):
    depth = measure(scene, 'structured_light')
    error, known = (depth - scene.depth).abs(), depth > 0
    near, far = known & (scene.depth < 1.2), known & (scene.depth > 2.5)
    assert error[far].median() > 2.5 * error[near].median()


@pytest.mark.parametrize('kind', ['structured_light', 'active_stereo', 'tof'])
def test_glass_is_missing_or_seen_through(kind):
    scene = scenes(glass_share=1.0, mirror_every=0)
    glass = (scene.transparency > 0.5) & (scene.behind > 1.1 * scene.depth)
    depth = measure(scene, kind)[glass]
    front = scene.depth[glass]
    measured_front = (depth > 0) & ((depth - front).abs() < 0.03 * front)
    assert measured_front.float().mean() < 0.25
    assert (depth == 0).float().mean() > 0.2
    assert (depth > 1.05 * front).float().mean() > 0.02


@pytest.mark.parametrize('kind', ['structured_light', 'tof'])
def test_black_is_lost_before_white(scene, kind):
    black, white = scenes(glass_share=0.0, mirror_every=0), scene
    black.albedo_ir = black.albedo_ir * 0.02
    lost = [(measure(s, kind) == 0).float().mean() for s in (black, white)]
    assert lost[0] > lost[1] + 0.15


def test_mixed_gives_each_sensor_its_share():
    assert mixed_sizes(10, (0.4, 0.3, 0.2, 0.1)) == [4, 3, 2, 1]
    for batch in range(1, 20):
        assert sum(mixed_sizes(batch, (0.4, 0.28, 0.24, 0.08))) == batch


def test_unknown_sensor_says_which_there_are(scene):
    with pytest.raises(DataError, match='active_stereo'):
        measure(scene, 'radar')
