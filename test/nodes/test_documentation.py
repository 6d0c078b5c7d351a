# SPDX-License-Identifier: Apache-2.0
"""docs/nodes.md has every parameter with the type, the default and the text of the code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from magadepth_ros.nodes.camera_parameters import CameraParameters
from magadepth_ros.nodes.parameters import (
    LIVE,
    ON_CONFIGURE,
    ON_RELOAD,
    ON_START,
    NodeParameters,
)

PAGE = Path(__file__).parents[2] / 'docs' / 'nodes.md'
TYPES = {bool: 'bool', int: 'int', float: 'double', str: 'string'}
WHEN = {LIVE: 'at once', ON_RELOAD: 'reload', ON_CONFIGURE: 'configure', ON_START: 'start'}


def type_of(default: object) -> str:
    if isinstance(default, tuple):
        return f'{TYPES[type(default[0])]}[]'
    return TYPES[type(default)]


def written(value: object) -> str:
    if isinstance(value, tuple):
        return f'{list(value)}'
    return str(value).lower() if isinstance(value, bool) else repr(value)


ITEMS = [*fields(NodeParameters), *fields(CameraParameters)]


@pytest.mark.parametrize('item', ITEMS, ids=lambda item: item.name)
def test_the_page_says_what_the_node_declares(item):
    if not PAGE.is_file():
        pytest.skip('installed without its documentation')
    about = item.metadata
    text = about['text']
    if about['choices']:
        text += f' One of {", ".join(f"`{choice}`" for choice in about["choices"])}.'
    if about['limits']:
        text += ' Range {:g} to {:g}.'.format(*about['limits'])
    row = (
        f'| `{item.name}` | {type_of(item.default)} | `{written(item.default)}` '
        f'| {WHEN[about["when"]]} | {text} |'
    )
    assert row in PAGE.read_text(encoding='utf-8').splitlines(), f'expected: {row}'
