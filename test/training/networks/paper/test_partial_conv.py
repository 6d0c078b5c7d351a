# SPDX-License-Identifier: Apache-2.0
"""Partial convolution against a naive loop, and the plain one beside it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from torch.nn import functional as F

from magadepth_training.networks.paper.partial_conv import PartialConv, VanillaConv


def random_case(channels=2, height=6, width=8, missing=0.6):
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(2, channels, height, width, generator=generator)
    mask = (torch.rand(2, 1, height, width, generator=generator) < missing).float()
    mask[..., :4, :4] = 1
    return features, mask


def naive(features, missing, weight, stride):
    """Liu et al., Eq. 1: W^T (X * M) sum(1) / sum(M), or 0 where nothing is valid."""
    batch, _, height, width = features.shape
    outputs, _, kernel, _ = weight.shape
    reach = kernel // 2
    rows, columns = range(0, height, stride), range(0, width, stride)
    answer = torch.zeros(batch, outputs, len(rows), len(columns))
    for b in range(batch):
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                total, valid = torch.zeros(outputs), 0
                for y in range(kernel):
                    for x in range(kernel):
                        v, u = row + y - reach, column + x - reach
                        inside = 0 <= v < height and 0 <= u < width
                        if inside and missing[b, 0, v, u] == 0:
                            total += weight[:, :, y, x] @ features[b, :, v, u]
                            valid += 1
                if valid:
                    answer[b, :, i, j] = total * kernel**2 / valid
    return answer


@pytest.mark.parametrize(('kernel', 'stride'), [(3, 1), (5, 2)])
def test_only_valid_pixels_count_and_are_scaled_up(kernel, stride):
    features, missing = random_case()
    conv = PartialConv(2, 3, kernel, stride)

    got = conv(features, missing).detach()

    expected = naive(features, missing, conv.weight.detach(), stride)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_what_stands_at_missing_pixels_does_not_matter():
    features, missing = random_case()
    conv = PartialConv(2, 3, 3)

    other = torch.where(missing > 0, 99.0, features)

    torch.testing.assert_close(conv(features, missing), conv(other, missing))


def test_all_valid_inside_is_a_plain_convolution():
    features, missing = random_case()
    conv = PartialConv(2, 3, 3)

    got = conv(features, torch.zeros_like(missing))

    plain = F.conv2d(features, conv.weight, padding=1)
    torch.testing.assert_close(got[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])


def test_vanilla_convolution_does_not_look_at_the_mask():
    features, missing = random_case()
    conv = VanillaConv(2, 3, 5, stride=2)

    assert torch.equal(conv(features, missing), conv(features, 1 - missing))
    torch.testing.assert_close(
        conv(features, missing), F.conv2d(features, conv.weight, stride=2, padding=2)
    )
