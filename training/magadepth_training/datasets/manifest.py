# SPDX-License-Identifier: Apache-2.0
"""Manifest folders as a data set: raw frames of a camera, with or without a target."""

from __future__ import annotations

from pathlib import Path

from magadepth_ros.manifest import read_manifest
from magadepth_training.datasets.sample import Sample, Source


class ManifestSource(Source):
    """The frames of a folder with a ``manifest.json``; see :mod:`magadepth_ros.manifest`."""

    consecutive = True

    def __init__(self, folder: str | Path) -> None:
        manifest = read_manifest(folder)
        self.name = manifest.name
        self.frames = manifest.frames

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = self.frames[index]
        return Sample(
            **frame.load()._asdict(),
            name=frame.stem,
            sensor=frame.sensor,
            scene=frame.scene,
            hiding=frame.hiding,
            place=frame.place or frame.scene,
        )
