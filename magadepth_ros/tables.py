# SPDX-License-Identifier: Apache-2.0
"""Format rows of text as a table, for a terminal or for Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Pad the cells of each column to one width; the first ``left`` columns begin at the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def markdown_table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return the rows as a Markdown table; the first row is the head."""
    head, *body = ['| ' + ' | '.join(row) + ' |' for row in rows]
    rule = '| ' + ' | '.join('---' if i < left else '---:' for i in range(len(rows[0]))) + ' |'
    return '\n'.join([head, rule, *body])
