# SPDX-License-Identifier: Apache-2.0
"""Eq. 1 to 6 of the MagaConv paper against naive loops and hand-computed cases."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip('torch')

from torch.nn import functional as F

from magadepth_training.networks.output import missing_mask
from magadepth_training.networks.paper.encoders import MaskedBlock
from magadepth_training.networks.paper.magaconv import MagaConv, min_pool, reverse_and_cut


def random_case(channels=3, height=7, width=9, missing=0.4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, channels, height, width, generator=generator)
    mask = (torch.rand(2, 1, height, width, generator=generator) < missing).float()
    return features, mask


def naive_magaconv(features, missing, weight, epsilon, stride):
    """Eq. 1, 3, 4 and 5 as they are written, the mask replicated along the channels."""
    batch, channels, height, width = features.shape
    outputs, _, kernel, _ = weight.shape
    reach = kernel // 2
    mask = missing.expand(-1, channels, -1, -1)
    rows, columns = range(0, height, stride), range(0, width, stride)
    answer = torch.zeros(batch, outputs, len(rows), len(columns))
    for b in range(batch):
        for o in range(outputs):
            for i, row in enumerate(rows):
                for j, column in enumerate(columns):
                    response = unsuitable = 0.0
                    for y in range(kernel):
                        for x in range(kernel):
                            v, u = row + y - reach, column + x - reach
                            inside = 0 <= v < height and 0 <= u < width
                            for c in range(channels):
                                w = weight[o, c, y, x].item()
                                if inside:
                                    response += w * float(features[b, c, v, u])
                                # Outside the image is missing, as it is for Eq. 6.
                                gone = float(mask[b, c, v, u]) if inside else 1.0
                                unsuitable += abs(w) * gone
                    gate = 2 * max(0.0, math.exp(-epsilon * unsuitable) - 0.5)
                    answer[b, o, i, j] = gate * response
    return answer


@pytest.mark.parametrize(('kernel', 'stride'), [(3, 1), (3, 2), (5, 1), (7, 2)])
def test_magaconv_is_equations_1_to_5(kernel, stride):
    torch.manual_seed(1)
    features, missing = random_case(channels=2, height=6, width=8, missing=0.6)
    conv = MagaConv(2, 2, kernel, stride)

    got = conv(features, missing)

    expected = naive_magaconv(features, missing, conv.weight, conv.epsilon.item(), stride)
    torch.testing.assert_close(got.detach(), expected, atol=1e-5, rtol=1e-5)
    assert (expected == 0).any()
    assert (expected != 0).any()


@pytest.mark.parametrize('channels', [1, 3, 96])
def test_one_channel_mask_branch_equals_the_replicated_mask(channels):
    torch.manual_seed(2)
    features, missing = random_case(channels, height=16, width=20)
    conv = MagaConv(channels, 8, 5)

    got = conv(features, missing)

    replicated = F.pad(missing, (2, 2, 2, 2), value=1.0).expand(-1, channels, -1, -1)
    unsuitable = conv.epsilon * F.conv2d(replicated, conv.weight.abs())
    gate = 2 * F.relu(torch.exp(-unsuitable) - 0.5)
    expected = gate * F.conv2d(features, conv.weight, padding=2)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_all_valid_mask_makes_a_plain_convolution():
    features, missing = random_case()
    conv = MagaConv(3, 4, 5, stride=2)

    got = conv(features, torch.zeros_like(missing))

    expected = F.conv2d(features, conv.weight, stride=2, padding=2)
    inner = got[..., 1:-1, 1:-1]
    torch.testing.assert_close(inner, expected[..., 1:-1, 1:-1])
    # Windows that reach outside are gated: there is nothing.
    assert (got[..., 0, :].abs() < expected[..., 0, :].abs()).all()


def test_window_without_any_valid_pixel_is_cut_where_rnc_says():
    """Two filters of 9 equal weights, just below and just above eps * sum|w| = ln 2."""
    features = torch.ones(1, 1, 5, 5)
    conv = MagaConv(1, 2, 3)
    with torch.no_grad():
        conv.raw_epsilon.fill_(0)  # epsilon = 0.5
        conv.weight[0] = 2 * 0.690 / 9
        conv.weight[1] = -2 * 0.694 / 9

    got = conv(features, torch.ones(1, 1, 5, 5))[0, :, 2, 2]

    assert got[1] == 0
    assert got[0].item() == pytest.approx(2 * (math.exp(-0.690) - 0.5) * 1.38, rel=1e-4)
    assert got[0] > 0


@pytest.mark.parametrize(
    ('x', 'gate'),
    [(0, 1), (0.25, 0.557602), (0.5, 0.213061), (0.69, 0.003152), (0.6932, 0), (1, 0), (50, 0)],
)
def test_rnc_by_hand(x, gate):
    assert reverse_and_cut(torch.tensor(float(x))).item() == pytest.approx(gate, abs=1e-6)


def test_rnc_is_exactly_0_from_ln_2_on():
    assert not reverse_and_cut(torch.linspace(math.log(2) + 1e-6, 20, 1000)).any()
    assert (reverse_and_cut(torch.linspace(0, math.log(2) - 1e-6, 1000)) > 0).all()


def test_epsilon_stays_between_0_and_1_however_far_it_is_trained():
    conv = MagaConv(2, 2, 3)
    for value in (-10.0, 10.0):
        conv.raw_epsilon.data.fill_(value)
        assert 0 < conv.epsilon < 1


@pytest.mark.parametrize(('channels', 'kernel'), [(1, 7), (6, 3), (24, 5)])
def test_at_first_a_window_is_cut_from_half_of_it_missing(channels, kernel):
    conv = MagaConv(channels, 64, kernel)

    unsuitable = conv.epsilon * conv.weight.abs().sum(dim=(1, 2, 3)).mean() / 2

    assert unsuitable.item() == pytest.approx(math.log(2), rel=1e-4)


def test_weight_over_a_missing_pixel_learns_by_its_absolute_value_alone():
    """At a missing pixel depth is 0: Eq. 1 gives its weight no gradient, Eq. 3 does."""
    features, missing = torch.full((1, 1, 3, 3), 2.0), torch.zeros(1, 1, 3, 3)
    features[..., 0, 0], missing[..., 0, 0] = 0, 1
    conv = MagaConv(1, 1, 3)
    with torch.no_grad():
        conv.weight.fill_(0.25)
        conv.weight[..., 0, 0] = -0.5
        conv.raw_epsilon.fill_(0)

    conv(features, missing)[..., 1, 1].sum().backward()

    # gate = 2 e^(-eps |w|) - 1, response = 8 * 0.25 * 2; eps = 0.5, d eps / d raw = 0.25.
    response, slope = 4.0, -2 * math.exp(-0.25)
    assert conv.weight.grad[0, 0, 0, 0].item() == pytest.approx(-slope * 0.5 * response, rel=1e-5)
    assert conv.raw_epsilon.grad.item() == pytest.approx(slope * 0.5 * 0.25 * response, rel=1e-5)


def test_gradients_are_those_of_finite_differences():
    features, missing = random_case(channels=2, height=5, width=5, missing=0.2)
    conv = MagaConv(2, 2, 3).double()

    def run(weight, raw_epsilon):
        parameters = {'weight': weight, 'raw_epsilon': raw_epsilon}
        return torch.func.functional_call(conv, parameters, (features.double(), missing.double()))

    assert torch.autograd.gradcheck(run, (conv.weight, conv.raw_epsilon))


def test_mask_is_1_where_depth_is_not_positive():
    depth = torch.tensor([[[[0.0, 1.2], [-1.0, 1e-3]]]])

    missing = missing_mask(depth)

    assert missing.tolist() == [[[[1, 0], [1, 0]]]]


def naive_min_pool(missing, stride):
    """Eq. 6; what is outside counts as missing."""
    _, _, height, width = missing.shape
    pooled = torch.zeros(len(missing), 1, len(range(0, height, stride)), -(-width // stride))
    for b in range(len(missing)):
        for i, row in enumerate(range(0, height, stride)):
            for j, column in enumerate(range(0, width, stride)):
                window = missing[b, 0, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
                pooled[b, 0, i, j] = window.min()
    return pooled


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('share', [0.5, 0.9, 1.0])
def test_mask_is_updated_by_min_pooling(stride, share):
    _, missing = random_case(height=10, width=12, missing=share)

    assert torch.equal(min_pool(missing, stride), naive_min_pool(missing, stride))


def test_every_layer_of_a_block_sees_a_mask_of_its_input_s_size():
    seen = []

    def conv(inputs, outputs, kernel, stride):
        module = MagaConv(inputs, outputs, kernel, stride)
        module.register_forward_pre_hook(lambda _, given: seen.append(given))
        return module

    features, missing = random_case(channels=1, height=16, width=24, missing=0.95)
    block = MaskedBlock(1, 6, (3, 5, 7), conv)

    out, mask = block(features, missing)

    assert out.shape == (2, 6, 8, 12)
    assert len(seen) == 9
    assert all(f.shape[2:] == m.shape[2:] for f, m in seen)
    masks = [m for _, m in seen[::3]]
    halved = naive_min_pool(naive_min_pool(missing, 1), 2)
    twice = naive_min_pool(halved, 1)
    for got, expected in zip([*masks, mask], [missing, halved, twice, naive_min_pool(twice, 1)]):
        assert torch.equal(got, expected)
    assert (missing.mean(), mask.mean()) > (0.9, 0) and mask.mean() < halved.mean()
