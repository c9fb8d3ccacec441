"""The formula corpus: meanings of overlays, how they are worded in a source, and how they may be worded anew.

TOML files under `data/formulas/<language>/` that a copywriter can edit; a folder of one's own of the same shape adds to
them. A table is one meaning: `role`, `match` (wordings of a source line), `write` (new wordings for any brand) and, for
one voice only, `witty`, `warm`, `casual`, `professional`, `educational`, `authentic`. The files of all languages share
the table names, so that a line matched in one language can be written in another, as long as the new wording takes no
words over from the source.

Notation in `match`: `(a|b)` one of the alternatives · `{n}` a number or number word · `{t}` a time of day · `{x}` `{y}` one to
nine words · `{name:a|b}` one of the alternatives, kept under that name · English only: `{ing}` a phrase that begins with the
-ing form of a known verb, `{do}` an instruction that begins with a known verb, `{step}` one that begins with a verb of making (`whisk`, `fold`), `{np}` a noun phrase with its article (in any language) · `{plural}`
`{bare}` one to four words without article, verb and small words (the first ending in -s), `{noun}` up to three such words,
`{clause}` a sentence that begins with its subject · other languages: `{inf}` a phrase that begins with an infinitive. Upper and lower case, numbering, emoji, apostrophes that
were left out and final punctuation do not matter.

In `write` the same slots stand for what was found and `{all}` for the whole line; `{doing}` is `{do}` as an -ing phrase and `{do}` may be made of an `{ing}`.
`{app}` is the brand's app name, `{term}` one of its required terms, and `{topic}` `{activity}` `{goal}` `{habit}` `{pain}` are the brand's
vocabulary, so a wording is used only where the brand supplies the word; `{x_your}` and `{x_my}` are what was found with its
possessives turned. `weak = true` marks meanings that are used where nothing else matches, and only for their own role;
`question = true` those
for lines with a question mark; `like` names a meaning that stands in for this one in a language that lacks it; `neutral = true` those that recommend nothing, so that they may stand in a list of mistakes.

Nothing is chosen here; see `formulas`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Any

from recaster.errors import InvalidInput
from recaster.media.copywriting.brand import VOCABULARY_SLOTS, VOICES
from recaster.media.copywriting.english import (
    base,
    gerund_to_instruction,
    instruction_to_gerund,
    is_bare_noun,
    is_clause,
    is_instruction,
    is_noun_phrase,
    is_step,
)
from recaster.media.copywriting.language import finite_words, function_words
from recaster.media.overlays.model import OverlayRole

CORPUS_LANGUAGES = ("en", "es", "fr", "de", "pt")
BRAND_SLOTS = frozenset({"app", "term", *VOCABULARY_SLOTS})
LONGEST_WORDING = 70
_SLOT = re.compile(r"\{(\w+)(?::([^{}]+))?\}")
_NUMBER_WORDS = {
    "en": "two|three|four|five|six|seven|eight|nine|ten|a few|some",
    "es": "dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez",
    "fr": "deux|trois|quatre|cinq|six|sept|huit|neuf|dix",
    "de": "zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn",
    "pt": "dois|duas|três|quatro|cinco|seis|sete|oito|nove|dez",
}
_INFINITIVE = {
    "es": r"[^\W\d_]+(?:ar|er|ir|ír)(?:se|lo|la|los|las)?",
    "pt": r"[^\W\d_]+(?:ar|er|ir|or|ôr)(?:-[^\W\d_]+)?",
    "fr": r"(?:(?:se |s'|me |te |t'|ne (?:pas|plus) )?[^\W\d_]+(?:er|ir|re|oir))",
    "de": r"[^\W\d_]+(?:en|ern|eln)",
}
_WORD = r"[^\s.!?…:;|,@#/]+"
_LOOSE = r"[^\s.!?…:;|@#/]+"
_ARTICLE = {
    "en": "an?|the|my|your|our|some|this|that|these|those|good|enough|extra",
    "es": "una?|unos|unas|el|la|los|las|tus?|mis?|este|esta|estos|estas",
    "fr": "une?|des|les?|la|ton|ta|tes|mon|ma|mes|ce|cet|cette|ces|du",
    "de": "eine?n?|der|die|das|den|deine?n?|meine?n?|diese[srn]?",
    "pt": "uma?|uns|umas|o|a|os|as|seus?|suas?|meus?|minhas?|este|esta|esse|essa",
}
_BEFORE_NOUN = "on|in|with|for|at|from|of|under|after|before|without|inside|near|like|and"
_CLIPPED = {
    "dont": "don't", "doesnt": "doesn't", "didnt": "didn't", "cant": "can't", "isnt": "isn't", "arent": "aren't",
    "wasnt": "wasn't", "youre": "you're", "im": "I'm", "ive": "I've", "youve": "you've", "thats": "that's", "whats": "what's",
    "heres": "here's", "lets": "let's", "theyre": "they're", "couldnt": "couldn't", "shouldnt": "shouldn't",
    "wouldnt": "wouldn't", "youll": "you'll", "theres": "there's", "u": "you", "ur": "your", "rn": "right now", "bc": "because",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wording:
    """One new wording. `voice` is None where it suits any brand."""

    text: str
    voice: str | None = None


@dataclass(frozen=True, slots=True)
class Formula:
    """One meaning in one language."""

    name: str
    role: OverlayRole
    match: tuple[re.Pattern[str], ...]
    write: tuple[Wording, ...]
    weak: bool
    neutral: bool
    """Whether its wordings recommend nothing, so that they fit what one should not do as well."""

    like: str | None
    """Another meaning whose wordings serve where a language has none for this one."""
    question: bool
    """Whether it is for lines that end in a question mark."""

    def takes(self, *kinds: str) -> bool:
        """Whether a match of it has one of these slots."""
        return any(set(kinds) & set(pattern.groupindex) for pattern in self.match)


@dataclass(frozen=True, slots=True)
class Corpus:
    """All formulas of one language."""

    language: str
    formulas: tuple[Formula, ...]

    def named(self, name: str | None) -> Formula | None:
        """Return the formula of a meaning."""
        return next((formula for formula in self.formulas if formula.name == name), None)

    def matches(self, core: str) -> Iterator[tuple[Formula, dict[str, str]]]:
        """Yield every formula that a line's words match as a whole, with what its slots hold."""
        plain = _unclipped(core) if self.language == "en" else core
        for formula in self.formulas:
            for pattern in formula.match:
                found = pattern.fullmatch(plain)
                held = found and _held(found, self.language)
                if held is not None:
                    yield formula, held
                    break


