# SPDX-License-Identifier: Apache-2.0
"""Depth completion, arrays in and arrays out: no ROS, no torch."""

from magadepth_ros.completion.completer import Completer, Completion
from magadepth_ros.completion.settings import CompletionSettings

__all__ = ['Completer', 'Completion', 'CompletionSettings']
