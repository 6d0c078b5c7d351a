# SPDX-License-Identifier: Apache-2.0
"""A batch of generated scenes, and the settings of its content."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from magadepth_training.scenes.geometry import Batched


@dataclass(frozen=True)
class SceneConfig:
    """
    Content of the generated scenes; each scene draws a value from every pair, which is a range.

    ``desk_share`` and ``robot_share`` are the shares of close-ups of a table top and of views from
    a low robot; the rest look across a room. ``mirror_every`` puts a mirror into every n-th scene
    (a fixed stride, so that the second trace it needs runs on a static part of the batch; 0 for
    none). ``focal`` is fx over the picture's width. Lengths are metres.
    """

    room_half: tuple[float, float] = (1.3, 4.5)
    room_height: tuple[float, float] = (2.3, 3.4)
    focal: tuple[float, float] = (0.55, 1.05)
    desk_share: float = 0.5
    robot_share: float = 0.15
    desk_distance: tuple[float, float] = (0.5, 2.0)
    large_roll_share: float = 0.15
    mirror_every: int = 8
    glass_share: float = 0.35
    sun_share: float = 0.2
    shadow_every: int = 2
    near: float = 0.2
    rays_per_chunk: int = 0
    """Ray-primitive pairs in flight; 0 chooses by device. Bounds memory only."""

    def chunk(self, device: torch.device) -> int:
        """Ray-primitive pairs that are worked on at once."""
        if self.rays_per_chunk:
            return self.rays_per_chunk
        return 48_000_000 if device.type == 'cuda' else 400_000


@dataclass
class SceneBatch(Batched):
    """
    Generated scenes as seen by one camera, everything complete (no missing value).

    All maps are float32 (B, C, H, W). The camera looks along +Z, X right, Y down.
    """

    rgb: torch.Tensor
    """(B, 3, H, W), 0..1."""
    depth: torch.Tensor
    """(B, 1, H, W) metres along Z; of the glass, or of the mirror, where there is one."""
    normal: torch.Tensor
    """(B, 3, H, W) unit normals in the camera's frame, towards the camera."""
    behind: torch.Tensor
    """(B, 1, H, W) metres: what is seen through glass or in a mirror; else equal to ``depth``."""
    albedo_ir: torch.Tensor
    """(B, 1, H, W) reflectance near 850 nm, 0..1, of what is solid (behind glass);
    not a function of the colour alone."""
    luminance: torch.Tensor
    """(B, 1, H, W) brightness of the picture, 0..1."""
    shininess: torch.Tensor
    """(B, 1, H, W) share of light reflected like a mirror does, 0..1, of what is solid."""
    transparency: torch.Tensor
    """(B, 1, H, W) 1 on glass."""
    mirror: torch.Tensor
    """(B, 1, H, W) 1 on mirrors."""
    texture: torch.Tensor
    """(B, 1, H, W) local standard deviation of the luminance, what stereo can match."""
    sunlight: torch.Tensor
    """(B, 1, H, W) infrared light that is not the sensor's own, 0..1."""
    intrinsics: torch.Tensor
    """(B, 4) fx, fy, cx, cy in pixels."""

    @staticmethod
    def concatenate(parts: list[SceneBatch]) -> SceneBatch:
        """Join batches along the sample axis."""
        return SceneBatch(
            **{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(SceneBatch)}
        )
