# SPDX-License-Identifier: Apache-2.0
"""Sensor models: from the complete depth of a scene to the depth that a camera measures."""

from magadepth_training.sensors.config import (
    ActiveStereoConfig,
    SensorConfig,
    SparseConfig,
    StructuredLightConfig,
    ToFConfig,
)
from magadepth_training.sensors.simulate import KINDS, simulate

__all__ = [
    'KINDS',
    'ActiveStereoConfig',
    'SensorConfig',
    'SparseConfig',
    'StructuredLightConfig',
    'ToFConfig',
    'simulate',
]
