"""`RapidTextReader`: finds burned-in text, its words, its exact first and last frame, its place and its look.

This module only puts the parts in order: `finding` looks for lines in a first pass over the clip, `following` follows
each from frame to frame in a second one, `scene` tells overlays from lettered shirts, `wording` reads, `blocks` joins and
groups, `style` describes and `roles` says what each block is for. Nothing is held but a few crops of each line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from recaster.media.overlays.blocks import ReadLine, grouped, joined
from recaster.media.overlays.edges import halved
from recaster.media.overlays.emoji_rows import find_emoji_row
from recaster.media.overlays.finding import LineFinder, settle
from recaster.media.overlays.following import Life, LineFollower, with_ends
from recaster.media.overlays.geometry import bounds, covered, line_height, line_width, polygon, shifted, tilt
from recaster.media.overlays.glimpses import Glimpse, GlimpseFinder
from recaster.media.overlays.growth import without_smaller
from recaster.media.overlays.looks import look_at, sightings_within
from recaster.media.overlays.model import Animation, OverlayLine, OverlayRole, OverlayTrack
from recaster.media.overlays.networks import LineDetector, LineRecogniser, Quad, TextModels, straighten
from recaster.media.overlays.roles import assign_roles
from recaster.media.overlays.scene import (
    has_a_chance,
    has_words_for_company,
    is_overlay,
    is_worth_following,
    least_sharpness,
    may_be_overlay,
    may_keep_company,
    stood_still_for_a_moment,
)
from recaster.media.overlays.second_look import is_piece_of, look_again, typed_to_the_end
from recaster.media.overlays.still_lines import StillLineFinder
from recaster.media.overlays.style import BlockLook, SeenBlock, describe
from recaster.media.overlays.tesseract import ScriptReader
from recaster.media.overlays.wording import Wording, read_at_sight, read_life
from recaster.media.progress import Progress, silent
from recaster.media.video.model import Image, Shot, VideoFacts
from recaster.media.video.reader import FrameReader, read_frames, read_luma

_OVERLAPS = 0.15
"""Share of a line by which no other words stand in its place."""
_HARDLY_SEEN = 0.5
"""Strength below which a line may be another one's contours."""
_MOMENT = 3
"""Frames for which a line is there that only just begins or ends."""
_SURE = 0.95
"""Confidence from which a line is known to say what it was read to say."""
_UNSURE = 0.85
"""Confidence of the network below which a line may be in a script that it does not know."""


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """How closely a clip is looked at."""

    samples_per_second: float = 2.0
    """How often all text of the frame is looked for; between samples only where hard edges newly stand still."""
    detection_side: int = 672
    """Longer side of the picture that the detector works on, in pixels."""
    fine_side: int = 960
    """Longer side of the picture in which small text is looked for where a shot begins, in pixels."""
    least_confidence: float = 0.55
    """Below this a line counts as unread; it is reported without words."""
    threads: int = 2


