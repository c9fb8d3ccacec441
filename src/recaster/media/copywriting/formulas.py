"""`FormulaAdapter`: the embedded default, which writes with formulas and the brand's own words and needs no model.

A line is rewritten where the brand's message bank has a text for its role, or where it has the shape of a known formula
whose slots the brand's vocabulary can fill in the right grammatical form. Everything else is kept: a line for which
nothing good exists is better left than made up. In another language than the source's a kept line would be a leftover;
then the adapter refuses the whole video and says which lines are missing and what would help.
"""

from __future__ import annotations

import random
import string
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

import emoji
import regex
from rapidfuzz import fuzz

from recaster.errors import CopyRejected
from recaster.media.copywriting.brand import VOCABULARY_SLOTS, BrandProfile, base_language
from recaster.media.copywriting.checks import check_copy, check_line, graphemes
from recaster.media.copywriting.language import detect_language, list_mark
from recaster.media.copywriting.model import (
    KEPT_ROLES,
    AdaptedLine,
    CopyLine,
    CopyRequest,
    CopyResult,
    Fits,
    kept,
)
from recaster.media.overlays.model import OverlayRole
from recaster.media.progress import Progress, silent

ADAPTER = "formula/1"
CORPORA = ("en",)
"""Languages for which formulas ship. Every other language works through the brand's message bank."""

_BANK_BONUS = 1.0
_TRAILING_EMOJI = regex.compile(r"(?:\s*\p{Extended_Pictographic}[\p{Emoji_Modifier}\ufe0f\u200d\p{Extended_Pictographic}]*)+\s*$")
_PUNCTUATION = string.punctuation.replace("…", "") + "… "


@dataclass(frozen=True, slots=True)
class Formula:
    """A shape that lines have, and what such a line can become."""

    role: OverlayRole
    match: regex.Pattern[str]
    write: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    text: str
    path: Literal["formula", "bank"]
    words: tuple[str, ...]
    """The brand words that were used, so that a video does not repeat them."""
    score: float


class FormulaAdapter:
    """`CopyAdapter` without a model. The same request always gives the same texts."""

    def adapt(self, request: CopyRequest, fits: Fits, progress: Progress = silent) -> CopyResult:
        """Write the texts; see `CopyAdapter.adapt`."""
        source = detect_language(line.text for line in request.lines)
        chosen: list[AdaptedLine] = []
        used: Counter[str] = Counter()
        for position, line in enumerate(request.lines):
            chosen.append(self._best(request, line, chosen, used, fits, source))
            progress(position + 1, len(request.lines))
        result = CopyResult(tuple(chosen), ADAPTER)
        violations = check_copy(request, result, fits, source)
        if violations:
            raise CopyRejected(
                f"{len(violations)} lines could not be written in {request.language}: "
                + " ".join(violation.message for violation in violations[:3])
                + f" Add texts for these roles to the message bank in '{request.language}', or use a language model.",
                lines=[violation.to_json() for violation in violations],
            )
        return result

    def _best(
        self,
        request: CopyRequest,
        line: CopyLine,
        before: list[AdaptedLine],
        used: Counter[str],
        fits: Fits,
        source: str | None,
    ) -> AdaptedLine:
        if line.role in KEPT_ROLES:
            return kept(line, f"A {line.role} belongs to the source.")
        taken = [earlier.text for earlier in before]
        candidates = sorted(
            _candidates(request, line, used), key=lambda candidate: (-candidate.score, candidate.text)
        )
        for candidate in candidates:
            reason = "The brand's own text for this role." if candidate.path == "bank" else "A formula of the same shape."
            new = AdaptedLine(line.id, line.role, line.text, candidate.text, "adapted", candidate.path, reason)
            if any(fuzz.ratio(candidate.text.casefold(), text.casefold()) >= 90 for text in taken):
                continue
            if candidate.text.casefold() == line.text.casefold():
                continue
            if check_line(request, line, new, fits, source):
                continue
            used.update(candidate.words)
            return new
        return kept(line, "No text of the brand and no formula fits this line.")


def load_corpus(language: str) -> tuple[Formula, ...]:
    """Return the formulas of a base language; none where no corpus ships."""
    return _corpus(language) if language in CORPORA else ()


