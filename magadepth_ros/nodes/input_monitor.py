# SPDX-License-Identifier: Apache-2.0
"""Faults in the input of one camera: missing, stopped, swapped, black, out of range."""

from __future__ import annotations

from time import monotonic
from typing import Any

import numpy as np

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.errors import (
    EncodingError,
    RegistrationError,
    ShapeError,
    SwappedError,
    UnknownEncodingError,
)
from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.nodes.condition_table import ERROR, OK, WARN
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.pairing import DEPTH, RGB, MessagePair, Pairer
from magadepth_ros.stamps import NANO

PATIENCE = 2.0
"""Seconds after which missing messages are a fault; longer for streams below 1.5 Hz."""
MOST_OUTSIDE = 0.02
"""Share of the measured pixels that may lie outside the limits."""
FARTHEST = 65.0
"""Depth from which on a pixel is no measurement [m]: sensors write 65535 mm for missing."""
_FROZEN_AFTER = 15
_BLACK = 8
_PERIODS = 3
_LONGEST_PATIENCE = 10.0
_MISSING = ('NO_IMAGES', 'NO_RGB', 'NO_DEPTH')
_STOPPED = ('CAMERA_STOPPED', 'RGB_STOPPED', 'DEPTH_STOPPED')
_UNPAIRED = ('ZERO_STAMPS', 'UNSYNCHRONISED_STREAMS')
_REFUSALS = (
    (SwappedError, 'SWAPPED_TOPICS'),
    (UnknownEncodingError, 'WRONG_ENCODING'),
    (EncodingError, 'BAD_IMAGE'),
    (RegistrationError, 'UNREGISTERED_DEPTH'),
    (ShapeError, 'SIZE_MISMATCH'),
)


