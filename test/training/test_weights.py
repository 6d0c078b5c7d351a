# SPDX-License-Identifier: Apache-2.0
"""Weights as safetensors: what is written is read, and what is no such file is refused."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip('torch')
safetensors = pytest.importorskip('safetensors.torch')

from support.networks import frames, shaken, tiny, tiny_chooser, tiny_s2ml

from magadepth_ros.errors import MagadepthError, ModelError
from magadepth_training.networks.registry import create_network
from magadepth_training.weights import load_network, save_weights

CONFIGS = [
    tiny(),
    tiny(kernels=(5,), conv='vanilla', fusion='concat'),
    tiny_chooser(),
    tiny_s2ml(),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'net.safetensors'


@pytest.mark.parametrize('config', CONFIGS, ids=lambda c: f'{c.name}-{getattr(c, "conv", "")}')
def test_round_trip(path, config):
    torch.manual_seed(0)
    network = shaken(create_network(config))

    save_weights(network, path)
    read = load_network(path)

    assert read.config == config
    assert type(read) is type(network)
    assert not read.training
    given = frames()
    for ours, theirs in zip(network(*given)[:2], read(*given)[:2]):
        if ours is not None:
            # Matrices are stored in float16.
            torch.testing.assert_close(theirs, ours, atol=0.03, rtol=0.01)


def test_a_second_round_trip_changes_nothing(path, tmp_path):
    save_weights(shaken(create_network(tiny())), path)
    again = tmp_path / 'again.safetensors'
    save_weights(load_network(path), again)

    one, two = load_network(path).state_dict(), load_network(again).state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(tensor.dtype != torch.float16 for tensor in one.values())


def test_the_same_weights_are_the_same_bytes(path):
    network = create_network(tiny())
    written = set()
    for _ in range(8):
        save_weights(network, path)
        written.add(path.read_bytes())

    assert len(written) == 1


def test_an_older_file_is_read(path):
    save_weights(create_network(tiny()), path)
    rewrite(path, lambda config, tensors: config.pop('family'), family='paper')

    assert load_network(path).config == tiny()


def test_matrices_are_half_precision_and_the_rest_is_exact(path):
    network = shaken(create_network(tiny()))
    save_weights(network, path)

    stored = safetensors.load_file(path)
    assert {tensor.dtype for tensor in stored.values() if tensor.ndim > 1} == {torch.float16}
    for name, parameter in network.named_parameters():
        if parameter.ndim <= 1:
            assert torch.equal(stored[name], parameter), name


def test_what_lay_there_is_replaced_and_nothing_else_is_left(path):
    path.write_bytes(b'old')

    save_weights(create_network(tiny()), path)

    assert load_network(path).config == tiny()
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_file_is_named(path):
    with pytest.raises(ModelError, match=r'net\.safetensors: no such file'):
        load_network(path)


@pytest.mark.parametrize('share', [0.0, 0.0001, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(path, share):
    save_weights(create_network(tiny()), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])

    with pytest.raises(ModelError, match='not a safetensors file, or cut'):
        load_network(path)


def test_a_pickle_is_not_opened(path):
    torch.save({'weights': torch.zeros(3)}, path)

    with pytest.raises(ModelError, match='not a safetensors file'):
        load_network(path)


@pytest.mark.parametrize(
    'metadata',
    [
        None,
        {'format': 'pt'},
        {'family': 'resnet', 'network': '{}'},
        {'network': '{"family": "resnet"}'},
        {'network': 'resnet'},
        {'network': '3'},
    ],
)
def test_a_foreign_file_is_refused(path, metadata):
    safetensors.save_file({'weight': torch.zeros(3)}, path, metadata)

    with pytest.raises(ModelError, match='no magadepth configuration'):
        load_network(path)


def rewrite(path, change, **entries):
    """Change the metadata's network configuration and the tensors of a file."""
    with safetensors.safe_open(path, 'pt') as file:
        metadata = dict(file.metadata())
    tensors = safetensors.load_file(path)
    config = json.loads(metadata['network'])
    change(config, tensors)
    metadata['network'] = json.dumps(config)
    safetensors.save_file(tensors, path, {**metadata, **entries})


@pytest.mark.parametrize(
    'change',
    [
        lambda config, tensors: config.update(hidden=8),
        lambda config, tensors: config.update(height=33),
        lambda config, tensors: tensors.pop(next(n for n in tensors if n.endswith('weight'))),
        lambda config, tensors: tensors.update(more=torch.zeros(2)),
    ],
    ids=['other size', 'impossible size', 'one less', 'one more'],
)
def test_weights_that_do_not_fit_are_refused(path, change):
    save_weights(create_network(tiny()), path)
    rewrite(path, change)

    with pytest.raises(ModelError, match='do not fit'):
        load_network(path)


def test_a_field_of_a_later_version_is_named(path):
    save_weights(create_network(tiny()), path)
    rewrite(path, lambda config, tensors: config.update(telepathy=True))

    with pytest.raises(MagadepthError, match='unknown telepathy'):
        load_network(path)