def slots(text: str) -> frozenset[str]:
    """Return the names of the slots in a pattern or wording."""
    return frozenset(found[0] for found in _SLOT.findall(text))


@lru_cache(maxsize=16)
def load_corpus(language: str, folder: Path | None = None) -> Corpus:
    """Read the corpus of a base language; a language without one has no formulas.

    `folder` holds formulas of one's own in `<language>/*.toml`; a table of the same name replaces the packaged one.

    Raises:
        InvalidInput: a file is wrong; the message names file and table.
    """
    formulas: dict[str, Formula] = {}
    for place in (files(__package__).joinpath("data", "formulas", language), folder and folder / language):
        if place is not None and place.is_dir():
            for file in sorted(place.iterdir(), key=lambda file: file.name):
                if file.name.endswith(".toml"):
                    formulas |= {formula.name: formula for formula in _read(language, file)}
    return Corpus(language, tuple(formulas.values()))


def corpus_problems(corpus: Corpus) -> tuple[str, ...]:
    """Return what is wrong with a corpus, for the copywriter who edits it; nothing where it is good."""
    problems = []
    seen: dict[str, str] = {}
    for formula in corpus.formulas:
        where = f"{corpus.language} [{formula.name}]"
        for pattern in formula.match:
            if not any(slots(wording.text) <= BRAND_SLOTS | _offered(pattern) for wording in formula.write):
                problems.append(f"{where}: no wording can be filled after the match /{pattern.pattern}/.")
        if not formula.write:
            problems.append(f"{where}: `write` is empty; give at least one new wording.")
        for wording in formula.write:
            text = wording.text
            if text != " ".join(text.split()):
                problems.append(f"{where}: '{text}' has space at an end or in a row.")
            if text.casefold() in seen and seen[text.casefold()] == formula.name:
                problems.append(f"{where}: '{text}' stands there twice.")
            seen[text.casefold()] = formula.name
            if len(text) > LONGEST_WORDING:
                problems.append(f"{where}: '{text}' is longer than {LONGEST_WORDING} characters.")
            offered = frozenset().union(*(_offered(pattern) for pattern in formula.match))
            missing = {slot.partition("_")[0] for slot in slots(text)} - BRAND_SLOTS - offered - {"n"}
            if missing and formula.match:
                problems.append(f"{where}: '{text}' needs {{{', '.join(sorted(missing))}}}, which no `match` offers.")
            bare = slots(text) <= BRAND_SLOTS | {"n"}
            if not formula.match and not bare:
                problems.append(f"{where}: '{text}' takes words over, but there is no `match` to take them from.")
    return tuple(dict.fromkeys(problems))


def compile_pattern(text: str, language: str = "en") -> re.Pattern[str]:
    """Turn a `match` wording into a pattern for a whole line without numbering, emoji and final punctuation."""
    parts, position = [], 0
    for slot in _SLOT.finditer(text):
        parts += [_literal(text[position : slot.start()]), _slot(slot.group(1), slot.group(2), language)]
        position = slot.end()
    parts.append(_literal(text[position:]))
    return re.compile("".join(parts), re.IGNORECASE)


def _read(language: str, file: Traversable) -> Iterator[Formula]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{language}/{file.name} is not a TOML file: {error}. Texts stand in quotation marks, lists in square brackets.",
            field=file.name,
        ) from error
    for name, table in values.items():
        where = f"{language}/{file.name} [{name}]"
        if not isinstance(table, dict):
            raise InvalidInput(f"{where} is no table; a meaning begins with its name in square brackets.", field=name)
        yield _formula(language, where, name, table)


