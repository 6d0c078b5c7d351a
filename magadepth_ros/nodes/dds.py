# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile for megabyte messages, for the processes that this package starts."""

from __future__ import annotations

import os

from magadepth_ros.errors import MagadepthError

# Jazzy and older read the first name, Kilted and later the second.
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


def use_shipped_profile() -> None:
    """
    Point Fast DDS at ``config/fastdds.xml`` (64 MiB of shared memory) before `rclpy.init`.

    With the default segment of 512 KB, which is smaller than one VGA image, best-effort images
    never arrive in another process. A profile that the user has set stays.
    """
    if any(os.environ.get(name) for name in PROFILE_VARIABLES):
        return
    try:
        from magadepth_ros.resources import find_config

        path = find_config('fastdds.xml')
    except (ImportError, MagadepthError):
        return
    for name in PROFILE_VARIABLES:
        os.environ[name] = str(path)
