# SPDX-License-Identifier: Apache-2.0
"""The node's numbers as DiagnosticArray: one status for the engine, one for each camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from magadepth_ros.engines.keeper import EngineKeeper
from magadepth_ros.engines.keeper_states import State
from magadepth_ros.nodes.camera_pipeline import CameraPipeline
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter


def diagnostics(
    node_name: str,
    state: str,
    enabled: bool,
    cameras: Sequence[CameraPipeline],
    keeper: EngineKeeper,
    reporter: Reporter,
    parameters: NodeParameters,
    fault: str,
) -> DiagnosticArray:
    """
    Gather everything; the caller stamps and publishes it.

    ``fault`` says why the last transition failed; empty where it did not.
    """
    array = DiagnosticArray()
    array.status.append(_engine(node_name, state, enabled, keeper, reporter, parameters, fault))
    for camera in cameras:
        array.status.append(_camera(node_name, state == 'active' and enabled, camera))
    return array


def _engine(
    node_name: str,
    state: str,
    enabled: bool,
    keeper: EngineKeeper,
    reporter: Reporter,
    parameters: NodeParameters,
    fault: str,
) -> DiagnosticStatus:
    status = DiagnosticStatus(name=f'{node_name}: engine', hardware_id=keeper.engine_name)
    status.level, status.message = DiagnosticStatus.OK, state if enabled else f'{state}, disabled'
    if keeper.error:
        status.level = DiagnosticStatus.ERROR
        status.message = f'engine failed, {parameters.on_failure}: {keeper.error}'
    elif fault:
        status.level, status.message = DiagnosticStatus.ERROR, f'{state}: {fault}'
    elif keeper.state is State.BUILDING:
        status.message += f'; engine {keeper.build}'
    elif keeper.state is State.DEGRADED:
        status.level = DiagnosticStatus.WARN
        status.message += f'; {keeper.engine_name} instead of what was asked for: {keeper.trouble}'
    values: dict[str, object] = {
        'state': state,
        'enabled': enabled,
        'engine': keeper.engine_name,
        'engine state': keeper.state.value,
        'build': keeper.build,
        'model': parameters.model,
        'reopened': keeper.reopened,
        'last error': reporter.last or 'none',
        **{f'reported {kind}': count for kind, count in sorted(reporter.counts.items())},
    }
    status.values = _values(values)
    return status


def _camera(node_name: str, listens: bool, camera: CameraPipeline) -> DiagnosticStatus:
    summary = camera.statistics.summary()
    trouble = sorted(camera.monitor.trouble) if listens else []
    name = camera.name or 'camera'
    status = DiagnosticStatus(name=f'{node_name}: {name}', hardware_id=camera.inputs.topics.rgb)
    if not listens:
        status.level, status.message = DiagnosticStatus.OK, 'not listening'
    elif trouble:
        status.level, status.message = DiagnosticStatus.WARN, ', '.join(trouble)
    else:
        status.level = DiagnosticStatus.OK
        status.message = f'{summary.rate_hz:.1f} Hz, latency {summary.latency_p50:.0f} ms'
    values = {
        'frames': summary.frames,
        'rate [Hz]': summary.rate_hz,
        'latency p50 [ms]': summary.latency_p50,
        'latency p95 [ms]': summary.latency_p95,
        'processing p50 [ms]': summary.processing_p50,
        'processing p95 [ms]': summary.processing_p95,
        'unfilled share': summary.unfilled_share,
        'measured share': summary.measured_share,
        **asdict(camera.counters),
        'slop [ms]': camera.pairer.slop_ns / 1e6,
        'camera_info': 'known' if camera.inputs.reader.rgb_info is not None else 'missing',
        **{f'{stage} p50 [ms]': value for stage, value in summary.stages.items()},
    }
    status.values = _values(values)
    return status


def _values(values: dict[str, object]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=f'{value:.3f}' if isinstance(value, float) else str(value))
        for key, value in values.items()
    ]
