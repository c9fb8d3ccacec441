"""`RapidTextReader`: finds burned-in text, its words, its exact first and last frame, its place and its look.

Works in two streaming passes. The first looks for lines in sampled frames and links what stays in its place with the same
ink; a bounded number of crops of each line is kept. The second pass follows each line's ink from frame to frame around the
ends of its life. What a block is for is decided in `roles`, how it looks in `style`. Blocks that move with the screen
(stickers that sway) are followed while they keep overlapping themselves from sample to sample.

Text of the scene is told from overlays by what makes an overlay: it holds still to the screen while the picture behind
it changes, or, where nothing moves, it has the hard contrast and the level lines of set type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from recaster.media.overlays.model import Animation, Box, OverlayLine, OverlayRole, OverlayTrack, Polygon
from recaster.media.overlays.networks import (
    DetectedLine,
    LineDetector,
    LineRecogniser,
    Quad,
    ReadText,
    TextModels,
    straighten,
)
from recaster.media.overlays.roles import assign_roles, starts_item
from recaster.media.overlays.style import describe_style
from recaster.media.progress import Progress, silent
from recaster.media.video.model import Image, Luma, Shot, VideoFacts
from recaster.media.video.reader import read_frames, read_luma

Gray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """How closely a clip is looked at. Pixels are of the shown frame, times in samples or frames."""

    samples_per_second: float = 3.0
    """How often all text of the frame is looked for."""
    detection_side: int = 672
    """Longer side of the picture that the detector works on."""
    least_overlap: float = 0.45
    """Intersection over union from which a line may be the same as in the sample before."""
    least_likeness: float = 0.55
    """Correlation of two edge pictures from which their text is the same."""
    least_confidence: float = 0.55
    """Below this a line counts as unread; it is reported without words."""
    least_contrast: float = 55.0
    """Range of brightness (0–255) that set type has at least against what is around it."""
    crops: int = 5
    """Crops of a line that are kept for reading and for its look."""
    threads: int = 2


@dataclass(slots=True, eq=False)
class _Sighting:
    frame: int
    quad: Quad
    crop: Image
    """The line with `_margin` around it, in the frame's own pixels."""
    origin: tuple[int, int]


@dataclass(slots=True, eq=False)
class _Line:
    """A line of text over the samples in which it was seen."""

    first: int
    last: int
    quads: list[tuple[int, Quad]]
    edges: Gray
    kept: list[_Sighting] = field(default_factory=list)
    text: str = ""
    confidence: float = 0.0
    first_frame: int = 0
    last_frame: int = 0

    @property
    def quad(self) -> Quad:
        """Median corners of all sightings."""
        return np.median(np.stack([quad for _, quad in self.quads]), axis=0).astype(np.float32)


