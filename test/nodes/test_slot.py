# SPDX-License-Identifier: Apache-2.0
"""The latest-only slot: newer replaces older, older never follows newer, waiting ends."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magadepth_ros.nodes.slot import LatestSlot
from magadepth_ros.pairing import Counters, Pair


def pair(stamp_ns: int, epoch: int = 0) -> Pair:
    return Pair(None, None, stamp_ns, 0, epoch, 0.0)


def test_the_newest_pair_of_each_camera_is_taken_in_one_batch():
    slot, counters = LatestSlot(), Counters()
    slot.put(1, pair(3), counters)
    slot.put(0, pair(1), counters)
    slot.put(0, pair(9), counters)
    # Older than the other camera's, which is no matter.
    slot.put(1, pair(5), counters)
    assert [(camera, p.stamp_ns) for camera, p in slot.take(0)] == [(0, 9), (1, 5)]
    assert slot.take(0) == []
    assert counters.stale == 2


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


class Watched(threading.Condition):
    """Says that somebody waits; who gets the lock after that finds him waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.set()
        return super().wait(timeout)


@pytest.mark.parametrize(('new', 'expected'), [(pair(1), [(0, pair(1))]), (None, [])])
def test_a_pair_or_closing_wakes_the_worker_and_closing_ends_intake(new, expected):
    slot, counters = LatestSlot(), Counters()
    slot._ready = Watched()
    taken = []
    worker = threading.Thread(target=lambda: taken.append(slot.take(600)), daemon=True)
    worker.start()
    assert slot._ready.waited.wait(30)
    if new is None:
        slot.close()
    else:
        slot.put(0, new, counters)
    worker.join(30)
    assert taken == [expected]
    slot.close()
    slot.put(0, pair(2), counters)
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
