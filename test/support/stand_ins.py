# SPDX-License-Identifier: Apache-2.0
"""
Stand-ins for the nodes that use completed depth: they subscribe as those do, and report.

    python -m support.stand_ins rgbd_sync --ros-args -r rgb/image:=...

Names, types, QoS and parameters are those of the packages' own sources; reliable, the harder case,
where a package leaves the reliability to the middleware. A report is a JSON file in
the folder STAND_IN_REPORTS. It is written once a message has come on every input: of one stamp,
where the real node wants that, and in a frame that tf leads to.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2

from magadepth_ros.completion.static_frames import StaticFrames, rigid

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

Inputs = dict[str, type]
BEST_EFFORT, RELIABLE = QoSReliabilityPolicy.BEST_EFFORT, QoSReliabilityPolicy.RELIABLE

SOURCE = {
    *('topic', 'sensor_frame', 'observation_persistence', 'expected_update_rate', 'data_type'),
    *('min_obstacle_height', 'max_obstacle_height', 'inf_is_valid', 'marking', 'clearing'),
}
RANGES = {f'{a}_{b}_range' for a in ('obstacle', 'raytrace') for b in ('min', 'max')}
OBSTACLES = {
    *('plugin', 'enabled', 'footprint_clearing_enabled', 'min_obstacle_height'),
    *('max_obstacle_height', 'combination_method', 'observation_sources'),
}
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    'nav2_costmap_2d::ObstacleLayer': (OBSTACLES, SOURCE | RANGES),
    'nav2_costmap_2d::VoxelLayer': (
        OBSTACLES
        | {'z_voxels', 'origin_z', 'z_resolution', 'unknown_threshold', 'mark_threshold'}
        | {'publish_voxel_map'},
        SOURCE | RANGES,
    ),
    'spatio_temporal_voxel_layer/SpatioTemporalVoxelLayer': (
        {
            *('plugin', 'observation_sources', 'transform_tolerance', 'enabled', 'voxel_size'),
            *('publish_voxel_map', 'combination_method', 'mark_threshold', 'decay_model'),
            *('update_footprint_enabled', 'track_unknown_space', 'voxel_decay', 'mapping_mode'),
            'map_save_duration',
        },
        SOURCE
        | {'obstacle_range', 'min_z', 'max_z', 'vertical_fov_angle', 'vertical_fov_padding'}
        | {'horizontal_fov_angle', 'decay_acceleration', 'filter', 'voxel_min_points'}
        | {'clear_after_reading', 'enabled', 'model_type'},
    ),
    'nav2_costmap_2d::InflationLayer': (
        {'plugin', 'enabled', 'inflation_radius', 'cost_scaling_factor', 'inflate_unknown'},
        set(),
    ),
}
COSTMAP = {
    *('always_send_full_costmap', 'footprint', 'footprint_padding', 'global_frame', 'height'),
    *('width', 'plugins', 'publish_frequency', 'resolution', 'robot_base_frame', 'robot_radius'),
    *('rolling_window', 'track_unknown_space', 'transform_tolerance', 'update_frequency'),
}
OF_EVERY_NODE = {'use_sim_time', 'start_type_description_service'}
RTABMAP = {'frame_id', 'subscribe_rgbd', 'approx_sync', 'sync_queue_size', 'topic_queue_size'}


def value(node: Node, name: str) -> Any:
    return node.get_parameter(name).value


def costmap_inputs(node: Node) -> Inputs:
    """Topics of every observation source of every layer, as the layers read them."""
    inputs: Inputs = {}
    for layer in value(node, 'plugins'):
        if not node.has_parameter(f'{layer}.observation_sources'):
            continue
        for source in value(node, f'{layer}.observation_sources').split():
            kind = value(node, f'{layer}.{source}.data_type')
            topic = value(node, f'{layer}.{source}.topic')
            inputs[topic] = {'PointCloud2': PointCloud2, 'LaserScan': LaserScan}[kind]
    return inputs


def costmap_parameters(node: Node) -> set[str]:
    known = set(COSTMAP)
    for layer in value(node, 'plugins'):
        own, of_source = LAYERS[value(node, f'{layer}.plugin')]
        known |= {f'{layer}.{name}' for name in own}
        if node.has_parameter(f'{layer}.observation_sources'):
            for source in value(node, f'{layer}.observation_sources').split():
                known |= {f'{layer}.{source}.{name}' for name in of_source}
    return known


def octomap_inputs(node: Node) -> Inputs:
    """An image and the camera_info beside it, as image_transport's camera subscriber does."""
    inputs: Inputs = {}
    for sensor in value(node, 'sensors'):
        image = value(node, f'{sensor}.image_topic')
        inputs |= {image: Image, f'{image.rpartition("/")[0]}/camera_info': CameraInfo}
    return inputs


