# SPDX-License-Identifier: Apache-2.0
"""The network of the paper (MagaConv, BP-Fusion, gated decoder), and its parts."""
