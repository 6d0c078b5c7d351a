# SPDX-License-Identifier: Apache-2.0
"""Results are written each, whatever becomes of the others."""

from __future__ import annotations

import pytest

from magadepth_ros.errors import DataError
from magadepth_ros.files import write_all, write_result


def test_one_path_that_cannot_be_written_does_not_cost_the_others(tmp_path):
    (tmp_path / 'file').write_text('', encoding='utf-8')
    bad, good = tmp_path / 'file' / 'x.json', tmp_path / 'y.csv'

    with pytest.raises(DataError, match=r'x\.json'):
        write_all(
            (bad, lambda path: write_result(path, 'x')),
            (None, lambda path: write_result(path, 'never')),
            (good, lambda path: write_result(path, 'y')),
        )

    assert good.read_text(encoding='utf-8') == 'y'
