# SPDX-License-Identifier: Apache-2.0
"""The candidates: what they keep, what each finds, and the planes they continue."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from support.networks import frames

from magadepth_training.networks.surfaces.candidates import (
    DIRECTIONS,
    FOCAL_LENGTH,
    NAMES,
    find_candidates,
    first_measured,
)


def of(candidates, name):
    return (candidates.depths * candidates.scale)[0, NAMES.index(name)]


def naive(valid, direction):
    """Return the number of the first measured pixel, row by row; -1 where there is none."""
    step = {'left': (0, -1), 'right': (0, 1), 'above': (-1, 0), 'below': (1, 0)}[direction]
    found = np.full(valid.shape, -1)
    for row, column in np.ndindex(valid.shape):
        y, x = row, column
        while 0 <= y < valid.shape[0] and 0 <= x < valid.shape[1]:
            if valid[y, x]:
                found[row, column] = y * valid.shape[1] + x
                break
            y, x = y + step[0], x + step[1]
    return found


@pytest.mark.parametrize('share', [0.0, 0.03, 0.5, 1.0])
def test_the_first_measured_pixel_is_that_of_a_naive_search(share):
    valid = (np.random.default_rng(1).random((24, 32)) < share).astype(np.float32)

    for direction, first in zip(DIRECTIONS, first_measured(torch.from_numpy(valid)[None, None])):
        wanted = naive(valid, direction)
        found = first.found[0, 0].numpy() > 0
        np.testing.assert_array_equal(found, wanted >= 0)
        np.testing.assert_array_equal(first.place[0, 0].numpy()[found], wanted[found])
        there = np.unravel_index(wanted.clip(min=0), valid.shape)
        away = np.abs(np.indices(valid.shape) - there).sum(axis=0)
        np.testing.assert_array_equal(first.distance[0, 0].numpy()[found], away[found])


def test_each_frame_of_a_batch_takes_its_own_measured_pixels():
    valid = (torch.rand(2, 1, 12, 20, generator=torch.Generator().manual_seed(3)) < 0.2).float()
    x = torch.arange(2 * 3 * 12 * 20, dtype=torch.float32).reshape(2, 3, 12, 20)

    for first, alone, other in zip(*(first_measured(v) for v in (valid, valid[:1], valid[1:]))):
        wanted = torch.cat([alone.take(x[:1]), other.take(x[1:])])
        torch.testing.assert_close(first.take(x), wanted, rtol=0, atol=0)


def test_every_candidate_is_complete_and_keeps_what_was_measured():
    rgb, depth = frames()

    candidates = find_candidates(rgb, depth)

    metres = candidates.depths * candidates.scale
    assert metres.shape == (2, len(NAMES), 32, 48)
    assert torch.isfinite(metres).all() and (metres > 0).all()
    measured = (depth > 0).expand_as(metres)
    torch.testing.assert_close(metres[measured], depth.expand_as(metres)[measured])


@pytest.mark.parametrize('direction', DIRECTIONS)
def test_a_direction_takes_the_surface_on_its_side(direction):
    rgb, depth = torch.full((1, 3, 48, 64), 0.5), torch.zeros(1, 1, 48, 64)
    sides = {
        'left': np.s_[..., :16],
        'right': np.s_[..., 48:],
        'above': np.s_[..., :12, :],
        'below': np.s_[..., 36:, :],
    }
    for n, part in enumerate(sides.values()):
        depth[part] = 1.0 + n
    wanted = 1.0 + list(sides).index(direction)

    candidates = find_candidates(rgb, depth)

    assert of(candidates, direction)[24, 32].item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize('direction', DIRECTIONS)
def test_a_plane_goes_on_at_its_slope(direction):
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing='ij')
    plane = 1 / (0.4 + 0.002 * x + 0.003 * y)
    depth = plane.clone()
    depth[40:56, 56:72] = 0

    candidates = find_candidates(torch.full((1, 3, 96, 128), 0.5), depth[None, None])

    there = of(candidates, f'{direction}, at its slope')[40:56, 56:72]
    torch.testing.assert_close(there, plane[40:56, 56:72], atol=0, rtol=2e-3)


def test_an_upright_surface_stands_on_the_floor_below():
    """A board that faces a camera which looks down at a floor from 1.2 m, by 30 degrees."""
    height, width = 96, 128
    focal = FOCAL_LENGTH * width
    v, u = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing='ij')
    ray = torch.stack(
        [(u - 0.5 * (width - 1)) / focal, (v - 0.5 * (height - 1)) / focal, torch.ones_like(u)]
    )
    down = torch.tensor([0.0, np.cos(np.pi / 6), np.sin(np.pi / 6)], dtype=torch.float32)
    floor = 1.2 / torch.einsum('c,chw->hw', down, ray)
    foot = ray[:, 70, 64] * floor[70, 64]
    forward = foot - (foot @ down) * down
    board = (forward @ foot) / torch.einsum('c,chw->hw', forward, ray)
    depth = floor.clone()
    hole = np.s_[40:71, 63:66]
    depth[hole] = 0

    candidates = find_candidates(torch.full((1, 3, height, width), 0.5), depth[None, None])

    upright = of(candidates, 'upright on the surface below')
    torch.testing.assert_close(upright[40:70, 64], board[40:70, 64], atol=0, rtol=0.03)
    # The floor itself goes on far behind it.
    assert (floor[40, 64] - upright[40, 64]) > 1.0


def test_without_any_measurement_all_candidates_are_one_metre():
    rgb, depth = frames()

    candidates = find_candidates(rgb, torch.zeros_like(depth))

    assert (candidates.depths * candidates.scale == 1).all()
