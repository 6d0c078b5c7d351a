# SPDX-License-Identifier: Apache-2.0
"""S2ML: a cascade of spectral and spatial fusion between our observations and our head."""
