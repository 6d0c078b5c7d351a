# SPDX-License-Identifier: Apache-2.0
"""Small manifest folders of raw RGB-D frames, for what trains on recordings."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from magadepth_ros.pictures import write_depth_png


def write_recording(
    folder: Path, count: int = 4, size: tuple[int, int] = (48, 64), targets: bool = False
) -> Path:
    """
    Write frames of slanted planes with a box in front, coloured by what they show.

    Each has a hole and single missing pixels; with ``targets`` the true depth lies beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(17)
    v, u = np.mgrid[: size[0], : size[1]]
    entries = []
    for i in range(count):
        target = 1.5 + 0.01 * u + 0.005 * v * (i + 1)
        across = 4 * (i % 6)
        box = (slice(10, 30), slice(12 + across, 30 + across))
        target[box] = 0.9 + 0.05 * i
        rgb = np.full((*size, 3), ((70 + 30 * i) % 256, 120, (180 - 30 * i) % 256), np.uint8)
        rgb[box] = (200, (40 + 20 * i) % 256, 60)
        missing = rng.random(size) < 0.05
        missing[20:34, 24:40] = True
        names = {key: f'{i:02}.{key}.png' for key in ('rgb', 'depth')}
        cv2.imwrite(str(folder / names['rgb']), rgb[..., ::-1])
        write_depth_png(folder / names['depth'], np.where(missing, 0, target))
        if targets:
            names['target'] = f'{i:02}.target.png'
            write_depth_png(folder / names['target'], target)
        entries.append({**names, 'sensor': 'made up', 'scene': 'planes'})
    content = {'name': 'planes', 'depth_scale': 0.001, 'frames': entries}
    (folder / 'manifest.json').write_text(json.dumps(content))
    return folder
