# SPDX-License-Identifier: Apache-2.0
"""Lets every test import ``support``, the helpers beside this file."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from hypothesis import HealthCheck, settings

# A busy machine is no fault: nothing fails because making or running an example took long.
settings.register_profile('untimed', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('untimed')

sys.path.insert(0, str(Path(__file__).parent))
# Tests that import OpenVINO themselves report to nobody either.
sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]

# The training is an extra: where there is no torch (`colcon test` on a robot), it is not tested.
# Its evaluation needs none.
collect_ignore = (
    []
    if find_spec('torch')
    else [str(p) for p in Path(__file__).parent.glob('training/*') if p.name != 'evaluation']
)


def pytest_report_header() -> list[str]:
    return ['torch is not installed: the training is not tested'] if collect_ignore else []
