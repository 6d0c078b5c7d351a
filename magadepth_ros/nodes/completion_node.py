# SPDX-License-Identifier: Apache-2.0
"""completion_node: RGB and depth topics in, completed depth, confidence and cloud out."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from magadepth_ros.engines.opening import EngineRequest, Offer, open_for_service
from magadepth_ros.errors import DataError, MagadepthError, describe
from magadepth_ros.nodes.camera_outputs import DebugOutputs
from magadepth_ros.nodes.camera_pipeline import CameraPipeline
from magadepth_ros.nodes.conditions import Conditions
from magadepth_ros.nodes.engine_requests import build_engine, engine_request
from magadepth_ros.nodes.logger import ThreadLogger
from magadepth_ros.nodes.node_monitor import NodeMonitor
from magadepth_ros.nodes.parameters import declare, unknown_overrides
from magadepth_ros.nodes.process import run
from magadepth_ros.nodes.worker import Worker
from magadepth_ros.pairing import LatestPairs
from magadepth_ros.serving.keeper import THREAD
from magadepth_ros.serving.live_completer import LiveCompleter

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE


class CompletionNode(LifecycleNode):
    """
    The lifecycle node that owns cameras, engine and worker.

    Configure checks the parameters, opens and warms the engine, and makes the publishers. Activate
    starts the worker and subscribes to the topics. Deactivate and cleanup undo these. Callbacks
    only store messages; the worker computes.
    """

    def __init__(
        self,
        opener: Callable[[EngineRequest, bool], Offer] = open_for_service,
        **options: Any,
    ) -> None:
        """Declare parameters and services; ``opener`` opens engines, ``options`` go to rclpy."""
        super().__init__('completion_node', **options)
        self.finished = False
        self.exit_code = 0
        self._logger_for_threads = ThreadLogger(self)
        self._settings = declare(self)
        logger = self._logger_for_threads
        self._conditions = Conditions(logger, hold=2 * self._settings.diagnostics_period)
        self._completer = LiveCompleter(logger.say, opener)
        self._keeper = self._completer.keeper
        self._latest = LatestPairs()
        self._cameras: list[CameraPipeline] = []
        self._worker: Worker | None = None
        self._enabled = True
        self._survive_invalid_transitions()
        self.add_on_set_parameters_callback(self._on_parameters)
        self.create_service(SetBool, '~/enable', self._on_enable)
        # A callback group of its own: it waits for the engine while other callbacks run.
        self.create_service(
            Trigger,
            '~/reload_model',
            self._on_reload,
            callback_group=ReentrantCallbackGroup(),
        )
        self._debug = DebugOutputs(self)
        self._monitor = NodeMonitor(self, self._conditions, self._keeper, self._debug)
        unknown = unknown_overrides(self)
        self._conditions.check('UNKNOWN_PARAMETER', bool(unknown), names=', '.join(unknown))
        self._jump = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True
            ),
            post_callback=lambda _: self._on_jump(),
        )
        # A steady clock: with use_sim_time the node's clock stands still until /clock comes.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(
            self._settings.diagnostics_period, self._on_diagnostics, clock=self._steady
        )
        self.create_timer(0.5, self._on_watch, clock=self._steady)
        self._start_timer = self.create_timer(0.0, self._autostart, clock=self._steady)

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the engine and make the publishers."""
        return self._guarded(self._configure, undo=self.release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker, and subscribe to the topics."""
        return self._guarded(self._activate, undo=self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and stop the worker; the engine stays warm."""
        return self._guarded(self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the engine, and destroy the publishers."""
        return self._guarded(self.release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release all resources; the process ends."""
        self.finished = True
        return self._guarded(self.release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release all resources, so that the node can be configured again."""
        return self._guarded(self.release)

    def release(self) -> None:
        """Stop, and release all resources of `on_configure`; it may be called in every state."""
        self._deactivate()
        for camera in self._cameras:
            camera.destroy()
        self._cameras = []
        self._keeper.close()

    def destroy_node(self) -> None:
        """Destroy the state machine too: rclpy does not, and it would keep the context alive."""
        self._logger_for_threads.end()
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _configure(self) -> None:
        self.release()
        self._completer.configure(self._settings.completion())
        if not self._keeper.open(engine_request(self._settings), self.context.ok):
            raise MagadepthError('stopped while the engine was being opened')
        for index, name in enumerate(self._settings.camera_names()):
            self._cameras.append(
                CameraPipeline(
                    self, index, name, self._settings, self._latest, self._logger_for_threads
                )
            )
        low, high = self._completer.depth_range
        self.get_logger().info(f'engine {self._keeper.engine_name}, depth {low:g} to {high:g} m')
        self._conditions.clear('RELOAD_FAILED')

    def _activate(self) -> None:
        self._latest.open()
        self._start_worker()
        for camera in self._cameras if self._enabled else ():
            camera.listen()

    def _start_worker(self) -> None:
        self._worker = Worker(
            self._cameras,
            self._latest,
            self._completer,
            self._conditions,
            lambda: self._settings,
            lambda: self.get_clock().now().nanoseconds,
            self._debug,
        )
        self._worker.start()

    def _deactivate(self) -> None:
        for camera in self._cameras:
            camera.inputs.unsubscribe()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        for camera in self._cameras:
            camera.rest()

    def _guarded(
        self, step: Callable[[], None], undo: Callable[[], None] | None = None
    ) -> TransitionCallbackReturn:
        # rclpy swallows exceptions of a transition; they are reported here, the state stays.
        try:
            step()
        except Exception as error:
            self._conditions.set('TRANSITION_FAILED', reason=describe(error))
            if undo is not None:
                undo()
            return FAILURE
        self._conditions.clear('TRANSITION_FAILED')
        return SUCCESS

    def _autostart(self) -> None:
        # By a timer, so that the node's services answer while the engine is opened.
        self._start_timer.cancel()
        if self._settings.build_only:
            threading.Thread(target=self._build, name=THREAD, daemon=True).start()
        elif self._settings.autostart and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _build(self) -> None:
        self.exit_code = build_engine(
            self._settings, self._logger_for_threads, lambda: not self.context.ok()
        )
        self.finished = True

    def _survive_invalid_transitions(self) -> None:
        # rclpy raises from spin() where a transition is requested that the state does not have.
        service = self._service_change_state
        change_state = service.callback

        def answer(request: Any, response: Any) -> Any:
            try:
                return change_state(request, response)
            except rclpy_implementation.RCLError:
                self.get_logger().warning(
                    f'transition {request.transition.label or request.transition.id} refused: '
                    f'it is not possible in state {self._state}; `ros2 lifecycle list` shows the '
                    'possible transitions'
                )
                response.success = False
                return response

        service.callback = answer

    @property
    def _state(self) -> str:
        return self._state_machine.current_state[1]

    # Requests

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters, and report those that rclpy refuses before it calls any callback."""
        result = super().set_parameters_atomically(parameter_list)
        if not result.successful:
            names = ', '.join(parameter.name for parameter in parameter_list)
            self._conditions.set('REFUSED_PARAMETER', reason=f'{names}: {result.reason}')
        return result

    def _on_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        before = self._settings
        try:
            after = before.changed(parameters, configured=self._state != 'unconfigured')
            self._completer.configure(after.completion())
        except DataError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = after
        for camera in self._cameras:
            if after.slop != before.slop:
                camera.pairer.set_slop(after.slop)
        return SetParametersResult(successful=True)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> Any:
        self._enabled = request.data
        for camera in self._cameras:
            if not self._enabled:
                camera.rest()
            elif self._state == 'active':
                camera.listen()
        response.success = True
        response.message = f'{"enabled" if self._enabled else "disabled"}, {self._state}'
        return response

    async def _on_reload(self, request: Trigger.Request, response: Trigger.Response) -> Any:
        if self._state == 'unconfigured':
            response.success = False
            response.message = 'nothing to reload: configure the node first'
            return response
        trouble: Exception | None
        try:
            done = Future(executor=self.executor)
            self._keeper.request(engine_request(self._settings), done.set_result)
            trouble = await done
        except MagadepthError as error:
            trouble = error
        response.success = trouble is None
        response.message = describe(trouble) if trouble else self._keeper.engine_name
        self._conditions.clear('RELOAD_FAILED')
        if trouble:
            self._conditions.set('RELOAD_FAILED', reason=describe(trouble))
        return response

    # Time

    def _on_jump(self) -> None:
        for camera in self._cameras:
            camera.pairer.restart()

    def _on_watch(self) -> None:
        self._monitor.watch(self._cameras, self._state == 'active' and self._enabled)
        if self._worker is not None and self._keeper.replace_hung():
            self._worker.abandon()
            self._start_worker()

    def _on_diagnostics(self) -> None:
        self._monitor.publish(self._state, self._enabled, self._cameras, self._settings)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until a signal (``ros2 run magadepth_ros completion_node``)."""
    return run(CompletionNode, args)


if __name__ == '__main__':
    sys.exit(main())
