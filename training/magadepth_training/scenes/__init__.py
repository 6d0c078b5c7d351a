# SPDX-License-Identifier: Apache-2.0
"""Procedural indoor RGB-D scenes in batched torch, on a GPU or a CPU."""

from magadepth_training.scenes.batch import SceneBatch, SceneConfig
from magadepth_training.scenes.generate import generate_scenes

__all__ = ['SceneBatch', 'SceneConfig', 'generate_scenes']
