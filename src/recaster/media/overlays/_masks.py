"""Where burned-in text stands in each frame of a clip, as masks: block by block, through movement, pops and typing.

A block's letters are found once in a few frames in which it is complete (`_letters`, `_slabs`) and then moved, scaled and
switched on and off with the block. What stands behind the text is the business of `_carry`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._agreement import BELOW, BESIDE, agreed, nearest_complete
from recaster.media.overlays._carry import Hidden
from recaster.media.overlays._change import SHIFT, Change, Pair, change_of
from recaster.media.overlays._fill import smooth_known
from recaster.media.overlays._glass import Glass, find_glass, seen_through
from recaster.media.overlays._letters import Letters, Samples, find_letters, line_places
from recaster.media.overlays._shapes import grown
from recaster.media.overlays._slabs import BEYOND_SLAB, Highlight, find_highlight, find_slab
from recaster.media.overlays._veil import Veil, find_pane, find_veil
from recaster.media.overlays.model import OverlayTrack
from recaster.media.overlays.timing import appearance
from recaster.media.video.model import Image, Mask, Shot

Rect = tuple[int, int, int, int]
"""left, top, right, bottom; right and bottom are outside."""

SAMPLES = 7
"""Crops of a block from which its letters are found."""
SEARCHED_FRAMES = 10
"""Frames before and after a block's stated life in which it is looked for: a line may be found late or left early."""
_PRESENT, _FAINT = 0.4, 0.06
"""Strength of a block from which on it is there; and by which it must exceed what is seen farther off to be fading."""


def support_of(track: OverlayTrack, size: tuple[int, int]) -> Rect:
    """The pixels that may belong to a block in its reference position, within a frame of (width, height).

    A reader may have missed a line of emoji below the words, or a few emoji at their ends.
    """
    width, height = size
    wide = BESIDE if track.style.slab is None else BEYOND_SLAB
    reach, beside, below = (share * track.style.size + 6 for share in (0.9, wide, BELOW))
    polygons = [line.polygon for line in track.lines] + [e.polygon for line in track.lines for e in line.emoji]
    xs = [p[0] for polygon in polygons for p in polygon] + [track.box[0], track.box[2]]
    ys = [p[1] for polygon in polygons for p in polygon] + [track.box[1], track.box[3]]
    left, top = max(0, math.floor(min(xs) - beside)), max(0, math.floor(min(ys) - reach))
    right, bottom = min(width, math.ceil(max(xs) + beside)), min(height, math.ceil(max(ys) + below))
    return min(left, width - 1), min(top, height - 1), max(right, left + 1), max(bottom, top + 1)


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a block adds to the picture behind it, by which it is known again while it is faint."""

    pixels: NDArray[np.intp]
    """Flat indices, on the grid of the block's mask, of ink and of what lies close around it."""
    added: NDArray[np.float32]
    """BGR that the block adds to them, less the mean of its part, shape (n, 3)."""
    parts: NDArray[np.intp]
    """Which letter each pixel belongs to; all 0 where they come together."""

    @classmethod
    def of(cls, median: Image, ink: Mask, letters: NDArray[np.int32]) -> Pattern:
        """The pattern of a block from its picture and its ink; `letters` as in `Block.parts`."""
        behind, _ = smooth_known(median.astype(np.float32), np.asarray(ink == 0, np.float32), 6.0)
        pixels = np.flatnonzero(grown(ink, 4) if not letters.size else letters >= 0)
        added = np.where((ink > 0)[..., None], median - behind, np.float32(0.0)).reshape(-1, 3)[pixels]
        parts = letters.ravel()[pixels].astype(np.intp) if letters.size else np.zeros(len(pixels), np.intp)
        counts = np.maximum(np.bincount(parts), 1)
        for channel in range(3):
            added[:, channel] -= (np.bincount(parts, weights=added[:, channel]) / counts)[parts]
        return cls(pixels, np.asarray(added, np.float32), parts)

    def parts_there(self, crop: Image) -> NDArray[np.bool_]:
        """Which letters a crop shows."""
        shown = np.bincount(self.parts, weights=(crop.reshape(-1, 3)[self.pixels] * self.added).sum(axis=1))
        power = np.bincount(self.parts, weights=(self.added * self.added).sum(axis=1))
        return np.asarray(shown >= _PRESENT * np.maximum(power, 1.0), np.bool_)

    def strength(self, crop: Image) -> float:
        """How much of the block a crop shows: the slope of its regression on the pattern. 0 where nothing is known."""
        power = float((self.added * self.added).sum())
        if power < 1.0:
            return 0.0
        return float((crop.reshape(-1, 3)[self.pixels] * self.added).sum()) / power


