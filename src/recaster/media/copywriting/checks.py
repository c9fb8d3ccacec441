"""Hard rules for every new text, whoever wrote it. It repairs nothing: it says what is wrong.

Limits: reading speed at most 17 graphemes a second (adult subtitle practice is 15 to 20) and one second at least; the
room of a line is measured by the caller with the real font. Numbers, prices, superlatives and promises may appear only
where they stand in the source line or in an approved fact: a brand cannot publish a claim that nobody made.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import emoji
import regex
import simplemma
from glin_profanity import Filter
from rapidfuzz import fuzz

from recaster.media.copywriting.brand import BrandProfile, base_language
from recaster.media.copywriting.language import detect_language, is_leftover, list_mark, words
from recaster.media.copywriting.model import KEPT_ROLES, AdaptedLine, CopyLine, CopyRequest, CopyResult, Fits
from recaster.media.overlays.model import OverlayRole

MAX_GRAPHEMES_PER_SECOND = 17
LEAST_SECONDS = 1.0
MAX_EMOJI = 3
NEAR_COPY = 90.0
"""Similarity of two new lines of one video in percent from which one is a copy of the other."""

_PROFANITY_LANGUAGES = {"en": "english", "es": "spanish", "fr": "french", "de": "german", "pt": "portuguese"}
_NUMBER = regex.compile(r"\p{N}+(?:[.,:]\p{N}+)*")
_MONEY_OR_SHARE = regex.compile(r"[$€£¥%]|\b(?:usd|eur|dollars?|euros?|pounds?|percent|por ciento|pour cent|prozent)\b")
_PROMISES: dict[str, tuple[str, ...]] = {
    "en": (
        "best", "fastest", "cheapest", "number one", "guarantee", "guaranteed", "cure", "cures", "heal", "risk-free",
        "clinically", "proven", "miracle", "get rich", "lose weight", "free", "always works", "never fails",
    ),
    "es": (
        "mejor del mundo", "garantizado", "garantizada", "cura", "milagro", "gratis", "sin riesgo", "comprobado",
        "el más barato", "adelgaza", "perder peso",
    ),
    "fr": (
        "meilleur du monde", "garanti", "garantie", "guérit", "miracle", "gratuit", "gratuite", "sans risque", "prouvé",
        "perdre du poids",
    ),
    "de": (
        "beste der welt", "garantiert", "heilt", "wunder", "kostenlos", "gratis", "risikofrei", "bewiesen",
        "billigste", "abnehmen",
    ),
    "pt": (
        "melhor do mundo", "garantido", "garantida", "cura", "milagre", "grátis", "gratuito", "sem risco", "comprovado",
        "emagrecer", "perder peso",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a text breaks. `line_id` is None where it is the video as a whole."""

    line_id: str | None
    rule: str
    message: str
    """What is wrong and what would be right, for a person and for a language model that shall correct it."""

    def to_json(self) -> dict[str, Any]:
        """The violation as plain JSON types."""
        return {"line": self.line_id, "rule": self.rule, "message": self.message}


def graphemes(text: str) -> int:
    """Count user-perceived characters (UAX 29)."""
    return len(regex.findall(r"\X", text))


def check_copy(request: CopyRequest, result: CopyResult, fits: Fits) -> tuple[Violation, ...]:
    """Return every broken rule of a whole result, lines in order, the video's own rules last.

    Where the request does not know the language of its source, it is found out.
    """
    if request.source_language is None:
        request = replace(request, source_language=detect_language([line.text for line in request.lines]))
    if [line.id for line in result.lines] != [line.id for line in request.lines]:
        return (Violation(None, "ids", "The lines of the result are not the lines of the request, in its order."),)
    found: list[Violation] = []
    for wanted, line in zip(request.lines, result.lines, strict=True):
        found += check_line(request, wanted, line, fits)
    found += _copies(result)
    adapted = [line for line in result.lines if line.action == "adapted"]
    missing = _missing_terms(request.brand, [line.text for line in result.lines], request.language)
    if adapted and missing:
        found.append(
            Violation(None, "required_terms", f"None of the required terms stands in any line: {', '.join(missing)}.")
        )
    return tuple(found)


