# SPDX-License-Identifier: Apache-2.0
"""Simulated rooms in which a person walks past a robot, to test the robot's costmap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from magadepth_ros.simulation import simulated_intrinsics
from magadepth_ros.simulation.render import render
from magadepth_ros.simulation.scene import Box, CameraPose, Material, Scene, random_scene
from magadepth_ros.simulation.sensor import DepthSensor
from magadepth_training.datasets.sample import Sample, Source

WIDTH, HEIGHT = 320, 240
ROOMS = 8
FRAMES = 30
"""Number of frames of each room, at ten a second."""
CAMERA_HEIGHT = 0.5
"""Height of the robot's camera over the floor [m]; it looks down by 8 degrees."""
SIMULATED = ('simulated:drive', 'simulated:still')


class SimulatedRobot(Source):
    """
    The frames of a robot's camera in rooms with furniture, with the exact depth as target.

    The depth has the noise, the flickering holes and the shadows of a structured light camera. In
    ``simulated:drive`` the robot drives in front of the furniture; in ``simulated:still`` it
    stands. In both a person walks through the picture; the trousers may be too dark for the
    sensor.
    """

    consecutive = True

    def __init__(self, name: str, first_room: int = 100) -> None:
        """``name`` is one of `SIMULATED`; rooms are drawn from the seed ``first_room`` on."""
        self.name = name
        self._first_room = first_room
        self._drives = name == SIMULATED[0]
        self._room = -1

    def __len__(self) -> int:
        return ROOMS * FRAMES

    def __getitem__(self, index: int) -> Sample:
        room, step = divmod(index, FRAMES)
        if room != self._room:
            self._room, self._scene = room, random_scene(self._first_room + room)
            self._sensor = DepthSensor(WIDTH, HEIGHT, simulated_intrinsics(WIDTH, HEIGHT), room)
        camera = _camera(step / FRAMES if self._drives else 0, room)
        picture = render(_with_person(self._scene, step / FRAMES, room), camera, WIDTH, HEIGHT)
        return Sample(
            self._sensor.expose(picture),
            self._sensor.measure(picture),
            picture.depth,
            name=f'{room:02}_{step:03}',
            sensor='simulated structured light',
            scene=f'room {room}',
            camera=camera,
        )


def _camera(share: float, room: int) -> CameraPose:
    angle = 2 * np.pi * share + room
    yaw, pitch = 0.45 * np.sin(angle), np.radians(8)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    tilt = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    position = np.array([0.7 * np.sin(angle), -CAMERA_HEIGHT, -1.4 + 0.3 * np.cos(angle)])
    return CameraPose(position, turn @ tilt, simulated_intrinsics(WIDTH, HEIGHT))


def _with_person(scene: Scene, share: float, room: int) -> Scene:
    x, z = (-1.5 + 3.6 * share) * (1, -1)[room % 2], 0.1 * (room % 3)
    cloth = 0.03 + 0.04 * room
    legs = Box((x, -0.42, z), (0.16, 0.42, 0.1), 0.3, Material((cloth, cloth, 1.3 * cloth), 0))
    body = Box((x, -1.2, z), (0.22, 0.36, 0.12), 0.3, Material((0.6, 0.3, 0.3), 1))
    return replace(scene, objects=[*scene.objects, legs, body])
