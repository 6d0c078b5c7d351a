# SPDX-License-Identifier: Apache-2.0
"""Writes the ONNX that states an engine's arithmetic, and reads what one states."""

from __future__ import annotations

import logging
from pathlib import Path

from magadepth_ros.engines.check import check_frames
from magadepth_ros.engines.half_precision import (
    WEIGHTED,
    fold_weights,
    import_onnx,
    to_half,
    to_single,
)
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.errors import EngineError

_LOG = logging.getLogger(__name__)

CALIBRATION_FRAMES = 32


def convert(
    source: Path, target: Path, precision: str, largest_batch: int = 1, data: Path | None = None
) -> None:
    """
    Write ``source`` in ``precision`` (``fp32``, ``fp16`` or ``int8``) to ``target``.

    Parameters
    ----------
    source, target:
        paths of ONNX files, the source's a magadepth model's.
    precision:
        arithmetic inside.
    largest_batch:
        with 1 the batch is fixed to it, else left free.
    data:
        manifest folder that int8's ranges are measured on; None takes simulated frames.

    Raises
    ------
    EngineError
        what it needs is not installed, int8 for several frames at a time, or ``target`` cannot
        be written.

    """
    try:
        _convert(source, target, precision, largest_batch, data)
    except OSError as error:
        raise EngineError(
            f'{target}: the converted ONNX cannot be written ({error.strerror or error}); free '
            'some space, or name another folder'
        ) from error


def _convert(
    source: Path, target: Path, precision: str, largest_batch: int, data: Path | None
) -> None:
    batch = 1 if largest_batch == 1 else 0
    if precision == 'fp32':
        to_single(source, target, batch=batch)
    elif precision == 'fp16':
        too_large = to_half(source, target, batch=batch)
        if too_large:
            names = ', '.join(too_large)
            _LOG.warning('%s: weights beyond 65504 stay float32: %s', source, names)
    else:
        if largest_batch > 1:
            raise EngineError('int8 is calibrated for one frame at a time; use batch 1, or fp16')
        from magadepth_ros.engines.quantise import to_int8

        to_int8(source, target, check_frames(read_model_info(source), data, CALIBRATION_FRAMES))


def stated_precision(model: Path) -> str:
    """Return the lowest arithmetic that layers with weights have in an ONNX."""
    onnx = import_onnx()
    graph = onnx.load(str(model)).graph
    if any(node.op_type == 'QuantizeLinear' for node in graph.node):
        return 'int8'
    nodes = fold_weights(onnx, graph)
    half = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    weighted = (name for n in nodes if n.op_type in WEIGHTED for name in n.input[1:2])
    return 'fp16' if half.intersection(weighted) else 'fp32'
