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
_WITH_WEIGHTS = {'Convolution', 'ConvolutionBackpropData', 'GroupConvolution', 'MatMul'}


class OpenVinoEngine(Engine):
    """
    A model compiled for the CPU, tuned for the latency of one frame.

    ``precision`` is ``fp32``, ``bf16``, or ``auto``: bf16 where the CPU has it and the model's
    metadata call it safe. (OpenVINO's own default is bf16 wherever the CPU has it, whose error is
    about 0.4 % of the output for an ordinary network.)

    Raises
    ------
    ModelError
        the file is missing, truncated or no magadepth model.
    EngineError
        OpenVINO is not installed, cannot run the model, or does not have the precision.

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
        place = ['framework']  # OpenVINO stores the metadata of an ONNX here
        metadata = network.get_rt_info(place).value if network.has_rt_info(place) else {}
        self._outputs = [port.any_name for port in network.outputs]
        self.info = model_info(self._path, metadata, shapes, self._outputs)
        capabilities = self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        wanted = choose_precision(precision, self.info, 'BF16' in capabilities)
        size = [self.info.height, self.info.width]
        network.reshape(dict(zip(INPUTS, ([1, 3, *size], [1, 1, *size]))))
        self._network = network
        weights = _count_weights(network)
        # Without weights the network is a fill in metres: bf16 would cost centimetres.
        self._precision_hint = _HINTS[wanted] if weights else 'f32'
        self._threads = threads
        # A fill alone gains a tenth by a second thread, and the node loses a tenth of its frames.
        self._one_thread = not threads and not weights
        self._requests: dict[int, list[Any]] = {}
        for count in (batch, 1):
            requests = self._requests_for(count)
        used = requests[0].get_compiled_model().get_property('INFERENCE_PRECISION_HINT')
        self.precision = _NAMES.get(used.to_string(), used.to_string())
        if self.precision != wanted:
            _LOG.warning('%s: requested %s, OpenVINO uses %s', model, wanted, self.precision)

    def _run(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        count = len(rgb)
        found = {name: np.empty(depth.shape, np.float32) for name in self._outputs}
        requests = self._requests_for(count)
        try:
            for first in range(0, count, len(requests)):
                going = list(zip(requests, range(first, count)))
                for request, i in going:
                    frame = rgb[i : i + 1], depth[i : i + 1]
                    # Shared inputs: OpenVINO reads the arrays in place.
                    request.start_async(dict(zip(INPUTS, frame)), share_inputs=True)
                for request, i in going:
                    request.wait()
                    # Outputs are copied, because a view would change at the next frame.
                    for name, array in found.items():
                        array[i] = request.get_tensor(name).data[0]
        except RuntimeError as error:
            raise EngineError(f'{self._path}: OpenVINO failed: {last_line(error)}') from error
        return Prediction(found[OUTPUT], found.get(OPTIONAL_OUTPUT))

    def _release(self) -> None:
        self._requests.clear()
        self._network = self._core = None

    def _read(self) -> Any:
        if not self._path.is_file():
            raise ModelError(f'{self._path}: no such model file')
        frontend = self._ov.frontend.FrontEndManager().load_by_framework('onnx')
        try:
            return frontend.convert(frontend.load(str(self._path)))
        except Exception as error:  # exceptions of the frontend
            # This message means that the file is no protobuf; others name an operator.
            if 'parse' in last_line(error):
                raise not_a_model(self._path) from error
            raise EngineError(
                f'{self._path}: OpenVINO cannot read it: {last_line(error)}'
            ) from error

    def _requests_for(self, count: int) -> list[Any]:
        """
        Return the requests that complete ``count`` frames in parallel.

        The frames of a batch share the cores, a frame each: in one request of the whole batch the
        threads would wait for each other at every one of a thousand small steps. The network is
        compiled where the number of requests is new.
        """
        streams = min(count, self._threads or cores())
        if self._one_thread and self._requests:
            streams = max(streams, *self._requests)  # each has one thread, however many there are
        if streams not in self._requests:
            options = {
                'PERFORMANCE_HINT': 'LATENCY' if streams == 1 else 'THROUGHPUT',
                'NUM_STREAMS': streams,
                'INFERENCE_NUM_THREADS': streams if self._one_thread else self._threads or cores(),
                'INFERENCE_PRECISION_HINT': self._precision_hint,
                # The scheduler moves a thread away from a core that the camera's driver needs.
                'ENABLE_CPU_PINNING': False,
            }
            compiled = self._compile(self._network, options)
            self._requests[streams] = [compiled.create_infer_request() for _ in range(streams)]
        return self._requests[streams]

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
    """Return ``fp32`` or ``bf16`` for the requested precision; EngineError if the CPU lacks it."""
    auto = 'bf16' if has_bf16 and info.low_precision_safe else 'fp32'
    chosen = pick_precision(precision, OpenVinoEngine.backend, ('fp32', 'bf16'), auto)
    if chosen == 'bf16' and not has_bf16:
        raise PrecisionError('this CPU has no bf16 arithmetic; use precision fp32 or auto')
    return chosen


def import_openvino() -> Any:
    """Import openvino without its telemetry; EngineError where it is not installed."""
    # On import it reports to Google Analytics, from a fork that may outlive this process. Where
    # its telemetry package cannot be imported, OpenVINO uses its own stub.
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
