# SPDX-License-Identifier: Apache-2.0
"""A node's process uses the memory of a message again, and asks the system for none."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FRESH_PAGES = """
import resource, sys
import numpy as np
from magadepth_ros.nodes.heap import keep_freed_memory

if sys.argv[1] == 'kept':
    keep_freed_memory()
sizes = [3_000_000] * 4
for _ in range(5):
    images = [np.zeros(size, np.uint8) + 1 for size in sizes]
    del images
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    images = [np.ones(size, np.uint8) for size in sizes]
    del images
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='asks glibc')
def test_images_of_one_size_after_another_need_no_fresh_pages():
    def fresh(mode: str) -> int:
        command = [sys.executable, '-c', _FRESH_PAGES, mode]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    # Twenty times 12 MB are 60,000 pages.
    assert fresh('kept') < 1000
