#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sources ROS 2 and the workspace, then becomes the command.
set -e
for setup in /opt/ros/*/setup.bash /ws/install/setup.bash; do
  # shellcheck disable=SC1090
  source "$setup"
done
exec "$@"
