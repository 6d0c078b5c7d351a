# SPDX-License-Identifier: Apache-2.0
"""Pairing: one set of tests for our own pairer and for message_filters' synchronisers."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from std_msgs.msg import Header

from magadepth_ros.errors import DataError
from magadepth_ros.nodes import synchroniser
from magadepth_ros.pairing import DEPTH, HALF_FRAME, RGB, Pairer
from magadepth_ros.stamps import NANO

FRAME = NANO // 30
NAMES = ('rgb', 'depth')

needs_message_filters = pytest.mark.skipif(
    synchroniser.message_filters is None, reason='the ROS package message_filters is not installed'
)


class Message:
    """A message as pairing sees it: a header, and here a name."""

    def __init__(self, stream: int, stamp_ns: int) -> None:
        stamp = Time(sec=stamp_ns // NANO, nanosec=stamp_ns % NANO)
        self.header = Header(stamp=stamp)
        self.name = (NAMES[stream], stamp_ns)


class Feed:
    """A pairer of one kind and what it made of the stamps it was fed."""

    def __init__(self, kind: str, **options) -> None:
        self.pairs = []
        options.setdefault('slop', HALF_FRAME)
        options.setdefault('queue_size', 10)
        self.pairer = synchroniser.make_pairer(kind, self.pairs.append, **options)
        self.counters = self.pairer.counters

    def __call__(self, *fed: tuple[int, int]) -> list[tuple[int, int]]:
        """Add (stream, stamp) in order; return the (rgb, depth) stamps paired by these."""
        before = len(self.pairs)
        for stream, stamp_ns in fed:
            self.pairer.add(stream, stamp_ns, Message(stream, stamp_ns))
        return [(p.rgb.name[1], p.depth.name[1]) for p in self.pairs[before:]]


@pytest.fixture(params=['own', pytest.param('message_filters', marks=needs_message_filters)])
def make(request):
    """Make a Feed of each kind."""
    return lambda **options: Feed(request.param, **options)


T = 1000 * NANO


def test_the_kind_asked_for_is_the_kind_used(make):
    feed = make()
    assert feed((RGB, T), (DEPTH, T)) == [(T, T)]
    if synchroniser.message_filters is None:
        with pytest.raises(DataError, match='message_filters'):
            synchroniser.make_pairer('message_filters', print, 0.0, 10)
    else:
        assert type(feed.pairer) in (Pairer, synchroniser.MessageFiltersPairer)


@pytest.mark.parametrize('slop', [0.0, HALF_FRAME, 0.01])
def test_equal_stamps_pair_in_either_order(make, slop):
    feed = make(slop=slop)
    assert feed((RGB, T), (DEPTH, T)) == [(T, T)]
    assert feed((DEPTH, T + FRAME), (RGB, T + FRAME)) == [(T + FRAME, T + FRAME)]
    assert feed.pairer.waiting() == (0, 0)
    pair = feed.pairs[-1]
    assert (pair.stamp_ns, pair.gap_ns) == (T + FRAME, 0)


def test_exact_pairs_equal_stamps_only(make):
    feed = make(slop=0.0)
    assert feed((RGB, T), (DEPTH, T + 1), (DEPTH, T)) == [(T, T)]


def test_the_nearest_wins_and_the_gap_is_told(make):
    feed = make(slop=0.02)
    gap = NANO // 100
    assert feed((DEPTH, T - gap), (DEPTH, T + gap // 2), (RGB, T)) == [(T, T + gap // 2)]
    assert feed.pairs[0].gap_ns == gap // 2


def test_a_gap_of_slop_or_more_does_not_pair(make):
    feed = make(slop=0.01)
    assert feed((RGB, T), (DEPTH, T + NANO // 100)) == []
    assert feed((DEPTH, T + NANO // 100 - 1)) == [(T, T + NANO // 100 - 1)]


def test_depth_at_half_the_rate_finds_every_second_picture(make):
    feed = make()
    fed = []
    for i in range(40):
        fed.append((RGB, T + i * FRAME))
        if i % 2 == 0:
            fed.append((DEPTH, T + i * FRAME + FRAME // 5))
    pairs = feed(*fed)
    assert pairs == [(T + i * FRAME, T + i * FRAME + FRAME // 5) for i in range(0, 40, 2)]
    # Ten wait for a partner that may still come, the others never found one.
    assert feed.counters.unmatched_rgb == 20 - feed.pairer.waiting()[RGB]
    assert feed.counters.unmatched_depth == 0


@pytest.mark.parametrize(
    ('rate', 'slop'),
    # At most a quarter of a second and at least a millisecond.
    [(1, 1 / 4), (15, 1 / 30), (30, 1 / 60), (60, 1 / 120), (90, 1 / 180), (1000, 1 / 1000)],
)
def test_half_a_frame_is_measured_from_the_stamps(make, rate, slop):
    feed = make()
    step = NANO // rate
    for i in range(5):
        feed((RGB, T + i * step), (DEPTH, T + i * step))
    # Four steps may all be wrong.
    assert feed.pairer.slop_ns == NANO // 60
    # Two frames that are missing are no longer period.
    for i in sorted({*range(5, 20)} - {9, 14}):
        feed((RGB, T + i * step), (DEPTH, T + i * step))
    assert feed.pairer.slop_ns == pytest.approx(slop * NANO, rel=0.01)


def test_after_a_jump_half_a_frame_is_measured_anew(make):
    feed = make()
    for start, rate, count in ((T, 10, 20), (T // 2, 30, 6)):
        steps = [start + i * NANO // rate for i in range(count)]
        feed(*[(stream, stamp) for stamp in steps for stream in (RGB, DEPTH)])
        assert feed.pairer.slop_ns == pytest.approx(NANO / rate / 2, rel=0.01)
    assert feed.counters.jumps == 1
    feed.pairer.clear()
    assert feed.pairer.newest == (None, None)


@pytest.mark.parametrize(('back', 'jumps'), [(9 * NANO // 10, 0), (3 * NANO // 2, 1)])
def test_a_stamp_more_than_a_second_back_is_a_jump(make, back, jumps):
    feed = make(slop=0.0)
    feed((RGB, T), (RGB, T - back))
    assert feed.counters.jumps == jumps
    assert feed((DEPTH, T - back), (DEPTH, T))[0] == (T - back, T - back)


def test_a_late_stream_still_pairs_within_the_queue(make):
    feed = make(slop=0.0)
    feed(*[(RGB, T + i * FRAME) for i in range(8)])
    pairs = feed(*[(DEPTH, T + i * FRAME) for i in range(8)])
    assert pairs == [(T + i * FRAME, T + i * FRAME) for i in range(8)]


def test_the_oldest_goes_when_a_stream_waits_too_long(make):
    feed = make(queue_size=3, slop=0.0)
    feed(*[(RGB, T + i * FRAME) for i in range(5)])
    assert feed.pairer.waiting() == (3, 0)
    assert feed.counters.unmatched_rgb == 2
    assert feed((DEPTH, T), (DEPTH, T + 4 * FRAME)) == [(T + 4 * FRAME, T + 4 * FRAME)]


def test_duplicates_replace_each_other(make):
    feed = make(slop=0.0)
    pairs = feed((RGB, T), (RGB, T), (DEPTH, T), (DEPTH, T))
    assert pairs == [(T, T)]
    assert feed.counters.unmatched_rgb == 1
    assert feed.pairer.waiting() == (0, 1)


def test_out_of_order_stamps_pair(make):
    feed = make(slop=0.0)
    stamps = [T + i * FRAME for i in (0, 2, 1, 4, 3)]
    pairs = feed(*[(RGB, s) for s in stamps], *[(DEPTH, s) for s in reversed(stamps)])
    assert sorted(pairs) == [(s, s) for s in sorted(stamps)]


def test_a_jump_back_clears_and_pairing_goes_on(make):
    feed = make()
    feed((RGB, T), (DEPTH, T), (RGB, T + FRAME))
    early = 5 * NANO
    pairs = feed(*[(s, early + i * FRAME) for i in range(3) for s in (RGB, DEPTH)])
    assert pairs[-2:] == [(early + i * FRAME, early + i * FRAME) for i in (1, 2)]
    assert feed.counters.jumps == 1
    assert feed.pairs[-1].epoch > feed.pairs[0].epoch


def test_one_stream_jumping_far_ahead_does_not_block_for_ever(make):
    feed = make()
    feed((RGB, T), (DEPTH, T), (RGB, T + 10_000 * NANO))
    fed = [(s, T + i * FRAME) for i in range(1, 6) for s in (RGB, DEPTH)]
    assert feed(*fed)[-1] == (T + 5 * FRAME, T + 5 * FRAME)


def test_zero_stamps_pair_with_zero_and_are_counted(make):
    feed = make()
    assert feed((RGB, 0), (DEPTH, 0), (RGB, 0), (DEPTH, 0)) == [(0, 0), (0, 0)]
    assert feed.counters.unstamped == 4
    assert feed((RGB, T), (DEPTH, 0)) == []
    # They say nothing of the time: what waits goes on waiting.
    assert feed((RGB, 0), (DEPTH, T)) == [(0, 0), (T, T)]
    assert feed.counters.jumps == 0


def test_slop_can_change_while_running(make):
    feed = make(slop=0.0)
    assert feed((RGB, T), (DEPTH, T + 1000)) == []
    feed.pairer.set_slop(0.01)
    assert feed((RGB, T + FRAME), (DEPTH, T + FRAME + 1000)) == [(T + FRAME, T + FRAME + 1000)]
    feed.pairer.set_slop(0.0)
    assert feed((RGB, T + 2 * FRAME), (DEPTH, T + 2 * FRAME + 1000)) == []


STAMPS = st.lists(
    st.tuples(
        st.sampled_from([RGB, DEPTH]),
        st.one_of(
            st.integers(0, 40).map(lambda i: T + i * FRAME // 4),
            st.integers(0, 40).map(lambda i: T + i * FRAME // 4 + 1),
            st.sampled_from([0, 1, 3 * NANO, T + 5000 * NANO, 2**31 * NANO - 1]),
        ),
    ),
    max_size=60,
)


def check_books(feed: Feed, slop: float) -> None:
    """Nothing is lost or used twice, and no pair is further apart than allowed."""
    counters = feed.counters
    rgb_waits, depth_waits = feed.pairer.waiting()
    assert counters.received_rgb == counters.matched + counters.unmatched_rgb + rgb_waits
    assert counters.received_depth == counters.matched + counters.unmatched_depth + depth_waits
    assert min(counters.unmatched_rgb, counters.unmatched_depth) >= 0
    assert counters.matched == len(feed.pairs)
    used = [id(message) for pair in feed.pairs for message in (pair.rgb, pair.depth)]
    assert len(used) == len(set(used))
    for pair in feed.pairs:
        assert pair.rgb.name[0] == 'rgb'
        assert pair.depth.name[0] == 'depth'
        assert pair.gap_ns == pair.depth.name[1] - pair.rgb.name[1]
        assert pair.gap_ns == 0 or abs(pair.gap_ns) < (slop * NANO if slop > 0 else NANO // 4)


@settings(max_examples=500, deadline=None)
@given(fed=STAMPS, slop=st.sampled_from([0.0, 0.005, 0.02, HALF_FRAME]), size=st.integers(1, 12))
def test_any_order_of_stamps_keeps_the_books(fed, slop, size):
    feed = Feed('own', slop=slop, queue_size=size)
    feed(*fed)
    check_books(feed, slop)


@needs_message_filters
@settings(max_examples=500, deadline=None)
@given(fed=STAMPS, slop=st.sampled_from([0.0, 0.005, 0.02, HALF_FRAME]), size=st.integers(1, 12))
def test_both_make_the_same_pairs(fed, slop, size):
    own = Feed('own', slop=slop, queue_size=size)
    theirs = Feed('message_filters', slop=slop, queue_size=size)
    assert own(*fed) == theirs(*fed)
    check_books(theirs, slop)
