"""How blocks of text look: the one place where this is measured; the drawer takes it as it stands here.

First every block's words are laid on what was seen, in every face that ships (`typesetting`). Blocks that look alike then
agree on a face, and colours, outline, shadow (`inking`) and slab (`backing`) are measured where the set letters lie.
Nothing is read or followed here, and what a block is for is no matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.active_words import ActiveLook
from recaster.media.overlays.backing import BackedLine, Backing, find_glass, find_slab
from recaster.media.overlays.geometry import bounds, shifted
from recaster.media.overlays.inking import (
    Lettering,
    as_stroke,
    find_active_fill,
    find_fill,
    find_opacity,
    find_rim,
    find_shadow,
    rgb,
)
from recaster.media.overlays.looks import LineLook
from recaster.media.overlays.model import Box, Stroke, TextStyle
from recaster.media.overlays.networks import Quad
from recaster.media.overlays.typesetting import (
    DEFAULT_FACE,
    Color,
    Face,
    Fit,
    Seen,
    Setting,
    compared,
    fitted,
    placed,
    seen_coverage,
    seen_in_turns,
    typesetter,
)

_NEAR = 60.0
"""Distance of two colours (0–441) up to which they count as one."""
_SURE = 0.8
"""Agreement from which the colour taken for the letters' is not doubted."""
_DOUBT = 0.05
"""Agreement that a face may lack against the best one and still be the right one."""
_ENOUGH_LETTERS = 6
"""Letters from which a face is told well."""
_SEARCHED = 0.9
"""How far around the place of a line its letters are looked for, in em."""
_EXPLAINED = 0.9
"""Agreement from which nothing about the letters is left to explain."""
_EXACT = 0.57
"""Agreement from which every pixel of the drawn letters is one of the seen ones."""
_PLAUSIBLE = 0.35
"""Agreement below which the words as read are not what stands there: their place is then taken from the pixels."""
_AS_GOOD = 0.2
"""Difference of edges, in em, that does not tell one alignment from another."""
_USUAL_SPACING = 1.28
"""Baseline distance of a single line, in em."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenBlock:
    """The lines of a block, from top to bottom."""

    looks: tuple[LineLook, ...]
    active: ActiveLook | None
    """How the word that is being said stands out, where one does."""
    at: tuple[int, int]
    """Move of the block from where the looks were taken to where its box is wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockLook:
    """What `describe` finds of a block."""

    style: TextStyle
    box: Box
    """Upright, around everything that belongs to it."""
    quads: tuple[Quad, ...]
    """Around each line's letters with their outline, exact to a part of a pixel."""


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """A block's longest line in all faces."""

    block: SeenBlock
    leader: int
    fill: Color
    fits: tuple[Fit, ...]

    @property
    def letters(self) -> int:
        return len(self.block.looks[self.leader].text)

    def agreement(self, face: Face) -> float:
        return next((fit.agreement for fit in self.fits if fit.setting.face == face), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _SetLine:
    look: LineLook
    fit: Fit

    @property
    def is_set(self) -> bool:
        return self.fit.agreement >= _PLAUSIBLE

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


def describe(blocks: Sequence[SeenBlock], frame_size: tuple[int, int]) -> list[BlockLook]:
    """The looks of all blocks of a clip, in their order. `frame_size` is width and height."""
    found = [_compared(block) for block in blocks]
    looks = [_described(one, _face_of(one, found), frame_size) for one in found]
    return [_with_shadow_of_kin(look, looks) for look in looks]


def _with_shadow_of_kin(look: BlockLook, others: Sequence[BlockLook]) -> BlockLook:
    """A look with the shadow that others of its kind have: on a busy scene a single one may not be told from it."""
    style = look.style
    if style.shadow is not None or style.stroke is not None or style.slab is not None:
        return look
    kin = [other.style.shadow for other in others if other is not look and _are_kin(style, other.style)]
    cast = [shadow for shadow in kin if shadow is not None]
    if not cast or 2 * len(cast) < len(kin):
        return look
    return replace(look, style=replace(style, shadow=cast[0]))


def _are_kin(one: TextStyle, other: TextStyle) -> bool:
    return (
        (one.font, one.weight) == (other.font, other.weight)
        and abs(one.size - other.size) < 0.08 * one.size
        and float(np.linalg.norm(np.subtract(one.fill, other.fill))) < _NEAR
        and other.stroke is None
        and other.slab is None
    )


def _compared(block: SeenBlock) -> _Compared:
    """Lay a block's longest line in all faces on what was seen of it in the colour that its letters most likely have."""
    leader = max(range(len(block.looks)), key=lambda index: (len(block.looks[index].text), block.looks[index].em))
    look = block.looks[leader]
    if not look.text.strip():
        return _Compared(block, leader, look.ink.fill, ())
    box = _letters_box(look)
    best: tuple[Color, list[Fit]] | None = None
    for color in _possible_fills(look):
        seen = _seen(look, color, block.active)
        fits = compared(look.text, seen, box, look.em, _found_box(look))
        if best is None or fits[0].agreement > best[1][0].agreement + 0.04:
            best = (color, fits)
        if fits[0].agreement >= _SURE:
            break
    assert best is not None
    return _Compared(block, leader, best[0], tuple(best[1]))


def _seen(look: LineLook, fill: Color, active: ActiveLook | None) -> Seen:
    """What a line's pictures show of letters of a colour, where its letters can be."""
    height, width = look.seen.pictures[0].shape[:2]
    own, found, room = _letters_box(look), _found_box(look), _SEARCHED * look.em
    rows = slice(max(0, int(min(own[1], found[1]) - room)), min(height, int(max(own[3], found[3]) + room) + 1))
    columns = slice(max(0, int(min(own[0], found[0]) - room)), min(width, int(max(own[2], found[2]) + room) + 1))
    pictures = [np.ascontiguousarray(picture[rows, columns]) for picture in look.seen.pictures]
    if active is None:
        part = seen_coverage(pictures, fill, look.em)
    else:
        boxed = None if active.slab is None else np.array(active.slab[::-1], np.float32)
        part = seen_in_turns(pictures, fill, look.em, boxed)
    seen = Seen(np.zeros((height, width), np.float32), np.ones((height, width), np.bool_))
    seen.cover[rows, columns], seen.known[rows, columns] = part.cover, part.known
    return seen


def _letters_box(look: LineLook) -> Box:
    """Where the reader has the letters without their outline, in the line's pictures."""
    extent, rim = look.extent, look.ink.stroke_width
    left, top = look.seen.left, look.seen.top
    return (extent.left + left + rim, extent.top + top + rim, extent.right + left - rim, extent.bottom + top - rim)


def _found_box(look: LineLook) -> Box:
    """Where the detector has the line, in the line's pictures."""
    to_frame = look.seen.to_frame
    return bounds(((look.quad - to_frame[:, 2]) @ np.linalg.inv(to_frame[:, :2]).T).astype(np.float32))


def _possible_fills(look: LineLook) -> list[Color]:
    """Colours that the letters may have, the likeliest first."""
    others = [color for color in (look.ink.stroke, look.ink.slab) if color is not None]
    asked = [look.ink.fill, np.full(3, 255, np.float32), *others, np.zeros(3, np.float32)]
    found: list[Color] = []
    for color in asked:
        if all(float(np.linalg.norm(color - other)) > _NEAR for other in found):
            found.append(np.asarray(color, np.float32))
    return found


def _face_of(one: _Compared, others: Sequence[_Compared]) -> Face:
    """The face in which a block and those that look like it agree best.

    The lines of a list come from one hand; told apart line by line, a short one may seem to be of another font.
    """
    if not one.fits:
        return DEFAULT_FACE
    kin = [other for other in others if _alike(one, other)]
    least = one.fits[0].agreement - (_DOUBT if one.letters >= _ENOUGH_LETTERS else 3 * _DOUBT)
    return max(
        (fit.setting.face for fit in one.fits if fit.agreement >= least),
        key=lambda face: sum(other.letters * other.agreement(face) for other in kin),
    )


def _alike(one: _Compared, other: _Compared) -> bool:
    if not other.fits:
        return False

    def same(color: Color | None, its: Color | None) -> bool:
        if color is None or its is None:
            return color is its
        return float(np.linalg.norm(color - its)) < _NEAR

    own, its = one.block.looks[one.leader].ink, other.block.looks[other.leader].ink
    size = one.fits[0].setting.size
    return (
        abs(size - other.fits[0].setting.size) < 0.15 * size and same(one.fill, other.fill) and same(own.slab, its.slab)
    )


# ---- one block -------------------------------------------------------------------------------------------------------


def _described(one: _Compared, face: Face, frame_size: tuple[int, int]) -> BlockLook:
    looks, active = one.block.looks, one.block.active
    lines = _set_lines(one, face)
    leader = lines[one.leader]
    setting = leader.fit.setting
    shape = looks[one.leader].seen.pictures[0].shape[:2]
    lettering = Lettering.of(
        looks[one.leader].seen.pictures,
        typesetter().fine(leader.look.text, setting, shape),
        setting.size,
        takes_turns=active is not None,
    )
    fill = find_fill(lettering, one.fill) if leader.is_set else one.fill
    rim = find_rim(lettering, fill) if leader.is_set else None
    stroke = as_stroke(rim) if rim is not None else _seen_stroke(leader)
    slab_color = leader.look.ink.slab if rim is None or stroke is not None else rim.color
    backing = _backing(lines, one.leader, slab_color) if stroke is None else None
    opacity, shadow = 1.0, None
    if backing is None and leader.fit.agreement >= _EXACT:
        opacity, fill = find_opacity(lettering, fill, stroke.width if stroke else 0.0)
    if backing is None and leader.is_set:
        shadow = find_shadow(lettering, opacity) if stroke is None else None
    style = TextStyle(
        font=setting.face.font,
        weight=setting.face.weight,
        size=round(setting.size, 2),
        fill=rgb(fill),
        opacity=opacity,
        stroke=stroke,
        shadow=shadow,
        slab=backing.slab if backing else None,
        align=_alignment(lines, frame_size[0]),
        line_spacing=_line_spacing(lines),
        rotation=_rotation(lines),
        active_fill=_active_fill(active, lettering, fill),
        active_slab=active.slab if active else None,
        letter_spacing=round(setting.spacing, 4),
    )
    quads = tuple(shifted(_quad(line, stroke.width if stroke else 0.0), *one.block.at) for line in lines)
    return BlockLook(style, _box(lines, quads, backing, one.block.at, frame_size), quads)


def _seen_stroke(line: _SetLine) -> Stroke | None:
    """The outline as the reader has it, for letters that no face explains or that are see-through with their outline."""
    ink = line.look.ink
    if ink.stroke is None or line.fit.agreement >= _EXPLAINED:
        return None
    if float(np.linalg.norm(ink.stroke - ink.fill)) < 2.5 * _NEAR:
        return None
    return Stroke(rgb(ink.stroke), round(ink.stroke_width, 1))


def _set_lines(one: _Compared, face: Face) -> list[_SetLine]:
    """All lines of a block in one face, size and spacing, each in its own place."""
    looks = one.block.looks
    if not one.fits:
        return [_SetLine(look, Fit(_rough(look, face, look.em, 0.0), 0.0)) for look in looks]
    seen = [_seen(look, one.fill, one.block.active) for look in looks]
    chosen = next(fit for fit in one.fits if fit.setting.face == face)
    lead = fitted(looks[one.leader].text, seen[one.leader], chosen.setting, tilts=_may_tilt(looks[one.leader]))
    size, spacing = lead.setting.size, lead.setting.spacing
    lines = []
    for index, (look, field) in enumerate(zip(looks, seen, strict=True)):
        if index == one.leader:
            lines.append(_SetLine(look, lead))
        elif look.text.strip():
            start = placed(look.text, field, _rough(look, face, size, spacing))
            lines.append(_SetLine(look, fitted(look.text, field, start.setting, same_type=True, tilts=_may_tilt(look))))
        else:
            lines.append(_SetLine(look, Fit(_rough(look, face, size, spacing), 0.0)))
    return lines


def _may_tilt(look: LineLook) -> bool:
    """Whether the line was seen at an angle: a level one is level."""
    return bool(abs(float(look.seen.to_frame[1, 0])) > 1e-6)


def _rough(look: LineLook, face: Face, size: float, spacing: float) -> Setting:
    """A setting where the reader has the letters."""
    left, top, right, bottom = _letters_box(look)
    local = Setting(face, size, spacing, 0.0, 0.0, 0.0)
    own = typesetter().ink_box(look.text, local) if look.text.strip() else (0.0, -0.7 * size, 0.0, 0.0)
    return replace(
        local, x=(left + right) / 2 - (own[0] + own[2]) / 2, baseline=(top + bottom) / 2 - (own[1] + own[3]) / 2
    )


def _backing(lines: Sequence[_SetLine], leader: int, color: Color | None) -> Backing | None:
    backed = []
    for line in lines:
        setting = line.fit.setting
        top, bottom = typesetter().extents(setting.face)
        left, right = line.ends
        backed.append(
            BackedLine(
                line.look.seen.pictures,
                left,
                right,
                setting.baseline - top * setting.size,
                setting.baseline + bottom * setting.size,
                setting.size,
            )
        )
    opaque = None if color is None else find_slab(backed, color)
    if opaque is not None:
        return opaque
    look = lines[leader].look
    return find_glass(backed[leader], look.level, look.extent, look.seen.top)


def _active_fill(active: ActiveLook | None, lettering: Lettering, fill: Color) -> tuple[int, int, int] | None:
    if active is None:
        return None
    if active.slab is not None:
        return find_active_fill(lettering, fill, np.array(active.slab[::-1], np.float32))
    return active.fill


# ---- place -----------------------------------------------------------------------------------------------------------


def _quad(line: _SetLine, rim: float) -> Quad:
    """Around a line's letters, in the frame."""
    if line.fit.agreement < _EXACT:
        return line.look.quad
    setting = line.fit.setting
    left, top, right, bottom = typesetter().ink_box(line.look.text, setting)
    corners = np.array(
        [[left - rim, top - rim], [right + rim, top - rim], [right + rim, bottom + rim], [left - rim, bottom + rim]]
    )
    return _in_frame(line, corners)


def _in_frame(line: _SetLine, points: NDArray[np.floating]) -> Quad:
    """Points of a line's pictures, before its tilt, as they stand in the frame."""
    setting, seen = line.fit.setting, line.look.seen
    c, s = np.cos(setting.tilt), np.sin(setting.tilt)
    centre = np.array([setting.x, setting.baseline])
    turned = (np.asarray(points, np.float64) - centre) @ np.array([[c, s], [-s, c]]) + centre
    return np.asarray(turned @ seen.to_frame[:, :2].T + seen.to_frame[:, 2], np.float32)


def _box(
    lines: Sequence[_SetLine],
    quads: Sequence[Quad],
    backing: Backing | None,
    at: tuple[int, int],
    frame_size: tuple[int, int],
) -> Box:
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


def _alignment(lines: Sequence[_SetLine], width: int) -> Literal["left", "center", "right"]:
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


def _line_spacing(lines: Sequence[_SetLine]) -> float:
    """Distance of baselines as a multiple of the size."""
    if len(lines) < 2:
        return _USUAL_SPACING
    _, down = _axes(lines)
    places = [
        float(_in_frame(line, np.array([[line.fit.setting.x, line.fit.setting.baseline]]))[0] @ down) for line in lines
    ]
    spacing = float(np.polyfit(np.arange(len(places)), places, 1)[0]) / lines[0].fit.setting.size
    return round(min(max(spacing, 0.8), 2.2), 4)


def _rotation(lines: Sequence[_SetLine]) -> float:
    along, _ = _axes(lines)
    angle = float(np.degrees(np.arctan2(along[1], along[0])))
    return round(angle, 2) if abs(angle) > 0.1 else 0.0


def _axes(lines: Sequence[_SetLine]) -> tuple[Quad, Quad]:
    """Unit vectors along the lines and down from them, the longer lines counting for more."""
    way = np.zeros(2)
    for line in lines:
        left, right = line.ends
        baseline = line.fit.setting.baseline
        points = _in_frame(line, np.array([[left, baseline], [right, baseline]]))
        way += points[1] - points[0]
    along = (way / max(float(np.linalg.norm(way)), 1e-6)).astype(np.float32)
    return along, np.array([-along[1], along[0]], np.float32)
