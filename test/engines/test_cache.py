# SPDX-License-Identifier: Apache-2.0
"""Tests of the engine cache: never a wrong engine, never a lost service."""

from __future__ import annotations

import errno
import json
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('onnx', reason='the tiny model is written with onnx')

from support.models import write_tiny_model

from magadepth_ros.engines import cache
from magadepth_ros.engines.cache import (
    EngineFile,
    EngineKey,
    build_lock,
    engine_path,
    find_engine,
    read_engine,
    sha256_of,
    sidecar_path,
)
from magadepth_ros.engines.metadata import read_model_info
from magadepth_ros.errors import EngineError

ENGINE = bytes(range(256)) * 40


def store_engine(model, key, data, report):
    file = EngineFile(data, read_model_info(model), key, report)
    return cache.store_engine(file, engine_path(model, key))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / 'tiny.onnx')


@pytest.fixture
def key(model):
    return EngineKey(
        onnx_sha256=sha256_of(model),
        runtime='tensorrt',
        runtime_version='10.3.0',
        gpu='Orin',
        compute_capability='8.7',
        precision='fp16',
        shape=(1, 48, 64),
    )


def test_the_folder_follows_the_environment(tmp_path, monkeypatch):
    assert cache.cache_folder() == tmp_path / 'cache' / 'magadepth_ros'
    # The XDG specification: a relative path is to be ignored.
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert cache.cache_folder() == tmp_path / '.cache' / 'magadepth_ros'


def test_what_is_stored_is_found(model, key):
    assert find_engine(model, key)[0] is None
    store_engine(model, key, ENGINE, {'layers': 3})
    found, _ = find_engine(model, key)
    assert found is not None
    assert found.data == ENGINE
    assert found.info.network == 'tiny'
    assert found.key == key
    assert found.report == {'layers': 3}


@pytest.mark.parametrize(
    'changed',
    [
        {'onnx_sha256': '0' * 64},
        {'runtime': 'tensorrt-rtx'},
        {'runtime_version': '10.4.0'},
        {'gpu': 'Thor'},
        {'compute_capability': '11.0'},
        {'precision': 'fp32'},
        {'shape': (2, 48, 64)},
    ],
)
def test_an_engine_for_anything_else_is_never_taken(model, key, changed):
    store_engine(model, key, ENGINE, {})
    other = replace(key, **changed)
    assert find_engine(model, other)[0] is None
    # Renamed to what is looked for, as by a careless copy:
    wrong, right = engine_path(model, key), engine_path(model, other)
    wrong.rename(right)
    sidecar_path(wrong).rename(sidecar_path(right))
    found, why = find_engine(model, other)
    assert found is None
    assert f'built for {next(iter(changed))}' in why
    assert 'moved aside' in why
    assert not right.exists()
    assert right.with_name(right.name + '.bad1').read_bytes() == ENGINE


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(bytes(data))


def lose_sidecar(path: Path) -> None:
    sidecar_path(path).unlink()


def break_sidecar(path: Path) -> None:
    sidecar_path(path).write_text('{"key": 3')


def empty_sidecar(path: Path) -> None:
    sidecar_path(path).write_text('{}')


def future_sidecar(path: Path) -> None:
    found = json.loads(sidecar_path(path).read_text())
    sidecar_path(path).write_text(json.dumps({**found, 'format': 99}))


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (truncate, 'truncated or changed'),
        (flip, 'changed since it was built'),
        (lose_sidecar, 'is not beside it'),
        (break_sidecar, 'not the description of an engine'),
        (empty_sidecar, 'not the description of an engine'),
        (future_sidecar, 'format 99'),
    ],
)
def test_a_damaged_engine_is_moved_aside_and_can_be_built_again(model, key, damage, reason):
    path = store_engine(model, key, ENGINE, {}).path
    assert path is not None
    damage(path)
    with pytest.raises(EngineError, match=reason):
        read_engine(path, key)
    found, why = find_engine(model, key)
    assert found is None
    assert reason in why
    assert not path.exists()
    store_engine(model, key, ENGINE, {})
    assert find_engine(model, key)[0] is not None


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path, monkeypatch, model, key):
    # Being root, as in a container, passes any permission: a file in the way stops everybody.
    (tmp_path / 'blocked').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'blocked'))
    with pytest.raises(EngineError, match=r'cannot be stored.*XDG_CACHE_HOME'):
        store_engine(model, key, ENGINE, {})
    with build_lock(engine_path(model, key)) as held:
        assert not held


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_leaves_nothing_half_written(monkeypatch, model, key, code):
    def full(descriptor):
        raise OSError(code, 'No space left on device')

    monkeypatch.setattr(cache.os, 'fsync', full)
    with pytest.raises(EngineError, match='No space left on device'):
        store_engine(model, key, ENGINE, {})
    assert list(engine_path(model, key).parent.iterdir()) == []


def test_who_looks_while_an_engine_is_stored_finds_it_or_none(monkeypatch, model, key):
    write, seen = cache.write_atomically, []

    def watched(path, data):
        seen.append(find_engine(model, key)[0])
        write(path, data)
        seen.append(find_engine(model, key)[0])

    monkeypatch.setattr(cache, 'write_atomically', watched)
    store_engine(model, key, ENGINE, {})
    store_engine(model, key, ENGINE[::-1], {})
    assert [found.data if found else None for found in seen[1::2]] == [
        None, ENGINE, None, ENGINE[::-1]
    ]  # fmt: skip
    assert not list(engine_path(model, key).parent.glob('*.bad*'))


def test_a_full_disk_takes_no_engine_away_when_its_check_is_noted(monkeypatch, model, key):
    store_engine(model, key, ENGINE, {'check': None})

    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(cache.os, 'fsync', full)
    with pytest.raises(EngineError, match='No space left on device'):
        store_engine(model, key, ENGINE, {'check': {'worst': 0.0}})
    found, _ = find_engine(model, key)
    assert found is not None
    assert found.report == {'check': None}


def test_two_starts_at_once_build_once(model, key):
    builds = []
    waited = []
    looks: Counter[int] = Counter()

    def look() -> bool:
        # Each of the two others is asked again and again while it waits.
        looks[threading.get_ident()] += 1
        if len(looks) == 2 and min(looks.values()) >= 3:
            go_on.set()
        return False

    def start():
        with build_lock(engine_path(model, key), lambda: waited.append(1), look):
            if find_engine(model, key)[0] is None:
                started.set()
                go_on.wait(60)
                builds.append(1)
                store_engine(model, key, ENGINE, {})

    started, go_on = threading.Event(), threading.Event()
    threads = [threading.Thread(target=start) for _ in range(3)]
    threads[0].start()
    assert started.wait(60)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert builds == [1]
    assert waited == [1, 1]
    assert find_engine(model, key)[0] is not None


def test_waiting_for_a_lock_can_be_given_up(model, key):
    path = engine_path(model, key)
    with (
        build_lock(path),
        pytest.raises(EngineError, match='stopped waiting'),
        build_lock(path, cancelled=lambda: True),
    ):
        pass
