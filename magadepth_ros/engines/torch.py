# SPDX-License-Identifier: Apache-2.0
"""Run a model with PyTorch, on CUDA or the CPU; the only runtime file that needs torch."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from magadepth_ros.engines.engine import (
    Engine,
    ModelInfo,
    Prediction,
    blank_batch,
    pick_precision,
)
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.errors import EngineError, pip_install_extra

_LOG = logging.getLogger(__name__)


class TorchEngine(Engine):
    """
    A network of magadepth_training, optimised for one input size.

    On CUDA the weights are channels-last, the network runs in float16 or bfloat16 by autocast
    (its own float32 parts stay float32) and each batch size is recorded as a CUDA graph.

    ``model`` is ``<name>.safetensors``, or the ``<name>.onnx`` that lies beside it. ``precision``
    is ``fp32``, ``fp16`` (CUDA only), ``bf16``, or ``auto``: fp16 on CUDA where the model's
    metadata calls low precision safe, else fp32. ``threads`` holds for the whole process.
    ``device`` is ``cuda``, ``cpu``, or ``auto``: CUDA where it works.

    Raises
    ------
    EngineError
        torch or magadepth_training is not installed, there are no weights beside the model, or the
        device or precision is missing.

    """

    def __init__(
        self,
        model: Path | str,
        precision: str = 'auto',
        threads: int = 0,
        batch: int = 1,
        device: str = 'auto',
    ) -> None:
        try:
            import torch

            from magadepth_training.weights import load_network
        except ImportError as error:
            raise EngineError(
                f'backend torch needs torch and the training package ({error}); '
                f'{pip_install_extra("train")}, or use backend openvino'
            ) from error
        onnx, weights = (Path(model).with_suffix(end) for end in ('.onnx', '.safetensors'))
        if not weights.is_file():
            raise EngineError(
                f'{weights}: no such file; backend torch needs the weights beside the ONNX: put '
                'them there, or use another backend'
            )
        network = load_network(weights)
        self.info = read_model_info(onnx) if onnx.is_file() else _info_of(network.config)
        works = torch.cuda.is_available()
        if device == 'cuda' and not works:
            raise EngineError('torch finds no CUDA GPU; use device cpu, or backend openvino')
        self._torch = torch
        self._cuda = works and device != 'cpu'
        self._device = torch.device('cuda' if self._cuda else 'cpu')
        self.backend = f'torch-{self._device.type}'
        low = 'fp16' if self._cuda and self.info.low_precision_safe else 'fp32'
        allowed = ('fp32', 'fp16', 'bf16') if self._cuda else ('fp32', 'bf16')
        self.precision = pick_precision(precision, self.backend, allowed, low)
        if threads > 0 and not self._cuda:
            torch.set_num_threads(threads)
        if self._cuda:
            torch.backends.cudnn.benchmark = True
        self._graphs: dict[int, _Graph] = {}
        try:
            network = network.to(self._device, memory_format=torch.channels_last).eval()
        except RuntimeError as error:  # no free memory, or a GPU that this PyTorch lacks
            raise _failure(error) from error
        self._network: Any = network
        self.infer(*blank_batch(self.info, batch))

    def forward(self, rgb: Any, depth: Any) -> tuple[Any, Any]:
        """Run the network on tensors of its device; returns float32 depth and log-variance."""
        torch = self._torch
        low = {'fp16': torch.float16, 'bf16': torch.bfloat16}.get(self.precision)
        # Autocast would free its cache of cast weights while a recorded graph still reads it.
        cast = low and torch.autocast(self._device.type, dtype=low, cache_enabled=False)
        with torch.inference_mode(), cast or nullcontext():
            found = self._network(rgb.contiguous(memory_format=torch.channels_last), depth)
        variance = found.log_variance
        return found.depth.float(), None if variance is None else variance.float()

    def _run(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        inputs = [self._torch.from_numpy(array) for array in (rgb, depth)]
        try:
            found = self._graph(len(rgb)).run(*inputs) if self._cuda else self.forward(*inputs)
        except RuntimeError as error:
            raise _failure(error) from error
        metres, variance = (None if t is None else t.cpu().numpy() for t in found)
        assert metres is not None
        return Prediction(metres, variance)

    def _release(self) -> None:
        self._network = None
        self._graphs.clear()
        if self._cuda:
            self._torch.cuda.empty_cache()

    def _graph(self, batch: int) -> _Graph:
        if batch not in self._graphs:
            self._graphs[batch] = _Graph(self, self._torch, batch, self._device)
        return self._graphs[batch]


class _Graph:
    """One batch size on CUDA: fixed buffers, and a graph recorded with them."""

    def __init__(self, engine: TorchEngine, torch: Any, batch: int, device: Any) -> None:
        size = (engine.info.height, engine.info.width)
        self._host = [torch.zeros(batch, c, *size).pin_memory() for c in (3, 1)]
        self._inputs = [torch.zeros(batch, c, *size, device=device) for c in (3, 1)]
        self._inputs[1].fill_(1.0)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # cuDNN has to choose its kernels before the recording
                engine.forward(*self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        self._engine = engine
        self._graph: Any = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(self._graph):
                self._outputs = engine.forward(*self._inputs)
        except RuntimeError as error:
            _LOG.warning('runs without a CUDA graph: %s', str(error).splitlines()[0])
            self._graph = None

    def run(self, rgb: Any, depth: Any) -> tuple[Any, Any]:
        for host, device, given in zip(self._host, self._inputs, (rgb, depth)):
            host.copy_(given)
            device.copy_(host, non_blocking=True)
        if self._graph is None:
            return self._engine.forward(*self._inputs)
        self._graph.replay()
        return self._outputs


def _failure(error: RuntimeError) -> EngineError:
    # After the first line PyTorch gives advice on debugging.
    return EngineError(f'torch failed: {str(error).splitlines()[0]}')


def _info_of(config: Any) -> ModelInfo:
    """Return the metadata of weights that have no ONNX beside them."""
    limits = config.height, config.width, config.min_depth, config.max_depth
    return ModelInfo(config.name, *limits, 'in the network', 'unknown', 'unknown', 'unknown')