@dataclass(slots=True)
class Block:
    """One block of text and its masks in the reference position."""

    track: OverlayTrack
    left: int
    top: int
    ink: Mask
    """Letters with all that is drawn with them, and the slab."""
    parts: NDArray[np.int32]
    """For typed text: which letter each pixel of `ink` belongs to, -1 outside; empty otherwise."""
    highlight: Highlight | None
    veil: Veil | None
    glass: Glass | None
    pattern: Pattern
    strengths: dict[int, float] = field(default_factory=dict)
    """For frames just outside the stated life: how strongly the block shows, 0 to about 1."""
    boxes: dict[int, Mask] = field(default_factory=dict)
    """Per frame, the box behind the word that is being said, packed to bits."""
    typed: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    """Per frame, which letters of typed text are there."""

    def shows(self, index: int) -> bool:
        """Whether the block is, or may be, on the screen."""
        first, last = self.track.first_frame, self.track.last_frame
        if first <= index <= last:
            return True
        before = index < first
        beside = index == (first - 1 if before else last + 1) and index in self.strengths
        if beside and (self.track.entry if before else self.track.exit).kind in ("fade", "pop"):
            return True
        # What is seen farthest off, where the block is surely gone, is what the scene alone gives.
        outermost = first - SEARCHED_FRAMES if before else last + SEARCHED_FRAMES
        alone = self.strengths.get(outermost)
        least = _PRESENT if alone is None or alone >= _PRESENT else max(0.0, alone) + _FAINT
        return all(
            self.strengths.get(near, -1.0) >= least
            for near in (range(index, first) if before else range(last + 1, index + 1))
        )

    def offset(self, index: int) -> tuple[int, int]:
        """Shift of the masks in a frame."""
        dx, dy = self.track.offset_at(index)
        return round(dx), round(dy)

    def mask(self, index: int) -> tuple[int, int, Mask]:
        """Left, top and mask of the block in a frame."""
        mask = self.ink
        there = self.typed.get(index)
        if there is not None:
            mask = np.where(np.concatenate([there, [False]])[self.parts], mask, np.uint8(0))
            # The outline of a letter reaches into the place of its neighbour.
            mask = grown(mask, 0.15 * self.track.style.size) & self.ink
        box = self.boxes.get(index)
        if box is not None:
            mask = mask | np.unpackbits(box, count=mask.size).reshape(mask.shape) * np.uint8(255)
        scales = _pop_scales(self.track, index)
        if scales:
            mask = _scaled(mask, scales)
        dx, dy = self.offset(index)
        return self.left + dx, self.top + dy, mask

    def lifts(self, index: int) -> float:
        """How strong the block's see-through slab is in a frame, 0–1; 0 where it has none that can be taken off."""
        look = None if self.veil is None else appearance(self.track, index)
        return 0.0 if look is None or _pop_scales(self.track, index) else look.alpha

    def look(self, index: int, image: Image) -> None:
        """Learn from a frame what changes within the block's life, and whether it shows just outside of it."""
        first, last = self.track.first_frame, self.track.last_frame
        if first <= index <= last:
            if self.highlight is not None:
                found = self.highlight.mask(self._crop(index, image))
                if found.any():
                    self.boxes[index] = np.packbits(found > 0)
            if self.parts.size:
                self.typed[index] = self.pattern.parts_there(self._crop(index, image))
        elif first - SEARCHED_FRAMES <= index <= last + SEARCHED_FRAMES:
            self.strengths[index] = self.pattern.strength(self._crop(index, image))

    def _crop(self, index: int, image: Image) -> Image:
        return crop_of(image, (self.left, self.top), self.ink.shape, self.offset(index))


