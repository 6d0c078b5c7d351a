# SPDX-License-Identifier: Apache-2.0
"""Complete the depth of RGB-D cameras: metric depth without holes, with a confidence."""

__version__ = '0.1.0'
