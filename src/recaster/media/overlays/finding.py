"""First pass over a clip: where is text, and which sightings are the same line.

All text is looked for in sampled frames; between them a cheap watch on hard edges that newly stand still (`edges`) calls the
detector for a strip of the picture, so that a word that flashes by in four frames is not missed. Sightings are linked by
their contours: a line that stays, that grows while it is typed, or that moves is one line. Exact ends, words and
looks are found elsewhere; text of the scene is still among the lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from recaster.media.overlays.contours import Contours, contours_of, find_offset
from recaster.media.overlays.edges import EdgeWatch, Region
from recaster.media.overlays.geometry import axes, bounds, covered, line_height, line_width, overlap, shifted
from recaster.media.overlays.model import Box
from recaster.media.overlays.networks import DetectedLine, LineDetector, Quad, ReadText
from recaster.media.video.model import Frame, Image, Luma

MOST_CROPS = 6
_MOST_APPEARANCES = 4
_NEARER = 1.45
"""How much larger the picture is in which a small cluster of new edges is looked at once more."""
_SAME = 0.62
"""Likeness from which contours are the same line's."""
_UNCHANGED = 0.85
"""Likeness from which a line stands as it did."""
_WELL_KNOWN, _AS_WIDE = 4, 1.02
"""Sightings, of one width, from which the place of a line needs no further ones."""
_GROWN, _SAME_AND_GROWN = 1.12, 0.8
"""From how much more width a line has grown, and the likeness of its beginning that it then needs."""
_MOVED, _MOVED_AND_CHANGED = 0.62, 0.76
"""Likeness from which a line at another place is the same one, as wide as before or not."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A line as it was seen in one frame, with its pixels."""

    frame: int
    quad: Quad
    crop: Image
    """BGR, the line with a margin around it."""
    origin: tuple[int, int]
    """Left top pixel of the crop in the frame."""
    offset: tuple[int, int]
    """How far the line has moved since its first sighting."""

    @property
    def luma(self) -> Luma:
        """The crop's brightness."""
        return np.asarray(cv2.cvtColor(self.crop, cv2.COLOR_BGR2GRAY), np.uint8)


@dataclass(slots=True, eq=False)
class FoundLine:
    """One line of text over the frames in which it was sighted."""

    first: int
    last: int
    places: list[tuple[int, Quad, tuple[int, int]]]
    """Frame, corners as found, and how far the line has moved since the first."""
    appearances: list[Contours]
    """Patterns at the first sighting's place: more than one where words change their look."""
    kept: list[Sighting] = field(default_factory=list)
    in_frames: list[Sighting] = field(default_factory=list)
    """Sightings in single frames, for their colours, where `kept` holds what stands still in several."""
    moves: bool = False
    grows: bool = False
    """Whether it was seen smaller at the same place a few frames before."""
    certain: bool = True
    """Whether its words could be read at first sight."""
    clear: Image | None = None
    """What stands still at its place, with raised contrast, where it was found so; as large as the crop that is kept."""
    at_sight: ReadText | None = None
    """What its widest crop says, once that was read; positions along `quad`."""
    _corners: tuple[int, Quad] | None = None

    @property
    def quad(self) -> Quad:
        """Corners at the first sighting's place: the median of the widest sightings, with the ends that reach farthest.

        The detector loses a last letter now and then; it hardly ever adds one.
        """
        if self._corners is None or self._corners[0] != len(self.places):
            self._corners = (len(self.places), self._measured_corners())
        return self._corners[1]

    def _measured_corners(self) -> Quad:
        quads = [shifted(quad, -dx, -dy) for _, quad, (dx, dy) in self.places]
        widest = max(line_width(quad) for quad in quads)
        full = np.stack([quad for quad in quads if line_width(quad) >= 0.93 * widest])
        middle = np.median(full, axis=0).astype(np.float32)
        corner, along, _ = axes(middle)
        places = (full - corner) @ along
        limit = 0.5 * line_height(middle)
        before = min(limit, max(0.0, -float(places.min())))
        after = min(limit, max(0.0, float(places.max()) - line_width(middle)))
        steps = np.stack([-before * along, after * along, after * along, -before * along])
        return (middle + steps).astype(np.float32)

    @property
    def is_settled(self) -> bool:
        """Whether it stands still and was seen often enough, and last at one width: what is typed on grows."""
        if self.moves or len(self.places) < _WELL_KNOWN:
            return False
        widths = [line_width(quad) for _, quad, _ in self.places[-_WELL_KNOWN:]]
        return max(widths) <= _AS_WIDE * min(widths)

    @property
    def offset(self) -> tuple[int, int]:
        """How far the line had moved when it was last found."""
        return self.places[-1][2]

    def best_likeness(self, luma: Luma) -> float:
        """How alike the picture at the line's last place is to any of its appearances."""
        return max(one.presence(luma, offset=self.offset).likeness for one in self.appearances)