class RapidTextReader:
    """`TextReader` on PP-OCRv6. One object reads any number of clips, one after the other."""

    def __init__(self, models: TextModels, settings: ReaderSettings = ReaderSettings()) -> None:
        self._settings = settings
        self._detector = LineDetector(models.detector, threads=settings.threads)
        self._recogniser = LineRecogniser(models.recogniser, threads=settings.threads)

    def read_image(self, image: Image) -> tuple[OverlayLine, ...]:
        """Every line of text in one BGR picture, burned-in or not, from top to bottom."""
        scale = min(1.0, self._settings.detection_side / max(image.shape[:2]))
        found = self._detector.detect(image, scale)
        texts = self._recogniser.read([straighten(image, line.quad) for line in found])
        return tuple(
            OverlayLine(read.text, _polygon(line.quad), read.confidence)
            for line, read in zip(found, texts, strict=True)
        )

    def read_clip(
        self, path: Path, facts: VideoFacts, shots: tuple[Shot, ...], progress: Progress = silent
    ) -> tuple[OverlayTrack, ...]:
        """All burned-in overlays of the clip; see `TextReader.read_clip`."""
        step = max(1, round(float(facts.average_rate) / self._settings.samples_per_second))
        lines = self._sample(path, facts, step, progress)
        lines = [line for line in lines if self._is_set_type(line, facts)]
        self._follow(path, facts, lines, step, progress)
        for line in lines:
            self._recognise(line)
        lines = _with_emoji([line for line in _joined(lines, step) if line.confidence > 0.3])
        blocks = _blocks(lines)
        tracks = [self._track(block, facts) for block in blocks]
        tracks.sort(key=lambda track: (track.first_frame, track.box[1]))
        return assign_roles(tracks, facts)

    # ---- first pass: where is text -----------------------------------------------------------------------------------

    def _sample(self, path: Path, facts: VideoFacts, step: int, progress: Progress) -> list[_Line]:
        scale = min(1.0, self._settings.detection_side / max(facts.width, facts.height))
        done: list[_Line] = []
        alive: list[_Line] = []
        for frame in read_frames(path, every=step):
            found = self._detector.detect(frame.image, scale)
            gray = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8)
            going_on: list[_Line] = []
            for detected in found:
                edges = _edges(gray, detected.quad)
                line = self._same(alive, going_on, detected, edges, frame.index - step)
                if line is None:
                    line = _Line(frame.index, frame.index, [], edges)
                line.last = frame.index
                line.quads.append((frame.index, detected.quad))
                self._keep(line, frame.index, detected.quad, frame.image)
                going_on.append(line)
            done += [line for line in alive if line not in going_on]
            alive = going_on
            progress(frame.index + 1, 2 * facts.frame_count)
        return done + alive

    def _same(
        self, alive: list[_Line], taken: list[_Line], detected: DetectedLine, edges: Gray, before: int
    ) -> _Line | None:
        best, best_likeness = None, self._settings.least_likeness
        for line in alive:
            if line in taken or line.last != before:
                continue
            if _overlap(_bounds(line.quads[-1][1]), _bounds(detected.quad)) < self._settings.least_overlap:
                continue
            likeness = _likeness(line.edges, edges)
            if likeness > best_likeness:
                best, best_likeness = line, likeness
        return best

    def _keep(self, line: _Line, index: int, quad: Quad, image: Image) -> None:
        """Keep a few crops spread over the line's life: all of the first ones, then ever rarer ones."""
        seen = len(line.quads)
        if len(line.kept) >= self._settings.crops:
            if seen & (seen - 1):
                return
            del line.kept[1 + (seen.bit_length() % (self._settings.crops - 1))]
        left, top, right, bottom = _bounds(quad)
        margin = 0.9 * (bottom - top)
        x0, y0 = max(0, int(left - margin)), max(0, int(top - margin))
        x1, y1 = min(image.shape[1], int(right + margin)), min(image.shape[0], int(bottom + margin))
        line.kept.append(_Sighting(index, quad, image[y0:y1, x0:x1].copy(), (x0, y0)))

    # ---- overlay or scene --------------------------------------------------------------------------------------------

    def _is_set_type(self, line: _Line, facts: VideoFacts) -> bool:
        quads = np.stack([quad for _, quad in line.quads])
        height = float(np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1).mean())
        if height < 0.008 * facts.height:
            return False
        # An emoji at an end is now found and now not; what holds still is at least one end and one side.
        away = np.abs(quads - np.median(quads, axis=0))
        across = np.minimum(away[:, [0, 3], 0].max(axis=1), away[:, [1, 2], 0].max(axis=1))
        down = np.minimum(away[:, [0, 1], 1].max(axis=1), away[:, [2, 3], 1].max(axis=1))
        drift = float(np.hypot(across, down).max())
        contrast = float(np.median([_contrast(sighting) for sighting in line.kept]))
        return drift < max(3.0, 0.35 * height) and contrast >= self._settings.least_contrast

    # ---- second pass: exact ends -------------------------------------------------------------------------------------

    def _follow(self, path: Path, facts: VideoFacts, lines: list[_Line], step: int, progress: Progress) -> None:
        """Set each line's first and last frame by the likeness of its ink around the ends of its sampled life."""
        references = [_reference(line) for line in lines]
        scores: list[dict[int, float]] = [{} for _ in lines]
        for frame in read_luma(path, facts.width):
            for line, reference, score in zip(lines, references, scores, strict=True):
                near_start = line.first - step <= frame.index <= line.first
                near_end = line.last <= frame.index <= line.last + step
                if near_start or near_end:
                    score[frame.index] = reference.presence(frame.luma)
            progress(facts.frame_count + frame.index + 1, 2 * facts.frame_count)
        for line, score in zip(lines, scores, strict=True):
            line.first_frame = _edge(score, range(line.first, max(-1, line.first - step - 1), -1))
            line.last_frame = _edge(score, range(line.last, min(facts.frame_count, line.last + step + 1)))

    # ---- words -------------------------------------------------------------------------------------------------------

    def _recognise(self, line: _Line) -> None:
        """Read the kept crops and let them vote; the median picture of a still line counts as one more crop."""
        crops = [straighten(sighting.crop, _moved(sighting.quad, sighting.origin)) for sighting in line.kept[:4]]
        reads = [read for read in self._recogniser.read(crops) if read.text.strip()]
        if not reads:
            return
        line.text, line.confidence = _vote(reads)
        if line.confidence < self._settings.least_confidence:
            line.text = ""

    def _track(self, lines: list[_Line], facts: VideoFacts) -> OverlayTrack:
        lines = sorted(lines, key=lambda line: float(line.quad[:, 1].mean()))
        first = min(line.first_frame for line in lines)
        last = max(line.last_frame for line in lines)
        reference = lines[0].kept[len(lines[0].kept) // 2]
        overlay_lines = tuple(OverlayLine(line.text, _polygon(line.quad), line.confidence) for line in lines)
        crops = [_median_crop(line) for line in lines]
        style, box = describe_style(overlay_lines, crops, (facts.width, facts.height))
        still = Animation("none", 0)
        return OverlayTrack(
            id="",
            lines=overlay_lines,
            first_frame=first,
            last_frame=last,
            reference_frame=min(max(reference.frame, first), last),
            box=box,
            offsets=(),
            style=style,
            entry=still,
            exit=still,
            role=OverlayRole.TEXT,
            confidence=float(np.mean([line.confidence for line in lines])),
        )


@dataclass(frozen=True, slots=True)
class _Reference:
    """A line's ink as it looks when it stands complete: gradients at the pixels where its contours are."""

    box: tuple[int, int, int, int]
    gradients: Gray
    weight: float

    def presence(self, luma: Luma) -> float:
        """Share of the reference's contours found in a frame at the same place: about 1 present, about 0 absent."""
        left, top, right, bottom = self.box
        found = _gradients(luma[top:bottom, left:right])
        return float((found * self.gradients).sum() / max(self.weight, 1e-6))


def _reference(line: _Line) -> _Reference:
    left, top, right, bottom = (round(value) for value in _bounds(line.quad))
    pictures = []
    for sighting in line.kept:
        x, y = sighting.origin
        height, width = sighting.crop.shape[:2]
        left, top = max(left, x), max(top, y)
        right, bottom = min(right, x + width), min(bottom, y + height)
    for sighting in line.kept:
        x, y = sighting.origin
        gray = cv2.cvtColor(sighting.crop[top - y : bottom - y, left - x : right - x], cv2.COLOR_BGR2GRAY)
        pictures.append(_gradients(np.asarray(gray, np.uint8)))
    stable = np.median(np.stack(pictures), axis=0).astype(np.float32)
    magnitude = np.linalg.norm(stable, axis=-1)
    strong = magnitude >= max(float(np.quantile(magnitude, 0.8)), 12.0)
    stable = np.where(strong[..., None], stable, np.float32(0))
    return _Reference((left, top, right, bottom), stable, float((stable**2).sum()))


def _gradients(luma: Luma) -> Gray:
    """Horizontal and vertical derivative (Scharr), shape (height, width, 2), limited so that one hard edge is not all."""
    across = cv2.Scharr(luma, cv2.CV_32F, 1, 0) / 16.0
    down = cv2.Scharr(luma, cv2.CV_32F, 0, 1) / 16.0
    return np.clip(np.stack([across, down], axis=-1), -96, 96).astype(np.float32)


def _edge(score: dict[int, float], way: Iterable[int]) -> int:
    """Walk from inside the line's life outward and return the last frame in which it is still there."""
    frames = [index for index in way if index in score]
    if not frames:
        raise AssertionError("a sampled frame has no score")
    level = 0.5 * max(0.6, min(1.0, score[frames[0]]))
    reached = frames[0]
    for index in frames:
        if score[index] < level:
            break
        reached = index
    return reached


def _edges(gray: NDArray[np.uint8], quad: Quad) -> Gray:
    """A line's contours as a small picture that two sightings can be compared by."""
    left, top, right, bottom = (int(value) for value in _bounds(quad))
    part = gray[max(0, top) : bottom + 1, max(0, left) : right + 1]
    magnitude = np.linalg.norm(_gradients(np.asarray(part, np.uint8)), axis=-1).astype(np.float32)
    small = cv2.resize(magnitude, (128, 24), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.float32)


def _likeness(one: Gray, other: Gray) -> float:
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6))


