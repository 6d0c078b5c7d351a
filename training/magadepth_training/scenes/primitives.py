# SPDX-License-Identifier: Apache-2.0
"""The index ranges of a scene's primitives by kind; they are the same in every scene."""

from __future__ import annotations

from magadepth_training.scenes.furniture import PARTS

PIECES, TOPS, CLUTTER, WALLS = 5, 2, 12, 4
BOXES = (PIECES + TOPS) * PARTS + CLUTTER + WALLS
FIRST_TOP = PIECES * PARTS
FIRST_CLUTTER = FIRST_TOP + TOPS * PARTS
FIRST_WALL = FIRST_CLUTTER + CLUTTER
"""First of the things on walls; this one is the window, or the mirror."""
ELLIPSOIDS, CUPS = 8, 6
FRUSTA = CUPS + 8
"""Cups and pens; then three cables, three poles, a column or bin, and a lamp shade."""
GLASS_BOXES, GLASS_ELLIPSOIDS, GLASS_FRUSTA = 3, 1, 2
FIRST_POLE = BOXES + ELLIPSOIDS + CUPS + 3
OPAQUE = BOXES + ELLIPSOIDS + FRUSTA
COUNT = OPAQUE + GLASS_BOXES + GLASS_ELLIPSOIDS + GLASS_FRUSTA
"""Number of primitives; the room itself comes after them, as six faces."""

# Kind, first, last + 1: which primitives are of which kind is the same in every scene, so that no
# branch depends on data.
OPAQUE_GROUPS = (
    ('box', 0, BOXES),
    ('ellipsoid', BOXES, BOXES + ELLIPSOIDS),
    ('frustum', BOXES + ELLIPSOIDS, OPAQUE),
)
GLASS_GROUPS = (
    ('box', OPAQUE, OPAQUE + GLASS_BOXES),
    ('ellipsoid', OPAQUE + GLASS_BOXES, COUNT - GLASS_FRUSTA),
    ('frustum', COUNT - GLASS_FRUSTA, COUNT),
)
