# SPDX-License-Identifier: Apache-2.0
"""Open a data set; the files at the path decide its kind."""

from __future__ import annotations

from pathlib import Path

from magadepth_ros.errors import DataError
from magadepth_ros.files import MANIFEST_NAME
from magadepth_ros.recordings import is_bag_path
from magadepth_training.datasets.manifest import ManifestSource
from magadepth_training.datasets.sample import Source


def open_source(path: str | Path, split: str = 'test') -> Source:
    """
    Open a data set.

    Parameters
    ----------
    path:
        a manifest folder, ``nyu_depth_v2_labeled.mat`` or its folder, the ``SUNRGBD`` folder, a
        DIML indoor folder, or a ROS bag (see :mod:`magadepth_ros.recordings.bags`).
    split:
        ``train``, ``test`` or ``all``, for the data sets that have one.

    Raises
    ------
    DataError
        no known data set is there, or it is incomplete; the message names the expected files.

    """
    path = Path(path)
    if not path.exists():
        raise DataError(f'{path}: no such file or folder; expected {_EXPECTED}')
    if path.name == MANIFEST_NAME or (path / MANIFEST_NAME).is_file():
        return ManifestSource(path)
    # Each loader needs its own package (h5py, scipy, rosbags), so it is imported only here.
    if path.suffix == '.mat' or (path / 'nyu_depth_v2_labeled.mat').is_file():
        from magadepth_training.datasets.nyu import NyuSource

        return NyuSource(path, split)
    if is_bag_path(path):
        from magadepth_training.datasets.bag import BagSource

        return BagSource(path)
    if any((path / name).is_dir() for name in ('kv1', 'kv2', 'realsense', 'xtion', 'SUNRGBD')):
        from magadepth_training.datasets.sun import SunSource

        return SunSource(path, split)
    if any(next(path.glob(f'**/{name}'), None) for name in ('depth_filled', 'up_png')):
        from magadepth_training.datasets.diml import DimlSource

        return DimlSource(path, split)
    raise DataError(f'{path}: no data set was recognised; expected {_EXPECTED}')


_EXPECTED = (
    f'a folder with {MANIFEST_NAME}, nyu_depth_v2_labeled.mat, the SUNRGBD folder (kv1, kv2, '
    'realsense, xtion), a DIML indoor folder (with depth_filled or up_png folders), or a ROS bag'
)
