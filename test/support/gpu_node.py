# SPDX-License-Identifier: Apache-2.0
"""completion_node on a GPU made of host memory, whose build waits for a file."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from support.gpu import HostCuda, HostTensorRt

from magadepth_ros.engines import building
from magadepth_ros.engines.build_request import BuildRequest
from magadepth_ros.errors import EngineError
from magadepth_ros.nodes.completion_node import CompletionNode
from magadepth_ros.nodes.process import run

GO_ON = Path(os.environ['GO_ON'])
"""The build waits until this file is there."""

CUDA = HostCuda()
TRT = HostTensorRt(CUDA)


def request_build(model, precision='auto', batch=1):
    """Ask for an engine for that GPU."""
    return BuildRequest(Path(model), TRT.library(), CUDA, precision, batch).resolved()


def build(typed, request, progress, cancelled):
    """Hand the ONNX on as the engine, when the test says so."""
    while not GO_ON.exists():
        progress('timing kernels', 0.4)
        if cancelled():
            raise EngineError('cancelled')
        time.sleep(0.02)
    return Path(typed).read_bytes(), {'layers': 20}


if __name__ == '__main__':
    building.request_build, building.build_engine = request_build, build
    sys.exit(run(CompletionNode))
