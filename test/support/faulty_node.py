# SPDX-License-Identifier: Apache-2.0
"""completion_node with an engine that fails on purpose, for live tests of what follows."""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

import numpy as np

from magadepth_ros.engines.engine import Prediction
from magadepth_ros.engines.opening import EngineRequest, Offer, open_for_service
from magadepth_ros.errors import EngineError
from magadepth_ros.nodes.completion_node import CompletionNode
from magadepth_ros.nodes.process import run

FAULT = os.environ.get('FAULT', 'none')
"""``every:N``, ``slow:S``, ``broken``, ``nan``, ``hang`` while BREAK is there; ``slow_open:S``."""
BREAK = Path(os.environ.get('BREAK', '/nonexistent'))

_calls = itertools.count(1)


class FaultyEngine:
    """Wraps a real engine."""

    def __init__(self, engine) -> None:
        self._engine = engine
        self.info, self.backend, self.precision = engine.info, engine.backend, engine.precision

    def infer(self, rgb: np.ndarray, depth: np.ndarray) -> Prediction:
        kind, _, value = FAULT.partition(':') if BREAK.exists() else ('none', '', '')
        if kind == 'broken':
            raise EngineError('the device is gone')
        if kind == 'every' and next(_calls) % int(value) == 0:
            raise RuntimeError('a failure out of the blue')
        if kind == 'hang':
            time.sleep(3600)
        if kind == 'slow':
            time.sleep(float(value))
        prediction = self._engine.infer(rgb, depth)
        if kind == 'nan':
            return Prediction(np.full_like(prediction.depth, np.nan), prediction.log_variance)
        return prediction

    def close(self) -> None:
        self._engine.close()


def faulty(request: EngineRequest, gpu: bool) -> Offer:
    """Open as the node does, slowly with FAULT=slow_open:S."""
    kind, _, value = FAULT.partition(':')
    if kind == 'slow_open':
        time.sleep(float(value))
    return Offer(FaultyEngine(open_for_service(request, gpu).engine))


if __name__ == '__main__':
    sys.exit(run(lambda: CompletionNode(faulty)))
