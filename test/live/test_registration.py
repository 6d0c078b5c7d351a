# SPDX-License-Identifier: Apache-2.0
"""A camera whose depth comes in its own frame: registered by the node, against known depth."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from support.live import Graph, depth_of, header_at, running
from support.messages import depth_image, rgb_image
from support.models import write_tiny_model
from support.views import transform, two_views

from magadepth_ros.completion.camera_model import CameraModel
from magadepth_ros.messages.camera_info import info_of

try:
    from geometry_msgs.msg import TransformStamped
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

EXTRINSICS = transform(2.0, (0.05, -0.01, 0.004))
SIZE = (400, 225)


def quaternion(rotation: np.ndarray) -> list[float]:
    vector = cv2.Rodrigues(rotation)[0].ravel()
    angle = float(np.linalg.norm(vector))
    return [*(np.sin(angle / 2) * vector / angle).tolist(), float(np.cos(angle / 2))]


class TwoSensors:
    """Publishes the rendered depth of one viewpoint and a picture of the other."""

    def __init__(self, graph: Graph) -> None:
        self.depth_camera, self.colour_camera, self.depth, self.truth = two_views(SIZE, EXTRINSICS)
        create = graph.node.create_publisher
        self.graph = graph
        self.publishers = {
            'rgb/image': create(Image, 'rgb/image', 5),
            'rgb/camera_info': create(CameraInfo, 'rgb/camera_info', 5),
            'depth/image': create(Image, 'depth/image', 5),
            'depth/image/camera_info': create(CameraInfo, 'depth/image/camera_info', 5),
        }
        rng = np.random.default_rng(3)
        self.picture = rng.integers(20, 255, (SIZE[1], SIZE[0], 3)).astype(np.uint8)

    def shoot(self) -> int:
        stamp = time.time_ns()
        colour, depth = header_at(stamp, 'color_optical'), header_at(stamp, 'depth_optical')
        for name, header, camera in (
            ('rgb/camera_info', colour, self.colour_camera),
            ('depth/image/camera_info', depth, self.depth_camera),
        ):
            self.publishers[name].publish(info_of(header, camera))
        self.publishers['depth/image'].publish(depth_image(depth, self.depth))
        self.publishers['rgb/image'].publish(rgb_image(colour, self.picture))
        return stamp

    def completed(self) -> Image:
        """Shoot until a frame comes back."""
        messages = self.graph.listen(Image, '/depth/completed')
        for publisher in self.publishers.values():
            self.graph.until(publisher.get_subscription_count, 'the node')
        self.graph.repeat(self.shoot, lambda: messages, 'a completed frame', rate=5.0)
        return messages[-1]

    def check(self, message: Image) -> None:
        completed = depth_of(message)
        assert completed.shape == self.truth.shape
        assert message.header.frame_id == 'color_optical'
        kernel = np.ones((3, 3), np.uint8)
        steep = cv2.dilate(self.truth, kernel) - cv2.erode(self.truth, kernel)
        error = np.abs(completed - self.truth)[steep < 0.004]
        # What the depth camera does not see, the tiny network invents; the rest is measured.
        share = float((error < 0.005).mean())
        print(f'registered: {share:.1%} of flat pixels within 5 mm, median {np.median(error)} m')
        assert share > 0.75
        assert np.median(error) < 0.002


@pytest.fixture
def model(tmp_path):
    return f'model:={write_tiny_model(tmp_path / "tiny.onnx", 48, 64)}'


def test_extrinsics_by_parameter(tmp_path, model):
    values = [*EXTRINSICS[:3, 3].tolist(), *quaternion(EXTRINSICS[:3, :3])]
    given = ('-p', model, '-p', 'max_age:=0.0', '-p', f'depth_to_rgb:={values}')
    with running('magadepth_ros.nodes.completion_node', tmp_path, *given) as (_, graph):
        sensors = TwoSensors(graph)
        sensors.check(sensors.completed())
        _, _, values = graph.status('camera')
        assert 'register p50 [ms]' in values


@pytest.mark.skipif(TFMessage is None, reason='tf2_msgs is not installed')
def test_extrinsics_by_tf_static(tmp_path, model):
    given = ('-p', model, '-p', 'max_age:=0.0')
    with running('magadepth_ros.nodes.completion_node', tmp_path, *given) as (process, graph):
        sensors = TwoSensors(graph)
        for publisher in sensors.publishers.values():
            graph.until(publisher.get_subscription_count, 'the node')
        graph.listen(Image, '/depth/completed')
        missing = 'what is missing'
        graph.repeat(sensors.shoot, lambda: 'has no transform' in process.log, missing, rate=4)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        publisher = graph.node.create_publisher(TFMessage, '/tf_static', latched)
        message = TransformStamped(child_frame_id='depth_optical')
        message.header.frame_id = 'color_optical'
        shift, turn = EXTRINSICS[:3, 3].tolist(), quaternion(EXTRINSICS[:3, :3])
        for axis, value in zip('xyz', shift):
            setattr(message.transform.translation, axis, value)
        for axis, value in zip('xyzw', turn):
            setattr(message.transform.rotation, axis, value)
        publisher.publish(TFMessage(transforms=[message]))
        sensors.check(sensors.completed())


def test_depth_that_counts_as_aligned_is_not_touched(tmp_path, model):
    given = ('-p', model, '-p', 'max_age:=0.0', '-p', 'register_depth:=false')
    with running('magadepth_ros.nodes.completion_node', tmp_path, *given) as (process, graph):
        depth = graph.listen(Image, '/depth/completed')
        rgb_out = graph.node.create_publisher(Image, 'rgb/image', 5)
        depth_out = graph.node.create_publisher(Image, 'depth/image', 5)
        for publisher in (rgb_out, depth_out):
            graph.until(publisher.get_subscription_count, 'the node')
        metres = np.full((48, 64), 1.5, np.float32)
        picture = np.full((48, 64, 3), 90, np.uint8)

        def shoot() -> None:
            stamp = time.time_ns()
            depth_out.publish(depth_image(header_at(stamp, 'depth_optical'), metres))
            rgb_out.publish(rgb_image(header_at(stamp, 'color_optical'), picture))

        graph.repeat(shoot, lambda: depth, 'a completed frame', rate=5.0)
        assert depth_of(depth[-1]) == pytest.approx(1.5)
        assert 'register_depth is false' in process.log


def test_the_cloud_of_a_distorted_image_lies_on_the_rays_of_its_lens(tmp_path, model):
    lens = (0.5, -2.6, 0.0004, -0.0003, 1.5, 0.38, -2.4, 1.4)
    camera = CameraModel(64, 48, 50.0, 50.0, 31.5, 23.5, 'rational_polynomial', lens)
    given = ('-p', model, '-p', 'max_age:=0.0')
    with running('magadepth_ros.nodes.completion_node', tmp_path, *given) as (_, graph):
        points = graph.listen(PointCloud2, '/depth/points')
        create = graph.node.create_publisher
        rgb = create(Image, 'rgb/image', 5)
        depth = create(Image, 'depth/image', 5)
        info = create(CameraInfo, 'rgb/camera_info', 5)
        for publisher in (rgb, depth, info):
            graph.until(publisher.get_subscription_count, 'the node')
        metres = np.full((48, 64), 2.0, np.float32)
        picture = np.full((48, 64, 3), 90, np.uint8)

        def shoot() -> None:
            header = header_at(time.time_ns())
            message = info_of(header, CameraModel(64, 48, 50.0, 50.0, 31.5, 23.5))
            message.distortion_model, message.d = camera.distortion_model, list(lens)
            info.publish(message)
            depth.publish(depth_image(header, metres))
            rgb.publish(rgb_image(header, picture))

        graph.repeat(shoot, lambda: points, 'a cloud', rate=5.0)
    cloud = np.frombuffer(points[-1].data, np.float32).reshape(48, 64, 4)
    x, y = camera.rays()
    assert cloud[..., 0] == pytest.approx(x * 2.0, abs=1e-4)
    assert cloud[..., 1] == pytest.approx(y * 2.0, abs=1e-4)
