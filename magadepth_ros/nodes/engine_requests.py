# SPDX-License-Identifier: Apache-2.0
"""The engine that the node's parameters request, and the build of ``build_only``."""

from __future__ import annotations

from collections.abc import Callable

from magadepth_ros.engines.build_request import find_gpu
from magadepth_ros.engines.building import build_only, each_tenth
from magadepth_ros.engines.opening import ON_GPU, EngineRequest
from magadepth_ros.errors import describe
from magadepth_ros.nodes.logger import ThreadLogger
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.resources import AUTO_MODEL, auto_model, find_model


def engine_request(parameters: NodeParameters) -> EngineRequest:
    """Return the engine request of the parameters; ModelError where the model is missing."""
    model = parameters.model
    if model == AUTO_MODEL:
        on_gpu = parameters.backend in ON_GPU or (
            parameters.backend in ('auto', 'torch') and find_gpu() is not None
        )
        model = auto_model(on_gpu)
    return EngineRequest(
        find_model(model),
        parameters.backend,
        parameters.precision,
        parameters.threads,
        len(parameters.camera_names()),
    )


def build_engine(
    parameters: NodeParameters, logger: ThreadLogger, cancelled: Callable[[], bool]
) -> int:
    """Build the engine of the parameters into the cache; return the exit code, 0 or 2."""
    try:
        request, say = engine_request(parameters), each_tenth(logger.info)
        path = build_only(request.model, request.precision, request.batch, say, cancelled)
    # The process reports any exception of a builder, and exits with 2.
    except Exception as error:
        if cancelled():
            return 0
        logger.error(f'engine not built: {describe(error)}')
        return 2
    logger.info(f'engine built: {path}')
    return 0
