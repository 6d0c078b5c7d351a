# SPDX-License-Identifier: Apache-2.0
"""What the pages say of parameters, conditions and topics; parameter files against the schema."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from magadepth_ros.nodes.condition_table import CONDITIONS
from magadepth_ros.nodes.pages import BLOCKS, SCHEMA, filled, schema_text
from magadepth_ros.nodes.parameter_schema import schema
from magadepth_ros.nodes.parameters import NodeParameters

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / 'config').rglob('*.yaml'))

pytestmark = pytest.mark.skipif(
    not (ROOT / 'docs').is_dir(), reason='installed without its documentation'
)


@pytest.mark.parametrize('page', BLOCKS)
def test_the_pages_say_what_the_node_declares_and_reports(page):
    text = (ROOT / page).read_text(encoding='utf-8')
    assert filled(text, BLOCKS[page]) == text, 'python -m magadepth_ros.nodes.pages'


def test_every_code_that_a_page_names_exists():
    known = {*CONDITIONS, *re.findall(r'\b[A-Z_]+\b', (ROOT / 'Makefile').read_text())}
    for page in (ROOT / 'docs/troubleshooting.md', ROOT / 'docs/nodes.md'):
        for code in re.findall(r'`([A-Z]+(?:_[A-Z]+)+)`', page.read_text(encoding='utf-8')):
            assert code in known or code.startswith(('ROS_', 'XDG_', 'LD_', '_ROS')), code


def test_the_schema_in_config_is_that_of_the_node():
    assert (ROOT / SCHEMA).read_text(encoding='utf-8') == schema_text()


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_shipped_parameter_files_fit_the_schema(path):
    jsonschema = pytest.importorskip('jsonschema', reason='checks the files by their schema')
    jsonschema.validate(yaml.safe_load(path.read_text(encoding='utf-8')), schema())


@pytest.mark.parametrize('item', fields(NodeParameters), ids=lambda item: item.name)
def test_the_schema_takes_defaults_and_refuses_what_the_node_refuses(item):
    jsonschema = pytest.importorskip('jsonschema', reason='checks values by the schema')

    def fits(values: dict) -> bool:
        file = {'/**': {'ros__parameters': values}}
        return not list(jsonschema.Draft202012Validator(schema()).iter_errors(file))

    default = list(item.default) if isinstance(item.default, tuple) else item.default
    assert fits({item.name: default}) and not fits({f'{item.name}x': default})
    limits, choices = item.metadata['limits'], item.metadata['choices']
    wrong = limits[1] + 1 if limits else 'nonsense' if choices else 7
    assert not fits({item.name: wrong})


def test_the_schema_names_the_node_as_ros_does():
    def fits(name: str) -> bool:
        return any(re.search(p, name) for p in schema()['patternProperties'])

    assert all(map(fits, ('/**', 'completion_node', '/completion_node', '/arm/completion_node')))
    assert not fits('/simulated_camera')
