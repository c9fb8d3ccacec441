"""The embedded adapter: new wordings from the formula corpus and the brand's message bank, offline and repeatable.

What is topical in a source (hook, list, set-up, pay-off) is taken from the message bank as a whole or not at all,
so that a hook never promises another list than the one that follows, and a set-up of the bank gets its own pay-off.
Otherwise each line is matched with the corpus, which keeps its meaning and its own words. A line for which nothing good
exists is kept. It never returns a line that `checks` refuses.

Method: candidates are ranked by likeness of length, the brand's voice, use of the brand's name where it helps, and
variety across the video; equal ones are told apart by the request's seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from recaster.errors import CopyRejected
from recaster.media.copywriting.brand import base_language
from recaster.media.copywriting.candidates import (
    Candidate,
    Sources,
    bank_candidates,
    formula_candidates,
    general_candidates,
    has_paired_bank,
)
from recaster.media.copywriting.checks import Violation, check_copy, check_line, graphemes, has_required_term, near_copy
from recaster.media.copywriting.corpus import CORPUS_LANGUAGES, load_corpus
from recaster.media.copywriting.language import detect_language, words
from recaster.media.copywriting.model import (
    KEPT_ROLES,
    AdaptedLine,
    CopyLine,
    CopyRequest,
    CopyResult,
    Fits,
    kept,
)
from recaster.media.copywriting.structure import asks_for, payoffs
from recaster.media.overlays.model import OverlayRole
from recaster.media.progress import Progress, silent

VERSION = "2"
_TOPICAL = frozenset(
    {OverlayRole.HOOK, OverlayRole.SETUP, OverlayRole.LIST_ITEM, OverlayRole.PUNCHLINE, OverlayRole.TEXT}
)


class FormulaAdapter:
    """Writes from formulas and the message bank. Holds no state; needs no network and no model."""

    name = f"formula/{VERSION}"

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` holds formulas of one's own beside the packaged ones; see `corpus.load_corpus`."""
        self._folder = folder

    def adapt(self, request: CopyRequest, fits: Fits, progress: Progress = silent) -> CopyResult:
        """Write new texts; see `CopyAdapter.adapt`."""
        source = request.source_language or detect_language([line.text for line in request.lines])
        request = replace(request, source_language=source)
        target = base_language(request.language)
        known = load_corpus(base_language(source or target), self._folder)
        writer = _Writer(request, fits, Sources(known, load_corpus(target, self._folder)))
        result = CopyResult(writer.write(progress), self.name)
        violations = check_copy(request, result, fits)
        if writer.sources.same_language and {violation.rule for violation in violations} == {"required_terms"}:
            reason = "No text with a required term has room; add one to the message bank: " + ", ".join(
                request.brand.required_terms
            )
            result = CopyResult(tuple(kept(line, reason) for line in request.lines), self.name)
            violations = check_copy(request, result, fits)
        if violations:
            raise _rejected(request, violations)
        return result


