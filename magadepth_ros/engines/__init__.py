# SPDX-License-Identifier: Apache-2.0
"""Runtimes: one file each behind the protocol of ``engine.py``, opened by :func:`open_engine`."""

from __future__ import annotations

from pathlib import Path

from magadepth_ros.engines.engine import Engine
from magadepth_ros.errors import EngineError

BACKENDS = ('auto', 'openvino')


def open_engine(
    model: Path | str,
    backend: str = 'auto',
    precision: str = 'auto',
    threads: int = 0,
    batch: int = 1,
) -> Engine:
    """
    Open the ONNX file ``model`` on a runtime.

    Parameters
    ----------
    model:
        path of an ONNX with the metadata of a magadepth model.
    backend:
        ``openvino``, or ``auto``: the fastest that is installed and works.
    precision:
        arithmetic inside the network: ``fp32``, ``bf16``, ``fp16``, ``int8`` (as far as the
        runtime has it) or ``auto``: the lowest that the model's metadata calls safe.
    threads:
        CPU threads, 0 = all cores.
    batch:
        frames the engine is first prepared for; others are accepted and cost a preparation.

    Raises
    ------
    ModelError
        the file is missing, truncated or no magadepth model.
    EngineError
        the runtime is not installed or cannot run the model.

    """
    if backend not in BACKENDS:
        raise EngineError(f'unknown backend {backend!r}; use one of {", ".join(BACKENDS)}')
    from magadepth_ros.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(model, precision=precision, threads=threads, batch=batch)
