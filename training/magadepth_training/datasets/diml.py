# SPDX-License-Identifier: Apache-2.0
"""DIML/CVL RGB-D, the indoor part: Kinect v2 frames with raw and filled depth in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magadepth_ros.errors import DataError
from magadepth_ros.pictures import read_depth, read_rgb
from magadepth_training.datasets.sample import Sample, Source

HOME = 'https://dimlrgbd.github.io'
SENSOR = 'Kinect v2 (ToF)'


@dataclass(frozen=True)
class _Layout:
    # Folder and ending of each picture; the name before the ending is the same in a frame.
    colour: tuple[str, str]
    filled: tuple[str, str]
    raw: tuple[tuple[str, str], ...]


_LAYOUTS = (
    # The whole set: warp_png is the raw depth registered to the colour camera (raw_png is not).
    _Layout(('col', '_c.png'), ('up_png', '_ud.png'), (('warp_png', '_wd.png'),)),
    # The sample set (1,609 / 503): filled depth; raw depth only in some copies.
    _Layout(
        ('color', '_c.png'),
        ('depth_filled', '_depth_filled.png'),
        (('depth_raw', '_depth_raw.png'), ('raw', '_raw.png'), ('warp_png', '_wd.png')),
    ),
)


@dataclass(frozen=True)
class _Entry:
    colour: Path
    raw: Path | None
    filled: Path
    name: str
    scene: str


class DimlSource(Source):
    """
    Indoor frames below a folder, in the layout of the whole set or of its sample set.

    Input is the raw depth registered to the colour, the target the filled one. Where a copy has
    no raw depth (as the sample set), the filled depth is the input and there is no target: hide
    pixels of it. All frames below one root must be of one kind.

    Parameters
    ----------
    root:
        a folder with scene folders at any depth; with ``train`` and ``test`` in it (or below,
        e.g. ``train/LR``) the split chooses one of them, else only ``all`` has a meaning.

    Raises
    ------
    DataError
        no frames, or a frame without its depth; the message says what was expected.

    """

    def __init__(self, root: str | Path, split: str = 'test') -> None:
        root = Path(root)
        chosen = root
        if split in ('train', 'test'):
            if (root / split).is_dir():
                chosen = root / split
            elif (root / 'train').is_dir() or (root / 'test').is_dir():
                raise DataError(f'{root}: expected a folder {split} in it')
        elif split != 'all':
            raise DataError(f'unknown split {split!r}; expected train, test or all')
        self.name = f'diml_{split}'
        self.entries = [entry for layout in _LAYOUTS for entry in _find(chosen, layout)]
        if not self.entries:
            raise DataError(
                f'{chosen}: expected scene folders with col, warp_png and up_png, or with color '
                f'and depth_filled; download the indoor part from {HOME}'
            )
        with_raw = sum(entry.raw is not None for entry in self.entries)
        if with_raw not in (0, len(self.entries)):
            gap = next(entry for entry in self.entries if entry.raw is None)
            raise DataError(
                f'{gap.colour}: has no raw depth, while {with_raw} of {len(self.entries)} frames '
                'have; unpack the raw depth of all scenes, or move those without elsewhere'
            )

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Sample:
        entry = self.entries[index]
        rgb = read_rgb(entry.colour)
        filled = read_depth(entry.filled)
        raw = None if entry.raw is None else read_depth(entry.raw)
        for path, depth in ((entry.filled, filled), (entry.raw, raw)):
            if depth is not None and depth.shape != rgb.shape[:2]:
                raise DataError(
                    f'{path}: size {depth.shape} differs from {rgb.shape[:2]} of the colour'
                )
        depth, target = (filled, None) if raw is None else (raw, filled)
        return Sample(rgb, depth, target, name=entry.name, sensor=SENSOR, scene=entry.scene)


def _find(root: Path, layout: _Layout) -> list[_Entry]:
    entries = []
    folder, ending = layout.colour
    for colour in sorted(root.glob(f'**/{folder}/*{ending}')):
        scene = colour.parent.parent
        if not (scene / layout.filled[0]).is_dir():
            continue
        name = colour.name[: -len(ending)]
        filled = scene / layout.filled[0] / (name + layout.filled[1])
        if not filled.is_file():
            raise DataError(f'{filled}: not found, but its colour is; unpack the scene again')
        raws = [scene / where / (name + end) for where, end in layout.raw]
        raw = next((path for path in raws if path.is_file()), None)
        place = scene.relative_to(root).as_posix() if scene != root else scene.name
        entries.append(_Entry(colour, raw, filled, name, place))
    return entries
