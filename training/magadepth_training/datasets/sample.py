# SPDX-License-Identifier: Apache-2.0
"""The interface of data sets: numbered samples of colour, sensor depth and, if known, truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from magadepth_ros.simulation.scene import CameraPose


@dataclass(frozen=True)
class Sample:
    """
    One RGB-D frame at the data set's own size.

    ``rgb`` (H, W, 3) uint8; ``depth`` (H, W) float32 metres of a sensor, 0 = missing; ``target``
    (H, W) float32 metres, the true depth, 0 = unknown, or None; ``score`` (H, W) uint8 with 0 =
    ignore, 1 = missing in the input, 2 = measured in it, or None; ``hiding`` names the cause of
    the holes, '' = unknown; ``camera`` is the pose of the camera, or None. ``glass`` (H, W) uint8
    is not 0 on transparent objects, ``behind`` (H, W) float32 the depth [m] without these objects,
    or None. ``place`` names the room, of which there may be many frames.
    """

    rgb: np.ndarray
    depth: np.ndarray
    target: np.ndarray | None = None
    score: np.ndarray | None = None
    glass: np.ndarray | None = None
    behind: np.ndarray | None = None
    name: str = ''
    sensor: str = ''
    scene: str = ''
    hiding: str = ''
    camera: CameraPose | None = None
    place: str = ''


class Source(Protocol):
    """An opened data set; a sample is read when it is indexed. Data sets inherit the defaults."""

    name: str
    target_made_by: str = ''
    """Name of the baseline that filled the holes of the target; '' without any."""
    consecutive: bool = False
    """Whether the frames are a sequence of a camera; else they are stills."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Read one sample; a DataError names the broken file and how to get it again."""
        ...
