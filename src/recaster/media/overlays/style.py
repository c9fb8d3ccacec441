"""How a block of text looks, made from the measures of its lines: type, colours, slab, alignment, turn.

The font class is the shipped font whose drawn letters lie best on the ones that were seen; the size follows from how
wide and high these letters are. Nothing is read or followed here, and what a block is for is no matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from recaster.media.overlays.active_words import ActiveLook
from recaster.media.overlays.fonts import DEFAULT_FONT, FONTS, find_font, read_font
from recaster.media.overlays.geometry import bounds, shifted
from recaster.media.overlays.letters import DEEP, Extent, find_veil
from recaster.media.overlays.letters import Color as PixelColor
from recaster.media.overlays.looks import LineLook
from recaster.media.overlays.model import Box, Color, OverlayTrack, Shadow, Slab, Stroke, TextStyle

_DRAWN = 64
"""Em size at which letters are drawn for comparison."""
_COMPARED = 40
"""Height to which drawn and seen letters are scaled for comparison."""
_NEAR = 40.0
"""Distance of two colours (0–441) up to which they count as one."""
_WIDEST_PADDING = 1.4
"""Widest slab around the letters, in em: anything wider is a wall behind the words."""
_USUAL_RADIUS = 0.2
"""Radius of a slab whose corners cannot be seen, against its height: about what phone editors draw."""
_AS_GOOD = 0.2
"""Difference of edges, against the lines' height, that does not tell one alignment from another."""
_DARKER = 18.0
"""How much darker (0–255) the picture is where a shadow falls than on the other side of the letters."""

Bits = NDArray[np.bool_]


def describe_style(
    looks: Sequence[LineLook], active: ActiveLook | None, at: tuple[int, int], frame_size: tuple[int, int]
) -> tuple[TextStyle, Box]:
    """The look of a block, and the upright box around everything that belongs to it.

    Args:
        looks: its lines from top to bottom.
        active: how the word that is being said stands out, where one does.
        at: move of the block from where the looks were taken to where the box is wanted.
        frame_size: width and height.
    """
    leader = max(looks, key=lambda look: (len(look.text), look.em))
    font, weight, size = _typeface(leader)
    stroke = (
        Stroke(_rgb(leader.ink.stroke), round(leader.ink.stroke_width, 1)) if leader.ink.stroke is not None else None
    )
    slab = _slab(leader, size)
    shadow = _shadow(leader, size) if stroke is None and slab is None else None
    style = TextStyle(
        font=font,
        weight=weight,
        size=round(size, 1),
        fill=_rgb(leader.ink.fill),
        opacity=1.0,
        stroke=stroke,
        shadow=shadow,
        slab=slab,
        align=_alignment(looks, frame_size[0]),
        line_spacing=_line_spacing(looks, size),
        rotation=_rotation(leader),
        active_fill=active.fill if active else None,
        active_slab=active.slab if active else None,
    )
    reach_x, reach_y = (slab.padding_x, slab.padding_y) if slab else (0.0, 0.0)
    boxes = [_full_box(look, at) for look in looks]
    box = (
        max(0.0, min(box[0] for box in boxes) - reach_x),
        max(0.0, min(box[1] for box in boxes) - reach_y),
        min(float(frame_size[0]), max(box[2] for box in boxes) + reach_x),
        min(float(frame_size[1]), max(box[3] for box in boxes) + reach_y),
    )
    return style, box


def in_one_typeface(tracks: Sequence[OverlayTrack]) -> list[OverlayTrack]:
    """Give texts that look alike but for a doubtful typeface the one that most of their letters have.

    The lines of a list come from one hand; told apart line by line, a short one may seem to be of another font.
    """
    result = []
    for track in tracks:
        kin = [other for other in tracks if _alike(track.style, other.style)]
        letters: Counter[tuple[str, int]] = Counter()
        for other in kin:
            letters[(other.style.font, other.style.weight)] += len(other.text)
        own = (track.style.font, track.style.weight)
        chosen = max(letters, key=lambda face: (letters[face], face == own))
        if chosen != own:
            sizes = [other.style.size for other in kin if (other.style.font, other.style.weight) == chosen]
            style = replace(track.style, font=chosen[0], weight=chosen[1], size=round(float(np.median(sizes)), 1))
            track = replace(track, style=style)
        result.append(track)
    return result


def _alike(one: TextStyle, other: TextStyle) -> bool:
    return (
        abs(one.size - other.size) < 0.12 * one.size
        and float(np.linalg.norm(np.subtract(one.fill, other.fill))) < _NEAR
        and (one.stroke is None) == (other.stroke is None)
        and (one.slab is None) == (other.slab is None)
    )


def _full_box(look: LineLook, at: tuple[int, int]) -> Box:
    """The upright box around a line's letters and emoji."""
    parts = [look.quad, *(look.level.in_frame(one.left, one.top, one.right, one.bottom) for one in look.emoji)]
    return bounds(shifted(np.concatenate(parts), *at))


# ---- type ------------------------------------------------------------------------------------------------------------


