"""From lives of lines to blocks: pieces of one line are joined, doubles dropped, lines that belong together grouped.

Only place, time and words count here; roles and looks are given to the finished blocks elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from rapidfuzz.distance import Levenshtein

from recaster.media.overlays.following import Life, with_ends
from recaster.media.overlays.geometry import bounds, covered, line_height, line_width, overlap
from recaster.media.overlays.looks import LineLook
from recaster.media.overlays.model import Animation, Box
from recaster.media.overlays.networks import Quad
from recaster.media.overlays.roles import starts_item

_LONGEST_CAPTION = 90
"""Frames that a caption of a few words stands at most."""
_LONGEST_LOSS = 12
"""Frames for which a faint line may be lost in between."""
_SURE = 0.95
"""Confidence from which the letters of a reading are believed against those of another."""
_ALIKE_SLABS = 60.0
"""Distance of two boxes' colours (0–441) up to which they are of one kind."""


@dataclass(slots=True, eq=False)
class ReadLine:
    """A line with its words over its whole life."""

    life: Life
    """The life whose pictures speak for the line."""
    text: str
    confidence: float
    quad: Quad
    """Corners as found, at the place of the life's first sighting."""
    look: LineLook
    first: int
    last: int
    entry: Animation
    exit: Animation

    @property
    def box(self) -> Box:
        """The upright box of the line."""
        return bounds(self.quad)

    def box_at(self, frame: int) -> Box:
        """The upright box of the line in a frame, or in the nearest one of its life."""
        offsets = self.life.offsets
        dx, dy = offsets[min(max(frame - self.life.first, 0), len(offsets) - 1)]
        left, top, right, bottom = self.box
        return (left + float(dx), top + float(dy), right + float(dx), bottom + float(dy))

    @property
    def weight(self) -> float:
        """How much the line has to say for itself against a double: its words, its size and its length in time."""
        return float(self.confidence * line_width(self.quad) * (self.last - self.first + 1) ** 0.25)


def joined(lines: list[ReadLine]) -> list[ReadLine]:
    """Join pieces of one line, and drop doubles: readings of a part of another line."""
    kept: list[ReadLine] = []
    for line in sorted(lines, key=lambda one: (-one.weight, one.first)):
        for other in kept:
            if _same_line(other, line):
                _absorb(other, line)
                break
            if _double_of(line, other):
                if _was_passed_over(line, other):
                    _append(other, line)
                elif _letters(line.text) and _letters(line.text) in _letters(other.text):
                    _share_start(other, line)
                break
        else:
            kept.append(line)
    # Pieces that were too far apart before what lies between them was joined.
    result: list[ReadLine] = []
    for line in sorted(kept, key=lambda one: (one.first, one.box[1])):
        before = next((other for other in result if _same_line(other, line)), None)
        if before is None:
            result.append(line)
        else:
            _absorb(before, line)
    return _handed_over(result)


def _handed_over(lines: list[ReadLine]) -> list[ReadLine]:
    """Join what was found of a caption while its first words stood out with what was found while the others did.

    The detector often loses the word on a box, or takes it for a line of its own.
    """
    result: list[ReadLine] = []
    for line in sorted(lines, key=lambda one: (one.first, one.box[0])):
        for other in result:
            if not _takes_over(other, line):
                continue
            if _is_part_of(line, other):
                _divide(other, line)
                _absorb(other, line)
            elif _is_part_of(other, line):
                _divide(line, other)
                _absorb(line, other)
                result[result.index(other)] = line
            elif _stands_beside(other, line):
                _append(other, line)
            else:
                continue
            break
        else:
            result.append(line)
    return result


def _takes_over(earlier: ReadLine, later: ReadLine) -> bool:
    """Whether one line of a row is there when the other has just gone, and both only for a short time."""
    if max(earlier.last - earlier.first, later.last - later.first) > _LONGEST_CAPTION or earlier.life.moves:
        return False
    if not -4 <= later.first - earlier.last <= 2 or later.last - earlier.last < 3:
        return False
    a, b = earlier.box, later.box
    height = min(a[3] - a[1], b[3] - b[1])
    return min(a[3], b[3]) - max(a[1], b[1]) > 0.6 * height and max(a[3] - a[1], b[3] - b[1]) < 1.4 * height


