# SPDX-License-Identifier: Apache-2.0
"""The frames of the validation: what is hidden in them, and that it is always the same."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from support.recordings import write_recording

from magadepth_training.datasets.manifest import ManifestSource
from magadepth_training.frames import Frames
from magadepth_training.loading import WholeFrames


def frames(folder, targets):
    source = ManifestSource(write_recording(folder, targets=targets))
    return Frames([source, source], 32, 48, [1.0, 1.0]).frames


def test_measured_pixels_of_raw_frames_are_hidden_alike_each_time(tmp_path):
    raw = frames(tmp_path / 'raw', targets=False)
    ones, others = (list(map(WholeFrames(raw).__getitem__, range(len(raw)))) for _ in range(2))
    for one, other, frame in zip(ones, others, raw, strict=True):
        assert torch.equal(one['depth'], other['depth'])
        np.testing.assert_array_equal(one['target'][0], frame.depth)
        known = one['depth'] > 0
        assert (~known & (one['target'] > 0)).float().mean() >= 0.005
        assert torch.equal(one['depth'][known], one['target'][known])
    assert not torch.equal(ones[0]['depth'], ones[len(raw) // 2]['depth'])


def test_frames_with_a_target_keep_their_holes_alone(tmp_path):
    given = frames(tmp_path / 'known', targets=True)
    for number, frame in enumerate(given):
        made = WholeFrames(given)[number]
        np.testing.assert_array_equal(made['depth'][0], frame.depth)
        np.testing.assert_array_equal(made['target'][0], frame.target)
