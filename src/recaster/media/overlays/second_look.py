"""A second look at a line that could not be read at first sight: in its mean picture, closer, and wider than its box.

While a line stands still, the scene behind it moves: in the mean over its life the scene blurs away and faint, thin or
tilted letters stand out. There the detector finds the ends that it lost in single frames.
"""

from __future__ import annotations

import cv2
import numpy as np

from recaster.media.overlays.following import Life
from recaster.media.overlays.geometry import axes, bounds, covered, line_height, line_width, overlap, shifted
from recaster.media.overlays.networks import LineDetector, LineRecogniser, Quad, straighten
from recaster.media.overlays.wording import Wording, vote
from recaster.media.video.model import Luma

_WORK_HEIGHT = 40.0
"""Height in pixels that the detector's lines should have in the picture it works on."""
_LEAST_FRAMES = 5
_GOOD = 0.95
"""Confidence from which nothing better is looked for."""
_LAST_LETTERS = 2.2
"""How far behind a typed line more of its letters are looked for, in heights of the line."""
_MOST_LAST_LETTERS = 4
_WIDEST_GAP = 3.0
"""Gap between pieces of one line, in heights of the line."""


def look_again(life: Life, first: Wording, detector: LineDetector, recogniser: LineRecogniser) -> tuple[Quad, Wording]:
    """The line's corners and words after a closer look; those it had where that shows nothing better."""
    if len(life.strengths) < _LEAST_FRAMES or life.moves or life.line.certain:
        return life.quad, first
    best_quad, best = life.quad, first
    # Where words change their colour, single frames may show what the mean has mixed.
    still = [] if life.still is None else [np.asarray(cv2.cvtColor(life.still, cv2.COLOR_BGR2GRAY), np.uint8)]
    for luma in (*still, life.mean, *(luma for luma, _ in life.looks[:2])):
        widest = _WIDEST_GAP if first.confidence < 0.8 else 1.0 if first.confidence < _GOOD else 0.5
        quad, words = _look_into(luma, life, detector, recogniser, widest)
        # What was read well is only given up for as good a reading that contains it.
        if first.confidence >= _GOOD and not _completes(words, first):
            if len(life.line.appearances) == 1:
                break
            continue
        if _worth(words) > _worth(best):
            best_quad, best = quad, words
        if best.confidence >= _GOOD and best_quad is not life.quad:
            break
    return best_quad, best


def typed_to_the_end(life: Life, quad: Quad, words: Wording, recogniser: LineRecogniser) -> tuple[Quad, Wording]:
    """A typed line's corners and words with the last letters, which may be there for less time than between two looks."""
    if life.entry.kind != "typed" or life.end is None or not words.text:
        return quad, words
    _, along, _ = axes(quad)
    width, step = line_width(quad), _LAST_LETTERS * line_height(quad) * along
    wider = np.stack([quad[0], quad[1] + step, quad[2] + step, quad[3]]).astype(np.float32)
    picture = np.asarray(cv2.cvtColor(life.end, cv2.COLOR_GRAY2BGR), np.uint8)
    (read,) = recogniser.read([straighten(picture, shifted(wider, -life.origin[0], -life.origin[1]))])
    more = len("".join(read.text.split())) - len(_squeezed(words))
    added = read.certainties[len(read.text) - max(more, 0) :]
    begins_so = "".join(read.text.split()).casefold().startswith(_squeezed(words))
    if not 0 < more <= _MOST_LAST_LETTERS or not begins_so or min(added) < _GOOD or read.confidence < _GOOD:
        return quad, words
    text = read.text.rstrip()
    scale = line_width(wider) / width
    places = [scale * place for place in read.positions[: len(text)]]
    pitch = (places[-1] - places[0]) / max(len(text) - 1, 1)
    end = max(1.0, places[-1] + 0.7 * pitch)
    reach = (end - 1.0) * width * along
    longest = np.stack([quad[0], quad[1] + reach, quad[2] + reach, quad[3]]).astype(np.float32)
    positions = tuple(place / end for place in places)
    return longest, Wording(text, min(words.confidence, read.confidence), positions, read.certainties[: len(text)])


