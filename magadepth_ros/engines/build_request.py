# SPDX-License-Identifier: Apache-2.0
"""A request for a TensorRT engine, and the engine's key in the cache."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from magadepth_ros.engines.cache import PORTABLE_GPU, EngineKey, sha256_of
from magadepth_ros.engines.check import LIMIT
from magadepth_ros.engines.cuda_driver import CudaDriver
from magadepth_ros.engines.engine import pick_precision
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.precision import stated_precision
from magadepth_ros.engines.tensorrt_library import TensorRtLibrary, load_library
from magadepth_ros.errors import EngineError

_LOG = logging.getLogger(__name__)

PRECISIONS = ('fp32', 'fp16')
"""Precisions that an engine can be converted to."""


@dataclass(frozen=True)
class BuildRequest:
    """
    A request for an engine: model, library, GPU, and how it is built and checked.

    Attributes
    ----------
    model:
        path of the ONNX of a magadepth model.
    library:
        the TensorRT to build with.
    cuda:
        the GPU to build for and check on, or None where there is none: then only TensorRT for
        RTX can build, and the check runs the converted ONNX on the CPU.
    precision:
        ``fp32``, ``fp16``, or ``auto``: fp16 where the model's metadata calls it safe.
    batch:
        largest batch; more than 1 needs an ONNX whose batch is dynamic.
    workspace:
        largest scratch memory on the GPU [bytes]; 0 = TensorRT's own limit.
    compute_capabilities:
        GPUs a TensorRT for RTX engine is for, like ``('8.6', '8.9')``; empty = all from 8.0 on.
    check_data:
        manifest folder of frames for the check; None takes simulated frames.
    limit:
        largest difference that the check allows, relative to the depth; 0 skips the check.
    typed:
        an ONNX whose types state the precision, built unchanged; None converts ``model``.

    """

    model: Path
    library: TensorRtLibrary
    cuda: CudaDriver | None = None
    precision: str = 'auto'
    batch: int = 1
    workspace: int = 0
    compute_capabilities: tuple[str, ...] = ()
    check_data: Path | None = None
    limit: float = LIMIT
    typed: Path | None = None

    def resolved(self) -> BuildRequest:
        """Return the request with ``auto`` replaced; EngineError where it cannot be fulfilled."""
        if self.cuda is None and not self.library.portable:
            raise EngineError(
                'tensorrt needs a GPU to build an engine, and found none; build with '
                'tensorrt-rtx, or on the machine that will run the engine'
            )
        if self.typed is not None:
            stated = stated_precision(self.typed)
            if self.precision not in ('auto', stated):
                raise EngineError(
                    f'{self.typed}: it computes in {stated}, not in {self.precision}; give the '
                    'float32 ONNX, which is converted, or use precision auto'
                )
            return replace(self, precision=stated)
        auto = 'fp16' if read_model_info(self.model).low_precision_safe else 'fp32'
        picked = pick_precision(self.precision, self.library.name, PRECISIONS, auto)
        return replace(self, precision=picked)

    def key(self) -> EngineKey:
        """Return the key of the engine."""
        info = read_model_info(self.model)
        gpu, capability = PORTABLE_GPU, ','.join(self.compute_capabilities) or '8.0+'
        if not self.library.portable:
            assert self.cuda is not None
            gpu, capability = self.cuda.name, self.cuda.compute_capability
        return EngineKey(
            onnx_sha256=sha256_of(self.model),
            runtime=self.library.name,
            runtime_version=self.library.version,
            gpu=gpu,
            compute_capability=capability,
            precision=self.precision,
            shape=(self.batch, info.height, info.width),
        )


def find_gpu() -> CudaDriver | None:
    """Return the first GPU; None where there is none, and the log says why."""
    try:
        return CudaDriver()
    except EngineError as error:
        _LOG.info('%s', error)
        return None


def request_build(model: Path | str, precision: str = 'auto', batch: int = 1) -> BuildRequest:
    """Return the request for running ``model`` on this machine's GPU; EngineError without one."""
    return BuildRequest(Path(model), load_library(), CudaDriver(), precision, batch).resolved()