def _is_part_of(part: ReadLine, whole: ReadLine) -> bool:
    """Whether the part's words are the first or the last ones of the whole and stand where these stand."""
    words, all_words = _letters(part.text), _letters(whole.text)
    if not words or words == all_words:
        return False
    slack = 0.3 * (part.box[3] - part.box[1])
    at_start = all_words.startswith(words) and abs(part.box[0] - whole.box[0]) < slack
    at_end = all_words.endswith(words) and abs(part.box[2] - whole.box[2]) < slack
    return at_start or at_end


def _divide(whole: ReadLine, part: ReadLine) -> None:
    """Give the words of a whole the gap at which a part of it stood alone."""
    count, total = len(_letters(part.text)), len(_letters(whole.text))
    at = count if _letters(whole.text).startswith(_letters(part.text)) else total - count
    seen = 0
    for index, character in enumerate(whole.text):
        if seen == at and not character.isspace() and not whole.text[index - 1].isspace():
            whole.text = f"{whole.text[:index]} {whole.text[index:]}"
            whole.look = replace(whole.look, text=whole.text)
            return
        seen += not character.isspace()


def _stands_beside(one: ReadLine, other: ReadLine) -> bool:
    # Words on two boxes of one colour are two lines; of a caption only the word being said is on a box.
    slabs = one.look.ink.slab, other.look.ink.slab
    if slabs[0] is not None and slabs[1] is not None and float(np.linalg.norm(slabs[0] - slabs[1])) < _ALIKE_SLABS:
        return False
    gap = max(one.box[0], other.box[0]) - min(one.box[2], other.box[2])
    height = one.box[3] - one.box[1]
    return -0.6 * height < gap < 0.8 * height


def _append(line: ReadLine, other: ReadLine) -> None:
    left, right = sorted((line, other), key=lambda one: one.box[0] + one.box[2])
    line.text = f"{left.text} {right.text}"
    whole = np.stack([left.look.quad[0], right.look.quad[1], right.look.quad[2], left.look.quad[3]])
    line.look = replace(line.look, text=line.text, quad=whole)
    line.quad = np.stack([left.quad[0], right.quad[1], right.quad[2], left.quad[3]])
    line.confidence = min(line.confidence, other.confidence)
    if other.last > line.last:
        line.last, line.exit = other.last, other.exit


def _same_line(one: ReadLine, other: ReadLine) -> bool:
    # What is faint is lost for a while where the scene behind it is as bright, and is not read alike each time.
    faint = one.life.contours.is_faint and other.life.contours.is_faint
    gap = max(one.first, other.first) - min(one.last, other.last)
    if gap > (_LONGEST_LOSS if faint else 3) or overlap(*_boxes_together(one, other)) < 0.4:
        return False
    alike = Levenshtein.normalized_similarity(_letters(one.text), _letters(other.text))
    return alike >= (0.4 if faint and min(one.confidence, other.confidence) < 0.95 else 0.75)


def _boxes_together(one: ReadLine, other: ReadLine) -> tuple[Box, Box]:
    """Both boxes in the middle of the time they share, or where one follows the other."""
    frame = (max(one.first, other.first) + min(one.last, other.last)) // 2
    return one.box_at(frame), other.box_at(frame)


def _double_of(line: ReadLine, other: ReadLine) -> bool:
    # A part of a line that was only seen in the mean of many frames seems to fade in for ever: its time there says little.
    first = line.first + (line.entry.frames if line.entry.kind == "fade" else 0)
    together = min(line.last, other.last) - max(first, other.first) + 1
    return together > 0.5 * (line.last - first + 1) and covered(*_boxes_together(line, other)) > 0.6


def _share_start(line: ReadLine, part: ReadLine) -> None:
    """A part of a line that was seen a frame or two before the whole was there with it."""
    if 0 < line.first - part.first <= 3:
        line.first = part.first