def _contrast(sighting: _Sighting) -> float:
    """Range of brightness inside the line between its dark and its bright tenth."""
    quad = _moved(sighting.quad, sighting.origin)
    left, top, right, bottom = (int(value) for value in _bounds(quad))
    part = cv2.cvtColor(sighting.crop[max(0, top) : bottom, max(0, left) : right], cv2.COLOR_BGR2GRAY)
    low, high = np.quantile(part, [0.08, 0.92])
    return float(high - low)


def _median_crop(line: _Line) -> tuple[Image, tuple[int, int]]:
    """The line as it looks on the whole: the moving background blurs away, the ink stays. With its origin in the frame."""
    x0 = max(sighting.origin[0] for sighting in line.kept)
    y0 = max(sighting.origin[1] for sighting in line.kept)
    x1 = min(sighting.origin[0] + sighting.crop.shape[1] for sighting in line.kept)
    y1 = min(sighting.origin[1] + sighting.crop.shape[0] for sighting in line.kept)
    parts = [
        sighting.crop[
            y0 - sighting.origin[1] : y1 - sighting.origin[1], x0 - sighting.origin[0] : x1 - sighting.origin[0]
        ]
        for sighting in line.kept
    ]
    return np.median(np.stack(parts), axis=0).astype(np.uint8), (x0, y0)


