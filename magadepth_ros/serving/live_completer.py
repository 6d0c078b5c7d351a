# SPDX-License-Identifier: Apache-2.0
"""Complete depth images with a kept engine, which may change from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from magadepth_ros.completion.completer import Completer, Completion
from magadepth_ros.completion.frame import RgbdFrame
from magadepth_ros.completion.settings import CompletionSettings
from magadepth_ros.engines.engine import Engine, ModelInfo
from magadepth_ros.engines.opening import EngineRequest, Offer
from magadepth_ros.serving.keeper import EngineKeeper


class LiveCompleter:
    """
    A completer whose engine an `EngineKeeper` keeps; settings are applied between two frames.

    Parameters
    ----------
    say, opener:
        arguments of the `EngineKeeper`, the attribute ``keeper``.

    """

    def __init__(
        self,
        say: Callable[[str, str], None],
        opener: Callable[[EngineRequest, bool], Offer],
    ) -> None:
        self.keeper = EngineKeeper(opener, say, self._accept)
        self._settings = CompletionSettings()
        self._completer: Completer | None = None

    @property
    def depth_range(self) -> tuple[float, float]:
        """Plausible range [m]: the settings', else the model's, else 0 to 65."""
        info = self.keeper.info
        if info is None:
            return self._settings.min_depth or 0.0, self._settings.max_depth or 65.0
        return self._settings.depth_range(info)

    def configure(self, settings: CompletionSettings) -> None:
        """Use ``settings`` from the next frame on; DataError where they leave no depth."""
        if self.keeper.info is not None:
            settings.depth_range(self.keeper.info)
        self._settings = settings

    def complete(self, frames: Sequence[RgbdFrame]) -> list[Completion]:
        """
        Complete a batch: see `Completer.complete_batch`.

        Raises
        ------
        EngineError
            there is no engine now, or it failed on this batch.

        """
        return self.keeper.use(lambda engine: self._on(engine).complete_batch(frames))

    def _on(self, engine: Engine) -> Completer:
        if self._completer is None or self._completer.engine is not engine:
            self._completer = Completer(engine, self._settings)
        elif self._completer.settings is not self._settings:
            self._completer.settings = self._settings
        return self._completer

    def _accept(self, info: ModelInfo) -> None:
        self._settings.depth_range(info)
