"""What a line says: read once per line, from its best crops and its mean picture, by a vote.

Emoji, scripts that the network does not know and the sense of the words are treated elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from rapidfuzz.distance import Levenshtein

from recaster.media.overlays.contours import gradient
from recaster.media.overlays.finding import FoundLine, Sighting
from recaster.media.overlays.following import Life
from recaster.media.overlays.geometry import axes, line_height, line_width, shifted
from recaster.media.overlays.networks import LineRecogniser, Quad, ReadText, straighten
from recaster.media.video.model import Image

_CERTAIN = 0.96
"""Confidence from which words need no second look."""
_SHARE_WITH_GAP = 0.3
"""Share of the readings that must have a gap between two letters: they lose one sooner than they see one too many."""
_BAR = 0.97
"""How sure it is that a single upright bar is the letter I."""
_WIDEST_BAR = 0.55
"""Width of an upright bar against its height, at most: the I of the heaviest faces."""
_VERY_CERTAIN = 0.985
"""Confidence at first sight from which a line is not read again."""
_MOSTLY_THE_SAME = 0.75
"""Share of the letters that two readings have in common that are compared letter by letter."""
_CLEARLY = 0.3
"""By how much the certainties of all that read a letter so must be more than of those that read it otherwise."""
_OPENING, _CLOSING = "([", "),.]"
_MEAN_WEIGHT = 1.5
_MOST_SIGHTINGS = 2


@dataclass(frozen=True, slots=True)
class Wording:
    """The outcome of a vote."""

    text: str
    confidence: float
    """0–1: how sure the network was, lowered where the crops disagree."""
    positions: tuple[float, ...]
    """Centre of each character of `text` along the line, 0–1."""
    certainties: tuple[float, ...] = ()
    """Probability of each character of `text`."""


def read_at_sight(line: FoundLine, recogniser: LineRecogniser) -> ReadText:
    """Read a line's widest crop, and note on the line whether that leaves no doubt."""
    widest = max(line.kept, key=lambda one: (line_width(one.quad), one.frame))
    quad = _inside(widest.quad, widest.origin)
    picture = widest.crop if line.clear is None else line.clear
    cut = straighten(picture, quad)
    (read,) = recogniser.read([cut])
    if len(_key(read.text)) == 1 and _is_bar(cut):
        read = replace(read, text="I", confidence=max(read.confidence, _BAR), positions=(0.5,), certainties=(_BAR,))
    line.at_sight = _along(read, shifted(widest.quad, -widest.offset[0], -widest.offset[1]), line.quad)
    line.certain = read.confidence >= _CERTAIN and bool(read.text.strip()) and not _goes_on(widest, quad)
    return read


def _along(read: ReadText, seen: Quad, quad: Quad) -> ReadText:
    """A reading of a line that was cut as `seen`, with its positions along `quad`."""
    corner, along, _ = axes(quad)
    before, scale = float((seen[0] - corner) @ along) / line_width(quad), line_width(seen) / line_width(quad)
    places = tuple(float(np.clip(before + scale * place, 0, 1)) for place in read.positions)
    return replace(read, positions=places)