def _typeface(look: LineLook) -> tuple[str, int, float]:
    """Font class, weight and size in pixels of the letters of a line."""
    seen = _cut_to_letters(look)
    text = look.text.strip()
    if not text or seen is None:
        return DEFAULT_FONT, 700, max(6.0, look.em)
    best: tuple[float, str, int, float] | None = None
    for key, family in FONTS.items():
        for weight in family.weights:
            drawn = _drawn(text, key, weight)
            if drawn is None:
                continue
            score = _agreement(seen, drawn)
            if best is None or score > best[0]:
                best = (score, key, weight, _DRAWN * seen.shape[1] / drawn.shape[1])
    if best is None:
        return DEFAULT_FONT, 700, max(6.0, look.em)
    _, key, weight, size = best
    # A misread letter makes the width wrong; the height bounds the error.
    return key, weight, float(np.clip(size, 0.8 * look.em, 1.25 * look.em))


def _cut_to_letters(look: LineLook) -> Bits | None:
    """The fill of a line's letters without the outline around it; None where there is none to speak of."""
    extent, picture = look.extent, look.level.picture
    rim = 2
    window = (
        slice(max(0, extent.top - rim), min(picture.shape[0], extent.bottom + rim)),
        slice(max(0, extent.left - rim), min(picture.shape[1], extent.right + rim)),
    )
    part = look.ink.letters[window].astype(np.uint8)
    around = look.ink.slab if look.ink.slab is not None else look.ink.stroke
    if around is not None:
        # The bits are the pure fill. The letters' border lies where the blend is half fill, half what is around.
        axis = around - look.ink.fill
        share = (picture[window].astype(np.float32) - look.ink.fill) @ axis / max(float(axis @ axis), 1e-6)
        part = cv2.dilate(part, np.ones((3, 3), np.uint8)) & (share < 0.5).astype(np.uint8)
    # Specks of the scene in the same colour are smaller than any dot of an i.
    count, labels, facts, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    large = facts[:, cv2.CC_STAT_AREA] >= max(3.0, (0.08 * extent.height) ** 2)
    large[0] = False
    kept = large[labels] if count > 1 else part > 0
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    if len(rows) < 4 or len(columns) < 4:
        return None
    return np.asarray(kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.bool_)