def crop_of(image: Image, corner: tuple[int, int], shape: tuple[int, ...], offset: tuple[int, int]) -> Image:
    """A crop that begins at `corner` + `offset`; edge pixels are repeated where it leaves the frame."""
    height, width = image.shape[:2]
    left, top = corner[0] + offset[0], corner[1] + offset[1]
    if left >= 0 and top >= 0 and left + shape[1] <= width and top + shape[0] <= height:
        return np.ascontiguousarray(image[top : top + shape[0], left : left + shape[1]])
    rows = np.clip(np.arange(top, top + shape[0]), 0, height - 1)
    columns = np.clip(np.arange(left, left + shape[1]), 0, width - 1)
    return image[rows][:, columns]


def _pop_scales(track: OverlayTrack, index: int) -> set[float]:
    """Sizes, as parts of the full one, that a popping block may have in a frame; empty where it has the full one."""
    scales = set()
    for near in (index - 1, index, index + 1):
        look = appearance(track, near)
        if look is not None:
            scales.add(round(look.scale, 3))
    return scales if min(scales, default=1.0) < 1.0 else set()


def _scaled(mask: Mask, scales: set[float]) -> Mask:
    """Where a block can be while it has one of the sizes about its centre."""
    height, width = mask.shape
    out = np.zeros_like(mask)
    for scale in scales:
        move = np.array([[scale, 0, (1 - scale) * width / 2], [0, scale, (1 - scale) * height / 2]], np.float64)
        out |= np.asarray(cv2.warpAffine(mask, move, (width, height), flags=cv2.INTER_NEAREST), np.uint8)
    return grown(out, 1)


