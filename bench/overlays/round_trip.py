"""The round trip of burned-in text: erase a block, draw its own words again as the reader described it, compare.

It says which block of a clip is which true one, in which frame they are compared, and what the comparison is. The truth is
only asked where and when to look; words, look, place and timing of what is drawn are the reader's alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import emoji
import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from truth_items import FONTS, Item

from recaster.media.overlays import (
    Appearance,
    DoesNotFit,
    NewText,
    OverlayTrack,
    SkiaTextDrawer,
    TemporalEraser,
    TextLayout,
    TextStyle,
    appearance,
    lay_out_in_place,
)
from recaster.media.overlays.layout import LaidLine
from recaster.media.quality import ssim
from recaster.media.video import read_frames
from recaster.media.video.model import Image

_LEAST_FILL = 25
"""Pixels that have to be the fill's in both pictures; with fewer the stated colours are compared."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A block as it was burned in and as it was read, and the frame in which both show as full as they ever do."""

    true: OverlayTrack
    read: OverlayTrack
    frame: int


@dataclass(frozen=True, slots=True)
class Trip:
    """The round trip of one block."""

    name: str
    recipe: str
    shipped_font: bool
    """Whether it was burned in with a font that the product ships; others come back in the most similar one."""
    ssim: float
    delta_e: float
    """Of the fill, pixel by pixel, against the encoded source."""
    delta_e_of_truth: float
    """The same of the true colours, drawn where and as large as the described ones: what the reader cannot help."""
    delta_e_of_look: float
    """Of the fill, pixel by pixel, between the described and the true colours, both drawn on the same erased frame."""
    size_error: float
    draw_ms: float


