# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an input though it can be read: black, frozen, empty, unaligned, unpaired."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic

import numpy as np

from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.errors import RegistrationError
from magadepth_ros.messages.frames import FrameReader
from magadepth_ros.nodes.reporter import ONCE, PERIOD, Reporter
from magadepth_ros.pairing import NANO, Counters, Pairer

_PATIENCE = 2.0
"""Seconds that a stream may take to begin before its absence is trouble."""
_FROZEN_AFTER = 15
_BLACK = 8


@dataclass
class InputMonitor:
    """The checks of one camera; each reports its trouble with the remedy and remembers it."""

    reporter: Reporter
    reader: FrameReader
    label: str = ''
    trouble: set[str] = field(default_factory=set)
    """Names of what is wrong with the newest input: black_rgb, frozen_rgb, no_depth, ..."""
    _picture: bytes = b''
    _same: int = 0
    _matched: int = 0
    _idle: float = 0.0
    _complain_at: float = _PATIENCE
    _no_info_since: float | None = None

    def pixels(self, rgb: np.ndarray, measured_share: float) -> None:
        """Look at (H, W, 3) uint8 RGB and the share of pixels that were measured, 0..1."""
        # Every 16th pixel costs microseconds and still sees any real picture's noise.
        sample = np.ascontiguousarray(rgb[8::16, 8::16])
        self._set(
            'black_rgb',
            sample.size > 0 and int(sample.max()) < _BLACK,
            f'{self.rgb_topic} is black: depth is completed without a picture; '
            'check exposure, lens cap and light',
        )
        picture = sample.tobytes()
        self._same = self._same + 1 if picture == self._picture else 0
        self._picture = picture
        self._set(
            'frozen_rgb',
            self._same >= _FROZEN_AFTER,
            f'{self.rgb_topic} has not changed for {self._same} frames while its stamps did; '
            'the driver repeats a picture: restart the camera',
        )
        self._set(
            'no_depth',
            measured_share == 0.0,
            f'{self.depth_topic} has no usable measurement, so nothing can be completed; check '
            'the depth stream, min_depth and max_depth',
        )

    def accepted(self, rgb_frame: str, depth_frame: str) -> None:
        """Take note of a pair that could be read, and of the frame ids of its messages."""
        self._set('unregistered', False, '')
        self._set(
            'unaligned',
            self.reader.registration is None
            and bool(rgb_frame and depth_frame and rgb_frame != depth_frame),
            f'{self.depth_topic} is in frame {depth_frame!r}, {self.rgb_topic} in {rgb_frame!r}, '
            'and register_depth is false: where the depth is not aligned all the same, edges will '
            'be wrong; set register_depth to true',
            period=ONCE,
        )

    def refused(self, error: Exception) -> None:
        """Report why a pair could not be read."""
        dropped = f'pair of {self.rgb_topic} and {self.depth_topic} dropped: {error}'
        if not isinstance(error, RegistrationError):
            self.reporter.warn(f'message{self.label}', dropped)
            return
        self._set(
            'unregistered',
            True,
            f'{dropped}; switch depth '
            'alignment on in the driver (align_depth.enable, depth_registration) and remap '
            'depth/image to the aligned topic, or give what is missing, or set register_depth to '
            'false where the depth is aligned',
        )

    def camera_info(self, frame: RgbdFrame) -> None:
        """Report why a frame that needs its camera has none; a camera_info may come late."""
        error = frame.camera_fault
        if frame.info is None:
            now = monotonic()
            self._no_info_since = now if self._no_info_since is None else self._no_info_since
            if now - self._no_info_since < _PATIENCE:
                return
            error = (
                f'no message on {self.reader.topics.rgb_info}: no cloud and no camera_info go out '
                'until one comes; remap rgb/camera_info to the topic of the colour camera'
            )
        self._set('camera_info', bool(error), error)

    @property
    def rgb_topic(self) -> str:
        """Topic of the colour images."""
        return self.reader.topics.rgb

    @property
    def depth_topic(self) -> str:
        """Topic of the depth images."""
        return self.reader.topics.depth

    def rest(self) -> None:
        """Begin anew, as when listening starts: what was wrong before says nothing."""
        self.trouble.clear()
        self._idle, self._same, self._complain_at = 0.0, 0, _PATIENCE
        self._no_info_since = None

    def pairing(self, pairer: Pairer, counters: Counters, seconds: float) -> None:
        """Say what is missing when nothing has been paired for 2 s; called every ``seconds``."""
        if counters.matched != self._matched:
            self._matched, self._idle, self._complain_at = counters.matched, 0.0, _PATIENCE
            self.trouble.discard('unpaired')
            self.reporter.forget(f'unpaired{self.label}')
            return
        self._idle += seconds
        if self._idle >= self._complain_at:
            self._complain_at += PERIOD
            self._set('unpaired', True, self._why_unpaired(pairer))

    def _why_unpaired(self, pairer: Pairer) -> str:
        start = f'nothing paired for {self._idle:.0f} s: '
        rgb_ns, depth_ns = pairer.newest
        rgb, depth = pairer.counters.received_rgb, pairer.counters.received_depth
        if rgb_ns is None and depth_ns is None and not rgb and not depth:
            return (
                f'{start}no message on {self.rgb_topic} nor on {self.depth_topic}; is the camera '
                "running, and are rgb/image and depth/image remapped to its topics ('ros2 topic "
                "list')?"
            )
        if not rgb or not depth:
            silent = self.depth_topic if rgb else self.rgb_topic
            other = self.rgb_topic if rgb else self.depth_topic
            return (
                f'{start}{other} arrives, but no message on {silent}; check its name with '
                f"'ros2 topic info -v {silent}', and that the driver publishes it"
            )
        if rgb_ns is None or depth_ns is None:
            return f'{start}stamps of {self.rgb_topic} or {self.depth_topic} are zero'
        gap = (depth_ns - rgb_ns) / NANO
        return (
            f'{start}the newest stamps of {self.rgb_topic} and {self.depth_topic} are '
            f'{gap:+.3f} s apart (depth minus RGB), slop is {pairer.slop_ns / NANO:.3f} s; one '
            'stream may have stopped; else synchronise the streams in the driver or raise slop'
        )

    def _set(self, name: str, wrong: bool, text: str, period: float = PERIOD) -> None:
        if wrong:
            self.trouble.add(name)
            self.reporter.warn(f'{name}{self.label}', text, period)
        elif name in self.trouble:
            self.trouble.discard(name)
            self.reporter.forget(f'{name}{self.label}')
