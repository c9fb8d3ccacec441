"""Candidates for one line: wordings of the corpus and texts of the brand's message bank. It chooses none of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import get_args

import regex
from rapidfuzz import fuzz

from recaster.media.copywriting.anatomy import Anatomy, anatomy_of, fill
from recaster.media.copywriting.brand import BrandProfile, Slot, base_language
from recaster.media.copywriting.corpus import Corpus, Formula, slots
from recaster.media.copywriting.language import function_words, list_mark, words
from recaster.media.copywriting.model import KEPT_ROLES, CopyLine, CopyRequest
from recaster.media.copywriting.structure import asks_for, frame, item_count, payoffs, place_in_run, stays_open
from recaster.media.overlays.model import OverlayRole

STRUCTURAL_SLOTS = frozenset({"n", "t", "joint", "who", "what", "word"})
"""Slots that carry nothing of the source's subject."""
_SAME_AS_SOURCE = 95.0
"""Similarity in percent from which a candidate is no new text."""
_NEIGHBOURS = {OverlayRole.SETUP: OverlayRole.TEXT, OverlayRole.PUNCHLINE: OverlayRole.TEXT}
"""Role whose bank texts may serve where the bank has none for a role."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible text for a line. `score` counts what it is worth alone, without regard to the other lines."""

    text: str
    path: str
    wording: str
    score: float
    names_brand: bool = False
    topical: bool = False
    """Whether it carries words of the source's subject."""
    framed: bool = False
    """Whether it is the source's own sentence with a few words around it."""
    index: int = -1
    """Position in the bank."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where candidates come from: the corpora of the source's and of the target's language."""

    known: Corpus
    wordings: Corpus

    @property
    def same_language(self) -> bool:
        """Whether words of the source may be taken over."""
        return self.known.language == self.wordings.language


def formula_candidates(request: CopyRequest, line: CopyLine, sources: Sources) -> Iterator[Candidate]:
    """Yield what the corpus makes of a line that it knows."""
    anatomy = anatomy_of(line.text, lower_case=_is_lower_case(request.lines))
    brand_words = _brand_words(request.brand, sources.wordings.language)
    for formula, captured in _best_matches(request, line, sources.known, anatomy.core):
        writing = formula
        if not sources.same_language:
            found = sources.wordings.named(formula.name) or sources.wordings.named(formula.like)
            if found is None:
                continue
            writing = found
        for wording in writing.write:
            if wording.voice not in (None, request.brand.brand_voice):
                continue
            needed = slots(wording.text)
            for values in _values(captured, brand_words, needed, sources.same_language):
                text = anatomy.around(fill(wording.text, values, sources.wordings.language, anatomy.capital))
                framed = bool(needed & {"all", "clause"})
                if framed and "?" in line.text and not formula.question:
                    continue
                if _is_fluent(text, line.text, sources.wordings.language):
                    yield Candidate(
                        text,
                        "formula",
                        wording.text,
                        _worth(formula, line, needed & set(brand_words), wording.voice is not None),
                        names_brand=bool(needed & {"app", "term"}),
                        topical=bool(needed - STRUCTURAL_SLOTS - set(brand_words)),
                        framed=framed,
                    )


def general_candidates(request: CopyRequest, line: CopyLine, sources: Sources) -> Iterator[Candidate]:
    """Yield wordings that serve any call to action or any suspense, whatever the line says."""
    writing = sources.wordings.named(f"any_{line.role.value}")
    if writing is None:
        return
    anatomy = anatomy_of(line.text)
    brand_words = _brand_words(request.brand, sources.wordings.language)
    for wording in writing.write:
        needed = slots(wording.text)
        if wording.voice in (None, request.brand.brand_voice):
            for values in _values({}, brand_words, needed, False):
                text = anatomy.around(fill(wording.text, values, sources.wordings.language))
                yield Candidate(text, "formula", wording.text, 0.7, names_brand=bool(needed & {"app", "term"}))


