# SPDX-License-Identifier: Apache-2.0
"""Read folders of RGB-D frames described by a ``manifest.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np

from magadepth_ros.errors import DataError
from magadepth_ros.files import MANIFEST_NAME, as_path
from magadepth_ros.pictures import decode, read_depth, read_rgb


class FrameData(NamedTuple):
    """
    The pictures of one frame, all of one height and width.

    ``rgb`` (H, W, 3) uint8; ``depth`` (H, W) float32 metres, 0 = missing; ``target`` like depth,
    0 = unknown, or None; ``score`` (H, W) uint8 with 0 = ignore, 1 = missing in the input,
    2 = measured in the input, or None; ``glass`` (H, W) uint8, not 0 on transparent objects, or
    None; ``behind`` like depth, without these objects, or None.
    """

    rgb: np.ndarray
    depth: np.ndarray
    target: np.ndarray | None
    score: np.ndarray | None
    glass: np.ndarray | None = None
    behind: np.ndarray | None = None


@dataclass(frozen=True)
class Frame:
    """
    Paths and metadata of one frame; nothing is decoded before :meth:`load`.

    ``K`` is (fx, fy, cx, cy) [px] or None; ``hiding`` says what made the holes, '' = unknown;
    ``depth_scale`` is metres per unit of the depth PNG; ``stem`` names results: the rgb entry up
    to the first dot of its file name, sub-folder kept.
    """

    rgb_path: Path
    depth_path: Path
    target_path: Path | None
    score_path: Path | None
    glass_path: Path | None
    behind_path: Path | None
    K: tuple[float, float, float, float] | None
    sensor: str
    scene: str
    hiding: str
    place: str
    depth_scale: float
    stem: str

    def load(self) -> FrameData:
        """
        Decode the frame's pictures.

        Raises
        ------
        DataError
            a file is missing or broken, is not of the right type, or the sizes differ.

        """
        rgb = read_rgb(self.rgb_path)
        depth = read_depth(self.depth_path, self.depth_scale)
        target, behind = (
            None if path is None else read_depth(path, self.depth_scale)
            for path in (self.target_path, self.behind_path)
        )
        score, glass = (
            None if path is None else _read_mask(path)
            for path in (self.score_path, self.glass_path)
        )
        others = (
            (self.depth_path, depth),
            (self.target_path, target),
            (self.score_path, score),
            (self.glass_path, glass),
            (self.behind_path, behind),
        )
        for path, image in others:
            if image is not None and image.shape != rgb.shape[:2]:
                raise DataError(
                    f'{path}: size {_size(image)} differs from {_size(rgb)} of '
                    f'{self.rgb_path.name}; register the depth to the colour camera first'
                )
        return FrameData(rgb, depth, target, score, glass, behind)


@dataclass(frozen=True)
class Manifest:
    """A folder of frames: its name and the frames in their order."""

    name: str
    frames: list[Frame]

    def require_unique_stems(self) -> None:
        """Raise DataError where two frames would write their results to the same file."""
        seen: dict[str, Frame] = {}
        for frame in self.frames:
            other = seen.setdefault(frame.stem, frame)
            if other is not frame:
                raise DataError(
                    f'{frame.rgb_path} and {other.rgb_path} would both be written as '
                    f'{frame.stem}.png; let their names differ before the first dot'
                )


def read_manifest(folder: str | Path) -> Manifest:
    """
    Read ``manifest.json`` of a folder and check that its files exist.

    Parameters
    ----------
    folder:
        the folder, or the path of the ``manifest.json`` itself.

    Raises
    ------
    DataError
        the folder, the manifest or a file named in it is missing, the JSON is broken, there are
        no frames, or ``depth_scale`` is missing.

    """
    folder = Path(folder)
    path = folder if folder.suffix == '.json' else folder / MANIFEST_NAME
    folder = path.parent
    if not folder.is_dir():
        raise DataError(
            f'{folder}: expected a folder with a {MANIFEST_NAME}, found no such folder'
        )
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise DataError(
            f'{folder}: expected a {MANIFEST_NAME} in it, found none; it lists the frames as '
            '{"name", "depth_scale", "frames": [{"rgb", "depth", ...}]}'
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f'{path}: cannot be read as JSON: {error}') from None
    if not isinstance(content, dict) or not isinstance(content.get('frames'), list):
        raise DataError(f'{path}: expected an object with a list "frames"')
    if not content['frames']:
        raise DataError(f'{path}: "frames" is empty; list at least one frame with rgb and depth')
    scale = _number(content.get('depth_scale'))
    if scale is None or not np.isfinite(scale) or scale <= 0:
        raise DataError(
            f'{path}: expected "depth_scale" (metres per unit of the depth PNG, 0.001 for '
            f'millimetres), got {content.get("depth_scale")!r}'
        )
    return Manifest(
        name=str(content.get('name') or folder.resolve().name),
        frames=[_frame(path, i, entry, scale) for i, entry in enumerate(content['frames'])],
    )


def _frame(manifest: Path, index: int, entry: Any, scale: float) -> Frame:
    where = f'{manifest}: frame {index}'
    if not isinstance(entry, dict):
        raise DataError(f'{where}: expected an object with "rgb" and "depth", got {entry!r}')

    def existing(key: str, required: bool) -> Path | None:
        value = entry.get(key)
        if value is None and not required:
            return None
        if not isinstance(value, str) or not value:
            raise DataError(f'{where}: expected the name of a file as "{key}", got {value!r}')
        path = as_path(manifest.parent / value)
        if path is None or not path.is_file():
            raise DataError(f'{where}: "{key}" names {value}, which is not in {manifest.parent}')
        return path

    rgb, depth = existing('rgb', True), existing('depth', True)
    assert rgb is not None and depth is not None
    entry_k = entry.get('K')
    values = [_number(v) for v in entry_k] if isinstance(entry_k, (list, tuple)) else []
    if entry_k is not None and (len(values) != 4 or None in values):
        raise DataError(f'{where}: expected "K" as [fx, fy, cx, cy], got {entry_k!r}')
    return Frame(
        rgb_path=rgb,
        depth_path=depth,
        target_path=existing('target', False),
        score_path=existing('score', False),
        glass_path=existing('glass', False),
        behind_path=existing('behind', False),
        K=(values[0], values[1], values[2], values[3]) if values else None,  # type: ignore[arg-type]
        sensor=str(entry.get('sensor') or ''),
        scene=str(entry.get('scene') or ''),
        hiding=str(entry.get('hiding') or ''),
        place=str(entry.get('place') or ''),
        depth_scale=scale,
        stem=_stem(entry['rgb']),
    )


def _stem(rgb: str) -> str:
    # A result stays inside its folder, also where a name in the manifest has `..`.
    path = PurePosixPath(rgb.replace('\\', '/'))
    folders = [part for part in path.parts[:-1] if part not in ('..', '.', '/')]
    return '/'.join([*folders, path.name.split('.')[0] or path.name])


def _number(value: Any) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)


def _read_mask(path: Path) -> np.ndarray:
    image = decode(path, cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint8 or image.ndim != 2:
        raise DataError(f'{path}: expected an 8-bit picture with one channel')
    return image


def _size(image: np.ndarray) -> str:
    return f'{image.shape[1]}x{image.shape[0]}'
