# SPDX-License-Identifier: Apache-2.0
"""Options, groups of options and help texts that several commands share."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from magadepth_ros.commands.paths import Model
from magadepth_ros.commands.values import THREADS, Pattern
from magadepth_ros.engines import BACKENDS, FASTEST_FIRST, PRECISIONS
from magadepth_ros.errors import DataError, TopicError
from magadepth_ros.resources import DEFAULT_MODEL

_ENGINE: dict[str, dict[str, Any]] = {
    'model': {
        'default': DEFAULT_MODEL,
        'type': Model(),
        'help': 'shipped model by name, or path of an ONNX or of an engine',
    },
    'backend': {
        'default': 'auto',
        'choices': BACKENDS,
        'help': f'runtime; auto is the first of {", ".join(FASTEST_FIRST)} that works',
    },
    'precision': {
        'default': 'auto',
        'choices': PRECISIONS,
        'help': 'precision of the arithmetic inside the network, one that the runtime has; auto: '
        'the lowest that the metadata of the model call safe',
    },
    'threads': {
        'default': 0,
        'type': THREADS,
        'help': 'CPU threads of the runtime; 0: all cores, but one thread on OpenVINO for '
        'guided_fill',
    },
}


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of description and examples, and shows each default."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = default_of(action)
        if not default or not action.help or '(default: ' in action.help:
            return action.help
        return f'{action.help} (default: {default})'

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return placeholder_of(action)


def placeholder_of(action: argparse.Action) -> str:
    """Return what stands for the value of an option without a metavar: that of its kind."""
    return getattr(action.type, 'metavar', action.dest.upper())


def default_of(action: argparse.Action) -> str:
    """Return the default of an argument as it would be typed; '' where it has none."""
    default = action.default
    if action.nargs == 0 or default in (None, '', [], (), argparse.SUPPRESS):
        return ''
    values = default if isinstance(default, list) else [default]
    return ' '.join(
        'x'.join(map(str, value)) if isinstance(value, tuple)
        else f'{value:g}' if isinstance(value, float)
        else str(value)
        for value in values
    )  # fmt: skip


def add_command(
    subparsers: Any, name: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """
    Add the parser of a command.

    Parameters
    ----------
    subparsers:
        what ``add_subparsers`` of argparse returned.
    name:
        as typed after ``magadepth``.
    description:
        what it does; its lines are kept.
    examples:
        command lines with a ``#`` before remarks; docs/commands.md shows them too.

    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        description=description,
        epilog='examples:\n' + textwrap.indent(examples.strip(), '  '),
        formatter_class=HelpFormatter,
        allow_abbrev=False,  # `--output` must not be taken for `--output-encoding`
    )
    parser.set_defaults(parser=parser)
    return parser


def refuse_given(args: argparse.Namespace, group: str, why: str) -> None:
    """Raise DataError where an option of a group was given; ``why`` says when it has no effect."""
    for title in args.parser._action_groups:
        for action in title._group_actions if title.title == group else ():
            if getattr(args, action.dest) != action.default:
                raise DataError(f'{action.option_strings[0]} has no effect here: {why}; remove it')


def add_engine_options(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, *names: str
) -> None:
    """Add the named ones of ``--model``, ``--backend``, ``--precision`` and ``--threads``."""
    for name in names:
        parser.add_argument(f'--{name}', **_ENGINE[name])


def add_settings_option(parser: argparse.ArgumentParser, help: str) -> None:
    """Add ``--set NAME=VALUE`` of `CompletionSettings`, which `read_settings` reads."""
    parser.add_argument(
        '--set',
        action='append',
        type=Pattern('NAME=VALUE', r'\w+=.+'),
        default=[],
        metavar='NAME=VALUE',
        help=help,
    )


def baseline_names() -> list[str]:
    """Return the names of the classical methods, and ``all`` and ``none``."""
    from magadepth_training.evaluation.baselines import BASELINES

    return ['all', 'none', *BASELINES]


@contextmanager
def topics_by_option() -> Iterator[None]:
    """Add the option --rgb-topic or --depth-topic to the error of an unclear topic."""
    try:
        yield
    except TopicError as error:
        raise DataError(f'{error}, or name it with --{error.kind}-topic') from None