def check_line(request: CopyRequest, wanted: CopyLine, line: AdaptedLine, fits: Fits) -> tuple[Violation, ...]:
    """Return every rule that one line breaks on its own. Leftovers need `request.source_language`."""
    source_language = request.source_language

    def broken(rule: str, message: str) -> None:
        found.append(Violation(wanted.id, rule, message))

    found: list[Violation] = []
    text, language = line.text, base_language(request.language)
    if line.action == "kept":
        if text != wanted.text:
            broken("kept", "A kept line must be the source line, unchanged.")
        if source_language is not None and base_language(source_language) != language and _translatable(wanted):
            broken("untranslated", f"The line is still in {source_language}; write it in {request.language}.")
        return tuple(found)
    if not text.strip() or text != text.strip():
        broken("empty", "The text is empty or has space at an end.")
        return tuple(found)
    translated = source_language is not None and base_language(source_language) != language
    if wanted.role in KEPT_ROLES and not (wanted.role is OverlayRole.CAPTION and translated):
        broken("role", f"A {wanted.role} belongs to the source and is never rewritten.")
    if list_mark(text).strip() != list_mark(wanted.text).strip():
        broken("numbering", f"The line must begin with the same numbering as the source: {list_mark(wanted.text)!r}.")
    if wanted.role is OverlayRole.HOOK and wanted.text.casefold().startswith("pov") != text.casefold().startswith(
        "pov"
    ):
        broken("role", "A POV line stays a POV line, and no other line becomes one.")
    length = graphemes(text)
    verdict = fits(wanted.id, text)
    if not verdict.fits:
        broken("fit", f"The text has no room; about {verdict.max_graphemes} characters fit, it has {length}.")
    if length > MAX_GRAPHEMES_PER_SECOND * max(wanted.seconds, LEAST_SECONDS):
        most = int(MAX_GRAPHEMES_PER_SECOND * max(wanted.seconds, LEAST_SECONDS))
        broken("reading_speed", f"The line stands for {wanted.seconds:.1f} s; at most {most} characters can be read.")
    for term in banned_terms(request.brand, text, request.language):
        broken("banned", f"The brand never says '{term}'.")
    for word in sorted(_profanity(text, language) - _profanity(wanted.text, language)):
        broken("profanity", f"'{word}' is a swear word that the source did not have.")
    for claim in claims(text, wanted.text, request.brand, language):
        broken("claim", f"'{claim}' is a claim that stands neither in the source line nor in an approved fact.")
    if emoji.emoji_count(text) > max(MAX_EMOJI, emoji.emoji_count(wanted.text)):
        broken("emoji", f"At most {MAX_EMOJI} emoji in a line.")
    if source_language is not None:
        names = frozenset(words(f"{request.brand.name} {request.brand.app_name or ''}"))
        if is_leftover(text, source_language, request.language, names):
            broken("leftover", f"The line still reads as {source_language}; write it in {request.language}.")
    return tuple(found)


def banned_terms(brand: BrandProfile, text: str, language: str) -> tuple[str, ...]:
    """Return the brand's banned terms that a text holds, as whole words and in inflected forms too."""
    return tuple(term for term in brand.banned_words if _holds(text, term, language))


def has_required_term(brand: BrandProfile, text: str, language: str) -> bool:
    """Tell whether a text holds one of the brand's required terms, in an inflected form too."""
    return any(_holds(text, term, language) for term in brand.required_terms)


