# SPDX-License-Identifier: Apache-2.0
"""Classical hole filling by name: what a network has to beat."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from magadepth_ros.errors import DataError
from magadepth_training.evaluation.baselines.inpaint import navier_stokes, telea
from magadepth_training.evaluation.baselines.ip_basic import ip_basic
from magadepth_training.evaluation.baselines.joint_bilateral import joint_bilateral
from magadepth_training.evaluation.baselines.levin import levin
from magadepth_training.evaluation.baselines.nearest import nearest
from magadepth_training.evaluation.baselines.realsense import fill_holes

Baseline = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``f(rgb (H, W, 3) uint8, depth (H, W) float32 metres, 0 = missing) -> (H, W) float32 metres``,
0 where it leaves a pixel unfilled."""

BASELINES: dict[str, Baseline] = {
    'nearest': nearest,
    'telea': telea,
    'navier_stokes': navier_stokes,
    'realsense_left': partial(fill_holes, mode=0),
    'realsense_farthest': partial(fill_holes, mode=1),
    'realsense_nearest': partial(fill_holes, mode=2),
    'ip_basic': ip_basic,
    'joint_bilateral': joint_bilateral,
    'levin': levin,
}


def select_baselines(names: list[str]) -> dict[str, Baseline]:
    """Choose baselines by name; ``all`` and ``none`` stand alone. DataError names the known."""
    if names in ([], ['none']):
        return {}
    if names == ['all']:
        return dict(BASELINES)
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise DataError(
            f'unknown baseline {unknown[0]!r}; choose all, none or of {", ".join(BASELINES)}'
        )
    return {name: BASELINES[name] for name in names}