def octomap_parameters(node: Node) -> set[str]:
    names = (
        *('sensor_plugin', 'image_topic', 'queue_size', 'near_clipping_plane_distance'),
        *('far_clipping_plane_distance', 'shadow_threshold', 'padding_scale', 'padding_offset'),
        *('max_update_rate', 'skip_vertical_pixels', 'skip_horizontal_pixels'),
        *('filtered_cloud_topic', 'ns'),
    )
    known = {'sensors', 'octomap_frame', 'octomap_resolution'}
    for sensor in value(node, 'sensors'):
        known |= {f'{sensor}.{name}' for name in names}
        # It stops reading at the first that is missing.
        for name in names:
            value(node, f'{sensor}.{name}')
    return known


def beside_colour(node: Node) -> Inputs:
    """Colour, the camera_info beside it once remapped, and depth: depth_image_proc's."""
    colour = node.resolve_topic_name('rgb/image_rect_color')
    info = f'{colour.rpartition("/")[0]}/camera_info'
    return {'rgb/image_rect_color': Image, info: CameraInfo, 'depth_registered/image_rect': Image}


@dataclass(frozen=True)
class StandIn:
    """What a node subscribes to, whether it wants equal stamps, what it has and publishes."""

    inputs: Inputs | Callable[[Node], Inputs]
    parameters: set[str] | Callable[[Node], set[str]]
    exact: bool = False
    reliability: QoSReliabilityPolicy = RELIABLE
    outputs: tuple[tuple[str, type], ...] = ()
    joins: str = ''
    """A topic that another node of the example has to publish, whose type is not at hand."""


STAND_INS = {
    'nav2_costmap_2d': StandIn(costmap_inputs, costmap_parameters, reliability=BEST_EFFORT),
    'depthimage_to_laserscan_node': StandIn(
        {'depth': Image, 'depth_camera_info': CameraInfo},
        {'scan_time', 'range_min', 'range_max', 'scan_height', 'output_frame'},
        outputs=(('scan', LaserScan),),
    ),
    'rgbd_sync': StandIn(
        {'rgb/image': Image, 'rgb/camera_info': CameraInfo, 'depth/image': Image},
        {'approx_sync', 'approx_sync_max_interval', 'sync_queue_size', 'topic_queue_size', 'qos'},
        exact=True,
        joins='rgbd_image',
    ),
    'rgbd_odometry': StandIn({}, RTABMAP, joins='rgbd_image'),
    'rtabmap': StandIn({}, RTABMAP | {'subscribe_depth'}, joins='rgbd_image'),
    'nvblox_node': StandIn(
        {
            f'camera_0/{stream}/{name}': kind
            for stream in ('depth', 'color')
            for name, kind in (('image', Image), ('camera_info', CameraInfo))
        },
        {
            *('num_cameras', 'use_lidar', 'global_frame', 'voxel_size', 'input_qos'),
            'static_mapper.projective_integrator_max_integration_distance_m',
            'static_mapper.projective_tsdf_integrator_invalid_depth_decay_factor',
        },
    ),
    'depth_image_proc::PointCloudXyzrgbNode': StandIn(
        beside_colour,
        {'image_transport', 'depth_image_transport', 'invalid_depth', 'queue_size', 'exact_sync'},
        exact=True,
        outputs=(('points', PointCloud2),),
    ),
    'move_group': StandIn(octomap_inputs, octomap_parameters, True, BEST_EFFORT),
}


