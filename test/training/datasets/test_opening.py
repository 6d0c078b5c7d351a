# SPDX-License-Identifier: Apache-2.0
"""What lies at a path is recognised, or the message lists what could lie there."""

from __future__ import annotations

from pathlib import Path

import pytest

from magadepth_ros.errors import DataError
from magadepth_training.datasets.opening import open_source


def test_nothing_known(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / 'absent'):
        with pytest.raises(DataError, match=r'manifest\.json, nyu_depth_v2_labeled\.mat, the SUN'):
            open_source(path)
