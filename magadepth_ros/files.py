# SPDX-License-Identifier: Apache-2.0
"""Check paths that people type, and write files atomically."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from magadepth_ros.errors import DataError

MANIFEST_NAME = 'manifest.json'
"""Name of the file that lists the frames of a folder."""


def write_atomically(path: Path, data: bytes, sync: bool = True) -> None:
    """Replace ``path`` at once, with ``sync`` also across a power cut; OSError where it cannot."""
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        with temporary.open('wb') as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_result(path: str | Path, data: bytes | str) -> None:
    """Write a result, text as UTF-8, and make its folder; DataError where it cannot."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data.encode() if isinstance(data, str) else data, sync=False)
    except OSError as error:
        raise DataError(f'{path}: cannot be written: {error.strerror}') from None


def require_writable(path: str | Path, folder: bool = False) -> None:
    """
    Raise DataError where a file, or with ``folder`` files in a folder, could not be written.

    The test writes a file without a name, so that it leaves nothing behind.
    """
    path = Path(path)
    try:
        if path.is_dir() and not folder:
            raise DataError(f'{path}: is a folder, expected the name of a file')
        if path.exists() and not path.is_dir() and (folder or not path.is_file()):
            raise DataError(f'{path}: is no {"folder" if folder else "file"}; give another name')
        place = path if folder else path.parent
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise DataError(f'{path}: cannot be written: {place} is no folder')
        with tempfile.TemporaryFile(dir=place):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise DataError(f'{path}: cannot be written: {reason}') from None


def write_all(*results: tuple[Path | None, Callable[[Path], object]]) -> None:
    """
    Write each result that has a path; DataError after the last if some could not be written.

    So one bad path does not lose results that took an hour to measure.
    """
    faults = []
    for path, write in results:
        try:
            if path is not None:
                write(path)
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError('; '.join(faults))


def as_path(text: str | Path) -> Path | None:
    """Return the path of a typed text; None where no file can have that name."""
    try:
        path = Path(text).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError):  # too long, ~ of an unknown user, a NUL
        return None
    return path if str(text) else None
