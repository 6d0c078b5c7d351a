# SPDX-License-Identifier: Apache-2.0
"""
Every network serves in the node by its ONNX alone, in front of the simulated camera.

Slow: half a minute each. Untrained weights: what the depth is worth is not asked here.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch', reason='PyTorch makes the networks')
pytest.importorskip('magadepth_training', reason='the training package makes the networks')
pytest.importorskip('onnx', reason='the export needs onnx')

from sensor_msgs.msg import Image
from support.exports import export_untrained
from support.live import Process, depth_of, free_domain, running

from magadepth_training.networks.registry import network_names

pytestmark = pytest.mark.slow

CAMERA = '/camera/camera'
REMAPS = (
    *('-r', f'rgb/image:={CAMERA}/color/image_raw'),
    *('-r', f'rgb/camera_info:={CAMERA}/color/camera_info'),
    *('-r', f'depth/image:={CAMERA}/aligned_depth_to_color/image_raw'),
)


@pytest.mark.parametrize('name', network_names())
def test_the_node_serves_a_network_by_its_onnx_alone(tmp_path, name):
    _, exported = export_untrained(name, tmp_path)
    (tmp_path / 'alone').mkdir()
    model = exported.rename(tmp_path / 'alone' / f'{name}.onnx')
    values = (f'model:={model}', 'backend:=openvino', 'precision:=fp32', 'max_age:=0.0')
    given = [text for value in values for text in ('-p', value)]
    size = ('-p', 'width:=320', '-p', 'height:=240', '-p', 'rate:=3.0')
    domain = free_domain()
    camera = Process(
        'magadepth_ros.nodes.simulated_camera', domain, tmp_path / 'camera.log', *size
    )
    node = 'magadepth_ros.nodes.completion_node'
    try:
        with running(node, tmp_path, *given, *REMAPS, domain=domain) as (process, graph):
            got = graph.listen(Image, '/depth/completed')
            graph.until(lambda: len(got) > 2, 'completed frames')
            _, _, values = graph.status('engine')
            assert process.alive()
    finally:
        camera.close()
    metres = depth_of(got[-1])
    known = np.isfinite(metres)
    print(f'\n{name}: {values["engine"]}, {len(got)} frames, {known.mean():.1%} of pixels known')
    assert values['engine'] == f'openvino fp32 {name}'
    assert metres.shape == (240, 320)
    assert known.mean() > 0.9
    assert metres[known].min() >= 0.1
    assert metres[known].max() <= 10.0
