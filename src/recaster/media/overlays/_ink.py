"""Which pixels of a frame belong to a block of burned-in text: letters, outline, shadow, emoji, slab.

Works from the actual pixels of a few frames, guided by the block's place and look; where they do not agree with the
look, the whole line is taken: too large a mask costs a little background, too small a one leaves ghosts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import emoji
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.model import OverlayLine, OverlayRole, OverlayTrack, Slab
from recaster.media.video.model import Image, Mask


@dataclass(frozen=True, slots=True)
class InkMask:
    """The mask of one block in its reference position."""

    left: int
    top: int
    mask: Mask
    """255 where a pixel is to be replaced."""


def support_box(track: OverlayTrack, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels that may belong to the block, clipped to the frame.

    Sideways there is room for emoji that the reader left out, up and down for a slab it did not see.
    """
    aside, upright = 2.6 * track.style.size + 6, 0.8 * track.style.size + 6
    xs = [p[0] for line in track.lines for p in line.polygon] + [track.box[0], track.box[2]]
    ys = [p[1] for line in track.lines for p in line.polygon] + [track.box[1], track.box[3]]
    return (
        max(0, math.floor(min(xs) - aside)),
        max(0, math.floor(min(ys) - upright)),
        min(width, math.ceil(max(xs) + aside)),
        min(height, math.ceil(max(ys) + upright)),
    )


def _grow(mask: Mask, radius: float) -> Mask:
    r = max(0, math.ceil(radius))
    if r == 0:
        return mask
    return np.asarray(cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * r + 1, 2 * r + 1))), np.uint8)


def _line_frame(line: OverlayLine) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Top left corner, vector along the line, vector down the line."""
    p = np.array(line.polygon, np.float64)
    return p[0], (p[1] - p[0] + p[2] - p[3]) / 2, (p[3] - p[0] + p[2] - p[1]) / 2


def _band(line: OverlayLine, before: float, after: float, above: float, below: float) -> NDArray[np.float64]:
    """The line's polygon grown by pixels along and across its own direction."""
    corner, along, down = _line_frame(line)
    u = along / max(1e-6, float(np.linalg.norm(along)))
    v = down / max(1e-6, float(np.linalg.norm(down)))
    a, b = corner - before * u - above * v, corner + along + after * u - above * v
    return np.array([a, b, b + down + (above + below) * v, a + down + (above + below) * v])


def _paint(shape: tuple[int, int], polygon: NDArray[np.float64], left: int, top: int) -> Mask:
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, np.round(polygon - [left, top]).astype(np.int32), 255)
    return mask


def _emoji_counts(text: str) -> tuple[int, int]:
    """How many emoji a line starts and ends with."""
    found = emoji.emoji_list(text)
    start = end = 0
    position = 0
    for item in found:
        if text[position : item["match_start"]].strip():
            break
        start, position = start + 1, item["match_end"]
    position = len(text)
    for item in reversed(found):
        if text[item["match_end"] : position].strip():
            break
        end, position = end + 1, item["match_start"]
    return start, end


def _alike(samples: list[Image], color_rgb: tuple[int, int, int], tolerance: float, share: float) -> Mask:
    """Pixels that are near a colour in at least `share` of the samples."""
    color = np.array(color_rgb[::-1], np.int16)
    votes = np.zeros(samples[0].shape[:2], np.float32)
    for sample in samples:
        votes += np.abs(sample.astype(np.int16) - color).max(axis=2) <= tolerance
    return np.asarray((votes >= share * len(samples) - 1e-6) * 255, np.uint8)


def _with_holes_filled(mask: Mask, largest: float) -> Mask:
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    out = mask.copy()
    if hierarchy is None:
        return out
    for contour, family in zip(contours, hierarchy[0], strict=True):
        if family[3] >= 0 and cv2.contourArea(contour) < largest:
            cv2.drawContours(out, [contour], -1, 255, cv2.FILLED)
    return out


