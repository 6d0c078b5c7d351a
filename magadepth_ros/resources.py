# SPDX-License-Identifier: Apache-2.0
"""Find the files installed with the package: models, configurations and launch files."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from magadepth_ros.errors import DataError, ModelError
from magadepth_ros.files import as_path

PACKAGE = 'magadepth_ros'
DEFAULT_MODEL = 'magadepth_small'
"""Default model of offline commands and the library."""
AUTO_MODEL = 'auto'
"""The node's default; see `auto_model`."""


@lru_cache(maxsize=1)
def share_dir() -> Path:
    """
    Return the folder that holds ``models/``, ``config/`` and ``launch/``.

    The source tree of the running code comes first, then the ``share`` of the prefix it was
    installed to, then the ament index (``AMENT_PREFIX_PATH``). So an editable install uses its own
    tree, and not the copies made at the installation.

    Raises
    ------
    DataError
        there is none: the installation is incomplete.

    """
    code = Path(os.path.abspath(__file__)).parent  # noqa: PTH100 - keeps colcon's links as they are
    candidates = [code.parent, code.resolve().parent]
    candidates += [parent / 'share' / PACKAGE for parent in code.parents]
    candidates += [
        Path(prefix) / 'share' / PACKAGE
        for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
        if prefix
    ]
    for candidate in candidates:
        if (candidate / 'package.xml').is_file() and (candidate / 'config').is_dir():
            return candidate
    raise DataError(
        f'the files of {PACKAGE} (models, config, launch) were not found beside {code} nor in '
        'AMENT_PREFIX_PATH; install the package again, or source its workspace'
    )


def find_model(name: str | Path = DEFAULT_MODEL) -> Path:
    """
    Return the path of a model, given its name (``guided_fill``) or its path.

    Raises
    ------
    ModelError
        neither a file nor the name of an installed model.

    """
    path = as_path(name)
    if path is not None and path.is_file():
        return path.resolve()
    folder = share_dir() / 'models'
    if path is not None and len(path.parts) == 1:
        for candidate in (folder / path.name, folder / f'{path.name}.onnx'):
            if candidate.is_file():
                return candidate
    names = ', '.join(model_names()) or 'none'
    raise ModelError(
        f"model '{name}' is neither a file nor installed; installed in {folder}: {names}"
    )


def auto_model(on_gpu: bool) -> str:
    """
    Return the name of the best installed model that is fast enough for a live camera.

    ``magadepth_small`` on a GPU; on a CPU ``magadepth_tiny``, or ``guided_fill`` where that is not
    installed.
    """
    wanted = 'magadepth_small' if on_gpu else 'magadepth_tiny'
    return wanted if wanted in model_names() else 'guided_fill'


def model_names() -> list[str]:
    """Return the names of the installed models, sorted."""
    return sorted(path.stem for path in (share_dir() / 'models').glob('*.onnx'))


def find_config(name: str | Path) -> Path:
    """
    Return the path of a configuration file, given its name in ``config/`` or its path.

    Raises
    ------
    DataError
        neither a file nor an installed configuration.

    """
    path = as_path(name)
    if path is not None and path.is_file():
        return path.resolve()
    folder = share_dir() / 'config'
    if path is not None and len(path.parts) == 1 and (folder / path.name).is_file():
        return folder / path.name
    names = ', '.join(sorted(entry.name for entry in folder.glob('*.*'))) or 'none'
    raise DataError(f"'{name}' is neither a file nor in {folder}, which has: {names}")
