# SPDX-License-Identifier: Apache-2.0
"""The settings of a completer, checked when they are made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from magadepth_ros.engines.engine import ModelInfo
from magadepth_ros.errors import DataError


@dataclass(frozen=True)
class CompletionSettings:
    """
    How predictions are used; a `Completer` takes a new object at any time.

    Attributes
    ----------
    min_depth, max_depth:
        plausible range [m]. Input outside counts as missing; output outside becomes NaN. None
        takes the model's own range. The shipped models work relative to the frame's depth, so they
        fill a wider range equally well.
    keep_measured:
        measured pixels keep their values; False replaces the whole image by the prediction.
    replace_outliers:
        measured pixels that both their neighbours and a prediction made without them contradict
        (lone flying pixels, speckle) are treated as missing.
    outlier_tolerance:
        smallest contradicting difference, relative to the depth.
    confidence_threshold:
        predicted pixels with a confidence below this become NaN, 0..1.
    temporal_smoothing:
        largest weight of a filled pixel's running mean over earlier frames, 0 (off) to 0.95. The
        mean begins anew where something moves. Frames of different ``stream`` never mix.

    Raises
    ------
    DataError
        a value is out of its range.

    """

    min_depth: float | None = None
    max_depth: float | None = None
    keep_measured: bool = True
    replace_outliers: bool = False
    outlier_tolerance: float = 0.05
    confidence_threshold: float = 0.0
    temporal_smoothing: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.min_depth, self.max_depth
        if low is not None and not 0.0 <= low < np.inf:
            raise DataError(f'min_depth is {low}, expected 0 or more metres')
        if high is not None and not (low or 0.0) < high < np.inf:
            raise DataError(f'max_depth is {high}, expected metres above min_depth ({low or 0})')
        if not 0.0 <= self.confidence_threshold <= 1.0:
            raise DataError(
                f'confidence_threshold is {self.confidence_threshold}, expected 0 to 1'
            )
        if not 0.0 <= self.temporal_smoothing <= 0.95:
            raise DataError(f'temporal_smoothing is {self.temporal_smoothing}, expected 0 to 0.95')
        if not 0.0 < self.outlier_tolerance <= 1.0:
            raise DataError(f'outlier_tolerance is {self.outlier_tolerance}, expected 0 to 1')

    def depth_range(self, info: ModelInfo) -> tuple[float, float]:
        """Return the plausible range [m] with a model; DataError where it leaves no depth."""
        low = info.min_depth if self.min_depth is None else self.min_depth
        high = info.max_depth if self.max_depth is None else self.max_depth
        if low >= high:
            raise DataError(
                f'the depth range is {low:g} to {high:g} m: expected min_depth below max_depth; '
                f'{info.network} has {info.min_depth:g} to {info.max_depth:g} m'
            )
        return low, high


def read_settings(texts: Iterable[str], **given: float | None) -> CompletionSettings:
    """
    Make settings of ``NAME=VALUE``, a number or true or false, beside ``given`` ones.

    Raises
    ------
    DataError
        there is no such setting, a value is none of these, of the wrong kind or out of its range,
        or one is given twice.

    """
    known = {field.name: field.default for field in fields(CompletionSettings)}
    values: dict[str, Any] = dict(given)
    for text in texts:
        name, _, value = text.partition('=')
        try:
            number = json.loads(value)
        except ValueError:
            number = None
        if name not in known or not isinstance(number, (bool, int, float)):
            raise DataError(
                f'{text!r}: expected NAME=VALUE, a number or true or false; '
                f'the names are {", ".join(known)}'
            )
        if isinstance(number, bool) and not isinstance(known[name], bool):
            raise DataError(f'{text!r}: expected a number, got {value}')
        if name in values:
            raise DataError(f'{text!r}: {name} is given twice')
        values[name] = number
    return CompletionSettings(**values)
