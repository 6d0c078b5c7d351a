# SPDX-License-Identifier: Apache-2.0
"""The exceptions of the library: each names the expected value, the actual one and the remedy."""

from __future__ import annotations

import sys


class MagadepthError(Exception):
    """Base of every error raised on purpose; a command prints it as one line and exits with 2."""


class DataError(MagadepthError):
    """A file, folder or array that was given is missing, broken or of the wrong form."""


class TopicError(DataError):
    """A bag has no topic, or several, that could be the one of ``kind`` (rgb or depth)."""

    def __init__(self, message: str, kind: str = '') -> None:
        super().__init__(message)
        self.kind = kind


class ShapeError(DataError):
    """Colour and depth do not belong to one camera: their shapes differ."""


class RegistrationError(DataError):
    """Depth cannot be registered: data are missing, or not supported."""


class EncodingError(MagadepthError):
    """A message's encoding, size or data cannot be read as the image it claims to be."""


class UnknownEncodingError(EncodingError):
    """An image's encoding is none of those that its stream can have."""


class SwappedError(EncodingError):
    """The colour stream carries depth and the depth stream carries colour."""


class ModelError(MagadepthError):
    """A model file is missing, broken or lacks the metadata that says how to use it."""


class EngineError(MagadepthError):
    """A runtime is not installed, or failed to open, build or run a model."""


class PrecisionError(EngineError):
    """A runtime works, but not in the requested precision."""


def describe(error: Exception) -> str:
    """Return any exception as one line; the type is named unless it is a `MagadepthError`."""
    name = type(error).__name__
    return str(error) or name if isinstance(error, MagadepthError) else f'{name}: {error}'


def pip_install(what: str) -> str:
    """Return the line that installs a package into the Python that runs now."""
    return f'{sys.executable} -m pip install "{what}"'


def pip_install_extra(extra: str) -> str:
    """Return the line that installs what an extra of this package brings."""
    return pip_install(f'magadepth_ros[{extra}]')