class InputMonitor:
    """Looks at the messages and frames of one camera, and sets and clears its conditions."""

    def __init__(self, conditions: Conditions, reader: FrameReader, pairer: Pairer) -> None:
        self._conditions = conditions
        self._reader = reader
        self._pairer = pairer
        topics = reader.topics
        self._topics: dict[str, Any] = {
            'rgb': topics.rgb,
            'depth': topics.depth,
            'info': topics.rgb_info,
            'mask': topics.mask,
        }
        self.rest()

    def rest(self) -> None:
        """Forget all observations, as when the subscriptions begin."""
        self._conditions.rest()
        now = monotonic()
        counters = self._pairer.counters
        self._begin = self._paired = self._accepted = now
        self._came: list[float | None] = [None, None]
        self._first = [now, now]
        self._received = [counters.received_rgb, counters.received_depth]
        self._at_first = list(self._received)
        self._matched, self._unstamped = counters.matched, counters.unstamped
        self._picture, self._same = b'', 0
        self._no_info_since: float | None = None
        self._outside = (0.0, 0.0)

    # From the worker, for each pair

    def accepted(self, pair: MessagePair) -> None:
        """Note that a pair could be read."""
        self._accepted = monotonic()
        rgb_frame, depth_frame = pair.rgb.header.frame_id, pair.depth.header.frame_id
        self._check(
            'UNALIGNED_DEPTH',
            self._reader.registration is None
            and bool(rgb_frame and depth_frame and rgb_frame != depth_frame),
            rgb_frame=rgb_frame,
            depth_frame=depth_frame,
        )

    def refused(self, error: Exception) -> None:
        """Report why a pair could not be read; an ERROR where none could for 2 s."""
        code = next((code for kind, code in _REFUSALS if isinstance(error, kind)), 'BAD_IMAGE')
        level = ERROR if monotonic() - self._accepted > PATIENCE else WARN
        self._check(code, True, level, reason=error)

    def unmasked(self, max_age: float, dropped: bool) -> None:
        """Report a frame without a mask within ``max_age`` [s]."""
        effect = 'is dropped' if dropped else 'is published unmasked'
        self._check('NO_MASK', True, max_age=max_age, effect=effect)

    def bad_mask(self, error: str) -> None:
        """Report a mask that cannot be read or does not belong to the frame."""
        self._check('BAD_MASK', True, reason=error)

    def late(self, age: float, max_age: float) -> None:
        """Report a pair that was dropped for its age [s]."""
        self._check('LATE_PAIRS', True, age=age, max_age=max_age)

    def foreign(self, age: float) -> None:
        """Report stamps that another clock made: their age [s] by the node's."""
        self._check('FOREIGN_CLOCK', True, age=age)

    def completed(
        self,
        frame: RgbdFrame,
        measured_share: float,
        limits: tuple[float, float],
        chosen_far: bool = False,
    ) -> None:
        """
        Check a frame that was completed.

        Parameters
        ----------
        frame:
            as it was read.
        measured_share:
            share of its pixels with a usable measurement, 0 to 1.
        limits:
            plausible range [m].
        chosen_far:
            whether the user set max_depth; then depth beyond it is shown, but no warning.

        """
        # Every 16th pixel costs microseconds and still sees any real picture's noise.
        sample = np.ascontiguousarray(frame.rgb[8::16, 8::16])
        self._check('BLACK_RGB', sample.size > 0 and int(sample.max()) < _BLACK)
        picture = sample.tobytes()
        self._same = self._same + 1 if picture == self._picture else 0
        self._picture = picture
        self._check('FROZEN_RGB', self._same >= _FROZEN_AFTER, frames=self._same)
        self._check('EMPTY_DEPTH', measured_share == 0.0)
        self._look_for_range(frame.depth, limits, chosen_far)

    def camera_info(self, frame: RgbdFrame) -> None:
        """Report why a frame that needs its camera has none; a camera_info may come late."""
        now = monotonic()
        if frame.info is not None:
            self._no_info_since = None
        elif self._no_info_since is None:
            self._no_info_since = now
        since = self._no_info_since
        self._check('NO_CAMERA_INFO', since is not None and now - since >= PATIENCE)
        self._check('BAD_CAMERA_INFO', bool(frame.camera_fault), reason=frame.camera_fault)

    # From the node, now and then

    def watch(self) -> None:
        """Look for streams that are missing, stopped or not paired; call it twice a second."""
        counters, now = self._pairer.counters, monotonic()
        for stream, count in enumerate((counters.received_rgb, counters.received_depth)):
            if count != self._received[stream]:
                if self._came[stream] is None:
                    self._first[stream], self._at_first[stream] = now, count
                self._received[stream], self._came[stream] = count, now
        unstamped = counters.unstamped != self._unstamped
        self._unstamped = counters.unstamped
        if counters.matched != self._matched:
            self._matched, self._paired = counters.matched, now
        missing, stopped, unpaired = '', '', ''
        silent = [self._silence(stream, now) for stream in (RGB, DEPTH)]
        seconds = max(silent)
        if None in self._came:
            if now - self._begin > PATIENCE:
                missing = _MISSING[0 if self._came == [None, None] else self._came.index(None) + 1]
        elif max(silent[s] - self._patience(s) for s in (RGB, DEPTH)) > 0:
            # Wait a moment: the other stream may stop too.
            both = min(silent) > PATIENCE / 2
            stopped = _STOPPED[0 if both else silent.index(seconds) + 1]
        elif now - self._paired > PATIENCE:
            unpaired = _UNPAIRED[0 if unstamped else 1]
        for code in _MISSING:
            self._check(code, code == missing)
        for code in _STOPPED:
            self._check(code, code == stopped, seconds=seconds)
        rgb_ns, depth_ns = (newest or 0 for newest in self._pairer.newest)
        gap, slop = (depth_ns - rgb_ns) / NANO, self._pairer.slop_ns / NANO
        topics = f'{self._reader.topics.rgb} or {self._reader.topics.depth}'
        self._check('ZERO_STAMPS', unpaired == 'ZERO_STAMPS', topics=topics)
        self._check(
            'UNSYNCHRONISED_STREAMS', unpaired == 'UNSYNCHRONISED_STREAMS', gap=gap, slop=slop
        )

    def _silence(self, stream: int, now: float) -> float:
        came = self._came[stream]
        return 0.0 if came is None else now - came

    def _patience(self, stream: int) -> float:
        count = self._received[stream] - self._at_first[stream]
        came = self._came[stream] or 0.0
        period = (came - self._first[stream]) / count if count else 0.0
        return min(max(PATIENCE, _PERIODS * period), _LONGEST_PATIENCE)

    def _look_for_range(
        self, depth: np.ndarray, limits: tuple[float, float], chosen_far: bool
    ) -> None:
        low, high = limits
        sample = depth[2::4, 2::4]
        measured = sample[(sample > 0) & (sample < FARTHEST)]
        if not measured.size:
            return
        shares = [np.mean(measured < low), np.mean(measured > high)]
        # A running mean over about ten frames, as single frames may be exceptions.
        near, far = (0.9 * a + 0.1 * float(b) for a, b in zip(self._outside, shares, strict=True))
        self._outside = near, far
        self._check(
            'OUT_OF_RANGE',
            near + far > MOST_OUTSIDE,
            level=OK if chosen_far and near <= MOST_OUTSIDE else None,
            share=near + far,
            near=near,
            far=far,
            low=low,
            high=high,
        )

    def _check(self, code: str, wrong: bool, level: bytes | None = None, **fields: Any) -> None:
        self._conditions.check(code, wrong, level, **self._topics, **fields)
