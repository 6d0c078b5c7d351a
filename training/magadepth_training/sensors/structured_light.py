# SPDX-License-Identifier: Apache-2.0
"""Structured light: a projector's dots, seen from beside it, lost in shadow, gloss and sun."""

from __future__ import annotations

import torch

from magadepth_training.scenes.batch import SceneBatch
from magadepth_training.scenes.draws import Draws
from magadepth_training.sensors import common
from magadepth_training.sensors.config import StructuredLightConfig


def structured_light(
    scene: SceneBatch, draws: Draws, config: StructuredLightConfig
) -> torch.Tensor:
    """
    Measure a scene with structured light.

    Depth is found by triangulating dots: errors are constant in disparity, so they grow with Z^2,
    and disparity comes in steps. A dot is lost where the projector cannot see (shadow), where it
    returns too little (black, grazing, far), where a glossy surface sends it elsewhere or back as
    glare, and where sunlight outshines it. Returns (B, 1, H, W) metres, 0 = missing.
    """
    height, width = scene.depth.shape[-2:]
    per_640 = width / 640.0
    seen_at = common.observe(scene, draws, 0.4)
    depth, cosine, gloss = seen_at.depth, seen_at.cosine, seen_at.gloss

    # Where an edge is measured wanders by the size of a dot; blobs of the correlation window.
    wander = draws.uniform(*config.lateral, 1, 1, 1) * width / 320.0
    dx, dy = (common.field(draws, height, width, 3.0, 2) * wander).split(1, 1)
    depth = common.displace(depth, dx, dy)

    reach = common.focal_length(scene) * draws.uniform(*config.baseline, 1, 1, 1)
    side = draws.sign(config.right_share)
    disparity = reach / depth
    hidden = common.shadow(disparity, side)
    # The correlation window needs most of its dots: the shadow eats into its surroundings.
    hidden = common.window_mean(hidden.float(), 3) > draws.uniform(0.2, 0.6, 1, 1, 1)

    diffuse = seen_at.albedo * (1.0 - 0.75 * gloss)
    signal = diffuse * cosine / depth.square()
    signal = signal / (1.0 + config.sun * scene.sunlight)
    threshold = draws.log_uniform(*config.signal, 1, 1, 1)
    ragged = config.blur * common.blobs(draws, height, width, 1.6)
    glare = common.glare(gloss, cosine, ragged)
    seen = torch.log(signal / threshold + 1e-9) + ragged > 0.0
    grazing = cosine < draws.uniform(0.06, 0.2, 1, 1, 1) * (1.0 + 0.3 * ragged)
    valid = seen & ~grazing & ~glare & ~hidden
    lost_glass = seen_at.stopped & (ragged > -0.5)
    mixed = common.edges(depth, 0.05) & (draws.rand(height, width)[:, None] < 0.12)
    valid = valid & ~lost_glass & ~mixed
    valid = common.despeckle(common.close_small(valid), 7, 0.4)
    valid &= common.border(draws, depth, config.border, 0.85)
    valid &= depth > draws.uniform(*config.min_depth, 1, 1, 1)
    valid &= depth < draws.log_uniform(*config.max_depth, 1, 1, 1)

    sigma = draws.uniform(*config.disparity_noise, 1, 1, 1) * per_640
    noise = 0.8 * common.field(draws, height, width, 3.0) + 0.5 * draws.randn(1, height, width)
    step = draws.uniform(*config.disparity_step, 1, 1, 1) * per_640
    measured = disparity + noise * sigma
    measured = torch.round(measured / step) * step
    measured = reach / measured.clamp(min=1e-3)
    return torch.where(valid, measured, 0.0)
