# SPDX-License-Identifier: Apache-2.0
"""Conditions: set, cleared, logged once, shown with their codes; the table and who uses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import magadepth_ros.nodes.conditions as module
from magadepth_ros.nodes.condition_table import CONDITIONS, ERROR, OK, WARN
from magadepth_ros.nodes.conditions import HOLD, QUIET, REPEAT, Conditions

NODES = Path(module.__file__).parent


class Log:
    """A logger that remembers lines with their levels."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, level: str):
        return lambda text: self.lines.append((level, text))


@pytest.fixture
def log():
    """Give a logger."""
    return Log()


@pytest.fixture
def conditions(log):
    """Give the conditions of one camera."""
    return Conditions(log, 'front')


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that stands until it is moved: ``clock[0]`` in seconds."""
    now = [1000.0]
    monkeypatch.setattr(module, 'monotonic', lambda: now[0])
    return now


def codes(conditions: Conditions) -> list[str]:
    return [item.condition.code for item in conditions.active()]


def test_a_condition_is_logged_when_it_begins_and_when_it_is_over(conditions, log, clock):
    for _ in range(100):
        conditions.set('BLACK_RGB', rgb='/rgb')
        clock[0] += 0.1
    ((level, text),) = log.lines
    assert level == 'warning'
    assert text.startswith('front: BLACK_RGB: /rgb is black') and 'lens cap' in text
    assert codes(conditions) == ['BLACK_RGB']
    conditions.clear('BLACK_RGB')
    conditions.clear('BLACK_RGB')
    assert log.lines[1:] == [('info', 'front: BLACK_RGB is over after 10 s')]
    assert not conditions.active()
    assert 'BLACK_RGB: /rgb is black' in conditions.last


def test_one_that_comes_and_goes_is_not_logged_each_time(conditions, log, clock):
    for _ in range(20):
        conditions.set('BLACK_RGB', rgb='/rgb')
        conditions.clear('BLACK_RGB')
        clock[0] += QUIET / 10
    texts = [text for level, text in log.lines if level == 'warning']
    assert len(texts) == 2 and texts[1].endswith('[11 times so far]')
    assert len(log.lines) == 4


def test_an_event_goes_on_for_a_while_and_is_repeated_seldom(conditions, log, clock):
    end = clock[0] + 2 * REPEAT
    while clock[0] < end:
        conditions.set('LATE_PAIRS', rgb='/rgb', age=2.0, max_age=0.5)
        clock[0] += 1.0
    assert [level for level, _ in log.lines] == ['warning'] * 2
    clock[0] += HOLD - 2
    assert codes(conditions) == ['LATE_PAIRS']
    clock[0] += 3
    assert not conditions.active()
    assert log.lines[-1][0] == 'info'


def test_the_worst_comes_first_and_one_that_is_ok_is_not_logged(conditions, log):
    conditions.set('BLACK_RGB', rgb='/rgb')
    conditions.set('OUT_OF_RANGE', level=OK, depth='/d', share=1, near=0, far=1, low=0, high=1)
    conditions.set('BAD_IMAGE', level=ERROR, rgb='/rgb', depth='/d', reason='step')
    conditions.set('NO_CAMERA_INFO', info='/info')
    assert codes(conditions) == ['BAD_IMAGE', 'BLACK_RGB', 'NO_CAMERA_INFO', 'OUT_OF_RANGE']
    assert [level for level, _ in log.lines] == ['warning', 'error', 'warning']
    conditions.rest()
    assert not conditions.active() and len(log.lines) == 3


def test_every_condition_of_the_table_is_used_and_every_code_used_is_in_it():
    used = set()
    for path in NODES.glob('*.py'):
        if path.name not in ('condition_table.py', 'dds.py'):
            used |= set(re.findall(r"'([A-Z]+(?:_[A-Z]+)+)'", path.read_text(encoding='utf-8')))
    assert used == CONDITIONS.keys()


@pytest.mark.parametrize('condition', CONDITIONS.values(), ids=lambda c: c.code)
def test_the_texts_of_a_condition_are_of_one_form(condition):
    assert re.fullmatch(r'[A-Z]+(_[A-Z]+)+', condition.code)
    assert condition.level in (WARN, ERROR)
    for text in (condition.sentence, condition.remedy):
        assert text and not text.endswith('.') and '\n' not in text
