# SPDX-License-Identifier: Apache-2.0
"""The encoders: channels shared by the heads, sizes, and what a mask reaches."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.networks.paper.encoders import (
    ColourEncoder,
    DepthEncoder,
    MaskedBlock,
    MaskedLayer,
)
from magadepth_training.networks.paper.magaconv import MagaConv
from magadepth_training.networks.paper.partial_conv import PartialConv, VanillaConv

CHANNELS = (6, 12, 24)
SIZES = [(6, 16, 24), (12, 8, 12), (24, 4, 6)]


@pytest.mark.parametrize('conv', [MagaConv, PartialConv, VanillaConv])
@pytest.mark.parametrize('kernels', [(5,), (3, 5, 7)])
def test_depth_features_at_a_half_a_quarter_and_an_eighth(conv, kernels):
    encoder = DepthEncoder(1, CHANNELS, kernels, conv)

    features = encoder(torch.rand(2, 1, 32, 48), torch.zeros(2, 1, 32, 48))

    assert [tuple(f.shape[1:]) for f in features] == SIZES


def test_colour_features_at_a_half_a_quarter_and_an_eighth():
    features = ColourEncoder(3, CHANNELS)(torch.rand(2, 3, 32, 48))

    assert [tuple(f.shape[1:]) for f in features] == SIZES


def test_heads_share_the_channels_of_a_single_one():
    made = []

    def conv(inputs, outputs, kernel, stride):
        made.append((inputs, outputs, kernel, stride))
        return MagaConv(inputs, outputs, kernel, stride)

    MaskedLayer(4, 12, 2, (3, 5, 7), conv)
    assert made == [(4, 4, 3, 2), (4, 4, 5, 2), (4, 4, 7, 2)]
    made.clear()
    MaskedLayer(4, 12, 2, (5,), conv)
    assert made == [(4, 12, 5, 2)]


def test_channels_that_the_heads_cannot_share_are_refused():
    with pytest.raises(ValueError, match='8 channels cannot be shared by 3 heads'):
        MaskedLayer(4, 8, 1, (3, 5, 7), MagaConv)


def test_only_the_first_of_three_layers_halves_the_size():
    strides = []

    def conv(inputs, outputs, kernel, stride):
        strides.append(stride)
        return VanillaConv(inputs, outputs, kernel, stride)

    MaskedBlock(1, 4, (5,), conv)

    assert strides == [2, 1, 1]


def test_depth_deep_inside_a_hole_is_not_looked_at():
    """Masked heads give 0 there, so what lies in the hole cannot change the features."""
    torch.manual_seed(0)
    encoder = DepthEncoder(1, (6,), (3,), PartialConv).eval()
    depth, missing = torch.rand(1, 1, 32, 48), torch.zeros(1, 1, 32, 48)
    missing[..., 8:24, 8:32] = 1

    here, there = (encoder(torch.where(missing > 0, v, depth), missing)[0] for v in (0.0, 7.0))

    torch.testing.assert_close(here, there)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    masked = DepthEncoder(1, CHANNELS, (3, 5, 7), MagaConv)
    colour = ColourEncoder(3, CHANNELS)
    # A hole so large that every layer still sees a part of it: else its epsilon cannot learn.
    missing = (torch.rand(2, 1, 64, 96) < 0.1).float()
    missing[..., 24:] = 1

    depths = masked(torch.rand(2, 1, 64, 96) * (1 - missing), missing)
    colours = colour(torch.rand(2, 3, 64, 96))
    sum(f.square().mean() for f in (*depths, *colours)).backward()

    parameters = [*masked.named_parameters(), *colour.named_parameters()]
    assert all(torch.isfinite(p.grad).all() for _, p in parameters)
    assert not [n for n, p in parameters if not p.grad.any()]
