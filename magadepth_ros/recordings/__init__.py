# SPDX-License-Identifier: Apache-2.0
"""Recorded frames: bags of ROS 1 and 2, read and written without ROS."""
