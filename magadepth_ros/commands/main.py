# SPDX-License-Identifier: Apache-2.0
"""The ``magadepth`` command: pick the subcommand, run it, turn expected errors into one line."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from magadepth_ros import __version__
from magadepth_ros.errors import MagadepthError, pip_install_extra

# Only the module of the chosen subcommand is imported: `magadepth --help` stays fast, and only
# the commands that train or export need torch.
SUBCOMMANDS = {
    'demo': 'show live depth completion: a simulated camera and the node over ROS 2',
    'complete': 'complete a folder of frames, a bag, or one RGB and depth pair',
    'doctor': 'check this machine, and name a remedy for each fault',
    'view': 'show a bag or a running node on a timeline, in rerun',
    'evaluate': 'score models and classical methods on frames with known depth',
    'benchmark': 'measure the speed of models on this machine',
    'train': 'train a network',
    'adapt': 'adapt a network to a recording of your own, where that helps',
    'export-onnx': 'export a trained network to ONNX with its metadata',
    'export-trt': 'build a TensorRT engine from an ONNX model',
}

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


class UsageError(MagadepthError):
    """A command line is wrong; the message begins with the command."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line, without the usage above it."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(f'{self.prog}: {message} (`{self.prog} --help` lists the arguments)')

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # Python up to 3.12 drops '--' and returns an empty list without a check.
        if action.option_strings and '--' in arg_strings:
            raise argparse.ArgumentError(action, "expected a value, got '--'")
        return super()._get_values(action, arg_strings)  # type: ignore[misc]


def module_of(name: str) -> str:
    """Return the module that implements a subcommand."""
    return f'magadepth_ros.commands.{name.replace("-", "_")}'


def _overview() -> argparse.ArgumentParser:
    listing = '\n'.join(f'  {name:<12} {help_}' for name, help_ in SUBCOMMANDS.items())
    parser = Parser(
        prog='magadepth',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Complete metric depth for RGB-D cameras.',
        epilog=f'commands:\n{listing}\n\n`magadepth COMMAND --help` describes a command.',
    )
    parser.add_argument('--version', action='version', version=f'magadepth {__version__}')
    parser.add_argument(
        'command', choices=SUBCOMMANDS, metavar='COMMAND', help='one of the commands below'
    )
    return parser


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the whole line; only the named subcommand is imported."""
    chosen = _overview().parse_args(argv[:1]).command
    try:
        module = importlib.import_module(module_of(chosen))
    except ModuleNotFoundError as error:
        raise MagadepthError(_missing(chosen, error)) from error
    subparsers = Parser(prog='magadepth').add_subparsers()
    module.add_parser(subparsers)
    # Options may stand between the paths of a command.
    args: argparse.Namespace = subparsers.choices[chosen].parse_intermixed_args(argv[1:])
    args.module = module
    return args


def _missing(command: str, error: ModuleNotFoundError) -> str:
    name = (error.name or '').partition('.')[0]
    if name in {'magadepth_ros', ''}:
        return f"'{command}' is not part of this installation ({error})"
    return (
        f"'{command}' needs the Python package '{name}', which is not installed: "
        f'{pip_install_extra(_extra_of(name))}'
    )


def _extra_of(name: str) -> str:
    if name in {'rosbags', 'mcap'}:
        return 'bags'
    if name == 'rerun':
        return 'viewer'
    if name in {'rclpy', 'sensor_msgs', 'std_msgs', 'std_srvs', 'diagnostic_msgs'}:
        return 'ros'
    return 'cpu' if name in {'cv2', 'openvino', 'numpy', 'tqdm'} else 'train'


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one subcommand and return its exit status.

    A module's ``check(args)``, where it has one, is called before its ``run(args)``: it refuses
    impossible arguments before any file is written.

    The status is 2 for an expected error (one line on stderr names a remedy), 130 for Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parse(argv)
        _check(args)
        return int(args.module.run(args) or 0)
    except ModuleNotFoundError as error:
        return _fail(f'magadepth: {_missing(argv[0], error)}')
    except UsageError as error:
        return _fail(str(error))
    except MagadepthError as error:
        return _fail(f'magadepth: {error}')
    except KeyboardInterrupt:
        print('magadepth: interrupted', file=sys.stderr)
        return EXIT_INTERRUPTED


def _check(args: argparse.Namespace) -> None:
    from magadepth_ros.commands.paths import Output, require_distinct

    outputs = {
        action.option_strings[0]: getattr(args, action.dest)
        for action in getattr(args, 'parser', Parser())._actions
        if isinstance(action.type, Output) and action.option_strings
    }
    require_distinct(outputs)
    getattr(args.module, 'check', lambda args: None)(args)


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return EXIT_ERROR


if __name__ == '__main__':
    sys.exit(main())