class _Writer:
    """The choice among candidates for one video."""

    def __init__(self, request: CopyRequest, fits: Fits, sources: Sources) -> None:
        self.request, self.fits, self.sources = request, fits, sources
        self.chosen: dict[str, tuple[AdaptedLine, Candidate]] = {}
        self.lines = {line.id: line for line in request.lines}

    def write(self, progress: Progress) -> tuple[AdaptedLine, ...]:
        lines = self.request.lines
        self._pair_bank()
        if self.sources.same_language:
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

    def _candidates(self, line: CopyLine) -> list[Candidate]:
        if line.role in KEPT_ROLES or not words(line.text):
            return []
        found = list(formula_candidates(self.request, line, self.sources))
        # A call to action of a known kind is not turned into one of another kind without need.
        if not self.sources.same_language or (not found and asks_for(line.text) is None):
            found += general_candidates(self.request, line, self.sources)
        if line.role not in _TOPICAL or not self.sources.same_language:
            found += bank_candidates(self.request, line)
        return found

    def _score(self, line: CopyLine, candidate: Candidate) -> float:
        wanted = max(graphemes(line.text), 1)
        stretch = abs(graphemes(candidate.text) - wanted) / wanted
        chance = random.Random(f"{self.request.seed}|{line.id}|{candidate.text}").random()
        score = candidate.score - 0.3 * min(stretch, 2.0) + 0.25 * chance
        for earlier, used in self.chosen.values():
            score -= 1.0 if used.wording == candidate.wording else 0.0
            score -= 0.7 if used.names_brand and candidate.names_brand else 0.0
            score -= 0.2 if words(earlier.text)[:1] == words(candidate.text)[:1] else 0.0
        return score

    def _ranked(self, line: CopyLine, candidates: Iterable[Candidate]) -> list[Candidate]:
        return sorted(candidates, key=lambda candidate: (-self._score(line, candidate), candidate.text))

    def _choose(
        self, line: CopyLine, candidates: Iterable[Candidate], wanted: Callable[[str], bool] = lambda text: True
    ) -> bool:
        for candidate in self._ranked(line, candidates):
            new = self._accepted(line, candidate) if wanted(candidate.text) else None
            if new is not None:
                self.chosen[line.id] = (new, candidate)
                return True
        return False

    def _accepted(self, line: CopyLine, candidate: Candidate) -> AdaptedLine | None:
        """Return the candidate as a line where every rule lets it pass and no other line says the same."""
        if candidate.framed and sum(used.framed for _, used in self.chosen.values()) >= self._most_framed():
            return None
        for other, used in self.chosen.values():
            alike = used.wording == candidate.wording or near_copy(candidate.text, other.text)
            if other.id != line.id and alike:
                return None
        if candidate.path == "bank":
            new = AdaptedLine(
                line.id, line.role, line.text, candidate.text, "adapted", "bank", "From the brand's message bank."
            )
        else:
            reason = f"Formula '{candidate.wording}' has the same meaning."
            new = AdaptedLine(line.id, line.role, line.text, candidate.text, "adapted", "formula", reason)
        return None if check_line(self.request, line, new, self.fits) else new

    def _most_framed(self) -> int:
        """A video in which every line begins with "honestly" reads as made by a machine: half of them at most."""
        return (sum(line.role not in KEPT_ROLES for line in self.request.lines) + 1) // 2

    def _pair_bank(self) -> None:
        """Give set-ups and their pay-offs the texts of the bank that belong together."""
        if not has_paired_bank(self.request.brand, self.request.language):
            return
        for setup_id, payoff_id in payoffs(self.request.lines).items():
            setup, payoff = self.lines[setup_id], self.lines[payoff_id]
            answers = {candidate.index: candidate for candidate in bank_candidates(self.request, payoff)}
            for candidate in self._ranked(setup, bank_candidates(self.request, setup)):
                first = self._accepted(setup, candidate)
                answer = answers.get(candidate.index)
                second = self._accepted(payoff, answer) if answer is not None else None
                if first is not None and second is not None and answer is not None:
                    self.chosen[setup_id], self.chosen[payoff_id] = (first, candidate), (second, answer)
                    break

    def _whole_bank(self) -> None:
        """Take all topical lines from the message bank, or none."""
        for line in self.request.lines:
            if line.id in self.chosen or line.role not in _TOPICAL or not words(line.text):
                continue
            candidates = list(bank_candidates(self.request, line))
            if line.role is OverlayRole.TEXT:
                formulas = formula_candidates(self.request, line, self.sources)
                candidates += [candidate for candidate in formulas if not candidate.topical]
            if not self._choose(line, candidates):
                self.chosen.clear()
                return

    def _require_terms(self) -> None:
        """Write a line that holds a required term where none does, beginning with the calls to action."""
        terms = self.request.brand.required_terms
        said = " \n ".join(
            self.chosen[line.id][0].text if line.id in self.chosen else line.text for line in self.request.lines
        )
        if not terms or not self.chosen or self._has_term(said):
            return
        lines = sorted(self.request.lines, key=lambda line: line.role is OverlayRole.CALL_TO_ACTION)
        for line in reversed(lines):
            before = self.chosen.pop(line.id, None)
            candidates = self._candidates(line)
            if line.role not in KEPT_ROLES and words(line.text):
                candidates += general_candidates(self.request, line, self.sources)
            if self._choose(line, candidates, self._has_term):
                return
            if before is not None:
                self.chosen[line.id] = before

    def _has_term(self, text: str) -> bool:
        return has_required_term(self.request.brand, text, self.request.language)


def _rejected(request: CopyRequest, violations: tuple[Violation, ...]) -> CopyRejected:
    lines: list[dict[str, str]] = []
    for line in request.lines:
        own = [violation for violation in violations if violation.line_id == line.id]
        if own:
            lines.append(
                {
                    "id": line.id,
                    "role": line.role.value,
                    "text": line.text,
                    "why": own[0].message,
                    "help": _help(request, line),
                }
            )
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


def _help(request: CopyRequest, line: CopyLine) -> str:
    if line.role is OverlayRole.CAPTION:
        return "A caption is a transcript of speech; only an adapter with a language model translates it."
    return (
        f"Add texts for the role `{line.role}` in {request.language} to the message bank, or choose an adapter with a "
        "language model."
    )
