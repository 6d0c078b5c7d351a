# SPDX-License-Identifier: Apache-2.0
"""
nvblox: a reconstruction and a costmap from completed depth, on an NVIDIA GPU.

    ros2 launch magadepth_ros nvblox.launch.py
    ros2 launch magadepth_ros nvblox.launch.py camera:=realsense confidence_threshold:=0.7

docs/examples.md says what to connect where on a robot.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch_ros.actions import Node

from magadepth_ros.launching.sources import users
from magadepth_ros.launching.start import Topics, example_launch
from magadepth_ros.launching.values import configuration


def generate_launch_description() -> LaunchDescription:
    return example_launch('mapping', use, moving_base='true')


def use(context: LaunchContext, topics: Topics) -> list[LaunchDescriptionEntity]:
    nvblox = Node(
        package='nvblox_ros',
        executable='nvblox_node',
        name='nvblox_node',
        parameters=[
            {
                'num_cameras': 1,
                'use_lidar': False,
                'global_frame': 'odom',
                'voxel_size': 0.05,
                # The distance up to which fills are trusted.
                'static_mapper.projective_integrator_max_integration_distance_m': 4.0,
                # An unknown pixel is no free space: it must not clear the map.
                'static_mapper.projective_tsdf_integrator_invalid_depth_decay_factor': -1.0,
                'use_sim_time': configuration(context, 'use_sim_time') == 'true',
            }
        ],
        remappings=[
            ('camera_0/depth/image', f'{topics.outputs}/depth/completed'),
            ('camera_0/depth/camera_info', topics.completed_info),
            ('camera_0/color/image', topics.rgb),
            ('camera_0/color/camera_info', topics.rgb_info),
        ],
        output='screen',
    )
    return users('nvblox_ros', [nvblox], 'see NVIDIA Isaac ROS, isaac_ros_nvblox')