class Reporter:
    """Subscribes for one stand-in and writes its report when everything has come."""

    def __init__(self, node: Node, name: str) -> None:
        self.node, self.name, self.spec = node, name, STAND_INS[name]
        self.frames = StaticFrames()
        inputs = self.spec.inputs(node) if callable(self.spec.inputs) else self.spec.inputs
        self.got: dict[str, dict[int, Any]] = {topic: {} for topic in inputs}
        self.publishers = [
            (node.create_publisher(kind, topic, 10), kind) for topic, kind in self.spec.outputs
        ]
        qos = QoSProfile(depth=10, reliability=self.spec.reliability)
        for topic, kind in inputs.items():
            node.create_subscription(kind, topic, self._keeper(topic), qos)
        if TFMessage is not None:
            latched = QoSProfile(depth=10, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
            node.create_subscription(TFMessage, '/tf_static', self._on_frames, latched)
            node.create_subscription(TFMessage, '/tf', self._on_frames, 10)
        node.create_timer(0.2, self._look)

    def _keeper(self, topic: str) -> Callable[[Any], None]:
        def keep(message: Any) -> None:
            stamp = message.header.stamp
            self.got[topic][stamp.sec * 10**9 + stamp.nanosec] = message
            for publisher, kind in self.publishers:
                publisher.publish(kind(header=message.header))

        return keep

    def _on_frames(self, message: Any) -> None:
        for item in message.transforms:
            t, q = item.transform.translation, item.transform.rotation
            step = rigid((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
            self.frames.add(item.header.frame_id, item.child_frame_id, step)

    def _look(self) -> None:
        newest = {topic: list(kept.values())[-1:] for topic, kept in self.got.items()}
        if not all(newest.values()):
            return
        if self.spec.exact and not set.intersection(*(set(kept) for kept in self.got.values())):
            return
        fixed = {'global_frame', 'octomap_frame'} & set(self.node._parameters)
        frames = {kept[0].header.frame_id for kept in newest.values()}
        reached = {
            frame
            for name in fixed
            for frame in frames
            if self.frames.between(value(self.node, name), frame) is not None
        }
        if TFMessage is not None and fixed and reached != frames:
            return
        known = self.spec.parameters
        known = known(self.node) if callable(known) else known
        report(
            self.name,
            {
                'node': self.node.get_fully_qualified_name(),
                'topics': {
                    self.node.resolve_topic_name(topic): [
                        type(kept[0]).__name__,
                        getattr(kept[0], 'encoding', ''),
                        kept[0].header.frame_id,
                    ]
                    for topic, kept in newest.items()
                },
                'joins': self.spec.joins and self.node.resolve_topic_name(self.spec.joins),
                'unknown': sorted(
                    set(self.node._parameters)
                    - known
                    - {'use_sim_time', 'start_type_description_service'}
                ),
            },
        )


def report(name: str, content: dict[str, Any]) -> None:
    path = Path(os.environ['STAND_IN_REPORTS'], f'{name.replace("::", ".")}.json')
    part = path.with_suffix('.part')
    part.write_text(json.dumps(content))
    part.rename(path)


def container(node: Node, executor: SingleThreadedExecutor) -> None:
    """Load stand-ins as a component container does."""
    from composition_interfaces.srv import LoadNode

    def load(request: Any, response: Any) -> Any:
        rules = [word for rule in request.remap_rules for word in ('-r', rule)]
        inner = rclpy.create_node(
            request.node_name,
            namespace=request.node_namespace or None,
            cli_args=['--ros-args', *rules],
            use_global_arguments=False,
            automatically_declare_parameters_from_overrides=True,
            parameter_overrides=[Parameter.from_parameter_msg(p) for p in request.parameters],
        )
        executor.add_node(inner)
        Reporter(inner, request.plugin_name)
        response.success, response.unique_id = True, 1
        response.full_node_name = inner.get_fully_qualified_name()
        return response

    node.create_service(LoadNode, '~/_container/load_node', load)


def manager(node: Node) -> None:
    """Configure and activate its nodes in turn, as Nav2's lifecycle manager does at its start."""
    from lifecycle_msgs.srv import ChangeState

    assert value(node, 'autostart')
    left = [(name, step) for step in (1, 3) for name in value(node, 'node_names')]
    clients = {
        name: node.create_client(ChangeState, f'{name}/change_state')
        for name in value(node, 'node_names')
    }

    def proceed(future: Any = None) -> None:
        if future is not None:
            assert future.result().success, left[0]
            left.pop(0)
            if not left:
                report('lifecycle_manager', {'bond_timeout': value(node, 'bond_timeout')})
                return
        name, step = left[0]
        request = ChangeState.Request()
        request.transition.id = step
        clients[name].call_async(request).add_done_callback(proceed)

    def begin() -> None:
        if all(client.service_is_ready() for client in clients.values()):
            timer.cancel()
            proceed()

    timer = node.create_timer(0.5, begin)


def main(name: str, args: Sequence[str]) -> None:
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    rclpy.init(args=list(args))
    options = {'automatically_declare_parameters_from_overrides': True}
    kind: Any = Node
    if name == 'nav2_costmap_2d':
        from rclpy.lifecycle import LifecycleNode as kind
    node = kind(name, **options)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if name == 'component_container':
            container(node, executor)
        elif name == 'lifecycle_manager':
            manager(node)
        else:
            Reporter(node, name)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
