# SPDX-License-Identifier: Apache-2.0
"""BP-Fusion: Eq. 7 against a naive loop over slices, and the order of the two passes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from torch import nn

from magadepth_training.networks.paper.fusion import (
    BidFusion,
    BPFusion,
    ConcatFusion,
    ConvFusion,
    CrossModalFusion,
)

CHANNELS, HEIGHT, WIDTH = 4, 3, 5
POSITIONS = HEIGHT * WIDTH


def features(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(2, CHANNELS, HEIGHT, WIDTH, generator=generator) for _ in range(2))


def cmf(seed=1):
    torch.manual_seed(seed)
    return CrossModalFusion(CHANNELS, POSITIONS, hidden=7)


def naive_cmf(module, target, query):
    """Eq. 7 slice by slice; the first layer is one matrix on the concatenation of t and q."""
    first = torch.cat([module.from_target.weight, module.from_query.weight], dim=1)
    t_maps, q_maps = module.expand_target(target), module.expand_query(query)
    fused = torch.zeros_like(t_maps)
    for b in range(t_maps.shape[0]):
        for s in range(t_maps.shape[1]):
            t, q = t_maps[b, s].reshape(-1), q_maps[b, s].reshape(-1)
            x = torch.relu(first @ torch.cat([t, q]) + module.from_target.bias)
            x = torch.relu(module.hidden.weight @ x + module.hidden.bias)
            c = module.correction.weight @ x + module.correction.bias
            g = module.gate.weight @ x + module.gate.bias
            fused[b, s] = (torch.relu(c + t) * torch.sigmoid(g)).reshape(HEIGHT, WIDTH)
    return module.fuse(fused)


def test_cmf_is_equation_7():
    module = cmf()
    target, query = features()

    assert module.expand_target(target).shape[1] == 3 * CHANNELS
    torch.testing.assert_close(
        module(target, query), naive_cmf(module, target, query), atol=1e-5, rtol=1e-5
    )


def test_mlp_is_shared_by_all_slices():
    """Slices in another order give the same slices in that order: the fuse undoes it."""
    module, shuffled = cmf(), cmf()
    order = torch.randperm(3 * CHANNELS, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for conv in (shuffled.expand_target, shuffled.expand_query):
            conv.weight.copy_(conv.weight[order].clone())
            conv.bias.copy_(conv.bias[order].clone())
        shuffled.fuse.weight.copy_(shuffled.fuse.weight[:, order].clone())
    target, query = features()

    torch.testing.assert_close(module(target, query), shuffled(target, query))


def test_size_of_the_mlp_does_not_depend_on_the_channels():
    def mlp(channels):
        module = CrossModalFusion(channels, POSITIONS, hidden=7)
        return sum(
            p.numel() for m in module.modules() if isinstance(m, nn.Linear) for p in m.parameters()
        )

    assert mlp(4) == mlp(64)


def test_any_position_of_the_query_reaches_any_position_of_the_target():
    target, query = features()
    query.requires_grad_()

    cmf()(target, query)[0, :, 0, 0].sum().backward()

    assert query.grad[0].abs().sum(dim=0).gt(0).all()
    assert not query.grad[1].any()


class Add(nn.Module):
    """Stands for a fusion: target + factor * query."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, target, query):
        return target + self.factor * query


def test_depth_changes_colour_first_and_the_new_colour_changes_depth():
    depth, colour = torch.tensor(2.0), torch.tensor(3.0)

    got = BidFusion(Add(10), Add(100))(depth, colour)

    assert [float(x) for x in got] == [2 + 100 * 23, 23]


def test_one_way_fusion_leaves_colour_alone_and_has_no_such_parameters():
    depth, colour = features()

    _, after = BidFusion(None, cmf())(depth, colour)
    one_way = BPFusion(CHANNELS, POSITIONS, modules=2, hidden=7, bidirectional=False)
    both = BPFusion(CHANNELS, POSITIONS, modules=2, hidden=7)

    assert torch.equal(after, colour)
    assert not [n for n, _ in one_way.named_parameters() if 'depth_to_colour' in n]
    names = {n for n, _ in both.named_parameters()}
    assert (
        {n for n in names if 'depth_to_colour' not in n}
        == dict(one_way.named_parameters()).keys()
        < names
    )


def test_progressive_fusion_passes_both_features_on():
    torch.manual_seed(0)
    depth, colour = features()
    whole = BPFusion(CHANNELS, POSITIONS, modules=3, hidden=7)

    got = whole(depth, colour)

    for step in whole.steps:
        depth, colour = step(depth, colour)
    assert len(whole.steps) == 3
    assert torch.equal(got, depth)


@pytest.mark.parametrize('module', [ConvFusion(CHANNELS), ConcatFusion(CHANNELS)])
def test_plain_fusions_use_both_features_and_keep_the_shape(module):
    depth, colour = features()
    depth.requires_grad_()
    colour.requires_grad_()

    fused = module(depth, colour)
    fused.sum().backward()

    assert fused.shape == depth.shape
    assert depth.grad.any()
    assert colour.grad.any()


def test_convolution_instead_of_cmf_has_no_mlp():
    module = BPFusion(CHANNELS, POSITIONS, modules=2, hidden=7, cross_modal=False)

    assert not [m for m in module.modules() if isinstance(m, nn.Linear)]
