# SPDX-License-Identifier: Apache-2.0
"""What needs no bag reader: to tell a bag by its path, and to say which package is missing."""

from __future__ import annotations

import pytest

from magadepth_ros.errors import DataError
from magadepth_ros.recordings import importing_rosbags, is_bag_path


def test_bags_are_known_by_suffix_or_metadata(tmp_path):
    assert is_bag_path('a.mcap') and is_bag_path('a.bag') and not is_bag_path(tmp_path)
    (tmp_path / 'metadata.yaml').touch()
    assert is_bag_path(tmp_path)


def test_a_missing_bag_reader_is_named_with_the_line_that_installs_it():
    with (
        pytest.raises(DataError, match=r"one\.mcap: .* 'rosbags': .*pip install"),
        importing_rosbags('one.mcap'),
    ):
        raise ModuleNotFoundError(name='rosbags')
