# SPDX-License-Identifier: Apache-2.0
"""
Write the page docs/commands.md, which is generated from the parsers.

    python -m magadepth_ros.commands.reference > docs/commands.md
"""

from __future__ import annotations

import argparse
import importlib
import re
import textwrap

from magadepth_ros.commands.arguments import default_of, placeholder_of
from magadepth_ros.commands.main import SUBCOMMANDS, Parser, module_of
from magadepth_ros.tables import markdown_table

_HEAD = ('argument', 'default', 'meaning')
_GROUPS = {'bags': 'For bags:', 'topics': 'For topics of a running node:'}

_INTRODUCTION = """\
# Commands

`magadepth COMMAND --help` prints the section of a command. `magadepth --version` prints the
version.

A command reports an expected error (a missing file, a package that is not installed) in one line
that names a remedy. For a missing package, the remedy is `pip install "magadepth_ros[...]"` with
the right extra. The exit code is 2 after an error, and 130 after Ctrl-C. With ROS 2,
`ros2 run magadepth_ros export_trt` is the same as `magadepth export-trt`. The page
[nodes](nodes.md) describes the nodes."""


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of every command by name; all packages that they import are needed."""
    subparsers = Parser(prog='magadepth').add_subparsers()
    for name in SUBCOMMANDS:
        importlib.import_module(module_of(name)).add_parser(subparsers)
    return dict(subparsers.choices)


def examples(parser: argparse.ArgumentParser) -> str:
    """Return the lines of ``add_command``'s examples."""
    return textwrap.dedent((parser.epilog or '').partition('\n')[2])


def to_markdown() -> str:
    """Return the page: purpose, examples and arguments of each command."""
    parts = [_INTRODUCTION]
    for name, parser in parsers().items():
        about = _with_options_as_code((parser.description or '').strip())
        parts += [f'## {name}', about, f'```sh\n{examples(parser)}\n```']
        tables: dict[str, list[tuple[str, str, str]]] = {}
        for group in parser._action_groups:
            rows = [_row(action) for action in group._group_actions if action.dest != 'help']
            tables.setdefault(_GROUPS.get(group.title or '', ''), []).extend(rows)
        for title, rows in tables.items():
            parts += [title] if title else []
            parts.append(markdown_table([_HEAD, *rows], left=len(_HEAD)))
    return '\n\n'.join(parts) + '\n'


def _row(action: argparse.Action) -> tuple[str, str, str]:
    text, _, default = (action.help or '').partition(' (default: ')
    default = default.removesuffix(')')
    if not default and default_of(action):
        default = f'`{default_of(action)}`'
    if action.choices:
        text += f'; one of {", ".join(f"`{choice}`" for choice in action.choices)}'
    typed = ' '.join([*action.option_strings, *_values(action)])
    return f'`{typed}`', _with_options_as_code(default), _with_options_as_code(text)


def _values(action: argparse.Action) -> list[str]:
    """Return the placeholder of an argument's values."""
    if action.nargs == 0 or (action.choices and action.option_strings and not action.nargs):
        return []
    name = action.metavar or placeholder_of(action)
    if isinstance(name, tuple):
        return list(name)
    several = {'?': f'[{name}]', '*': f'[{name} ...]', '+': f'{name} ...'}
    return [several.get(str(action.nargs), name)]


def _with_options_as_code(text: str) -> str:
    return re.sub(r'(?<![`\w-])--[a-z][a-z-]+', r'`\g<0>`', text)


if __name__ == '__main__':
    print(to_markdown(), end='')
