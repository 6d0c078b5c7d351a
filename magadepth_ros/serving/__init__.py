# SPDX-License-Identifier: Apache-2.0
"""Live completion: one owner of the engine, and a completer whose engine may change."""
