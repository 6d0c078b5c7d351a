# SPDX-License-Identifier: Apache-2.0
"""What is learned of the fill: nothing at first, then by the depth alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from support.networks import frames, shaken, tiny

from magadepth_training.networks.learned_links import LIMIT, LearnedLinks
from magadepth_training.networks.registry import create_network
from magadepth_training.networks.residual import relative_to_fill


def test_untrained_links_change_nothing():
    rgb, depth = frames()

    plain, learned = (relative_to_fill(rgb, depth, links) for links in (None, LearnedLinks()))

    for one, other in zip(plain, learned):
        torch.testing.assert_close(one, other)


def test_trained_links_change_the_holes_alone():
    rgb, depth = frames()

    plain = relative_to_fill(rgb, depth).fill
    learned = relative_to_fill(rgb, depth, shaken(LearnedLinks(), spread=1.0)).fill

    measured = depth > 0
    torch.testing.assert_close(learned[measured], depth[measured])
    assert (learned - plain)[~measured].abs().mean() > 1e-3


def test_a_link_changes_by_no_more_than_its_limit():
    links = shaken(LearnedLinks(), spread=50.0)
    rgb, depth = frames()
    seen = []
    links.register_forward_hook(lambda _, given, changed: seen.append((given[0], changed)))

    relative_to_fill(rgb, depth, links)

    given, changed = seen[0]
    for one, other in zip(given, changed):
        for before, after in zip(one, other):
            assert (after / before).log().abs().max() <= LIMIT + 1e-4


def test_links_learn_from_the_depth_and_not_from_the_doubt():
    rgb, depth = frames()
    net = create_network(tiny(residual=True, learned_links=True, log_variance=True)).train()
    output = net(rgb, depth)

    output.log_variance.sum().backward(retain_graph=True)
    doubted = [p.grad for p in net.links.parameters()]
    output.depth.sum().backward()

    assert all(grad is None or not grad.any() for grad in doubted)
    assert net.links.factors[0].weight.grad.any()


def test_neither_colours_nor_the_scale_of_the_scene_matter_to_them():
    rgb, depth = frames()
    links = shaken(LearnedLinks(), spread=0.5)

    one = relative_to_fill(rgb, depth, links).relative
    scaled = relative_to_fill(rgb, 3 * depth, links).relative
    recoloured = relative_to_fill(rgb.flip(1), depth, links).relative

    torch.testing.assert_close(one, scaled, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one, recoloured, atol=1e-4, rtol=1e-4)
