# SPDX-License-Identifier: Apache-2.0
"""S2ML: spatial and spectral fusion in a cascade, over our candidates and head."""
