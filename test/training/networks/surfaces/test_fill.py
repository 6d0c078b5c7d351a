# SPDX-License-Identifier: Apache-2.0
"""Push-pull interpolation, and enlarging by arithmetic."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from support.networks import frames
from torch.nn import functional as F

from magadepth_training.networks.surfaces.fill import enlarge, push_pull


@pytest.mark.parametrize('shape', [(1, 1, 2, 3), (2, 3, 5, 4)])
def test_enlarging_is_bilinear_interpolation(shape):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1))

    expected = F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)
    torch.testing.assert_close(enlarge(x), expected)


def test_push_pull_keeps_what_is_valid_and_stays_between():
    _, depth = frames()
    valid = (depth > 0).float()

    filled = push_pull(depth, valid)

    torch.testing.assert_close(filled[valid > 0], depth[valid > 0])
    assert filled.min() >= depth[valid > 0].min()
    assert filled.max() <= depth.max()


def test_push_pull_fills_each_channel_by_itself():
    _, depth = frames()
    valid = (depth > 0).float()
    channels = torch.cat([depth, 2 * depth.flip(0)], dim=1)

    both = push_pull(channels, valid)

    for i in range(2):
        torch.testing.assert_close(both[:, i : i + 1], push_pull(channels[:, i : i + 1], valid))


def test_push_pull_without_a_valid_pixel_is_zero():
    nothing = torch.zeros(1, 1, 6, 9)

    assert not push_pull(nothing, nothing).any()
