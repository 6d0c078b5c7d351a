# SPDX-License-Identifier: Apache-2.0
"""
Nav2: a costmap that marks what is measured or surely filled, and clears along all that is known.

    ros2 launch magadepth_ros nav2.launch.py
    ros2 launch magadepth_ros nav2.launch.py camera:=realsense layer:=stvl

docs/examples.md says what to connect where on a robot.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch_ros.actions import Node

from magadepth_ros.launching.arguments import Argument, flag
from magadepth_ros.launching.sources import installed, users
from magadepth_ros.launching.start import Topics, example_launch
from magadepth_ros.launching.values import configuration

CONFIG = Path(__file__).parent / 'config'
SOURCES = {
    'voxel': {'marking': 'points_marking', 'clearing': 'points'},
    'stvl': {'marking': 'points_marking', 'clearing': 'points_marking'},
    'scan': {},
}
MANAGER = 'nav2_lifecycle_manager'


def generate_launch_description() -> LaunchDescription:
    arguments = [
        Argument('layer', 'voxel', 'Layer of the costmap.', tuple(SOURCES)),
        # The manager configures and activates the node itself.
        flag('autostart', str(not installed(MANAGER)).lower(), 'Without the lifecycle manager.'),
    ]
    return example_launch('navigation', use, arguments, moving_base='true')


def use(context: LaunchContext, topics: Topics) -> list[LaunchDescriptionEntity]:
    layer = configuration(context, 'layer')
    time = {'use_sim_time': configuration(context, 'use_sim_time') == 'true'}
    namespace = configuration(context, 'namespace').strip('/')
    node = f'{namespace}/completion_node'.lstrip('/')
    costmap = Node(
        package='nav2_costmap_2d',
        executable='nav2_costmap_2d',
        name='local_costmap',
        namespace='local_costmap',
        parameters=[
            str(CONFIG / f'nav2_{layer}.yaml'),
            {
                f'{layer}_layer.{source}.topic': f'{topics.outputs}/depth/{cloud}'
                for source, cloud in SOURCES[layer].items()
            },
            time,
        ],
        output='screen',
    )
    manager = Node(
        package=MANAGER,
        executable='lifecycle_manager',
        name='lifecycle_manager_depth',
        parameters=[
            {
                'node_names': [node, 'local_costmap/local_costmap'],
                'autostart': True,
                # completion_node makes no bond: the manager would wait for one, then give up.
                'bond_timeout': 0.0,
            },
            time,
        ],
        output='screen',
    )
    scan = Node(
        package='depthimage_to_laserscan',
        executable='depthimage_to_laserscan_node',
        name='depthimage_to_laserscan',
        parameters=[str(CONFIG / 'depthimage_to_laserscan.yaml'), time],
        remappings=[
            ('depth', f'{topics.outputs}/depth/completed'),
            ('depth_camera_info', topics.completed_info),
        ],
        output='screen',
    )
    return [
        *(users('depthimage_to_laserscan', [scan]) if layer == 'scan' else []),
        *users('nav2_costmap_2d', [costmap]),
        *users(MANAGER, [manager]),
    ]
