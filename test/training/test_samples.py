# SPDX-License-Identifier: Apache-2.0
"""Training samples: what is drawn how often, views that keep metres, glass, and what is hidden."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from magadepth_training.datasets.sample import Sample
from magadepth_training.frames import Frame, Frames, fitted
from magadepth_training.samples import TrainingSamples, Views, looked_through, noisy, seen

HEIGHT, WIDTH = 48, 64


class Source(list):
    """Samples as a data set."""

    name, target_made_by, consecutive = 'made up', '', False


def sample(depth=2.0, place='', **more):
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    return Sample(rgb=rgb, depth=np.full((HEIGHT, WIDTH), depth, np.float32), place=place, **more)


def gradient_frame():
    """Return a frame whose red and depth both grow to the right, so that they can be compared."""
    along = np.broadcast_to(np.arange(WIDTH, dtype=np.float32), (HEIGHT, WIDTH))
    rgb = np.repeat((3 * along).astype(np.uint8)[..., None], 3, axis=2)
    depth = 1 + along / WIDTH
    return Frame(rgb, depth.copy(), depth.copy(), False)


def test_places_are_drawn_by_the_root_of_their_size():
    large = [sample(1.0, 'large') for _ in range(16)]
    frames = Frames([Source([*large, sample(2.0, 'small')])], HEIGHT, WIDTH, [1.0])

    assert frames.weights.sum() == pytest.approx(1)
    assert frames.weights[:16].sum() == pytest.approx(4 * frames.weights[16])


def test_a_share_says_how_often_a_set_is_drawn():
    one, other = Source([sample(1.0, 'a')]), Source([sample(2.0, 'b')])
    frames = Frames([one, other], HEIGHT, WIDTH, [1.0, 3.0])
    samples = TrainingSamples(frames, 400, seed=2)

    near = [samples._draw(np.random.default_rng(i), samples.until) == 0 for i in range(400)]

    assert 0.17 < np.mean(near) < 0.33


def test_a_number_is_always_the_same_sample():
    frames = Frames([Source([sample(), sample(3.0)])], HEIGHT, WIDTH, [1.0])
    one, other = (TrainingSamples(frames, 10, seed=4)[7] for _ in range(2))

    for name in ('rgb', 'depth', 'target'):
        assert torch.equal(one[name], other[name])
    assert not torch.equal(one['depth'], TrainingSamples(frames, 10, seed=5)[7]['depth'])


def test_something_is_always_hidden_and_what_stays_is_the_target():
    frames = Frames([Source([sample(2.0)])], HEIGHT, WIDTH, [1.0])
    samples = TrainingSamples(frames, 30, seed=4, views=Views(noise=0.0))
    for number in range(30):
        made = samples[number]
        known = made['depth'] > 0
        assert ((made['target'] > 0) & ~known).any()
        torch.testing.assert_close(made['depth'][known], made['target'][known])
        assert made['rgb'].shape == (3, HEIGHT, WIDTH) and made['rgb'].max() <= 1


def test_a_frame_with_a_target_keeps_the_holes_it_came_with():
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[10:20, 10:20] = 0
    target = np.full_like(depth, 2.0)
    given = Sample(np.zeros((HEIGHT, WIDTH, 3), np.uint8), depth, target)

    frame = fitted(given, HEIGHT, WIDTH)

    assert frame.own_holes
    np.testing.assert_array_equal(frame.depth, depth)
    np.testing.assert_array_equal(frame.target, target)


@pytest.mark.parametrize('seed', range(10))
def test_picture_and_depth_are_cut_alike_and_metres_stay(seed):
    frame = seen(np.random.default_rng(seed), gradient_frame(), Views())

    known = frame.depth > 0
    there = known & (frame.rgb[..., 0] > 0)
    wanted = 1 + frame.rgb[..., 0] / 3.0 / WIDTH
    np.testing.assert_allclose(frame.depth[there], wanted[there], atol=0.03)
    np.testing.assert_array_equal(frame.depth, frame.target)


def test_transparent_things_are_lost_seen_through_or_measured():
    frame = gradient_frame()
    glass = np.zeros((HEIGHT, WIDTH), np.uint8)
    glass[10:20, 10:20] = glass[10:20, 40:50] = 255
    frame = frame._replace(glass=glass, behind=frame.depth + 1)
    fates = set()
    for seed in range(60):
        depth = looked_through(np.random.default_rng(seed), frame)
        np.testing.assert_array_equal(depth[30:], frame.depth[30:])
        inside = depth[12:18, 12:18]
        if not inside.any():
            fates.add('lost')
        elif np.array_equal(inside, frame.behind[12:18, 12:18]):
            fates.add('seen through')
        else:
            np.testing.assert_array_equal(inside, frame.depth[12:18, 12:18])
            fates.add('measured')

    assert fates == {'lost', 'seen through', 'measured'}


def test_noise_keeps_holes_and_is_small():
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[:10] = 0

    noised = noisy(np.random.default_rng(1), depth, 0.005)

    assert not noised[:10].any()
    assert 0 < np.abs(noised[10:] / 2 - 1).max() < 0.06
