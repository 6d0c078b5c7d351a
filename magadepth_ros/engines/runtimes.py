# SPDX-License-Identifier: Apache-2.0
"""The request for an engine, the runtimes on the CPU, and the first of several that works."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from magadepth_ros.engines.engine import Engine
from magadepth_ros.errors import EngineError, ModelError, PrecisionError, describe

_LOG = logging.getLogger(__name__)

ON_CPU = ('openvino', 'onnxruntime')
"""Backends that replace a backend on a GPU, the faster one first."""

T = TypeVar('T')


@dataclass(frozen=True)
class EngineRequest:
    """
    A request for an engine.

    Attributes
    ----------
    model:
        path of an ONNX with the metadata of a magadepth model, or of an engine that
        ``magadepth export-trt`` wrote (with its JSON beside it).
    backend:
        one of `opening.BACKENDS`; ``torch`` is torch-cuda where it works, else torch-cpu;
        ``auto`` is the first of `opening.FASTEST_FIRST` that works. The log names the choice.
    precision:
        precision inside the network: ``fp32``, ``bf16``, ``fp16`` (if the runtime has it), or
        ``auto``: the lowest that the model's metadata call safe.
    threads:
        CPU threads, 0 = all cores.
    batch:
        number of frames the engine is prepared for; another number is prepared at its first use.

    """

    model: Path | str
    backend: str = 'auto'
    precision: str = 'auto'
    threads: int = 0
    batch: int = 1


def first_that_works(
    request: EngineRequest, backends: Sequence[str], attempt: Callable[[EngineRequest], T]
) -> T:
    """
    Return the result of ``attempt`` on the first backend that works; EngineError if none does.

    A ModelError is raised at once, as a broken file fails on every runtime.
    """
    reasons, refusals = [], []
    for backend in backends:
        try:
            return attempt(replace(request, backend=backend))
        except Exception as error:
            # Any other exception may be of a driver or a half-installed library.
            if len(backends) == 1 or isinstance(error, ModelError):
                raise
            _LOG.info('backend %s is not used: %s', backend, describe(error))
            if isinstance(error, PrecisionError):
                refusals.append(error)
            reasons.append(f'{backend}: {describe(error)}')
    if refusals:
        # A runtime is installed but failed: only its error helps, not the missing others.
        raise refusals[0]
    raise EngineError(f'{request.model}: no runtime works; ' + '; '.join(reasons))


def open_cpu(request: EngineRequest) -> Engine:
    """Open the backend of a request, which is one of `ON_CPU`."""
    given = Path(request.model), request.precision, request.threads, request.batch
    if request.backend == 'openvino':
        from magadepth_ros.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(*given)
    from magadepth_ros.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(*given)
