"""Text that shows for a moment only, too short or too faint to be seen in a picture of its own: seen in differences.

What a frame has and its neighbours have not is looked at alone, with raised contrast: the scene falls away, moved back
to where it was, and a line that stands for a single frame, or has only begun to fade in when the clip ends, is as plain as
any. Scene text moves with the scene and falls away too, so what can be read here is overlay. Lines that stand longer
are found elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.contours import Contours, contours_of, find_offset
from recaster.media.overlays.edges import Region, busy_regions, edges_of, in_rows, tile_sums
from recaster.media.overlays.finding import FoundLine, Sighting
from recaster.media.overlays.following import Life
from recaster.media.overlays.geometry import bounds, covered, line_height, line_width, longer, shifted
from recaster.media.overlays.model import Animation
from recaster.media.overlays.networks import LineDetector, LineRecogniser, Quad, straighten
from recaster.media.overlays.wording import Wording, closer, vote, widened
from recaster.media.video.model import Frame, Image, Luma

_HELD = 9
"""Frames held at a time."""
_BACK = (1, 2, 4)
"""How many frames before the clip's last one are those that it is compared with."""
_APART = 2
"""Frames on both sides with which a frame in the middle of a clip is compared."""
_GAIN = 4
"""How much a difference is enlarged to be looked at: text at a tenth of its opacity has then half its contrast."""
_EDGE = 36
"""Sobel response at half size from which an edge of a difference may be one of text."""
_TILE_EDGES = 70
"""Such pixels that make a tile (16 x 16 at half size) worth a look."""
_SUDDEN = 4.0
"""How many times the usual number of them a tile must have that is looked at in the middle of a clip."""
_PASSES = 2.0
"""How many times more edges there must be for a moment than there are before and not after it, or the other way."""
_LEAST_CONFIDENCE = 0.9
_LEAST_LETTERS = 5
_BESIDE = 7.0
"""How far beside a glimpse its line is looked for in the frame itself, in heights of the line."""
_NEARER = 1.5
"""How much closer than usual that is looked at."""
_SURE_MARK = 0.6
"""Probability that a mark needs."""
_STEEPEST = 0.2
"""Slope from which no line is believed that was only glimpsed."""
_NOT_BEFORE = 0.4
"""Share of its strength that a line may at most have in the frame it is compared with."""
_SEARCHED = (28, 16)
"""Pixels across and down within which the scene may have moved print that is taken for a glimpse."""
_FOUND_ELSEWHERE = 0.5
"""Likeness to another place of the picture without it from which a glimpse is print that has moved."""
_STILL_THERE = 0.22
"""Share of its strength from which a line is there in a neighbouring frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """A line that was seen for a moment, with its words."""

    life: Life
    wording: Wording


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    frame: Frame
    luma: Luma
    half: Luma


class GlimpseFinder:
    """Is fed every frame of a clip in order; `glimpses` then tells what was seen for a moment."""

    def __init__(
        self,
        detector: LineDetector,
        recogniser: LineRecogniser,
        *,
        side: int,
        shot_starts: Iterable[int],
        last_frame: int,
    ) -> None:
        self._detector = detector
        self._recogniser = recogniser
        self._side = side
        self._shot_starts = frozenset(shot_starts)
        self._last_frame = last_frame
        self._held: deque[_Held] = deque(maxlen=_HELD)
        self._usual: NDArray[np.float32] | None = None
        self.glimpses: list[Glimpse] = []

    def feed(self, frame: Frame, luma: Luma, half: Luma) -> None:
        """Take the next frame and its brightness, whole and at half its size."""
        if frame.index in self._shot_starts:
            self._held.clear()
            self._usual = None
        self._held.append(_Held(frame, luma, half))
        if len(self._held) > 2 * _APART:
            self._look_at_middle()
        if frame.index == self._last_frame:
            self._look_at_end()

    def _look_at_middle(self) -> None:
        """Look for what the frame `_APART` frames ago shows, and neither those before nor those after it."""
        before, middle, after = (self._held[place] for place in (-1 - 2 * _APART, -1 - _APART, -1))
        low, high = cv2.min(before.half, after.half), cv2.max(before.half, after.half)
        above, below = cv2.subtract(middle.half, high), cv2.subtract(low, middle.half)
        alone = np.asarray(above, np.int16) - np.asarray(below, np.int16)
        counts = _edge_tiles(alone)
        usual = counts.astype(np.float32) if self._usual is None else self._usual
        sudden = (counts >= _TILE_EDGES) & (counts >= _SUDDEN * np.maximum(usual, 8.0))
        self._usual = np.asarray(0.8 * usual + 0.2 * np.minimum(counts, 2.0 * np.maximum(usual, 8.0)), np.float32)
        if not sudden.any():
            return
        # What moves or grows is gone from where it was as well; after a flash all is as before.
        lasting = _edge_tiles(after.half.astype(np.int16) - before.half)
        sudden = in_rows(sudden & (counts >= _PASSES * lasting))
        for region in busy_regions(sudden, middle.luma.shape):
            self._look(middle, (before, after), (before.frame.image, after.frame.image), region)

    def _look_at_end(self) -> None:
        last = self._held[-1]
        earlier = [self._held[-1 - back] for back in _BACK if len(self._held) > back]
        if not earlier:
            return
        mean = np.mean([_moved_along(one, last) for one in earlier], axis=0, dtype=np.float32)
        other = np.asarray(np.rint(mean), np.uint8)
        alone = _half_luma(last.frame.image).astype(np.int16) - _half_luma(other)
        for region in busy_regions(_edge_tiles(alone) >= _TILE_EDGES, last.luma.shape):
            self._look(last, earlier[-1:], (other,), region)

    def _look(self, held: _Held, without: Sequence[_Held], others: Sequence[Image], region: Region) -> None:
        """Look for lines in a region of the differences of a frame and other pictures of the scene."""
        height, width = held.luma.shape
        scale = min(1.0, self._side / max(height, width))
        for other in others:
            left, top, right, bottom = region
            picture = _difference(held.frame.image[top:bottom, left:right], other[top:bottom, left:right])
            quads = [found.quad for found in self._detector.detect(picture, scale)]
            if any(_is_cut(quad, region, width) for quad in quads):
                left, right = 0, width
                picture = _difference(held.frame.image[top:bottom], other[top:bottom])
                quads = [found.quad for found in self._detector.detect(picture, scale)]
            for quad in quads:
                glimpse = self._read(held, picture, (left, top), quad, without)
                if glimpse is not None:
                    self._keep(self._completed(held, glimpse))

    def _keep(self, glimpse: Glimpse) -> None:
        """Note a glimpse, of several of one line the one that says most."""
        same = [one for one in self.glimpses if _are_one(one.life, glimpse.life)]
        if all(_worth(one) < _worth(glimpse) for one in same):
            self.glimpses = [one for one in self.glimpses if one not in same] + [glimpse]

    def _read(
        self, held: _Held, picture: Image, origin: tuple[int, int], quad: Quad, without: Sequence[_Held]
    ) -> Glimpse | None:
        tilt = quad[1] - quad[0]
        if line_width(quad) < 2 * line_height(quad) or abs(float(tilt[1])) > _STEEPEST * float(tilt[0]):
            return None
        at = (quad + np.asarray(origin, np.float32)).astype(np.float32)
        luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        pattern = contours_of([(luma, origin)], at)
        if pattern is None:
            return None
        # The pattern is `_GAIN` times as strong as the line itself.
        here = _GAIN * pattern.presence(held.luma).strength
        there = max(abs(_GAIN * pattern.presence(one.luma).strength) for one in without)
        if here <= 0 or there > _NOT_BEFORE * here:
            return None
        x0, y0, x1, y1 = (round(value) for value in bounds(quad))
        patch, expected = luma[max(0, y0) : y1, max(0, x0) : x1], (origin[0] + max(0, x0), origin[1] + max(0, y0))
        if any(find_offset(patch, one.luma, expected, _SEARCHED)[1] > _FOUND_ELSEWHERE for one in without):
            return None  # print that the scene has moved by more than was made good
        crop = straighten(picture, quad)
        near = straighten(picture, closer(quad))
        reads = list(self._recogniser.read([crop, widened(crop, 1.3), near, widened(near, 1.3)]))
        # In the frame itself the line is fainter, but nothing is doubled that has moved.
        itself = straighten(held.frame.image, at)
        own = self._recogniser.read([itself, widened(itself, 1.3)])
        reads += [read for read in own if read.confidence >= _LEAST_CONFIDENCE]
        words = vote(reads, [1.0] * len(reads), alike_agree=True)
        words = _without_doubtful_marks(words)
        letters = sum(character.isalnum() for character in words.text)
        if letters < _LEAST_LETTERS or words.confidence < _LEAST_CONFIDENCE:
            return None
        return Glimpse(self._life(held, picture, luma, origin, at, pattern), words)

    def _completed(self, held: _Held, glimpse: Glimpse) -> Glimpse:
        """The glimpse with the words beside it that only the frame itself shows: what moves behind them hides them in
        differences.
        """
        life, image = glimpse.life, held.frame.image
        height = line_height(life.quad)
        left, top, right, bottom = bounds(longer(life.quad, _BESIDE * height))
        x0, y0 = max(0, round(left)), max(0, round(top - 0.5 * height))
        picture = image[y0 : round(bottom + 0.5 * height), x0 : round(right)]
        known = _squeezed(glimpse.wording)
        scale = min(1.0, self._side / max(image.shape[:2]) * _NEARER)
        for found in self._detector.detect(picture, scale):
            quad = shifted(found.quad, x0, y0)
            longer_now = line_width(quad) > line_width(life.quad) + 0.7 * height
            if not longer_now or covered(bounds(life.quad), bounds(quad)) < 0.7 or line_height(quad) > 1.4 * height:
                continue
            crop = straighten(picture, found.quad)
            words = vote(self._recogniser.read([crop, widened(crop, 1.3)]), [1.0] * 2)
            if words.confidence >= _LEAST_CONFIDENCE and known in _squeezed(words) != known:
                line = FoundLine(life.first, life.last, [(held.frame.index, quad, (0, 0))], life.line.appearances)
                line.kept.append(Sighting(held.frame.index, quad, picture.copy(), (x0, y0), (0, 0)))
                luma = held.luma[y0 : round(bottom + 0.5 * height), x0 : round(right)].copy()
                return Glimpse(replace(life, line=line, quad=quad, mean=luma, origin=(x0, y0)), words)
        return glimpse

    def _life(
        self, held: _Held, picture: Image, luma: Luma, origin: tuple[int, int], quad: Quad, pattern: Contours
    ) -> Life:
        strengths = {one.frame.index: pattern.presence(one.luma).strength for one in self._held}
        most = strengths[held.frame.index]
        first = last = held.frame.index
        while strengths.get(first - 1, 0.0) > _STILL_THERE * most:
            first -= 1
        while strengths.get(last + 1, 0.0) > _STILL_THERE * most:
            last += 1
        line = FoundLine(first, last, [(held.frame.index, quad, (0, 0))], [pattern])
        line.kept.append(Sighting(held.frame.index, quad, picture, origin, (0, 0)))
        return Life(
            line=line,
            quad=quad,
            contours=pattern,
            first=first,
            last=last,
            entry=Animation("none", 0),
            exit=Animation("none", 0),
            offsets=np.zeros((last - first + 1, 2), np.int32),
            mean=luma,
            still=None,
            origin=origin,
            looks=(),
            end=None,
            strengths=np.array([strengths[index] / most for index in range(first, last + 1)], np.float32),
            drift=0.0,
        )


def _is_cut(quad: Quad, region: Region, width: int) -> bool:
    """Whether a line found in a region may go on beyond its left or right border."""
    left, _, right, _ = region
    return (left > 0 and float(quad[:, 0].min()) <= 2) or (
        right < width and float(quad[:, 0].max()) >= right - left - 3
    )


def _are_one(life: Life, other: Life) -> bool:
    """Whether two glimpses are of one line."""
    together = life.first <= other.last and other.first <= life.last
    a, b = bounds(life.quad), bounds(other.quad)
    return together and max(covered(a, b), covered(b, a)) > 0.5


def _without_doubtful_marks(words: Wording) -> Wording:
    """The words without marks that are as likely a stain: of a faint line the letters are surer than its marks."""
    if len(words.certainties) != len(words.text):
        return words
    kept = [
        index
        for index, (character, sure) in enumerate(zip(words.text, words.certainties, strict=True))
        if character.isalnum() or character.isspace() or sure >= _SURE_MARK
    ]
    return replace(
        words,
        text="".join(words.text[index] for index in kept),
        positions=tuple(words.positions[index] for index in kept),
        certainties=tuple(words.certainties[index] for index in kept),
    )


def _squeezed(words: Wording) -> str:
    return "".join(words.text.split()).casefold()


def _worth(glimpse: Glimpse) -> float:
    return len(glimpse.wording.text) * glimpse.wording.confidence**4


def _difference(image: Image, other: Image) -> Image:
    """What `image` has and `other` has not, enlarged, on middle grey."""
    return np.asarray(np.clip(_GAIN * (image.astype(np.int16) - other) + 128, 0, 255), np.uint8)


def _half_luma(image: Image) -> Luma:
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(half, cv2.COLOR_BGR2GRAY), np.uint8)


def _edge_tiles(difference: NDArray[np.int16]) -> NDArray[np.int32]:
    """How many pixels on an edge each tile of a difference at half size has."""
    return tile_sums(edges_of(difference, _EDGE))


def _moved_along(earlier: _Held, later: _Held) -> Image:
    """The earlier picture with its scene where the later one has it: block-wise medians of dense flow at an eighth."""
    one, two = (cv2.resize(held.half, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for held in (later, earlier))
    if min(one.shape) < 32:
        return earlier.frame.image
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow = np.asarray(search.calc(one, two, np.zeros((*one.shape, 2), np.float32)), np.float32)
    # A new line must not be explained by the movement of something else: only what larger blocks have in common counts.
    block = 16
    rows, columns = one.shape[0] // block, one.shape[1] // block
    cells = flow[: rows * block, : columns * block].reshape(rows, block, columns, block, 2)
    coarse = np.median(cells, axis=(1, 3)).astype(np.float32)
    height, width = later.luma.shape
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(width / one.shape[1])
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(
        earlier.frame.image, x + smooth[..., 0], y + smooth[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)
