# SPDX-License-Identifier: Apache-2.0
"""What commands see of running nodes: topics, arrivals, frames."""
