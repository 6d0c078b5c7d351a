# SPDX-License-Identifier: Apache-2.0
"""Table 1's schemes A to I: between two of them, exactly the ablated part differs."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache

import pytest

torch = pytest.importorskip('torch')

from support.networks import SHRUNK

from magadepth_training.networks.registry import create_network, network_config
from magadepth_training.recipe import read_recipe

SCHEMES = 'abcdefghi'


@cache
def parameters(scheme):
    """Names and shapes, at a size that is made quickly; the parts are those of the full one."""
    network = create_network(f'scheme_{scheme}', **SHRUNK)
    return {name: tuple(p.shape) for name, p in network.named_parameters()}


def differing(one, other):
    """Names that only one of two schemes has, or with another shape."""
    a, b = parameters(one), parameters(other)
    return {name for name in a.keys() | b.keys() if a.get(name) != b.get(name)}


def only_in(one, other):
    return parameters(one).keys() - parameters(other).keys()


def is_head(name):
    """Whether it is a weight or an epsilon of the depth encoder's masked convolutions."""
    return name.startswith('depth_encoder.') and '.heads.' in name


def test_a_to_b_puts_magaconv_and_three_heads_in():
    assert differing('a', 'b')
    assert all(is_head(name) for name in differing('a', 'b'))
    assert {name for name in only_in('b', 'a') if name.endswith('epsilon')}


def test_b_to_c_leaves_one_head_of_5x5():
    assert all(is_head(name) for name in differing('b', 'c'))
    weights = {n: s for n, s in parameters('c').items() if is_head(n) and n.endswith('weight')}
    assert {shape[2:] for shape in weights.values()} == {(5, 5)}
    assert len(weights) == 9
    assert not only_in('c', 'b')


def test_a_to_c_adds_nothing_but_an_epsilon_per_layer():
    assert differing('a', 'c') == only_in('c', 'a')
    assert len(only_in('c', 'a')) == 9
    assert all(name.endswith('epsilon') for name in only_in('c', 'a'))


def test_b_to_d_takes_nothing_but_the_epsilons_out():
    assert differing('b', 'd') == only_in('b', 'd')
    assert len(only_in('b', 'd')) == 27
    assert all(name.endswith('epsilon') for name in only_in('b', 'd'))


@pytest.mark.parametrize(('concat', 'fused'), [('a', 'e'), ('b', 'i')])
def test_concatenation_to_bp_fusion_changes_the_fusion_alone(concat, fused):
    assert differing(concat, fused)
    assert all(name.startswith('fusion.') for name in differing(concat, fused))


def test_e_to_f_takes_the_pass_from_depth_to_colour_out():
    assert differing('e', 'f') == only_in('e', 'f')
    gone = only_in('e', 'f')
    assert gone == {n for n in parameters('e') if '.depth_to_colour.' in n}
    assert gone


def test_e_to_g_puts_convolutions_in_the_place_of_every_cmf():
    assert all(name.startswith('fusion.') for name in differing('e', 'g'))

    def places(scheme):
        names = [n for n in parameters(scheme) if n.startswith('fusion.')]
        return {n.split('_to_')[0] + n.split('_to_')[1].split('.')[0] for n in names}

    assert places('e') == places('g')
    weights = {s[2:] for n, s in parameters('g').items() if n.startswith('fusion.')} - {()}
    assert weights == {(3, 3)}


def test_e_to_i_changes_the_depth_encoder_s_heads_alone():
    assert differing('e', 'i')
    assert all(is_head(name) for name in differing('e', 'i'))


def test_h_and_i_are_one_network_and_differ_in_the_structure_loss_alone():
    assert not differing('h', 'i')
    configs = [replace(network_config(f'scheme_{s}'), name='') for s in 'hi']
    assert configs[0] == configs[1]
    h, i = (asdict(read_recipe(f'scheme_{s}')) for s in 'hi')
    assert {key: (h[key], i[key]) for key in h if h[key] != i[key]} == {'structure': (0.0, 1.0)}


def test_all_are_trained_alike_by_the_paper_s_loss():
    recipes = {s: read_recipe(f'scheme_{s}') for s in SCHEMES}

    assert {replace(r, structure=1.0) for r in recipes.values()} == {recipes['i']}
    assert [s for s, r in recipes.items() if not r.structure] == ['h']
    assert (recipes['i'].loss, recipes['i'].mse) == ('paper', 1.0)


def test_all_take_the_same_input_and_have_no_deviation():
    for scheme in SCHEMES:
        config, base = network_config(f'scheme_{scheme}'), network_config('magadepth_base')
        for field in ('height', 'width', 'channels', 'decoder_channels', 'max_depth'):
            assert getattr(config, field) == getattr(base, field)


def test_the_whole_network_is_magadepth_base():
    assert replace(network_config('scheme_i'), name='magadepth_base') == network_config(
        'magadepth_base'
    )
