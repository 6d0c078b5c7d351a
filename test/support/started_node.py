# SPDX-License-Identifier: Apache-2.0
"""completion_node as its program starts it: what pip writes into bin/."""

import sys

from magadepth_ros.start import completion_node

if __name__ == '__main__':
    sys.exit(completion_node())
