"""The measured look of one line: its exact place, its type size, its ink and its emoji. Blocks are described in `style`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.active_words import ActiveLook, ActiveWords, find_active_words
from recaster.media.overlays.emoji_reading import SeenEmoji, find_emoji
from recaster.media.overlays.finding import Sighting
from recaster.media.overlays.following import Life
from recaster.media.overlays.geometry import line_height, line_width, polygon, shifted
from recaster.media.overlays.letters import (
    Extent,
    Ink,
    LevelLine,
    edge_sharpness,
    em_size,
    inked_rows,
    letter_extent,
    level_line,
    measure_ink,
    upright_edges,
)
from recaster.media.overlays.model import OverlayEmoji
from recaster.media.overlays.networks import Quad
from recaster.media.overlays.wording import Wording, may_part
from recaster.media.video.model import Image

_ENOUGH_FOR_MEAN = 8
_HANDLE = "@#"
"""Signs with which names begin that have no gaps."""
_LIKE_SIGNS = "XxOo0+*"
"""Letters and signs for which a cross, a ring or a star among emoji is taken."""
_TOO_HIGH = 0.9
"""Height of a line's ink against that of its edges, below which the edges of the scene were taken for the line's."""
_LARGE = 24.0
"""Size of type in pixels from which blanks alone tell where words end."""
_ROOM = 0.7
"""What is kept around a line's level picture, in heights of the line: a slab may reach farther than it."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenLine:
    """Pictures of a line in several frames, turned level, with the letters at the same place in all."""

    pictures: tuple[Image, ...]
    """BGR, all of one shape: the level picture of the line with more room around it."""
    to_frame: NDArray[np.float64]
    """Affine matrix, shape (2, 3), from their pixels to pixels of the frame, the line at rest."""
    known: NDArray[np.bool_]
    """What most of the pictures show, their shape: what lies outside of a crop repeats its border."""
    left: int
    top: int
    """Where the level picture's first pixel lies in them."""


@dataclass(frozen=True, slots=True, eq=False)
class LineLook:
    """What the pixels of a line tell, at the place of its life's first sighting."""

    quad: Quad
    """Around the letters with their outline, emoji not included."""
    em: float
    """Type size in pixels as the letters' height has it."""
    level: LevelLine
    extent: Extent
    ink: Ink
    sharpness: float
    """See `letters.edge_sharpness`."""
    emoji: tuple[SeenEmoji, ...]
    text: str
    """The words without what was an emoji."""
    active: ActiveLook | None
    """How the word that is being said stands out, where one does."""
    seen: SeenLine

    @property
    def leading_emoji(self) -> str:
        """The emoji before the words."""
        return "".join(one.character for one in self.emoji if one.at == "start")

    @property
    def overlay_emoji(self) -> tuple[OverlayEmoji, ...]:
        """The emoji as values that leave this room."""
        return tuple(
            OverlayEmoji(
                one.character,
                polygon(self.level.in_frame(one.left, one.top, one.right, one.bottom)),
                round(one.confidence, 3),
            )
            for one in self.emoji
        )

    @property
    def full_text(self) -> str:
        """The words with the emoji that were recognised at their ends."""
        before = self.leading_emoji
        after = "".join(one.character for one in self.emoji if one.at == "end")
        return " ".join(part for part in (before, self.text, after) if part)


def look_at(life: Life, quad: Quad, wording: Wording) -> LineLook:
    """Measure a line whose corners as found are `quad`."""
    height = line_height(quad)
    sharp, origin, offset = _sharp_picture(life, quad)
    level = level_line(sharp, origin, shifted(quad, *offset), 1.7 * height, 0.4 * height)
    still = len(life.strengths) >= _ENOUGH_FOR_MEAN and life.entry.kind != "typed"
    clear = level
    if still:
        mean = np.asarray(cv2.cvtColor(life.mean, cv2.COLOR_GRAY2BGR), np.uint8)
        clear = level_line(mean, life.origin, quad, 1.7 * height, 0.4 * height)
    text, positions = _without_stray_end(wording, line_width(quad), level)
    extent, ink, em, emoji = _measured(text, positions, clear, level)
    head = text.rsplit(" ", 1)[0].rstrip() if re.search(r"\S \S{1,2}$", text) and not emoji else ""
    if len(text) > 2 and text[-1] in _LIKE_SIGNS:
        head = text[:-1].rstrip()
    if (
        life.entry.kind == "typed"
        and line_width(quad) > max(line_width(one.quad) for one in life.line.kept) + height / 2
    ):
        head = ""  # the last letters came after all pictures that were kept
    if head and len(positions) == len(text):
        # A last sign that was an emoji: then there is an emoji right behind the words without it.
        shorter = _measured(head, positions[: len(head)], clear, level)
        sign = not any(character.isalnum() for character in text[len(head) :])
        known, before = (
            sum(one.at == "end" and (bool(one.character) or sign) for one in each) for each in (shorter[3], emoji)
        )
        if known > before:
            text, positions = head, positions[: len(head)]
            extent, ink, em, emoji = shorter
    active = _active_words(life, quad, extent, level) if ink.slab is None else None
    gapped = _spaced(text, positions, level, extent, ink, em) if active is None else text
    if active is not None and gapped == text:
        gapped = _spaced_at(text, positions, level, active.borders)
    around = level.in_frame(extent.left, extent.top, extent.right, extent.bottom)
    # The level picture stands where the line was when the sharp picture was taken.
    to_rest = level.to_frame.copy()
    to_rest[:, 2] -= offset
    at_rest = LevelLine(level.picture, to_rest, level.left, level.top, level.right, level.bottom)
    return LineLook(
        shifted(around, -offset[0], -offset[1]),
        em,
        at_rest,
        extent,
        ink,
        edge_sharpness(level, extent),
        emoji,
        gapped,
        active.look if active else None,
        _seen_line(life, quad, at_rest),
    )