def _touching(mask: Mask, seed: Mask) -> Mask:
    """The connected parts of `mask` that touch `seed`."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    keep = np.zeros(count, bool)
    keep[np.unique(labels[(seed > 0) & (mask > 0)])] = True
    keep[0] = False
    return np.asarray(keep[labels] * 255, np.uint8)


def find_ink(track: OverlayTrack, samples: list[Image], left: int, top: int) -> InkMask:
    """The mask of a block from crops of it (all with the same top left corner, the block complete in each)."""
    shape = samples[0].shape[:2]
    style = track.style
    size = style.size
    stroke = style.stroke.width if style.stroke else 0.0
    shadow = style.shadow
    fringe = max(3.0, min(5.0, 0.09 * size))  # soft edges, chroma subsampling and ringing around the letters
    whole = np.zeros(shape, np.uint8)
    # The words of a caption may take another colour one after the other: each has the style's own in some samples only.
    fill = _alike(samples, style.fill, 72, 0.2 if track.role is OverlayRole.CAPTION else 0.6)
    outline = _alike(samples, style.stroke.color, 60, 0.6) if style.stroke else np.zeros(shape, np.uint8)
    for line in track.lines:
        start, end = _emoji_counts(line.text)
        core = _paint(shape, _band(line, 0, 0, 0, 0), left, top)
        around = _paint(shape, _band(line, *(4 * (stroke + 0.12 * size,))), left, top)
        area = max(1, int((core > 0).sum()))
        letters = np.asarray(cv2.bitwise_and(fill, around), np.uint8)
        share = float((cv2.bitwise_and(fill, core) > 0).sum()) / area
        # Letters cover 15–60 % of their line; anything else says that the colour is not the letters' alone.
        typed = "typed" in (track.entry.kind, track.exit.kind)
        if share < 0.08 or share > 0.72 or typed:
            ink = _paint(shape, _band(line, *(4 * (stroke + 0.1 * size,))), left, top)
        else:
            ink = _grow(letters, 1)
            if style.stroke:
                near = _grow(ink, stroke + 2)
                rim = np.asarray(cv2.bitwise_and(outline, near), np.uint8)
                ink = np.asarray(cv2.bitwise_or(ink, _touching(rim, ink)), np.uint8)
                ink = _grow(ink, 0.5 * stroke)
                ink = _with_holes_filled(np.asarray(ink, np.uint8), 0.06 * size * size)
        if shadow is not None:
            moved = cv2.warpAffine(ink, np.array([[1, 0, shadow.dx], [0, 1, shadow.dy]], np.float64), shape[::-1])
            ink = np.asarray(cv2.bitwise_or(ink, _grow(np.asarray(moved, np.uint8), 0.7 * shadow.blur)), np.uint8)
        whole |= np.asarray(ink, np.uint8)
        if start or end:
            whole |= _emoji_mask(track, line, start, end, shape, left, top)
    whole = _grow(whole, fringe)
    if style.slab is not None and style.slab.opacity <= 0.9:
        whole |= _translucent_slab(track, style.slab, shape, left, top)
    else:
        color = style.slab.color if style.slab is not None else _flat_surround(track, samples, fill, left, top)
        if color is not None:
            whole |= _opaque_slab(track, samples, color, shape, left, top)
    return _trimmed(InkMask(left, top, whole))


def _trimmed(ink: InkMask) -> InkMask:
    rows, columns = np.flatnonzero(ink.mask.any(axis=1)), np.flatnonzero(ink.mask.any(axis=0))
    if not len(rows):
        return InkMask(ink.left, ink.top, ink.mask[:1, :1])
    top, left = int(rows[0]), int(columns[0])
    cut = ink.mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return InkMask(ink.left + left, ink.top + top, np.ascontiguousarray(cut))


def _emoji_mask(
    track: OverlayTrack, line: OverlayLine, start: int, end: int, shape: tuple[int, int], left: int, top: int
) -> Mask:
    """Room of the emoji at a line's ends: where a reader's polygon leaves them out, they stand beside it."""
    size = track.style.size
    first = _band(line, start * 1.2 * size + 0.3 * size if start else 0, 0, 0.2 * size, 0.2 * size)
    last = _band(line, 0, end * 1.2 * size + 0.35 * size if end else 0, 0.2 * size, 0.2 * size)
    corner, along, down = _line_frame(line)
    text_part = _paint(shape, np.array([corner, corner + along, corner + along + down, corner + down]), left, top)
    grown = _paint(shape, first, left, top) | _paint(shape, last, left, top)
    limit = np.zeros(shape, np.uint8)
    cv2.rectangle(
        limit,
        (round(track.box[0]) - left - 3, round(track.box[1]) - top - 3),
        (round(track.box[2]) - left + 3, round(track.box[3]) - top + 3),
        255,
        cv2.FILLED,
    )
    beside = cv2.bitwise_and(grown, cv2.bitwise_not(text_part))
    inside_box = cv2.bitwise_and(beside, limit)
    # A box that ends with the letters was made without the emoji: then it says nothing about them.
    room = inside_box if int((inside_box > 0).sum()) > 0.5 * size * size * (start + end) else beside
    return np.asarray(room, np.uint8)


def _flat_surround(
    track: OverlayTrack, samples: list[Image], fill: Mask, left: int, top: int
) -> tuple[int, int, int] | None:
    """The one colour (red, green, blue) that lies around the letters in all samples; None where there is no such colour.

    It finds a slab that the block's description lacks: a black slab around white letters is easily taken for an outline.
    An outline ends close to the letters, so only pixels farther out are asked.
    """
    stroke = track.style.stroke.width if track.style.stroke else 0.0
    letters, inside = _letters_and_their_rows(track, fill, left, top)
    beyond = (inside > 0) & (_grow(letters, stroke + 3.0) == 0)
    if int(beyond.sum()) < 0.02 * int((inside > 0).sum()) or int(beyond.sum()) < 12:
        return None
    pixels = np.concatenate([sample[beyond] for sample in samples]).astype(np.int16)
    color = np.median(pixels, axis=0)
    share = float((np.abs(pixels - color).max(axis=1) <= 36).mean())
    return (int(color[2]), int(color[1]), int(color[0])) if share > 0.8 else None


def _letters_and_their_rows(track: OverlayTrack, fill: Mask, left: int, top: int) -> tuple[Mask, Mask]:
    """Letter pixels, and the tight rectangle around the letters of each line: a reader's polygon reaches farther."""
    letters, inside = np.zeros(fill.shape, np.uint8), np.zeros(fill.shape, np.uint8)
    for line in track.lines:
        own = cv2.bitwise_and(fill, _paint(fill.shape, _band(line, 0, 0, 0, 0), left, top))
        letters |= np.asarray(own, np.uint8)
        corner, along, down = _line_frame(line)
        u, v = along / max(1e-6, float(np.linalg.norm(along))), down / max(1e-6, float(np.linalg.norm(down)))
        ys, xs = np.nonzero(own)
        if len(xs) < 12:
            continue
        points = np.stack([xs + left, ys + top], axis=1) - corner
        (u0, u1), (v0, v1) = np.percentile(points @ u, [1, 99]), np.percentile(points @ v, [2, 98])
        rectangle = np.array([corner + a * u + b * v for a, b in ((u0, v0), (u1, v0), (u1, v1), (u0, v1))])
        inside |= _paint(fill.shape, rectangle, left, top)
    return letters, inside


