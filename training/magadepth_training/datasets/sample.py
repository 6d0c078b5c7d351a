# SPDX-License-Identifier: Apache-2.0
"""What every data set gives: numbered samples of colour, sensor depth and, if known, the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from magadepth_ros.simulation.scene import CameraPose


@dataclass(frozen=True)
class Sample:
    """
    One RGB-D frame at the data set's own size.

    ``rgb`` (H, W, 3) uint8; ``depth`` (H, W) float32 metres as a sensor gave it, 0 = missing;
    ``target`` the same of the true depth, 0 = unknown, or None; ``score`` (H, W) uint8 with
    0 = ignore, 1 = missing in the input, 2 = measured in it, or None; ``hiding`` says what made
    the holes, '' = unknown; ``camera`` stands where the picture was taken, if that is known.
    ``glass`` (H, W) uint8 is not 0 on transparent things, ``behind`` (H, W) float32 the depth [m]
    without them, or None.
    ``place`` names the room or the source of which there may be many frames.
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
    """A data set that was found and understood; samples are read when asked for."""

    name: str
    target_made_by: str
    """Name of the baseline that filled the holes of the target, '' where none did."""
    consecutive: bool
    """Whether one frame follows the other as a camera took them; else they are stills."""

    def __len__(self) -> int:
        """Return how many samples there are."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Read one sample; DataError says which file is broken and how to get it again."""
        ...
