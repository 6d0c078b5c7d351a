# SPDX-License-Identifier: Apache-2.0
"""Turns a float32 ONNX into an int8 one with explicit Q/DQ nodes, with nvidia-modelopt."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from magadepth_ros.engines.check import Frames
from magadepth_ros.engines.half_precision import import_onnx, to_single
from magadepth_ros.engines.metadata import INPUTS
from magadepth_ros.errors import EngineError


def to_int8(source: Path, target: Path, frames: Frames) -> None:
    """
    Write ``source`` with int8 convolutions and matrix products to ``target``.

    Only what has weights is quantised; filling, normalising and the residual stay float32.

    Parameters
    ----------
    source, target:
        paths of ONNX files.
    frames:
        what the ranges are measured on: real ones, random ones give a poor engine.

    Raises
    ------
    EngineError
        nvidia-modelopt is not installed, fails, or finds nothing to quantise.

    """
    try:
        from modelopt.onnx.quantization import quantize
    except ImportError as error:
        raise EngineError(
            f'int8 needs nvidia-modelopt ({error}); pip install "nvidia-modelopt[onnx]", '
            'or use precision fp16'
        ) from error
    plain = target.with_name(f'{target.stem}-plain.onnx')
    to_single(source, plain, batch=1)
    arrays = {
        name: np.concatenate([frame[number] for frame in frames])
        for number, name in enumerate(INPUTS)
    }
    try:
        # It prints to standard output, which belongs to whoever called.
        with redirect_stdout(sys.stderr):
            quantize(
                str(plain),
                quantize_mode='int8',
                calibration_data=arrays,
                calibration_method='entropy',
                op_types_to_quantize=['Conv', 'ConvTranspose', 'Gemm', 'MatMul'],
                high_precision_dtype='fp32',
                output_path=str(target),
                log_level='ERROR',
            )
    except Exception as error:
        # modelopt raises whatever its passes and ONNX Runtime raise.
        raise EngineError(f'{source}: nvidia-modelopt failed: {error}; use fp16') from error
    finally:
        plain.unlink(missing_ok=True)
    # The quantiser drops the metadata, without which nothing runs the model.
    onnx = import_onnx()
    network = onnx.load(str(target))
    if not any(node.op_type == 'QuantizeLinear' for node in network.graph.node):
        raise EngineError(
            f'{source}: nvidia-modelopt found nothing worth int8 (it leaves layers of less than '
            '16 channels alone); use precision fp16'
        )
    del network.metadata_props[:]
    network.metadata_props.extend(onnx.load(str(source), load_external_data=False).metadata_props)
    target.write_bytes(network.SerializeToString())
