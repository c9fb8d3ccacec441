"""Hard rules for every new text, whoever wrote it. It repairs nothing: it says what is wrong.

Limits: reading speed at most 17 graphemes a second (adult subtitle practice is 15 to 20) and one second at least; the
room of a line is measured by the caller with the real font. What the rules cannot see is sense: a fluent line that says
nothing passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import emoji
import regex
import simplemma
from glin_profanity import Filter
from rapidfuzz import fuzz

from recaster.media.copywriting.brand import BrandProfile, base_language
from recaster.media.copywriting.claims import claims, is_from_bank, numbers
from recaster.media.copywriting.language import (
    dangling_words,
    detect_language,
    function_words,
    is_leftover,
    list_mark,
    other_language,
    words,
)
from recaster.media.copywriting.model import KEPT_ROLES, AdaptedLine, CopyLine, CopyRequest, CopyResult, Fits
from recaster.media.copywriting.structure import asks_for_something, item_count, stays_open
from recaster.media.overlays.model import OverlayRole

MAX_GRAPHEMES_PER_SECOND = 17
LEAST_SECONDS = 1.0
MAX_EMOJI = 3
NEAR_COPY = 90.0
"""Similarity of two new lines of one video in percent from which one is a copy of the other."""
UNCHANGED = 96.0
"""Similarity of a new line to its source in percent from which it is no new line."""

_PROFANITY_LANGUAGES = {"en": "english", "es": "spanish", "fr": "french", "de": "german", "pt": "portuguese"}
_ROLE_NAMES = "|".join(role.value for role in OverlayRole)
_NOT_COPY = regex.compile(
    r"^(?:sure|certainly|absolutely)[!,.:]? (?:here|i(?:'ll| will| can|'ve| have)|let me)\b|^(here(?:'s| is| are) (?:the|your|a|my|an) (?:new |adapted |rewritten )?(?:text|line|overlay|version|caption"
    rf"|translation|hook))\b|^\W*(?:{_ROLE_NAMES}|call to action|list item|new text|adapted|output|answer|option \d|translation)\s*[:=]\s"
    r"|\bas an ai\b|\blanguage model\b|\bsystem prompt\b|\b(?:previous|my|your) instructions\b|\bjson\b|max_characters|approved_facts"
    r"|[{}<>`\\]|\*\*|\[[\p{L} _]+\]|\b(?:lorem ipsum|brand name|app name|your brand)\b",
    regex.IGNORECASE,
)
"""What language models write around a text or instead of one: announcements, labels, place-holders, markup."""
_REFERENCE = regex.compile(r"[@#][\p{L}\p{N}_.]+|\b(?:https?://|www\.)\S+|\b[\w-]+\.(?:com|net|org|io|app|shop|co)\b")
_UNSEEN = regex.compile(r"[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]")


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
    found += _copies(result) + _counts(request, result)
    adapted = [line for line in result.lines if line.action == "adapted"]
    missing = _missing_terms(request.brand, [line.text for line in result.lines], request.language)
    if adapted and missing:
        found.append(
            Violation(None, "required_terms", f"None of the required terms stands in any line: {', '.join(missing)}.")
        )
    return tuple(found)


def check_line(request: CopyRequest, wanted: CopyLine, line: AdaptedLine, fits: Fits) -> tuple[Violation, ...]:
    """Return every rule that one line breaks on its own. Leftovers need `request.source_language`."""
    found: list[Violation] = []

    def broken(rule: str, message: str) -> None:
        found.append(Violation(wanted.id, rule, message))

    if line.action == "kept":
        _check_kept(request, wanted, line, broken)
        return tuple(found)
    if not line.text.strip() or line.text != line.text.strip():
        broken("empty", "The text is empty or has space at an end.")
        return tuple(found)
    if wanted.role in KEPT_ROLES and not (wanted.role is OverlayRole.CAPTION and _is_translation(request)):
        broken("role", f"A {wanted.role} belongs to the source and is never rewritten.")
        return tuple(found)
    _check_role(request, wanted, line.text, broken)
    _check_room(wanted, line.text, fits, broken)
    _check_words(request, wanted, line.text, broken)
    _check_form(request, wanted, line.text, broken)
    _check_language(request, line.text, broken)
    return tuple(found)


def banned_terms(brand: BrandProfile, text: str, language: str) -> tuple[str, ...]:
    """Return the brand's banned terms that a text holds, as whole words and in inflected forms too."""
    return tuple(term for term in brand.banned_words if _holds(text, term, language))


