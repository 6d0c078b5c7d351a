# SPDX-License-Identifier: Apache-2.0
"""Engine inputs with holes, small enough for any test."""

from __future__ import annotations

import numpy as np


def holey_batch(
    count: int = 1, height: int = 48, width: int = 64, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return rgb (N, 3, H, W) in 0..1 and depth (N, 1, H, W) [m], 0 = missing, as float32."""
    rng = np.random.default_rng(seed)
    rgb = rng.random((count, 3, height, width), dtype=np.float32)
    depth = rng.uniform(0.8, 3.0, (count, 1, height, width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.4] = 0
    depth[..., height // 4 : height // 2, width // 4 : width // 2] = 0
    return rgb, depth
