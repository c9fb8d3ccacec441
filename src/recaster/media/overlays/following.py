"""Second pass over a clip: every found line is followed from frame to frame by its contours.

The result is exact: the first and the last frame of each life of a line (a line that blinks has several), where it is in
each frame, how it comes and goes, and its mean picture, in which the moving scene behind it has blurred away. The pass
streams: it holds a few small crops around the beginning of each line and nothing of the rest. Words and looks are none
of its business, and it finds nothing that the first pass has not sighted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.contours import Contours, Presence, contours_of, find_offset
from recaster.media.overlays.edges import halved
from recaster.media.overlays.ends import LONGEST_FADE, Series, end_of, typed_on
from recaster.media.overlays.finding import FoundLine, box_of
from recaster.media.overlays.geometry import bounds, line_height, line_width, longer
from recaster.media.overlays.model import Animation
from recaster.media.overlays.networks import Quad
from recaster.media.overlays.still import StillLayer
from recaster.media.video.model import Image, Luma

_ABSENT = 0.3
"""Strength below which a line is not there, in the middle of its life."""
_LOOKS = (0.2, 0.8)
"""At which shares of its sighted life a still line's pixels are kept once more for reading."""
_AFTERWARDS = 18
"""Frames for which a line is followed after it was last seen strong: its fade, and a few to know the scene without it."""
_SEARCHED = 6.0
"""How far beyond both ends of a line that was badly read its mean picture reaches, in heights of the line."""
_TYPED_ON = 2.5
"""The same for a line that was seen to become longer."""
_LONGEST_ENTRY = 22
"""Frames before the first sighting whose pixels are kept to see a line grow."""
_LONGEST_POP = 12
_SCALES = (0.97, 0.94, 0.91, 0.88, 0.85, 0.82, 0.79, 0.76, 0.73, 0.7)


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """One appearance of a line on the screen, from its first to its last frame."""

    line: FoundLine
    quad: Quad
    """Corners at rest, at the place of the line's first sighting."""
    contours: Contours
    first: int
    last: int
    entry: Animation
    exit: Animation
    offsets: NDArray[np.int32]
    """Move against `quad` for each frame from `first` on, shape (frames, 2)."""
    mean: Luma
    """Mean brightness of the line at rest with a margin."""
    origin: tuple[int, int]
    """Left top pixel of `mean` and `still` in the frame."""
    still: Image | None
    """What stands still there, BGR grey with raised contrast; None for a line that moves or leaves no doubt."""
    looks: tuple[tuple[Luma, tuple[int, int]], ...]
    """The region of `mean` in a few single frames, each with the line's move in it."""
    end: Luma | None
    """The region of `mean` in the last frame in which the line stands; None for a line that moves."""
    strengths: Series
    """Strength per frame from `first` on."""
    drift: float
    """Median distance in pixels between where a still line is and where its contours fit best; 0 for a line that moves."""

    @property
    def moves(self) -> bool:
        """Whether the line changes its place."""
        return bool(np.ptp(self.offsets, axis=0).max() > 2) if len(self.offsets) else False


@dataclass(slots=True, eq=False)
class _Follow:
    """What is noted about one line while the frames go by."""

    line: FoundLine
    quad: Quad
    appearances: list[Contours]
    start: int
    stop: int
    region: tuple[int, int, int, int]
    known: dict[int, tuple[int, int]]
    strengths: dict[int, float] = field(default_factory=dict)
    slices: dict[int, Series] = field(default_factory=dict)
    offsets: dict[int, tuple[int, int]] = field(default_factory=dict)
    head: dict[int, Luma] = field(default_factory=dict)
    total: NDArray[np.float32] | None = None
    counted: int = 0
    layer: StillLayer | None = None
    faint: bool = False
    looks: dict[int, tuple[Luma, tuple[int, int]]] = field(default_factory=dict)
    end: Luma | None = None
    patch: Luma | None = None
    around: Luma | None = None
    drifts: list[float] = field(default_factory=list)
    closed: bool = False

    def mean(self) -> Luma:
        """Mean brightness of the region while the line stands."""
        if self.total is None or self.counted == 0:
            raise AssertionError("nothing was added up yet")
        return np.asarray(np.rint(self.total / self.counted), np.uint8)


