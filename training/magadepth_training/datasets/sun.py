# SPDX-License-Identifier: Apache-2.0
"""SUN RGB-D: frames of four kinds of cameras, with raw and refined depth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.io import loadmat

from magadepth_ros.errors import DataError
from magadepth_ros.pictures import decode, read_rgb
from magadepth_training.datasets.sample import Sample, Source

HOME = 'https://rgbd.cs.princeton.edu'
MAX_DEPTH_M = 8.0
"""Largest depth [m]: the toolbox clamps farther depth to it; here that counts as missing."""
SENSORS = {
    'kv1': 'Kinect v1 (structured light)',
    'kv2': 'Kinect v2 (ToF)',
    'realsense': 'RealSense (active stereo)',
    'xtion': 'Xtion (structured light)',
}
_ROOT = 'SUNRGBD'
_SPLIT_MATS = ('allsplit.mat', 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat')


class SunSource(Source):
    """
    Frames below ``SUNRGBD``: image, depth (the input), depth_bfx (the target).

    The split comes from ``train.txt`` / ``test.txt`` where they lie (a line per frame folder; for
    the paper's 4,845 / 4,659 frames), else from ``allsplit.mat`` of the toolbox (5,285 / 5,050).

    Parameters
    ----------
    root:
        the folder ``SUNRGBD`` (with kv1, kv2, realsense, xtion) or the one that holds it.
    split:
        ``train``, ``test``, or ``all``, which needs no split file.

    Raises
    ------
    DataError
        no frames, no split file, or frames of the split that are not there.

    """

    def __init__(self, root: str | Path, split: str = 'test') -> None:
        root = Path(root)
        self.root = root / _ROOT if (root / _ROOT).is_dir() else root
        if not any((self.root / name).is_dir() for name in SENSORS):
            raise DataError(
                f'{root}: expected {_ROOT} with the folders {", ".join(SENSORS)}; unpack '
                f'SUNRGBD.zip (6.4 GB) from {HOME}'
            )
        self.name = f'sun_rgbd_{split}'
        if split == 'all':
            found = [p.parent for name in SENSORS for p in (self.root / name).glob('**/depth_bfx')]
            self.folders = sorted(found)
        elif split in ('train', 'test'):
            self.folders = self._split(split)
        else:
            raise DataError(f'unknown split {split!r}; expected train, test or all')
        if not self.folders:
            raise DataError(f'{self.root}: no frame with a folder depth_bfx; unpack it again')

    def __len__(self) -> int:
        return len(self.folders)

    def __getitem__(self, index: int) -> Sample:
        folder = self.folders[index]
        rgb = read_rgb(_only(folder / 'image'))
        pictures = []
        for name in ('depth', 'depth_bfx'):
            path = _only(folder / name)
            depth = read_sun_depth(path)
            if depth.shape != rgb.shape[:2]:
                raise DataError(
                    f'{path}: size {depth.shape} differs from {rgb.shape[:2]} of image'
                )
            pictures.append(depth)
        relative = folder.relative_to(self.root)
        scene = folder / 'scene.txt'
        return Sample(
            rgb=rgb,
            depth=pictures[0],
            target=pictures[1],
            name='_'.join(relative.parts),
            sensor=SENSORS.get(relative.parts[0], relative.parts[0]),
            scene=scene.read_text().strip() if scene.is_file() else '',
        )

    def _split(self, split: str) -> list[Path]:
        places = [self.root, self.root.parent]
        texts = [place / f'{split}.txt' for place in places]
        mats = [place / name for place in places for name in _SPLIT_MATS]
        found = next((path for path in texts + mats if path.is_file()), None)
        if found is None:
            raise DataError(
                f'{self.root}: no split file; put {split}.txt (a frame folder per line) or '
                f'allsplit.mat of SUNRGBDtoolbox.zip ({HOME}) beside it, or take the split all'
            )
        if found.suffix == '.txt':
            lines = [line.strip() for line in found.read_text().splitlines()]
        else:
            lines = _mat_lines(found, split)
        folders = [self.root / _below_root(line) for line in lines if line]
        missing = [folder for folder in folders if not folder.is_dir()]
        if missing:
            raise DataError(
                f'{found}: names {len(missing)} of {len(folders)} frames that are not there, '
                f'first {missing[0]}; unpack SUNRGBD.zip again'
            )
        return folders


def read_sun_depth(path: Path) -> np.ndarray:
    """
    Read a depth PNG of SUN RGB-D as (H, W) float32 metres, 0 = missing.

    The 16 bits are stored rotated left by three; rotated back they are millimetres.
    """
    raw = decode(path, cv2.IMREAD_UNCHANGED)
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise DataError(f'{path}: expected a 16-bit PNG with one channel; unpack it again')
    millimetres = (raw >> 3) | (raw << 13)
    return np.where(millimetres <= MAX_DEPTH_M * 1000, millimetres / 1000, 0).astype(np.float32)


def _only(folder: Path) -> Path:
    files = sorted(p for p in folder.glob('*') if p.suffix.lower() in ('.png', '.jpg'))
    if not files:
        raise DataError(f'{folder}: expected one picture, found none; unpack SUNRGBD.zip again')
    return files[0]


def _mat_lines(path: Path, split: str) -> list[str]:
    try:
        cells = loadmat(path, squeeze_me=True)[f'all{split}']
    except Exception as error:  # scipy raises a dozen kinds on a broken file
        raise DataError(
            f'{path}: cannot be read as a MATLAB 5 file with alltrain and alltest ({error}); '
            f'unpack SUNRGBDtoolbox.zip of {HOME} again'
        ) from None
    return [str(cell) for cell in np.atleast_1d(cells)]


def _below_root(line: str) -> str:
    # The toolbox has the folders of its authors' disk: /n/fs/sun3d/data/SUNRGBD/kv1/...
    parts = line.replace('\\', '/').split('/')
    if _ROOT in parts:
        parts = parts[parts.index(_ROOT) + 1 :]
    if any(part in ('image', 'depth', 'depth_bfx') for part in parts):
        parts = parts[:-2]
    return '/'.join(part for part in parts if part not in ('', '.', '..'))
