# SPDX-License-Identifier: Apache-2.0
"""
Start a node's program; a signal ends it silently while its modules are still imported.

This module imports nothing that takes time.
"""

from __future__ import annotations

import importlib
import os
import signal


def completion_node() -> int:
    """Run the node that completes depth."""
    return _run('magadepth_ros.nodes.completion_node')


def simulated_camera() -> int:
    """Run the simulated camera."""
    return _run('magadepth_ros.nodes.simulated_camera')


def _run(module: str) -> int:
    # A KeyboardInterrupt during an import prints a traceback, or is lost in compiled code.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    return int(importlib.import_module(module).main() or 0)
