# SPDX-License-Identifier: Apache-2.0
"""What the documents say is so: generated pages, figures of results, links, launch files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from magadepth_ros.commands import benchmark_report, paths, reference
from magadepth_ros.commands.main import SUBCOMMANDS
from magadepth_training.evaluation.page import read_lines, to_markdown

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / 'docs'
PAGES = [*ROOT.glob('*.md'), *DOCS.glob('*.md'), *ROOT.glob('models/*.md')]
SCORES = sorted((DOCS / 'results').glob('*.csv'))

# Rows of hand-written tables -> names in the CSV.
METHODS = {
    'Levin colorization': 'levin',
    'joint bilateral filter': 'joint_bilateral',
    'joint bilateral': 'joint_bilateral',
    'OpenCV inpainting (Navier-Stokes)': 'navier_stokes',
    'OpenCV Navier-Stokes': 'navier_stokes',
    'OpenCV Telea': 'telea',
    'nearest measured pixel': 'nearest',
    'IP-Basic': 'ip_basic',
    'RealSense hole filling, mode 0': 'realsense_left',
    'RealSense hole filling, mode 1': 'realsense_farthest',
    'unfilled depth': 'raw',
}
# Their headings, without the unit -> data set and figure.
FIGURES = {
    'RMSE': ('rgbd_dev', 'rmse'),
    'MAE': ('rgbd_dev', 'mae'),
    'REL': ('rgbd_dev', 'rel'),
    'within 5 %': ('rgbd_dev', 'd105'),
    'ghost cells': ('simulated:drive', 'ghosts'),
    'phantom cells': ('simulated:drive', 'phantom_cells'),
    'obstacles missed': ('simulated:drive', 'missed'),
    'glass within 2 cm': ('rgbd_glass_val', 'within_2cm'),
}

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason='installed without its documentation')


def tables(page: Path) -> list[list[list[str]]]:
    """Rows of cells of every table of a page, without marks of emphasis."""
    found: list[list[list[str]]] = [[]]
    for line in page.read_text(encoding='utf-8').splitlines():
        if line.startswith('|'):
            found[-1].append([re.sub(r'[*`]', '', cell).strip() for cell in line.split('|')[1:-1]])
        elif found[-1]:
            found.append([])
    return [rows for rows in found if rows]


def score_tables() -> list[tuple[Path, dict[int, tuple[str, str]], list[list[str]]]]:
    """Page, data set and figure by column, and rows of every table with two such columns."""
    found = []
    for page in [ROOT / 'README.md', *ROOT.glob('models/*.md')]:
        for head, _, *rows in tables(page):
            names = [re.sub(r' (\[.*\]|m)$', '', heading) for heading in head]
            columns = {i: FIGURES[name] for i, name in enumerate(names) if name in FIGURES}
            if len(columns) > 1:
                found.append((page, columns, rows))
    return found


def test_performance_is_made_of_the_committed_measurement():
    report = benchmark_report.read_report(DOCS / 'results' / 'benchmark.json')
    page = benchmark_report.to_markdown(
        report, 'images/performance.svg', 'images/performance_growth.svg'
    )
    assert page == (DOCS / 'performance.md').read_text(encoding='utf-8')
    for name in ('performance.svg', 'performance_growth.svg'):
        assert (DOCS / 'images' / name).is_file()


def test_results_are_made_of_the_committed_scores():
    made = to_markdown(read_lines(SCORES), [f'docs/results/{path.name}' for path in SCORES])
    assert made == (DOCS / 'results.md').read_text(encoding='utf-8')


def test_commands_are_made_of_the_parsers():
    page = (DOCS / 'commands.md').read_text(encoding='utf-8')
    assert page == reference.to_markdown(), 'python -m magadepth_ros.commands.reference'


NEEDS_FILES = (
    paths.Config, paths.Frames, paths.Input, paths.Model, paths.Recording,
    paths.SharedInput, paths.Source,
)  # fmt: skip


@pytest.mark.parametrize('name', SUBCOMMANDS)
def test_examples_of_a_command_can_be_typed_and_its_arguments_are_explained(name):
    parser = reference.parsers()[name]
    lines = [shlex.split(line, comments=True) for line in reference.examples(parser).splitlines()]
    for action in parser._actions:
        # The files of the examples are not there.
        if isinstance(action.type, NEEDS_FILES):
            action.type = None
    for program, command, *arguments in lines:
        assert (program, command) == ('magadepth', name)
        parser.parse_intermixed_args(arguments)
    assert lines and all(action.help for action in parser._actions)
    assert 'examples:' in parser.format_help()


def test_figures_in_hand_written_tables_are_those_of_the_scores():
    lines = [line for line in read_lines(SCORES) if line['group'] == 'fill']
    scores = {(line['data'], line['name']): line for line in lines}
    assert {page.name for page, _, _ in score_tables()} >= {'README.md', 'guided_fill.md'}
    for page, columns, rows in score_tables():
        for row in rows:
            name = METHODS.get(row[0], row[0].partition(',')[0])
            for place, (data, figure) in columns.items():
                said = row[place].removesuffix(' %')
                digits = len(said.partition('.')[2])
                value = float(scores[data, name][figure])
                assert said == f'{value:.{digits}f}', f'{page.name}: {row}, {figure}'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page):
    text = re.sub(r'```.*?```', '', page.read_text(encoding='utf-8'), flags=re.DOTALL)
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if not re.match(r'[a-z]+:', target) and not target.startswith('#'):
            assert (page.parent / target.partition('#')[0]).exists(), target


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_launch_files_that_are_named_exist(page):
    names = re.findall(r'\bmagadepth_ros (\w+\.launch\.py)', page.read_text(encoding='utf-8'))
    for name in names:
        assert list(ROOT.glob(f'*/{name}')), name


def test_every_page_is_in_the_navigation():
    listed = re.findall(r': (\w+\.md)$', (ROOT / 'mkdocs.yml').read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in DOCS.glob('*.md'))


def test_every_command_is_named():
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    for name in SUBCOMMANDS:
        assert re.search(rf'\b{name}\b', text), name


def test_every_extra_for_users_is_listed():
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')
    block = setup[setup.index('extras_require=') : setup.index('entry_points=')]
    extras = set(re.findall(r"^        '(\w+)':", block, flags=re.MULTILINE))
    page = (DOCS / 'quickstart_pip.md').read_text(encoding='utf-8')
    listed = set(re.findall(r'^\| `(\w+)` \|', page, flags=re.MULTILINE))
    # The first is for distributions that bring OpenCV; the others are the Makefile's.
    assert listed == extras - {'openvino', 'test', 'lint', 'docs'}
