# SPDX-License-Identifier: Apache-2.0
"""The table of faults: what was injected, what it cost, and how soon it was over."""

from __future__ import annotations

import time
from types import TracebackType

import numpy as np
from sensor_msgs.msg import Image
from support.live import Graph, ManualCamera, depth_of, nanoseconds

from magadepth_ros.tables import align

HEAD = ('fault', 'frames', 'completed', 'measured only', 'lost', 'recovered in', 'restart')
TABLE: list[tuple[str, ...]] = []


def is_complete(msg: Image) -> bool:
    """Whether every pixel of a 32FC1 message is known."""
    return bool(np.isfinite(depth_of(msg)).all())


class Episode:
    """
    One fault from its injection to the first completed frame after its end.

    Counted are the frames shot after the injection up to the last one that came back completed:
    later ones are still on their way.
    """

    def __init__(self, fault: str, shot: list[int], came: list[Image]) -> None:
        """``shot`` and ``came`` grow meanwhile: stamps [ns] of the camera, completed depth."""
        self._fault, self._shot, self._came = fault, shot, came
        self.restart = 'none'

    def __enter__(self) -> Episode:
        self._first = len(self._shot)
        self.mended()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            seconds = time.monotonic() - self._mended
            came = {nanoseconds(msg.header): is_complete(msg) for msg in self._came}
            shot = self._shot[self._first :]
            while shot and not came.get(shot[-1]):
                shot.pop()
            whole = sum(came.get(stamp, False) for stamp in shot)
            partly = sum(stamp in came for stamp in shot) - whole
            lost = len(shot) - whole - partly
            counts = (str(number) for number in (len(shot), whole, partly, lost))
            TABLE.append((self._fault, *counts, f'{seconds:.3f} s', self.restart))

    def mended(self) -> None:
        """Say that the fault is over: from now on the recovery is timed."""
        self._after, self._mended = len(self._shot), time.monotonic()

    def over(self) -> bool:
        """Whether a frame that was shot after the fault has come back completed."""
        newest = self._came[-1] if self._came else None
        after = self._shot[self._after :]
        return newest is not None and nanoseconds(newest.header) in after and is_complete(newest)


def ready(graph: Graph) -> tuple[ManualCamera, list]:
    """Wait for the node; return a camera that it hears and the list of its frames."""
    depth = graph.listen(Image, '/depth/completed')
    camera = ManualCamera(graph)
    camera.wait_until_heard()
    camera.shoot_until(lambda: depth and is_complete(depth[-1]), 'a completed frame')
    return camera, depth


def recover(episode: Episode, camera: ManualCamera) -> None:
    """End the fault and shoot at 30 Hz until completed frames come."""
    episode.mended()
    camera.shoot_until(episode.over, 'completed frames again', rate=30.0)


def note(fault: str, seconds: float, restart: str = 'none') -> None:
    """Add a fault that is no matter of frames, as the end of the process is."""
    TABLE.append((fault, '', '', '', '', f'{seconds:.3f} s', restart))


def text() -> str:
    """Give the table for people."""
    return align([HEAD, *TABLE], left=1)
