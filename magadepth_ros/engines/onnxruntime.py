# SPDX-License-Identifier: Apache-2.0
"""Runs a model on the CPU with ONNX Runtime, which distributions package (python3-onnxruntime)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.engines.arrays import as_inputs, in_parts, last_line
from magadepth_ros.engines.engine import Prediction
from magadepth_ros.engines.metadata import INPUTS, OPTIONAL_OUTPUT, OUTPUT, model_info, not_a_model
from magadepth_ros.errors import EngineError, ModelError, PrecisionError, pip_install


class OnnxRuntimeEngine:
    """
    A model as an ONNX Runtime session on the CPU, tuned for the latency of one frame.

    Parameters
    ----------
    model:
        path of an ONNX with the metadata of a magadepth model.
    precision:
        ``fp32`` or ``auto``, which is the same: no other arithmetic is fast there.
    threads:
        CPU threads, 0 = all cores.
    batch:
        frames that are inferred once for a start.
    exact:
        round each float16 result inside as a GPU does, and nothing is merged: slow, to check what
        a GPU would compute. Needs the onnx package.

    Raises
    ------
    ModelError
        the file is missing, truncated or no magadepth model.
    EngineError
        ONNX Runtime is not installed, or cannot run the model or has not the precision.

    """

    backend, precision = 'onnxruntime', 'fp32'

    def __init__(
        self,
        model: Path | str,
        precision: str = 'auto',
        threads: int = 0,
        batch: int = 1,
        exact: bool = False,
    ) -> None:
        if precision not in ('auto', 'fp32'):
            raise PrecisionError(
                f'precision {precision!r} is not there on onnxruntime; use auto or fp32'
            )
        self._path = Path(model)
        self._session: Any = self._open(threads, exact)
        shapes = {port.name: port.shape for port in self._session.get_inputs()}
        self._outputs = [port.name for port in self._session.get_outputs()]
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.info = model_info(self._path, metadata, shapes, self._outputs)
        size = [self.info.height, self.info.width]
        if list(shapes[INPUTS[1]][2:]) != size:
            raise EngineError(
                f'{model}: expected an input of (N, 1, {size[0]}, {size[1]}), as its metadata '
                f'says, found {shapes[INPUTS[1]]}'
            )
        # A batch that is free has a name, or none.
        self._one_by_one = isinstance(shapes[INPUTS[1]][0], int)
        self.infer(
            np.zeros((batch, 3, *size), np.float32),
            np.full((batch, 1, *size), self.info.min_depth + 1, np.float32),
        )

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        """Run the network; see :class:`magadepth_ros.engines.engine.Engine`."""
        if self._session is None:
            raise EngineError(f'{self._path}: this engine is closed; open it again')
        rgb, depth = as_inputs(self.info, rgb, depth)
        return in_parts(self._run, rgb, depth, 1 if self._one_by_one else len(rgb))

    def close(self) -> None:
        """Release the session."""
        self._session = None

    def _run(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        try:
            found = self._session.run(self._outputs, dict(zip(INPUTS, (rgb, depth))))
        except Exception as error:
            # ONNX Runtime's exceptions share no public base class.
            raise EngineError(f'{self._path}: ONNX Runtime failed: {last_line(error)}') from error
        named = dict(zip(self._outputs, found))
        return Prediction(named[OUTPUT], named.get(OPTIONAL_OUTPUT))

    def _open(self, threads: int, exact: bool) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                f'backend onnxruntime needs the onnxruntime package ({error}); install it with: '
                f'{pip_install("onnxruntime")}'
            ) from error
        if not self._path.is_file():
            raise ModelError(f'{self._path}: no such model file')
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        # Threads that wait busily would take the camera's core.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        network: str | bytes = str(self._path)
        if exact:
            from magadepth_ros.engines.precision import rounded

            network = rounded(self._path)
            level = onnxruntime.GraphOptimizationLevel
            options.graph_optimization_level = level.ORT_DISABLE_ALL
        try:
            return onnxruntime.InferenceSession(
                network, options, providers=['CPUExecutionProvider']
            )
        except Exception as error:
            if type(error).__name__ == 'InvalidProtobuf' or 'No graph' in str(error):
                raise not_a_model(self._path) from error
            raise EngineError(
                f'{self._path}: ONNX Runtime cannot open it: {last_line(error)}'
            ) from error
