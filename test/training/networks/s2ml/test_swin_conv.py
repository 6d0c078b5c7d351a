# SPDX-License-Identifier: Apache-2.0
"""Windows, their shift and their reach; the attention against a naive loop; the block."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip('torch')

from magadepth_training.networks.s2ml.swin_conv import (
    SwinBlock,
    SwinConvBlock,
    WindowAttention,
    WindowGrid,
)


@pytest.mark.parametrize('shifted', [False, True])
def test_join_undoes_split(shifted):
    grid = WindowGrid(8, 12, 4)
    x = torch.randn(2, 3, 8, 12)

    windows = grid.split(x, shifted)

    assert windows.shape == (2 * 6, 16, 3)
    assert torch.equal(grid.join(windows, shifted), x)


def test_shifted_windows_are_those_of_the_rolled_map():
    grid = WindowGrid(8, 12, 4)
    x = torch.randn(1, 3, 8, 12)

    rolled = torch.roll(x, (-2, -2), (2, 3))

    assert torch.equal(grid.split(x, shifted=True), grid.split(rolled, shifted=False))


def test_windows_that_do_not_tile_the_map_are_refused():
    with pytest.raises(ValueError, match='common divisor'):
        WindowGrid(8, 10, 4)


def test_reach_separates_exactly_what_the_shift_brought_together():
    height, width, window = 8, 12, 4
    grid = WindowGrid(height, width, window)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    cells = torch.stack([rows, columns]).float()[None]

    positions = grid.split(cells, shifted=True)

    # Within a window neighbours are less than a window apart; the carried ones are farther.
    distance = (positions[:, :, None] - positions[:, None, :]).abs().amax(dim=-1)
    assert torch.equal(grid.out_of_reach[:, 0] < -50, distance >= window)


def test_attention_equals_a_naive_loop():
    torch.manual_seed(0)
    grid = WindowGrid(6, 6, 3)
    attention = WindowAttention(8, 2, grid)
    x = torch.randn(grid.windows, 9, 8)

    got = attention(x, grid.out_of_reach)

    query, key, value = attention.query_key_value(x).chunk(3, dim=-1)
    mixed = torch.zeros_like(x)
    for window in range(grid.windows):
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            for i in range(9):
                scores = torch.empty(9)
                for j in range(9):
                    dy, dx = i // 3 - j // 3 + 2, i % 3 - j % 3 + 2
                    scores[j] = query[window, i, part] @ key[window, j, part] / math.sqrt(4)
                    scores[j] += attention.position_bias[head, 5 * dy + dx]
                    scores[j] += grid.out_of_reach[window, 0, i, j]
                mixed[window, i, part] = torch.softmax(scores, 0) @ value[window, :, part]
    torch.testing.assert_close(got, attention.project(mixed), atol=1e-5, rtol=0)


@pytest.mark.parametrize('shifted', [False, True])
def test_a_swin_block_reaches_its_window_and_no_farther(shifted):
    torch.manual_seed(0)
    grid = WindowGrid(8, 8, 4)
    block = SwinBlock(8, 2, grid, shifted, 2.0)
    x = torch.randn(1, 8, 8, 8, requires_grad=True)

    block(x)[0, :, 0, 0].sum().backward()

    touched = x.grad[0].abs().amax(dim=0) > 1e-7
    edge = 2 if shifted else 4
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:edge, :edge] = True
    assert torch.equal(touched, expected)


def test_block_keeps_the_shape_and_trains_both_halves():
    torch.manual_seed(0)
    grid = WindowGrid(8, 8, 4)
    block = SwinConvBlock(16, 4, grid, shifted=True)
    x = torch.randn(2, 16, 8, 8)

    y = block(x)
    y.square().mean().backward()

    assert y.shape == x.shape
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_grid_adds_nothing_to_a_checkpoint():
    block = SwinConvBlock(16, 4, WindowGrid(8, 8, 4), shifted=True)

    assert not [name for name in block.state_dict() if 'reach' in name or 'index' in name]
