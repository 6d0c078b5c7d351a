# SPDX-License-Identifier: Apache-2.0
"""``magadepth doctor``: check this machine, and name a remedy for each fault."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from magadepth_ros.commands.arguments import add_command, add_engine_options
from magadepth_ros.commands.doctor_checks import FAULT, NOTE, Finding, examine
from magadepth_ros.commands.values import Number

EXIT_FAULT = 1
_MARKS = {FAULT: 'XX', NOTE: ' -'}

_DESCRIPTION = """\
Check this machine, and name a remedy for each fault: ROS and its messages, the middleware,
runtimes (each is timed for a second), models, permissions, disk space, and the cameras that are
visible. Lines that begin with XX are faults; lines that begin with - are optional parts that are
missing. The exit code is 1 where there are faults.
"""

_EXAMPLES = """
magadepth doctor
magadepth doctor --json   # for a bug report, or a program
"""


def add_parser(subparsers: Any) -> None:
    """Add ``doctor`` and its options."""
    parser = add_command(subparsers, 'doctor', _DESCRIPTION, _EXAMPLES)
    parser.add_argument('--json', action='store_true', help='print the findings as JSON')
    parser.add_argument(
        '--seconds',
        type=Number(0.1, 600.0),
        default=3.0,
        metavar='S',
        help='time to look for cameras and nodes [s]',
    )
    add_engine_options(parser, 'model')


def run(args: argparse.Namespace) -> int:
    """Print each finding as soon as it is known."""
    found: list[dict[str, str]] = []
    for part, finding in examine(args.seconds, args.model):
        if not args.json:
            if not found or found[-1]['part'] != part:
                print(f'\n{part}')
            print(_line(finding), flush=True)
        found.append({'part': part, **asdict(finding)})
    faults = sum(item['state'] == FAULT for item in found)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        print(f'\n{faults} faults' if faults != 1 else '\n1 fault')
    return EXIT_FAULT if faults else 0


def _line(finding: Finding) -> str:
    mark = _MARKS.get(finding.state, '  ')
    remedy = f'\n{"":>22}-> {finding.remedy}' if finding.remedy else ''
    return f'{mark} {finding.name:<18} {finding.said}{remedy}'
