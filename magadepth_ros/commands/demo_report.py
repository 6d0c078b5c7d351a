# SPDX-License-Identifier: Apache-2.0
"""Results of the demo: summary.json, preview.png and a small table."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from magadepth_ros import __version__
from magadepth_ros.completion.colorize import colorize
from magadepth_ros.files import write_result
from magadepth_ros.machine import cores, processor
from magadepth_ros.pictures import encode

if TYPE_CHECKING:
    from magadepth_ros.subscribers.demo_subscriber import DemoSubscriber, Snapshot

COUNTERS = ('received_rgb', 'received_depth', 'matched', 'stale', 'aged')


def summarise(watcher: DemoSubscriber, facts: dict[str, Any]) -> dict[str, Any]:
    """
    Return the summary; latencies [ms] run from the RGB's stamp to the arrival in this process.

    ``dropped`` counts the camera frames between the first and the last completed frame that were
    not completed: the node takes the newest pair and drops older ones.
    """
    depth, cloud = watcher.depth, watcher.cloud
    done = set(depth.stamps)
    first, last = min(done, default=0), max(done, default=-1)
    during = [stamp for stamp in watcher.camera.stamps if first <= stamp <= last]
    said = watcher.diagnostics
    backend, precision, network = (said.get('engine', '').split(' ', 2) + [''] * 3)[:3]
    suffix = ' p50 [ms]'
    stages = {
        name.removesuffix(suffix): _number(value)
        for name, value in said.items()
        if name.endswith(suffix) and name not in {f'latency{suffix}', f'processing{suffix}'}
    }
    return {
        'frames': len(depth.stamps),
        'rate_hz': round(depth.rate, 2),
        'latency_ms_p50': depth.percentile(50),
        'latency_ms_p95': depth.percentile(95),
        'dropped': len([stamp for stamp in during if stamp not in done]),
        'unfilled_share': round(float(np.mean(watcher.unfilled)), 6) if watcher.unfilled else None,
        'camera_rate_hz': round(watcher.camera.rate, 2),
        'cloud_frames': len(cloud.stamps),
        'cloud_rate_hz': round(cloud.rate, 2),
        'cloud_latency_ms_p50': cloud.percentile(50),
        'cloud_latency_ms_p95': cloud.percentile(95),
        'width': watcher.size[0],
        'height': watcher.size[1],
        'model': Path(said.get('model', '')).stem,
        'network': network,
        'backend': backend,
        'precision': precision,
        'stages_ms_p50': stages,
        'measured_share': _number(said.get('measured share', '')),
        'node': {name: int(said[name]) for name in COUNTERS if name in said},
        **facts,
        'version': __version__,
        'ros_distro': os.environ.get('ROS_DISTRO') or 'wheels',
        'rmw': _rmw(),
        'processor': processor(),
        'cores': cores(),
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Write the summary atomically."""
    write_result(path, json.dumps(summary, indent=2) + '\n')


def write_preview(path: Path, snapshot: Snapshot) -> None:
    """
    Write RGB, input depth, completed depth and confidence side by side, each with its name.

    Raises
    ------
    DataError
        the file cannot be written.

    """
    known = snapshot.completed[np.isfinite(snapshot.completed) & (snapshot.completed > 0)]
    near, far = np.percentile(known, (1, 99)) if known.size else (0.0, 1.0)
    near, far = float(near), max(float(far), float(near) + 0.1)
    measured = snapshot.frame.depth[np.isfinite(snapshot.frame.depth) & (snapshot.frame.depth > 0)]
    missing = 1.0 - measured.size / snapshot.frame.depth.size
    left = 1.0 - known.size / snapshot.completed.size
    grey = np.nan_to_num(snapshot.confidence).clip(0, 1) * 255
    panels = [
        _panel(snapshot.frame.rgb, 'RGB'),
        _panel(colorize(snapshot.frame.depth, near, far), f'input depth: {missing:.0%} missing'),
        _panel(
            colorize(snapshot.completed, near, far),
            f'completed: {left:.0%} missing, {near:.1f} m red, {far:.1f} m blue',
        ),
        _panel(
            cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2RGB), 'confidence: 0 black, 1 white'
        ),
    ]
    height = max(panel.shape[0] for panel in panels)
    panels = [
        cv2.copyMakeBorder(panel, 0, height - panel.shape[0], 0, 0, cv2.BORDER_CONSTANT)
        for panel in panels
    ]
    write_result(path, encode(np.hstack(panels)[:, :, ::-1]))


def table(summary: dict[str, Any]) -> str:
    """Return the main numbers of a summary as a small table."""

    def show(name: str, unit: str) -> str:
        value = summary.get(name)
        return '-' if value is None else f'{value:.1f} {unit}'

    unfilled = summary['unfilled_share']
    engine = (
        f'{summary["network"] or summary["model"]}, {summary["backend"]} {summary["precision"]}'
    )
    rows = [
        ('engine', engine),
        ('size', f'{summary["width"]}x{summary["height"]}'),
        ('frames', str(summary['frames'])),
        ('rate', show('rate_hz', 'Hz')),
        ('latency p50', show('latency_ms_p50', 'ms')),
        ('latency p95', show('latency_ms_p95', 'ms')),
        ('cloud rate', show('cloud_rate_hz', 'Hz')),
        ('dropped', f'{summary["dropped"]} of a camera at {show("camera_rate_hz", "Hz")}'),
        ('unfilled share', '-' if unfilled is None else f'{unfilled:.2%}'),
    ]
    return '\n'.join(f'  {name:<15} {value}' for name, value in rows)


def _panel(image: np.ndarray, title: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB, at most 640 px wide, with a bar above that names it."""
    height, width = image.shape[:2]
    if width > 640:
        size = (640, round(height * 640 / width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    bar = np.full((32, image.shape[1], 3), 32, np.uint8)
    scale = min(0.55, 0.55 * image.shape[1] / 420)
    place = (8, 21)
    cv2.putText(bar, title, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (235,) * 3, 1, cv2.LINE_AA)
    return np.vstack([bar, image])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _rmw() -> str:
    import rclpy

    return rclpy.get_rmw_implementation_identifier()
