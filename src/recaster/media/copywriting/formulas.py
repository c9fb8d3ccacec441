"""The embedded adapter: new wordings from the formula corpus and the brand's message bank, offline and repeatable.

What is topical in a source (hook, list, set-up, pay-off) is taken from the message bank as a whole or not at all,
so that a hook never promises another list than the one that follows. Otherwise each line is matched with the
corpus, which keeps its meaning and its own words. A line for which nothing good exists is kept. It never returns a
line that `checks` refuses.

Method: candidates are ranked by likeness of length, use of the brand's name where it helps, fluency, and variety
across the video; equal ones are told apart by the request's seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import emoji
import regex
from rapidfuzz import fuzz

from recaster.errors import CopyRejected
from recaster.media.copywriting.brand import VOCABULARY_SLOTS, BrandProfile, base_language
from recaster.media.copywriting.checks import Violation, check_copy, check_line, graphemes, has_required_term, near_copy
from recaster.media.copywriting.corpus import CORPUS_LANGUAGES, Corpus, Formula, load_corpus, slots
from recaster.media.copywriting.language import detect_language, list_mark, words
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

VERSION = "1"
_TOPICAL = frozenset(
    {OverlayRole.HOOK, OverlayRole.SETUP, OverlayRole.LIST_ITEM, OverlayRole.PUNCHLINE, OverlayRole.TEXT}
)
_TAIL = regex.compile(r"(?:\.{2,}|…|[.!?:]+)$")
_QUESTION = regex.compile(
    r"^(?:who|what|why|how|which|where|can|is|are|does|do|did|want|anyone|same|qu|¿|wer|was|wie|warum|kennst|pourquoi|comment)",
    regex.IGNORECASE,
)
_STRUCTURAL = frozenset({"n", "t", "joint", "who", "what"})
"""Slots that carry nothing of the source's subject."""
_SAME_AS_SOURCE = 92.0
"""Similarity in percent from which a candidate is no new text."""


@dataclass(frozen=True, slots=True)
class _Anatomy:
    """A source line in parts: numbering, leading emoji, words, final punctuation, trailing emoji."""

    mark: str
    lead: str
    core: str
    tail: str
    end: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    text: str
    path: str
    wording: str
    score: float
    names_brand: bool
    topical: bool
    """Whether it carries words of the source's subject."""


class FormulaAdapter:
    """Writes from formulas and the message bank. Holds no state; needs no network and no model."""

    name = f"formula/{VERSION}"

    def adapt(self, request: CopyRequest, fits: Fits, progress: Progress = silent) -> CopyResult:
        """Write new texts; see `CopyAdapter.adapt`."""
        source = request.source_language or detect_language([line.text for line in request.lines])
        request = replace(request, source_language=source)
        writer = _Writer(request, fits, source or base_language(request.language))
        lines = writer.write(progress)
        result = CopyResult(lines, self.name)
        violations = check_copy(request, result, fits)
        if violations and writer.same_language:
            reason = "No text with a required term has room; add one to the message bank: " + ", ".join(
                request.brand.required_terms
            )
            lines = tuple(kept(line, reason) for line in request.lines)
            result = CopyResult(lines, self.name)
            violations = check_copy(request, result, fits)
        if violations:
            raise _rejected(request, violations)
        return result


