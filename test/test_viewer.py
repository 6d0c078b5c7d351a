# SPDX-License-Identifier: Apache-2.0
"""The viewer's window: where its server listens, and what is said where it does not open."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from magadepth_ros import viewer
from magadepth_ros.errors import DataError

# Stands in for the program of rerun: says where it listens, and ends as it is told.
PROGRAM = """
import os, signal, socket, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
server = socket.create_server((given['--bind'], int(given['--port'])))
open(os.environ['SAYS'], 'w').write(given['--bind'])
if os.environ['ENDS']:
    print('INFO listening')
    sys.exit('Error: no X server')
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True:
    signal.pause()
"""


@pytest.fixture
def window(tmp_path, monkeypatch):
    """Open a window whose program ends at once, or stays."""
    (tmp_path / 'rerun').mkdir()
    (tmp_path / 'rerun' / '__init__.py').write_text('')
    (tmp_path / 'rerun' / '__main__.py').write_text(PROGRAM)
    paths = [str(tmp_path), os.environ.get('PYTHONPATH', '')]
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(paths))
    monkeypatch.setenv('SAYS', str(tmp_path / 'bind'))

    def open_(ends: bool) -> viewer._Window:
        monkeypatch.setenv('ENDS', '1' if ends else '')
        return viewer._Window()

    return open_


@pytest.mark.skipif(sys.platform != 'linux', reason='signals')
def test_only_this_computer_reaches_the_window_and_closing_it_is_seen(window, tmp_path):
    opened = window(ends=False)
    assert (tmp_path / 'bind').read_text() == '127.0.0.1'
    assert opened.url.startswith('rerun+http://127.0.0.1:') and not opened.closed
    opened._process.send_signal(signal.SIGTERM)
    end = time.monotonic() + 30
    while not opened.closed:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_window_that_does_not_open_says_why_and_what_else_there_is(window):
    with pytest.raises(DataError, match=r'did not open: no X server; .* --save FILE\.rrd'):
        window(ends=True)
