# SPDX-License-Identifier: Apache-2.0
"""Which part may import which: the rules of docs/architecture.md, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASE = (
    *(
        'errors',
        'files',
        'machine',
        'stamps',
        'pairing',
        'start',
        'tables',
        'topics',
        'pictures',
        'manifest',
    ),
    'resources',
)

TRAINING = (
    *('typed', 'networks', 'weights', 'export', 'listing', 'losses', 'spectral_loss', 'recipe'),
    *('scenes', 'sensors', 'datasets', 'evaluation', 'scene_source', 'frames', 'holes', 'samples'),
    *('module', 'callbacks', 'loading', 'train', 'adapt'),
)

# From below to above: each may import what stands before it, and itself.
LAYERS = [
    *[f'magadepth_ros.{name}' for name in (*BASE, 'simulation')],
    'magadepth_ros.engines',
    'magadepth_ros.completion',
    'magadepth_ros.serving',
    'magadepth_ros.messages',
    'magadepth_ros.recordings',
    *[f'magadepth_training.{name}' for name in TRAINING],
    'magadepth_ros.viewer',
    'magadepth_ros.nodes',
    'magadepth_ros.subscribers',
    'magadepth_ros.launching',
    'magadepth_ros.commands',
]
ROS = ('rclpy', 'std_srvs', 'rcl_interfaces', 'builtin_interfaces', 'message_filters', 'cv_bridge')
TORCH = ('torch', 'lightning', 'torchmetrics', 'magadepth_training')

PURE = ('arguments', 'cameras', 'page', 'setups')
"""Parts of launching that need no `launch`: tables, and the page that is made of them."""

EXCEPTIONS = {
    # (file, what it imports): why
    ('engines/torch.py', 'torch'): 'the runtime that is torch',
    ('engines/torch.py', 'magadepth_training'): 'it runs the networks themselves',
    ('engines/check.py', 'magadepth_ros.completion'): 'frames as the completer would fit them',
    ('commands/demo_report.py', 'rclpy'): 'names the middleware in the report',
}
"""Imported inside a function, so that the rule holds until that is called."""


def files(package: str) -> list[Path]:
    folder = ROOT / ('training/magadepth_training' if package == 'magadepth_training' else package)
    return sorted(folder.rglob('*.py'))


def module_of(path: Path) -> str:
    return '.'.join(path.relative_to(ROOT).with_suffix('').parts).removeprefix('training.')


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Give the full name of all that is imported and whether that is done inside a function."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    typing = {
        node
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and 'TYPE_CHECKING' in ast.dump(test.test)
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            yield from ((name.name, node in inside) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Relative to the folder, which __init__ is in as well.
            above = module_of(path).split('.')[: -node.level] if node.level else []
            module = '.'.join([*above, *filter(None, [node.module])])
            yield from ((f'{module}.{name.name}', node in inside) for name in node.names)


def belongs(module: str, package: str) -> bool:
    return module == package or module.startswith(f'{package}.')


def layer_of(module: str) -> str | None:
    return next((layer for layer in LAYERS if belongs(module, layer)), None)


def is_ros(module: str) -> bool:
    top = module.partition('.')[0]
    return top in ROS or top.endswith('_msgs')


def excused(path: Path, module: str, lazy: bool) -> bool:
    name = path.relative_to(ROOT / 'magadepth_ros').as_posix()
    return lazy and any(name == file and belongs(module, allowed) for file, allowed in EXCEPTIONS)


@pytest.mark.parametrize('package', ['magadepth_ros', 'magadepth_training'])
def test_no_module_imports_itself_by_way_of_others(package):
    modules = {module_of(path).removesuffix('.__init__'): path for path in files(package)}
    graph = {
        name: {
            module if module in modules else module.rpartition('.')[0]
            for module, _ in imports(path)
        }
        & (modules.keys() - {name})
        for name, path in modules.items()
    }
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize('path', files('magadepth_ros'), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down_and_ros_and_torch_stay_in_their_places(path):
    parts = module_of(path).split('.')
    own = layer_of(module_of(path)) or 'magadepth_ros'
    for module, lazy in imports(path):
        if excused(path, module, lazy):
            continue
        if is_ros(module):
            assert parts[1] in ('nodes', 'subscribers', 'messages'), f'{module}: ROS is for nodes'
        elif belongs(module, 'torch') or belongs(module, 'lightning'):
            raise AssertionError(f'{module}: torch is for the training and engines/torch.py')
        elif belongs(module, 'launch') or belongs(module, 'launch_ros'):
            assert own == 'magadepth_ros.launching' and parts[2] not in PURE, module
        other = layer_of(module)
        if belongs(module, 'magadepth_training'):
            assert own == 'magadepth_ros.commands' and lazy, (
                f'{module}: the runtime needs no torch'
            )
        elif other is not None:
            assert own in LAYERS, f'{path}: has no layer yet; give it one here'
            assert LAYERS.index(other) <= LAYERS.index(own), f'{own} imports {module} above it'


@pytest.mark.parametrize(
    'path', files('magadepth_training'), ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_training_needs_no_ros_and_its_imports_point_down(path):
    own = layer_of(module_of(path))
    for module, lazy in imports(path):
        assert lazy or not is_ros(module), module
        other = layer_of(module)
        if other is not None:
            assert own is not None, f'{path}: has no layer yet; give it one here'
            assert LAYERS.index(other) <= LAYERS.index(own), f'{own} imports {module} above it'


def test_the_library_imports_with_neither_ros_nor_torch():
    folders = ('completion', 'engines', 'simulation')
    library = [
        name
        for name in modules_of('magadepth_ros')
        if name.split('.')[1] in (*folders, *BASE) and not name.endswith('__init__')
    ]
    import_without((*ROS, *TORCH), library)


def test_the_evaluation_imports_with_neither_ros_nor_torch_nor_scipy():
    """`magadepth evaluate` runs in the environment of `make demo`."""
    names = modules_of('magadepth_training')
    needed = [name for name in names if name.split('.')[1] == 'evaluation']
    torch = [name for name in TORCH if name != 'magadepth_training']
    import_without(
        (*ROS, *torch, 'scipy', 'h5py'),
        [*needed, 'magadepth_training.datasets.opening', 'magadepth_ros.commands.evaluate'],
    )


def modules_of(package: str) -> list[str]:
    return [module_of(path) for path in files(package)]


def import_without(missing: Iterable[str], modules: Sequence[str]) -> None:
    """Import modules in a process in which the missing packages are not installed."""
    code = f"""
import importlib, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition('.')[0]
        if top in {tuple(missing)!r} or top.endswith('_msgs'):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
for name in {list(modules)!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