def _was_passed_over(line: ReadLine, other: ReadLine) -> bool:
    """Whether a line is the end of a caption that was only read there when another word of it stood out.

    It begins while the caption stands and goes with it; its words are none of those that were read.
    """
    if min(line.confidence, other.confidence) < 0.9 or line.life.moves or _letters(line.text) in _letters(other.text):
        return False
    if other.last - other.first > _LONGEST_CAPTION or line.first < other.first + 3 or abs(line.last - other.last) > 1:
        return False
    height = line.box[3] - line.box[1]
    at_end = min(abs(line.box[0] - other.box[0]), abs(line.box[2] - other.box[2])) < 0.3 * height
    return at_end and abs(line.box[1] - other.box[1]) + abs(line.box[3] - other.box[3]) < 0.5 * height


def _absorb(line: ReadLine, other: ReadLine) -> None:
    if line.life.moves or other.life.moves:
        line.life = _continued(line.life, other.life)
    more_gaps = len(other.text.split()) > len(line.text.split())
    if more_gaps and other.confidence >= 0.85 and _letters(other.text) == _letters(line.text):
        line.text = other.text
        line.look = replace(line.look, text=other.look.text)
    elif _lost_letters(line, other):
        line.life, line.text, line.look, line.quad = other.life, other.text, other.look, other.quad
        line.confidence = other.confidence
    if other.first < line.first:
        line.first, line.entry = other.first, other.entry
    if other.last > line.last:
        line.last, line.exit = other.last, other.exit


def _lost_letters(line: ReadLine, other: ReadLine) -> bool:
    """Whether another reading of a still line has all its letters and a few between them that this one has not.

    On the box behind the word that is being said, letters run into each other, and some are lost.
    """
    if line.life.moves or other.life.moves or min(line.confidence, other.confidence) < _SURE:
        return False
    few, all_letters = _letters(line.text), iter(_letters(other.text))
    more = len(_letters(other.text)) - len(few)
    return 0 < more <= 0.4 * len(few) and all(letter in all_letters for letter in few)


def _continued(life: Life, other: Life) -> Life:
    """A moving line's life with the places of a piece of it that was followed on its own."""
    first, last = min(life.first, other.first), max(life.last, other.last)
    longer = with_ends(life, first, last)
    jump = np.rint(other.quad.mean(axis=0) - life.quad.mean(axis=0)).astype(np.int32)
    offsets, strengths = longer.offsets.copy(), longer.strengths.copy()
    for frame in (*range(first, life.first), *range(life.last + 1, last + 1)):
        if other.first <= frame <= other.last:
            offsets[frame - first] = other.offsets[frame - other.first] + jump
            strengths[frame - first] = other.strengths[frame - other.first]
    return replace(longer, offsets=offsets, strengths=strengths)


def _letters(text: str) -> str:
    return "".join(text.split()).casefold()


def grouped(lines: list[ReadLine]) -> list[list[ReadLine]]:
    """Group lines that stand under each other, alike in height, and come and go together; each group from top to bottom."""
    blocks: list[list[ReadLine]] = []
    for line in sorted(lines, key=lambda one: (one.box[1] + one.box[3], one.first)):
        for block in blocks:
            if _belongs(block[-1], line):
                block.append(line)
                break
        else:
            blocks.append([line])
    for block in blocks:
        _share_ends(block)
    return blocks


def _belongs(above: ReadLine, line: ReadLine) -> bool:
    height_a, height_b = line_height(above.quad), line_height(line.quad)
    a, b = above.box, line.box
    alike = max(height_a, height_b) <= 1.45 * min(height_a, height_b)
    tilt = 0.5 * abs(float(above.quad[1, 1] - above.quad[0, 1]))
    below = -0.75 * height_a - tilt <= b[1] - a[3] <= 0.7 * height_a and b[1] > a[1]
    across = min(a[2], b[2]) - max(a[0], b[0]) > 0.3 * min(a[2] - a[0], b[2] - b[0])
    return alike and below and across and _together(above, line) and not starts_item(line.text)


def _together(above: ReadLine, line: ReadLine) -> bool:
    if abs(above.last - line.last) > 3:
        return False
    if abs(above.first - line.first) <= 3:
        return True
    typed = "typed" in (above.entry.kind, line.entry.kind)
    return typed and above.first < line.first <= above.first + above.entry.frames + 12


def _share_ends(block: list[ReadLine]) -> None:
    """The lines of a block come and go as one; what few frames one was seen longer, the others were there too."""
    first, last = min(line.first for line in block), max(line.last for line in block)
    for line in block:
        line.first, line.last = first, last
