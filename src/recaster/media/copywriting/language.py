"""Which language overlays are in, and whether words of another were left standing. It translates nothing.

Words that hold sentences together (`data/language.toml`) decide most lines at no cost. Where they leave a doubt,
lingua's n-gram models are asked: among the supported languages for a whole video, between exactly two for a leftover,
because restricting the choice is what makes short lines decidable. The models are loaded on first use only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

import emoji
import regex
from lingua import IsoCode639_1, Language, LanguageDetector, LanguageDetectorBuilder

from recaster.media.copywriting.brand import base_language

SURE = 0.7
"""Least confidence of the n-gram models; on 150 short lines every answer above it was right, and 57 had none."""
SUPPORTED = ("en", "es", "fr", "de", "pt")
"""Base languages among which the language of a source is looked for."""
_TELLING_WORDS = 3
"""Least words of a line that is judged by the n-gram models; on one or two they guess."""

_COUNTERS = "(?:step|tip|rule|reason|sign|mistake|no|nr|number|paso|consejo|étape|astuce|schritt|passo|dica)"
_MARK = regex.compile(
    rf"^\s*(?:{_COUNTERS}\.?\s*\p{{N}}{{1,2}}\s*[.):\-–—](?=\s)|#\p{{N}}{{1,2}}[.):]?(?=\s)"
    r"|\p{N}{1,2}\s*[.):](?!\p{N})|\p{N}{1,2}\s+[-–—](?=\s)"
    r"|\p{N}\ufe0f?\u20e3|[-•–*✓✔]\ufe0f?(?=\s))\s*",
    regex.IGNORECASE,
)


def list_mark(text: str) -> str:
    """Return the numbering or bullet at the start of a line with the space after it, or an empty string.

    `Step 2:` and `2️⃣` are numberings too; a line that is nothing else (`Day 4`) has none.
    """
    found = _MARK.match(text)
    return found.group() if found and found.end() < len(text) else ""


def words(text: str) -> list[str]:
    """Split a text into words of letters, lower case, without emoji, marks, handles and numbers."""
    plain = regex.sub(r"[@#]\S+", " ", emoji.replace_emoji(text, " ")).casefold().replace("’", "'")
    found: list[str] = regex.findall(r"[\p{L}\p{M}]+(?:['’-][\p{L}\p{M}]+)*", plain)
    return found


def detect_language(lines: Iterable[str], among: tuple[str, ...] = SUPPORTED) -> str | None:
    """Return the base language of all lines together, or None where the words do not tell."""
    said = [word for line in lines for word in words(line)]
    if not said:
        return None
    votes = sorted((_votes(_telling(" ".join(said), frozenset()), tag), tag) for tag in among)
    best, tag = votes[-1]
    second = votes[-2][0] if len(votes) > 1 else 0
    if best > 0 and (second == 0 or best >= 3 * second or best - second >= 4):
        return tag
    values = _detector(among).compute_language_confidence_values(" ".join(said))
    # A single odd word must not turn a video into one of another language: below this share the models only guess.
    sure = [value.language for value in values if value.value >= SURE]
    return sure[0].iso_code_639_1.name.lower() if sure else None


def is_leftover(text: str, source: str, target: str, names: frozenset[str]) -> bool:
    """Tell whether a text that should be in `target` still reads as `source`. `names` are words of no language."""
    one, other = base_language(source), base_language(target)
    telling = _telling(text, names)
    if one == other or not telling:
        return False
    theirs, ours = _votes(telling, one), _votes(telling, other)
    if theirs != ours and min(theirs, ours) == 0 and max(theirs, ours) >= (1 if ours else 2):
        return theirs > ours
    if len(telling) < _TELLING_WORDS or not {one, other} <= _known():
        return False
    found = _detector((one, other)).detect_language_of(" ".join(telling))
    return found is not None and found.iso_code_639_1.name.lower() == one


def other_language(text: str, target: str, names: frozenset[str]) -> str | None:
    """Return the supported language that a text is plainly in instead of `target`, or None.

    Plainly: at least two of its function words stand there and none of the target's.
    """
    telling = _telling(text, names)
    if base_language(target) not in SUPPORTED or _votes(telling, base_language(target)):
        return None
    votes = sorted((_votes(telling, tag), tag) for tag in SUPPORTED)
    return votes[-1][1] if votes[-1][0] >= 2 else None


def function_words(language: str) -> frozenset[str]:
    """Return the words that hold sentences of a base language together; empty for a language without a list."""
    return _function_words().get(language, frozenset())


def dangling_words(language: str) -> frozenset[str]:
    """Return the words on which no line of a base language ends by choice; empty for a language without a list."""
    return frozenset(_lists()["dangling"].get(language, "").split())


def finite_words(language: str) -> frozenset[str]:
    """Return frequent verb forms that make a sentence of what could be a phrase; empty for a language without a list."""
    return frozenset(_lists()["finite"].get(language, "").split())


def _telling(text: str, names: frozenset[str]) -> list[str]:
    return [word for word in words(text) if word not in names and word not in _shared()]


def _votes(said: Iterable[str], tag: str) -> int:
    known = function_words(tag)
    return sum(word in known for word in said)


@lru_cache(maxsize=1)
def _lists() -> dict[str, dict[str, str]]:
    return tomllib.loads(files(__package__).joinpath("data", "language.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _function_words() -> dict[str, frozenset[str]]:
    return {tag: frozenset(text.split()) for tag, text in _lists()["words"].items()}


@lru_cache(maxsize=1)
def _shared() -> frozenset[str]:
    return frozenset(_lists()["shared"]["words"].split())


@lru_cache(maxsize=8)
def _detector(among: tuple[str, ...]) -> LanguageDetector:
    codes = [getattr(IsoCode639_1, tag.upper()) for tag in among]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(language.iso_code_639_1.name.lower() for language in Language.all())
