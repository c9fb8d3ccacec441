"""Where the set lines of a block stand: around their letters, around everything, aligned how, how far apart, how turned.

It measures no colours; `style` puts both together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.backing import Backing
from recaster.media.overlays.geometry import bounds, shifted
from recaster.media.overlays.looks import LineLook
from recaster.media.overlays.model import Box
from recaster.media.overlays.networks import Quad
from recaster.media.overlays.setting import Fit, typesetter

_AS_GOOD = 0.2
"""Difference of edges, in em, that does not tell one alignment from another."""
_USUAL_SPACING = 1.28
"""Baseline distance of a single line, in em."""
_PLAUSIBLE = 0.35
"""Agreement below which the words as read are not what stands there: their place is then taken from the pixels."""
_EXACT = 0.57
"""Agreement from which every pixel of the drawn letters is one of the seen ones."""


@dataclass(frozen=True, slots=True, eq=False)
class SetLine:
    """A line and how its words are set."""

    look: LineLook
    fit: Fit

    @property
    def is_set(self) -> bool:
        """Whether the words as read are what stands there."""
        return self.fit.agreement >= _PLAUSIBLE

    @property
    def is_exact(self) -> bool:
        """Whether every pixel of the drawn letters is one of the seen ones."""
        return self.fit.agreement >= _EXACT

    @property
    def ends(self) -> tuple[float, float]:
        """Left and right end of the advance, emoji included."""
        setter, setting = typesetter(), self.fit.setting
        face, spacing, size = setting.face, setting.spacing, setting.size
        own = setter.advance(self.look.text, face, spacing) * size
        left = setting.x - own / 2
        full = setter.advance(self.look.full_text, face, spacing) * size
        before = self.look.leading_emoji
        if before:
            left -= (setter.advance(f"{before} n", face, spacing) - setter.advance("n", face, spacing)) * size
        right = left + full
        # An emoji that is not recognised has its room all the same.
        unknown = [one for one in self.look.emoji if not one.character]
        return (
            min([left, *(one.left + self.look.seen.left for one in unknown)]),
            max([right, *(one.right + self.look.seen.left for one in unknown)]),
        )


def letters_quad(line: SetLine, rim: float) -> Quad:
    """Around a line's letters, in the frame."""
    if not line.is_exact:
        return line.look.quad
    setting = line.fit.setting
    left, top, right, bottom = typesetter().ink_box(line.look.text, setting)
    corners = np.array(
        [[left - rim, top - rim], [right + rim, top - rim], [right + rim, bottom + rim], [left - rim, bottom + rim]]
    )
    return _in_frame(line, corners)


def _in_frame(line: SetLine, points: NDArray[np.floating]) -> Quad:
    """Points of a line's pictures, before its tilt, as they stand in the frame."""
    setting, seen = line.fit.setting, line.look.seen
    c, s = np.cos(setting.tilt), np.sin(setting.tilt)
    centre = np.array([setting.x, setting.baseline])
    turned = (np.asarray(points, np.float64) - centre) @ np.array([[c, s], [-s, c]]) + centre
    return np.asarray(turned @ seen.to_frame[:, :2].T + seen.to_frame[:, 2], np.float32)


def full_box(
    lines: Sequence[SetLine],
    quads: Sequence[Quad],
    backing: Backing | None,
    at: tuple[int, int],
    frame_size: tuple[int, int],
) -> Box:
    """The upright box around letters, emoji and slab in the frame; `quads` are around the letters with their outline."""
    parts = list(quads)
    for line in lines:
        level = line.look.level
        parts += [shifted(level.in_frame(one.left, one.top, one.right, one.bottom), *at) for one in line.look.emoji]
        if backing is not None:
            setting = line.fit.setting
            top, bottom = (reach * setting.size for reach in typesetter().extents(setting.face))
            left, right = line.ends
            slab = backing.slab
            above = backing.above if line is lines[0] else slab.padding_y
            below = backing.below if line is lines[-1] else slab.padding_y
            left, right = left - slab.padding_x, right + slab.padding_x
            top, bottom = setting.baseline - top - above, setting.baseline + bottom + below
            corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
            parts.append(shifted(_in_frame(line, corners), *at))
    left, top, right, bottom = bounds(np.concatenate(parts))
    return max(0.0, left), max(0.0, top), min(float(frame_size[0]), right), min(float(frame_size[1]), bottom)


def alignment(lines: Sequence[SetLine], width: int) -> Literal["left", "center", "right"]:
    """Which ends of the lines stand under each other; of a single line, where it stands in the frame."""
    spans = []
    for line in lines:
        left, right = line.ends
        baseline = line.fit.setting.baseline
        spans.append(_in_frame(line, np.array([[left, baseline], [right, baseline]]))[:, 0])
    ends = np.array(spans)
    lefts, rights, centres = ends[:, 0], ends[:, 1], ends.mean(axis=1)
    central = abs(float(centres.mean()) - width / 2) < 0.06 * width
    if len(lines) > 1 and float(np.ptp(rights - lefts)) > 0.5:
        spreads: dict[Literal["left", "center", "right"], float] = {
            "center": float(np.ptp(centres)),
            "left": float(np.ptp(lefts)),
            "right": float(np.ptp(rights)),
        }
        # Lines of nearly one width stand alike on every side: then the place in the frame tells.
        closest = min(spreads.values()) + _AS_GOOD * lines[0].fit.setting.size
        if spreads["center"] <= closest and central:
            return "center"
        return min(spreads, key=lambda key: spreads[key])
    if central:
        return "center"
    return "left" if float(centres[0]) < width / 2 else "right"


def line_spacing(lines: Sequence[SetLine]) -> float:
    """Distance of baselines as a multiple of the size."""
    if len(lines) < 2:
        return _USUAL_SPACING
    _, down = _axes(lines)
    places = [
        float(_in_frame(line, np.array([[line.fit.setting.x, line.fit.setting.baseline]]))[0] @ down) for line in lines
    ]
    spacing = float(np.polyfit(np.arange(len(places)), places, 1)[0]) / lines[0].fit.setting.size
    return round(min(max(spacing, 0.8), 2.2), 4)


def rotation(lines: Sequence[SetLine]) -> float:
    """Degrees clockwise by which the block is turned."""
    along, _ = _axes(lines)
    angle = float(np.degrees(np.arctan2(along[1], along[0])))
    return round(angle, 2) if abs(angle) > 0.1 else 0.0


def _axes(lines: Sequence[SetLine]) -> tuple[Quad, Quad]:
    """Unit vectors along the lines and down from them, the longer lines counting for more."""
    way = np.zeros(2)
    for line in lines:
        left, right = line.ends
        baseline = line.fit.setting.baseline
        points = _in_frame(line, np.array([[left, baseline], [right, baseline]]))
        way += points[1] - points[0]
    along = (way / max(float(np.linalg.norm(way)), 1e-6)).astype(np.float32)
    return along, np.array([-along[1], along[0]], np.float32)
