# SPDX-License-Identifier: Apache-2.0
"""Read folders of RGB-D frames described by a ``manifest.json``, and write depth pictures."""

from __future__ import annotations

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np

from magadepth_ros.errors import DataError

MANIFEST_NAME = 'manifest.json'

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_JPEG_SIGNATURE = b'\xff\xd8\xff'


class FrameData(NamedTuple):
    """
    The pictures of one frame, all of one height and width.

    ``rgb`` (H, W, 3) uint8; ``depth`` (H, W) float32 metres, 0 = missing; ``target`` like depth,
    0 = unknown, or None; ``score`` (H, W) uint8 with 0 = ignore, 1 = missing in the input,
    2 = measured in the input, or None.
    """

    rgb: np.ndarray
    depth: np.ndarray
    target: np.ndarray | None
    score: np.ndarray | None


@dataclass(frozen=True)
class Frame:
    """
    Where one frame lies and what is known of it; nothing is decoded before :meth:`load`.

    ``K`` is (fx, fy, cx, cy) [px] or None; ``depth_scale`` metres per unit of the depth PNG;
    ``stem`` names results: the rgb entry up to the first dot of its file name, sub-folder kept.
    """

    rgb_path: Path
    depth_path: Path
    target_path: Path | None
    score_path: Path | None
    K: tuple[float, float, float, float] | None
    sensor: str
    scene: str
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
        target, score = None, None
        if self.target_path is not None:
            target = read_depth(self.target_path, self.depth_scale)
        if self.score_path is not None:
            score = _read_score(self.score_path)
        others = ((self.depth_path, depth), (self.target_path, target), (self.score_path, score))
        for path, image in others:
            if image is not None and image.shape != rgb.shape[:2]:
                raise DataError(
                    f'{path}: size {_size(image)} differs from {_size(rgb)} of '
                    f'{self.rgb_path.name}; register the depth to the colour camera first'
                )
        return FrameData(rgb, depth, target, score)


@dataclass(frozen=True)
class Manifest:
    """A folder of frames: its name, the frames in their order, and the text fields as given."""

    name: str
    frames: list[Frame]
    folder: Path
    depth_scale: float
    protocol: str = ''
    licence: str = ''

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
        folder=folder,
        depth_scale=scale,
        protocol=str(content.get('protocol') or ''),
        licence=str(content.get('licence') or ''),
    )


def read_rgb(path: str | Path) -> np.ndarray:
    """Read a colour (or grey) picture as (H, W, 3) uint8 RGB; DataError where it is broken."""
    # The orientation tag is ignored because the depth picture has none to follow.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = _decode(Path(path), flags)
    return np.ascontiguousarray(image[:, :, ::-1])


def read_depth(path: str | Path, depth_scale: float = 0.001) -> np.ndarray:
    """
    Read a 16-bit depth picture as (H, W) float32 metres, 0 = missing.

    ``depth_scale`` is metres per unit. Raises DataError where the file is missing or broken or is
    not 16-bit with one channel: an 8-bit picture is a colouring of depth, not depth.
    """
    image = _decode(Path(path), cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint16 or image.ndim != 2:
        channels = 1 if image.ndim == 2 else image.shape[2]
        raise DataError(
            f'{path}: expected depth as a 16-bit picture with one channel, got '
            f'{image.dtype.itemsize * 8}-bit with {channels}; save the raw depth, not a preview'
        )
    return (image * np.float64(depth_scale)).astype(np.float32)


def write_depth_png(path: str | Path, depth_m: np.ndarray, depth_scale: float = 0.001) -> None:
    """
    Write depth as a 16-bit PNG, all at once: a reader sees the old file or the whole new one.

    Parameters
    ----------
    path:
        the file; its folder is made if need be.
    depth_m:
        (H, W) floating point metres; NaN, inf, zero, negative and too large values become 0.
    depth_scale:
        metres per unit of the PNG, 0.001 = millimetres.

    """
    path = Path(path)
    if depth_m.ndim != 2:
        raise DataError(f'{path}: expected depth of shape (H, W), got {depth_m.shape}')
    units = np.rint(depth_m.astype(np.float64) / depth_scale)
    known = np.isfinite(units) & (units > 0) & (units <= 65535)
    ok, encoded = cv2.imencode('.png', np.where(known, units, 0).astype(np.uint16))
    if not ok:
        raise DataError(f'{path}: depth of shape {depth_m.shape} could not be encoded as PNG')
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        temporary.write_bytes(encoded.tobytes())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f'{path}: cannot be written: {error.strerror}') from None


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
        path = manifest.parent / value
        if not path.is_file():
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
        K=(values[0], values[1], values[2], values[3]) if values else None,  # type: ignore[arg-type]
        sensor=str(entry.get('sensor') or ''),
        scene=str(entry.get('scene') or ''),
        depth_scale=scale,
        stem=_stem(entry['rgb']),
    )


def _stem(rgb: str) -> str:
    # A result never leaves the folder it is written to, whatever the manifest says.
    path = PurePosixPath(rgb.replace('\\', '/'))
    folders = [part for part in path.parts[:-1] if part not in ('..', '.', '/')]
    return '/'.join([*folders, path.name.split('.')[0] or path.name])


def _number(value: Any) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)


def _read_score(path: Path) -> np.ndarray:
    image = _decode(path, cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint8 or image.ndim != 2:
        raise DataError(f'{path}: expected an 8-bit picture with one channel (0, 1 or 2)')
    return image


def _size(image: np.ndarray) -> str:
    return f'{image.shape[1]}x{image.shape[0]}'


def _decode(path: Path, flags: int) -> np.ndarray:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f'{path}: cannot be read: {error.strerror}') from None
    fault = _fault(data)
    image = None if fault else cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise DataError(
            f'{path}: not a whole picture ({fault or "unknown format"}); copy it again'
        )
    return image


def _fault(data: bytes) -> str:
    """Say what is wrong with a PNG or JPEG; OpenCV returns the top of a cut one as if whole."""
    if not data:
        return 'the file is empty'
    if data.startswith(_JPEG_SIGNATURE):
        return '' if data.rfind(b'\xff\xd9') > data.rfind(b'\xff\xda') else 'JPEG cut short'
    if not data.startswith(_PNG_SIGNATURE):
        return ''
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from('>I', data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from('>I', data, end - 4)[0]:
            return 'PNG with a damaged chunk'
        if data[at + 4 : at + 8] == b'IEND':
            return ''
        at = end
    return 'PNG cut short'
