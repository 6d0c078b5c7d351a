# SPDX-License-Identifier: Apache-2.0
"""Values of launch arguments while a launch file runs, and texts that are filled with them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration

from magadepth_ros.launching.arguments import Argument
from magadepth_ros.resources import PACKAGE


def declared(arguments: Iterable[Argument]) -> list[DeclareLaunchArgument]:
    """Declare launch arguments; `given` checks them, as launch itself logs a bad value twice."""
    return [
        DeclareLaunchArgument(
            argument.name, default_value=argument.default, description=argument.help
        )
        for argument in arguments
    ]


def configuration(context: LaunchContext, name: str) -> str:
    """Return the text of a launch argument."""
    return LaunchConfiguration(name).perform(context)


def given(context: LaunchContext, arguments: Iterable[Argument]) -> dict[str, object]:
    """
    Return the values of those arguments that are not empty.

    Raises
    ------
    DataError
        a value is not allowed; the message names the argument.

    """
    texts = ((argument, configuration(context, argument.name)) for argument in arguments)
    return {argument.name: argument.read(text) for argument, text in texts if text}


def fill(text: str, context: LaunchContext) -> str:
    """Replace each ``{name}`` by the value of that launch argument."""
    return re.sub(r'\{(\w+)\}', lambda match: configuration(context, match.group(1)), text)


def topic(text: str, context: LaunchContext) -> str:
    """Like `fill`, for topic names: an empty part leaves no empty namespace behind."""
    return re.sub(r'/+', '/', fill(text, context)).rstrip('/')


def distro() -> str:
    """Return the name of the ROS distribution, or ``<distro>`` where none is sourced."""
    return os.environ.get('ROS_DISTRO') or '<distro>'


def warn(text: str) -> None:
    """Write a warning to the launch log."""
    get_logger(PACKAGE).warning(text)