def _overlaps(one: DetectedLine, other: DetectedLine) -> bool:
    return overlap(bounds(one.quad), bounds(other.quad)) > 0.2


class LineFinder:
    """Is fed every frame of a clip in order; afterwards `lines` holds what was found."""

    def __init__(
        self,
        detector: LineDetector,
        *,
        every: int,
        side: int,
        fine_side: int,
        shot_starts: Iterable[int],
        last_frame: int,
    ) -> None:
        self._detector = detector
        self._every = every
        self._side = side
        self._fine_side = fine_side
        self._shot_starts = frozenset(shot_starts)
        self._last_frame = last_frame
        self._watch = EdgeWatch()
        self._alive: list[FoundLine] = []
        self.lines: list[FoundLine] = []

    def feed(self, frame: Frame, luma: Luma, half: Luma) -> None:
        """Take the next frame and its brightness, whole and at half its size."""
        height, width = luma.shape
        regions = self._watch.feed(half, frame.index, (height, width))
        whole = (0, 0, width, height)
        if self._is_sampled(frame.index):
            side = self._fine_side if frame.index in self._shot_starts else self._side
            seen = self._detector.detect(frame.image, min(1.0, side / max(height, width)))
            self._link(frame, luma, seen, whole)
            self._watch.looked(whole, frame.index, [bounds(one.quad) for one in seen], called=False)
            return
        for called in regions:
            if self._shows_nothing_new(called, luma, frame.index):
                continue
            found, region = self._look_at(frame.image, called)
            for small in self._watch.left_over(called, [bounds(one.quad) for one in found]):
                # In a large region the detector passes over a short word now and then that it sees from near.
                near, _ = self._look_at(frame.image, small, _NEARER)
                found += [one for one in near if not any(_overlaps(one, other) for other in found)]
            self._link(frame, luma, found, region)
            self._watch.looked(region, frame.index, [bounds(one.quad) for one in found])

    def _shows_nothing_new(self, region: Region, luma: Luma, index: int) -> bool:
        """Whether what calls for a look is in lines that stand there as they did; these count as seen."""
        near = []
        for line in self._alive:
            place = bounds(shifted(line.quad, *line.offset))
            lasts = index - line.last <= 2 * self._every + 1
            if lasts and overlap(place, region) > 0 and line.is_settled:
                near.append((line, place))
        if not near or self._watch.calls_beyond(region, [place for _, place in near]):
            return False
        unchanged = [(line, place) for line, place in near if line.best_likeness(luma) >= _UNCHANGED]
        if self._watch.calls_beyond(region, [place for _, place in unchanged]):
            return False
        for line, _ in unchanged:
            line.last = index
        self._watch.looked(region, index, [place for _, place in unchanged])
        return True

    def _is_sampled(self, index: int) -> bool:
        """Whether the whole frame is looked at: at even steps, where a shot begins, and at the end."""
        if index in self._shot_starts or index == self._last_frame:
            return True
        return index % self._every == 0 and self._last_frame - index > self._every // 3

    def _look_at(self, image: Image, region: Region, nearer: float = 1.0) -> tuple[list[DetectedLine], Region]:
        """Lines in a region of the picture; where its border cuts through one, it is made larger once.

        `nearer` is how much larger than usual the picture is that the detector works on.
        """
        height, width = image.shape[:2]
        scale = min(1.0, nearer * self._side / max(height, width))
        left, top, right, bottom = region
        for last in (False, True):
            seen = self._detector.detect(image[top:bottom, left:right], scale)
            found = [DetectedLine(shifted(one.quad, left, top), one.score) for one in seen]
            boxes = [bounds(one.quad) for one in found]
            above = [top > 0 and box[1] <= top + 2 for box in boxes]
            below = [bottom < height and box[3] >= bottom - 2 for box in boxes]
            before = [left > 0 and box[0] <= left + 2 for box in boxes]
            after = [right < width and box[2] >= right - 2 for box in boxes]
            cut = [any(sides) for sides in zip(above, below, before, after, strict=True)]
            if last or not any(cut):
                break
            top, bottom = max(0, top - 80 * any(above)), min(height, bottom + 80 * any(below))
            left, right = (0, width) if any(before) or any(after) else (left, right)
        whole = [one for one, is_cut in zip(found, cut, strict=True) if not is_cut]
        return whole, (left, top, right, bottom)

    def _link(self, frame: Frame, luma: Luma, found: Iterable[DetectedLine], region: Region) -> None:
        """Give the sightings of one look at a region of a frame to lines, known or new."""
        self._alive = [line for line in self._alive if frame.index - line.last <= 2 * self._every + 1]
        likeness = {
            id(line): line.best_likeness(luma)
            for line in self._alive
            if covered(bounds(shifted(line.quad, *line.offset)), region) > 0.97
        }
        taken: set[int] = set()
        for detected in sorted(found, key=lambda one: -line_width(one.quad) * line_height(one.quad)):
            if not self._stays(frame, luma, detected, likeness, taken) and not self._moved(
                frame, luma, detected, likeness, taken
            ):
                self._begin(frame, luma, detected, taken)
        for line in self._alive:
            if id(line) not in taken and likeness.get(id(line), -1.0) >= 0.6:
                line.last = frame.index

    def _stays(
        self, frame: Frame, luma: Luma, detected: DetectedLine, likeness: dict[int, float], taken: set[int]
    ) -> bool:
        box = bounds(detected.quad)
        best: FoundLine | None = None
        best_overlap = 0.2
        for line in self._alive:
            if likeness.get(id(line), -1.0) < _SAME:
                continue
            place = bounds(shifted(line.quad, *line.offset))
            if id(line) in taken:
                if covered(box, place) > 0.7:
                    return True
                continue
            wider = line_width(detected.quad) > _GROWN * line_width(line.quad)
            if wider and likeness[id(line)] < _SAME_AND_GROWN:
                continue  # what is typed on keeps its beginning; other words in the same place do not
            shared = max(overlap(box, place), 0.6 * covered(box, place), 0.6 * covered(place, box))
            if shared > best_overlap:
                best, best_overlap = line, shared
        if best is None:
            return False
        taken.add(id(best))
        best.last = frame.index
        known = shifted(best.quad, *best.offset)
        if line_width(detected.quad) < 0.8 * line_width(known):
            return True  # a part of it: the detector lost the rest
        grown = line_width(detected.quad) > _GROWN * line_width(known)
        self._sight(best, frame, detected.quad, best.offset)
        fresh = contours_of([(luma, (-best.offset[0], -best.offset[1]))], best.quad)
        if fresh is not None and grown:
            best.appearances = [fresh]
        elif fresh is not None and likeness[id(best)] < _UNCHANGED and len(best.appearances) < _MOST_APPEARANCES:
            best.appearances.append(fresh)
        return True

    def _moved(
        self, frame: Frame, luma: Luma, detected: DetectedLine, likeness: dict[int, float], taken: set[int]
    ) -> bool:
        x, y = detected.quad.mean(axis=0)
        best: tuple[float, FoundLine, tuple[int, int]] | None = None
        for line in self._alive:
            if id(line) in taken or likeness.get(id(line), 0.0) >= _SAME:
                continue
            latest = line.kept[-1]
            if not 0.8 < line_height(latest.quad) / line_height(detected.quad) < 1.25:
                continue
            if not 0.85 < line_width(latest.quad) / line_width(detected.quad) < 1.18:
                continue
            lx, ly = latest.quad.mean(axis=0)
            if (
                abs(x - lx) > 0.25 * luma.shape[1]
                or abs(y - ly) > 1.6 * line_height(detected.quad) + 0.03 * luma.shape[0]
            ):
                continue
            left, top, right, bottom = (round(value) for value in bounds(latest.quad))
            patch = latest.luma[
                max(0, top - latest.origin[1]) : bottom - latest.origin[1],
                max(0, left - latest.origin[0]) : right - latest.origin[0],
            ]
            expected = (round(left + x - lx), round(top + y - ly))
            reach = (max(12, round(abs(line_width(latest.quad) - line_width(detected.quad)) / 2) + 12), 10)
            place, alike = find_offset(patch, luma, expected, reach)
            ratio = line_width(latest.quad) / line_width(detected.quad)
            least = _MOVED if 0.94 < ratio < 1.06 else _MOVED_AND_CHANGED
            if alike > max(least, best[0] if best else 0.0):
                dx, dy = latest.offset
                best = (
                    alike,
                    line,
                    (place[0] - max(left, latest.origin[0]) + dx, place[1] - max(top, latest.origin[1]) + dy),
                )
        if best is None:
            return False
        _, line, offset = best
        taken.add(id(line))
        line.moves = line.moves or max(abs(offset[0] - line.offset[0]), abs(offset[1] - line.offset[1])) > 2
        line.last = frame.index
        self._sight(line, frame, detected.quad, offset)
        return True

    def _begin(self, frame: Frame, luma: Luma, detected: DetectedLine, taken: set[int]) -> None:
        pattern = contours_of([(luma, (0, 0))], detected.quad)
        if pattern is None:
            return
        line = FoundLine(frame.index, frame.index, [], [pattern])
        self._sight(line, frame, detected.quad, (0, 0))
        taken.add(id(line))
        self._alive.append(line)
        self.lines.append(line)

    def _sight(self, line: FoundLine, frame: Frame, quad: Quad, offset: tuple[int, int]) -> None:
        line.places.append((frame.index, quad, offset))
        left, top, right, bottom = bounds(quad)
        margin = max(8.0, 0.9 * line_height(quad))
        height, width = frame.image.shape[:2]
        aside = 2.0 * margin  # room for emoji that the detector left out
        x0, y0 = max(0, int(left - aside)), max(0, int(top - margin))
        below = max(margin, 2.0 * line_height(quad))  # and for a line of them below the words
        x1, y1 = min(width, int(right + aside)), min(height, int(bottom + below))
        line.kept.append(Sighting(frame.index, quad, frame.image[y0:y1, x0:x1].copy(), (x0, y0), offset))
        if len(line.kept) > MOST_CROPS:
            line.kept.remove(_least_telling(line.kept))