def _formula(language: str, where: str, name: str, table: dict[str, Any]) -> Formula:
    fields = {"role", "match", "write", "weak", "neutral", "question", "like", *VOICES}
    unknown = set(table) - fields
    if unknown:
        raise InvalidInput(
            f"{where} has the unknown field `{min(unknown)}`; the fields are {', '.join(sorted(fields))}.", field=name
        )
    wordings = [Wording(text) for text in table.get("write", ())]
    wordings += [Wording(text, voice) for voice in VOICES for text in table.get(voice, ())]
    try:
        return Formula(
            name,
            OverlayRole(table["role"]),
            tuple(compile_pattern(pattern, language) for pattern in table.get("match", ())),
            tuple(wordings),
            bool(table.get("weak", False)),
            bool(table.get("neutral", False)),
            table.get("like"),
            bool(table.get("question", False)),
        )
    except KeyError as error:
        raise InvalidInput(f"{where} has no `role`.", field=name) from error
    except (ValueError, re.error) as error:
        raise InvalidInput(f"{where} is wrong: {error}.", field=name) from error


def _literal(text: str) -> str:
    escaped = "".join(part if part in "(|)" else re.escape(part) for part in re.split(r"([(|)])", text))
    return escaped.replace("(", "(?:")


def _slot(name: str, alternatives: str | None, language: str) -> str:
    if alternatives is not None:
        return f"(?P<{name}>{alternatives})"
    if name == "n":
        return rf"(?P<n>\d+|{_NUMBER_WORDS.get(language, 'x{99}')})"
    if name == "t":
        return r"(?P<t>midnight|noon|\d{1,2}(?::\d\d)? ?(?:am|pm|a\.m|p\.m|h|uhr)?)"
    if name == "ing":
        return rf"(?P<ing>[^\W\d_]+ing(?: {_LOOSE}){{0,8}})"
    if name in ("do", "step"):
        return rf"(?P<{name}>[^\W\d_]+(?: {_LOOSE}){{0,8}})"
    if name == "np":
        return rf"(?P<np>(?:{_ARTICLE.get(language, 'x{99}')})(?: {_WORD}){{1,6}})"
    if name == "noun":
        return r"(?P<noun>[^\W\d_]{3,}(?: [^\W\d_]{3,}){0,2})"
    if name in ("plural", "bare"):
        if name == "plural":
            return r"(?P<plural>(?:[\w'-]+ ){0,3}[^\W\d_]{2,}s)"
        return rf"(?P<bare>(?:[\w'&-]+ ){{0,3}}[^\W\d_][\w'-]{{2,}}(?: (?:{_BEFORE_NOUN})(?: {_WORD}){{1,4}})?)"
    if name == "clause":
        return rf"(?P<clause>[\w'-]+(?: {_LOOSE}){{1,9}})"
    if name == "inf":
        return rf"(?P<inf>{_INFINITIVE.get(language, 'x{99}')}(?: {_LOOSE}){{0,7}})"
    return rf"(?P<{name}>{_WORD}(?: {_LOOSE}){{0,8}})"


def _offered(pattern: re.Pattern[str]) -> frozenset[str]:
    """Return the slots that a wording may use after a match: those of the pattern and what can be made of them."""
    own = frozenset(pattern.groupindex) | {"all"}
    made = {"doing"} if "do" in own else set()
    return own | made | ({"do"} if "ing" in own else set())


def _held(found: re.Match[str], language: str) -> dict[str, str] | None:
    """Return what the slots hold, other verb forms included; None where a slot holds words of another kind."""
    held: dict[str, str] = {key: value for key, value in found.groupdict().items() if value}
    held["all"] = found.group()
    if language != "en":
        phrases = [held[slot] for slot in ("np", "inf") if slot in held]
        return None if any(_has_verb(phrase, language) for phrase in phrases) else held
    for slot in ("plural", "bare", "noun"):
        if slot in held and not is_bare_noun(held[slot]):
            return None
    if "step" in held and not is_step(held["step"]):
        return None
    if "clause" in held and not is_clause(held["clause"]):
        return None
    if "np" in held and not is_noun_phrase(held["np"]):
        return None
    if "do" in held:
        if not is_instruction(held["do"]):
            return None
        doing = instruction_to_gerund(held["do"])
        if doing is not None:
            held["doing"] = doing
    if "ing" in held:
        if base(held["ing"].split(" ")[0]) is None:
            return None
        do = gerund_to_instruction(held["ing"])
        if do is not None:
            held.setdefault("do", do)
    return held


def _has_verb(phrase: str, language: str) -> bool:
    """Tell whether a verb stands in what should be a noun or an infinitive with what belongs to it."""
    said = phrase.split(" ")
    if set(phrase.casefold().split(" ")) & finite_words(language):
        return True
    if language != "de":
        return False
    # After a German noun, which has a capital, a small word is a verb unless it joins another noun.
    joints = function_words("de")
    return any(one[0].isupper() and other[0].islower() and other not in joints for one, other in pairwise(said))


def _unclipped(text: str) -> str:
    """Write out what is often left out in such videos: `dont` → `don't`."""
    return re.sub(r"[\w']+", lambda word: _CLIPPED.get(word.group().casefold(), word.group()), text)