def pairs(item: Item, true: tuple[OverlayTrack, ...], read: tuple[OverlayTrack, ...]) -> list[Pair]:
    """Which read block is which true one: alike in words, on the screen at the same time, in the same place."""
    scored = []
    for t in true:
        for r in read:
            together = _frames_together(t, r)
            if not together or not r.text.strip():
                continue
            alike = Levenshtein.normalized_similarity(_letters(t.text), _letters(r.text))
            middle = together[len(together) // 2]
            if alike >= 0.6 and _overlap(t, r, middle) > 0.2:
                scored.append((alike, len(together), t.id, r.id, Pair(t, r, _fullest(t, together))))
    found: list[Pair] = []
    for *_, pair in sorted(scored, key=lambda one: one[:4], reverse=True):
        if all(pair.true.id != other.true.id and pair.read.id != other.read.id for other in found):
            found.append(pair)
    return sorted(found, key=lambda pair: pair.frame)


def _letters(text: str) -> str:
    return "".join(emoji.replace_emoji(text, "").split()).casefold()


def _frames_together(one: OverlayTrack, other: OverlayTrack) -> range:
    return range(max(one.first_frame, other.first_frame), min(one.last_frame, other.last_frame) + 1)


def _overlap(one: OverlayTrack, other: OverlayTrack, frame: int) -> float:
    boxes = []
    for track in (one, other):
        dx, dy = track.offset_at(frame)
        boxes.append((track.box[0] + dx, track.box[1] + dy, track.box[2] + dx, track.box[3] + dy))
    (a, b, c, d), (e, f, g, h) = boxes
    shared = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
    return shared / max(1e-6, (c - a) * (d - b) + (g - e) * (h - f) - shared)


def _fullest(track: OverlayTrack, frames: range) -> int:
    """The frame in which most of a block shows, the middle one of several."""

    def fullness(frame: int) -> float:
        look = appearance(track, frame)
        return 0.0 if look is None else look.alpha * look.scale * look.shown

    most = max(fullness(frame) for frame in frames)
    full = [frame for frame in frames if fullness(frame) >= most - 1e-6]
    return full[len(full) // 2]


def erased_frames(item: Item, tracks: tuple[OverlayTrack, ...], wanted: set[int]) -> dict[int, tuple[Image, Image]]:
    """Frames of a clip as they are and without the text of `tracks`, by index."""
    eraser = TemporalEraser()
    eraser.prepare(item.burned, item.facts(), item.shots(), tracks)
    found = {}
    for frame in read_frames(item.burned):
        erased = eraser.erase(frame)
        if frame.index in wanted:
            found[frame.index] = (frame.image, erased)
    return found


def round_trips(
    item: Item, found: list[Pair], frames: dict[int, tuple[Image, Image]], pictures: Path | None = None
) -> list[Trip]:
    """Draw the words of read blocks again and compare with the source."""
    drawer = SkiaTextDrawer()
    facts = item.facts()
    trips = []
    fonts = {entry["id"]: entry["style"]["font"] for entry in item.truth["tracks"]}
    for pair in found:
        track = pair.read
        name = f"{item.name}/{pair.true.id}"
        shipped = fonts[pair.true.id] in FONTS
        try:
            layouts = lay_out_in_place(facts, drawer, {track.id: NewText(track, track.text, track.style)})
        except DoesNotFit:
            trips.append(Trip(name, item.recipe, shipped, 0.0, 100.0, 0.0, 100.0, 1.0, 0.0))
            continue
        layout = layouts[track.id]
        source, erased = frames[pair.frame]
        look = appearance(track, pair.frame) or Appearance()
        drawer.draw(erased, layout, look)
        began = time.process_time()
        drawn = drawer.draw(erased, layout, look)
        spent = 1000 * (time.process_time() - began)
        part = _part(pair.true, pair.frame, facts.width, facts.height)
        in_truth = replace(layout, style=_in_true_colors(layout.style, pair.true.style))
        wanted = drawer.draw(erased, in_truth, look)
        trips.append(
            Trip(
                name,
                item.recipe,
                shipped,
                ssim(np.ascontiguousarray(drawn[part]), np.ascontiguousarray(source[part])),
                _fill_difference(pair, source, drawn, layout, look, drawer),
                _fill_difference(pair, source, wanted, in_truth, look, drawer),
                _fill_difference(pair, wanted, drawn, layout, look, drawer),
                _size_error(pair, layout, drawer, shipped),
                spent,
            )
        )
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            shown = np.vstack([source[part], drawn[part], erased[part]])
            cv2.imwrite(str(pictures / f"{item.name}-{pair.true.id}.png"), shown)
    return trips


def _part(track: OverlayTrack, index: int, width: int, height: int) -> tuple[slice, slice]:
    dx, dy = track.offset_at(index)
    left, top, right, bottom = track.box
    return (
        slice(max(0, int(top + dy) - 4), min(height, int(bottom + dy) + 5)),
        slice(max(0, int(left + dx) - 4), min(width, int(right + dx) + 5)),
    )


def _coverage(layout: TextLayout, look: Appearance, drawer: SkiaTextDrawer) -> NDArray[np.float32]:
    """How much of each pixel of a frame the drawn block covers, 0–1."""
    width, height = layout.frame_size
    dark = np.zeros((height, width, 3), np.uint8)
    on_dark = drawer.draw(dark, layout, look).astype(np.float32)
    on_light = drawer.draw(dark + 255, layout, look).astype(np.float32)
    return np.asarray(1.0 - (on_light - on_dark).max(axis=2) / 255.0, np.float32)


def _fill_difference(
    pair: Pair, source: Image, drawn: Image, layout: TextLayout, look: Appearance, drawer: SkiaTextDrawer
) -> float:
    """Mean CIE76 colour difference over the pixels that are the fill's in both pictures, the active word left out.

    In the drawn picture these are the pixels that letters without any decoration cover whole; in the source those that
    are nearer to the true fill than the half way to any other colour of the style. Behind see-through letters a pixel
    has no colour of its own, so there the drawn place alone counts.
    """
    plain = replace(layout.style, stroke=None, shadow=None, slab=None, opacity=1.0, active_fill=None, active_slab=None)
    letters = replace(layout, style=plain, lines=_worded(layout))
    inner = _coverage(letters, replace(look, alpha=1.0, spoken=None), drawer) > 0.97
    true = pair.true.style
    picture = source.astype(np.int16)
    if true.opacity > 0.95:
        away = np.abs(picture - np.array(true.fill[::-1], np.int16)).max(axis=2)
        inner &= away < 90
    if layout.style.active_fill is not None or layout.style.active_slab is not None:
        inner &= np.abs(drawn.astype(np.int16) - np.array(layout.style.fill[::-1], np.int16)).max(axis=2) < 24
    if int(inner.sum()) < _LEAST_FILL:
        one, other = (np.array(style.fill, np.float32)[None, None] / 255 for style in (true, layout.style))
        return float(np.linalg.norm(cv2.cvtColor(one, cv2.COLOR_RGB2LAB) - cv2.cvtColor(other, cv2.COLOR_RGB2LAB)))
    one, other = (cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[inner] for p in (source, drawn))
    return float(np.linalg.norm(one - other, axis=1).mean())


def _in_true_colors(style: TextStyle, true: TextStyle) -> TextStyle:
    """A described style with the true colours and opacities of everything."""
    slab = None
    if style.slab is not None and true.slab is not None:
        slab = replace(style.slab, color=true.slab.color, opacity=true.slab.opacity)
    return replace(
        style,
        fill=true.fill,
        opacity=true.opacity,
        stroke=true.stroke,
        shadow=true.shadow,
        slab=slab,
        active_fill=true.active_fill,
        active_slab=true.active_slab,
    )


def _worded(layout: TextLayout) -> tuple[LaidLine, ...]:
    """The lines without their emoji, which in these clips stand at their ends."""
    return tuple(replace(line, text=emoji.replace_emoji(line.text, "").rstrip()) for line in layout.lines)


def _size_error(pair: Pair, layout: TextLayout, drawer: SkiaTextDrawer, shipped: bool) -> float:
    """Difference of the widest line's length with its outline, drawn against burned in, as a share of the latter.

    The truth's corners hold side bearings as well, which on a word of two letters is a tenth of its length: the true words in
    their true look are drawn and measured alike where that is possible.
    """
    drawn = _longest(layout, drawer)
    burned = max(float(np.linalg.norm(np.subtract(line.polygon[1], line.polygon[0]))) for line in pair.true.lines)
    if shipped:
        width, height = layout.frame_size
        upright = replace(pair.true.style, slab=None, rotation=0.0)
        whole = drawer.layout(pair.true.text, upright, (0.0, 0.0, width, height), (width, height), max_lines=9)
        burned = _longest(whole, drawer) / whole.scale
    return abs(drawn - burned) / burned


def _longest(layout: TextLayout, drawer: SkiaTextDrawer) -> float:
    """Length of the longest line's letters with their outline, in pixels."""
    turned = replace(layout.style, shadow=None, slab=None, opacity=1.0, rotation=0.0, active_slab=None)
    upright = replace(layout, style=turned)
    longest = 0.0
    for line in _worded(layout):
        if line.text:
            columns = np.flatnonzero(
                (_coverage(replace(upright, lines=(line,)), Appearance(), drawer) > 0.3).any(axis=0)
            )
            longest = max(longest, float(len(columns) and columns[-1] + 1 - columns[0]))
    return longest
