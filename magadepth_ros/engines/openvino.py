# SPDX-License-Identifier: Apache-2.0
"""Runs a model on the CPU with OpenVINO."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.engines.arrays import as_inputs
from magadepth_ros.engines.cache import cache_folder
from magadepth_ros.engines.engine import ModelInfo, Prediction
from magadepth_ros.engines.metadata import OPTIONAL_OUTPUT, OUTPUT, read_model_info
from magadepth_ros.engines.openvino_split import SplitRequest, has_weights, split
from magadepth_ros.errors import EngineError

_LOG = logging.getLogger(__name__)
_HINTS = {'fp32': 'f32', 'bf16': 'bf16'}
_NAMES = {'f32': 'fp32', 'float32': 'fp32', 'bf16': 'bf16', 'bfloat16': 'bf16', 'f16': 'fp16'}


class OpenVinoEngine:
    """
    A model compiled for the CPU, tuned for the latency of one frame.

    ``precision='auto'`` takes bf16 only where the model's metadata says that this was measured to
    be harmless and the CPU has it, else fp32: OpenVINO's own default is bf16 wherever the CPU has
    it, which costs a general network about 0.4 % of its output. What is computed in metres before
    the first weight stays fp32 in either case (see ``openvino_split.py``).
    """

    backend = 'openvino'

    def __init__(
        self,
        model: Path | str,
        precision: str = 'auto',
        threads: int = 0,
        batch: int = 1,
    ) -> None:
        self.info: ModelInfo = read_model_info(model)
        self._path = Path(model)
        ov = import_openvino()
        self._core = ov.Core()
        capabilities = self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        wanted = choose_precision(precision, self.info, 'BF16' in capabilities)
        self._options: dict[str, Any] = {
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_PRECISION_HINT': _HINTS[wanted],
        }
        if threads > 0:
            self._options['INFERENCE_NUM_THREADS'] = threads
        self._requests: dict[int, Any] = {}
        self._fixed_batch = False
        request = self._open(batch)
        used = request.get_compiled_model().get_property('INFERENCE_PRECISION_HINT')
        self.precision = _NAMES.get(used.to_string(), used.to_string())
        if self.precision != wanted and precision != 'auto':
            _LOG.warning('%s: asked for %s, OpenVINO uses %s', model, wanted, self.precision)

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        """Run the network; see :class:`magadepth_ros.engines.engine.Engine`."""
        rgb, depth = as_inputs(self.info, rgb, depth)
        batch = rgb.shape[0]
        request = self._requests.get(batch) or self._open(batch)
        if batch > 1 and self._fixed_batch:
            parts = [self.infer(rgb[i : i + 1], depth[i : i + 1]) for i in range(batch)]
            return _stack(parts)
        try:
            # Shared inputs: OpenVINO reads the arrays in place. Outputs are copied (1.2 MB at
            # 640x480), because a view would change under the caller at the next frame.
            found = request.infer(
                {'rgb': rgb, 'depth': depth}, share_inputs=True, share_outputs=False
            )
        except RuntimeError as error:
            raise EngineError(f'{self._path}: OpenVINO failed: {_first_line(error)}') from error
        by_name = {name: array for port, array in found.items() for name in port.get_names()}
        return Prediction(by_name[OUTPUT], by_name.get(OPTIONAL_OUTPUT))

    def close(self) -> None:
        """Release the compiled networks."""
        self._requests.clear()
        self._core = None

    def _open(self, batch: int) -> Any:
        """Return the infer request for ``batch``, compiling the network where it is new."""
        if self._core is None:
            raise EngineError(f'{self._path}: this engine is closed; open it again')
        if batch > 1 and self._fixed_batch:
            return self._requests[1]
        try:
            network = self._core.read_model(self._path)
        except RuntimeError as error:
            raise EngineError(
                f'{self._path}: OpenVINO cannot read it: {_first_line(error)}'
            ) from error
        shape = [batch, 1, self.info.height, self.info.width]
        stated = network.input('depth').get_partial_shape()
        try:
            if str(stated[2]) != str(shape[2]) or str(stated[3]) != str(shape[3]):
                raise RuntimeError(f'its input is {stated}')
            network.reshape({'rgb': [batch, 3, *shape[2:]], 'depth': shape})
            if list(network.output(OUTPUT).shape) != shape:
                raise RuntimeError(f'output {OUTPUT} has shape {network.output(OUTPUT).shape}')
        except RuntimeError as error:
            if batch > 1:
                _LOG.info('%s has a fixed batch of 1: frames run one after another', self._path)
                self._fixed_batch = True
                return self._requests.get(1) or self._open(1)
            raise EngineError(
                f'{self._path}: expected an input of {shape}: {_first_line(error)}'
            ) from error
        self._requests[batch] = self._prepare(network, batch)
        return self._requests[batch]

    def _prepare(self, network: Any, batch: int) -> Any:
        exact = {**self._options, 'INFERENCE_PRECISION_HINT': 'f32'}
        if not has_weights(network):
            if batch == 1:
                # Small steps: a second thread gains a tenth and takes its core from the camera.
                exact.setdefault('INFERENCE_NUM_THREADS', 1)
            return self._compile(network, exact).create_infer_request()
        parts = None if exact == self._options else split(network)
        if parts is None:
            return self._compile(network, self._options).create_infer_request()
        return SplitRequest(self._compile(parts[0], exact), self._compile(parts[1], self._options))

    def _compile(self, network: Any, options: dict[str, Any]) -> Any:
        cache = _writable(cache_folder() / 'openvino')
        attempts = [{'CACHE_DIR': str(cache)}, {}] if cache else [{}]
        for number, extra in enumerate(attempts, start=1):
            try:
                return self._core.compile_model(network, 'CPU', {**options, **extra})
            except RuntimeError as error:
                if number == len(attempts):
                    raise EngineError(
                        f'{self._path}: OpenVINO cannot compile it: {_first_line(error)}'
                    ) from error
                _LOG.warning('model cache %s not usable: %s', cache, _first_line(error))
        raise AssertionError('unreachable')


def choose_precision(precision: str, info: ModelInfo, has_bf16: bool) -> str:
    """Return ``fp32`` or ``bf16`` for the asked precision; EngineError where it is not there."""
    if precision == 'auto':
        return 'bf16' if has_bf16 and info.low_precision_safe else 'fp32'
    if precision not in _HINTS:
        raise EngineError(
            f'precision {precision!r} is not there on openvino; use auto, fp32 or bf16'
        )
    if precision == 'bf16' and not has_bf16:
        raise EngineError('this CPU has no bf16 arithmetic; use precision fp32 or auto')
    return precision


def import_openvino() -> Any:
    """Return the package, which sends nothing; EngineError where it is not installed."""
    # On import it reports to Google Analytics, from a clone of the process that may outlive it.
    # Where its telemetry cannot be imported, a stub of its own takes the place.
    silenced = 'openvino_telemetry' not in sys.modules
    if silenced:
        sys.modules['openvino_telemetry'] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError as error:
        raise EngineError(
            f'backend openvino needs the openvino package ({error}); '
            'install it with: pip install openvino'
        ) from error
    finally:
        if silenced:
            sys.modules.pop('openvino_telemetry', None)
    return openvino


def _stack(parts: list[Prediction]) -> Prediction:
    depth = np.concatenate([part.depth for part in parts])
    variances = [part.log_variance for part in parts if part.log_variance is not None]
    return Prediction(depth, np.concatenate(variances) if variances else None)


def _writable(folder: Path) -> Path | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _first_line(error: Exception) -> str:
    """OpenVINO's messages carry source lines and traces; the last line with text is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