def has_required_term(brand: BrandProfile, text: str, language: str) -> bool:
    """Tell whether a text holds one of the brand's required terms, in an inflected form too."""
    return any(_holds(text, term, language) for term in brand.required_terms)


def near_copy(one: str, other: str) -> bool:
    """Tell whether two texts of one video say nearly the same; numbering does not count."""
    return fuzz.ratio(_body(one), _body(other)) >= NEAR_COPY


def brand_names(brand: BrandProfile) -> frozenset[str]:
    """Return the words of the brand's names, which belong to no language."""
    return frozenset(words(f"{brand.name} {brand.app_name or ''} {' '.join(brand.required_terms)}"))


_Broken = Callable[[str, str], None]


def _check_kept(request: CopyRequest, wanted: CopyLine, line: AdaptedLine, broken: _Broken) -> None:
    source_language = request.source_language
    if line.text != wanted.text:
        broken("kept", "A kept line must be the source line, unchanged.")
    if _is_translation(request) and _translatable(wanted):
        broken("untranslated", f"The line is still in {source_language}; write it in {request.language}.")
    if wanted.role not in KEPT_ROLES:
        # What the brand may not say it may not leave standing either.
        for term in banned_terms(request.brand, wanted.text, request.language):
            broken("banned", f"The brand never says '{term}', and the source line does.")


def _check_role(request: CopyRequest, wanted: CopyLine, text: str, broken: _Broken) -> None:
    source, role = wanted.text, wanted.role
    if list_mark(text).strip() != list_mark(source).strip():
        broken("numbering", f"The line must begin with the same numbering as the source: {list_mark(source)!r}.")
    if role not in KEPT_ROLES and _is_pov(source) != _is_pov(text):
        broken("role", "A POV line stays a POV line, and no other line becomes one.")
    if role is OverlayRole.SETUP and stays_open(source) and not stays_open(text):
        broken("role", "The set-up must end as openly as the source does (: or …), because its pay-off follows.")
    named = any(name in words(text) for name in brand_names(request.brand))
    asks = named or asks_for_something(text, base_language(request.language)) or _from_bank(request, wanted, text)
    if role is OverlayRole.CALL_TO_ACTION and not asks:
        broken("role", "A call to action must ask the viewer for something.")


def _check_room(wanted: CopyLine, text: str, fits: Fits, broken: _Broken) -> None:
    length = graphemes(text)
    verdict = fits(wanted.id, text)
    if not verdict.fits:
        broken("fit", f"The text has no room; about {verdict.max_graphemes} characters fit, it has {length}.")
    most = int(MAX_GRAPHEMES_PER_SECOND * max(wanted.seconds, LEAST_SECONDS))
    if length > most:
        broken("reading_speed", f"The line stands for {wanted.seconds:.1f} s; at most {most} characters can be read.")


def _check_words(request: CopyRequest, wanted: CopyLine, text: str, broken: _Broken) -> None:
    language = base_language(request.language)
    for term in banned_terms(request.brand, text, request.language):
        broken("banned", f"The brand never says '{term}'.")
    for word in sorted(_profanity(text, language) - _profanity(wanted.text, language)):
        broken("profanity", f"'{word}' is a swear word that the source did not have.")
    for claim in claims(text, wanted.text, request.brand, language):
        broken("claim", f"'{claim}' is a claim that stands neither in the source line nor in an approved fact.")
    bank = request.brand.message_bank.values()
    known = " ".join(entry for roles in bank for texts in roles.values() for entry in texts).casefold()
    if wanted.role is OverlayRole.CAPTION:
        known = f"{wanted.text} {known}".casefold()
    for reference in _REFERENCE.findall(text[len(list_mark(text)) :]):
        if reference.casefold() not in known:
            broken(
                "reference",
                f"'{reference}' is a handle, hashtag or address that the brand has not written; leave it out.",
            )


