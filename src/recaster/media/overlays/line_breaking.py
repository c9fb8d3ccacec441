"""Where lines of text are broken: as a person would, evenly, never within a word, and by the rules of each script.

Widths come from a measuring function; this module knows no text engine and no places.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from itertools import pairwise

import regex

_WIDE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\u3000-\u303fー～！-／：-＠［-｀｛-･]")
"""What stands without spaces: Chinese letters and kana with their own punctuation."""
_MARKER = regex.compile(r"^(?:\p{N}{1,3}[.)\]:]?|[-–—•·*→]+|#\p{N}+)$")


_NEVER_FIRST = frozenset(
    "、。，．・：；？！ーゝゞヽヾ々〻％℃‰～…‥）］｝〉》」』】〕〗ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶ"
)
"""Beside closing punctuation: marks and small kana that begin no line (the kinsoku rules of JIS X 4051, and their like in
Chinese)."""
_NEVER_LAST = frozenset("（［｛〈《「『【〔〖￥＄＃＠")


def _may_break(before: str, after: str) -> bool:
    """Whether a line may end between two characters of a word: beside Chinese letters and kana, but never a mark alone."""
    if not (_WIDE.match(before) or _WIDE.match(after)):
        return False
    closing = unicodedata.category(after) in ("Po", "Pe", "Pf") or after in _NEVER_FIRST
    opening = unicodedata.category(before) in ("Ps", "Pi") or before in _NEVER_LAST
    return not closing and not opening


def _pieces(paragraph: str) -> list[tuple[str, str]]:
    """Pieces that are never broken, each with what joins it to the piece before when both share a line."""
    found: list[tuple[str, str]] = []
    for word in paragraph.split():
        parts: list[str] = []
        for cluster in regex.findall(r"\X", word):
            if not parts or _may_break(parts[-1][-1], cluster[0]):
                parts.append(cluster)
            else:
                parts[-1] += cluster
        found += [(part, " " if i == 0 else "") for i, part in enumerate(parts)]
    glued: list[tuple[str, str]] = []
    for part, joint in found:
        # A list marker stays with its first word, and an emoji with the word it follows: neither may stand alone.
        after_marker = len(glued) == 1 and _MARKER.match(glued[0][0]) is not None
        pictorial = not any(unicodedata.category(c)[0] in "LN" for c in part) and not _MARKER.match(part)
        if glued and (after_marker or pictorial):
            glued[-1] = (glued[-1][0] + joint + part, glued[-1][1])
        else:
            glued.append((part, joint))
    return glued


def break_lines(text: str, width: float, max_lines: int, measure: Callable[[str], float]) -> tuple[str, ...] | None:
    """Break `text` into at most `max_lines` lines no wider than `width`, as evenly as possible; None if it cannot be.

    Line breaks in the text are kept. The fewest lines are used; among those, the break with the least squared
    difference from the mean width wins (the total-fit idea of Knuth and Plass, 1981, without hyphenation), and a last
    line of one short word costs extra.
    """
    paragraphs = [_pieces(paragraph) for paragraph in text.split("\n")]
    space = measure("n n") - 2 * measure("n")
    least: list[list[list[str]]] = []
    for pieces in paragraphs:
        options = _options(pieces, width, max_lines, measure, space)
        if not options:
            return None
        least.append(options)
    lines = [line for options in least for line in options[0]]
    return tuple(lines) if len(lines) <= max_lines else None


def _options(
    pieces: list[tuple[str, str]], width: float, max_lines: int, measure: Callable[[str], float], space: float
) -> list[list[str]]:
    if not pieces:
        return [[""]]
    widths = [measure(part) for part, _ in pieces]
    joints = [space if joint else 0.0 for _, joint in pieces]
    starts = [0.0]
    for own, joint in zip(widths, joints, strict=True):
        starts.append(starts[-1] + own + joint)

    def span(a: int, b: int) -> float:
        return starts[b] - starts[a] - joints[a]

    n = len(pieces)
    for count in range(1, min(max_lines, n) + 1):
        mean = min(width, span(0, n) / count)
        best: list[list[tuple[float, int]]] = [[(math.inf, -1)] * (n + 1) for _ in range(count + 1)]
        best[0][0] = (0.0, -1)
        for line in range(1, count + 1):
            for b in range(line, n + 1):
                for a in range(line - 1, b):
                    before = best[line - 1][a][0]
                    own = span(a, b)
                    if before == math.inf or own > width:
                        continue
                    cost = before + (own - mean) ** 2
                    if b == n and count > 1 and b - a == 1 and own < 0.5 * mean:
                        cost += mean**2
                    if cost < best[line][b][0]:
                        best[line][b] = (cost, a)
        if best[count][n][0] < math.inf:
            cuts = [n]
            for line in range(count, 0, -1):
                cuts.append(best[line][cuts[-1]][1])
            cuts.reverse()
            return [
                [
                    "".join((joint if i else "") + part for i, (part, joint) in enumerate(pieces[a:b]))
                    for a, b in pairwise(cuts)
                ]
            ]
    return []