def bank_candidates(request: CopyRequest, line: CopyLine) -> Iterator[Candidate]:
    """Yield the brand's own texts for a line's role, counted and numbered as the video is."""
    anatomy = anatomy_of(line.text)
    count = item_count(request.lines)
    number = regex.search(r"\b\d{1,2}\b", anatomy.core)
    counted = str(count) if count else (number.group() if number else "")
    wanted = asks_for(line.text) or ("comment" if "?" in line.text else None)
    for index, text in enumerate(_bank_texts(request, line)):
        listing = "{n}" in text or regex.search(r"\b\d{1,2}\b", text) is not None
        if "{n}" in text and not counted:
            continue
        filled = text.replace("{n}", counted)
        if line.role is OverlayRole.HOOK and counted and set(regex.findall(r"\b\d+\b", filled)) - {counted}:
            continue
        body = filled[len(list_mark(filled)) :].strip()
        shaped = 0.4 if line.role is OverlayRole.HOOK and listing == bool(count) else 0.0
        asked = 0.5 if wanted is not None and asks_for(body) == wanted else 0.0
        yield Candidate(_bank_text(anatomy, body, line), "bank", text, 1.7 + shaped + asked, index=index)


def has_paired_bank(brand: BrandProfile, language: str) -> bool:
    """Tell whether the bank's punchlines answer its set-ups one by one."""
    setups, punchlines = brand.bank(language, OverlayRole.SETUP), brand.bank(language, OverlayRole.PUNCHLINE)
    return bool(setups) and len(setups) == len(punchlines)


def _bank_text(anatomy: Anatomy, body: str, line: CopyLine) -> str:
    """Give a text of the bank the line's numbering, emoji, capitals and open end, and nothing else."""
    if line.role is OverlayRole.SETUP and anatomy.tail and stays_open(line.text) and not stays_open(body):
        body = f"{body.rstrip('.!')}{anatomy.tail}"
    bare = Anatomy(anatomy.mark, anatomy.lead, anatomy.core if anatomy.shouted else "", "", anatomy.end)
    return bare.around(body)


def _is_lower_case(lines: tuple[CopyLine, ...]) -> bool:
    """Tell whether the video is written without capitals at the beginning of sentences."""
    cores = [anatomy_of(line.text).core for line in lines if line.role not in KEPT_ROLES]
    told = [core for core in cores if core[:1].isalpha() and core.split(" ")[0].casefold() not in _ALWAYS_CAPITAL]
    return bool(told) and 2 * sum(core[0].islower() for core in told) > len(told)


_ALWAYS_CAPITAL = frozenset({"i", "i'm", "i've", "i'd", "i'll", "pov"})


def _best_matches(
    request: CopyRequest, line: CopyLine, corpus: Corpus, core: str
) -> list[tuple[Formula, dict[str, str]]]:
    found = [item for item in corpus.matches(core) if _may_serve(item[0], line, request.lines)]
    strong = [item for item in found if not item[0].weak]
    # A line that is known as a whole is not cut up: "nobody talks about this" is no talk about "this".
    whole = [item for item in strong if not set(item[1]) - STRUCTURAL_SLOTS - {"all"}]
    steps = [item for item in found if "step" in item[1]]
    return whole or strong or steps or found


def _may_serve(formula: Formula, line: CopyLine, lines: tuple[CopyLine, ...]) -> bool:
    """Tell whether a meaning may stand at this place: an entry opens no video, and advice is no warning."""
    if formula.question and "?" not in line.text:
        return False
    if line.role is OverlayRole.CALL_TO_ACTION and "?" in line.text and formula.role is not line.role:
        return False
    if formula.role is OverlayRole.HOOK and line.role is not OverlayRole.HOOK:
        # One entry of a list opens no video, a call to action neither, and no remark announces so many of a thing.
        if line.role in (OverlayRole.LIST_ITEM, OverlayRole.CALL_TO_ACTION) or formula.takes("n"):
            return False
    elif (line.role is OverlayRole.LIST_ITEM and formula.role is OverlayRole.CALL_TO_ACTION) or (
        line.role is OverlayRole.HOOK and formula.role is OverlayRole.LIST_ITEM
    ):
        return False
    return not formula.weak or _may_serve_weakly(formula, line, lines)


def _may_serve_weakly(formula: Formula, line: CopyLine, lines: tuple[CopyLine, ...]) -> bool:
    around = frame(lines)
    if line.role is OverlayRole.LIST_ITEM:
        return formula.role is line.role and (formula.neutral or around != "warning")
    if formula.name.startswith("sequence_"):
        return formula.name.startswith(place_in_run(lines, line) or "none")
    if line.role is OverlayRole.TEXT and formula.role is OverlayRole.LIST_ITEM:
        return (formula.takes("do") and around == "advice") or (formula.takes("step") and around != "warning")
    return formula.role is line.role


