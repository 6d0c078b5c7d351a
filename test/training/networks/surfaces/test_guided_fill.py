# SPDX-License-Identifier: Apache-2.0
"""The guided fill: slopes found and carried on, edges of colour kept, frames without depth."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from support.networks import frames

from magadepth_training.networks.surfaces.diffusion import colour_links
from magadepth_training.networks.surfaces.guided_fill import BEYOND, guided_fill
from magadepth_training.networks.surfaces.slopes import slopes

HEIGHT, WIDTH = 64, 96


def fill(rgb, depth):
    return guided_fill(rgb, depth, (depth > 0).float()).depth


def deviation(rgb, depth):
    return guided_fill(rgb, depth, (depth > 0).float()).deviation


def grey(value=0.5):
    return torch.full((1, 3, HEIGHT, WIDTH), value)


def floor():
    """A plane that falls away from the camera."""
    v, u = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing='ij')
    return (2.5 - 0.02 * v + 0.003 * u)[None, None]


def test_slopes_are_the_differences_of_one_surface():
    depth = floor()
    valid = torch.ones_like(depth)

    found = slopes(depth, valid, colour_links(grey()))

    torch.testing.assert_close(found[:, 0], torch.full_like(found[:, 0], 0.003), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[:, 1], torch.full_like(found[:, 1], -0.02), atol=1e-5, rtol=0)


def test_slopes_do_not_take_a_step_between_two_surfaces_for_one():
    depth = torch.ones(1, 1, HEIGHT, WIDTH)
    depth[..., 40:] = 3

    found = slopes(depth, torch.ones_like(depth), colour_links(grey()))

    assert found.abs().max() < 1e-5


@pytest.mark.parametrize(
    'hole', [(slice(20, 44), slice(30, 70)), (slice(0, 24), slice(0, 40)), (slice(48, 64),)]
)
def test_a_plane_goes_on_into_holes_inside_and_at_the_border(hole):
    truth = floor()
    holey = truth.clone()
    place = (..., *hole, *[slice(None)] * (2 - len(hole)))
    holey[place] = 0

    filled = fill(grey(), holey)

    assert (filled - truth).abs().max() < 0.03
    assert (filled - truth).abs().mean() < 0.003


def test_depth_does_not_cross_an_edge_of_colour():
    """A hole over two things: each takes its own depth up to the edge that the picture has."""
    depth, rgb = torch.ones(1, 1, HEIGHT, WIDTH), torch.zeros(1, 3, HEIGHT, WIDTH)
    depth[..., 48:] = 3
    rgb[..., 48:] = 0.8
    holey = depth.clone()
    holey[..., 16:48, 32:64] = 0

    filled, blind = fill(rgb, holey), fill(torch.zeros_like(rgb), holey)

    # Two pixels at the edge are a mixture, as their cell of twice the size was.
    away = [*range(46), *range(50, WIDTH)]
    assert (filled - depth)[..., away].abs().max() < 0.05
    assert (blind - depth)[..., away].abs().max() > 0.5
    assert (filled - depth).abs().max() < 0.5


def test_measured_pixels_stay_and_others_stay_in_their_range():
    rgb, depth = frames()

    filled = fill(rgb, depth)

    measured = depth > 0
    assert torch.equal(filled[measured], depth[measured])
    for frame, given in zip(filled, depth):
        assert frame.min() >= 0.999 * given[given > 0].min() / BEYOND
        assert frame.max() <= 1.001 * given.max() * BEYOND


def test_a_lone_measurement_fills_the_frame():
    depth = torch.zeros(1, 1, HEIGHT, WIDTH)
    depth[..., 5, 7] = 2.5

    filled = fill(torch.rand(1, 3, HEIGHT, WIDTH), depth)

    torch.testing.assert_close(filled, torch.full_like(depth, 2.5), atol=1e-3, rtol=0)


def test_twice_as_far_is_twice_the_fill():
    rgb, depth = frames()

    torch.testing.assert_close(fill(rgb, 2 * depth), 2 * fill(rgb, depth), atol=1e-3, rtol=1e-3)


def test_without_any_measurement_it_is_0():
    filled = fill(torch.rand(1, 3, HEIGHT, WIDTH), torch.zeros(1, 1, HEIGHT, WIDTH))

    assert not filled.any()


def test_frames_of_a_batch_do_not_touch_each_other():
    rgb, depth = frames()

    together = fill(rgb, depth)

    for i in range(len(rgb)):
        alone = fill(rgb[i : i + 1], depth[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=0)


def test_doubt_grows_into_a_hole_and_with_the_depth():
    depth = torch.full((1, 1, HEIGHT, WIDTH), 2.0)
    depth[..., 16:48, 24:72] = 0

    off = deviation(grey(), depth)[0, 0]

    assert off[4, 4] < 0.01
    assert off[4, 4] < off[18, 48] < off[24, 48] < off[32, 48]
    twice = deviation(grey(), 2 * depth)[0, 0]
    torch.testing.assert_close(twice, 2 * off, atol=1e-3, rtol=0.01)


def test_doubt_stays_where_slopes_lead_behind_the_camera():
    u = torch.arange(WIDTH)
    depth = (0.9 - 0.015 * u)[None, None, None].repeat(1, 1, HEIGHT, 1)
    depth[..., 45:] = 0

    off = deviation(grey(), depth)[0, 0]

    assert off.min() > 0
    assert off[:, 80:].min() > off[:, :20].max()


def test_doubt_is_greater_where_the_depth_is_uneven():
    depth = torch.ones(1, 1, HEIGHT, WIDTH)
    depth[..., 48:] = 3

    off = deviation(grey(), depth)[0, 0]

    assert off[:, 47:49].min() > 0.3
    assert off[:, :40].max() < 0.01
    assert off[:, 56:].max() < 0.02


def test_doubt_is_greater_behind_an_edge_of_colour_that_shuts_measurements_out():
    depth = torch.full((1, 1, HEIGHT, WIDTH), 2.0)
    depth[..., 20:44, 36:60] = 0
    rgb = grey()
    rgb[..., 20:44, 36:60] = 0.9

    assert deviation(rgb, depth)[0, 0, 32, 48] > 1.5 * deviation(grey(), depth)[0, 0, 32, 48]
