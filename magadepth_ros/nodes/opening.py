# SPDX-License-Identifier: Apache-2.0
"""Opens the model that the node's parameters name, warms it up, and does so in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

import numpy as np

from magadepth_ros.completion.completer import Completer
from magadepth_ros.engines import open_engine
from magadepth_ros.engines.swapping import BuildStatus
from magadepth_ros.nodes.build_log import BuildLog
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.resources import find_model

T = TypeVar('T')
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


def open_warm(
    opener: OpenCompleter, parameters: NodeParameters, build: BuildLog
) -> tuple[Completer, float]:
    """
    Open an engine and let it work once; return it and the seconds of that inference.

    The first inference of a size prepares the runtime for it, which can take seconds: one to as
    many frames as there are cameras, whose pairs come together or apart.
    """
    completer = opener(parameters, build)
    info = completer.engine.info
    rgb = np.full((info.height, info.width, 3), 127, np.uint8)
    depth = np.full(rgb.shape[:2], sum(completer.depth_range) / 2, np.float32)
    seconds = 0.0
    try:
        for count in range(1, len(parameters.camera_names()) + 1):
            begin = monotonic()
            completer.complete_batch([(rgb, depth)] * count)
            seconds = monotonic() - begin
    except BaseException:
        build.end()
        completer.close()
        raise
    return completer, seconds


def in_thread(work: Callable[[], T], name: str, keep_on: Callable[[], bool]) -> T | None:
    """
    Return what ``work`` returns, or raise what it raises, from a thread of its own.

    None once ``keep_on``, asked ten times a second, says False; the thread is left alone then.
    """
    returned: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(work())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
        if not keep_on():
            return None
    if raised:
        raise raised[0]
    return returned[0]
