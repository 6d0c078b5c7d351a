# SPDX-License-Identifier: Apache-2.0
"""Classical methods that fill holes, by name; every network has to beat them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np

from magadepth_ros.errors import DataError, pip_install
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
    """
    Choose baselines by name; ``all`` and ``none`` stand alone. A DataError lists the known names.

    Without SciPy, the name ``levin`` is an error, and ``all`` leaves it out with a line on stderr.
    """
    scipy = find_spec('scipy') is not None
    if names in ([], ['none']):
        return {}
    if names == ['all']:
        chosen = dict(BASELINES)
        if not scipy:
            del chosen['levin']
            print(
                f'magadepth: levin is left out; it needs SciPy: {pip_install("scipy")}',
                file=sys.stderr,
            )
        return chosen
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise DataError(
            f'unknown baseline {unknown[0]!r}; choose all, none or of {", ".join(BASELINES)}'
        )
    if 'levin' in names and not scipy:
        raise DataError(f'levin needs SciPy: {pip_install("scipy")}')
    return {name: BASELINES[name] for name in names}
