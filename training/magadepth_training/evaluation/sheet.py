# SPDX-License-Identifier: Apache-2.0
"""The contact sheet: colour, input, target, predictions and their errors side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from magadepth_ros.completion.colorize import colorize
from magadepth_ros.errors import DataError
from magadepth_ros.files import write_result
from magadepth_ros.pictures import encode
from magadepth_training.datasets.sample import Sample

CELL_WIDTH_PX = 280
MAX_ERROR_M = 0.2
"""Error drawn at full scale [m]."""
_HEADING_PX = 18
MAX_METHODS = 4
_UNKNOWN = 60
"""Grey level."""


class ContactSheet:
    """
    One line of pictures per frame, written as a PNG.

    Depth is coloured over the range of each frame, errors over 0 to 0.2 m (dark to bright);
    grey = not known. Only the first `MAX_METHODS` methods are drawn.
    """

    def __init__(self) -> None:
        self._lines: list[np.ndarray] = []
        self._names: list[str] = []

    def add(self, sample: Sample, predictions: dict[str, np.ndarray]) -> None:
        """Add a frame with its predictions, (H, W) metres by method, 0 = not filled."""
        names = list(predictions)[:MAX_METHODS]
        truth = sample.depth if sample.target is None else sample.target
        known = truth[truth > 0]
        near, far = np.percentile(known, (1, 99)) if known.size else (0.5, 5.0)
        near, far = float(near) * 0.9, float(far) * 1.1

        def shown(depth: np.ndarray) -> np.ndarray:
            picture = colorize(np.ascontiguousarray(depth, np.float32), near, far)
            picture[~(depth > 0)] = _UNKNOWN
            return picture

        cells = [sample.rgb, shown(sample.depth)]
        headings = [f'{sample.name} {sample.sensor}', 'input']
        if sample.target is not None:
            cells.append(shown(sample.target))
            headings.append('target')
        for name in names:
            cells.append(shown(predictions[name]))
            headings.append(name)
            if sample.target is not None:
                cells.append(_error(predictions[name], sample.target))
                headings.append(f'error, white = {MAX_ERROR_M} m')
        # Only the photo is averaged: the mean of two depths would be a third depth.
        methods = [cv2.INTER_AREA] + [cv2.INTER_NEAREST] * (len(cells) - 1)
        line = [_cell(c, h, m) for c, h, m in zip(cells, headings, methods, strict=True)]
        self._lines.append(np.hstack(line))

    def write(self, path: str | Path) -> None:
        """Write the sheet; DataError where it cannot be."""
        if not self._lines:
            raise DataError(f'{path}: no frame was drawn; raise --limit')
        width = max(line.shape[1] for line in self._lines)
        lines = [
            cv2.copyMakeBorder(line, 0, 0, 0, width - line.shape[1], cv2.BORDER_CONSTANT)
            for line in self._lines
        ]
        write_result(path, encode(cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR)))


def _error(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    share = np.clip(np.abs(prediction - target) / MAX_ERROR_M, 0, 1)
    picture = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_HOT)[:, :, ::-1]
    return np.where((target > 0)[..., None], picture, np.uint8(_UNKNOWN)).astype(np.uint8)


def _cell(picture: np.ndarray, heading: str, method: int = cv2.INTER_NEAREST) -> np.ndarray:
    height = max(1, round(picture.shape[0] * CELL_WIDTH_PX / picture.shape[1]))
    size = (CELL_WIDTH_PX, height)
    small = cv2.resize(np.ascontiguousarray(picture), size, interpolation=method)
    cell = np.zeros((height + _HEADING_PX, CELL_WIDTH_PX, 3), np.uint8)
    cell[_HEADING_PX:] = small
    place, font = (3, _HEADING_PX - 5), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(cell, heading[:44], place, font, 0.38, (255, 255, 255), 1, cv2.LINE_AA)
    return cell
