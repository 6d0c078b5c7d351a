# SPDX-License-Identifier: Apache-2.0
"""The ``magadepth`` command: pick the subcommand, run it, turn expected errors into one line."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from magadepth_ros import __version__
from magadepth_ros.errors import MagadepthError

# Only the chosen subcommand's module is imported: `magadepth --help` stays fast, and torch is
# needed by those alone that train, evaluate or export.
SUBCOMMANDS = {
    'demo': 'show live depth completion: a simulated camera and the node over ROS 2',
    'complete': 'complete a folder of frames, a bag, or one RGB and depth pair',
    'view': 'show a bag or a running node on a timeline, by rerun',
    'evaluate': 'score models and classical methods on frames with known depth',
    'benchmark': 'measure the speed of models on this machine',
    'train': 'train a network',
    'export-onnx': 'export a trained network to ONNX with its metadata',
    'export-trt': 'build a TensorRT engine from an ONNX model',
}

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def module_of(name: str) -> str:
    """Return the module that implements a subcommand."""
    return f'magadepth_ros.commands.{name.replace("-", "_")}'


def _overview() -> argparse.ArgumentParser:
    listing = '\n'.join(f'  {name:<12} {help_}' for name, help_ in SUBCOMMANDS.items())
    parser = argparse.ArgumentParser(
        prog='magadepth',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Complete metric depth for RGB-D cameras.',
        epilog=f'commands:\n{listing}\n\n`magadepth COMMAND --help` says more on each.',
    )
    parser.add_argument('--version', action='version', version=f'magadepth {__version__}')
    parser.add_argument(
        'command', choices=SUBCOMMANDS, metavar='COMMAND', help='one of the commands below'
    )
    return parser


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the whole line; of the subcommands, only the named one is imported."""
    chosen = _overview().parse_args(argv[:1]).command
    try:
        module = importlib.import_module(module_of(chosen))
    except ModuleNotFoundError as error:
        raise MagadepthError(_missing(chosen, error)) from error
    parser = argparse.ArgumentParser(prog='magadepth')
    module.add_parser(parser.add_subparsers(dest='command', required=True))
    args = parser.parse_args(argv)
    args.module = module
    return args


def _missing(command: str, error: ModuleNotFoundError) -> str:
    name = (error.name or '').partition('.')[0]
    if name in {'magadepth_ros', ''}:
        return f"'{command}' is not part of this installation ({error})"
    return (
        f"'{command}' needs the Python package '{name}', which is not installed: "
        f'pip install "magadepth_ros[{_extra_of(name)}]"'
    )


def _extra_of(name: str) -> str:
    if name in {'rosbags', 'mcap'}:
        return 'bags'
    if name == 'rerun':
        return 'viewer'
    if name in {'rclpy', 'sensor_msgs', 'std_msgs', 'std_srvs', 'diagnostic_msgs'}:
        return 'ros'
    return 'cpu' if name in {'cv2', 'openvino', 'numpy'} else 'train'


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one subcommand and return its exit status.

    2 stands for an expected error (one line on stderr says what and what to do), 130 for Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parse(argv)
        return int(args.module.run(args) or 0)
    except ModuleNotFoundError as error:
        print(f'magadepth: {_missing(argv[0], error)}', file=sys.stderr)
        return EXIT_ERROR
    except MagadepthError as error:
        print(f'magadepth: {error}', file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print('magadepth: interrupted', file=sys.stderr)
        return EXIT_INTERRUPTED


if __name__ == '__main__':
    sys.exit(main())
