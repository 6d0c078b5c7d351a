# SPDX-License-Identifier: Apache-2.0
"""Commands that start this package's nodes, and the environment that they need."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def node_command(
    name: str, parameters: dict[str, Any], remappings: dict[str, str] | None = None
) -> list[str]:
    """Return the command line of a node of ``magadepth_ros/nodes``, by its module's name."""
    command = [sys.executable, '-m', f'magadepth_ros.nodes.{name}', '--ros-args']
    for key, value in parameters.items():
        # JSON is YAML: a folder named 42 stays a string.
        command += ['-p', f'{key}:={json.dumps(value)}']
    for old, new in (remappings or {}).items():
        command += ['-r', f'{old}:={new}']
    return command


def prepare_environment(logs: Path) -> None:
    """
    Restrict ROS to this machine and a domain of its own, unless the user has set other values.

    ``logs`` is the folder of ROS's logs where no home folder is set.
    """
    from magadepth_ros.nodes.dds import use_shipped_profile

    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    if os.environ.get('ROS_DISTRO') == 'humble':
        os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')
    else:
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    if 'HOME' not in os.environ:
        os.environ.setdefault('ROS_LOG_DIR', str((logs / 'ros').resolve()))
    os.environ.setdefault('PYTHONUNBUFFERED', '1')
    use_shipped_profile()
