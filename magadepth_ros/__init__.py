# SPDX-License-Identifier: Apache-2.0
"""Complete, metric depth with a confidence from the holey depth of RGB-D cameras."""

__version__ = '0.1.0'
