# SPDX-License-Identifier: Apache-2.0
"""Names and configuration files of networks, and what is said about wrong ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip('torch')

from support.networks import SHRUNK_CHOOSER, frames, tiny, tiny_s2ml

from magadepth_ros.errors import DataError
from magadepth_training.networks.paper.magadepth import MagaDepth
from magadepth_training.networks.registry import create_network, network_config, network_names
from magadepth_training.networks.s2ml.network import S2ML
from magadepth_training.networks.surfaces.chooser import Chooser
from magadepth_training.recipe import read_recipe


def written(folder, text):
    path = folder / 'mine.yaml'
    path.write_text(text)
    return path


def test_shipped_names():
    schemes = {f'scheme_{letter}' for letter in 'abcdefghi'}
    sizes = {'magadepth_base', 'magadepth_small', 'magadepth_tiny', 's2ml'}

    assert schemes | sizes <= set(network_names())
    assert network_names() == sorted(network_names())


@pytest.mark.parametrize('name', network_names())
def test_every_shipped_file_is_read_completely(name):
    config = network_config(name)

    assert config.name == name
    assert config.height % 8 == config.width % 8 == 0
    assert read_recipe(name).steps > 0


def test_base_has_the_paper_s_48_million_parameters():
    count = sum(p.numel() for p in create_network('magadepth_base').parameters())

    assert count == pytest.approx(48e6, rel=0.02)


def test_family_sizes_are_in_order():
    counts = [
        sum(p.numel() for p in create_network(f'magadepth_{size}').parameters())
        for size in ('tiny', 'small', 'base')
    ]

    assert counts == sorted(counts)


def test_families():
    assert isinstance(create_network(tiny()), MagaDepth)
    assert isinstance(create_network(tiny_s2ml()), S2ML)
    assert isinstance(create_network('magadepth_tiny', **SHRUNK_CHOOSER), Chooser)


def test_overrides_replace_fields():
    net = create_network('magadepth_tiny', **SHRUNK_CHOOSER)

    assert net(*frames()).depth.shape == frames()[1].shape
    assert net.config.name == 'magadepth_tiny'


def test_a_file_of_one_s_own(tmp_path):
    path = written(tmp_path, 'network:\n  height: 32\n  width: 48\n  kernels: [5]\n')

    config = network_config(path)

    assert (config.name, config.height, config.width) == ('mine', 32, 48)
    assert config.kernels == (5,)
    assert network_config(str(path)) == config


@pytest.mark.parametrize('name', ['magadepth_huge', 'nowhere/mine.yaml'])
def test_unknown_name_lists_the_known_ones(name):
    with pytest.raises(DataError, match=r'magadepth_base, .*s2ml'):
        create_network(name)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('network:\n  chanels: [1, 2, 3]\n', 'unknown chanels; known: .*channels'),
        (
            'network:\n  family: resnet\n',
            'unknown family resnet; known: chooser, guided_fill, paper, s2ml',
        ),
        ('recipe:\n  steps: 3\n', 'section `network`'),
        ('- network\n', 'section `network`'),
        ('network: [1, 2]\n', 'network: expected a mapping'),
        ('base: magadepth_huge\n', 'no configuration magadepth_huge'),
        ('base: 5\n', 'no configuration 5'),
        ('network:\n  family: [paper]\n', 'unknown family .*paper.*; known: chooser'),
        ('network:\n  3: 5\n', 'unknown 3; known: .*height'),
        ('network: [unclosed\n', 'not a YAML file'),
    ],
)
def test_wrong_files_are_told_what_is_wrong(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        network_config(written(tmp_path, text))


def test_a_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_bytes(b'network:\n  name: caf\xe9\n')
    with pytest.raises(DataError, match='not a YAML file'):
        network_config(path)


def test_unknown_field_of_the_recipe_lists_the_known_ones(tmp_path):
    path = written(tmp_path, 'network:\n  height: 32\nrecipe:\n  epochs: 80\n')

    with pytest.raises(DataError, match=r'unknown epochs; known: .*steps'):
        read_recipe(path)


def test_an_empty_section_is_told(tmp_path):
    with pytest.raises(DataError, match='section `network`'):
        network_config(written(tmp_path, 'network:\n'))


def test_a_base_gives_what_a_file_leaves_out(tmp_path):
    written(tmp_path, 'network:\n  name: first\n  height: 32\n  width: 48\nrecipe:\n  steps: 7\n')
    path = tmp_path / 'second.yaml'
    path.write_text('base: mine.yaml\nnetwork:\n  width: 64\nrecipe:\n  batch_size: 3\n')

    config, recipe = network_config(path), read_recipe(path)

    assert (config.name, config.height, config.width) == ('second', 32, 64)
    assert (recipe.steps, recipe.batch_size) == (7, 3)


def test_a_shipped_base(tmp_path):
    config = network_config(written(tmp_path, 'base: magadepth_tiny\nnetwork:\n  hidden: 8\n'))

    assert config == replace(network_config('magadepth_tiny'), name='mine', hidden=8)


def test_a_file_that_is_its_own_base_is_told(tmp_path):
    with pytest.raises(DataError, match='its own base'):
        network_config(written(tmp_path, 'base: mine.yaml\n'))


@pytest.mark.parametrize('recipe', ['loss: papr', 'optimizer: adam', 'learning_rate: fast'])
def test_a_misspelt_setting_of_the_recipe_is_refused(tmp_path, recipe):
    path = written(tmp_path, f'network:\n  height: 32\nrecipe:\n  {recipe}\n')

    with pytest.raises(DataError):
        read_recipe(path)