@lru_cache(maxsize=8)
def _corpus(language: str) -> tuple[Formula, ...]:
    text = resources.files("recaster.media.copywriting").joinpath("data", f"{language}.toml").read_text(encoding="utf-8")
    return tuple(
        Formula(
            OverlayRole(entry["role"]), regex.compile(entry["match"], regex.IGNORECASE), tuple(entry["write"])
        )
        for entry in tomllib.loads(text)["formula"]
    )


def check_corpus(corpus: tuple[Formula, ...]) -> tuple[str, ...]:
    """Return every mistake of a corpus as a sentence: unknown slots, doubled lines, claims of its own."""
    mistakes = []
    seen: dict[tuple[OverlayRole, str], str] = {}
    for formula in corpus:
        known = {*VOCABULARY_SLOTS, "app", *formula.match.groupindex}
        for template in formula.write:
            for slot in slots(template):
                if slot not in known:
                    mistakes.append(f"'{template}' uses {{{slot}}}, which neither its pattern nor the vocabulary knows.")
            if regex.search(r"\p{N}|[$€£%]", template):
                mistakes.append(f"'{template}' holds a number or a price of its own.")
            key = (formula.role, template.casefold())
            if key in seen and seen[key] == formula.match.pattern:
                mistakes.append(f"'{template}' stands twice in one formula.")
            seen[key] = formula.match.pattern
    return tuple(mistakes)


def slots(template: str) -> tuple[str, ...]:
    """Return the names in braces of a template, in order."""
    return tuple(name for _, name, _, _ in string.Formatter().parse(template) if name)


def _candidates(request: CopyRequest, line: CopyLine, used: Counter[str]) -> Iterator[_Candidate]:
    mark = list_mark(line.text)
    tail = _TRAILING_EMOJI.search(line.text)
    ending = tail.group() if tail else ""
    body = line.text[len(mark) :].removesuffix(ending).strip()
    order = random.Random(f"{request.seed}:{line.id}:{body}")
    for position, text in enumerate(request.brand.bank(request.language, line.role)):
        own = emoji.emoji_count(text) > 0
        whole = text if list_mark(text) else mark + text
        whole = whole if own else whole + ending
        # The brand's order counts: a list is told in the order in which it was written down.
        score = _BANK_BONUS + _closeness(line, whole) - position * 0.25 - used[text] * 2
        yield _Candidate(whole.strip(), "bank", (text,), score)
    if base_language(request.brand.primary_language) != base_language(request.language):
        return  # the vocabulary is in another language
    for rank, formula in enumerate(load_corpus(base_language(request.language))):
        found = formula.match.fullmatch(body.strip(_PUNCTUATION)) if formula.role is line.role else None
        if found is None:
            continue
        for template in formula.write:
            for text, words in _filled(template, request.brand, found.groupdict()):
                whole = f"{mark}{text}{ending}"
                repeated = sum(used[word] for word in words)
                # Earlier formulas are the more telling shapes.
                score = 0.5 - rank * 0.01 + _closeness(line, whole) - repeated * 0.4 + order.random() * 0.05
                yield _Candidate(_cased(whole, line.text), "formula", words, score)


def _filled(template: str, brand: BrandProfile, groups: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Fill a template in every way the brand's words allow; not at all where a slot has no word."""
    fillings: list[tuple[dict[str, str], tuple[str, ...]]] = [({}, ())]
    for slot in dict.fromkeys(slots(template)):
        if slot in groups:
            options: tuple[str, ...] = (groups[slot],) if groups[slot] else ()
        elif slot == "app":
            options = (brand.app_name or brand.name,)
        else:
            options = brand.vocabulary.get(slot, ())  # type: ignore[call-overload]
        counts = slot not in groups and slot != "app"
        fillings = [
            ({**values, slot: option}, (*words, option) if counts else words)
            for values, words in fillings
            for option in options
        ]
    for values, words in fillings:
        if values or not slots(template):
            yield template.format(**values), words


def _closeness(line: CopyLine, text: str) -> float:
    """0 to 0.5: how near a text comes to the source line's length, which its place was made for."""
    wanted, length = graphemes(line.text), graphemes(text)
    return 0.5 * min(wanted, length) / max(wanted, length, 1)


def _cased(text: str, source: str) -> str:
    """Set a text in capitals where the source line was."""
    letters = [sign for sign in source if sign.isalpha()]
    return text.upper() if len(letters) >= 4 and all(sign.isupper() for sign in letters) else text
