# SPDX-License-Identifier: Apache-2.0
"""One completion_node over DDS: parameters, services and diagnostics."""

from __future__ import annotations

import numpy as np
from rcl_interfaces.srv import DescribeParameters
from std_srvs.srv import SetBool, Trigger
from support.live import depth_of


def test_parameters_change_the_next_frame_and_refusals_say_why(live):
    _, graph, camera = live
    assert graph.set_parameter('max_depth', 1.5).successful
    far = depth_of(camera.settle()[-1])
    assert not np.isfinite(far).any() or np.nanmax(far) <= 1.5
    assert graph.set_parameter('max_depth', 0.0).successful
    assert graph.set_parameter('output_encoding', '16UC1').successful
    msg = camera.settle()[-1]
    assert msg.encoding == '16UC1'
    assert np.frombuffer(msg.data, '<u2')[0] == 2000
    assert graph.set_parameter('output_encoding', '32FC1').successful
    for name, value, reason in (
        ('output_encoding', '8UC1', '32FC1, 16UC1'),
        ('max_depth', 1000.0, 'range'),
        ('min_depth', 'near', 'type'),
        ('transport', 'compressed', 'deactivate'),
        ('slop', -0.5, 'slop'),
        ('cloud_stride', 17, 'range'),
        ('backend', 'openvion', 'torch-cpu'),
        ('diagnostics_period', 2.0, 'read-only'),
    ):
        result = graph.set_parameter(name, value)
        assert not result.successful, name
        assert reason in result.reason, (name, result.reason)
    camera.settle()


def test_parameters_describe_themselves(live):
    _, graph, _ = live
    request = DescribeParameters.Request(names=['confidence_threshold', 'on_failure', 'cameras'])
    threshold, failure, _ = graph.call(
        DescribeParameters, '/completion_node/describe_parameters', request
    ).descriptors
    assert threshold.description
    assert threshold.floating_point_range[0].to_value == 1.0
    assert 'passthrough' in failure.additional_constraints


def test_disabled_it_is_silent_and_comes_back(live):
    _, graph, camera = live
    answer = graph.call(SetBool, '/completion_node/enable', SetBool.Request(data=False))
    assert answer.success
    graph.until(lambda: not camera.rgb.get_subscription_count(), 'the subscription to end')
    assert graph.call(SetBool, '/completion_node/enable', SetBool.Request(data=True)).success
    camera.wait_until_heard()
    depth = graph.got['/depth/completed']
    seen = len(depth)
    camera.shoot_until(lambda: len(depth) > seen, 'frames after enabling')


def test_reload_keeps_the_old_model_when_the_new_one_is_bad(live):
    process, graph, camera = live
    model = next(
        arg.partition(':=')[2] for arg in process.process.args if arg.startswith('model:=')
    )
    assert graph.call(Trigger, '/completion_node/reload_model', Trigger.Request()).success
    camera.settle()
    assert graph.set_parameter('model', '/no/such/model.onnx').successful
    answer = graph.call(Trigger, '/completion_node/reload_model', Trigger.Request())
    assert not answer.success
    assert '/no/such/model.onnx' in answer.message
    camera.settle()
    level, message, _ = graph.status('engine')
    assert level == b'\x01' and '/no/such/model.onnx' in message
    assert graph.set_parameter('model', model).successful
    assert graph.call(Trigger, '/completion_node/reload_model', Trigger.Request()).success
    graph.until(lambda: graph.status('engine')[0] == b'\x00', 'the warning to end')


def test_diagnostics_tell_rates_drops_and_engine(live):
    _, graph, camera = live
    camera.settle()
    graph.until(lambda: graph.status('engine')[0] == b'\x00', 'earlier warnings to end')
    _, _, values = graph.status('engine')
    assert values['state'] == 'active'
    assert 'openvino' in values['engine']
    ends = ('frames', 'aged', 'stale', 'refused', 'unwanted', 'failed')

    def settled() -> dict[str, str]:
        # A pair may still be in work.
        _, _, values = graph.status('camera')
        done = sum(int(values[key]) for key in ends)
        return values if int(values['matched']) == done else {}

    values = graph.until(settled, 'an end of each matched pair')
    for key in ('latency p50 [ms]', 'infer p50 [ms]', 'wait p50 [ms]', 'unfilled share'):
        assert float(values[key]) >= 0, key
    for stream in ('rgb', 'depth'):
        received, unmatched = (int(values[f'{key}_{stream}']) for key in ('received', 'unmatched'))
        assert received >= int(values['matched']) + unmatched