def settle(line: FoundLine) -> None:
    """Take a line for a still one that only moved while it came or went: growing to its size shifts its letters.

    Its place is then the one at which it rests, and the sightings from elsewhere are given up.
    """
    if not line.moves:
        return
    offsets = np.array([offset for *_, offset in line.places])
    rest = np.median(offsets, axis=0)
    still = np.abs(offsets - rest).max(axis=1) <= 2
    frames = np.array([frame for frame, *_ in line.places])[still]
    whole = len(frames) >= 3 and bool(still[np.argmax(still) : len(still) - np.argmax(still[::-1])].all())
    if not whole or frames[-1] - frames[0] < 0.6 * (line.last - line.first):
        return
    dx, dy = round(float(rest[0])), round(float(rest[1]))

    def moved(offset: tuple[int, int]) -> tuple[int, int]:
        return (offset[0] - dx, offset[1] - dy)

    kept = [replace(one, offset=(0, 0)) for one in line.kept if max(map(abs, moved(one.offset))) <= 2]
    if not kept:
        return
    line.places = [(frame, quad, (0, 0)) for (frame, quad, _), stays in zip(line.places, still, strict=True) if stays]
    line.kept = kept
    line.first, line.moves = int(frames[0]), False
    fresh = contours_of([(one.luma, one.origin) for one in kept], line.quad)
    line.appearances = [fresh] if fresh is not None else line.appearances


def _least_telling(kept: list[Sighting]) -> Sighting:
    """The sighting that can best be spared: a narrower one, else the one with the nearest neighbours in time."""
    widths = [line_width(one.quad) for one in kept]
    narrow = min(range(len(kept) - 1), key=lambda index: widths[index])
    if widths[narrow] < 0.93 * max(widths):
        return kept[narrow]
    gaps = [kept[index + 1].frame - kept[index - 1].frame for index in range(1, len(kept) - 1)]
    return kept[1 + int(np.argmin(gaps))]


def box_of(line: FoundLine) -> Box:
    """The upright box around all places of a line."""
    boxes = [bounds(quad) for _, quad, _ in line.places]
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
