# SPDX-License-Identifier: Apache-2.0
"""Hold a whole manifest folder in memory as two tensors, ready to lie on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from magadepth_ros.manifest import Manifest, read_manifest
from magadepth_training.datasets.resize import centre_box, crop, resize_depth, resize_rgb


class FramesInMemory(NamedTuple):
    """
    All frames of a folder.

    ``rgb`` (N, H, W, 3) uint8; ``depth`` (N, H, W) uint16 millimetres, 0 = missing.
    torch.uint16 can be indexed and converted (``depth[i].float() / 1000``), but not computed with.
    """

    rgb: Tensor
    depth: Tensor


def load_frames_to_memory(
    manifest: Manifest | str | Path, height: int, width: int, pooled: bool = False
) -> FramesInMemory:
    """
    Decode every frame's colour and sensor depth once, at one size.

    From each frame the largest centred box of the ratio height : width is resized, the depth by
    nearest pixel (or ``pooled``, see :func:`~magadepth_training.datasets.resize.resize_depth`).
    Needs N x H x W x 5 bytes. Raises DataError as :func:`read_manifest` and ``Frame.load``.
    """
    if not isinstance(manifest, Manifest):
        manifest = read_manifest(manifest)
    count = len(manifest.frames)
    rgb = np.empty((count, height, width, 3), np.uint8)
    depth = np.empty((count, height, width), np.uint16)
    for i, frame in enumerate(manifest.frames):
        data = frame.load()
        box = centre_box((data.depth.shape[0], data.depth.shape[1]), height, width)
        rgb[i] = resize_rgb(crop(data.rgb, box), height, width)
        small = resize_depth(crop(data.depth, box), height, width, pooled)
        millimetres = np.rint(small.astype(np.float64) * 1000)
        depth[i] = np.where(millimetres <= 65535, millimetres, 0)
    return FramesInMemory(torch.from_numpy(rgb), torch.from_numpy(depth))
