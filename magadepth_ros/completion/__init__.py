# SPDX-License-Identifier: Apache-2.0
"""Depth completion of NumPy arrays, without ROS and without torch."""

from magadepth_ros.completion.completer import Completer, Completion
from magadepth_ros.completion.settings import CompletionSettings

__all__ = ['Completer', 'Completion', 'CompletionSettings']
