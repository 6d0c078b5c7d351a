# SPDX-License-Identifier: Apache-2.0
"""Diffusion between neighbours: a naive loop, planes, edges of colour and their coarser form."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.networks.surfaces.diffusion import (
    Links,
    coarser_links,
    colour_links,
    neighbours,
    settle,
    shares,
    slope_source,
)


def random_links(height, width, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return Links(
        torch.rand(1, 1, height, width - 1, generator=generator),
        torch.rand(1, 1, height - 1, width, generator=generator),
    )


def open_links(height, width):
    return Links(torch.ones(1, 1, height, width - 1), torch.ones(1, 1, height - 1, width))


def plane(height, width, across=0.02, along=0.01):
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    return (1 + across * u + along * v)[None, None]


def slope_of(plane_depth, across=0.02, along=0.01):
    return torch.cat([torch.full_like(plane_depth, s) for s in (across, along)], dim=1)


def around(y, x, height, width):
    """Neighbours of a pixel inside the image: index among the four shares, row, column."""
    each = enumerate(((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)))
    return [(i, a, b) for i, (a, b) in each if 0 <= a < height and 0 <= b < width]


def test_one_step_is_the_weighted_mean_of_the_neighbours():
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(1, 1, 5, 6, generator=generator)
    valid = (torch.rand(x.shape, generator=generator) < 0.5).float()
    links = random_links(5, 6)
    right, down = links.right[0, 0] + 1e-4, links.down[0, 0] + 1e-4

    got = settle(x, shares(links), valid, steps=1, radius=0.0)

    for i in range(5):
        for j in range(6):
            expected = x[0, 0, i, j]
            if not valid[0, 0, i, j]:
                near = around(i, j, 5, 6)
                open_to = [
                    (down[min(i, a), j] if a != i else right[i, min(j, b)]) for _, a, b in near
                ]
                values = [x[0, 0, a, b] for _, a, b in near]
                total = sum(w * v for w, v in zip(open_to, values))
                expected = total / sum(open_to)
            torch.testing.assert_close(got[0, 0, i, j], expected)


def test_neighbours_are_above_below_left_and_right_and_0_beyond():
    x = torch.arange(9.0).reshape(1, 1, 3, 3)

    assert [float(n[0, 0, 1, 1]) for n in neighbours(x)] == [1, 7, 3, 5]
    assert [float(n[0, 0, 0, 0]) for n in neighbours(x)] == [0, 3, 0, 1]


def test_shares_add_up_to_one_and_count_nothing_beyond_the_border():
    each = shares(random_links(4, 5))

    torch.testing.assert_close(sum(each), torch.ones(1, 1, 4, 5))
    above, below, left, right = each
    assert not above[..., 0, :].any() and not below[..., -1, :].any()
    assert not left[..., 0].any() and not right[..., -1].any()


def test_many_steps_reach_the_balance_of_all_neighbours():
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(1, 1, 12, 14, generator=generator)
    valid = (torch.rand(x.shape, generator=generator) < 0.2).float()
    links = random_links(12, 14)

    settled = settle(x * valid, shares(links), valid, steps=200, radius=0.97)

    again = settle(settled, shares(links), valid, steps=1, radius=0.0)
    torch.testing.assert_close(again, settled, atol=1e-4, rtol=0)
    torch.testing.assert_close(settled[valid > 0], x[valid > 0])


def test_steps_are_those_of_golub_and_varga():
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(1, 2, 5, 6, generator=generator)
    source = torch.rand(x.shape, generator=generator)
    valid = (torch.rand(1, 1, 5, 6, generator=generator) < 0.3).float()
    links = random_links(5, 6)

    got = settle(x, shares(links), valid, 7, 0.9, source)

    # One step as a matrix, of the answers to each pixel alone.
    units = torch.eye(30).reshape(30, 1, 5, 6)
    matrix = settle(units, shares(links), torch.zeros(1, 1, 5, 6), 1, 0.0).reshape(30, 30).T
    missing = 1 - valid.reshape(30, 1)
    wanted, known = (part.reshape(2, 30).T for part in (x, x * valid + source * (1 - valid)))
    before, omega = wanted, 2.0
    wanted = missing * (matrix @ wanted) + known
    for _ in range(6):
        omega = 1 / (1 - 0.9**2 * omega / 4)
        step = missing * (matrix @ wanted) + known
        before, wanted = wanted, before + omega * (step - before)
    torch.testing.assert_close(got.reshape(2, 30).T, wanted)


def test_chebyshev_steps_reach_farther_than_as_many_plain_ones():
    valid = torch.zeros(1, 1, 4, 40)
    valid[..., 0] = valid[..., -1] = 1
    truth = plane(4, 40, along=0)
    far = settle(truth * valid, shares(open_links(4, 40)), valid, steps=120, radius=0.9968)
    near = settle(truth * valid, shares(open_links(4, 40)), valid, steps=120, radius=0.0)

    assert (far - truth).abs().max() < 0.1 * (near - truth).abs().max()


def test_a_plane_is_closed_exactly():
    valid = torch.ones(1, 1, 12, 14)
    valid[..., 3:9, 4:10] = 0
    depth = plane(12, 14)

    got = settle(depth * valid, shares(open_links(12, 14)), valid, steps=100, radius=0.9)

    torch.testing.assert_close(got, depth, atol=1e-4, rtol=0)


def test_a_source_of_1_counts_the_steps_of_a_random_walk_to_a_measurement():
    valid = torch.zeros(1, 1, 2, 9)
    valid[..., 0] = valid[..., -1] = 1

    steps = settle(
        torch.zeros_like(valid), shares(open_links(2, 9)), valid, 300, 0.97, torch.ones_like(valid)
    )

    # In one dimension i (n - i); a third of the steps here go up or down.
    expected = torch.tensor([1.5 * i * (8 - i) for i in range(9)])
    torch.testing.assert_close(steps[0, 0], expected.expand(2, 9), atol=0.05, rtol=1e-3)


@pytest.mark.parametrize('side', ['left', 'right', 'top', 'bottom'])
def test_with_its_slope_a_plane_goes_on_beyond_the_last_measurement(side):
    valid = torch.zeros(1, 1, 12, 14)
    seen = {'left': (..., slice(6)), 'right': (..., slice(8, None))}
    rows = {'top': (..., slice(6), slice(None)), 'bottom': (..., slice(7, None), slice(None))}
    valid[{**seen, **rows}[side]] = 1
    depth = plane(12, 14)

    around = shares(open_links(12, 14))
    got = settle(depth * valid, around, valid, 400, 0.99, slope_source(around, slope_of(depth)))

    torch.testing.assert_close(got, depth, atol=1e-3, rtol=0)


def test_neighbours_of_one_colour_are_open_and_others_shut():
    rgb = torch.zeros(1, 3, 4, 6)
    rgb[..., 3:] = 0.8

    right, down = colour_links(rgb)

    assert (right[..., 2] < 1e-6).all()
    assert (right[..., [0, 1, 3, 4]] > 0.9).all()
    assert (down > 0.9).all()


def test_coarser_links_are_those_of_resistors():
    links = random_links(4, 6)
    right, down = (1 / (link[0, 0] + 1e-6) for link in links)

    got = coarser_links(links, torch.zeros(1, 3, 2, 3))

    def path(outer, inner, other):
        return 1 / (inner + (outer + other) / 2)

    upper = (
        path(right[0, 0], right[0, 1], right[0, 2]),
        path(right[1, 0], right[1, 1], right[1, 2]),
    )
    left = path(down[0, 0], down[1, 0], down[2, 0]), path(down[0, 1], down[1, 1], down[2, 1])
    assert got.right.shape == (1, 1, 2, 2) and got.down.shape == (1, 1, 1, 3)
    torch.testing.assert_close(got.right[0, 0, 0, 0], sum(upper).clamp(max=1), atol=0.02, rtol=0)
    torch.testing.assert_close(got.down[0, 0, 0, 0], sum(left).clamp(max=1), atol=0.02, rtol=0)


@pytest.mark.parametrize('column', [7, 8])
def test_a_thin_edge_of_colour_stays_shut_at_every_size(column):
    """A line of one pixel, in the middle of a cell or at its border, averages away in colour."""
    rgb = torch.full((1, 3, 16, 16), 0.5)
    rgb[..., column] = 0.62
    links = colour_links(rgb)
    for _ in range(3):
        rgb = torch.nn.functional.avg_pool2d(rgb, 2)
        links = coarser_links(links, rgb)

    assert links.right.min() < 0.1
    assert colour_links(rgb).right.min() > 0.3
