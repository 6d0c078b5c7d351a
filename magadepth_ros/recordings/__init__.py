# SPDX-License-Identifier: Apache-2.0
"""Recorded frames: bags of ROS 1 and 2, read and written without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from magadepth_ros.errors import DataError, pip_install_extra

BAG_SUFFIXES = ('.mcap', '.db3', '.bag')


def is_bag_path(path: str | Path) -> bool:
    """Whether an input is a ROS bag: one of its files, or a folder with a metadata.yaml."""
    path = Path(path)
    return path.suffix in BAG_SUFFIXES or (path / 'metadata.yaml').is_file()


@contextmanager
def importing_rosbags(path: str | Path) -> Iterator[None]:
    """Raise DataError about the bag where a module imported inside needs a missing package."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise DataError(
            f'{path}: bags need the Python package {error.name!r}: {pip_install_extra("bags")}'
        ) from None
