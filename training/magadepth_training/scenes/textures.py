# SPDX-License-Identifier: Apache-2.0
"""An atlas of procedural textures with mip levels, and its look-up at surface coordinates."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch.nn import functional

SIZE = 256
"""Side of a texture tile [texels]; every tile repeats seamlessly."""
LEVELS = 9
_RGB = 3


def _noise(gen: torch.Generator, rows: int, cols: int, channels: int = 1) -> torch.Tensor:
    """Smooth periodic noise (channels, SIZE, SIZE) in 0..1 with rows x cols knots."""
    grid = torch.rand((1, channels, rows, cols), generator=gen)
    grid = functional.pad(grid, (2, 2, 2, 2), mode='circular')
    step_y, step_x = SIZE // rows, SIZE // cols
    big = functional.interpolate(
        grid, scale_factor=(float(step_y), float(step_x)), mode='bicubic', align_corners=False
    )
    return big[0, :, 2 * step_y : 2 * step_y + SIZE, 2 * step_x : 2 * step_x + SIZE].clamp(0, 1)


def _fractal(gen: torch.Generator, start: int, octaves: int, channels: int = 1) -> torch.Tensor:
    image = torch.full((channels, SIZE, SIZE), 0.5)
    for i in range(octaves):
        image += (_noise(gen, start << i, start << i, channels) - 0.5) * 0.6**i
    return image.clamp(0, 1)


def _axes() -> tuple[torch.Tensor, torch.Tensor]:
    ramp = (torch.arange(SIZE) + 0.5) / SIZE
    return ramp[:, None].expand(SIZE, SIZE), ramp[None, :].expand(SIZE, SIZE)


def _checker(n: int) -> torch.Tensor:
    y, x = _axes()
    return (((x * n).floor() + (y * n).floor()) % 2)[None]


def _stripes(n: int, duty: float) -> torch.Tensor:
    _, x = _axes()
    return ((x * n % 1.0) < duty).float()[None]


def _tiles(gen: torch.Generator, rows: int, cols: int, gap: float, shift: float) -> torch.Tensor:
    """Bricks, floor tiles or keys: cells of random brightness between dark joints."""
    y, x = _axes()
    row = (y * rows).floor()
    xs = (x * cols + shift * (row % 2)) % cols
    shade = torch.rand((rows, cols), generator=gen)[row.long(), xs.floor().long()]
    joint = ((y * rows % 1.0) < gap * rows / cols) | ((xs % 1.0) < gap)
    return torch.where(joint, 0.0, 0.55 + 0.45 * shade)[None]


def _wood(gen: torch.Generator, rings: float) -> torch.Tensor:
    y, _ = _axes()
    warp = _noise(gen, 16, 2)[0] * 0.6 + _noise(gen, 64, 4)[0] * 0.15
    grain = 0.5 + 0.5 * torch.sin(2 * torch.pi * (round(rings) * y + warp * 2.0))
    return (0.65 * grain + 0.35 * _noise(gen, 128, 4)[0])[None]


def _text(gen: torch.Generator, lines: int, fill: float) -> torch.Tensor:
    """Lines of dashes of random length: print from too far away to read."""
    y, x = _axes()
    row = (y * lines).floor().long()
    letters = torch.rand((lines, lines * 3), generator=gen)
    words = torch.rand((lines, lines // 2 + 1), generator=gen)
    ink = letters[row, (x * lines * 3).long()] < 0.62
    word = words[row, (x * (lines // 2 + 1)).long()] < fill
    body = ((y * lines % 1.0) > 0.3) & ((y * lines % 1.0) < 0.85)
    return 1.0 - (ink & word & body).float()[None]


def _poster(gen: torch.Generator, shapes: int) -> torch.Tensor:
    """Coloured rectangles and discs over a gradient: labels, book covers, screens, pictures."""
    y, x = _axes()
    picture = _noise(gen, 2, 2, _RGB) * 0.6 + 0.2
    for i in range(shapes):
        cx, cy, w, h, kind = torch.rand(5, generator=gen).tolist()
        colour = torch.rand((_RGB, 1, 1), generator=gen)
        w, h = 0.03 + 0.3 * w * w, 0.03 + 0.3 * h * h
        dx, dy = ((x - cx + 0.5) % 1.0 - 0.5).abs(), ((y - cy + 0.5) % 1.0 - 0.5).abs()
        inside = (dx < w) & (dy < h) if kind < 0.6 else (dx / w) ** 2 + (dy / h) ** 2 < 1.0
        if i % 4 == 3:
            colour = 0.4 * colour + 0.6 * _text(gen, 24, 0.7)
        picture = torch.where(inside[None], colour, picture)
    return picture


def _dots(n: int, radius: float) -> torch.Tensor:
    y, x = _axes()
    return (((x * n % 1.0) - 0.5) ** 2 + ((y * n % 1.0) - 0.5) ** 2 > radius**2).float()[None]


def _tile_set(gen: torch.Generator) -> list[torch.Tensor]:
    flat = torch.full((1, SIZE, SIZE), 0.5)
    speck = (torch.rand((1, SIZE, SIZE), generator=gen) + _noise(gen, 128, 128)) / 2
    marble = 0.5 + 0.5 * torch.sin(2 * torch.pi * (3 * _axes()[0][None] + 2 * _fractal(gen, 4, 4)))
    return [
        flat,
        0.5 + 0.25 * (_fractal(gen, 4, 2) - 0.5),
        0.5 + 0.4 * (_fractal(gen, 32, 3) - 0.5),
        _wood(gen, 6),
        _wood(gen, 14),
        _wood(gen, 3),
        _tiles(gen, 4, 4, 0.03, 0.0),
        _tiles(gen, 8, 4, 0.04, 0.5),
        speck,
        _fractal(gen, 2, 6),
        marble,
        _checker(4),
        _checker(8),
        _stripes(6, 0.5),
        _stripes(24, 0.3),
        _dots(8, 0.3),
        _fractal(gen, 8, 5, _RGB),
        _tiles(gen, 2, 8, 0.02, 0.3),
        # From here on: things that carry print or pictures.
        _text(gen, 16, 0.75),
        _text(gen, 32, 0.8),
        _tiles(gen, 8, 16, 0.12, 0.4),
        _fractal(gen, 2, 6, _RGB),
        _stripes(40, 0.5) * 0.5 + _tiles(gen, 16, 64, 0.05, 0.3) * 0.5,
        *[_poster(gen, n) for n in (6, 10, 14, 18, 24, 30, 40, 60, 100)],
    ]


PLAIN = 18
"""Textures 0..PLAIN-1 suit walls, floors and furniture; the rest are print and pictures."""
TILES = 32


@lru_cache(maxsize=4)
def atlas(device: torch.device) -> torch.Tensor:
    """
    Return all tiles at all mip levels as one picture (1, 3, TILES * (SIZE + 2), W), 0..1.

    Level l is a vertical strip of tiles of side SIZE >> l, each with a margin of one texel that
    repeats the opposite side, so that bilinear look-up wraps.
    """
    gen = torch.Generator().manual_seed(0)
    tiles = torch.stack([t.expand(_RGB, SIZE, SIZE) for t in _tile_set(gen)])
    strips = []
    for level in range(LEVELS):
        side = (SIZE >> level) + 2
        strip = functional.pad(tiles, (1, 1, 1, 1), mode='circular')
        strip = strip.permute(1, 0, 2, 3).reshape(_RGB, TILES * side, side)
        strips.append(functional.pad(strip, (0, 0, 0, TILES * (SIZE + 2 - side))))
        if level + 1 < LEVELS:
            tiles = functional.avg_pool2d(tiles, 2)
    return torch.cat(strips, 2)[None].to(device)


def look_up(
    picture: torch.Tensor,
    tile: torch.Tensor,
    u: torch.Tensor,
    v: torch.Tensor,
    texels: torch.Tensor,
) -> torch.Tensor:
    """
    Sample tiles, blending the two mip levels nearest to a footprint.

    ``tile`` is an integer-valued float map, ``u`` and ``v`` count tiles, ``texels`` is the width
    of a pixel on the surface in texels of level 0; all (B, H, W). Returns (B, 3, H, W).
    """
    rows, cols = picture.shape[-2:]
    level = torch.log2(texels.clamp(min=1e-3)).clamp(0.0, LEVELS - 1.001)
    low = level.floor()
    u, v = u - u.floor(), v - v.floor()
    shape = u.shape

    def sample(at: torch.Tensor) -> torch.Tensor:
        side = torch.exp2(8.0 - at)
        # Strips of side s + 2 before level l: (512 - 2 s) + 2 l texels.
        x = (2.0 * SIZE - 2.0 * side) + 2.0 * at + 0.5 + u * side
        y = tile * (side + 2.0) + 0.5 + v * side
        grid = torch.stack([x * (2.0 / (cols - 1)) - 1.0, y * (2.0 / (rows - 1)) - 1.0], -1)
        grid = grid.view(1, shape[0] * shape[1], shape[2], 2)
        out = functional.grid_sample(picture, grid, mode='bilinear', align_corners=True)
        return out.view(_RGB, *shape).transpose(0, 1)

    near, far = sample(low), sample(low + 1.0)
    return torch.lerp(near, far, (level - low)[:, None])
