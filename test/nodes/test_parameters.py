# SPDX-License-Identifier: Apache-2.0
"""Parameter values: all or none of a change, and a reason for each refusal."""

from __future__ import annotations

from dataclasses import fields

import pytest
import yaml
from rclpy.parameter import Parameter

from magadepth_ros.completion.completer import CompletionSettings
from magadepth_ros.errors import DataError
from magadepth_ros.nodes.parameter_declaration import LIVE, ON_CONFIGURE, ON_RELOAD, ON_START
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.resources import share_dir

PRESETS = sorted((share_dir() / 'config/presets').glob('*.yaml'))


def p(name: str, value) -> Parameter:
    return Parameter(name, value=value)


def test_every_parameter_says_what_it_does_and_when():
    for item in fields(NodeParameters):
        assert item.metadata['text'].endswith('.'), item.name
        assert item.metadata['when'] in (LIVE, ON_RELOAD, ON_CONFIGURE, ON_START), item.name


@pytest.mark.parametrize('path', PRESETS, ids=lambda path: path.stem)
def test_a_preset_holds_what_differs_from_the_defaults(path):
    values = yaml.safe_load(path.read_text(encoding='utf-8'))['/**']['ros__parameters']
    parameters = NodeParameters().changed([p(*item) for item in values.items()], False)

    assert values.keys() <= {item.name for item in fields(NodeParameters)}
    for name, value in values.items():
        assert getattr(parameters, name) == value
        assert type(value) is type(getattr(NodeParameters(), name)), name
        # A copy of a default would hide the next one.
        assert value != getattr(NodeParameters(), name), name


def test_the_presets_are_there():
    assert {path.stem for path in PRESETS} == {'navigation', 'manipulation', 'mapping'}


def test_a_change_is_all_or_nothing():
    old = NodeParameters()
    new = old.changed([p('min_depth', 0.3), p('output_encoding', '16UC1')], configured=True)
    assert (new.min_depth, new.output_encoding) == (0.3, '16UC1')
    with pytest.raises(DataError, match='on_failure'):
        old.changed([p('min_depth', 0.3), p('on_failure', 'panic')], configured=True)
    assert old.min_depth == 0.0


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'min_depth': 3.0, 'max_depth': 2.0}, 'max_depth is 2.0'),
        ({'slop': -0.3}, 'slop'),
        ({'slop': -0.05}, 'slop'),
        ({'depth_to_rgb': [1.0, 2.0]}, 'depth_to_rgb'),
        ({'cameras': ['a', 'a']}, 'different names'),
        ({'cameras': ['bad name']}, "cameras: expected names of .*, got 'bad name'"),
        ({'compressed_format': 'zip'}, 'png, rvl'),
    ],
)
def test_values_that_contradict_are_refused_with_the_reason(changes, says):
    with pytest.raises(DataError, match=says):
        NodeParameters().changed([p(*item) for item in changes.items()], configured=False)


def test_what_is_fixed_after_configure_is_refused_then_and_taken_before():
    change = [p('transport', 'compressed')]
    assert NodeParameters().changed(change, configured=False).transport == 'compressed'
    with pytest.raises(DataError, match='deactivate'):
        NodeParameters().changed(change, configured=True)
    same = [p('transport', 'raw')]
    assert NodeParameters().changed(same, configured=True).transport == 'raw'


def test_names_of_others_are_left_alone():
    change = [p('qos_overrides./rgb/image.subscription.depth', 5), p('use_sim_time', True)]
    assert NodeParameters().changed(change, configured=True) == NodeParameters()


def test_no_name_is_one_camera_in_the_nodes_namespace():
    assert NodeParameters().camera_names() == ('',)
    assert NodeParameters(cameras=('front', '', 'rear')).camera_names() == ('front', 'rear')


def test_each_setting_of_the_completer_reaches_it():
    values = {
        'min_depth': 0.3,
        'max_depth': 4.0,
        'keep_measured': False,
        'replace_outliers': True,
        'outlier_tolerance': 0.2,
        'confidence_threshold': 0.7,
        'temporal_smoothing': 0.8,
    }
    assert NodeParameters(**values).completion() == CompletionSettings(**values)
    assert values.keys() == {item.name for item in fields(CompletionSettings)}


def test_zero_takes_the_models_own_range():
    settings = NodeParameters().completion()
    assert (settings.min_depth, settings.max_depth) == (None, None)
    assert NodeParameters(max_depth=4.0).completion().max_depth == 4.0
