# SPDX-License-Identifier: Apache-2.0
"""Active stereo: two cameras match texture; without a match depth grows, smears or is lost."""

from __future__ import annotations

import torch

from magadepth_training.scenes.batch import SceneBatch
from magadepth_training.scenes.draws import Draws
from magadepth_training.sensors import common
from magadepth_training.sensors.config import ActiveStereoConfig


def active_stereo(scene: SceneBatch, draws: Draws, config: ActiveStereoConfig) -> torch.Tensor:
    """
    Measure a scene with active stereo.

    The left picture is the reference. Pixels that the right camera cannot see are missing: on one
    side of near objects, and in a band at the picture's border. Matching windows make near objects
    grow. A surface without texture, natural or projected, is lost. Noise is smooth and constant in
    disparity. Returns (B, 1, H, W) metres, 0 = missing.
    """
    height, width = scene.depth.shape[-2:]
    per_640 = width / 640.0
    seen_at = common.observe(scene, draws, 0.55)
    depth, cosine, gloss = seen_at.depth, seen_at.cosine, seen_at.gloss

    reach = common.focal_length(scene) * draws.log_uniform(*config.baseline, 1, 1, 1)
    side = draws.sign(config.right_share)
    disparity = reach / depth
    hidden = common.shadow(disparity, side)
    column = torch.arange(width, device=depth.device, dtype=depth.dtype)
    covered = torch.where(side > 0, column >= disparity, column < width - disparity)

    # Growth: the largest disparity in a disc, by an amount that wanders over the picture.
    grow = draws.uniform(*config.fattening, 1, 1, 1) * width / 320.0
    grow = grow + 0.6 * common.field(draws, height, width, 8.0)
    fat = torch.where(grow > 0.5, common.window_max(disparity, 3), disparity)
    fat = torch.where(grow > 1.5, common.window_max(disparity, 5), fat)
    fat = torch.where(grow > 2.5, common.window_max(disparity, 7), fat)

    pattern = draws.uniform(*config.projector, 1, 1, 1) * seen_at.albedo * cosine
    pattern = pattern * (1.0 - 0.7 * gloss)
    pattern = pattern / (depth.square() * (1.0 + 6.0 * scene.sunlight))
    contrast = scene.texture + pattern
    threshold = draws.log_uniform(*config.texture, 1, 1, 1)
    ragged = config.blur * common.blobs(draws, height, width, 1.4)
    seen = torch.log((contrast + 1e-4) / threshold) + ragged > 0.0
    glare = common.glare(gloss, cosine, ragged)
    burnt = scene.luminance > 0.985
    grazing = cosine < draws.uniform(0.04, 0.15, 1, 1, 1)
    valid = seen & covered & ~hidden & ~glare & ~grazing & ~(burnt & (ragged > 0.0))
    valid &= ~(seen_at.stopped & (ragged > -0.3))
    valid = common.despeckle(common.close_small(valid), 5, 0.4)
    valid &= (depth > config.min_depth) & (depth < config.max_depth)

    sigma = draws.log_uniform(*config.disparity_noise, 1, 1, 1) * per_640
    smooth = 0.75 * common.field(draws, height, width, 9.0) + 0.5 * common.field(
        draws, height, width, 4.0
    )
    noise = smooth + 0.25 * draws.randn(1, height, width)
    measured = fat + noise * sigma
    step = per_640 / 32.0
    measured = torch.round(measured / step) * step
    # Wrong matches come in patches, where matching is weak.
    patch = common.field(draws, height, width, 7.0) + 0.5 * (contrast < 2.0 * threshold)
    wrong = patch > 2.6 + draws.rand(1, 1, 1) * (0.01 / max(config.outliers, 1e-6))
    shift = common.field(draws, height, width, 25.0) * 0.25
    measured = torch.where(wrong, measured * (1.0 + shift).clamp(0.5, 2.0), measured)
    measured = reach / measured.clamp(min=1e-3)
    valid &= (measured > config.min_depth) & (measured < config.max_depth)
    return torch.where(valid, measured, 0.0)
