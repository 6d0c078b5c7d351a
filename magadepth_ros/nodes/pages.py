# SPDX-License-Identifier: Apache-2.0
"""
Write the tables of the documentation that come from the node: topics, parameters, conditions.

    python -m magadepth_ros.nodes.pages    # in the root of the repository
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from magadepth_ros.nodes.camera_parameters import CameraParameters
from magadepth_ros.nodes.condition_table import CONDITIONS, ERROR
from magadepth_ros.nodes.parameter_schema import schema, table
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.tables import markdown_table
from magadepth_ros.topics import PUBLISHED, SUBSCRIBED, Topic

SCHEMA = 'config/completion_node.schema.json'


def conditions() -> str:
    """Return the table of conditions; fields of their texts are in italics."""

    def plain(text: str) -> str:
        return re.sub(r'\{(\w+)[^}]*\}', r'*\1*', text)

    rows = [('code', 'level', 'message', 'remedy')]
    for condition in CONDITIONS.values():
        level = 'ERROR' if condition.level == ERROR else 'WARN'
        texts = plain(condition.sentence), plain(condition.remedy)
        rows.append((f'`{condition.code}`', level, *texts))
    return markdown_table(rows, left=4)


def parameters(kind: type = NodeParameters) -> str:
    """Return the table of a node's parameters."""
    return markdown_table(table(kind), left=5)


def topics(rows: Sequence[Topic]) -> str:
    """Return the table of the topics that the node subscribes to, or that it publishes."""
    table = [(f'`{topic.name}`', topic.type, topic.text) for topic in rows]
    return markdown_table([('topic', 'type', ''), *table], left=3)


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    'docs/nodes.md': {
        'subscribed': partial(topics, SUBSCRIBED),
        'published': partial(topics, PUBLISHED),
        'simulated_camera': partial(parameters, CameraParameters),
    },
    'docs/parameters.md': {'parameters': parameters},
    'docs/troubleshooting.md': {'conditions': conditions},
}
"""Page, name of a block in it, and what makes the block."""


def filled(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with its generated blocks, each of which stands between two comments."""
    for name, make in blocks.items():
        pattern = rf'(<!-- made: {name} -->\n\n).*?(\n\n<!-- end: {name} -->)'
        found = re.search(pattern, text, flags=re.DOTALL)
        assert found, name
        text = text[: found.end(1)] + make() + text[found.start(2) :]
    return text


def schema_text() -> str:
    """Return the file with the JSON schema."""
    return json.dumps(schema(), indent=2) + '\n'


def main() -> None:
    """Write all of it."""
    Path(SCHEMA).write_text(schema_text(), encoding='utf-8')
    for page, blocks in BLOCKS.items():
        path = Path(page)
        path.write_text(filled(path.read_text(encoding='utf-8'), blocks), encoding='utf-8')


if __name__ == '__main__':
    main()
