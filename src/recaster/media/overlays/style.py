"""How blocks of text look: the one place where this is measured; the drawer takes it as it stands here.

First every block's words are laid on what was seen, in every face that ships (`typesetting`). Blocks that look alike then
agree on a face, and colours, outline, shadow (`inking`) and slab (`backing`) are measured where the set letters lie.
Nothing is read or followed here, and what a block is for is no matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from recaster.media.overlays.active_words import ActiveLook
from recaster.media.overlays.backing import Backing, find_glass, find_slab
from recaster.media.overlays.geometry import bounds, shifted
from recaster.media.overlays.inking import (
    Lettering,
    as_stroke,
    find_active_fill,
    find_fill,
    find_glow,
    find_rim,
    find_shadow,
    rgb,
)
from recaster.media.overlays.looks import LineLook
from recaster.media.overlays.model import Box, Stroke, TextStyle
from recaster.media.overlays.networks import Quad
from recaster.media.overlays.opacity import find_translucence
from recaster.media.overlays.placing import SetLine, alignment, full_box, letters_quad, line_spacing, rotation
from recaster.media.overlays.seen_letters import Color, Seen, fine_letters, seen_coverage, seen_in_turns
from recaster.media.overlays.setting import DEFAULT_FACE, Face, Fit, Setting, typesetter
from recaster.media.overlays.tints import BackedLine
from recaster.media.overlays.typesetting import compared, fitted, placed

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
_ALL_LETTERS = 0.75
"""Agreement from which the drawn letters, not the seen ones, tell which pixels are all letter."""
_MOST_CORRECTED = 0.16
"""Radians by which a level line may have been taken for a tilted one."""
_AS_GOOD = 0.015
"""Agreement that does not tell two fits apart."""
_EXPLAINED = 0.9
"""Agreement from which nothing about the letters is left to explain."""


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
    known = part.known & look.seen.known[rows, columns]
    # The mean neither speaks for nor against letters.
    unknown = float(part.cover[known].mean()) if known.any() else 0.0
    seen.cover[rows, columns], seen.known[rows, columns] = np.where(known, part.cover, unknown), known
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
    active = one.block.active
    lines = _set_lines(one, face)
    leader = lines[one.leader]
    setting = leader.fit.setting
    lettering = _lettering(one, leader)
    fill = find_fill(lettering, one.fill) if leader.is_set else one.fill
    rim = find_rim(lettering, fill) if leader.is_set else None
    stroke = as_stroke(rim) if rim is not None else _seen_stroke(leader, fill)
    slab_color = leader.look.ink.slab if rim is None or stroke is not None else rim.color
    backing = _backing(lines, slab_color, outlined=stroke is not None)
    opacity, shadow = 1.0, None
    if backing is None and leader.is_set:
        through = find_translucence(lettering, fill, stroke.width if stroke else 0.0)
        if through is not None:
            opacity, fill = through.opacity, through.fill
            if stroke is not None:
                stroke = replace(stroke, color=rgb(through.own(np.array(stroke.color[::-1], np.float32))))
        if stroke is None:
            shadow = find_glow(lettering, opacity) or find_shadow(lettering, opacity)
    style = TextStyle(
        font=setting.face.font,
        weight=setting.face.weight,
        size=round(setting.size, 2),
        fill=rgb(fill),
        opacity=opacity,
        stroke=stroke,
        shadow=shadow,
        slab=backing.slab if backing else None,
        align=alignment(lines, frame_size[0]),
        line_spacing=line_spacing(lines),
        rotation=rotation(lines),
        active_fill=_active_fill(active, lettering, fill),
        active_slab=active.slab if active else None,
        letter_spacing=round(setting.spacing, 4),
    )
    quads = tuple(shifted(letters_quad(line, stroke.width if stroke else 0.0), *one.block.at) for line in lines)
    return BlockLook(style, full_box(lines, quads, backing, one.block.at, frame_size), quads)


def _lettering(one: _Compared, leader: SetLine) -> Lettering:
    """The letters of a block's longest line: as drawn, or as seen where no face has exactly these."""
    look, setting = leader.look, leader.fit.setting
    shape = (look.seen.pictures[0].shape[0], look.seen.pictures[0].shape[1])
    drawn = typesetter().fine(look.text, setting, shape)
    fine = drawn
    if leader.is_set and leader.fit.agreement < _ALL_LETTERS:
        seen = _seen(look, one.fill, one.block.active)
        fine = fine_letters(seen, drawn, setting.size)
    if not look.seen.known.all():
        shown = cv2.resize(look.seen.known.astype(np.uint8), fine.shape[::-1], interpolation=cv2.INTER_NEAREST)
        fine = np.where(shown > 0, fine, np.uint8(0))
    return Lettering.of(look.seen.pictures, fine, setting.size, takes_turns=one.block.active is not None)