def _goes_on(sighting: Sighting, quad: Quad) -> bool:
    """Whether right beyond an end of the line there are as many hard edges as in it: the detector may have lost a word."""
    height = line_height(quad)
    magnitude = np.abs(gradient(sighting.luma)).sum(axis=-1)
    _, along, _ = axes(quad)
    step = along * height
    before = np.stack([quad[0] - 1.3 * step, quad[0] - 0.15 * step, quad[3] - 0.15 * step, quad[3] - 1.3 * step])
    after = np.stack([quad[1] + 0.15 * step, quad[1] + 1.3 * step, quad[2] + 1.3 * step, quad[2] + 0.15 * step])
    hard = magnitude >= max(48.0, 0.4 * float(np.quantile(magnitude, 0.985)))

    def density(corners: Quad) -> float:
        mask = np.zeros(hard.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
        return float(hard[mask > 0].mean()) if mask.any() else 0.0

    return max(density(before), density(after)) > 0.6 * density(quad)


def read_life(life: Life, recogniser: LineRecogniser) -> Wording:
    """Read one line: two looks at its best crop, and where these are unsure or do not agree many more."""
    words = _read_life(life, recogniser)
    if len(_key(words.text)) == 1:
        best = _best(life)[0]
        # Alone, an upright bar has nothing to be told by, and the network takes it for any sign.
        if _is_bar(straighten(best.crop, _inside(_corners(life, best), best.origin))):
            return Wording("I", max(words.confidence, _BAR), (0.5,), (_BAR,))
    return words


def _is_bar(line: Image) -> bool:
    """Whether a line is a single filled upright bar, bright or dark."""
    luma = cv2.cvtColor(line, cv2.COLOR_BGR2GRAY)
    bright = cv2.threshold(luma, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]
    height, width = luma.shape
    for mask in (bright, cv2.bitwise_not(bright)):
        _, labels, stats, _ = cv2.connectedComponentsWithStats(np.asarray(mask, np.uint8))
        middle = int(labels[height // 2, width // 2])
        x, y, wide, high, filled = (int(value) for value in stats[middle])
        inside = x > 0 and y > 0 and x + wide < width and y + high < height
        if middle == 0 or not inside or wide > high:
            continue
        # So short a line is often cut a little askew.
        short, long = sorted(cv2.minAreaRect(np.argwhere(labels == middle).astype(np.float32))[1])
        if 0.4 * height < long and short + 1 < _WIDEST_BAR * long and filled > 0.8 * (short + 1) * (long + 1):
            return True
    return False


def _read_life(life: Life, recogniser: LineRecogniser) -> Wording:
    sightings = _best(life)
    best = sightings[0]
    quad = _inside(_corners(life, best), best.origin)
    crop = straighten(best.crop, quad)
    sight = life.line.at_sight
    if sight is not None and sight.confidence >= _VERY_CERTAIN and len(life.line.appearances) == 1:
        return vote([sight], [1.0])
    # Set wider, heavy type shows its word gaps to the network.
    reads = list(recogniser.read([crop, widened(crop, 1.3)]))
    same = len({_key(read.text) for read in reads}) == 1
    if same and min(read.confidence for read in reads) >= _CERTAIN and len(life.line.appearances) == 1:
        return vote(reads, [1.0, 1.0])
    weights = [1.0, 1.0]
    # Cut closer, letters on a box show their ends.
    more = [straighten(best.crop, closer(quad)), widened(crop, 1.5)]
    more += [straighten(one.crop, _inside(_corners(life, one), one.origin)) for one in sightings[1:]]
    for luma, offset in life.looks:
        picture = np.asarray(cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR), np.uint8)
        more.append(straighten(picture, shifted(_inside(life.quad, life.origin), *offset)))
    weights += [1.0] * len(more)
    for still in (life.line.clear, life.still):
        if still is not None:
            origin = best.origin if still is life.line.clear else life.origin
            more.append(straighten(still, _inside(life.quad, origin)))
            weights.append(_MEAN_WEIGHT)
    if len(life.strengths) >= 4:
        mean = np.asarray(cv2.cvtColor(life.mean, cv2.COLOR_GRAY2BGR), np.uint8)
        more.append(straighten(mean, _inside(life.quad, life.origin)))
        weights.append(_MEAN_WEIGHT)
    return vote([*reads, *recogniser.read(more)], weights)


def widened(crop: Image, factor: float) -> Image:
    """A line's picture made wider: that shows the network the gaps of heavy type."""
    return np.asarray(cv2.resize(crop, None, fx=factor, fy=1.0, interpolation=cv2.INTER_CUBIC), np.uint8)


def vote(reads: Sequence[ReadText], weights: Sequence[float], *, alike_agree: bool = False) -> Wording:
    """The text that gathers the most confidence, among those that differ by spaces or case as well.

    With `alike_agree`, readings that differ by a letter or two do not count as disagreement.
    """
    groups: dict[str, list[tuple[float, ReadText]]] = defaultdict(list)
    for read, weight in zip(reads, weights, strict=True):
        if read.text.strip():
            groups[_key(read.text)].append((weight * read.confidence**2, read))
    if not groups:
        return Wording("", 0.0, ())
    # A reading with more letters, all of them sure, has seen what the others lost.
    key = max(groups, key=lambda name: (sum(weight for weight, _ in groups[name]) * (len(name) + 4), name))
    best = _by_letters(_spaced(groups[key]), reads, weights)
    total = sum(weight for group in groups.values() for weight, _ in group)
    share = sum(weight for weight, _ in groups[key]) / total
    if alike_agree:
        shares = ((name, sum(weight for weight, _ in group) / total) for name, group in groups.items())
        share = sum(part * Levenshtein.normalized_similarity(name, key) for name, part in shares)
    begin = len(best.text) - len(best.text.lstrip())
    end = len(best.text.rstrip())
    return Wording(
        best.text[begin:end],
        best.confidence * (0.9 + 0.1 * share),
        best.positions[begin:end],
        best.certainties[begin:end],
    )


def _by_letters(best: ReadText, reads: Sequence[ReadText], weights: Sequence[float]) -> ReadText:
    """The reading with each letter that which most readings of as many and mostly the same letters have at its place."""
    letters = [index for index, character in enumerate(best.text) if not character.isspace()]
    found: list[dict[str, float]] = [defaultdict(float) for _ in letters]
    for read, weight in zip(reads, weights, strict=True):
        own = [(one, sure) for one, sure in zip(read.text, read.certainties, strict=True) if not one.isspace()]
        same = sum(one.casefold() == best.text[index].casefold() for (one, _), index in zip(own, letters, strict=False))
        if len(own) == len(letters) and same >= _MOSTLY_THE_SAME * len(letters):
            for votes, (one, sure) in zip(found, own, strict=True):
                votes[one] += weight * sure
    text, certainties = list(best.text), list(best.certainties)
    for votes, index in zip(found, letters, strict=True):
        winner = max(votes, key=lambda one: (votes[one], one == best.text[index]), default=best.text[index])
        # A single reading that is surer of its letter than the others of theirs is not enough.
        if winner.casefold() != best.text[index].casefold() and votes[winner] > votes[best.text[index]] + _CLEARLY:
            text[index], certainties[index] = winner, votes[winner] / sum(votes.values())
    return replace(best, text="".join(text), certainties=tuple(certainties))


def _spaced(group: Sequence[tuple[float, ReadText]]) -> ReadText:
    """The surest of readings with the same letters, with a gap wherever a good part of them has one."""
    _, best = max(group, key=lambda pair: pair[0])
    gaps: dict[int, float] = defaultdict(float)
    for weight, read in group:
        for at in _gaps_after(read.text):
            gaps[at] += weight
    total = sum(weight for weight, _ in group)
    wanted = {at for at, weight in gaps.items() if weight >= _SHARE_WITH_GAP * total}
    text, positions, certainties = "", [], []
    letters = [index for index, character in enumerate(best.text) if not character.isspace()]
    for number, index in enumerate(letters):
        text += best.text[index]
        positions.append(best.positions[index])
        certainties.append(best.certainties[index])
        if (
            number in wanted
            and number + 1 < len(letters)
            and may_part(best.text[index], best.text[letters[number + 1]])
        ):
            text += " "
            positions.append((best.positions[index] + best.positions[letters[number + 1]]) / 2)
            certainties.append(gaps[number] / total)
    return replace(best, text=text, positions=tuple(positions), certainties=tuple(certainties))


def may_part(before: str, after: str) -> bool:
    """Whether words may end between two letters: never before what closes a word or right behind what opens one."""
    return not (before.isspace() or after.isspace() or after in _CLOSING or before in _OPENING)


def _gaps_after(text: str) -> set[int]:
    """Numbers of the letters that are followed by a gap."""
    count = 0
    found = set()
    for character in text:
        if character.isspace():
            found.add(count - 1)
        else:
            count += 1
    return found


def _key(text: str) -> str:
    return "".join(text.split()).casefold()


def _best(life: Life) -> list[Sighting]:
    """The crops worth reading: whole lines, seen while this life lasts, those farthest from its ends first.

    Text that was typed on is complete in the end.
    """
    kept = [one for one in life.line.kept if life.first <= one.frame <= life.last] or life.line.kept
    widest = max(line_width(one.quad) for one in kept)
    whole = [one for one in kept if line_width(one.quad) >= 0.9 * widest]
    aim = life.last if life.entry.kind == "typed" else (life.first + life.last) / 2
    ranked = sorted(whole, key=lambda one: (line_width(one.quad) < 0.97 * widest, abs(one.frame - aim), one.frame))
    return ranked[:_MOST_SIGHTINGS]


def _corners(life: Life, sighting: Sighting) -> Quad:
    """Where a line lies in a sighting: a still one as all its sightings together have it."""
    return sighting.quad if life.line.moves else life.quad


def closer(quad: Quad) -> Quad:
    """A line cut closer to its letters, above and below."""
    down = 0.12 * (quad[3] - quad[0])
    return np.asarray(quad + np.stack([down, down, -down, -down]), np.float32)


def _inside(quad: Quad, origin: tuple[int, int]) -> Quad:
    return shifted(quad, -origin[0], -origin[1])
