# SPDX-License-Identifier: Apache-2.0
"""The latest-only slot: newer replaces older, older never follows newer, waiting ends."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from magadepth_ros.nodes.slot import LatestSlot
from magadepth_ros.pairing import Counters, Pair


def pair(stamp_ns: int, epoch: int = 0) -> Pair:
    return Pair(None, None, stamp_ns, 0, epoch, 0.0)


def test_the_newest_pair_of_each_camera_is_taken_in_one_batch():
    slot, counters = LatestSlot(), Counters()
    slot.put(1, pair(5), counters)
    slot.put(0, pair(1), counters)
    slot.put(0, pair(2), counters)
    assert [(camera, p.stamp_ns) for camera, p in slot.take(0)] == [(0, 2), (1, 5)]
    assert slot.take(0) == []
    assert counters.stale == 1


def test_an_older_pair_never_follows_a_newer_but_after_a_jump():
    slot, counters = LatestSlot(), Counters()
    slot.put(0, pair(9), counters)
    slot.take(0)
    slot.put(0, pair(9), counters)
    slot.put(0, pair(8), counters)
    assert slot.take(0) == []
    assert counters.stale == 2
    slot.put(0, pair(1, epoch=1), counters)
    assert len(slot.take(0)) == 1


def test_stamps_of_zero_pass():
    slot, counters = LatestSlot(), Counters()
    for _ in range(3):
        slot.put(0, pair(0), counters)
        assert len(slot.take(0)) == 1
    assert counters.stale == 0


def test_closing_wakes_the_worker_and_ends_intake():
    slot, counters = LatestSlot(), Counters()
    taken = []
    worker = threading.Thread(target=lambda: taken.append(slot.take(60)))
    worker.start()
    slot.close()
    worker.join(10)
    assert taken == [[]]
    slot.put(0, pair(1), counters)
    assert slot.take(0) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(1, 30)), max_size=40))
def test_what_is_taken_is_in_order_and_nothing_is_lost_uncounted(steps):
    slot, counters = LatestSlot(), Counters()
    taken = []
    for step in [*steps, None]:
        if step is None:
            taken += [p.stamp_ns for _, p in slot.take(0)]
        else:
            slot.put(0, pair(step), counters)
    assert taken == sorted(set(taken))
    assert len(taken) + counters.stale == sum(step is not None for step in steps)