def _seen_stroke(line: SetLine, fill: Color) -> Stroke | None:
    """The outline as the reader has it, for letters that no face explains or that are see-through with their outline."""
    ink = line.look.ink
    if ink.stroke is None or line.fit.agreement >= _EXPLAINED:
        return None
    if min(float(np.linalg.norm(ink.stroke - color)) for color in (ink.fill, fill)) < 2.5 * _NEAR:
        return None
    return Stroke(rgb(ink.stroke), round(ink.stroke_width, 1))


def _set_lines(one: _Compared, face: Face) -> list[SetLine]:
    """All lines of a block in one face, size and spacing, each in its own place."""
    looks = one.block.looks
    if not one.fits:
        return [SetLine(look, Fit(_rough(look, face, look.em, 0.0), 0.0)) for look in looks]
    seen = [_seen(look, one.fill, one.block.active) for look in looks]
    chosen = next(fit for fit in one.fits if fit.setting.face == face)
    tilts = bool(chosen.setting.tilt) or _may_tilt(looks[one.leader])
    lead = fitted(looks[one.leader].text, seen[one.leader], chosen.setting, tilts=tilts)
    if tilts:
        lead = _upright_if_as_good(looks[one.leader], seen[one.leader], lead)
    size, spacing, tilt = lead.setting.size, lead.setting.spacing, lead.setting.tilt if tilts else 0.0
    lines = []
    for index, (look, field) in enumerate(zip(looks, seen, strict=True)):
        if index == one.leader:
            lines.append(SetLine(look, lead))
        elif look.text.strip():
            start = placed(look.text, field, replace(_rough(look, face, size, spacing), tilt=tilt))
            lines.append(SetLine(look, fitted(look.text, field, start.setting, same_type=True, tilts=tilts)))
        else:
            lines.append(SetLine(look, Fit(_rough(look, face, size, spacing), 0.0)))
    return lines


def _upright_if_as_good(look: LineLook, seen: Seen, lead: Fit) -> Fit:
    """A fit without the line's tilt, where it lies as well: a word of two letters has hardly a direction."""
    to_frame = look.seen.to_frame
    level = -float(np.arctan2(to_frame[1, 0], to_frame[0, 0]))
    if abs(level - lead.setting.tilt) > _MOST_CORRECTED:
        return lead
    upright = fitted(look.text, seen, replace(lead.setting, tilt=level))
    return upright if upright.agreement > lead.agreement - _AS_GOOD else lead


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


def _backing(lines: Sequence[SetLine], color: Color | None, *, outlined: bool) -> Backing | None:
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
    opaque = None if color is None or outlined else find_slab(backed, color)
    glass = find_glass(backed)
    if glass is not None and (glass.shows or (opaque is None and not outlined)):
        return glass.backing
    return opaque


def _active_fill(active: ActiveLook | None, lettering: Lettering, fill: Color) -> tuple[int, int, int] | None:
    if active is None:
        return None
    if active.slab is not None:
        return find_active_fill(lettering, fill, np.array(active.slab[::-1], np.float32))
    return active.fill