def _slab_lines(track: OverlayTrack, shape: tuple[int, int], left: int, top: int) -> Mask:
    """The lines grown by the slab's padding as far as it is known, with room for emoji at their ends."""
    slab = track.style.slab
    pad_x, pad_y = (slab.padding_x, slab.padding_y) if slab else (0.0, 0.0)
    out = np.zeros(shape, np.uint8)
    for line in track.lines:
        start, end = _emoji_counts(line.text)
        reach = 1.15 * track.style.size
        out |= _paint(shape, _band(line, pad_x + start * reach, pad_x + end * reach, pad_y, pad_y), left, top)
    return out


def _opaque_slab(
    track: OverlayTrack, samples: list[Image], color: tuple[int, int, int], shape: tuple[int, int], left: int, top: int
) -> Mask:
    """The slab as the picture shows it: its colour, connected to the lines, with everything that stands on it."""
    size = track.style.size
    fill = _alike(samples, track.style.fill, 72, 0.6)
    letters, inside = _letters_and_their_rows(track, fill, left, top)
    near = np.zeros(shape, np.uint8)
    for line in track.lines:
        near |= _paint(shape, _band(line, 2.6 * size, 2.6 * size, 0.7 * size, 0.7 * size), left, top)
    alike = np.asarray(cv2.bitwise_and(_alike(samples, color, 40, 0.8), near), np.uint8)
    body = cv2.bitwise_or(_touching(alike, inside), letters)
    reach = 2 * max(1, round(0.08 * size)) + 1
    body = cv2.morphologyEx(body, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    body = _with_holes_filled(np.asarray(body, np.uint8), 4 * size * size)
    if track.style.slab is None:
        # A slab nobody described must look like one: it ends before the room that is searched, and is full.
        rim = cv2.bitwise_and(near, cv2.bitwise_not(cv2.erode(near, np.ones((5, 5), np.uint8))))
        points = cv2.findNonZero(body)
        hull = float(cv2.contourArea(cv2.convexHull(points))) if points is not None else 0.0
        floods = float((cv2.bitwise_and(body, rim) > 0).sum()) > 0.02 * float((rim > 0).sum())
        if floods or float((body > 0).sum()) < 0.8 * hull:
            return np.zeros(shape, np.uint8)
    if int((body > 0).sum()) < 1.2 * int((inside > 0).sum()) or not inside.any():
        body |= _slab_lines(track, shape, left, top)  # the colour is not what the description says: trust its place
    return _grow(body, 4)


def _translucent_slab(track: OverlayTrack, slab: Slab, shape: tuple[int, int], left: int, top: int) -> Mask:
    """The slab as its description has it: what shines through has no colour to look for."""
    if slab.per_line:
        return _grow(_slab_lines(track, shape, left, top), 4)
    box = np.zeros(shape, np.uint8)
    corners = [round(v) for v in track.box]
    cv2.rectangle(box, (corners[0] - left, corners[1] - top), (corners[2] - left, corners[3] - top), 255, cv2.FILLED)
    return _grow(box, 4)


@dataclass(frozen=True, slots=True)
class Highlight:
    """A coloured box behind the word that is being said, as captions have it."""

    color: tuple[int, int, int]
    """Blue, green, red."""
    band: Mask
    """Where the box can be, on the grid of the block's support."""

    def mask(self, crop: Image) -> Mask:
        """Pixels of the box and of the word on it in one frame's crop."""
        near = np.abs(crop.astype(np.int16) - np.array(self.color, np.int16)).max(axis=2) <= 48
        body = cv2.bitwise_and(np.asarray(near * 255, np.uint8), self.band)
        body = cv2.morphologyEx(body, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        if int((body > 0).sum()) < 30:
            return np.zeros_like(self.band)
        closed = cv2.morphologyEx(np.asarray(body, np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        return _grow(_with_holes_filled(np.asarray(closed, np.uint8), float(self.band.size)), 4)


def find_highlight(track: OverlayTrack, samples: list[Image], left: int, top: int) -> Highlight | None:
    """The box colour of a caption whose active word is boxed: one vivid colour, elsewhere in each sample."""
    if track.role is not OverlayRole.CAPTION or track.style.slab is not None:
        return None
    shape = samples[0].shape[:2]
    band = np.zeros(shape, np.uint8)
    for line in track.lines:
        band |= _paint(shape, _band(line, *(4 * (0.22 * track.style.size,))), left, top)
    best: tuple[int, tuple[int, int, int]] | None = None
    for sample in samples:
        pixels = sample[band > 0]
        vivid = pixels[(pixels.max(axis=1).astype(int) - pixels.min(axis=1)) > 90]
        if not len(vivid):
            continue
        bins, counts = np.unique(vivid // 24, axis=0, return_counts=True)
        top_bin = bins[int(counts.argmax())]
        flat = vivid[(np.abs(vivid.astype(int) // 24 - top_bin) <= 1).all(axis=1)]
        count = len(flat)
        if best is None or count > best[0]:
            color = np.median(flat, axis=0)
            best = (count, (int(color[0]), int(color[1]), int(color[2])))
    if best is None or best[0] < 0.5 * track.style.size**2:
        return None
    found = Highlight(best[1], band)
    covers = np.mean([found.mask(sample) > 0 for sample in samples], axis=0)
    # Scenery of that colour stays where it is; the box does not (unless there is only one word).
    several = sum(len(line.text.split()) for line in track.lines) > 1
    return None if several and float(covers.max()) > 0.95 and len(samples) > 1 else found