class LineFollower:
    """Is fed the brightness of every frame of a clip in order; `lives` then tells the lines' lives."""

    def __init__(self, lines: list[FoundLine], *, every: int, frame_count: int, size: tuple[int, int]) -> None:
        self._every = every
        self._frame_count = frame_count
        self._size = size
        self._waiting = sorted(
            (one for line in lines if (one := self._prepare(line)) is not None), key=lambda one: -one.start
        )
        self._running: list[_Follow] = []
        self._lives: list[Life] = []

    def feed(self, index: int, luma: Luma) -> None:
        """Take the next frame, brightness at full size."""
        while self._waiting and self._waiting[-1].start <= index:
            self._running.append(self._waiting.pop())
        for one in self._running:
            self._look(one, index, luma)
            if one.closed:
                self._lives += _lives_of(one)
        self._running = [one for one in self._running if not one.closed]

    def lives(self) -> list[Life]:
        """All lives of all lines, in order of their first frame."""
        self._lives += [life for one in self._running for life in _lives_of(one)]
        self._running = []
        return sorted(self._lives, key=lambda life: (life.first, float(life.quad[:, 1].mean())))

    # ---- one line ----------------------------------------------------------------------------------------------------

    def _prepare(self, line: FoundLine) -> _Follow | None:
        quad = line.quad
        widest = max(line_width(one.quad) for one in line.kept)
        full = [one for one in line.kept if line_width(one.quad) >= 0.93 * widest]
        pictures = [(one.luma, (one.origin[0] - one.offset[0], one.origin[1] - one.offset[1])) for one in full]
        pattern = contours_of(pictures, quad)
        if pattern is None:
            return None
        more = [one for one in line.appearances if line_width(one.quad) >= 0.9 * line_width(quad)]
        reach = 0.9 * line_height(quad)
        box = box_of(line) if line.certain else bounds(longer(quad, _SEARCHED * line_height(quad)))
        if line.certain and min(line_width(one) for _, one, _ in line.places) < 0.8 * line_width(quad):
            box = bounds(longer(quad, _TYPED_ON * line_height(quad)))  # more may be typed on than any sighting shows
        wide = (max(reach, 0.14 * self._size[0]), max(reach, 0.05 * self._size[1])) if line.moves else (reach, reach)
        region = (
            max(0, int(box[0] - wide[0])),
            max(0, int(box[1] - wide[1])),
            min(self._size[0], int(box[2] + wide[0])),
            min(self._size[1], int(box[3] + wide[1])),
        )
        return _Follow(
            line,
            quad,
            [pattern, *more] if not line.moves else [pattern],
            max(0, line.first - self._every - LONGEST_FADE),
            min(self._frame_count - 1, line.last + _AFTERWARDS),
            region,
            {frame: offset for frame, _, offset in line.places},
            layer=None if line.certain or line.moves else StillLayer(),
            faint=pattern.is_faint and not line.moves,
        )

    def _look(self, one: _Follow, index: int, luma: Luma) -> None:
        left, top, right, bottom = one.region
        crop = luma[top:bottom, left:right]
        if index <= one.line.first:
            one.head[index] = crop.copy()
            if not one.line.moves:
                one.head.pop(index - _LONGEST_ENTRY, None)
        if one.line.moves:
            self._look_moving(one, index, crop)
        else:
            self._note(one, index, crop, (0, 0))
        if one.strengths.get(index, 0.0) > 0.7 and not one.line.moves:
            one.end = crop.copy()
        # As long as the line stands it is followed, whatever the first pass has sighted.
        if one.strengths.get(index, 0.0) > 0.5:
            one.stop = max(one.stop, index + _AFTERWARDS)
        one.closed = index >= min(one.stop, self._frame_count - 1)

    def _look_moving(self, one: _Follow, index: int, crop: Luma) -> None:
        if index < one.line.first:
            return
        if index == one.line.first:
            one.patch = _patch(one, crop)
            self._note(one, index, crop, (0, 0))
            self._look_back(one)
            return
        before = one.offsets.get(index - 1, (0, 0))
        self._note(one, index, crop, self._place(one, crop, _expected(one, index, before)))

    def _look_back(self, one: _Follow) -> None:
        offset, velocity = (0, 0), _first_velocity(one)
        for index in sorted(one.head, reverse=True):
            if index >= one.line.first:
                continue
            expected = (offset[0] - velocity[0], offset[1] - velocity[1])
            place = self._place(one, one.head[index], expected)
            self._note(one, index, one.head[index], place)
            velocity = (offset[0] - place[0], offset[1] - place[1]) if one.strengths[index] > 0.3 else velocity
            offset = place

    def _place(self, one: _Follow, crop: Luma, expected: tuple[int, int]) -> tuple[int, int]:
        if one.patch is None:
            return expected
        left, top = _patch_place(one)
        found, alike = find_offset(one.patch, crop, (left + expected[0], top + expected[1]), (10, 6))
        return (found[0] - left, found[1] - top) if alike > 0.4 else expected

    def _note(self, one: _Follow, index: int, crop: Luma, offset: tuple[int, int]) -> None:
        origin = (one.region[0], one.region[1])
        seen = [pattern.presence(crop, origin, offset) for pattern in one.appearances]
        best: Presence = max(seen, key=lambda presence: presence.strength)
        count = one.appearances[0].slice_count
        same = [presence.slices for presence in seen if len(presence.slices) == count]
        slices = np.max(np.stack(same), axis=0) if same else best.slices
        one.slices[index] = np.asarray(slices, np.float32)
        # Faint type drowns where the scene behind it is as bright as it is: what stands out elsewhere speaks for all.
        telling = np.sort(slices)[-max(1, -(-len(slices) // 3)) :] if one.faint else slices
        one.strengths[index] = max(best.strength, float(np.mean(telling)))
        one.offsets[index] = offset
        if one.line.first <= index <= one.line.last and one.strengths[index] > 0.7:
            self._add(one, index, crop, offset)

    def _add(self, one: _Follow, index: int, crop: Luma, offset: tuple[int, int]) -> None:
        if one.total is None:
            one.total = np.zeros(crop.shape, np.float32)
            one.around = crop.copy()
        if offset == (0, 0):
            cv2.accumulate(crop, one.total)
        else:
            matrix = np.array([[1, 0, -offset[0]], [0, 1, -offset[1]]], np.float64)
            one.total += cv2.warpAffine(crop, matrix, crop.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        one.counted += 1
        if one.layer is not None and one.counted % 2:
            one.layer.add(crop)
        span = one.line.last - one.line.first
        if not one.line.moves and index in {one.line.first + round(share * span) for share in _LOOKS}:
            one.looks[index] = (crop.copy(), offset)
        if index % 5 == 0 and not one.line.moves and one.around is not None:
            patch = _patch(one, one.around)
            left, top = _patch_place(one)
            found, alike = find_offset(patch, crop, (left, top), (4, 4))
            if alike > 0.5:
                one.drifts.append(float(np.hypot(found[0] - left, found[1] - top)))


def _patch_place(one: _Follow) -> tuple[int, int]:
    left, top, _, _ = bounds(one.quad)
    return max(0, round(left) - one.region[0]), max(0, round(top) - one.region[1])


def _patch(one: _Follow, crop: Luma) -> Luma:
    left, top = _patch_place(one)
    _, _, right, bottom = bounds(one.quad)
    return crop[top : round(bottom) - one.region[1], left : round(right) - one.region[0]].copy()


def _expected(one: _Follow, index: int, before: tuple[int, int]) -> tuple[int, int]:
    """Where a moving line should be: between two sightings on the way from one to the other, afterwards straight on."""
    if index in one.known:
        return one.known[index]
    later = [frame for frame in one.known if frame > index]
    if later:
        frame = min(later)
        share = 1.0 / (frame - index + 1)
        target = one.known[frame]
        return (round(before[0] + share * (target[0] - before[0])), round(before[1] + share * (target[1] - before[1])))
    earlier = one.offsets.get(index - 3)
    if earlier is None:
        return before
    return (round(before[0] + (before[0] - earlier[0]) / 2), round(before[1] + (before[1] - earlier[1]) / 2))


def _first_velocity(one: _Follow) -> tuple[int, int]:
    later = sorted(frame for frame in one.known if frame > one.line.first)
    if not later:
        return (0, 0)
    gap = later[0] - one.line.first
    return (round(one.known[later[0]][0] / gap), round(one.known[later[0]][1] / gap))


# ---- lives -----------------------------------------------------------------------------------------------------------


def _lives_of(one: _Follow) -> list[Life]:
    """Cut a line's series where it is gone for at least two frames, and find the exact ends of each piece."""
    if one.counted == 0 or one.total is None:
        return []
    frames = sorted(one.strengths)
    strengths = np.array([one.strengths[frame] for frame in frames], np.float32)
    first, last = frames.index(one.line.first), len(frames) - 1
    last = max(position for position, frame in enumerate(frames) if frame <= one.line.last)
    pieces: list[tuple[int, int]] = []
    begin: int | None = None
    gone = 0
    for position in range(first, last + 1):
        if strengths[position] >= _ABSENT:
            begin = position if begin is None else begin
            gone = 0
        else:
            gone += 1
            if gone == 2 and begin is not None:
                pieces.append((begin, position - 2))
                begin = None
    if begin is not None:
        pieces.append((begin, last - gone))
    lives = []
    mean = one.mean()
    still = None
    if one.layer is not None and one.layer.count >= 3:
        still = np.asarray(cv2.cvtColor(one.layer.picture(), cv2.COLOR_GRAY2BGR), np.uint8)
    for number, (inner_first, inner_last) in enumerate(pieces):
        low = pieces[number - 1][1] + 1 if number else 0
        high = pieces[number + 1][0] - 1 if number + 1 < len(pieces) else len(frames) - 1
        plateau = float(np.quantile(strengths[inner_first : inner_last + 1], 0.7))
        start, fade_in = end_of(strengths[low : inner_last + 1][::-1], inner_last - inner_first, plateau)
        stop, fade_out = end_of(strengths[inner_first : high + 1], inner_last - inner_first, plateau)
        begin, end = inner_last - start, inner_first + stop
        entry = Animation("fade", fade_in) if fade_in else Animation("none", 0)
        leave = Animation("fade", fade_out) if fade_out else Animation("none", 0)
        typed = typed_on(one.slices, one.appearances[0].slice_count, frames[end])
        if typed is not None:
            begin, entry = frames.index(typed[0]), Animation("typed", typed[1])
        elif number == 0:
            grown = _popped(one, frames[begin])
            if grown:
                begin, entry = max(0, begin - grown), Animation("pop", grown)
        span = range(frames[begin], frames[end] + 1)
        lives.append(
            Life(
                line=one.line,
                quad=one.quad,
                contours=one.appearances[0],
                first=frames[begin],
                last=frames[end],
                entry=entry,
                exit=leave,
                offsets=np.array([one.offsets[frame] for frame in span], np.int32),
                mean=mean,
                still=still,
                origin=(one.region[0], one.region[1]),
                looks=tuple(look for frame, look in sorted(one.looks.items()) if frames[begin] <= frame <= frames[end]),
                end=one.end if number + 1 == len(pieces) else None,
                strengths=np.array([one.strengths[frame] for frame in span], np.float32),
                drift=float(np.median(one.drifts)) if one.drifts else 0.0,
            )
        )
    return lives


def _popped(one: _Follow, first: int) -> int:
    """How many frames before `first` the line is already there, growing to its full size. Looked at at half size."""
    patch = halved(_patch(one, one.mean()))
    left, top = (place / 2 for place in _patch_place(one))
    height, width = patch.shape
    limit = 1.0
    grown = 0
    here, later = one.offsets[first], one.offsets.get(first + 3, one.offsets[first])
    velocity = ((later[0] - here[0]) / 6, (later[1] - here[1]) / 6)
    reach = (5 if one.line.moves else 3, round(0.7 * height))
    for index in range(first - 1, max(first - 1 - _LONGEST_POP, -1), -1):
        crop = one.head.get(index)
        if crop is None:
            break
        small_crop = halved(crop)
        best, best_scale = 0.0, 1.0
        for scale in [scale for scale in _SCALES if limit - 0.13 <= scale < limit]:
            small = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            expected = (
                round(left + here[0] / 2 - (first - index) * velocity[0] + width * (1 - scale) / 2),
                round(top + here[1] / 2 - (first - index) * velocity[1] + height * (1 - scale) / 2),
            )
            _, alike = find_offset(np.asarray(small, np.uint8), small_crop, expected, reach, halve=False)
            if alike > best:
                best, best_scale = alike, scale
        if best < (0.38 if grown else 0.54):
            break
        limit = best_scale + 0.005
        grown += 1
    # What never ends is something else in the line's place that is a little like it.
    return grown if grown < _LONGEST_POP else 0


def with_ends(life: Life, first: int, last: int) -> Life:
    """The same life with other ends; offsets and strengths are cut or continued with their outermost values."""
    index = np.clip(np.arange(first, last + 1) - life.first, 0, len(life.offsets) - 1)
    return replace(life, first=first, last=last, offsets=life.offsets[index], strengths=life.strengths[index])
