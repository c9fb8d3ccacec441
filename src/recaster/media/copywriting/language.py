"""Which language overlays are in, and whether words of the source were left standing. It translates nothing.

Two questions need two methods: the language of a whole video is decided among the supported ones on all lines together;
a leftover is found by asking between exactly two languages. Both use lingua's n-gram models, loaded on first use only.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import emoji
import regex
from lingua import IsoCode639_1, Language, LanguageDetector, LanguageDetectorBuilder

from recaster.media.copywriting.brand import base_language

SURE = 0.7
"""Least confidence of the n-gram models; on 150 short lines every answer above it was right, and 57 had none."""
SUPPORTED = ("en", "es", "fr", "de", "pt")
"""Base languages among which the language of a source is looked for."""

_SHARED = frozenset({"link", "bio", "app", "pov", "ok", "diy", "tip", "tips", "part", "fin"})
_MARK = regex.compile(r"^\s*(?:\p{N}+\s*[.):]|\p{N}\ufe0f?\u20e3|[-•–*])\s*")


_FUNCTION_WORDS = {
    "en": frozenset(
        [
            "the",
            "and",
            "you",
            "your",
            "for",
            "this",
            "with",
            "when",
            "that",
            "it's",
            "don't",
            "i'm",
            "my",
            "is",
            "are",
            "was",
            "what",
            "how",
            "who",
            "to",
            "of",
            "they",
            "it",
            "before",
            "about",
            "save",
            "follow",
            "wish",
            "knew",
            "things",
            "stop",
            "wait",
            "until",
            "more",
            "every",
        ]
    ),
    "es": frozenset(
        [
            "el",
            "los",
            "las",
            "una",
            "que",
            "para",
            "con",
            "cuando",
            "esto",
            "este",
            "tu",
            "tus",
            "mi",
            "mis",
            "es",
            "está",
            "cómo",
            "quién",
            "y",
            "pero",
            "más",
            "antes",
            "cosas",
            "nunca",
            "del",
            "al",
            "lo",
            "guarda",
            "sígueme",
            "espera",
            "hay",
            "sin",
            "porque",
        ]
    ),
    "fr": frozenset(
        [
            "les",
            "une",
            "que",
            "pour",
            "avec",
            "quand",
            "ce",
            "cette",
            "ton",
            "tes",
            "mon",
            "mes",
            "est",
            "et",
            "mais",
            "plus",
            "avant",
            "choses",
            "jamais",
            "du",
            "des",
            "je",
            "j'ai",
            "tu",
            "c'est",
            "attends",
            "enregistre",
            "abonne-toi",
            "dans",
            "sur",
            "sans",
            "pas",
            "qui",
            "il",
            "y",
        ]
    ),
    "de": frozenset(
        [
            "der",
            "die",
            "das",
            "und",
            "ein",
            "eine",
            "mit",
            "wenn",
            "für",
            "du",
            "dein",
            "deine",
            "mein",
            "meine",
            "ist",
            "nicht",
            "ich",
            "aber",
            "mehr",
            "vor",
            "dinge",
            "nie",
            "wie",
            "warte",
            "speichere",
            "folge",
            "den",
            "dem",
            "auf",
            "zu",
            "kein",
            "keine",
        ]
    ),
    "pt": frozenset(
        [
            "os",
            "uma",
            "que",
            "para",
            "com",
            "quando",
            "isto",
            "isso",
            "este",
            "seu",
            "sua",
            "meu",
            "minha",
            "é",
            "está",
            "como",
            "quem",
            "e",
            "mas",
            "mais",
            "antes",
            "coisas",
            "nunca",
            "do",
            "da",
            "dos",
            "das",
            "não",
            "você",
            "salve",
            "salva",
            "segue",
            "espera",
            "tem",
            "sem",
            "porque",
            "eu",
        ]
    ),
}
"""Words that hold sentences together, and words that open many overlays."""


def list_mark(text: str) -> str:
    """Return the numbering or bullet at the start of a line with the space after it, or an empty string."""
    found = _MARK.match(text)
    return found.group() if found else ""


def words(text: str) -> list[str]:
    """Split a text into words of letters, lower case, without emoji, marks, handles and numbers."""
    plain = regex.sub(r"[@#]\S+", " ", emoji.replace_emoji(text, " ")).casefold()
    found: list[str] = regex.findall(r"[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*", plain)
    return found


def detect_language(lines: Iterable[str], among: tuple[str, ...] = SUPPORTED) -> str | None:
    """Return the base language of all lines together, or None where the words do not tell."""
    said = [word for line in lines for word in words(line)]
    if not said:
        return None
    votes = sorted((sum(word in _FUNCTION_WORDS[tag] for word in said), tag) for tag in among if tag in _FUNCTION_WORDS)
    # Function words decide most videos; the n-gram models are heavy and are loaded only where these leave a doubt.
    if votes and votes[-1][0] > 0 and (len(votes) == 1 or votes[-1][0] >= 3 * votes[-2][0] or not votes[-2][0]):
        return votes[-1][1]
    text = " ".join(said)
    values = _detector(among).compute_language_confidence_values(text)
    # A single odd word must not turn a video into one of another language: below this share the models only guess.
    sure = [value.language for value in values if value.value >= SURE]
    return sure[0].iso_code_639_1.name.lower() if sure else None


def is_leftover(text: str, source: str, target: str, brand_terms: frozenset[str]) -> bool:
    """Tell whether a text that should be in `target` still reads as `source`. Texts of one or two words are let pass."""
    one, other = base_language(source), base_language(target)
    telling = [word for word in words(text) if word not in _SHARED and word not in brand_terms]
    if one == other or len(telling) < 3 or not {one, other} <= _known():
        return False
    found = _detector((one, other)).detect_language_of(" ".join(telling))
    return found is not None and found.iso_code_639_1.name.lower() == one


@lru_cache(maxsize=8)
def _detector(among: tuple[str, ...]) -> LanguageDetector:
    codes = [getattr(IsoCode639_1, tag.upper()) for tag in among]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(language.iso_code_639_1.name.lower() for language in Language.all())