def _agreement(seen: Bits, drawn: Bits) -> float:
    """Intersection over union of two pictures of the same letters, brought to one width.

    Height is not brought to one: letters of another font are higher or lower. They are laid over each other where they
    agree best, because a scrap of the scene above or below would shift them.
    """
    width = max(8, round(_COMPARED * seen.shape[1] / seen.shape[0]))
    height = max(8, round(drawn.shape[0] * width / drawn.shape[1]))
    one = cv2.resize(seen.astype(np.float32), (width, _COMPARED), interpolation=cv2.INTER_AREA)
    other = cv2.resize(drawn.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    room = _COMPARED // 4 + max(0, height - _COMPARED)
    one = cv2.copyMakeBorder(one, room, room, 0, 0, cv2.BORDER_CONSTANT, value=0)
    shared = float(cv2.matchTemplate(one, other, cv2.TM_CCORR).max())
    return shared / max(float((one * one).sum() + (other * other).sum()) - shared, 1e-6)


@lru_cache(maxsize=256)
def _drawn(text: str, key: str, weight: int) -> Bits | None:
    """The letters of a text in a font, cut to their extent; None where the font lacks one."""
    face = _face(key, weight)
    font = skia.Font(face, _DRAWN)
    if any(not face.unicharToGlyph(ord(character)) for character in text if not character.isspace()):
        return None
    width = int(font.measureText(text)) + 2 * _DRAWN
    pixels = np.zeros((3 * _DRAWN, width, 4), np.uint8)
    canvas = skia.Canvas(pixels, colorType=skia.kBGRA_8888_ColorType)
    canvas.drawString(text, _DRAWN, 2 * _DRAWN, font, skia.Paint(Color=skia.ColorWHITE, AntiAlias=True))
    ink = pixels[..., 3] > 127
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@lru_cache(maxsize=32)
def _face(key: str, weight: int) -> skia.Typeface:
    return skia.Typeface.MakeFromData(skia.Data.MakeWithCopy(read_font(find_font(key, weight))))


def _line_spacing(looks: Sequence[LineLook], size: float) -> float:
    """Distance of baselines as a multiple of the size."""
    if len(looks) < 2:
        return 1.28
    baselines = []
    for look in looks:
        depth = 0.2 * size if DEEP.search(look.text) else 0.0
        middle = look.quad.mean(axis=0)
        baselines.append(float(middle[1]) + look.extent.height / 2 - depth)
    spacing = float(np.median(np.diff(baselines))) / size
    return round(min(max(spacing, 0.9), 2.0), 3)


# ---- slab and shadow -------------------------------------------------------------------------------------------------


def _slab(look: LineLook, size: float) -> Slab | None:
    color = look.ink.slab
    if color is None:
        return _veil(look)
    level, extent = look.level, look.extent
    left = min([extent.left, *(round(one.left) for one in look.emoji)])
    right = max([extent.right, *(round(one.right) for one in look.emoji)])
    near = np.linalg.norm(level.picture.astype(np.float32) - color, axis=2) < _NEAR
    middle = near[extent.top + extent.height // 3 : extent.bottom - extent.height // 3].mean(axis=0) > 0.5
    spine = near[:, extent.left : extent.right].mean(axis=1) > 0.6
    before, after = _run(middle[: max(left - 1, 0)][::-1]) + 1, _run(middle[right + 1 :]) + 1
    above, below = _run(spine[: max(extent.top - 1, 0)][::-1]) + 1, _run(spine[extent.bottom + 1 :]) + 1
    padding_x, padding_y = (before + after) / 2, (above + below) / 2
    if max(padding_x, padding_y) > _WIDEST_PADDING * size:
        return None
    box = Extent(left - before, extent.top - above, right + after, extent.bottom + below)
    radius = _radius(near, box)
    return Slab(_rgb(color), 1.0, radius, round(padding_x, 1), round(padding_y, 1), True)


def _veil(look: LineLook) -> Slab | None:
    """A see-through slab. Its ends are hidden in the scene: it is taken to reach aside as far as up and down."""
    veil = find_veil(look.level, look.extent)
    if veil is None:
        return None
    padding = round((veil.above + veil.below) / 2, 1)
    radius = round(_USUAL_RADIUS * (look.extent.height + 2 * padding), 1)
    return Slab(_rgb(veil.color), round(veil.opacity, 2), radius, padding, padding, True)


def _run(values: Bits) -> int:
    """Length of the run of true values at the beginning."""
    stops = np.flatnonzero(~values)
    return int(stops[0]) if stops.size else len(values)


def _radius(near: Bits, box: Extent) -> float:
    """Radius of a slab's corners, from how far in along the diagonal its colour begins."""
    reaches = []
    for x, y, step_x, step_y in (
        (box.left, box.top, 1, 1),
        (box.right - 1, box.top, -1, 1),
        (box.left, box.bottom - 1, 1, -1),
        (box.right - 1, box.bottom - 1, -1, -1),
    ):
        for reach in range(box.height // 2):
            column, row = x + reach * step_x, y + reach * step_y
            if 0 <= row < near.shape[0] and 0 <= column < near.shape[1] and near[row, column]:
                reaches.append(reach)
                break
    if not reaches:
        return 0.0
    # The diagonal of a rounded corner is missing for 1 − 1/√2 of the radius on each axis.
    return round(min(float(np.median(reaches)) / (1 - 2**-0.5), box.height / 2), 1)


def _shadow(look: LineLook, size: float) -> Shadow | None:
    """A dark copy of the letters to one side: there the picture is darker than on the opposite side of the letters."""
    luma = cv2.cvtColor(look.level.picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    letters = look.ink.letters
    thick = cv2.dilate(letters.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    reach = max(2, round(0.07 * size))

    def beside(dx: int, dy: int) -> float:
        moved = np.roll(np.roll(letters, dy, axis=0), dx, axis=1) & ~thick
        return float(np.median(luma[moved])) if int(moved.sum()) >= 20 else float("nan")

    falling, rising = beside(reach, reach), beside(-reach, -reach)
    if not np.isfinite(falling) or not np.isfinite(rising) or rising - falling < _DARKER:
        return None
    opacity = float(np.clip(1 - falling / max(rising, 1.0), 0.2, 0.8))
    return Shadow((0, 0, 0), round(opacity, 2), float(reach), float(reach), 0.0)


# ---- place -----------------------------------------------------------------------------------------------------------


def _alignment(looks: Sequence[LineLook], width: int) -> Literal["left", "center", "right"]:
    boxes = [_full_box(look, (0, 0)) for look in looks]
    lefts, rights = [box[0] for box in boxes], [box[2] for box in boxes]
    centres = [(left + right) / 2 for left, right in zip(lefts, rights, strict=True)]
    if len(boxes) > 1:
        spreads: dict[Literal["left", "center", "right"], float] = {
            "center": float(np.ptp(centres)),
            "left": float(np.ptp(lefts)),
            "right": float(np.ptp(rights)),
        }
        # Lines of nearly one width stand alike on every side: then the place in the frame tells.
        closest = min(spreads.values()) + _AS_GOOD * float(np.mean([box[3] - box[1] for box in boxes]))
        if spreads["center"] <= closest and abs(float(np.mean(centres)) - width / 2) < 0.06 * width:
            return "center"
        return min(spreads, key=lambda key: spreads[key])
    if abs(centres[0] - width / 2) < 0.06 * width:
        return "center"
    return "left" if centres[0] < width / 2 else "right"


def _rotation(look: LineLook) -> float:
    along = look.quad[1] - look.quad[0]
    angle = float(np.degrees(np.arctan2(along[1], along[0])))
    return round(angle, 1) if abs(angle) > 0.1 else 0.0


def _rgb(color: PixelColor) -> Color:
    blue, green, red = (round(float(value)) for value in color)
    return (red, green, blue)
