# SPDX-License-Identifier: Apache-2.0
"""The samples that become a speedscope file."""

from __future__ import annotations

import json
import threading
import time

from magadepth_ros.commands.profiled_node import Samples


def test_a_thread_is_shown_by_its_name_and_its_stack_from_the_root():
    asked = threading.Event()

    def inner():
        asked.wait(10)

    def outer():
        inner()

    thread = threading.Thread(target=outer, name='worker', daemon=True)
    thread.start()
    samples = Samples()
    for _ in range(3):
        time.sleep(0.002)
        samples.take()
    asked.set()

    made = json.loads(json.dumps(samples.as_speedscope('x')))

    profile = next(p for p in made['profiles'] if p['name'] == 'worker (Python)')
    frames = made['shared']['frames']
    names = [frames[i]['name'].rpartition('.')[2] for i in profile['samples'][0]]
    assert names.index('outer') + 1 == names.index('inner')
    assert len(profile['samples']) == len(profile['weights']) == 3
    assert profile['type'] == 'sampled' and profile['unit'] == 'seconds'
    assert profile['endValue'] - profile['startValue'] >= 0.006
    assert made['$schema'] == 'https://www.speedscope.app/file-format-schema.json'
