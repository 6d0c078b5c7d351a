# SPDX-License-Identifier: Apache-2.0
"""
RTAB-Map: SLAM with completed depth, colour and depth joined by rgbd_sync.

    ros2 launch magadepth_ros rtabmap.launch.py
    ros2 launch magadepth_ros rtabmap.launch.py camera:=realsense frame_id:=base_link

docs/examples.md says what to connect where on a robot.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch_ros.actions import Node

from magadepth_ros.launching.arguments import Argument
from magadepth_ros.launching.sources import users
from magadepth_ros.launching.start import Topics, example_launch
from magadepth_ros.launching.values import configuration


def generate_launch_description() -> LaunchDescription:
    frame = Argument('frame_id', 'camera_link', 'Frame that is tracked: of the camera or robot.')
    return example_launch('mapping', use, [frame])


def use(context: LaunchContext, topics: Topics) -> list[LaunchDescriptionEntity]:
    time = {'use_sim_time': configuration(context, 'use_sim_time') == 'true'}
    frame = {'frame_id': configuration(context, 'frame_id')}
    # Completed depth has the stamp of its colour image, to the nanosecond.
    joined = {'subscribe_rgbd': True, 'approx_sync': False}
    sync = Node(
        package='rtabmap_sync',
        executable='rgbd_sync',
        parameters=[{'approx_sync': False, 'sync_queue_size': 20}, time],
        remappings=[
            ('rgb/image', topics.rgb),
            ('rgb/camera_info', topics.rgb_info),
            ('depth/image', f'{topics.outputs}/depth/completed'),
        ],
        output='screen',
    )
    odometry = Node(
        package='rtabmap_odom',
        executable='rgbd_odometry',
        parameters=[{**joined, **frame}, time],
        output='screen',
    )
    slam = Node(
        package='rtabmap_slam',
        executable='rtabmap',
        parameters=[{**joined, **frame, 'subscribe_depth': False}, time],
        arguments=['-d'],
        output='screen',
    )
    install = 'sudo apt install ros-$ROS_DISTRO-rtabmap-ros'
    return [
        *users('rtabmap_sync', [sync], install),
        *users('rtabmap_odom', [odometry], install),
        *users('rtabmap_slam', [slam], install),
    ]
