# SPDX-License-Identifier: Apache-2.0
"""NYU-Depth V2, the labelled set: 1,449 frames in one MATLAB 7.3 file, split 795 / 654."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat

from magadepth_ros.errors import DataError
from magadepth_training.datasets.sample import Sample, Source

LABELED = 'nyu_depth_v2_labeled.mat'
SPLITS = 'splits.mat'
HOME = 'https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html'

_SPLIT_NAMES = {'train': 'trainNdxs', 'test': 'testNdxs'}


class NyuSource(Source):
    """
    The labelled frames, 640x480.

    The target is ``depths``: the raw depth with its holes filled by Levin colorization. So the
    error of a method in the holes is its distance to that method. The input is ``rawDepths`` of
    the sensor, never the target with holes cut in.

    Parameters
    ----------
    path:
        ``nyu_depth_v2_labeled.mat`` or its folder; ``splits.mat`` lies beside it.
    split:
        ``train`` (795), ``test`` (654) or ``all``.

    Raises
    ------
    DataError
        a file is missing or cut short, or the arrays are not those of the data set.

    """

    target_made_by = 'levin'

    def __init__(self, path: str | Path, split: str = 'test') -> None:
        path = Path(path)
        self.path = path / LABELED if path.is_dir() else path
        if not self.path.is_file():
            raise DataError(f'{self.path}: not found; download {LABELED} (2.8 GB) from {HOME}')
        self.name = f'nyu_{split}'
        try:
            self._file: Any = h5py.File(self.path, 'r')
        except OSError as error:
            raise self._broken(error) from None
        count = self._count()
        self.indices = np.arange(count) if split == 'all' else self._split(split, count)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        at = int(self.indices[index])
        data = self._file
        try:
            # MATLAB stores columns first: its (H, W, 3, N) is read as (N, 3, W, H).
            rgb = np.ascontiguousarray(data['images'][at].transpose(2, 1, 0))
            target = np.ascontiguousarray(data['depths'][at].T, np.float32)
            raw = np.ascontiguousarray(data['rawDepths'][at].T, np.float32)
        except (OSError, RuntimeError) as error:
            raise self._broken(error) from None
        return Sample(rgb, raw, target, name=f'{at + 1:04}', sensor='Kinect v1 (structured light)')

    def _count(self) -> int:
        data = self._file
        shapes = {}
        for key, axes in (('images', 4), ('depths', 3), ('rawDepths', 3)):
            if key not in data or getattr(data[key], 'ndim', 0) != axes:
                raise DataError(
                    f'{self.path}: expected images, depths and rawDepths, found '
                    f'{sorted(data.keys())}; this is not {LABELED} from {HOME}'
                )
            shapes[key] = data[key].shape
        frame = (shapes['images'][0], *shapes['images'][2:])
        if shapes['images'][1] != 3 or any(shapes[k] != frame for k in ('depths', 'rawDepths')):
            raise DataError(f'{self.path}: sizes of images and depths differ: {shapes}')
        return int(frame[0])

    def _split(self, split: str, count: int) -> np.ndarray:
        if split not in _SPLIT_NAMES:
            raise DataError(f'unknown split {split!r}; expected train, test or all')
        path = self.path.parent / SPLITS
        if not path.is_file():
            raise DataError(
                f'{path}: not found; the 795/654 split is a separate file, download it from {HOME}'
            )
        try:
            numbers = loadmat(path)[_SPLIT_NAMES[split]].ravel().astype(int)
        except Exception as error:  # scipy raises a dozen kinds on a broken file
            raise DataError(
                f'{path}: cannot be read as a MATLAB 5 file with trainNdxs and testNdxs '
                f'({error}); download it again from {HOME}'
            ) from None
        if not numbers.size or numbers.min() < 1 or numbers.max() > count:
            raise DataError(f'{path}: expected frame numbers 1 to {count}, got others')
        return numbers - 1

    def _broken(self, error: Exception) -> DataError:
        return DataError(
            f'{self.path}: cannot be read, probably cut short ({str(error).splitlines()[0]}); '
            f'download it again (2.8 GB) from {HOME}'
        )
