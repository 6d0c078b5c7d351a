# SPDX-License-Identifier: Apache-2.0
"""The newest pairs: newer replaces older, older never follows newer, waiting ends."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magadepth_ros.pairing import LatestPairs, MessagePair


def pair(stamp_ns: int, epoch: int = 0) -> MessagePair:
    return MessagePair(None, None, stamp_ns, 0, epoch, 0.0)


def test_the_newest_pair_of_each_camera_is_taken_in_one_batch():
    latest = LatestPairs()
    offered = [(1, pair(3)), (0, pair(1)), (0, pair(9)), (1, pair(5))]
    # The last is older than the other camera's, which is no matter.
    assert [latest.put(*each) for each in offered] == [0, 0, 1, 1]
    assert [(camera, p.stamp_ns) for camera, p in latest.take(0)] == [(0, 9), (1, 5)]
    assert latest.take(0) == []


def test_an_older_pair_never_follows_a_newer_but_after_a_jump():
    latest = LatestPairs()
    latest.put(0, pair(9))
    latest.take(0)
    assert latest.put(0, pair(9)) == latest.put(0, pair(8)) == 1
    assert latest.take(0) == []
    assert latest.put(0, pair(1, epoch=1)) == 0
    assert len(latest.take(0)) == 1
    latest.close()
    latest.open()
    latest.put(0, pair(1))
    assert len(latest.take(0)) == 1


def test_stamps_of_zero_pass():
    latest = LatestPairs()
    for _ in range(3):
        assert latest.put(0, pair(0)) == 0
        assert len(latest.take(0)) == 1


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
    latest = LatestPairs()
    latest._ready = Watched()
    taken = []
    worker = threading.Thread(target=lambda: taken.append(latest.take(600)), daemon=True)
    worker.start()
    assert latest._ready.waited.wait(30)
    if new is None:
        latest.close()
    else:
        latest.put(0, new)
    worker.join(30)
    assert taken == [expected]
    latest.close()
    latest.put(0, pair(2))
    assert latest.take(0) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(1, 30)), max_size=40))
def test_what_is_taken_is_in_order_and_nothing_is_lost_uncounted(steps):
    latest = LatestPairs()
    taken, stale = [], 0
    for step in [*steps, None]:
        if step is None:
            taken += [p.stamp_ns for _, p in latest.take(0)]
        else:
            stale += latest.put(0, pair(step))
    assert taken == sorted(set(taken))
    assert len(taken) + stale == sum(step is not None for step in steps)