class ClipMasks:
    """The masks of all blocks of one clip. First `collect` sees every frame, then `learn` those that are restored."""

    def __init__(self, size: tuple[int, int], shots: tuple[Shot, ...], tracks: tuple[OverlayTrack, ...]) -> None:
        self._size = size
        self._shots = shots
        self._tracks = tracks
        self._wanted = {track.id: _sample_frames(track) for track in tracks}
        self._samples: dict[str, list[Image]] = {track.id: [] for track in tracks}
        self._bare_frames = {track.id: self._frames_without(track) for track in tracks}
        self._bare: dict[tuple[str, int], Image] = {}
        self.blocks: list[Block] = []

    def collect(self, index: int, image: Image) -> None:
        """Take crops of the blocks that stand complete in this frame."""
        for track in self._tracks:
            wanted, bare = self._wanted[track.id], self._bare_frames[track.id]
            if track.id not in self._samples or not (index in wanted or index in bare):
                continue
            left, top, right, bottom = support_of(track, self._size)
            # A frame without the block is looked at where the block stands in its nearest complete frame.
            dx, dy = (round(v) for v in track.offset_at(min(max(index, wanted[0]), wanted[-1])))
            if index in wanted:
                self._samples[track.id].append(
                    crop_of(image, (left, top), (bottom - top, right - left), (dx, dy)).copy()
                )
            else:
                at = (left - SHIFT, top - SHIFT)
                shape = (bottom - top + 2 * SHIFT, right - left + 2 * SHIFT)
                self._bare[track.id, index] = crop_of(image, at, shape, (dx, dy)).copy()
            if index >= max([wanted[-1], *(frame for frame in bare if frame is not None)]):
                self._finish(track)

    def _frames_without(self, track: OverlayTrack) -> tuple[int | None, int | None]:
        """The frames of its shots just before and just after a block's life; stated lives are exact to a frame or two."""

        def first_of(start: int, frames: tuple[int, ...]) -> int | None:
            return next((frame for frame in frames if frame >= 0 and self.same_shot(start, frame)), None)

        first, last = track.first_frame, track.last_frame
        return first_of(first, (first - 2, first - 1)), first_of(last, (last + 2, last + 1))

    def _change(self, track: OverlayTrack, samples: Samples) -> Change | None:
        inside = line_places(track, samples, 0.0, 0.0)
        wanted = self._wanted[track.id]
        pairs = []
        for bare in self._bare_frames[track.id]:
            crop = None if bare is None else self._bare.pop((track.id, bare), None)
            if bare is None or crop is None:
                continue
            after = bare > wanted[-1]
            number = (-1 if after else 0) if track.offsets else nearest_complete(samples, inside, backward=after)
            full, picture = wanted[number], samples.pictures[number]
            known = np.full(samples.shape, 255, np.uint8)
            dx, dy = (round(v) for v in track.offset_at(full))
            for other in self._tracks:
                for frame in (bare, full):
                    if other is track or not other.first_frame - 1 <= frame <= other.last_frame + 1:
                        continue
                    ox, oy = other.offset_at(frame)
                    x, y = ox - dx - samples.left, oy - dy - samples.top
                    left, top, right, bottom = other.box
                    rows = slice(max(0, round(top + y) - 6), max(0, round(bottom + y) + 6))
                    known[rows, max(0, round(left + x) - 6) : max(0, round(right + x) + 6)] = 0
            pairs.append(Pair(picture, crop, known))
        return change_of(pairs, inside, samples.restless, track.style.size)

    def finish(self) -> None:
        """The clip has ended: make masks of blocks that should have lasted longer."""
        for track in self._tracks:
            self._finish(track)

    def _finish(self, track: OverlayTrack) -> None:
        pictures = self._samples.pop(track.id, [])
        if not pictures:
            return
        left, top, _, _ = support_of(track, self._size)
        samples = Samples.of(pictures, left, top)
        change = self._change(track, samples)
        pane = find_pane(track, samples)
        track = track if pane is None else pane.track
        letters = find_letters(track, samples, change)
        if pane is not None:
            letters = Letters(letters.core, letters.ink | pane.marks)
        slab = find_slab(track, samples, letters) if pane is None else grown(pane.mask, 3)
        veil = find_veil(track, samples, slab, letters.ink)
        ink = letters.ink | slab if change is None else agreed(track, samples, letters, slab, change)
        highlight = find_highlight(track, samples)
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        if not len(rows) and highlight is None:
            return
        part = np.s_[:, :] if highlight is not None else np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        y0, x0 = (0, 0) if highlight is not None else (int(rows[0]), int(columns[0]))
        mask = np.ascontiguousarray(ink[part])
        parts = _letter_parts(track, letters.core[part], mask)
        if veil is not None:
            veil = replace(veil, mask=np.ascontiguousarray(veil.mask[part]))
        glass = find_glass(track, samples, letters)
        if glass is not None:
            glass = glass.cut(part)
        pattern = Pattern.of(np.ascontiguousarray(samples.median[part]), mask, parts)
        self.blocks.append(Block(track, left + x0, top + y0, mask, parts, highlight, veil, glass, pattern))

    def learn(self, index: int, image: Image) -> None:
        """Look at a frame for what changes within the lives of the blocks."""
        for block in self.blocks:
            nearest = min(max(index, block.track.first_frame), block.track.last_frame)
            if abs(index - nearest) <= SEARCHED_FRAMES and self.same_shot(index, nearest):
                block.look(index, image)

    def same_shot(self, one: int, other: int) -> bool:
        """Whether no cut lies between two frames."""
        return any(one in shot and other in shot for shot in self._shots) or one == other

    def showing(self, index: int) -> list[Block]:
        """The blocks on the screen."""
        return [block for block in self.blocks if block.shows(index)]

    def mask(self, blocks: list[Block], index: int, rect: Rect, *, seen_through: bool = True) -> Mask:
        """255 where any of `blocks` covers the picture, on the grid of `rect`.

        Without `seen_through`, the see-through slabs that `unveiled` takes off are left out.
        """
        out = np.zeros((rect[3] - rect[1], rect[2] - rect[0]), np.uint8)
        for block in blocks:
            left, top, mask = block.mask(index)
            if not seen_through and block.veil is not None and block.lifts(index):
                mask = mask & ~block.veil.mask
            _paste(out, mask, left - rect[0], top - rect[1])
        return out

    def unveiled(self, index: int, picture: Image, rect: Rect) -> Image:
        """A crop of a frame at `rect` with the see-through slabs taken off."""
        for block in self.showing(index):
            strength = block.lifts(index)
            if block.veil is not None and strength:
                covered = np.zeros(picture.shape[:2], np.uint8)
                dx, dy = block.offset(index)
                _paste(covered, block.veil.mask, block.left + dx - rect[0], block.top + dy - rect[1])
                picture = block.veil.lifted(picture, covered, strength)
        return picture

    def seen_through(self, index: int, picture: Image, text: Mask, rect: Rect, hidden: Hidden) -> Hidden:
        """Estimates for a crop at `rect` corrected by what shines through see-through letters that stand at rest."""
        glasses = []
        for block in self.showing(index):
            look = None if block.glass is None else appearance(block.track, index)
            if block.glass is not None and look is not None and look.alpha == 1.0 and look.scale == 1.0:
                dx, dy = block.offset(index)
                glasses.append((block.glass, block.left + dx - rect[0], block.top + dy - rect[1]))
        return seen_through(glasses, picture, text, hidden) if glasses else hidden

    def extent(self, block: Block) -> Rect:
        """Everything a block can cover during its life."""
        height, width = block.ink.shape
        xs, ys = zip(*(block.track.offsets or ((0.0, 0.0),)), strict=True)
        return (
            max(0, block.left + round(min(xs))),
            max(0, block.top + round(min(ys))),
            min(self._size[0], block.left + width + round(max(xs))),
            min(self._size[1], block.top + height + round(max(ys))),
        )