def _look_into(
    luma: Luma, life: Life, detector: LineDetector, recogniser: LineRecogniser, widest: float
) -> tuple[Quad, Wording]:
    picture = np.asarray(cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR), np.uint8)
    scale = float(np.clip(_WORK_HEIGHT / line_height(life.quad), 0.7, 1.6))
    known = shifted(life.quad, -life.origin[0], -life.origin[1])
    pieces = [one.quad for one in detector.detect(picture, scale)]
    chain = _chain(known, [piece for piece in pieces if _in_line(known, piece)], widest)
    best_quad, best = life.quad, Wording("", 0.0, ())
    for quad in (chain, *_touching(known, pieces)):
        crop = straighten(picture, quad)
        wide = np.asarray(cv2.resize(crop, None, fx=1.2, fy=1.0, interpolation=cv2.INTER_CUBIC), np.uint8)
        words = vote(recogniser.read([crop, wide]), [1.0, 1.0])
        if _worth(words) > _worth(best):
            best_quad, best = shifted(quad, *life.origin), words
    return best_quad, best


def _completes(words: Wording, first: Wording) -> bool:
    """Whether a reading is a sure one that has at least a word more than the first."""
    more = len(_squeezed(words)) - len(_squeezed(first))
    return words.confidence >= 0.95 and more >= 2 and _squeezed(first) in _squeezed(words)


def _squeezed(words: Wording) -> str:
    return "".join(words.text.split()).casefold()


def _worth(words: Wording) -> float:
    """Letters read for sure: what is unsure counts against a reading."""
    return len(words.text.replace(" ", "")) * (words.confidence - 0.45)


def _touching(known: Quad, pieces: list[Quad]) -> list[Quad]:
    return [
        piece
        for piece in pieces
        if overlap(bounds(known), bounds(piece)) > 0.3 or covered(bounds(known), bounds(piece)) > 0.6
    ]


def _in_line(known: Quad, piece: Quad) -> bool:
    """Whether a piece lies on the line's own axis, has its height and is not far from it."""
    corner, along, down = axes(known)
    height = line_height(known)
    centre = piece.mean(axis=0) - corner
    off = float(centre @ down) - height / 2
    tilt = piece[1] - piece[0]
    turned = abs(float(along[0] * tilt[1] - along[1] * tilt[0])) / max(float(np.linalg.norm(tilt)), 1e-6)
    # The tilt of a short piece is not sure.
    slack = 0.06 if line_width(known) >= 4 * height else 0.17
    reach = max(0.4 * height, slack * abs(float(centre @ along) - line_width(known) / 2))
    level_enough = turned < max(0.16, 1.4 * slack) or line_width(piece) < 2.5 * height
    return abs(off) < reach and 0.6 < line_height(piece) / height < 1.6 and level_enough


def _chain(known: Quad, pieces: list[Quad], widest: float) -> Quad:
    """The rectangle around the line and all pieces that follow it without a wide gap."""
    corner, along, down = axes(known)
    height, width = line_height(known), line_width(known)
    spans = sorted(
        (float(((piece - corner) @ along).min()), float(((piece - corner) @ along).max()), index)
        for index, piece in enumerate(pieces)
    )
    left, right = 0.0, width
    members = [known]
    changed = True
    while changed:
        changed = False
        for start, stop, index in spans:
            if (start < left or stop > right) and start - right < widest * height and left - stop < widest * height:
                left, right = min(left, start), max(right, stop)
                members.append(pieces[index])
                changed = True
    centre, size, angle = cv2.minAreaRect(np.concatenate(members).astype(np.float32))
    corners = np.asarray(cv2.boxPoints((centre, size, angle)), np.float32)
    order = np.argsort((corners - corner) @ along)
    left_pair, right_pair = corners[order[:2]], corners[order[2:]]
    left_pair = left_pair[np.argsort(left_pair @ down)]
    right_pair = right_pair[np.argsort(right_pair @ down)]
    return np.asarray([left_pair[0], right_pair[0], right_pair[1], left_pair[1]], np.float32)


def is_piece_of(quad: Quad, other: Quad) -> bool:
    """Whether two found lines look like pieces of one: on one axis, alike in height, with no more than a gap between."""
    if not _in_line(other, quad) or not _in_line(quad, other):
        return False
    corner, along, _ = axes(other)
    places = (quad - corner) @ along
    gap = max(float(places.min()) - line_width(other), -float(places.max()))
    return -0.6 * line_height(other) < gap < 1.6 * line_height(other)
