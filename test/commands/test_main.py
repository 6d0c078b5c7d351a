# SPDX-License-Identifier: Apache-2.0
"""The dispatcher: fast help, one line for expected errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from magadepth_ros import __version__
from magadepth_ros.commands import main as dispatcher
from magadepth_ros.commands.reference import parsers
from magadepth_ros.errors import DataError


@pytest.fixture
def command(monkeypatch):
    """Replace the module of a subcommand by one that calls what the test gives."""

    def replace(run):
        module = types.ModuleType('fake')

        def add_parser(subparsers):
            parser = subparsers.add_parser('complete')
            parser.add_argument('paths', nargs='*')
            parser.add_argument('--count', type=int, default=1)

        module.add_parser = add_parser
        module.run = run
        monkeypatch.setitem(sys.modules, 'magadepth_ros.commands.complete', module)

    return replace


def raiser(error):
    def run(args):
        raise error

    return run


def test_help_names_every_command_and_imports_none(tmp_path):
    code = (
        'import sys\nfrom magadepth_ros.commands.main import main\n'
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'cv2', 'torch', 'rclpy', 'openvino'} & set(sys.modules)\n"
        'assert not heavy, heavy'
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for name in dispatcher.SUBCOMMANDS:
        assert name in result.stdout


def test_arguments_reach_the_command_and_its_status_comes_back(command):
    seen = []
    command(lambda args: seen.append((args.paths, args.count)) or 3)
    assert dispatcher.main(['complete', 'a', 'b', '--count', '2']) == 3
    assert seen == [(['a', 'b'], 2)]


def test_no_status_is_success(command):
    command(lambda args: None)
    assert dispatcher.main(['complete']) == 0


def test_expected_error_is_one_line_and_exit_code_2(command, capsys):
    command(raiser(DataError('folder: expected a manifest.json, found none')))
    assert dispatcher.main(['complete']) == 2
    said = capsys.readouterr().err
    assert said == 'magadepth: folder: expected a manifest.json, found none\n'


def test_unexpected_error_keeps_its_traceback(command):
    command(raiser(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        dispatcher.main(['complete'])


def test_interrupt_has_its_own_exit_code(command):
    command(raiser(KeyboardInterrupt()))
    assert dispatcher.main(['complete']) == 130


@pytest.mark.parametrize('package, extra', [('torch', 'train'), ('rclpy', 'ros'), ('cv2', 'cpu')])
def test_missing_package_names_the_extra_that_brings_it(command, capsys, package, extra):
    command(raiser(ModuleNotFoundError(f"No module named '{package}'", name=f'{package}.nn')))
    assert dispatcher.main(['complete']) == 2
    assert f'magadepth_ros[{extra}]' in capsys.readouterr().err


@pytest.mark.parametrize('argv', [[], ['dance'], ['complete', '--unknown']])
def test_wrong_usage_is_one_line_and_exit_code_2(command, argv, capsys):
    command(lambda args: 0)
    assert dispatcher.main(argv) == 2
    assert capsys.readouterr().err.count('\n') == 1


@pytest.mark.parametrize('name', sorted(parsers()))
def test_help_says_only_defaults_that_can_be_typed_and_options_are_written_out(name):
    parser = parsers()[name]
    assert '==' not in parser.format_help()
    assert not parser.allow_abbrev


def test_version(capsys):
    with pytest.raises(SystemExit):
        dispatcher.main(['--version'])
    assert __version__ in capsys.readouterr().out
