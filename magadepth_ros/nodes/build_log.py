# SPDX-License-Identifier: Apache-2.0
"""What an engine that is built in the background says, for the log and /diagnostics."""

from __future__ import annotations

from magadepth_ros.engines.swapping import BUILDING, FAILED, READY, BuildStatus, build_only
from magadepth_ros.errors import describe
from magadepth_ros.nodes.parameters import NodeParameters
from magadepth_ros.nodes.reporter import Reporter
from magadepth_ros.resources import find_model


class BuildLog:
    """Takes the build's reports, from its thread: logs every step and every tenth of it."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._last: tuple[str, int] = ('', -1)
        self._ended = False
        self.status: BuildStatus | None = None
        """The last report; None where nothing is built."""

    def __call__(self, status: BuildStatus) -> None:
        """Take a report."""
        if self._ended:
            return
        self.status = status
        step = (status.text, int(status.share * 10))
        if status.state == BUILDING and step == self._last:
            return
        self._last = step
        if status.state == FAILED:
            self._reporter.warn('build', f'no TensorRT: {status.text}', period=0.0)
        elif status.state == READY:
            self._reporter.info(f'engine ready: {status.text}')
        else:
            self._reporter.info(f'engine: {status.text} {status.share:.0%}')

    def end(self) -> None:
        """Hear no more: the engine is given back, and the end of its build is no trouble."""
        self._ended = True
        self.status = None

    @property
    def summary(self) -> str:
        """One line for people; ``none`` where nothing is built."""
        status = self.status
        if status is None:
            return 'none'
        share = f' {status.share:.0%}' if status.state == BUILDING else ''
        return f'{status.state}{share}: {status.text}'


def build_engine(parameters: NodeParameters, reporter: Reporter) -> int:
    """Build what the parameters name into the cache and wait for it; the exit code, 0 or 2."""
    log = BuildLog(reporter)
    try:
        path = build_only(
            find_model(parameters.model),
            parameters.precision,
            len(parameters.camera_names()),
            lambda text, share: log(BuildStatus(BUILDING, text, share)),
        )
    # Whatever a builder raises, the process says it and ends with it.
    except Exception as error:
        reporter.error('build', f'engine not built: {describe(error)}', period=0.0)
        return 2
    reporter.info(f'engine built: {path}')
    return 0
