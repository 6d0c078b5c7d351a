# SPDX-License-Identifier: Apache-2.0
"""Import TensorRT or TensorRT for RTX, with one interface for 10.3 to 11.x and RTX 1.x."""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from typing import Any

from magadepth_ros.errors import EngineError

_LOG = logging.getLogger('magadepth_ros.tensorrt')

FULL, RTX = 'tensorrt', 'tensorrt-rtx'
OLDEST = (10, 3)
"""The TensorRT of JetPack 6.2."""

_INSTALL = {
    FULL: 'on a desktop: pip install tensorrt; on a Jetson it comes with JetPack '
    '(apt install python3-libnvinfer)',
    RTX: 'pip install tensorrt-rtx-cu12-bindings tensorrt-rtx-cu12-libs',
}


@dataclass(frozen=True)
class TensorRtLibrary:
    """An imported TensorRT; ``name`` is ``tensorrt`` or ``tensorrt-rtx``."""

    name: str
    version: str
    module: Any

    @property
    def portable(self) -> bool:
        """Whether its engines run on GPUs other than the one that built them."""
        return self.name == RTX

    def logger(self) -> Any:
        """
        Return a TensorRT logger that writes to Python's logging.

        Its ``last_error`` has the reason where a call of TensorRT returned None.
        """
        trt = self.module
        levels = {
            trt.ILogger.INTERNAL_ERROR: logging.ERROR,
            trt.ILogger.ERROR: logging.ERROR,
            trt.ILogger.WARNING: logging.INFO,
            trt.ILogger.INFO: logging.DEBUG,
        }

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.last_error = ''

            def log(self, severity: Any, message: str) -> None:
                level = levels.get(severity, 0)
                if level == logging.ERROR:
                    self.last_error = message
                if level:
                    _LOG.log(level, '%s', message)

        return Logger()


def load_library(name: str = 'auto') -> TensorRtLibrary:
    """
    Import ``tensorrt``, ``tensorrt-rtx``, or for ``auto`` the first of them that is installed.

    Raises
    ------
    EngineError
        it is not installed, or too old.

    """
    if name not in ('auto', FULL, RTX):
        raise EngineError(f'unknown builder {name!r}; use auto, {FULL} or {RTX}')
    reasons = []
    for candidate in (FULL, RTX) if name == 'auto' else (name,):
        try:
            return _load(candidate)
        except (ImportError, OSError, RuntimeError, EngineError) as error:
            reasons.append(f'{candidate}: {error} ({_INSTALL[candidate]})')
    raise EngineError('TensorRT cannot be used: ' + '; '.join(reasons))


def _load(name: str) -> TensorRtLibrary:
    if name == RTX:
        try:
            module = importlib.import_module('tensorrt_rtx')
        except ImportError:
            # The wheels of 1.7 hold two packages, of which the first loads the libraries.
            importlib.import_module('tensorrt_rtx_libs')
            module = importlib.import_module('tensorrt_rtx_bindings')
        return TensorRtLibrary(RTX, str(module.__version__), module)
    module = importlib.import_module('tensorrt')
    version = str(module.__version__)
    if tuple(int(part) for part in version.split('.')[:2]) < OLDEST:
        raise EngineError(f'version {version} is too old, 10.3 or newer is needed')
    return TensorRtLibrary(FULL, version, module)
