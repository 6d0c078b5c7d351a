# SPDX-License-Identifier: Apache-2.0
"""Each fault of the simulated camera changes what it says, and nothing else."""

from __future__ import annotations

import pytest

from magadepth_ros.errors import DataError
from magadepth_ros.nodes.camera_faults import (
    FAULTS,
    JITTER_NS,
    LATE_NS,
    REPLAY_NS,
    CameraFaults,
    Outgoing,
)

STEP = 33_333_333
START = 5_000_000_000
"""Outside of the seconds in which a camera with `stall` is silent."""


def played(faults: str, frames: int = 30) -> list[list[Outgoing]]:
    """What goes out for each frame; messages are named after stream and number."""
    camera = CameraFaults(faults)
    out = []
    for number in range(frames):
        now = START + number * STEP
        streams = [[Outgoing(kind, f'{kind}{number}', now)] for kind in ('rgb', 'depth')]
        out.append(camera.apply(now, *streams))
    return out


def messages(out: list[list[Outgoing]]) -> list[set[str]]:
    return [{item.message for item in items} for items in out]


def test_without_a_fault_each_frame_goes_out_at_once():
    assert messages(played('')) == [{f'rgb{n}', f'depth{n}'} for n in range(30)]


def test_a_stalled_camera_is_silent_and_comes_back():
    camera = CameraFaults('stall')
    heard = [
        bool(camera.apply(now, [Outgoing('rgb', 'rgb', now)], []))
        for now in range(0, 20_000_000_000, 1_000_000_000)
    ]
    assert heard == [False] * 3 + [True] * 7 + [False] * 3 + [True] * 7


def test_a_dropped_depth_image_leaves_its_picture():
    out = messages(played('drop'))
    assert all(any(name.startswith('rgb') for name in names) for names in out)
    assert sum(any(name.startswith('depth') for name in names) for names in out) == 20


def test_a_replayed_camera_has_old_stamps_in_step():
    for number, items in enumerate(played('replay')):
        assert {i.stamp_ns for i in items} == {START + number * STEP - REPLAY_NS}


def test_late_depth_keeps_its_stamp():
    out = played('late')
    for number, items in enumerate(out):
        for item in items:
            delay = START + number * STEP - item.stamp_ns
            expected = LATE_NS if item.publisher == 'depth' else 0
            assert expected <= delay < expected + STEP
    depth = [item for items in out for item in items if item.publisher == 'depth']
    assert [item.message for item in depth] == [f'depth{n}' for n in range(len(depth))]
    assert len(depth) == 30 - 7


def test_swapped_streams_come_on_the_topic_of_each_other():
    for items in played('swap'):
        assert all(not item.message.startswith(item.publisher) for item in items)


def test_jitter_moves_the_stamps_of_depth_alone():
    out = played('jitter')
    moved = []
    for number, items in enumerate(out):
        for item in items:
            off = item.stamp_ns - (START + number * STEP)
            if item.publisher == 'rgb':
                assert off == 0
            else:
                moved.append(off)
    assert len(set(moved)) == 30 and max(map(abs, moved)) <= JITTER_NS


def test_faults_add_up_and_end():
    camera = CameraFaults('swap, drop')
    assert camera.names == {'swap', 'drop'}
    camera.set('')
    frame = [Outgoing('rgb', 'rgb', START)], [Outgoing('depth', 'depth', START)]
    for _ in range(3):
        assert {(i.publisher, i.message) for i in camera.apply(START, *frame)} == {
            ('rgb', 'rgb'),
            ('depth', 'depth'),
        }


def test_an_unknown_fault_is_named_and_changes_nothing():
    camera = CameraFaults('drop')
    with pytest.raises(
        DataError, match='expected stall, drop, late, swap, jitter, replay, got fire'
    ):
        camera.set('late,fire')
    assert camera.names == {'drop'} and set(FAULTS) == {
        *('stall', 'drop', 'late', 'swap', 'jitter', 'replay')
    }
