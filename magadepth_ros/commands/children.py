# SPDX-License-Identifier: Apache-2.0
"""Child processes that are watched, and that end with their parent, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from magadepth_ros.errors import MagadepthError

_PR_SET_PDEATHSIG = 1
GRACE = 1.2
"""Seconds between SIGINT and SIGKILL."""


class ChildError(MagadepthError):
    """A child process has ended too early; the message has the end of its log."""


@dataclass
class Child:
    """One process, the leader of its own group, and the file that it writes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        text = self.log.read_text(encoding='utf-8', errors='replace')
        return '\n'.join(text.splitlines()[-lines:])


class Children:
    """
    A context manager that ends every process started in it.

    Each process has its own process group, so that Ctrl-C reaches it only once, from here. The
    kernel ends the processes where this process is killed.
    """

    def __init__(self) -> None:
        self.running: list[Child] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], log: Path) -> Child:
        """Start a process that writes stdout and stderr to ``log``."""
        parent = os.getpid()
        with log.open('wb') as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Safe here: children are started before this process has threads.
                preexec_fn=lambda: _end_with(parent),
            )
        child = Child(name, process, log)
        self.running.append(child)
        return child

    def check(self) -> None:
        """Raise `ChildError` where one has ended."""
        for child in self.running:
            code = child.process.poll()
            if code is not None:
                raise ChildError(
                    f'{child.name} ended with exit code {code}; the end of {child.log}:\n'
                    f'{child.tail()}'
                )

    def stop(self) -> None:
        """Send SIGINT to all processes, wait for `GRACE`, then kill the rest."""
        for child in self.running:
            _signal(child, signal.SIGINT)
        deadline = monotonic() + GRACE
        while monotonic() < deadline and any(c.process.poll() is None for c in self.running):
            sleep(0.02)
        for child in self.running:
            # The whole group, so that processes started by the child end too.
            _signal(child, signal.SIGKILL)
            child.process.wait()
        self.running.clear()


def _signal(child: Child, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.process.pid, number)


def _end_with(parent: int) -> None:
    """Run between fork and exec: make the kernel send SIGTERM when the parent ends (Linux)."""
    if not sys.platform.startswith('linux'):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
