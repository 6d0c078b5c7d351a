# SPDX-License-Identifier: Apache-2.0
"""Parts of several sensor models: random fields, shadows along the baseline, edges, borders."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from magadepth_training.scenes.batch import SceneBatch
from magadepth_training.scenes.draws import Draws
from magadepth_training.scenes.photo import window_mean


def field(draws: Draws, height: int, width: int, size: float, channels: int = 1) -> torch.Tensor:
    """Smooth Gaussian noise (B, channels, H, W), about unit variance, blobs of ``size`` pixels."""
    rows, cols = max(2, round(height / size) + 1), max(2, round(width / size) + 1)
    coarse = draws.randn(channels, rows, cols)
    # Bilinear interpolation keeps 4/9 of the variance on average.
    return 1.5 * functional.interpolate(
        coarse, size=(height, width), mode='bilinear', align_corners=True
    )


def blobs(draws: Draws, height: int, width: int, scale: float = 1.0) -> torch.Tensor:
    """Noise at three scales, so that its thresholds have ragged outlines of all sizes."""
    return (
        0.6 * field(draws, height, width, 14.0 * scale)
        + 0.6 * field(draws, height, width, 5.0 * scale)
        + 0.5 * field(draws, height, width, 2.0 * scale)
    )


def focal_length(scene: SceneBatch) -> torch.Tensor:
    """Return fx of each scene [px], shape (B, 1, 1, 1)."""
    return scene.intrinsics[:, :1, None, None]


def window_max(image: torch.Tensor, size: int) -> torch.Tensor:
    """Maximum of (B, C, H, W) over size x size pixels (odd)."""
    return functional.max_pool2d(image, size, 1, size // 2)


def shadow(disparity: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """
    Find the pixels that a second eye (or a projector) beside the camera cannot see.

    Walking along a row towards the second eye, a point is hidden where a nearer one that comes
    later lands before it in the second eye's picture: the order of the two is swapped. One running
    minimum per row finds all hidden points among the surfaces that the camera sees.

    Parameters
    ----------
    disparity:
        (B, 1, H, W) pixels, f * baseline / Z.
    side:
        (B, 1, 1, 1): 1 where the second eye is to the camera's right (shadows fall to the left of
        near things), -1 where it is to the left.

    Returns
    -------
    torch.Tensor
        bool (B, 1, H, W).

    """
    mirrored = side < 0
    d = torch.where(mirrored, disparity.flip(-1), disparity)
    column = torch.arange(d.shape[-1], device=d.device, dtype=d.dtype)
    landing = (column - d).flip(-1)
    later = torch.cummin(landing, -1).values
    hidden = (later < landing - 0.5).flip(-1)
    return torch.where(mirrored, hidden.flip(-1), hidden)


def facing(normal: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    """Cosine between the normals and the lines of sight, (B, 1, H, W)."""
    height, width = normal.shape[-2:]
    fx, fy, cx, cy = (intrinsics[:, i, None, None, None] for i in range(4))
    u = torch.arange(width, device=normal.device, dtype=normal.dtype)
    v = torch.arange(height, device=normal.device, dtype=normal.dtype)[:, None]
    x, y = (u - cx) / fx, (v - cy) / fy
    dot = -(normal[:, :1] * x + normal[:, 1:2] * y + normal[:, 2:])
    return (dot / torch.sqrt(x * x + y * y + 1.0)).clamp(0.0, 1.0)


def glare(gloss: torch.Tensor, cosine: torch.Tensor, ragged: torch.Tensor) -> torch.Tensor:
    """
    Return where a glossy surface throws the sensor's light straight back; bool (B, 1, H, W).

    At most some five degrees about the perpendicular, with a ragged outline.
    """
    return (gloss > 0.3) & (cosine > 1.0 - 0.004 * gloss * (1.0 + ragged))


def displace(image: torch.Tensor, dx: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """Take each pixel from (x + dx, y + dy), the nearest one; maps (B, 1, H, W) [px]."""
    height, width = image.shape[-2:]
    u = torch.arange(width, device=image.device)
    v = torch.arange(height, device=image.device)[:, None]
    x = (u + dx.round().long()).clamp_(0, width - 1)
    y = (v + dy.round().long()).clamp_(0, height - 1)
    return image.flatten(2).gather(2, (y * width + x).flatten(2)).view_as(image)


def edges(depth: torch.Tensor, relative: float) -> torch.Tensor:
    """Bool (B, 1, H, W): depth jumps by more than ``relative`` of it within 3 x 3 pixels."""
    return window_max(depth, 3) + window_max(-depth, 3) > relative * depth


def close_small(valid: torch.Tensor) -> torch.Tensor:
    """Count lone missing pixels of bool (B, 1, H, W) as measured: matching windows bridge them."""
    return valid | (window_mean(valid.float(), 3) > 0.6)


def despeckle(valid: torch.Tensor, size: int, share: float) -> torch.Tensor:
    """Drop valid pixels of bool (B, 1, H, W) with too few valid ones around, as cameras do."""
    return valid & (window_mean(valid.float(), size) > share)


def border(
    draws: Draws, depth: torch.Tensor, widest: tuple[float, float], probability: float
) -> torch.Tensor:
    """
    Bool (B, 1, H, W), true inside the part of the picture that registered depth covers.

    Registration to the colour camera leaves bands at the borders; they are wider for near points
    (parallax), which bends their outline with the scene. ``widest`` is the range of a sample's
    widest band as a share of the width.
    """
    height, width = depth.shape[-2:]
    u = torch.arange(width, device=depth.device, dtype=depth.dtype)
    v = torch.arange(height, device=depth.device, dtype=depth.dtype)[:, None]
    on = draws.chance(probability, 1, 1, 1)
    limit = draws.uniform(*widest, 1, 1, 1) * width
    near = (0.7 / depth.clamp(min=0.3)).clamp(max=1.5)
    inside = torch.ones_like(depth, dtype=torch.bool)
    for distance in (u, width - 1 - u, v, height - 1 - v):
        reach = draws.rand(1, 1, 1) * limit
        parallax = draws.rand(1, 1, 1) ** 2 * 0.5 * limit
        inside &= distance >= reach + parallax * near
    return inside | ~on


@dataclass
class Observed:
    """The surfaces that a sensor's light meets, after seeing through some glass and mirrors."""

    depth: torch.Tensor
    """(B, 1, H, W) metres."""
    cosine: torch.Tensor
    """(B, 1, H, W) between the surface and the line of sight."""
    albedo: torch.Tensor
    """(B, 1, H, W) infrared reflectance."""
    gloss: torch.Tensor
    """(B, 1, H, W)."""
    stopped: torch.Tensor
    """Bool (B, 1, H, W): glass or a mirror that was not seen through; hardly ever measured."""


def observe(scene: SceneBatch, draws: Draws, share: float) -> Observed:
    """
    Decide where glass and mirrors are seen through.

    ``share`` of their area (in blobs) is taken for what lies behind it, as cameras do.
    """
    special = torch.maximum(scene.transparency, scene.mirror) > 0.5
    limit = float(torch.special.ndtri(torch.tensor(share, dtype=torch.float64)))
    passes = special & (field(draws, scene.depth.shape[-2], scene.depth.shape[-1], 30.0) < limit)
    cosine = facing(scene.normal, scene.intrinsics)
    mirrored = passes & (scene.mirror > 0.5)  # what the mirror shows has its own surface
    return Observed(
        torch.where(passes, scene.behind, scene.depth),
        torch.where(passes, cosine.clamp(min=0.6), cosine),
        torch.where(mirrored, 0.4, scene.albedo_ir),
        torch.where(mirrored, 0.1, scene.shininess),
        special & ~passes,
    )
