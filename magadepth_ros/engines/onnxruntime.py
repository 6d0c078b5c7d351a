# SPDX-License-Identifier: Apache-2.0
"""Runs a model on the CPU with ONNX Runtime, which distributions package (python3-onnxruntime)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.engines.engine import (
    Engine,
    Prediction,
    blank_batch,
    last_line,
    pick_precision,
)
from magadepth_ros.engines.metadata import INPUTS, OPTIONAL_OUTPUT, OUTPUT, model_info, not_a_model
from magadepth_ros.errors import EngineError, ModelError, pip_install


class OnnxRuntimeEngine(Engine):
    """
    A model as an ONNX Runtime session on the CPU, tuned for the latency of one frame.

    It computes in float32, as other precisions are slow on a CPU. With ``exact`` each float16
    result inside is rounded as on a GPU, and no operators are merged. That is slow; it serves to
    check the results of a GPU, and needs the onnx package.

    Raises
    ------
    ModelError
        the file is missing, truncated or no magadepth model.
    EngineError
        ONNX Runtime is not installed, cannot run the model, or does not have the precision.

    """

    backend = 'onnxruntime'

    def __init__(
        self,
        model: Path | str,
        precision: str = 'auto',
        threads: int = 0,
        batch: int = 1,
        exact: bool = False,
    ) -> None:
        self.precision = pick_precision(precision, self.backend, ('fp32',), 'fp32')
        path = Path(model)
        self._session: Any = _open(path, threads, exact)
        shapes = {port.name: port.shape for port in self._session.get_inputs()}
        self._outputs = [port.name for port in self._session.get_outputs()]
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.info = model_info(path, metadata, shapes, self._outputs)
        # A free batch size is a name or None.
        self.largest_batch = 1 if isinstance(shapes[INPUTS[1]][0], int) else None
        self.infer(*blank_batch(self.info, batch))

    def _run(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        try:
            found = self._session.run(self._outputs, dict(zip(INPUTS, (rgb, depth))))
        except Exception as error:
            # ONNX Runtime's exceptions share no public base class.
            raise EngineError(
                f'{self.info.network}: ONNX Runtime failed: {last_line(error)}'
            ) from error
        named = dict(zip(self._outputs, found))
        return Prediction(named[OUTPUT], named.get(OPTIONAL_OUTPUT))

    def _release(self) -> None:
        self._session = None


def _open(path: Path, threads: int, exact: bool) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f'backend onnxruntime needs the onnxruntime package ({error}); install it with: '
            f'{pip_install("onnxruntime")}'
        ) from error
    if not path.is_file():
        raise ModelError(f'{path}: no such model file')
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    # Spinning threads would take processor time from the camera's driver.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    network: str | bytes = str(path)
    if exact:
        from magadepth_ros.engines.precision import rounded

        network = rounded(path)
        level = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = level.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(network, options, providers=['CPUExecutionProvider'])
    except Exception as error:
        if type(error).__name__ == 'InvalidProtobuf' or 'No graph' in str(error):
            raise not_a_model(path) from error
        raise EngineError(f'{path}: ONNX Runtime cannot open it: {last_line(error)}') from error
