# SPDX-License-Identifier: Apache-2.0
"""Which engine is wanted: the model, what builds it, for which GPU and how it is checked."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from magadepth_ros.engines import cache
from magadepth_ros.engines.cache import EngineKey
from magadepth_ros.engines.check import LIMIT
from magadepth_ros.engines.converting import stated_precision
from magadepth_ros.engines.cuda_driver import CudaDriver
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.engines.tensorrt_build import BuildOptions
from magadepth_ros.engines.tensorrt_library import TensorRtLibrary, load_library
from magadepth_ros.errors import EngineError

_LOG = logging.getLogger(__name__)

PRECISIONS = ('auto', 'fp32', 'fp16', 'int8')


@dataclass(frozen=True)
class EngineRequest:
    """
    Which engine is wanted.

    Attributes
    ----------
    model:
        ONNX of a magadepth model.
    library:
        the TensorRT to build with.
    cuda:
        the GPU to build for and check on, or None where there is none: then only TensorRT for
        RTX can build, and the check runs the converted ONNX on the CPU.
    precision:
        ``fp32``, ``fp16``, ``int8``, or ``auto``: fp16 where the model's metadata calls it safe.
    options:
        how to build.
    check_data, calibration_data:
        manifest folders to check with, and to measure int8's ranges on; None takes simulated
        frames.
    limit:
        largest difference the check lets through, relative to the depth; 0 skips the check.
    typed:
        ``model`` in ``precision``, where it was converted before; None converts it.

    """

    model: Path
    library: TensorRtLibrary
    cuda: CudaDriver | None = None
    precision: str = 'auto'
    options: BuildOptions = field(default_factory=BuildOptions)
    check_data: Path | None = None
    calibration_data: Path | None = None
    limit: float = LIMIT
    typed: Path | None = None

    def resolved(self) -> EngineRequest:
        """Return the request with ``auto`` decided and impossible wishes refused."""
        if self.precision not in PRECISIONS:
            raise EngineError(
                f'precision {self.precision!r} is not there on {self.library.name}; '
                f'use {", ".join(PRECISIONS)}'
            )
        if self.cuda is None and not self.library.portable:
            raise EngineError(
                'tensorrt builds an engine by measuring on the GPU, and there is none here; '
                'build with tensorrt-rtx, or on the machine that will run it'
            )
        if self.typed is not None:
            stated = stated_precision(self.typed)
            if self.precision not in ('auto', stated):
                raise EngineError(
                    f'{self.typed}: it computes in {stated}, not in {self.precision}; give the '
                    'float32 ONNX to be converted, or leave the precision to the file'
                )
            return replace(self, precision=stated)
        if self.precision != 'auto':
            return self
        safe = read_model_info(self.model).low_precision_safe
        return replace(self, precision='fp16' if safe else 'fp32')

    def key(self) -> EngineKey:
        """Return all that the engine will depend on."""
        info = read_model_info(self.model)
        if self.library.portable:
            gpu = cache.PORTABLE_GPU
            capability = ','.join(self.options.compute_capabilities) or '8.0+'
        else:
            assert self.cuda is not None
            gpu, capability = self.cuda.name, self.cuda.compute_capability
        return EngineKey(
            onnx_sha256=cache.sha256_of(self.model),
            runtime=self.library.name,
            runtime_version=self.library.version,
            gpu=gpu,
            compute_capability=capability,
            precision=self.precision,
            shape=(self.options.batch, info.height, info.width),
        )


def find_gpu() -> CudaDriver | None:
    """Return the first GPU, or None and a line in the log that says why."""
    try:
        return CudaDriver()
    except EngineError as error:
        _LOG.info('%s', error)
        return None


def request_engine(model: Path | str, precision: str = 'auto', batch: int = 1) -> EngineRequest:
    """Return the request for running ``model`` on this machine's GPU; EngineError without one."""
    return EngineRequest(
        model=Path(model),
        library=load_library(),
        cuda=CudaDriver(),
        precision=precision,
        options=BuildOptions(batch=batch, timing_cache=cache.cache_folder() / 'timing.cache'),
    ).resolved()
