# SPDX-License-Identifier: Apache-2.0
"""
What the nodes that use completed depth subscribe to, publish and declare, by their own sources.

Reliable, the harder case, where a package leaves the reliability to the middleware.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2

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