class _Writer:
    def __init__(self, request: CopyRequest, fits: Fits, source: str) -> None:
        self.request, self.fits, self.source = request, fits, base_language(source)
        self.target = base_language(request.language)
        self.same_language = self.source == self.target
        self.chosen: dict[str, tuple[AdaptedLine, _Candidate]] = {}
        self.count = sum(line.role is OverlayRole.LIST_ITEM for line in request.lines)

    def write(self, progress: Progress) -> tuple[AdaptedLine, ...]:
        lines = self.request.lines
        if self.same_language:
            self._whole_bank()
        for position, line in enumerate(lines):
            progress(position, len(lines))
            if line.id not in self.chosen:
                self._choose(line, self._candidates(line))
        self._require_terms()
        progress(len(lines), len(lines))
        return tuple(self.chosen[line.id][0] if line.id in self.chosen else self._keep(line) for line in lines)

    def _keep(self, line: CopyLine) -> AdaptedLine:
        if line.role in KEPT_ROLES:
            return kept(line, f"A {line.role} belongs to the source and stays.")
        if not words(line.text):
            return kept(line, "There are no words to rewrite.")
        return kept(line, "No formula and no text of the message bank is good enough for this line.")

    def _candidates(self, line: CopyLine) -> list[_Candidate]:
        if line.role in KEPT_ROLES or not words(line.text):
            return []
        found = list(_formula_candidates(self.request, line, self.source, self.target))
        if line.role not in _TOPICAL or not self.same_language:
            found += self._bank(line)
        return found

    def _bank(self, line: CopyLine) -> Iterator[_Candidate]:
        anatomy = anatomy_of(line.text)
        for text in _bank_texts(self.request.brand, self.request.language, line.role):
            number = regex.search(r"\b\d+\b", line.text)
            counted = str(self.count) if self.count else (number.group() if number else "")
            if "{n}" in text and not counted:
                continue
            filled = text.replace("{n}", counted)
            if line.role is OverlayRole.HOOK and self.count and set(regex.findall(r"\b\d+\b", filled)) - {counted}:
                continue
            end = "" if emoji.emoji_count(filled) else anatomy.end
            new = f"{anatomy.mark}{filled[len(list_mark(filled)) :].strip()}{end}"
            yield self._scored(line, _Candidate(new, "bank", text, 1.6, False, False))

    def _scored(self, line: CopyLine, candidate: _Candidate) -> _Candidate:
        wanted = max(graphemes(line.text), 1)
        stretch = abs(graphemes(candidate.text) - wanted) / wanted
        jitter = random.Random(f"{self.request.seed}|{line.id}|{candidate.text}").random()
        return replace(candidate, score=candidate.score - 0.3 * min(stretch, 2.0) + 0.25 * jitter)

    def _choose(
        self, line: CopyLine, candidates: list[_Candidate], wanted: Callable[[str], bool] = lambda text: True
    ) -> bool:
        def rank(candidate: _Candidate) -> float:
            score = candidate.score
            for earlier, used in self.chosen.values():
                score -= 1.0 if used.wording == candidate.wording else 0.0
                score -= 0.7 if used.names_brand and candidate.names_brand else 0.0
                score -= 0.15 if words(earlier.text)[:1] == words(candidate.text)[:1] else 0.0
            return score

        scored = [c if c.path == "bank" else self._scored(line, c) for c in candidates]
        for candidate in sorted(scored, key=lambda c: (-rank(c), c.text)):
            if not wanted(candidate.text) or any(
                earlier.id != line.id and (used.wording == candidate.wording or near_copy(candidate.text, earlier.text))
                for earlier, used in self.chosen.values()
            ):
                continue
            reason = (
                "From the brand's message bank."
                if candidate.path == "bank"
                else f"Formula '{candidate.wording}' has the same meaning."
            )
            new = AdaptedLine(
                line.id,
                line.role,
                line.text,
                candidate.text,
                "adapted",
                "bank" if candidate.path == "bank" else "formula",
                reason,
            )
            if not check_line(self.request, line, new, self.fits):
                self.chosen[line.id] = (new, candidate)
                return True
        return False

    def _whole_bank(self) -> None:
        """Take all topical lines from the message bank, or none."""
        topical = [line for line in self.request.lines if line.role in _TOPICAL and words(line.text)]
        for line in topical:
            candidates = list(self._bank(line))
            if line.role is OverlayRole.TEXT:
                candidates += [
                    candidate
                    for candidate in _formula_candidates(self.request, line, self.source, self.target)
                    if not candidate.topical
                ]
            if not self._choose(line, candidates):
                self.chosen.clear()
                return

    def _require_terms(self) -> None:
        """Write a line that holds a required term where none does, beginning with the last one."""
        terms = self.request.brand.required_terms
        if not terms or not self.chosen or self._has_term(" \n ".join(new.text for new, _ in self.chosen.values())):
            return
        lines = sorted(self.request.lines, key=lambda line: line.role is OverlayRole.CALL_TO_ACTION)
        for line in reversed(lines):
            before = self.chosen.pop(line.id, None)
            candidates = self._candidates(line)
            candidates += [
                replace(candidate, text=f"{anatomy.mark}{body}{joint}{term}{anatomy.tail}{anatomy.end}")
                for candidate in candidates
                for term in terms
                for anatomy in (anatomy_of(candidate.text),)
                for body, joint in ((anatomy.core, " with "),)
                if line.role is OverlayRole.CALL_TO_ACTION
                and self.target == "en"
                and candidate.wording in _TERM_ENDINGS
            ]
            if self._choose(line, candidates, self._has_term):
                return
            if before is not None:
                self.chosen[line.id] = before

    def _has_term(self, text: str) -> bool:
        return has_required_term(self.request.brand, text, self.request.language)


