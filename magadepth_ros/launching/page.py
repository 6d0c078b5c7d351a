# SPDX-License-Identifier: Apache-2.0
"""
Write the page docs/launch_files.md, which is made of the table of cameras.

    python -m magadepth_ros.launching.page > docs/launch_files.md
"""

from __future__ import annotations

from magadepth_ros.launching.arguments import EVERYWHERE, Argument
from magadepth_ros.launching.cameras import CAMERAS, SEVERAL
from magadepth_ros.launching.setups import CameraSetup, Driver
from magadepth_ros.tables import markdown_table

_INTRODUCTION = """\
# Launch files

```sh
ros2 launch magadepth_ros realsense.launch.py use_rviz:=true
ros2 launch magadepth_ros camera.launch.py rgb:=/my/color/image_raw \\
    depth:=/my/aligned_depth/image_raw
```

Each launch file starts a source of images, `completion_node` and, with `use_rviz:=true`, RViz
(`sudo apt install ros-$ROS_DISTRO-rviz2`). It sets the [DDS profile](networking.md) for all
processes that it starts. It starts a driver with depth aligned to colour. Give
`start_camera:=false` where the driver runs already. Where a driver is not installed, the launch
file prints the command that installs it."""

_SEVERAL = """\
`multi_realsense.launch.py` completes several RealSense cameras in one node, as one batch. Its
outputs are `/front/depth/completed`, `/rear/depth/completed` and so on."""

_ARGUMENTS = """\
## Launch arguments

`ros2 launch magadepth_ros FILE --show-args` lists the arguments of a launch file. A value that is
not allowed ends the launch with one line that names the argument. ROS 2 ignores an argument that a
launch file does not have.

Every launch file has the arguments of this table. Some of them are parameters of the node. Where
such an argument is empty, `params_file` sets the parameter, else the preset, else the launch file
of the camera."""

_OTHERS = """\
Only some launch files have the arguments or defaults of this table. Their names are without
`.launch.py`:"""

_HEAD = ('argument', 'default', 'meaning')


def to_markdown() -> str:
    """Write the page: every camera, then every argument."""
    cameras = [
        (camera.title, f'`{name}.launch.py`', camera.sensor, _install(camera))
        for name, camera in CAMERAS.items()
    ]
    notes = [f'* **{item.title}**: {item.note}' for item in CAMERAS.values() if item.note]
    own = sorted(
        (f'`{item.name}`', ', '.join(f'`{file}`' for file in files), *_row(item)[1:])
        for item, files in _files_by_argument().items()
    )
    parts = [
        _INTRODUCTION,
        markdown_table([('camera', 'launch file', 'measures', 'driver'), *cameras], left=4),
        _SEVERAL,
        '\n'.join(notes),
        _ARGUMENTS,
        markdown_table([_HEAD, *map(_row, EVERYWHERE)], left=3),
        _OTHERS,
        markdown_table([(_HEAD[0], 'launch files', *_HEAD[1:]), *own], left=4),
    ]
    return '\n\n'.join(parts) + '\n'


def _files_by_argument() -> dict[Argument, list[str]]:
    files: dict[Argument, list[str]] = {}
    arguments = {name: camera.arguments for name, camera in CAMERAS.items()}
    for name, own in {**arguments, 'multi_realsense': SEVERAL}.items():
        for argument in own:
            files.setdefault(argument, []).append(name)
    return files


def _install(camera: CameraSetup) -> str:
    if not isinstance(camera.source, Driver):
        return ''
    text = camera.source.install.format(distro='$ROS_DISTRO')
    return f'`{text}`' if text.startswith('sudo ') else text


def _row(argument: Argument) -> tuple[str, str, str]:
    default = f'`{argument.default}`' if argument.default else ''
    if argument.default is None:
        default = 'must be given'
    return f'`{argument.name}`', default, argument.help


if __name__ == '__main__':
    print(to_markdown(), end='')
