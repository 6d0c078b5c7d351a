# SPDX-License-Identifier: Apache-2.0
"""Parameters of the sensor models; ``docs/sensors.md`` shows the frames they were fitted to."""

from __future__ import annotations

from dataclasses import dataclass, field

Range = tuple[float, float]


@dataclass(frozen=True)
class StructuredLightConfig:
    """A dot projector beside an infrared camera (Kinect v1, Orbbec Astra, Structure)."""

    baseline: Range = (0.05, 0.09)
    """Metres between projector and camera."""
    right_share: float = 0.8
    """Share of sensors with the projector on the right (shadows left of near things)."""
    disparity_step: Range = (0.07, 0.18)
    """Quantum of disparity, in pixels of a 640 wide picture (Kinect v1: 1/8)."""
    disparity_noise: Range = (0.015, 0.06)
    """Standard deviation of disparity, same pixels."""
    lateral: Range = (0.2, 0.8)
    """Standard deviation of where an edge is measured, in pixels of a 320 wide picture."""
    signal: Range = (0.001, 0.01)
    """Return (reflectance * cosine / Z^2) at which every second pixel is lost."""
    blur: float = 0.35
    """Spread of that threshold over the picture, in natural log units."""
    sun: float = 5.0
    """How strongly sunlight drowns the dots."""
    border: Range = (0.03, 0.13)
    """Widest band lost to registration, as a share of the width."""
    min_depth: Range = (0.2, 0.45)
    max_depth: Range = (2.5, 25.0)
    """Most cameras see to the end of a room; some have a shorter range."""


@dataclass(frozen=True)
class ActiveStereoConfig:
    """Two infrared cameras and a pattern projector (RealSense D400, Orbbec Gemini)."""

    baseline: Range = (0.018, 0.1)
    right_share: float = 0.9
    disparity_noise: Range = (0.04, 0.2)
    """Standard deviation of disparity, in pixels of a 640 wide picture."""
    fattening: Range = (0.5, 2.5)
    """Growth of near objects, in pixels of a 320 wide picture."""
    texture: Range = (0.003, 0.02)
    """Local contrast at which every second pixel is lost."""
    projector: Range = (0.01, 0.2)
    """Contrast that the pattern adds at one metre on a white surface."""
    blur: float = 0.6
    outliers: float = 0.005
    """Share of the picture that patches of wrong matches may take."""
    min_depth: float = 0.2
    max_depth: float = 10.0


@dataclass(frozen=True)
class ToFConfig:
    """Phase measurement of modulated light (Kinect v2, Azure Kinect, Femto, L515-like)."""

    noise: Range = (0.0008, 0.004)
    """Metres of noise at a return of 1 (white, facing, one metre); grows with its root."""
    amplitude: Range = (0.004, 0.02)
    """Return below which the phase is dropped."""
    multipath: Range = (0.0, 0.04)
    """Relative lengthening in a right-angled concave corner."""
    baseline: Range = (0.0, 0.05)
    """Between the sensor and the colour camera that it is registered to [m]."""
    flying: Range = (0.0, 0.7)
    """Share of flying pixels that survive the camera's own filter."""
    border: Range = (0.01, 0.1)
    min_depth: float = 0.15
    max_depth: Range = (4.0, 9.0)


@dataclass(frozen=True)
class SparseConfig:
    """Few exact samples, as from a LiDAR or a feature map."""

    points: Range = (200, 900)
    """How many, in a whole picture; 500 is the NYU protocol."""
    lines_share: float = 0.25
    """Share of samples that lie on scan lines instead of anywhere."""
    noise: Range = (0.0, 0.01)
    """Relative error."""


@dataclass(frozen=True)
class SensorConfig:
    """All sensors, and in which shares ``mixed`` takes them."""

    structured_light: StructuredLightConfig = field(default_factory=StructuredLightConfig)
    active_stereo: ActiveStereoConfig = field(default_factory=ActiveStereoConfig)
    tof: ToFConfig = field(default_factory=ToFConfig)
    sparse: SparseConfig = field(default_factory=SparseConfig)
    shares: tuple[float, float, float, float] = (0.4, 0.28, 0.24, 0.08)
    """Structured light, active stereo, ToF, sparse."""
