# SPDX-License-Identifier: Apache-2.0
"""
Run completion_node and, on SIGUSR1, write a speedscope file of one second of its threads.

Run: ``python -m magadepth_ros.commands.profiled_node FILE --ros-args ...``, as
``magadepth benchmark --profile FILE`` does. https://www.speedscope.app shows the file.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from magadepth_ros.files import write_result

SECONDS = 1.0
PERIOD = 0.001
"""Seconds between two samples; while a thread holds Python's lock, samples are lost."""


class Samples:
    """
    Stacks of all Python threads, and processor time of all others.

    `take` takes one sample; `as_speedscope` returns the file's content in the "sampled" format of
    https://www.speedscope.app/file-format-schema.json.
    """

    def __init__(self) -> None:
        self._frames: dict[tuple[str, str, int], int] = {}
        self._threads: dict[str, tuple[list[list[int]], list[float]]] = {}
        self._busy = _busy_seconds()
        self._start = self._last = time.perf_counter()

    def take(self) -> None:
        """Store the stack of every Python thread but the calling one."""
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident == threading.get_ident():
                continue
            samples, weights = self._threads.setdefault(
                f'{names.get(ident, "thread")} (Python)', ([], [])
            )
            samples.append(self._stack(frame))
            weights.append(elapsed)

    def as_speedscope(self, name: str) -> dict[str, Any]:
        """Return the content for JSON: a profile for each thread, native ones with one sample."""
        threads = dict(self._threads)
        python = {str(thread.native_id) for thread in threading.enumerate()}
        for (ident, comm), seconds in _busy_seconds().items():
            used = seconds - self._busy.get((ident, comm), 0.0)
            if used > 0 and ident not in python:
                label = f'{comm} (native, processor time)'
                stack = [self._index(comm, 'native', 0)]
                samples, weights = threads.setdefault(f'{label} {ident}', ([], []))
                samples.append(stack)
                weights.append(used)
        return {
            '$schema': 'https://www.speedscope.app/file-format-schema.json',
            'exporter': 'magadepth benchmark',
            'name': name,
            'activeProfileIndex': max(
                (sum(weights), place) for place, (_, weights) in enumerate(threads.values())
            )[1],
            'shared': {
                'frames': [{'name': n, 'file': f, 'line': line} for n, f, line in self._frames]
            },
            'profiles': [
                {
                    'type': 'sampled',
                    'name': thread,
                    'unit': 'seconds',
                    'startValue': 0.0,
                    'endValue': sum(weights),
                    'samples': samples,
                    'weights': weights,
                }
                for thread, (samples, weights) in threads.items()
            ],
        }

    def _stack(self, frame: FrameType | None) -> list[int]:
        stack = []
        while frame is not None:
            code = frame.f_code
            name = getattr(code, 'co_qualname', code.co_name)  # Python 3.11
            stack.append(self._index(name, code.co_filename, code.co_firstlineno))
            frame = frame.f_back
        return stack[::-1]

    def _index(self, *frame: Any) -> int:
        return self._frames.setdefault(frame, len(self._frames))


def _busy_seconds() -> dict[tuple[str, str], float]:
    """Return the processor time of each thread, by its number and name; Linux."""
    found = {}
    for folder in Path('/proc/self/task').iterdir():
        try:
            name = (folder / 'comm').read_text(encoding='utf-8').strip()
            busy, *_ = (folder / 'schedstat').read_text(encoding='utf-8').split()
        except OSError:
            # The thread has just ended, or the kernel does not count its time.
            continue
        found[folder.name, name] = int(busy) / 1e9
    return found


def _profile(asked: threading.Event, path: Path) -> None:
    asked.wait()
    samples, end = Samples(), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        time.sleep(PERIOD)
        samples.take()
    content = samples.as_speedscope('completion_node')
    write_result(path, json.dumps(content) + '\n')


def main() -> None:
    """Start the sampler, which waits for the signal, then run the node."""
    from magadepth_ros.nodes.completion_node import main as run_node

    path, *arguments = sys.argv[1:]
    asked = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: asked.set())
    threading.Thread(
        target=_profile, args=(asked, Path(path)), name='sampler', daemon=True
    ).start()
    sys.argv[1:] = arguments
    run_node()


if __name__ == '__main__':
    main()
