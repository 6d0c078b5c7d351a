# SPDX-License-Identifier: Apache-2.0
"""The networks: ``paper`` as published, ``surfaces`` ours, ``s2ml``; the registry names them."""