def _paste(out: Mask, mask: Mask, left: int, top: int) -> None:
    height, width = mask.shape
    x0, y0, x1, y1 = max(0, left), max(0, top), min(out.shape[1], left + width), min(out.shape[0], top + height)
    if x1 > x0 and y1 > y0:
        out[y0:y1, x0:x1] |= mask[y0 - top : y1 - top, x0 - left : x1 - left]


def _sample_frames(track: OverlayTrack) -> list[int]:
    """Frames in which the block stands complete, spread over its life."""
    first = min(track.first_frame + track.entry.frames, track.last_frame)
    last = max(first, track.last_frame - track.exit.frames)
    if track.entry.kind == "typed":
        first = max(first, last - 2)
    return sorted({round(first + (last - first) * i / (SAMPLES - 1)) for i in range(SAMPLES)})


def _letter_parts(track: OverlayTrack, core: Mask, ink: Mask) -> NDArray[np.int32]:
    """For typed text, the letter that each pixel of `ink` is nearest to."""
    if "typed" not in (track.entry.kind, track.exit.kind) or not core.any():
        return np.zeros((0, 0), np.int32)
    count, labels = cv2.connectedComponents(core, connectivity=8)
    if count < 2:
        return np.zeros((0, 0), np.int32)
    _, nearest = cv2.distanceTransformWithLabels(
        np.asarray(core == 0, np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(nearest.max()) + 1, np.int32)
    of_label[nearest[core > 0]] = labels[core > 0]
    return np.asarray(np.where(ink > 0, of_label[nearest] - 1, -1), np.int32)
