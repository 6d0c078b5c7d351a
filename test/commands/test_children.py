# SPDX-License-Identifier: Apache-2.0
"""Processes of the demo: gone when it ends, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from magadepth_ros.commands.children import ChildError, Children

# Ignores the polite signal, and starts a process of its own; prints both numbers.
STUBBORN = """
import signal, subprocess, sys, time, os
signal.signal(signal.SIGINT, signal.SIG_IGN)
own = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
print(os.getpid(), own.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except FileNotFoundError:
        return False
    return state != 'Z'


def until(condition, seconds: float = 20.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.02)
    return found


def pids_in(log: Path) -> list[int]:
    return until(lambda: [int(word) for word in log.read_text().split()])


def test_stubborn_processes_and_their_children_are_ended(tmp_path):
    log = tmp_path / 'stubborn.log'
    with Children() as children:
        children.start('stubborn', [sys.executable, '-c', STUBBORN], log)
        pids = pids_in(log)
        assert all(alive(pid) for pid in pids)
    until(lambda: not any(alive(pid) for pid in pids))


def test_an_error_inside_ends_them_too(tmp_path):
    log = tmp_path / 'stubborn.log'
    with pytest.raises(RuntimeError), Children() as children:
        children.start('stubborn', [sys.executable, '-c', STUBBORN], log)
        pids = pids_in(log)
        raise RuntimeError
    until(lambda: not any(alive(pid) for pid in pids))


@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel of Linux does this')
def test_killing_the_parent_ends_them(tmp_path):
    log = tmp_path / 'child.log'
    child = 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'
    code = (
        'import sys, time\nfrom pathlib import Path\n'
        'from magadepth_ros.commands.children import Children\n'
        f'Children().start("child", [sys.executable, "-c", {child!r}], Path({str(log)!r}))\n'
        'time.sleep(60)'
    )
    parent = subprocess.Popen([sys.executable, '-c', code])
    try:
        until(log.exists)
        (pid,) = pids_in(log)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    until(lambda: not alive(pid))


def test_a_dead_process_is_reported_with_the_end_of_its_log(tmp_path):
    code = '[print(i, flush=True) for i in ("first", *range(50))]; raise SystemExit("no camera")'
    with Children() as children:
        child = children.start('camera', [sys.executable, '-c', code], tmp_path / 'camera.log')
        child.process.wait()
        with pytest.raises(ChildError) as caught:
            children.check()
    text = str(caught.value)
    assert 'camera ended with exit code 1' in text
    assert 'no camera' in text and 'first' not in text
