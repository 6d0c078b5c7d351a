# SPDX-License-Identifier: Apache-2.0
"""The statuses of /diagnostics: one for the engine and one for each camera, with their codes."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from magadepth_ros.nodes.camera_pipeline import CameraPipeline
from magadepth_ros.nodes.condition_table import OK
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.serving.keeper import EngineKeeper
from magadepth_ros.serving.states import State


def engine_status(
    node_name: str,
    state: str,
    enabled: bool,
    keeper: EngineKeeper,
    conditions: Conditions,
    parameters: NodeParameters,
) -> DiagnosticStatus:
    """Return the status of the node and its engine; ``state`` is the lifecycle's."""
    text = state if enabled else f'{state}, disabled'
    if keeper.states.state is State.BUILDING:
        text += f'; engine {keeper.states.build}'
    degraded = keeper.states.state is State.DEGRADED
    conditions.check(
        'ENGINE_DEGRADED',
        degraded,
        log=False,
        engine=keeper.engine_name,
        reason=keeper.states.trouble,
    )
    conditions.check(
        'ENGINE_FAILED',
        bool(keeper.states.error),
        log=False,
        policy=parameters.on_failure,
        reason=keeper.states.error,
    )
    values: dict[str, object] = {
        'state': state,
        'enabled': enabled,
        'engine': keeper.engine_name,
        'engine state': keeper.states.state.value,
        'build': keeper.states.build,
        'model': parameters.model,
        'reopened': keeper.states.reopened,
    }
    return _status(f'{node_name}: engine', keeper.engine_name, text, conditions, values)


def camera_status(
    node_name: str, listens: bool, idle: bool, camera: CameraPipeline
) -> DiagnosticStatus:
    """Return the status of a camera; ``idle``: nobody subscribes to any of its outputs."""
    summary = camera.statistics.summary()
    text = f'{summary.rate_hz:.1f} Hz'
    if not isnan(summary.latency_p50):
        text += f', latency {summary.latency_p50:.0f} ms'
    if not listens:
        text = 'not listening'
    elif idle:
        text = 'idle: nobody subscribes'
    active = {item.condition.code for item in camera.conditions.active()}
    info = 'missing' if camera.inputs.reader.rgb_info is None else 'known'
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
        'synchronizer': camera.pairer.name,
        'slop [ms]': camera.pairer.slop_ns / 1e6,
        'camera_info': 'refused' if 'BAD_CAMERA_INFO' in active else info,
        **{f'{stage} p50 [ms]': value for stage, value in summary.stages.items()},
    }
    name = f'{node_name}: {camera.name or "camera"}'
    return _status(name, camera.inputs.topics.rgb, text, camera.conditions, values)


def _status(
    name: str, hardware: str, text: str, conditions: Conditions, values: dict[str, object]
) -> DiagnosticStatus:
    status = DiagnosticStatus(name=name, hardware_id=hardware, level=OK, message=text)
    active = conditions.active()
    if active and active[0].level != OK:
        status.level, status.message = active[0].level, active[0].text
    found = {
        'code': active[0].condition.code if active else 'OK',
        **{item.condition.code: item.text for item in active},
        **values,
        'last error': conditions.last or 'none',
    }
    status.values = [KeyValue(key=key, value=_written(value)) for key, value in found.items()]
    return status


def _written(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return 'unknown' if isnan(value) else f'{value:.3f}'