_TERM_ENDINGS = frozenset({"try it this week", "give it a go and tell me", "pick your favorite and tell me"})


def anatomy_of(text: str) -> _Anatomy:
    """Take a line apart; the parts joined give the line with single spaces and straight apostrophes."""
    rest = " ".join(text.replace("’", "'").split())
    mark = list_mark(rest)
    rest = rest[len(mark) :]
    lead = end = ""
    for found in emoji.emoji_list(rest):
        if not rest[: found["match_start"]].replace(lead.strip(), "").strip(" " + lead):
            lead = rest[: found["match_end"]]
    rest = rest[len(lead) :]
    if lead and rest.startswith(" "):
        lead, rest = lead + " ", rest.lstrip()
    for found in reversed(emoji.emoji_list(rest)):
        if not rest[found["match_end"] : len(rest) - len(end)].strip():
            end = rest[found["match_start"] :]
    core = rest[: len(rest) - len(end)]
    if core.endswith(" "):
        end, core = " " * (len(core) - len(core.rstrip())) + end, core.rstrip()
    punctuation = _TAIL.search(core)
    tail = punctuation.group() if punctuation else ""
    return _Anatomy(mark, lead, core[: len(core) - len(tail)].rstrip(), tail, end)


def _formula_candidates(request: CopyRequest, line: CopyLine, source: str, target: str) -> Iterator[_Candidate]:
    anatomy = anatomy_of(line.text)
    known, wordings = load_corpus(source), load_corpus(target)
    brand_words = _brand_words(request.brand, target)
    found = [item for item in _matches(known, anatomy.core) if line.role is OverlayRole.LIST_ITEM or not item[0].weak]
    strong = [item for item in found if not item[0].weak]
    # A line that is known as a whole is not cut up: "nobody talks about this" is no talk about "this".
    whole = [item for item in strong if not set(item[1]) - _STRUCTURAL]
    for formula, captured in whole or strong or found:
        writing = formula if source == target else wordings.named(formula.name)
        if writing is None:
            continue
        for wording in writing.write:
            needed = slots(wording)
            taken = needed & set(captured)
            if needed - set(captured) - set(brand_words) or (source != target and taken - {"n"}):
                continue
            values = {**brand_words, **captured}
            text = _filled(wording, values, anatomy, target)
            if fuzz.ratio(text.casefold(), line.text.casefold()) >= _SAME_AS_SOURCE or _stutters(text):
                continue
            names_brand = "app" in needed
            helps = line.role is OverlayRole.CALL_TO_ACTION and bool(needed & set(brand_words))
            score = 1.0 + 0.35 * helps - 0.5 * formula.weak + 0.2 * (formula.role is line.role)
            yield _Candidate(text, "formula", wording, score, names_brand, bool(taken - _STRUCTURAL))


def _matches(corpus: Corpus, core: str) -> Iterator[tuple[Formula, dict[str, str]]]:
    for formula in corpus.formulas:
        for pattern in formula.match:
            found = pattern.fullmatch(core)
            if found:
                yield formula, {key: value for key, value in found.groupdict().items() if value}
                break