def _vote(reads: list[ReadText]) -> tuple[str, float]:
    weights: Counter[str] = Counter()
    for read in reads:
        weights[read.text] += read.confidence  # type: ignore[assignment]
    text = max(weights, key=lambda key: (weights[key], key))
    return text, max(read.confidence for read in reads if read.text == text)


def _joined(lines: list[_Line], step: int) -> list[_Line]:
    """Join pieces of one line that the detector lost for a moment: same words, same place, no more than two samples apart."""
    joined: list[_Line] = []
    for line in sorted(lines, key=lambda item: item.first_frame):
        for earlier in joined:
            gap = line.first_frame - earlier.last_frame
            near = _overlap(_bounds(earlier.quad), _bounds(line.quad)) >= 0.4
            alike = Levenshtein.normalized_similarity(earlier.text, line.text) >= 0.8
            if 0 < gap <= 2 * step + 1 and near and alike:
                earlier.last_frame = line.last_frame
                earlier.quads += line.quads
                if line.confidence > earlier.confidence:
                    earlier.text, earlier.confidence = line.text, line.confidence
                break
        else:
            joined.append(line)
    return joined


def _with_emoji(lines: list[_Line]) -> list[_Line]:
    """Take emoji that the networks took for letters out of the lines, and let the line beside them reach over them."""
    marks = [line for line in lines if _is_emoji(line)]
    words = [line for line in lines if line not in marks]
    for mark in marks:
        box = _bounds(mark.quad)
        for line in words:
            left, top, right, bottom = _bounds(line.quad)
            level = min(bottom, box[3]) - max(top, box[1]) > 0.5 * min(bottom - top, box[3] - box[1])
            beside = box[0] - right < bottom - top and left - box[2] < bottom - top
            together = line.first_frame - 3 <= mark.first_frame and mark.last_frame <= line.last_frame + 3
            if level and beside and together:
                reach = np.array([[min(left, box[0]), top], [max(right, box[2]), top]], np.float32)
                wide = np.array([reach[0], reach[1], [reach[1, 0], bottom], [reach[0, 0], bottom]], np.float32)
                line.quads = [(index, wide) for index, _ in line.quads]
                break
    return words


def _is_emoji(line: _Line) -> bool:
    """Tell whether a short line is a colourful picture about as wide as high."""
    left, top, right, bottom = _bounds(line.quad)
    if len(line.text.strip()) > 3 or right - left > 2.4 * (bottom - top):
        return False
    crop, (x, y) = _median_crop(line)
    part = crop[max(0, int(top - y)) : int(bottom - y), max(0, int(left - x)) : int(right - x)]
    hsv = cv2.cvtColor(part, cv2.COLOR_BGR2HSV)
    return float(((hsv[..., 1] > 90) & (hsv[..., 2] > 70)).mean()) > 0.3


def _blocks(lines: list[_Line]) -> list[list[_Line]]:
    """Group lines that stand under each other, alike in height, and come and go together."""
    blocks: list[list[_Line]] = []
    for line in sorted(lines, key=lambda item: (item.first_frame, float(item.quad[:, 1].mean()))):
        for block in blocks:
            if _belongs(block[-1], line):
                block.append(line)
                break
        else:
            blocks.append([line])
    return blocks


def _belongs(above: _Line, line: _Line) -> bool:
    a, b = _bounds(above.quad), _bounds(line.quad)
    height_a, height_b = a[3] - a[1], b[3] - b[1]
    together = abs(above.first_frame - line.first_frame) <= 3 and abs(above.last_frame - line.last_frame) <= 3
    alike = max(height_a, height_b) <= 1.4 * min(height_a, height_b)
    below = -0.4 * height_a <= b[1] - a[3] <= 0.7 * height_a
    across = min(a[2], b[2]) - max(a[0], b[0]) > 0.3 * min(a[2] - a[0], b[2] - b[0])
    return together and alike and below and across and not starts_item(line.text)


def _bounds(quad: Quad) -> Box:
    left, top = quad.min(axis=0)
    right, bottom = quad.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _moved(quad: Quad, origin: tuple[int, int]) -> Quad:
    return (quad - np.asarray(origin, np.float32)).astype(np.float32)


def _polygon(quad: Quad) -> Polygon:
    corners = [(float(x), float(y)) for x, y in quad]
    return (corners[0], corners[1], corners[2], corners[3])
