# SPDX-License-Identifier: Apache-2.0
"""Fuse the generator's pixel work into few kernels with torch.compile, where that works."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch


class Fused:
    """A function compiled at its first call; where compiling fails, the function itself."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Wrap a function of tensors (and dataclasses of them) without side effects."""
        self.function = function
        self.compiled: Callable[..., Any] | None = torch.compile(function)

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        if self.compiled is not None:
            try:
                return self.compiled(*arguments)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # a missing compiler shows as one of many kinds of error
                self.compiled = None
                warnings.warn(
                    f'scenes: {self.function.__name__} could not be compiled '
                    f'({type(error).__name__}), it runs unfused, several times slower; '
                    'a C++ compiler (CPU) or Triton (GPU) is needed',
                    stacklevel=2,
                )
        return self.function(*arguments)


fused = lru_cache(maxsize=None)(Fused)
"""One compiled function per function, for the whole process."""
EVERYTHING = 1 << 60
"""Ray-primitive pairs at once: a fused kernel keeps none of them in memory."""