def _check_form(request: CopyRequest, wanted: CopyLine, text: str, broken: _Broken) -> None:
    source = wanted.text
    strange = _NOT_COPY.search(text[len(list_mark(text)) :])
    if strange and strange.group().casefold() not in source.casefold():
        broken("not_copy", f"'{strange.group().strip()}' is not a word for the screen; give the text alone.")
    if text[0] in "\"'“«„" and text[-1] in "\"'”»“" and source[:1] not in "\"'“«„":
        broken("not_copy", "The text stands in quotation marks; give the text alone.")
    if _UNSEEN.search(text):
        broken(
            "not_copy", "The text holds a line break or a control character; the lines are broken where it is drawn."
        )
    new, old = words(text), words(source)
    same_language = not _is_translation(request)
    if same_language and fuzz.ratio(_plain(text), _plain(source)) >= UNCHANGED:
        broken("unchanged", "The text is that of the source; write a new one.")
    if len(old) >= 5 and len(new) <= 1 and not _from_bank(request, wanted, text):
        broken("too_short", "The text says too little of what the source line says.")
    ending = new[-1] if new else ""
    cut = ending in dangling_words(base_language(request.language)) and ending != (old[-1] if old else "")
    if cut and not stays_open(text):
        broken("cut_off", f"The text ends on '{ending}': it was cut off.")
    repeated = _repeats(new, request.language)
    if repeated and not _repeats(old, request.language):
        broken("repeats", f"'{repeated}' stands there twice.")
    had, has = emoji.emoji_count(source), emoji.emoji_count(text)
    if had and not has:
        broken("emoji", "The source line has an emoji; the new one must have one too.")
    if has > max(MAX_EMOJI, had):
        broken("emoji", f"At most {MAX_EMOJI} emoji in a line.")


def _check_language(request: CopyRequest, text: str, broken: _Broken) -> None:
    names = brand_names(request.brand)
    if request.source_language is not None and is_leftover(text, request.source_language, request.language, names):
        broken("leftover", f"The line still reads as {request.source_language}; write it in {request.language}.")
    else:
        strange = other_language(text, request.language, names)
        if strange is not None:
            broken("language", f"The line reads as {strange}; write it in {request.language}.")


def _is_translation(request: CopyRequest) -> bool:
    source = request.source_language
    return source is not None and base_language(source) != base_language(request.language)


def _translatable(line: CopyLine) -> bool:
    return line.role not in {OverlayRole.HANDLE, OverlayRole.WATERMARK} and bool(words(line.text))


def _from_bank(request: CopyRequest, wanted: CopyLine, text: str) -> bool:
    return is_from_bank(text, wanted.text, request.brand, base_language(request.language))


def _is_pov(text: str) -> bool:
    return words(text)[:1] == ["pov"]


def _repeats(said: list[str], language: str) -> str | None:
    """Return a pair of words that stands there twice and says something."""
    small = function_words(base_language(language))
    pairs = Counter(pair for pair in pairwise(said) if not set(pair) <= small)
    return next((" ".join(pair) for pair, count in pairs.items() if count > 1), None)


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


def _counts(request: CopyRequest, result: CopyResult) -> list[Violation]:
    """A hook that promised as many things as there are list items goes on promising so many, or none."""
    count = str(item_count(request.lines))
    found = []
    for wanted, line in zip(request.lines, result.lines, strict=True):
        promised = numbers(wanted.text, base_language(request.source_language or request.language))
        if wanted.role is not OverlayRole.HOOK or line.action == "kept" or count not in promised or count == "0":
            continue
        now = numbers(line.text, base_language(request.language))
        if now and count not in now:
            found.append(Violation(line.id, "count", f"The list has {count} items; the hook must say so or no number."))
    return found


def _plain(text: str) -> str:
    return " ".join(words(text))


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
