# SPDX-License-Identifier: Apache-2.0
"""Opens the model that the node's parameters name."""

from __future__ import annotations

from collections.abc import Callable

from magadepth_ros.completion.completer import Completer
from magadepth_ros.engines import open_engine
from magadepth_ros.engines.swapping import BuildStatus
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.resources import find_model

OpenCompleter = Callable[[NodeParameters, Callable[[BuildStatus], None]], Completer]


def open_completer(
    parameters: NodeParameters, progress: Callable[[BuildStatus], None]
) -> Completer:
    """
    Open the model that the parameters name, at once.

    A TensorRT engine that is not in the cache is built in the background, of which ``progress``
    is told, while OpenVINO serves.
    """
    engine = open_engine(
        find_model(parameters.model),
        backend=parameters.backend,
        precision=parameters.precision,
        threads=parameters.threads,
        batch=len(parameters.camera_names()),
        progress=progress,
    )
    return Completer(engine, parameters.completion())
