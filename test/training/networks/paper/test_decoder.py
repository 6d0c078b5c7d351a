# SPDX-License-Identifier: Apache-2.0
"""The decoder: sizes, the gate, and that the skips are used."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.networks.paper.decoder import DeGConv, DepthDecoder

SKIPS = (6, 12, 24)


def inputs():
    generator = torch.Generator().manual_seed(1)
    skips = [
        torch.randn(2, c, 32 // s, 48 // s, generator=generator) for c, s in zip(SKIPS, (2, 4, 8))
    ]
    return torch.randn(2, 16, 4, 6, generator=generator), skips


@pytest.mark.parametrize('reduce', [False, True])
def test_a_stage_doubles_the_size(reduce):
    assert DeGConv(10, 4, reduce)(torch.randn(2, 10, 5, 7)).shape == (2, 4, 10, 14)


def test_a_shut_gate_lets_nothing_through():
    stage = DeGConv(10, 4).eval()
    x = torch.randn(1, 10, 5, 7)
    assert stage(x).all()
    normalise = stage.feature_and_gate[1]

    with torch.no_grad():
        normalise.bias[4:] = -200  # features first, their gates behind them

    assert not stage(x).any()


def test_an_eighth_is_decoded_to_the_whole_size():
    fused, skips = inputs()

    assert DepthDecoder(16, SKIPS, (12, 8, 8))(fused, skips).shape == (2, 1, 32, 48)


def test_everything_given_is_used():
    fused, skips = inputs()
    given = [fused, *skips]
    for tensor in given:
        tensor.requires_grad_()

    DepthDecoder(16, SKIPS, (12, 8, 8))(fused, skips).square().sum().backward()

    assert all(tensor.grad.any() for tensor in given)


def test_narrowing_saves_parameters():
    wide, narrow = (DeGConv(16, 8, reduce=reduce) for reduce in (False, True))

    count = [sum(p.numel() for p in net.parameters()) for net in (wide, narrow)]

    assert count[1] < count[0]