def _worth(formula: Formula, line: CopyLine, brand_slots: set[str] | frozenset[str], own_voice: bool) -> float:
    helps = line.role is OverlayRole.CALL_TO_ACTION and bool(brand_slots)
    return 1.0 + 0.35 * helps - 0.5 * formula.weak + 0.2 * (formula.role is line.role) + 0.12 * own_voice


def _values(
    captured: dict[str, str], brand_words: dict[str, tuple[str, ...]], needed: frozenset[str], takes_over: bool
) -> Iterator[dict[str, str]]:
    """Yield what stands in the slots of a wording, once for each word that the brand offers; nothing where one is missing."""
    values: dict[str, str] = {}
    for slot in needed - set(brand_words):
        name, _, person = slot.partition("_")
        value = captured.get(name)
        if value is None or (slot != "n" and not takes_over):
            return
        turned = _turned(value, person) if person else value
        if turned is None or (name in {"x", "y", "np"} and not _carries(turned)):
            return
        values[slot] = turned
    own = sorted(needed & set(brand_words))
    if not own:
        yield values
        return
    for word in brand_words[own[0]]:
        yield values | {slot: brand_words[slot][0] for slot in own} | {own[0]: word}


def _carries(value: str) -> bool:
    """Tell whether words taken over say something: `this` or `it` alone do not."""
    said = words(value)
    return bool(said) and said[0] not in _POINTING and not (len(said) == 1 and said[0] in function_words("en"))


_POINTING = frozenset({"esto", "eso", "ça", "cela", "isso", "isto", "disso", "das", "dies"})


def _turned(value: str, person: str) -> str | None:
    """Turn possessives to the viewer (`your`) or the speaker (`my`); None where a verb would have to change too."""
    said = set(words(value))
    if said & {"i", "i'm", "i've", "i'll", "i'd", "you", "you're", "you've", "you'll", "you'd"}:
        return None
    swaps = {"your": {"my": "your", "myself": "yourself", "me": "you"}, "my": {"your": "my", "yourself": "myself"}}
    if person not in swaps:
        return None
    turned: str = regex.sub(r"[\p{L}']+", lambda word: swaps[person].get(word.group().casefold(), word.group()), value)
    return turned


_OUT_OF_STEP = regex.compile(
    r"^\W*(?:now|then|next|after that|and finally|last thing|all that's left)\b.*\b(?:first|finish|last|leave)\b",
    regex.IGNORECASE,
)
"""A step that is put at another place than the one it names itself."""


_OTHERS_NAME = regex.compile(r"[@#]\p{L}")
"""A handle or hashtag: what the source says of somebody is not carried into the brand's words."""


def _is_fluent(text: str, source: str, language: str) -> bool:
    """Refuse what reads as made by a machine: hardly changed, a word twice in a row, a telling word used again."""
    if fuzz.ratio(text.casefold(), source.casefold()) >= _SAME_AS_SOURCE:
        return False
    new, old = words(text), words(source)
    if any(one == other for one, other in pairwise(new)):
        return False
    if _OUT_OF_STEP.search(text) or _OTHERS_NAME.search(text):
        return False
    small, had = function_words(language), Counter(old)
    return not any(count > max(1, had[word]) for word, count in Counter(new).items() if word not in small)


def _brand_words(brand: BrandProfile, language: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {"app": (brand.app_name or brand.name,)}
    if brand.required_terms:
        found["term"] = brand.required_terms
    for slot in get_args(Slot):
        own = brand.slot_words(language, slot)
        if own:
            found[slot] = own
    if "topic" not in found and base_language(brand.primary_language) == language:
        simple = [word for word in brand.keywords if regex.fullmatch(r"[\p{L}\p{M}'-]+(?: [\p{L}\p{M}'-]+){0,2}", word)]
        if simple:
            found["topic"] = tuple(simple[:2])
    return found


def _bank_texts(request: CopyRequest, line: CopyLine) -> tuple[str, ...]:
    brand, role = request.brand, line.role
    alone = role is OverlayRole.PUNCHLINE and line.id not in payoffs(request.lines).values()
    if alone and has_paired_bank(brand, request.language) and brand.bank(request.language, OverlayRole.TEXT):
        # A pay-off of the bank that answers a set-up says nothing without it.
        role = OverlayRole.TEXT
    texts = brand.bank(request.language, role)
    if role is OverlayRole.LIST_ITEM:
        return texts + tuple(habit for habit in brand.slot_words(request.language, "habit") if habit not in texts)
    if not texts and role in _NEIGHBOURS:
        return brand.bank(request.language, _NEIGHBOURS[role])
    return texts