def _filled(wording: str, values: dict[str, str], anatomy: _Anatomy, language: str) -> str:
    source = anatomy.core
    letters = [letter for letter in source if letter.isalpha()]
    shouted = len(letters) > 3 and all(letter.isupper() for letter in letters)
    text = regex.sub(r"\{(\w+)\}", lambda slot: _slot_value(values, slot.group(1), language), wording)
    if shouted:
        text = text.upper()
    elif letters and letters[0].isupper() and not source.startswith("POV"):
        text = text[:1].upper() + text[1:]
    if regex.search(r"\bi\b", source) and not regex.search(r"\bI\b", source):
        text = regex.sub(r"\bI\b", "i", text)
    if source.startswith("pov"):
        text = regex.sub(r"^POV", "pov", text)
    tail = anatomy.tail
    if regex.search(r"[.!?…:]$", text) or (tail.startswith("?") and not _QUESTION.search(text)):
        tail = ""
    if not tail and _QUESTION.search(text) and anatomy.tail.startswith("?"):
        tail = "?"
    return f"{anatomy.mark}{anatomy.lead}{text}{'' if text.endswith('?') else tail}{anatomy.end}"


def _slot_value(values: dict[str, str], name: str, language: str) -> str:
    value = values[name]
    if name in {"app", "n", "t"} or name in VOCABULARY_SLOTS or language == "de":
        return value
    first = value.split(" ")[0]
    # A word taken from the start of a source sentence is capital only because it stood there.
    if first[:1].isupper() and first[1:].islower() and (name in {"do", "ing"} or first.casefold() in _common_starts()):
        return value[:1].lower() + value[1:]
    return value


@lru_cache(maxsize=1)
def _common_starts() -> frozenset[str]:
    return frozenset(
        {"the", "a", "an", "my", "your", "this", "that", "these", "those", "you", "we", "it", "stop", "don't"}
    )


def _stutters(text: str) -> bool:
    said = words(text)
    return any(one == other and len(one) > 1 for one, other in pairwise(said))


def _brand_words(brand: BrandProfile, language: str) -> dict[str, str]:
    found = {"app": brand.app_name or brand.name}
    if base_language(brand.primary_language) == language:
        found |= {slot: texts[0] for slot, texts in brand.vocabulary.items() if texts}
        simple = [word for word in brand.keywords if regex.fullmatch(r"[\p{L}\p{M}'-]+(?: [\p{L}\p{M}'-]+){0,2}", word)]
        if "topic" not in found and simple:
            found["topic"] = simple[0]
    return found


def _bank_texts(brand: BrandProfile, language: str, role: OverlayRole) -> tuple[str, ...]:
    texts = brand.bank(language, role)
    if not texts and role is OverlayRole.LIST_ITEM and base_language(brand.primary_language) == base_language(language):
        return tuple(brand.vocabulary.get("habit", ()))
    return texts


def _rejected(request: CopyRequest, violations: tuple[Violation, ...]) -> CopyRejected:
    lines: list[dict[str, str]] = []
    for line in request.lines:
        own = [violation for violation in violations if violation.line_id == line.id]
        if own:
            help_ = (
                f"Add texts for the role `{line.role}` in {request.language} to the message bank, or choose an adapter "
                "with a language model."
            )
            lines.append({"id": line.id, "text": line.text, "why": own[0].message, "help": help_})
    whole = [violation.message for violation in violations if violation.line_id is None]
    where = "; ".join(f"{line['id']} '{line['text']}'" for line in lines[:5]) or " ".join(whole)
    known = (
        "" if base_language(request.language) in CORPUS_LANGUAGES else f" There are no formulas in {request.language}."
    )
    return CopyRejected(
        f"No acceptable text in {request.language} could be written for {where}.{known} Add texts for these roles to the "
        "brand's message bank, or choose the provider adapter.",
        lines=lines,
        violations=[violation.to_json() for violation in violations],
    )