class RapidTextReader:
    """`TextReader` on PP-OCRv6. One object reads any number of clips, one after the other."""

    def __init__(
        self,
        models: TextModels,
        settings: ReaderSettings = ReaderSettings(),
        scripts: ScriptReader | None = None,
    ) -> None:
        self._settings = settings
        self._scripts = scripts
        self._detector = LineDetector(models.detector, threads=settings.threads)
        self._recogniser = LineRecogniser(models.recogniser, threads=settings.threads)

    def read_image(self, image: Image) -> tuple[OverlayLine, ...]:
        """Every line of text in one BGR picture, burned-in or not, from top to bottom."""
        scale = min(1.0, self._settings.detection_side / max(image.shape[:2]))
        found = self._detector.detect(image, scale)
        texts = self._recogniser.read([straighten(image, line.quad) for line in found])
        return tuple(
            OverlayLine(read.text, polygon(line.quad), read.confidence) for line, read in zip(found, texts, strict=True)
        )

    def read_clip(
        self,
        path: Path,
        facts: VideoFacts,
        shots: tuple[Shot, ...],
        progress: Progress = silent,
        *,
        frames: FrameReader = read_frames,
    ) -> tuple[OverlayTrack, ...]:
        """All burned-in overlays of the clip; see `TextReader.read_clip`."""
        settings, count = self._settings, facts.frame_count
        every = max(1, round(float(facts.average_rate) / settings.samples_per_second))
        finder = LineFinder(
            self._detector,
            every=every,
            side=settings.detection_side,
            fine_side=settings.fine_side,
            shot_starts=[shot.first_frame for shot in shots],
            last_frame=count - 1,
        )
        glimpsed = GlimpseFinder(
            self._detector,
            self._recogniser,
            side=settings.detection_side,
            shot_starts=[shot.first_frame for shot in shots],
            last_frame=count - 1,
        )
        still = StillLineFinder(
            self._detector,
            part=round(float(facts.average_rate) / 3),
            shot_starts=[shot.first_frame for shot in shots],
            last_frame=count - 1,
        )
        for frame in frames(path):
            luma = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8)
            half = halved(luma)
            finder.feed(frame, luma, half)
            glimpsed.feed(frame, luma, half)
            still.feed(frame, luma, finder.lines)
            progress(frame.index + 1, 2 * count)
        lines = [line for line in (*finder.lines, *still.lines) if may_be_overlay(line, facts)]
        for line in lines:
            settle(line)
        lines = [line for line in lines if is_worth_following(line, read_at_sight(line, self._recogniser), count)]
        lines = without_smaller(lines)
        for line in lines:
            line.certain = line.certain and not any(
                other is not line
                and min(line.last, other.last) >= max(line.first, other.first) - every // 2
                and is_piece_of(line.quad, other.quad)
                for other in lines
            )
        follower = LineFollower(lines, every=every, frame_count=count, size=(facts.width, facts.height))
        if lines:
            for picture in read_luma(path, facts.width):
                follower.feed(picture.index, picture.luma)
                progress(count + picture.index + 1, 2 * count)
        worded = _after_each_other(self._overlays(follower.lives(), facts))
        read = []
        for life, wording in worded:
            quad, words = look_again(life, wording, self._detector, self._recogniser)
            if any(_swallows(life, quad, *other) for other in worded if other[0] is not life):
                quad, words = life.quad, wording
            read.append(self._line(life, *typed_to_the_end(life, quad, words, self._recogniser)))
        least = least_sharpness([line.look.sharpness for line in read])
        # Nothing but set type is typed on letter by letter, and what has hardly begun has little to be measured by.
        set_type = [line for line in read if line.look.sharpness >= least or line.entry.kind == "typed"]
        set_type = [line for line in set_type if not any(_is_piece(line, one) for one in glimpsed.glimpses)]
        set_type += [
            self._line(one.life, one.life.quad, one.wording)
            for one in glimpsed.glimpses
            if not any(_stands_there(one.life, line.life) for line in set_type)
        ]
        tracks = _tracks(grouped(joined(set_type)), facts)
        tracks.sort(key=lambda track: (track.first_frame, track.box[1], track.box[0]))
        return assign_roles(tracks, facts)

    def _overlays(self, lives: Sequence[Life], facts: VideoFacts) -> list[tuple[Life, Wording]]:
        """The lives that are overlays, with their words. What cannot be one whatever it says is not read."""
        chances = [life for life in lives if has_a_chance(life, facts)]
        worded = [(life, read_life(life, self._recogniser)) for life in chances]
        sure = [one for one in worded if is_overlay(*one, facts)]
        found = {id(life) for life, _ in sure}
        for life in lives:
            if id(life) not in found and any(may_keep_company(life, other, facts) for other, _ in sure):
                wording = read_life(life, self._recogniser)
                if has_words_for_company(wording):
                    sure.append((life, wording))
        overlays = {id(life) for life, _ in sure}
        print_in_scene = [life for life in lives if life.moves and id(life) not in overlays]
        return [one for one in sure if not any(stood_still_for_a_moment(*one, moving) for moving in print_in_scene)]

    def _line(self, life: Life, quad: Quad, wording: Wording) -> ReadLine:
        look = look_at(life, quad, wording)
        text, confidence = look.text, wording.confidence
        if confidence < _UNSURE and self._scripts is not None:
            sighting = max(life.line.kept, key=lambda one: (line_width(one.quad), one.frame))
            crop = straighten(sighting.crop, shifted(sighting.quad, -sighting.origin[0], -sighting.origin[1]))
            reading = self._scripts.read(crop)
            if reading is not None:
                text, confidence = reading.text, reading.confidence
                look = replace(look, text=text)
                return ReadLine(life, text, confidence, quad, look, life.first, life.last, life.entry, life.exit)
        if confidence < self._settings.least_confidence:
            text = ""
        return ReadLine(life, text, confidence, quad, look, life.first, life.last, life.entry, life.exit)


def _swallows(life: Life, quad: Quad, other: Life, words: Wording) -> bool:
    """Whether a line that was found longer than at first now holds another that is set at another size or tilt."""
    if words.confidence < _SURE or other.last < life.first or other.first > life.last:
        return False
    place = bounds(other.quad)
    if covered(place, bounds(quad)) < 0.7 or covered(place, bounds(life.quad)) > 0.3:
        return False
    heights = line_height(life.quad), line_height(other.quad)
    # The tilt of a short line is not sure.
    long = min(line_width(one.quad) / line_height(one.quad) for one in (life, other)) > 2
    return max(heights) > 1.4 * min(heights) or (long and abs(tilt(life.quad) - tilt(other.quad)) > 6)


