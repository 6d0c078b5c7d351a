# SPDX-License-Identifier: Apache-2.0
"""Runs a model on the CPU with OpenVINO."""

from __future__ import annotations

import logging
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.engines.cache import cache_folder
from magadepth_ros.engines.engine import Engine, ModelInfo, Prediction, last_line, pick_precision
from magadepth_ros.engines.metadata import INPUTS, OPTIONAL_OUTPUT, OUTPUT, model_info, not_a_model
from magadepth_ros.errors import EngineError, ModelError, PrecisionError, pip_install
from magadepth_ros.machine import cores

_LOG = logging.getLogger(__name__)
_HINTS = {'fp32': 'f32', 'bf16': 'bf16'}
_NAMES = {'f32': 'fp32', 'float32': 'fp32', 'bf16': 'bf16', 'bfloat16': 'bf16', 'f16': 'fp16'}
_LIGHT = 1_000_000
"""Weights below which the steps between the layers take most of a network's time."""
_WITH_WEIGHTS = {'Convolution', 'ConvolutionBackpropData', 'GroupConvolution', 'MatMul'}


class OpenVinoEngine(Engine):
    """
    A model compiled for the CPU, tuned for the latency of one frame.

    ``precision`` is ``fp32``, ``bf16``, or ``auto``: bf16 where the model's metadata says that
    this was measured to be harmless and the CPU has it. (OpenVINO's own default is bf16 wherever
    the CPU has it, which costs a general network about 0.4 % of its output.)

    Raises
    ------
    ModelError
        the file is missing, truncated or no magadepth model.
    EngineError
        OpenVINO is not installed, or cannot run the model or has not the precision.

    """

    backend = 'openvino'

    def __init__(
        self, model: Path | str, precision: str = 'auto', threads: int = 0, batch: int = 1
    ) -> None:
        self._path = Path(model)
        self._ov = import_openvino()
        self._core: Any = self._ov.Core()
        network = self._read()
        shapes = {
            port.any_name: [-1 if n.is_dynamic else n.get_length() for n in port.partial_shape]
            for port in network.inputs
        }
        place = ['framework']  # where OpenVINO puts the metadata of an ONNX
        metadata = network.get_rt_info(place).value if network.has_rt_info(place) else {}
        outputs = [port.any_name for port in network.outputs]
        self.info = model_info(self._path, metadata, shapes, outputs)
        capabilities = self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        wanted = choose_precision(precision, self.info, 'BF16' in capabilities)
        self._options: dict[str, Any] = {
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_PRECISION_HINT': _HINTS[wanted],
        }
        if threads > 0:
            self._options['INFERENCE_NUM_THREADS'] = threads
        self._requests: dict[int, Any] = {}
        self.largest_batch = None if shapes[INPUTS[1]][0] < 0 else 1
        request = self._request(self.largest_batch or batch)
        used = request.get_compiled_model().get_property('INFERENCE_PRECISION_HINT').to_string()
        self.precision = _NAMES.get(used, used)
        if self.precision != wanted:
            _LOG.warning('%s: asked for %s, OpenVINO uses %s', model, wanted, self.precision)

    def _run(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        request = self._request(len(rgb))
        try:
            # Shared inputs: OpenVINO reads the arrays in place. Outputs are copied (1.2 MB at
            # 640x480), because a view would change under the caller at the next frame.
            found = request.infer(
                dict(zip(INPUTS, (rgb, depth))), share_inputs=True, share_outputs=False
            )
        except RuntimeError as error:
            raise EngineError(f'{self._path}: OpenVINO failed: {last_line(error)}') from error
        named = {name: array for port, array in found.items() for name in port.get_names()}
        return Prediction(named[OUTPUT], named.get(OPTIONAL_OUTPUT))

    def _release(self) -> None:
        self._requests.clear()
        self._core = None

    def _read(self) -> Any:
        if not self._path.is_file():
            raise ModelError(f'{self._path}: no such model file')
        frontend = self._ov.frontend.FrontEndManager().load_by_framework('onnx')
        try:
            return frontend.convert(frontend.load(str(self._path)))
        except Exception as error:  # of the frontend's own types
            # Its words for a file that is no protobuf; others name an operator.
            if 'parse' in last_line(error):
                raise not_a_model(self._path) from error
            raise EngineError(
                f'{self._path}: OpenVINO cannot read it: {last_line(error)}'
            ) from error

    def _request(self, batch: int) -> Any:
        """Return the infer request for ``batch``, compiling the network where it is new."""
        if batch in self._requests:
            return self._requests[batch]
        network, size = self._read(), [self.info.height, self.info.width]
        network.reshape(dict(zip(INPUTS, ([batch, 3, *size], [batch, 1, *size]))))
        options = dict(self._options)
        weights = _count_weights(network)
        if not weights:
            # Filling in metres alone: bf16 would cost centimetres there.
            options['INFERENCE_PRECISION_HINT'] = 'f32'
        if batch == 1 and (not weights or (weights < _LIGHT and cores() == 2)):
            # Small steps, of which a second thread takes its core from the camera: on two cores
            # the fill gains a tenth alone, and the node loses a tenth of its frames.
            options.setdefault('INFERENCE_NUM_THREADS', 1)
        self._requests[batch] = self._compile(network, options).create_infer_request()
        return self._requests[batch]

    def _compile(self, network: Any, options: dict[str, Any]) -> Any:
        cache = cache_folder() / 'openvino'
        try:
            cache.mkdir(parents=True, exist_ok=True)
            return self._core.compile_model(network, 'CPU', {**options, 'CACHE_DIR': str(cache)})
        except (OSError, RuntimeError) as error:
            _LOG.info('%s: compiled without the cache %s: %s', self._path, cache, last_line(error))
        try:
            return self._core.compile_model(network, 'CPU', options)
        except RuntimeError as error:
            raise EngineError(
                f'{self._path}: OpenVINO cannot compile it: {last_line(error)}'
            ) from error


def _count_weights(network: Any) -> int:
    layers = [one for one in network.get_ops() if one.get_type_name() in _WITH_WEIGHTS]
    return sum(math.prod(one.input(1).get_shape()) for one in layers)


def choose_precision(precision: str, info: ModelInfo, has_bf16: bool) -> str:
    """Return ``fp32`` or ``bf16`` for the asked precision; EngineError where it is not there."""
    auto = 'bf16' if has_bf16 and info.low_precision_safe else 'fp32'
    chosen = pick_precision(precision, OpenVinoEngine.backend, ('fp32', 'bf16'), auto)
    if chosen == 'bf16' and not has_bf16:
        raise PrecisionError('this CPU has no bf16 arithmetic; use precision fp32 or auto')
    return chosen


def import_openvino() -> Any:
    """Return the package, which sends nothing; EngineError where it is not installed."""
    # On import it reports to Google Analytics, from a clone of the process that may outlive it.
    # Where its telemetry cannot be imported, a stub of its own takes the place.
    silenced = 'openvino_telemetry' not in sys.modules
    if silenced:
        sys.modules['openvino_telemetry'] = None  # type: ignore[assignment]
    try:
        import openvino
        import openvino.frontend
    except ImportError as error:
        raise EngineError(
            f'backend openvino needs the openvino package ({error}); '
            f'install it with: {pip_install("openvino")}'
        ) from error
    finally:
        if silenced:
            sys.modules.pop('openvino_telemetry', None)
    return openvino