def claims(text: str, source: str, brand: BrandProfile, language: str) -> tuple[str, ...]:
    """Return numbers, prices, shares, superlatives and promises of `text` that nobody has approved.

    Approved is what stands in the source line or in an approved fact, and a text that is one of the message bank's as
    a whole: the brand wrote it. A word of the bank is not approved in another sentence.
    """
    if _is_from_bank(text, source, brand, language):
        return ()
    approved = " ".join((source, *brand.approved_facts)).casefold()
    body = text[len(list_mark(text)) :].casefold()
    found = [match for match in _NUMBER.findall(body) if match not in _NUMBER.findall(approved)]
    found += [match for match in _MONEY_OR_SHARE.findall(body) if match not in approved]
    for promise in _PROMISES.get(language, ()):
        pattern = rf"(?<![\p{{L}}]){regex.escape(promise)}(?![\p{{L}}-])"
        if regex.search(pattern, body) and not regex.search(pattern, approved):
            found.append(promise)
    return tuple(dict.fromkeys(found))


def _is_from_bank(text: str, source: str, brand: BrandProfile, language: str) -> bool:
    """Tell whether the brand itself wrote the text; `{n}` stands for a number that the brand leaves open."""
    plain = " ".join(words(text))
    return any(
        plain == " ".join(words(entry.replace("{n}", "")))
        and set(_NUMBER.findall(text)) - set(_NUMBER.findall(source))
        <= set(_NUMBER.findall(entry)) | {_counted(entry, text)}
        for tag, roles in brand.message_bank.items()
        if base_language(tag) == base_language(language)
        for entries in roles.values()
        for entry in entries
    )


def _counted(entry: str, text: str) -> str:
    numbers = _NUMBER.findall(text)
    return numbers[0] if "{n}" in entry and numbers else ""


def near_copy(one: str, other: str) -> bool:
    """Tell whether two texts of one video say nearly the same; numbering does not count."""
    return fuzz.ratio(_body(one), _body(other)) >= NEAR_COPY


def _translatable(line: CopyLine) -> bool:
    return line.role not in {OverlayRole.HANDLE, OverlayRole.WATERMARK} and bool(words(line.text))


def _copies(result: CopyResult) -> list[Violation]:
    found = []
    adapted = [line for line in result.lines if line.action == "adapted"]
    for position, line in enumerate(adapted):
        for earlier in adapted[:position]:
            same_source = fuzz.ratio(line.source_text.casefold(), earlier.source_text.casefold()) >= NEAR_COPY
            if not same_source and near_copy(line.text, earlier.text):
                found.append(Violation(line.id, "copy", f"The line says nearly the same as '{earlier.text}'."))
                break
    return found


def _body(text: str) -> str:
    return text[len(list_mark(text)) :].casefold()


def _missing_terms(brand: BrandProfile, texts: list[str], language: str) -> tuple[str, ...]:
    whole = " \n ".join(texts)
    if not brand.required_terms or has_required_term(brand, whole, language):
        return ()
    return brand.required_terms


def _holds(text: str, term: str, language: str) -> bool:
    if regex.search(rf"(?<![\p{{L}}\p{{N}}]){regex.escape(term.casefold())}(?![\p{{L}}\p{{N}}])", text.casefold()):
        return True
    tag = base_language(language)
    wanted = [_lemma(word, tag) for word in words(term)]
    given = [_lemma(word, tag) for word in words(text)]
    if not wanted:
        return False
    return any(given[start : start + len(wanted)] == wanted for start in range(len(given) - len(wanted) + 1))


@lru_cache(maxsize=4096)
def _lemma(word: str, language: str) -> str:
    try:
        return simplemma.lemmatize(word, lang=language).casefold()
    except ValueError:  # a language that the lemmatiser does not know: the word stands for itself
        return word


@lru_cache(maxsize=8)
def _filter(language: str) -> Filter | None:
    name = _PROFANITY_LANGUAGES.get(language)
    return None if name is None else Filter({"languages": [name]})


def _profanity(text: str, language: str) -> frozenset[str]:
    checker = _filter(language)
    if checker is None:
        return frozenset()
    return frozenset(Counter(checker.check_profanity(text)["profane_words"]))