def sightings_within(life: Life) -> list[Sighting]:
    """The line in single frames of its own life, in their colours; in all frames where it was sighted in none of these."""
    return _within(life, life.line.in_frames or life.line.kept)


def _within(life: Life, kept: list[Sighting]) -> list[Sighting]:
    return [one for one in kept if life.first <= one.frame <= life.last] or kept


def _seen_line(life: Life, quad: Quad, level: LevelLine) -> SeenLine:
    """The line's pictures from the frames in which it stands complete and at full strength."""
    room = round(_ROOM * line_height(quad))
    to_frame = level.to_frame.copy()
    to_frame[:, 2] -= to_frame[:, :2] @ np.array([room, room])
    size = (level.picture.shape[1] + 2 * room, level.picture.shape[0] + 2 * room)
    kept = sightings_within(life)
    widest = max(line_width(one.quad) for one in kept)
    strong = 0.85 * float(np.quantile(life.strengths, 0.8)) if len(life.strengths) else 0.0

    def is_full(one: Sighting) -> bool:
        index = one.frame - life.first
        inside = 0 <= index < len(life.strengths)
        return line_width(one.quad) >= 0.93 * widest and (not inside or float(life.strengths[index]) >= strong)

    whole = [one for one in kept if is_full(one)] or [max(kept, key=lambda one: line_width(one.quad))]
    pictures = []
    shown = np.zeros(size[::-1], np.float32)
    for one in whole:
        index = one.frame - life.first
        offset = life.offsets[index] if 0 <= index < len(life.offsets) else np.array(one.offset)
        to_crop = to_frame.copy()
        to_crop[:, 2] += offset - np.array(one.origin)
        picture = cv2.warpAffine(
            one.crop,
            to_crop,
            size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        pictures.append(np.asarray(picture, np.uint8))
        inside = np.ones(one.crop.shape[:2], np.uint8)
        shown += cv2.warpAffine(inside, to_crop, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    return SeenLine(tuple(pictures), to_frame, np.asarray(2 * shown > len(pictures), np.bool_), room, room)


def _active_words(life: Life, quad: Quad, extent: Extent, level: LevelLine) -> ActiveWords | None:
    if life.moves:
        return None
    height = line_height(quad)
    seen = [one for one in life.line.kept if life.first <= one.frame <= life.last]
    levels = [level_line(one.crop, one.origin, quad, 1.7 * height, 0.4 * height) for one in seen]
    return find_active_words([one for one in levels if one.picture.shape == level.picture.shape], extent)


def _spaced_at(text: str, positions: tuple[float, ...], level: LevelLine, borders: Sequence[float]) -> str:
    """The words with a gap wherever an active word began or ended between two letters."""
    if len(text) != len(positions):
        return text
    length = level.right - level.left
    pieces = []
    for index, character in enumerate(text):
        pieces.append(character)
        if index + 1 < len(text) and may_part(character, text[index + 1]):
            here, there = (level.left + positions[at] * length for at in (index, index + 1))
            slack = 0.15 * (there - here)
            if any(here + slack < border < there - slack for border in borders):
                pieces.append(" ")
    return "".join(pieces)


def _measured(
    text: str, positions: tuple[float, ...], clear: LevelLine, sharp: LevelLine
) -> tuple[Extent, Ink, float, tuple[SeenEmoji, ...]]:
    extent = letter_extent(clear, positions)
    ink = measure_ink(sharp, extent)
    drawn_in = inked_rows(extent, ink)
    if drawn_in.height < _TOO_HIGH * extent.height:
        # The scene's edges had a part in what was measured: once more without them.
        extent = drawn_in
        ink = measure_ink(sharp, extent)
    em = em_size(text, max(1.0, extent.height - 2 * ink.stroke_width))
    emoji = find_emoji(sharp, extent, em, ink.slab) if len(text) > 1 else ()
    return extent, ink, em, emoji


def _sharp_picture(life: Life, quad: Quad) -> tuple[Image, tuple[int, int], tuple[int, int]]:
    """A single frame's crop of the whole line, or its mean picture where the line is longer than any crop."""
    kept = _within(life, life.line.kept)
    widest = max(line_width(one.quad) for one in kept)
    if line_width(quad) > 1.15 * widest:
        return np.asarray(cv2.cvtColor(life.mean, cv2.COLOR_GRAY2BGR), np.uint8), life.origin, (0, 0)
    whole = [one for one in kept if line_width(one.quad) >= 0.93 * widest]
    best = min(whole, key=lambda one: _distance_to_middle(one, life))
    return best.crop, best.origin, best.offset


def _distance_to_middle(sighting: Sighting, life: Life) -> float:
    return abs(sighting.frame - (life.first + life.last) / 2)


def _without_stray_end(wording: Wording, width: float, level: LevelLine) -> tuple[str, tuple[float, ...]]:
    """The words without a last mark that stands apart from them and that the network is not sure of: half an emoji."""
    text, positions, certainties = wording.text, wording.positions, wording.certainties
    while len(text) > 3 and len(certainties) == len(text):
        head = text[:-1].rstrip()
        pitch = (positions[len(head) - 1] - positions[0]) / max(len(head) - 1, 1) * width
        gap = (positions[-1] - positions[len(head) - 1]) * width
        spot = level.left + positions[-1] * width
        part = level.picture[int(level.top) : int(level.bottom), max(0, int(spot - pitch)) : int(spot + pitch)]
        colorful = part.size > 0 and float((np.ptp(part.astype(np.int16), axis=2) > 75).mean()) > 0.25
        apart = len(head) < len(text) - 1 or gap > 1.9 * pitch
        if not (apart and (certainties[-1] < 0.8 or (colorful and not text[-1].isalnum()) or gap > 2.6 * pitch)):
            break
        text, positions, certainties = head, positions[: len(head)], certainties[: len(head)]
    return text, positions


def _spaced(text: str, positions: tuple[float, ...], level: LevelLine, extent: Extent, ink: Ink, em: float) -> str:
    """The words with the gaps that stand between the letters: the network drops narrow ones of heavy type."""
    if len(text) != len(positions) or len(text) < 4 or text[0] in _HANDLE:
        return text
    band = (slice(extent.top, extent.bottom), slice(extent.left, extent.right))
    filled = np.asarray((ink.letters[band] | upright_edges(level.picture)[band]).any(axis=0))
    length = level.right - level.left
    letters = [index for index, character in enumerate(text) if not character.isspace()]
    blanks = []
    for index, following in itertools.pairwise(letters):
        start = level.left + positions[index] * length - extent.left
        stop = level.left + positions[following] * length - extent.left
        blanks.append(_longest_blank(filled[max(0, int(start)) : max(0, int(stop) + 1)]))
    gapped = word_gaps(blanks, [following - index > 1 for index, following in itertools.pairwise(letters)], em)
    pieces = [text[letters[0]]]
    for following, gap in zip(letters[1:], gapped, strict=True):
        pieces.append(f" {text[following]}" if gap else text[following])
    return "".join(pieces)


def word_gaps(blanks: Sequence[int], read: Sequence[bool], em: float) -> list[bool]:
    """Between which letters a word ends, from the blank columns between each two and from where a gap was read.

    `blanks` are in pixels, `em` is about the size of the type. One or two blanks may be measured wrong; several that agree
    tell how wide the others are. Where hardly any gap was read, blanks that are all at least twice as wide as all others
    are gaps.
    """
    known = sorted(blank for blank, gap in zip(blanks, read, strict=True) if gap)
    tight = [blank for blank, gap in zip(blanks, read, strict=True) if not gap]
    if not tight:
        return list(read)
    if len(known) >= 3:
        least = max(float(np.median(known)), 0.08 * em, 2.0 * float(np.quantile(tight, 0.9)), 3.0)
        return [gap or blank >= least for blank, gap in zip(blanks, read, strict=True)]
    if len(known) <= 1 and len(blanks) >= 7 and em >= _LARGE:
        ordered = sorted(blanks)
        # There are words of one letter, but not many: most blanks are within words.
        first = -(-6 * len(ordered) // 10)
        ratios = [ordered[place] / max(ordered[place - 1], 1.0) for place in range(first, len(ordered))]
        place = first + int(np.argmax(ratios))
        within, between = ordered[place - 1], ordered[place]
        if between >= max(2.0 * within, within + 0.1 * em, 4.0) and (not known or known[0] >= between):
            return [blank >= between for blank in blanks]
    return list(read)


def _longest_blank(filled: NDArray[np.bool_]) -> int:
    longest = run = 0
    for value in filled:
        run = 0 if value else run + 1
        longest = max(longest, run)
    return longest
