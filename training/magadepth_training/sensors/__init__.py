# SPDX-License-Identifier: Apache-2.0
"""Sensor models: from complete depth to what cameras deliver, and ways to hide measured pixels."""

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
