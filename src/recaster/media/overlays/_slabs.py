"""Which pixels are a slab behind a block of burned-in text, or the box behind the word that is being said."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._letters import Letters, Samples, line_places
from recaster.media.overlays._shapes import grown, line_axes, painted, touching, with_holes_filled
from recaster.media.overlays.model import Color, OverlayLine, OverlayTrack, Slab
from recaster.media.video.model import Image, Mask

BEYOND_SLAB = 3.0
"""How far beyond its lines, in sizes of its letters, a slab may go on under emoji that nobody described."""
OPAQUE = 0.97
"""From this opacity on nothing of the background shows through a slab."""


def find_slab(track: OverlayTrack, samples: Samples, letters: Letters) -> Mask:
    """The slab of a block, with 2 pixels of soft edge; empty where there is none."""
    slab = track.style.slab
    if slab is not None and slab.opacity * track.style.opacity <= 0.9:
        return grown(_described(track, slab, samples), 3)
    color = slab.color if slab is not None else _flat_surround(track, samples, letters)
    if color is None:
        return np.zeros(samples.shape, np.uint8)
    return _opaque(track, samples, letters, color)


def _described(track: OverlayTrack, slab: Slab, samples: Samples) -> Mask:
    """The slab where its description has it, each side moved to the edge that the picture shows nearby.

    What shines through has no colour to look for, but the edge of a slab is one step along its whole length.
    """
    out = np.zeros(samples.shape, np.uint8)
    for line in track.lines:
        box = _LineBox.of(line, slab.padding_x, slab.padding_y)
        # Farther inward stand the letters, whose tops and feet are steps as well.
        inward = 0.5 * min(slab.padding_x, slab.padding_y)
        outward = max(3, round(0.3 * track.style.size))
        out |= painted(samples.shape, box.fitted(samples, round(inward), outward).corners(), samples.left, samples.top)
    if not slab.per_line and track.style.rotation == 0:
        corners = [round(v) for v in track.box]
        cv2.rectangle(
            out,
            (corners[0] - samples.left, corners[1] - samples.top),
            (corners[2] - samples.left, corners[3] - samples.top),
            255,
            cv2.FILLED,
        )
    return out


@dataclass(frozen=True, slots=True)
class _LineBox:
    """A turned rectangle: unit vectors along and down a line, and how far the box reaches along both."""

    along: NDArray[np.float64]
    down: NDArray[np.float64]
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, line: OverlayLine, padding_x: float, padding_y: float) -> _LineBox:
        """The box of a line with its emoji, grown by the padding."""
        p = np.array(line.polygon, np.float64)
        along, down = line_axes(line)
        points = np.concatenate([p, *(np.array(one.polygon, np.float64) for one in line.emoji)])
        return cls(
            along,
            down,
            float((points @ along).min()) - padding_x,
            float((p @ down).min()) - padding_y,
            float((points @ along).max()) + padding_x,
            float((p @ down).max()) + padding_y,
        )

    def corners(self) -> NDArray[np.float64]:
        """Top left, top right, bottom right, bottom left."""
        uv = np.array(
            [[self.left, self.top], [self.right, self.top], [self.right, self.bottom], [self.left, self.bottom]]
        )
        return np.asarray(uv @ np.array([self.along, self.down]), np.float64)

    def fitted(self, samples: Samples, inward: int, outward: int) -> _LineBox:
        """The box with each side moved, by so many pixels at most, to the strongest step along its whole length."""
        width, height = self.right - self.left, self.bottom - self.top
        if width < 8 or height < 8:
            return self
        us = np.linspace(self.left + 0.12 * width, self.right - 0.12 * width, max(8, int(width / 2)))
        vs = np.linspace(self.top + 0.25 * height, self.bottom - 0.25 * height, max(8, int(height / 2)))

        def best(at: float, way: float, line: NDArray[np.float64], upright: bool) -> float:
            shifts = np.arange(-inward, outward + 1)
            steps = []
            for shift in shifts:
                sides = []
                for beside in (-2.0, 2.0):
                    other = np.full(len(line), at + way * (shift + beside))
                    u, v = (other, line) if upright else (line, other)
                    sides.append(_colors_at(samples, np.stack([u, v], axis=1) @ np.array([self.along, self.down])))
                steps.append(float(np.abs((sides[1] - sides[0]).mean(axis=0)).max()))
            strongest = int(np.argmax(np.array(steps) - 0.15 * np.abs(shifts)))
            return at + way * float(shifts[strongest]) if steps[strongest] > 8.0 else at

        return _LineBox(
            self.along,
            self.down,
            best(self.left, -1.0, vs, upright=True),
            best(self.top, -1.0, us, upright=False),
            best(self.right, 1.0, vs, upright=True),
            best(self.bottom, 1.0, us, upright=False),
        )


def _colors_at(samples: Samples, points: NDArray[np.float64]) -> NDArray[np.float32]:
    xs = np.asarray(points[:, 0] - samples.left, np.float32)[None]
    ys = np.asarray(points[:, 1] - samples.top, np.float32)[None]
    found = cv2.remap(samples.median, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found[0], np.float32)


def _alike(samples: Samples, color: Color, tolerance: float, share: float) -> Mask:
    """Pixels that are near a colour in at least `share` of the samples."""
    wanted = np.array(color[::-1], np.int16)
    votes = np.zeros(samples.shape, np.float32)
    for picture in samples.pictures:
        votes += np.abs(picture.astype(np.int16) - wanted).max(axis=2) <= tolerance
    return np.asarray((votes >= share * len(samples.pictures) - 1e-6) * 255, np.uint8)


def _flat_surround(track: OverlayTrack, samples: Samples, letters: Letters) -> Color | None:
    """The one colour that lies around the letters in all samples; None where there is no such colour.

    It finds a slab that the block's description lacks: a black slab around white letters is easily taken for an outline.
    An outline ends close to the letters, so only pixels farther out, but between the lines' ends, are asked.
    """
    stroke = track.style.stroke.width if track.style.stroke else 0.0
    inside = line_places(track, samples, 0.0, 0.0)
    beyond = (inside > 0) & (grown(letters.core, stroke + 4.0) == 0)
    if int(beyond.sum()) < 0.02 * int((inside > 0).sum()) or int(beyond.sum()) < 12:
        return None
    pixels = np.concatenate([picture[beyond] for picture in samples.pictures]).astype(np.int16)
    color = np.median(pixels, axis=0)
    share = float((np.abs(pixels - color).max(axis=1) <= 24).mean())
    return (int(color[2]), int(color[1]), int(color[0])) if share > 0.85 else None


def _opaque(track: OverlayTrack, samples: Samples, letters: Letters, color: Color) -> Mask:
    """The slab as the picture shows it: its colour, connected to the lines, with everything that stands on it."""
    size = track.style.size
    slab = track.style.slab
    inside = line_places(track, samples, 0.0, 0.0)
    near = line_places(track, samples, 1.2 * size, 0.7 * size)
    alike = np.asarray(_alike(samples, color, 40, 0.8) & near, np.uint8)
    body = touching(alike, inside) | letters.core
    reach = 2 * max(1, round(0.08 * size)) + 1
    body = np.asarray(cv2.morphologyEx(body, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8)), np.uint8)
    body = with_holes_filled(body, 4 * size * size)
    if slab is None:
        # A slab nobody described must look like one: it ends before the room that is searched, and is full.
        rim = near & ~np.asarray(cv2.erode(near, np.ones((5, 5), np.uint8)), np.uint8)
        points = cv2.findNonZero(body)
        hull = float(cv2.contourArea(cv2.convexHull(points))) if points is not None else 0.0
        floods = float(((body & rim) > 0).sum()) > 0.02 * float((rim > 0).sum())
        if floods or float((body > 0).sum()) < 0.8 * hull or float((body > 0).sum()) < 1.2 * float((inside > 0).sum()):
            return np.zeros(samples.shape, np.uint8)
        return grown(body, 3)
    limit = grown(_described(track, slab, samples), 0.35 * size)
    more = _slab_of_emoji(track, samples, color, letters, limit)
    body &= limit  # what has the slab's colour beyond it is dark clothing or a wall
    if int((body > 0).sum()) < 1.1 * int((inside > 0).sum()):
        body |= _described(track, slab, samples)  # the colour is not what the description says: trust its place
    return grown(with_holes_filled(body | more, 4 * size * size), 3)  # emoji between both are holes


def _slab_of_emoji(track: OverlayTrack, samples: Samples, color: Color, letters: Letters, limit: Mask) -> Mask:
    """Where the slab goes on under emoji that the description lacks: straight-edged pieces that join it and end soon."""
    size = track.style.size
    room = line_places(track, samples, BEYOND_SLAB * size, 1.7 * size)
    joined = touching(np.asarray(_alike(samples, color, 40, 0.8) & room, np.uint8), letters.core | limit)
    whole = with_holes_filled(joined | limit, 2.0 * size * size)
    pieces = whole & ~limit
    pieces = np.asarray(cv2.morphologyEx(pieces, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), np.uint8)
    count, labels = cv2.connectedComponents(pieces)
    out = np.zeros(samples.shape, np.uint8)
    rim = np.ones(samples.shape, bool)
    rim[2:-2, 2:-2] = room[2:-2, 2:-2] == 0
    rim = grown(np.asarray(rim * 255, np.uint8), 2) > 0
    for label in range(1, count):
        piece = np.asarray((labels == label) * 255, np.uint8)
        points = cv2.findNonZero(piece)
        _, (width, height), _ = cv2.minAreaRect(points)
        full = len(points) > 0.85 * (width + 1.0) * (height + 1.0)
        if (
            full
            and min(width, height) > 0.5 * size
            and max(width, height) < 4.0 * size
            and not (rim & (piece > 0)).any()
        ):
            out |= piece
    return out


@dataclass(frozen=True, slots=True)
class Highlight:
    """A coloured box behind the word that is being said, as captions have it."""

    color: tuple[int, int, int]
    """Blue, green, red."""
    room: Mask
    """Where the box can be, on the grid of the block's samples."""

    def mask(self, crop: Image) -> Mask:
        """Pixels of the box and of the word on it in one frame's crop."""
        near = np.abs(crop.astype(np.int16) - np.array(self.color, np.int16)).max(axis=2) <= 56
        body = np.asarray(near * 255, np.uint8) & self.room
        body = np.asarray(cv2.morphologyEx(body, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        points = cv2.findNonZero(body)
        if points is None or len(points) < 30:
            return np.zeros_like(self.room)
        left, top, width, height = cv2.boundingRect(points)
        out = np.zeros_like(self.room)
        if len(points) > 0.3 * width * height:  # one full box
            cv2.rectangle(out, (left, top), (left + width - 1, top + height - 1), 255, cv2.FILLED)
        else:
            closed = np.asarray(cv2.morphologyEx(body, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)), np.uint8)
            out = with_holes_filled(closed, float(self.room.size))
        return grown(out, 3)


def find_highlight(track: OverlayTrack, samples: Samples) -> Highlight | None:
    """The box behind a caption's active word, as the style names it; None where it has none."""
    color = track.style.active_slab
    if color is None:
        return None
    size = track.style.size
    room = line_places(track, samples, 0.4 * size, 0.6 * size)
    return Highlight((color[2], color[1], color[0]), room)