def _after_each_other(lines: Sequence[tuple[Life, Wording]]) -> list[tuple[Life, Wording]]:
    """The same lines, none of which begins while other words are read in its place and hardly anything is seen of it.

    Captions in one typeface, one after the other, share so many contours that the next looks as if it were being typed on.
    """
    parted = []
    for life, wording in lines:
        first = life.first
        for other, words in lines:
            faint = life.strengths[: max(0, other.last - life.first + 1)]
            if (
                life.first <= other.last < life.last
                and other.first < life.last - 1
                and _letters(words) not in _letters(wording)
                and covered(bounds(other.quad), bounds(life.quad)) > _OVERLAPS
                and len(faint)
                and float(faint.max()) < _HARDLY_SEEN
            ):
                first = max(first, other.last + 1)
        if first > life.first:
            life = replace(with_ends(life, first, life.last), entry=Animation("none", 0))
        parted.append((life, wording))
    return parted


def _letters(wording: Wording) -> str:
    return "".join(wording.text.split()).casefold()


def _tracks(blocks: list[list[ReadLine]], facts: VideoFacts) -> list[OverlayTrack]:
    lives = [with_ends(leader.life, leader.first, leader.last) for leader in map(_leader, blocks)]
    references = [int(np.argmax(life.strengths >= 0.9 * np.quantile(life.strengths, 0.8))) for life in lives]
    seen = []
    for block, life, reference in zip(blocks, lives, references, strict=True):
        active = next((line.look.active for line in block if line.look.active is not None), None)
        at = life.offsets[reference]
        seen.append(SeenBlock(tuple(line.look for line in block), active, (int(at[0]), int(at[1]))))
    looks = describe(seen, (facts.width, facts.height))
    return [
        _track(block, life, reference, look)
        for block, life, reference, look in zip(blocks, lives, references, looks, strict=True)
    ]


def _leader(lines: list[ReadLine]) -> ReadLine:
    return max(lines, key=lambda line: line.weight)


def _track(lines: list[ReadLine], life: Life, reference: int, look: BlockLook) -> OverlayTrack:
    at = life.offsets[reference]
    entry = next((line.entry for line in lines if line.entry.kind != "none"), Animation("none", 0))
    leave = next((line.exit for line in lines if line.exit.kind != "none"), Animation("none", 0))
    described = [
        OverlayLine(line.look.full_text if line.text else "", polygon(quad), line.confidence, line.look.overlay_emoji)
        for line, quad in zip(lines, look.quads, strict=True)
    ]
    if look.style.slab is None and not life.moves:
        # On a slab they are found with it.
        below = find_emoji_row(sightings_within(lines[-1].life), look.quads[-1], look.style.size)
        described[-1] = replace(described[-1], emoji=(*described[-1].emoji, *below))
    return OverlayTrack(
        id="",
        lines=tuple(described),
        first_frame=life.first,
        last_frame=life.last,
        reference_frame=life.first + reference,
        box=look.box,
        offsets=tuple((float(x), float(y)) for x, y in life.offsets - at) if life.moves else (),
        style=look.style,
        entry=entry,
        exit=leave,
        role=OverlayRole.TEXT,
        confidence=float(np.mean([line.confidence for line in lines])),
    )


def _is_piece(line: ReadLine, glimpse: Glimpse) -> bool:
    """Whether a line that was there for a moment is a part of what was seen in a difference."""
    brief = (
        line.last - line.first + 1 <= _MOMENT and line.first <= glimpse.life.last and glimpse.life.first <= line.last
    )
    inside = covered(bounds(line.quad), bounds(glimpse.life.quad)) > 0.7
    longer = line_width(glimpse.life.quad) > 1.2 * line_width(line.quad)
    return brief and inside and longer and "".join(line.text.split()).casefold() in _letters(glimpse.wording)


def _stands_there(glimpse: Life, life: Life) -> bool:
    """Whether a line that was followed stands where something was seen for a moment."""
    if not life.first <= glimpse.last or not glimpse.first <= life.last:
        return False
    dx, dy = life.offsets[min(max(glimpse.last - life.first, 0), len(life.offsets) - 1)]
    place = bounds(shifted(life.quad, float(dx), float(dy)))
    return max(covered(bounds(glimpse.quad), place), covered(place, bounds(glimpse.quad))) > 0.3
